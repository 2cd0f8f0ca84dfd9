//! Which role the instance has on this node, as promote and demote have remembered it. A sharing tag
//! does not tell: it stays active after demote until another node activates it.

use std::fmt::Write;

use hostproc::{Pid, Process, RunDirectory};

/// The role of an instance of a promotable clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Promoted,
    Unpromoted,
}

/// What is remembered, in a directory that a boot empties: a node that boots is unpromoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The main process that has the role: a later one has not been promoted.
    pub(crate) main: Process,
    pub(crate) role: Role,
    /// The last monitor that asked has found a sharing tag in another state than the role demands.
    pub(crate) tag_astray: bool,
    /// The promotion score that Pacemaker has, as far as is known.
    pub(crate) score: Option<i32>,
    /// The process of Pacemaker that was told the score: a later one may not know it.
    pub(crate) told: Option<Process>,
    /// The cluster's membership then, as [`ocf::Membership::noted`] has it.
    pub(crate) membership: Option<u64>,
}

impl Record {
    /// Of an instance that has just been started, or of which nothing is remembered.
    pub(crate) fn unpromoted(main: Process) -> Self {
        Self {
            main,
            role: Role::Unpromoted,
            tag_astray: false,
            score: None,
            told: None,
            membership: None,
        }
    }

    /// The record of this main process, by the record of any: a later main process has not been
    /// promoted, and Pacemaker still has the score.
    pub(crate) fn following(known: Option<Self>, main: Process) -> Self {
        match known {
            Some(record) if record.main == main => record,
            other => Self {
                score: other.and_then(|record| record.score),
                told: other.and_then(|record| record.told),
                membership: other.and_then(|record| record.membership),
                ..Self::unpromoted(main)
            },
        }
    }

    /// `None` if there is no record, or none that can be understood.
    pub(crate) fn load(run: &RunDirectory, name: &str) -> Option<Self> {
        Self::parse(std::str::from_utf8(&run.read(name)?).ok()?)
    }

    /// # Errors
    /// The directory is not writable.
    pub(crate) fn store(&self, run: &RunDirectory, name: &str) -> hostfs::Result<()> {
        run.write(name, self.to_text().as_bytes())
    }

    pub(crate) fn to_text(self) -> String {
        let role = match self.role {
            Role::Promoted => "promoted",
            Role::Unpromoted => "unpromoted",
        };
        let mut text = format!("main {} {}\nrole {role}\n", self.main.pid, self.main.start_time);
        if self.tag_astray {
            text.push_str("tag_astray yes\n");
        }
        if let Some(score) = self.score {
            // Writing to a String can't fail.
            let _ = writeln!(text, "score {score}");
        }
        if let Some(told) = self.told {
            let _ = writeln!(text, "told {} {}", told.pid, told.start_time);
        }
        if let Some(membership) = self.membership {
            let _ = writeln!(text, "membership {membership}");
        }
        text.push_str("end\n");
        text
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mut main, mut role, mut tag_astray, mut score) = (None, None, false, None);
        let (mut told, mut membership) = (None, None);
        // A record without its last line is incomplete.
        for line in text.strip_suffix("end\n")?.lines() {
            match line.split_once(' ')? {
                ("main", text) => main = Some(process(text)?),
                ("told", text) => told = Some(process(text)?),
                ("membership", number) => membership = Some(number.parse().ok()?),
                ("role", "promoted") => role = Some(Role::Promoted),
                ("role", "unpromoted") => role = Some(Role::Unpromoted),
                ("tag_astray", "yes") => tag_astray = true,
                ("score", number) => score = Some(number.parse().ok()?),
                // A line of another version.
                _ => {}
            }
        }
        Some(Self { main: main?, role: role?, tag_astray, score, told, membership })
    }
}

/// Its number and its start time.
fn process(text: &str) -> Option<Process> {
    let (pid, start_time) = text.split_once(' ')?;
    let pid: Pid = pid.parse().ok()?;
    Some(Process { pid, start_time: start_time.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> Record {
        let main = Process { pid: Pid::new(4711).unwrap(), start_time: 123 };
        let membership = Some(7);
        Record {
            main,
            role: Role::Promoted,
            tag_astray: true,
            score: Some(-5),
            told: Some(main),
            membership,
        }
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let (run, name) = (RunDirectory::at(directory.path()), "opensips-x.role");
        assert_eq!(Record::load(&run, name), None);
        for record in [record(), Record::unpromoted(record().main)] {
            record.store(&run, name).unwrap();
            assert_eq!(Record::load(&run, name), Some(record));
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_later_main_process_has_the_score_and_not_the_role() {
        let (known, main) = (record(), record().main);
        assert_eq!(Record::following(Some(known), main), known);
        let later = Process { start_time: 124, ..main };
        let expected = Record {
            score: known.score,
            told: known.told,
            membership: known.membership,
            ..Record::unpromoted(later)
        };
        assert_eq!(Record::following(Some(known), later), expected);
        assert_eq!(Record::following(None, main), Record::unpromoted(main));
    }

    #[test]
    fn half_a_record_is_none() {
        let text = record().to_text();
        for length in 0..text.len() {
            assert_eq!(Record::parse(&text[..length]), None);
        }
        assert_eq!(Record::parse("main 4711 123\nend\n"), None);
        let later = format!("since yesterday\n{text}");
        assert_eq!(Record::parse(&later), Some(record()));
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            let _ = Record::parse(&format!("{text}\nend\n"));
        }
    }
}
