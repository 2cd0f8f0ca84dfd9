//! The manual page, written from the description: section 7, in the form of resource-agents' own
//! (`ocf_PROVIDER_AGENT(7)`). groff_man(7) says what the macros mean.

use std::fmt::{self, Write};

use crate::{Description, Exit, Kind, Parameter};

/// The day of the release, as in CHANGELOG.md: not the day of the build, so that the same tree gives
/// the same page.
const RELEASED: &str = "2026-11-28";
/// Where lines of running text end.
const WIDTH: usize = 78;

/// What the page of an agent says beyond its description.
#[derive(Debug)]
pub struct Manual {
    /// Every exit code that the agent returns, with what it means for this one.
    pub exits: &'static [(Exit, &'static str)],
    /// Exit reasons that need somebody: as crm_mon shows them, with words in capitals for what
    /// differs; and what to do.
    pub reasons: &'static [(&'static str, &'static str)],
    /// Paths, and what is there.
    pub files: &'static [(&'static str, &'static str)],
    /// What a command is for, and the command.
    pub examples: &'static [(&'static str, &'static str)],
    /// Other pages: name and section.
    pub see_also: &'static [(&'static str, &'static str)],
}

/// What both agents read besides their parameters.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("OCF_RESKEY_name", "The parameters. A variable that is set to nothing counts as not set."),
    ("OCF_RESOURCE_INSTANCE", "Name of the resource: in the log, and in the names of files."),
    ("OCF_CHECK_LEVEL", "How deep monitor and validate-all look: 0, 10 or 20. Default: 0."),
    (
        "OCF_RESKEY_CRM_meta_timeout",
        "Time for the action in milliseconds. The agent ends before it is over; by hand, the \
         timeout under SUPPORTED ACTIONS counts.",
    ),
    (
        "OCF_RESKEY_CRM_meta_interval",
        "Interval of a monitor in milliseconds. None or 0 is a probe: on a node that lacks the \
         software or the interface it answers 7, never an error.",
    ),
    ("OCF_EXIT_REASON_PREFIX", "What stands before the exit reason on stderr."),
    ("HA_LOGFACILITY, HA_LOGFILE", "Where the log goes: a facility of syslog, a file."),
    ("HA_debug", "Anything but 0: each step is logged, as with -v on the command line."),
];

/// The manual page of an agent of `provider`, in roff, with a newline at its end.
pub fn manual_page(description: &Description, manual: &Manual, provider: &str) -> String {
    let mut page = String::with_capacity(32 * 1024);
    // Writing to a String can't fail.
    let _ = write_page(&mut page, description, manual, provider);
    page
}

fn write_page(
    page: &mut String,
    description: &Description,
    manual: &Manual,
    provider: &str,
) -> fmt::Result {
    let Description { name, version, .. } = description;
    let title = format!("OCF_{provider}_{name}").to_uppercase();
    writeln!(page, ".\\\" Made from the agent's own description; don't edit.")?;
    writeln!(
        page,
        ".TH {} 7 \"{RELEASED}\" \"{name} {version}\" \"OCF resource agents\"",
        Text(&title)
    )?;
    writeln!(page, ".SH NAME")?;
    writeln!(page, "ocf_{provider}_{} \\- {}", Text(name), Text(description.shortdesc))?;
    writeln!(page, ".SH SYNOPSIS")?;
    writeln!(page, ".B {}", Text(name))?;
    let mut actions: Vec<&str> = Vec::new();
    for offered in description.actions {
        if !actions.contains(&offered.action.name()) {
            actions.push(offered.action.name());
        }
    }
    write_filled(page, &format!("[{}]", actions.join(" | ")))?;
    writeln!(page, ".SH DESCRIPTION")?;
    write_paragraphs(page, description.longdesc, ".PP")?;
    writeln!(page, ".SH SUPPORTED PARAMETERS")?;
    writeln!(
        page,
        "Each is given by the cluster, as \\fBOCF_RESKEY_\\fIname\\fR in the environment,\n\
         or as \\fB\\-\\-\\fIname\\fR on the command line."
    )?;
    for parameter in description.parameters {
        write_parameter(page, parameter)?;
    }
    write_actions(page, description)?;
    writeln!(page, ".SH EXIT STATUS")?;
    for (exit, meaning) in manual.exits {
        write_item(page, &format!("{} ({})", exit.code(), exit.name()), meaning)?;
    }
    writeln!(page, ".SH EXIT REASONS")?;
    write_filled(
        page,
        "One line for each failed action, shown by crm_mon and pcs status. Words in capitals stand \
         for what differs.",
    )?;
    write_items(page, manual.reasons)?;
    writeln!(page, ".SH ENVIRONMENT")?;
    write_items(page, &ENVIRONMENT)?;
    writeln!(page, ".SH FILES")?;
    write_items(page, manual.files)?;
    writeln!(page, ".SH EXAMPLES")?;
    for (number, (purpose, command)) in manual.examples.iter().enumerate() {
        if number > 0 {
            writeln!(page, ".PP")?;
        }
        write_filled(page, purpose)?;
        writeln!(page, ".PP\n.nf\n.RS 4\n{}\n.RE\n.fi", Text(command))?;
    }
    writeln!(page, ".SH SEE ALSO")?;
    let count = manual.see_also.len();
    for (number, (name, section)) in manual.see_also.iter().enumerate() {
        let comma = if number + 1 < count { "," } else { "" };
        writeln!(page, ".BR {} ({section}){comma}", Text(name))?;
    }
    Ok(())
}

fn write_actions(page: &mut String, description: &Description) -> fmt::Result {
    writeln!(page, ".SH SUPPORTED ACTIONS\nWith the suggested timeouts:")?;
    for offered in description.actions {
        writeln!(page, ".TP\n.B {}", Text(offered.action.name()))?;
        write!(page, "timeout {} s", offered.timeout_s)?;
        if let Some(interval) = offered.interval_s {
            write!(page, ", interval {interval} s")?;
        }
        if let Some(depth) = offered.depth {
            write!(page, ", OCF_CHECK_LEVEL {depth}")?;
        }
        if let Some(role) = offered.role {
            write!(page, ", role {role}")?;
        }
        writeln!(page)?;
    }
    Ok(())
}

fn write_parameter(page: &mut String, parameter: &Parameter) -> fmt::Result {
    writeln!(page, ".TP\n.B {}", Text(parameter.name))?;
    write_paragraphs(page, parameter.longdesc, ".IP")?;
    let mut facts = Vec::new();
    match parameter.kind {
        Kind::Boolean => facts.push("yes or no".to_owned()),
        Kind::Integer => facts.push("a whole number".to_owned()),
        Kind::Select(options) => facts.push(format!("one of {}", options.join(", "))),
        Kind::String => {}
    }
    if parameter.required {
        facts.push("required".to_owned());
    }
    if let Some(default) = parameter.default {
        facts.push(format!("default {default}"));
    }
    if parameter.reloadable {
        facts.push("a change needs no restart".to_owned());
    }
    if !facts.is_empty() {
        writeln!(page, ".IP")?;
        write_filled(page, &format!("({})", facts.join("; ")))?;
    }
    if let Some(deprecated) = parameter.deprecated {
        writeln!(page, ".IP")?;
        write_filled(page, &format!("Deprecated: {}", deprecated.desc))?;
    }
    Ok(())
}

fn write_paragraphs(page: &mut String, text: &str, between: &str) -> fmt::Result {
    let mut first = true;
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        if !first {
            writeln!(page, "{between}")?;
        }
        first = false;
        write_filled(page, paragraph)?;
    }
    Ok(())
}

fn write_items(page: &mut String, items: &[(&str, &str)]) -> fmt::Result {
    items.iter().try_for_each(|(tag, text)| write_item(page, tag, text))
}

fn write_item(page: &mut String, tag: &str, text: &str) -> fmt::Result {
    writeln!(page, ".TP\n.B {}", Text(&tag.replace('"', "'")))?;
    write_filled(page, text)
}

/// Running text in lines of [`WIDTH`].
fn write_filled(page: &mut String, text: &str) -> fmt::Result {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(page, "{}", Text(&line))?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(page, "{}", Text(&line))
}

/// Text that roff shows as it is: no escapes, no requests, hyphens that can be copied.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line_begins = true;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\e")?,
                '-' => f.write_str("\\-")?,
                '.' | '\'' if line_begins => write!(f, "\\&{c}")?,
                c => f.write_char(c)?,
            }
            line_begins = c == '\n';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, ActionDescription};

    #[test]
    fn everything_described_is_in_the_page_and_nothing_is_a_request() {
        static IP: Parameter = Parameter {
            name: "ip",
            required: true,
            kind: Kind::Select(&["a-b", "c"]),
            default: Some("a-b"),
            shortdesc: "Address",
            longdesc: "One.\n\n.TH is no request, and \\fB no font.",
            ..Parameter::TEMPLATE
        };
        static DESCRIPTION: Description = Description {
            name: "an-agent",
            version: "1",
            shortdesc: "An agent",
            longdesc: "First.\n\nSecond.",
            parameters: &[&IP],
            actions: &[ActionDescription::new(Action::Start, 20)],
        };
        static MANUAL: Manual = Manual {
            exits: &[(Exit::NotRunning, "Gone.")],
            reasons: &[("IP is \"gone\"", "Look for it.")],
            files: &[("/run/x", ".x")],
            examples: &[("Begin:", "# pcs x \\\n    .y"), ("End:", "z")],
            see_also: &[("a-b", "7"), ("c", "8")],
        };
        let page = manual_page(&DESCRIPTION, &MANUAL, "smartvox");
        assert!(page.contains(".TH OCF_SMARTVOX_AN\\-AGENT 7"), "{page}");
        assert!(page.contains(".IP\n\\&.TH is no request, and \\efB no font.\n"), "{page}");
        assert!(page.contains("(one of a\\-b, c; required; default a\\-b)"), "{page}");
        assert!(page.contains("timeout 20 s"));
        assert!(page.contains(".TP\n.B 7 (OCF_NOT_RUNNING)\nGone.\n"), "{page}");
        assert!(page.contains(".B IP is 'gone'\nLook for it.\n"), "{page}");
        assert!(page.contains("\n\\&.x\n"), "{page}");
        assert!(page.contains(".nf\n.RS 4\n# pcs x \\e\n    .y\n.RE\n.fi\n.PP\nEnd:"), "{page}");
        assert!(page.ends_with(".BR a\\-b (7),\n.BR c (8)\n"), "{page}");
    }

    #[test]
    fn lines_are_filled() {
        let mut page = String::new();
        let words = vec![".word"; 30].join("\n");
        write_filled(&mut page, &words).unwrap();
        assert!(page.lines().all(|line| line.len() <= WIDTH + 2 && line.starts_with("\\&.word")));
        assert_eq!(page.split_whitespace().count(), 30);
    }

    #[test]
    fn the_date_is_that_of_the_newest_release() {
        let changelog = include_str!("../../../CHANGELOG.md");
        let newest =
            changelog.lines().find(|line| line.starts_with("## 1") || line.starts_with("## 2"));
        assert!(newest.is_some_and(|line| line.ends_with(RELEASED)), "{newest:?}");
    }
}
