//! What a report has to say about where it was made.

use std::process::Command;

use crate::report::Report;

/// What the tables mean, without a figure: figures are those of the run.
const SAYS: &str = include_str!("says.md");

/// Writes the head of the report: when, what on, which versions, what it says.
pub(crate) fn describe(whole: bool, report: &mut Report) {
    report.line("# Benchmarks\n");
    report.line(format!(
        "Made by one run of `make bench` on {}. Contenders of a table take turns (those of the failovers one \
         after the\nother); read the ratios, another machine has other milliseconds. Medians are the middle \
         sample, of an even number\nthe higher of the two in the middle. Every sample of what is compared is \
         below its table.\n",
        first_line("date", &["+%Y-%m-%d"])
    ));
    if whole {
        report.line("<!-- make -->\n```console");
        report.line(
            "# OPENSIPS_BIN=/usr/sbin/opensips make bench REPORT=docs   # writes this page, in about an hour",
        );
        report.line("# make bench P=move   # one part alone\n```\n");
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rows = [
        ("machine", format!("{}, {cores} cores", model())),
        ("kernel", first_line("uname", &["-r"])),
        ("Pacemaker", version("pacemaker")),
        ("Corosync", version("corosync")),
        ("resource-agents", version("resource-agents")),
        ("keepalived", version("keepalived")),
        ("Kamailio", version("kamailio")),
        ("SIPp", version("sip-tester")),
        ("OpenSIPS", opensips()),
        ("load, 1, 5 and 15 minutes, at the begin", load()),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(what, which)| vec![what.to_owned(), which]).collect();
    report.table(&["what", "which"], &rows);
    if whole {
        report.line(format!("\n{}", SAYS.trim_end()));
    }
}

fn opensips() -> String {
    let real = suites::daemon::Daemon::real().into_iter().next();
    real.map_or_else(
        || "none: the project's stand-in".to_owned(),
        |daemon| daemon.name().to_owned(),
    )
}

/// What else ran on the machine.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(", ")
}

fn model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or_else(|| "unknown", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
}

/// The version of a Debian package.
fn version(package: &str) -> String {
    match first_line("dpkg-query", &["-W", "-f", "${Version}", package]) {
        text if text.is_empty() => "not installed".to_owned(),
        text => text,
    }
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
}
