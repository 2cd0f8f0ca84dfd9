//! The pages that a run can write.

/// A page in docs, made by one run of one command.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    /// The commands, of which the first writes it.
    pub(crate) commands: &'static [&'static str],
    /// Which contenders of a table do not take turns.
    pub(crate) except: &'static str,
    /// What its figures mean, without a figure.
    pub(crate) says: &'static str,
}

/// All parts but those with a page of their own.
pub(crate) const BENCHMARKS: Page = Page {
    file: "benchmarks.md",
    title: "Benchmarks",
    commands: &[
        "OPENSIPS_BIN=/usr/sbin/opensips make bench REPORT=docs   # writes this page, in some forty minutes",
        "make bench P=move   # one part alone",
    ],
    except: " (those of the failovers one after the other)",
    says: include_str!("says.md"),
};

/// The part of the calls.
pub(crate) const HAND_OVERS: Page = Page {
    file: "hand-overs.md",
    title: "Calls through many hand-overs",
    commands: &[
        "OPENSIPS_BIN=/usr/sbin/opensips make bench P=calls REPORT=docs   # writes this page, in some thirty minutes",
    ],
    except: "",
    says: include_str!("says-calls.md"),
};

/// The part with many addresses, instances and nodes.
pub(crate) const SCALE: Page = Page {
    file: "scale.md",
    title: "Many addresses, instances and nodes",
    commands: &[
        "OPENSIPS_BIN=/usr/sbin/opensips make bench P=scale MOVES=3 REPORT=docs   # writes this page, in some thirty minutes",
    ],
    except: " (here: one after the other)",
    says: include_str!("says-scale.md"),
};
