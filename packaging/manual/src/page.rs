//! The manual page of one agent in roff. groff_man(7) explains the macros. The owner of the crate
//! roff, with [`crate::command`].

use ocf::{Description, Kind, Parameter};
use roff::{Inline, Roff, bold, italic, roman};

use crate::Manual;

/// The provider of both agents: the middle part of `ocf:smartvox:NAME`.
const PROVIDER: &str = "smartvox";

/// Variables that both agents read besides their parameters.
const ENVIRONMENT: [(&str, &str); 10] = [
    ("OCF_RESKEY_name", "The parameters. An empty value counts as not set."),
    (
        "OCF_RESOURCE_INSTANCE",
        "The name of the resource. It is part of log lines and of file names.",
    ),
    ("OCF_CHECK_LEVEL", "The depth of monitor and validate-all: 0, 10 or 20. Default: 0."),
    (
        "OCF_RESKEY_CRM_meta_timeout",
        "The timeout of the action in milliseconds. The agent ends before it. Default: the timeout \
         under SUPPORTED ACTIONS.",
    ),
    (
        "OCF_RESKEY_CRM_meta_interval",
        "The interval of monitor in milliseconds. Without it, or with 0, monitor is a probe: on a \
         node without the software or the interface, it returns 7 and no error.",
    ),
    (
        "OCF_EXIT_REASON_PREFIX",
        "The text before the exit reason on stderr. Default: ocf-exit-reason:",
    ),
    (
        "HA_LOGFACILITY, HA_LOGFILE",
        "The syslog facility, and the file, for log lines. The dates in the file are in the zone \
         of TZ.",
    ),
    ("HA_debug", "With any value but 0, each step is logged, as with -v on the command line."),
    (
        "OCF_TRACE_RA, OCF_RESKEY_trace_ra",
        "With a value that means yes, each step is written down with its time: in OCF_TRACE_FILE (a \
         path, or an open descriptor from 3 to 9), else in /var/lib/heartbeat/trace_ra/AGENT/RESOURCE.\
         ACTION.DATE.TIME, else, at a terminal, on stderr. \"crm resource trace\", \"crm_resource \
         -VV\" and \"pcs resource debug-start --full\" set it.",
    ),
    ("OCF_RESKEY_trace_dir", "The directory in place of /var/lib/heartbeat/trace_ra."),
];

/// The manual page of one agent.
#[derive(Debug)]
pub struct Page {
    description: &'static Description,
    manual: &'static Manual,
}

impl Page {
    pub(crate) const fn new(description: &'static Description, manual: &'static Manual) -> Self {
        Self { description, manual }
    }

    /// The description of the agent.
    pub const fn description(&self) -> &'static Description {
        self.description
    }

    /// The name of the installed file, such as `ocf_smartvox_opensips.7`.
    pub fn file_name(&self) -> String {
        format!("{}.7", self.name())
    }

    /// The source of the page, with a newline at its end.
    pub fn to_roff(&self) -> String {
        let mut roff = Roff::new();
        self.add_head(&mut roff);
        self.add_parameters(&mut roff);
        self.add_actions(&mut roff);
        self.add_exits(&mut roff);
        add_section(&mut roff, "ENVIRONMENT");
        add_items(&mut roff, &ENVIRONMENT);
        add_section(&mut roff, "FILES");
        add_items(&mut roff, self.manual.files);
        self.add_examples(&mut roff);
        self.add_see_also(&mut roff);
        format!(
            ".\\\" Made from the agent's description by \"make man\": do not edit.\n{}",
            roff.render()
        )
    }

    fn name(&self) -> String {
        format!("ocf_{PROVIDER}_{}", self.description.name)
    }

    fn add_head(&self, roff: &mut Roff) {
        let Description { name, version, shortdesc, longdesc, .. } = self.description;
        // The arguments of a macro are not escaped by the crate.
        let title = self.name().to_uppercase().replace('-', "\\-");
        let source = format!("{name} {version}");
        roff.control("TH", [title.as_str(), "7", released(), &source, "OCF resource agents"]);
        add_section(roff, "NAME");
        add_text(roff, &format!("{} - {shortdesc}", self.name()));
        add_section(roff, "SYNOPSIS");
        let actions = self.description.action_names().join(" | ");
        roff.text([bold(*name), roman(format!(" [{actions}]"))]);
        add_section(roff, "DESCRIPTION");
        add_paragraphs(roff, longdesc, "PP");
    }

    fn add_parameters(&self, roff: &mut Roff) {
        add_section(roff, "SUPPORTED PARAMETERS");
        roff.text([
            roman("The cluster sets each parameter as "),
            bold("OCF_RESKEY_"),
            italic("name"),
            roman(" in the environment; by hand, "),
            bold("--"),
            italic("name"),
            roman(" on the command line does the same."),
        ]);
        for parameter in self.description.parameters {
            add_parameter(roff, parameter);
        }
    }

    fn add_actions(&self, roff: &mut Roff) {
        add_section(roff, "SUPPORTED ACTIONS");
        add_text(roff, "The timeouts and intervals are suggestions.");
        for offered in self.description.actions {
            let mut facts = vec![format!("timeout {} s", offered.timeout_s)];
            facts.extend(offered.interval_s.map(|interval| format!("interval {interval} s")));
            facts.extend(offered.depth.map(|depth| format!("OCF_CHECK_LEVEL {depth}")));
            facts.extend(offered.role.map(|role| format!("role {role}")));
            add_item(roff, offered.action.name(), &facts.join(", "));
        }
    }

    fn add_exits(&self, roff: &mut Roff) {
        add_section(roff, "EXIT STATUS");
        for (exit, meaning) in self.manual.exits {
            add_item(roff, &format!("{} ({})", exit.code(), exit.name()), meaning);
        }
        add_section(roff, "EXIT REASONS");
        add_text(
            roff,
            "Each failed action has an exit reason, which crm_mon and pcs status show. Words in \
             capitals stand for the parts that vary.",
        );
        add_items(roff, self.manual.reasons);
    }

    fn add_examples(&self, roff: &mut Roff) {
        add_section(roff, "EXAMPLES");
        for (number, (purpose, command)) in self.manual.examples.iter().enumerate() {
            if number > 0 {
                roff.control("PP", []);
            }
            add_text(roff, purpose);
            roff.control("PP", []).control("nf", []).control("RS", ["4"]);
            roff.text([roman(*command)]);
            roff.control("RE", []).control("fi", []);
        }
    }

    fn add_see_also(&self, roff: &mut Roff) {
        add_section(roff, "SEE ALSO");
        let mut pages: Vec<Inline> = Vec::new();
        for (name, section) in self.manual.see_also {
            let separator = if pages.is_empty() { "" } else { ", " };
            pages.extend([roman(separator), bold(*name), roman(format!("({section})"))]);
        }
        roff.text(pages);
    }
}

/// The day of the newest release in CHANGELOG.md. Not the day of the build, so that the same tree
/// gives the same page.
pub(crate) fn released() -> &'static str {
    let changelog = include_str!("../../../CHANGELOG.md");
    let mut headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    headings.find_map(|heading| heading.split_once(" - ")).map_or("", |(_, day)| day)
}

pub(crate) fn add_section(roff: &mut Roff, title: &str) {
    roff.control("SH", [title]);
}

/// One paragraph of running text; the formatter breaks its lines.
pub(crate) fn add_text(roff: &mut Roff, text: &str) {
    roff.text([roman(text.split_whitespace().collect::<Vec<_>>().join(" "))]);
}

/// Paragraphs that are separated by empty lines, with the macro `between` before each but the first.
fn add_paragraphs(roff: &mut Roff, text: &str, between: &str) {
    for (number, paragraph) in text.split("\n\n").enumerate() {
        if number > 0 {
            roff.control(between, []);
        }
        add_text(roff, paragraph);
    }
}

fn add_items(roff: &mut Roff, items: &[(&str, &str)]) {
    for (tag, text) in items {
        add_item(roff, tag, text);
    }
}

/// A tag in bold, and an indented paragraph.
pub(crate) fn add_item(roff: &mut Roff, tag: &str, text: &str) {
    add_tag(roff, tag);
    add_text(roff, text);
}

fn add_tag(roff: &mut Roff, tag: &str) {
    roff.control("TP", []).text([bold(tag)]);
}

fn add_parameter(roff: &mut Roff, parameter: &Parameter) {
    add_tag(roff, parameter.name);
    add_paragraphs(roff, parameter.longdesc, "IP");
    let facts = facts(parameter);
    if !facts.is_empty() {
        roff.control("IP", []);
        add_text(roff, &format!("({})", facts.join("; ")));
    }
    if let Some(deprecated) = parameter.deprecated {
        roff.control("IP", []);
        add_text(roff, &format!("Deprecated: {}", deprecated.desc));
    }
}

/// The properties of a parameter that are attributes in the meta-data.
fn facts(parameter: &Parameter) -> Vec<String> {
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
    facts.extend(parameter.default.map(|default| format!("default {default}")));
    if parameter.reloadable {
        facts.push("a change needs no restart".to_owned());
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::{Action, ActionDescription, Exit};

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
            examples: &[("Begin:", "# pcs x \\\n    .y"), ("End:", "'z'")],
            see_also: &[("a-b", "7"), ("c", "8")],
        };
        let page = Page::new(&DESCRIPTION, &MANUAL);
        assert_eq!(page.file_name(), "ocf_smartvox_an-agent.7");
        let page = page.to_roff();
        for part in [
            ".TH OCF_SMARTVOX_AN\\-AGENT 7 ",
            "\\fBan\\-agent\\fR [start]\n",
            ".IP\n\\&.TH is no request, and \\\\fB no font.\n",
            "(one of a\\-b, c; required; default a\\-b)\n",
            "timeout 20 s\n",
            ".TP\n\\fB7 (OCF_NOT_RUNNING)\\fR\nGone.\n",
            "\\fBIP is \"gone\"\\fR\nLook for it.\n",
            "\n\\&.x\n",
            ".nf\n.RS 4\n# pcs x \\\\\n    .y\n.RE\n.fi\n.PP\nEnd:",
            // An apostrophe that can be copied, wherever it stands.
            "\n\\*(Aqz\\*(Aq\n",
        ] {
            assert!(page.contains(part), "{part:?} is not in {page}");
        }
        assert!(page.ends_with("\\fBa\\-b\\fR(7), \\fBc\\fR(8)\n"), "{page}");
    }

    #[test]
    fn the_date_is_that_of_a_release() {
        let shape: String =
            released().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00");
    }
}
