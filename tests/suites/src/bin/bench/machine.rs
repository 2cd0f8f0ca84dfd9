//! What a report has to say about where it was made.

use std::process::Command;

use crate::report::Report;

/// Writes the head of the report: when, what on, which versions.
pub(crate) fn describe(command: &str, report: &mut Report) {
    report.line("# Benchmarks\n");
    report.line(format!(
        "Made by `{command}` on {}. Contenders of a table are measured in one run and take turns; read \
         the ratios,\nanother machine has other milliseconds. Medians are the middle sample.\n",
        first_line("date", &["+%Y-%m-%d"])
    ));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rows = [
        ("machine", format!("{}, {cores} cores", model())),
        ("kernel", first_line("uname", &["-r"])),
        ("Pacemaker", version("pacemaker")),
        ("Corosync", version("corosync")),
        ("resource-agents", version("resource-agents")),
        ("keepalived", version("keepalived")),
        ("SIPp", version("sip-tester")),
        ("OpenSIPS", opensips()),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(what, which)| vec![what.to_owned(), which]).collect();
    report.table(&["what", "which"], &rows);
}

fn opensips() -> String {
    let real = suites::daemon::Daemon::real().into_iter().next();
    real.map_or_else(|| "none: the project's stand-in".to_owned(), |daemon| daemon.version)
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
