//! What a report has to say about where it was made.

use std::process::Command;

use crate::page::{BENCHMARKS, Page};
use crate::report::Report;

/// Writes the head of the report: when, what on, which versions; of a page also how it is made and what it says.
pub(crate) fn describe(page: Option<&Page>, report: &mut Report) {
    report.line(format!("# {}\n", page.map_or(BENCHMARKS.title, |page| page.title)));
    report.line(format!(
        "Made by one run on {}. Contenders of a table take turns{};\nread the ratios, another machine has other \
         milliseconds. Medians are the middle sample, of an even number\nthe higher of the two in the middle. Every \
         sample of what is compared is below its table.\n",
        first_line("date", &["+%Y-%m-%d"]),
        page.map_or(BENCHMARKS.except, |page| page.except)
    ));
    if let Some(page) = page {
        report.line("<!-- make -->\n```console");
        page.commands.iter().for_each(|command| report.line(format!("# {command}")));
        report.line("```\n");
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
        ("load, 1, 5 and 15 minutes, at the start", load()),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(what, which)| vec![what.to_owned(), which]).collect();
    report.table(&["what", "which"], &rows);
    if let Some(page) = page {
        report.line(format!("\n{}", page.says.trim_end()));
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
