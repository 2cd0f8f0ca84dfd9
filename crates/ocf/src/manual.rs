//! The manual page, written from the description: section 7, in the form of resource-agents' own
//! (`ocf_PROVIDER_AGENT(7)`). groff_man(7) says what the macros mean.

use std::fmt::{self, Write};

use crate::{Description, Exit, Kind, Parameter};

/// Every exit code, in the order of its number, with what it says of an action.
const EXITS: [(Exit, &str); 12] = [
    (Exit::Success, "The action did what it says; monitor: running and usable."),
    (Exit::Generic, "Something that may go away; monitor: present, but not a working resource."),
    (Exit::Args, "The parameters are right in form, but wrong on this node."),
    (Exit::Unimplemented, "Unknown action."),
    (Exit::Permission, "No privilege for the action."),
    (Exit::Installed, "A component is missing on this node."),
    (Exit::Configured, "The parameters are wrong on every node."),
    (Exit::NotRunning, "monitor only: nothing of the resource is left on this node."),
    (Exit::RunningPromoted, "monitor: running and promoted."),
    (Exit::FailedPromoted, "monitor: promoted, but broken."),
    (Exit::Degraded, "monitor: it serves, and an operator should look."),
    (Exit::DegradedPromoted, "monitor: the same, promoted."),
];

/// The manual page of an agent of `provider`, in roff, with a newline at its end.
pub fn manual_page(description: &Description, provider: &str) -> String {
    let mut page = String::with_capacity(16 * 1024);
    // Writing to a String can't fail.
    let _ = write_page(&mut page, description, provider);
    page
}

fn write_page(page: &mut String, description: &Description, provider: &str) -> fmt::Result {
    let Description { name, version, .. } = description;
    let title = format!("OCF_{provider}_{name}").to_uppercase();
    writeln!(page, ".\\\" Made from the agent's own description; don't edit.")?;
    writeln!(page, ".TH {} 7 \"\" \"{name} {version}\" \"OCF resource agents\"", Text(&title))?;
    writeln!(page, ".SH NAME")?;
    writeln!(page, "ocf_{provider}_{} \\- {}", Text(name), Text(description.shortdesc))?;
    writeln!(page, ".SH SYNOPSIS\n.B {}", Text(name))?;
    let mut actions: Vec<&str> = Vec::new();
    for offered in description.actions {
        if !actions.contains(&offered.action.name()) {
            actions.push(offered.action.name());
        }
    }
    writeln!(page, "[{}]", Text(&actions.join(" | ")))?;
    writeln!(page, ".SH DESCRIPTION")?;
    write_paragraphs(page, description.longdesc, ".PP")?;
    writeln!(page, ".SH SUPPORTED PARAMETERS")?;
    writeln!(
        page,
        "Each is given by the cluster, as \\fBOCF_RESKEY_\\fIname\\fR in the environment, or as\n\
         \\fB\\-\\-\\fIname\\fR on the command line."
    )?;
    for parameter in description.parameters {
        write_parameter(page, parameter)?;
    }
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
    writeln!(page, ".SH EXIT STATUS")?;
    for (exit, meaning) in EXITS {
        writeln!(page, ".TP\n.B {} ({})", exit.code(), exit.name())?;
        writeln!(page, "{}", Text(meaning))?;
    }
    writeln!(page, ".SH EXAMPLE PCS\n.nf")?;
    let required = description.parameters.iter().filter(|parameter| parameter.required);
    let required: String = required.map(|p| format!(" {}=\\fIvalue\\fR", p.name)).collect();
    writeln!(
        page,
        "# pcs resource create p_{0} ocf:{provider}:{0}{required} op monitor interval=10s",
        Text(name)
    )?;
    writeln!(page, ".fi\n.SH SEE ALSO")?;
    writeln!(page, ".BR pcs (8),\n.BR crm_resource (8),\n.BR pacemakerd (8)")
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
        writeln!(page, ".IP\n({})", Text(&facts.join("; ")))?;
    }
    if let Some(deprecated) = parameter.deprecated {
        writeln!(page, ".IP\nDeprecated: {}", Text(deprecated.desc))?;
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
        writeln!(page, "{}", Text(paragraph.trim()))?;
    }
    Ok(())
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
        let page = manual_page(&DESCRIPTION, "smartvox");
        assert!(page.contains(".TH OCF_SMARTVOX_AN\\-AGENT 7"), "{page}");
        assert!(page.contains("\n\\&.TH is no request, and \\efB no font.\n"), "{page}");
        assert!(page.contains("(one of a\\-b, c; required; default a\\-b)"), "{page}");
        assert!(page.contains("# pcs resource create p_an\\-agent ocf:smartvox:an\\-agent ip="));
        assert!(page.contains("timeout 20 s"));
        for (exit, _) in EXITS {
            assert!(page.contains(exit.name()), "{}", exit.name());
        }
    }
}
