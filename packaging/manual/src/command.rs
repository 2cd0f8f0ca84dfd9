//! The manual page and the completions of the command `smartvox`, from its own options, rules and metrics.

use clap_complete::{Shell, generate};
use roff::{Roff, bold, italic, roman};

use crate::page::{add_item, add_section, add_text, released};

/// The name of the command and of its page.
const NAME: &str = "smartvox";

/// What the command leaves to the administrator's eyes.
const EXITS: [(&str, &str); 3] = [
    (
        "0",
        "check: neither errors nor warnings; advice alone is 0. diagnose: every agent has answered. \
         metrics: they are written.",
    ),
    ("1", "check: there are errors or warnings."),
    (
        "2",
        "It could not look: wrong arguments, no configuration of a cluster on this node, no such \
         resource, an agent that can't be run, a file that can't be written. The sentence is on \
         stderr.",
    ),
];

const FILES: [(&str, &str); 4] = [
    ("/usr/lib/ocf/resource.d/smartvox/", "The agents that diagnose and check run (OCF_ROOT)."),
    (
        "/var/lib/pacemaker/cib/cib.xml",
        "The configuration that is read while the cluster is not running on this node.",
    ),
    (
        "/usr/share/doc/resource-agents-smartvox/schemas",
        "JSON schemas of what is printed with --format json.",
    ),
    (
        "/usr/share/doc/resource-agents-smartvox/monitoring",
        "Alert rules for Prometheus and a dashboard for Grafana.",
    ),
];

const EXAMPLES: [(&str, &str); 5] = [
    ("Look for mistakes, on each node, after a change of the cluster:", "# smartvox check"),
    (
        "The same before a change, with a configuration that is not in use yet:",
        "# pcs cluster cib new.xml\n# pcs -f new.xml resource update opensips mi_timeout=2s\n# smartvox check --cib new.xml",
    ),
    (
        "Leave out the findings of a rule, where the configuration files of the nodes differ on purpose (several \
         names with commas; --update replaces the list: give all names; --delete in place of --update and the \
         names ends it):",
        "# crm_attribute --type crm_config --set-name smartvox --name smartvox-check-ignore --update configurations",
    ),
    ("Everything that is known of OpenSIPS on this node:", "# smartvox diagnose opensips"),
    (
        "Metrics for the textfile collector of node_exporter:",
        "# smartvox metrics --output /var/lib/prometheus/node-exporter/smartvox.prom",
    ),
];

/// The name and the source of the page.
pub fn command_page() -> (String, String) {
    let mut roff = Roff::new();
    let command = smartvox::command();
    let version = command.get_version().unwrap_or_default();
    let source = format!("{NAME} {version}");
    let title = NAME.to_uppercase();
    roff.control("TH", [title.as_str(), "8", released(), &source, "OCF resource agents"]);
    add_section(&mut roff, "NAME");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut about = about.chars();
    let first = about.next().map(|first| first.to_ascii_lowercase()).unwrap_or_default();
    add_text(&mut roff, &format!("{NAME} - {first}{}", about.as_str()));
    add_section(&mut roff, "SYNOPSIS");
    let lines =
        [["diagnose", " [RESOURCE] [OPTIONS]"], ["check", " [OPTIONS]"], ["metrics", " [OPTIONS]"]];
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            roff.control("br", []);
        }
        let [word, rest] = *line;
        roff.text([bold(format!("{NAME} {word}")), roman(rest)]);
    }
    add_commands(&mut roff, &command);
    add_rules(&mut roff);
    add_metrics(&mut roff);
    add_section(&mut roff, "EXIT STATUS");
    EXITS.iter().for_each(|(tag, text)| add_item(&mut roff, tag, text));
    add_section(&mut roff, "FILES");
    FILES.iter().for_each(|(tag, text)| add_item(&mut roff, tag, text));
    add_section(&mut roff, "EXAMPLES");
    for (at, (purpose, typed)) in EXAMPLES.iter().enumerate() {
        if at > 0 {
            roff.control("PP", []);
        }
        add_text(&mut roff, purpose);
        roff.control("PP", []).control("nf", []).control("RS", ["4"]);
        roff.text([roman(*typed)]);
        roff.control("RE", []).control("fi", []);
    }
    add_section(&mut roff, "SEE ALSO");
    roff.text([
        bold("smartvox-ocf"),
        roman("(7), "),
        bold("ocf_smartvox_opensips-vip"),
        roman("(7), "),
        bold("ocf_smartvox_opensips"),
        roman("(7), "),
        bold("crm_mon"),
        roman("(8), "),
        bold("pcs"),
        roman("(8)"),
    ]);
    let head = ".\\\" Made from the tables of the command by \"make man\": do not edit.\n";
    (format!("{NAME}.8"), format!("{head}{}", roff.render()))
}

fn add_commands(roff: &mut Roff, command: &clap::Command) {
    add_section(roff, "DESCRIPTION");
    add_text(
        roff,
        "No command changes anything on the host or in the configuration of the cluster. They take it from \
         cibadmin; while the cluster is not running on this node, diagnose and check take it from the file \
         that it has left. Run them as root.",
    );
    for sub in command.get_subcommands() {
        roff.control("SS", [sub.get_name()]);
        let about = sub.get_long_about().or(sub.get_about()).map(ToString::to_string);
        add_text(roff, &about.unwrap_or_default());
        for argument in sub.get_arguments() {
            let value = argument.get_value_names().and_then(|names| names.first());
            let value = value.map(ToString::to_string).unwrap_or_default();
            let tag = match argument.get_long() {
                Some("help" | "version") => continue,
                Some(long) => vec![bold(format!("--{long}")), roman(" "), italic(value)],
                None => vec![italic(argument.get_id().as_str())],
            };
            roff.control("TP", []).text(tag);
            add_text(roff, &argument.get_help().map(ToString::to_string).unwrap_or_default());
        }
    }
}

fn add_rules(roff: &mut Roff) {
    add_section(roff, "FINDINGS");
    add_text(
        roff,
        "Each finding of check is a sentence and the command that ends it. Commands are those of pcs; \
         crmsh has others. An error: when a fault comes that the pair is there for, the service \
         ends, or both nodes serve; or it does not start. A warning: a failover takes longer, or a \
         later fault is not survived. The names are those in the JSON, and those of the property \
         smartvox-check-ignore, which leaves out the findings of the rules that it names, on every node.",
    );
    for rule in &smartvox::RULES {
        add_item(roff, &format!("{} ({})", rule.name, rule.severity), rule.about);
    }
}

fn add_metrics(roff: &mut Roff) {
    add_section(roff, "METRICS");
    add_text(
        roff,
        "The metrics of smartvox metrics, and the last one, of smartvox check --format prometheus; all \
         are gauges. Of several monitors of a resource that report a fault, Pacemaker remembers the last \
         one. Those with the label resource are about every node of the cluster that is online, the \
         others about this node.",
    );
    for metric in &smartvox::METRICS {
        add_item(roff, &format!("{}{{{}}}", metric.name, metric.labels.join(", ")), metric.about);
    }
}

/// The names and texts of the completions, as shells look for them.
pub fn completions() -> Vec<(&'static str, String)> {
    [(Shell::Bash, "smartvox.bash"), (Shell::Zsh, "_smartvox"), (Shell::Fish, "smartvox.fish")]
        .into_iter()
        .map(|(shell, file)| {
            let mut text = Vec::new();
            generate(shell, &mut smartvox::command(), NAME, &mut text);
            (file, String::from_utf8_lossy(&text).into_owned())
        })
        .collect()
}
