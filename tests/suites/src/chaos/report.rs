//! The table of a run, and the page docs/chaos.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::FAMILIES;
use super::record::{Record, Violation};

/// The rounds of one fault.
#[derive(Debug, Default)]
struct Row {
    silent: Vec<Duration>,
    not_timed: usize,
    limit: Duration,
    fenced: usize,
    violations: usize,
}

/// One line for each fault, in Markdown. The times of rounds in which the machine
/// stood still are left out.
#[must_use]
pub fn table(records: &[Record]) -> String {
    let mut rows: BTreeMap<(&str, &str), Row> = BTreeMap::new();
    for record in records {
        let row = rows.entry((record.fault.as_str(), struck(record))).or_default();
        if record.is_timed() {
            row.silent.push(record.silent);
        } else {
            row.not_timed += 1;
        }
        row.limit = row.limit.max(record.limit);
        row.fenced += usize::from(!record.fenced.is_empty());
        row.violations += usize::from(!record.is_good());
    }
    let mut text = String::from(
        "| fault | struck | rounds | without SIP, s: min / median / max | limit, s | rounds with fencing | violations |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for ((fault, struck), row) in rows {
        let _ = writeln!(text, "| {fault} | {struck} {}", row.cells());
    }
    text
}

/// Which node was struck, as the line of the round tells.
fn struck(record: &Record) -> &'static str {
    match (record.line.contains("(serves)"), record.line.contains("(standby)")) {
        (true, true) => "both",
        (true, false) => "serving",
        (false, true) => "standby",
        (false, false) => "all",
    }
}

impl Row {
    fn cells(mut self) -> String {
        self.silent.sort();
        let seconds = |time: Option<&Duration>| {
            time.map_or_else(|| "-".to_owned(), |time| format!("{:.1}", time.as_secs_f64()))
        };
        let rounds = match self.not_timed {
            0 => self.silent.len().to_string(),
            more => format!("{} ({more} not timed)", self.silent.len() + more),
        };
        format!(
            "| {rounds} | {} / {} / {} | {:.1} | {} | {} |",
            seconds(self.silent.first()),
            seconds(self.silent.get(self.silent.len() / 2)),
            seconds(self.silent.last()),
            self.limit.as_secs_f64(),
            self.fenced,
            self.violations
        )
    }
}

/// Reads every file of records in a directory, by name.
///
/// # Errors
/// As [`Record::read`].
pub fn kept(directory: &Path) -> Result<BTreeMap<String, Vec<Record>>, String> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            all.insert(name, Record::read(&path)?);
        }
    }
    Ok(all)
}

/// What the page begins with.
const HEAD: &str = include_str!("page.md");

/// The page about all rounds that are kept: `what` is where they were played.
#[must_use]
pub fn page(kept: &BTreeMap<String, Vec<Record>>, what: &str) -> String {
    let mut text = HEAD.to_owned();
    let _ = write!(text, "\n## The faults\n\n{}", explained());
    let _ = write!(text, "\n## The result\n\n{what}\n");
    let _ = write!(text, "\n### All topologies\n\n{}", medians(kept));
    let _ = write!(text, "\n### Medians, before and now\n\n{}", beside(kept));
    for (name, records) in kept {
        let violated: Vec<_> = records.iter().filter(|record| !record.is_good()).collect();
        let _ = write!(
            text,
            "\n### {name}\n\n{} rounds ({}), {} with a violation. {}. Programs waited for a processor in {} % of the time \
             (median).\n\n{}",
            records.len(),
            seeds(records),
            violated.len(),
            daemons(records),
            busy(records),
            table(records)
        );
        for record in violated {
            let found: Vec<_> = record.violations.iter().map(first_line).collect();
            let _ = writeln!(
                text,
                "\n- seed {}, round {}: {}: {}",
                record.seed,
                record.round,
                record.line,
                found.join("; ")
            );
        }
    }
    text
}

/// What each fault cost where the serving node was struck, or all; of rounds in which the machine did not stand
/// still.
fn silences(records: &[Record]) -> BTreeMap<&str, Vec<Duration>> {
    let mut all: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let counts = |record: &&Record| record.is_timed() && struck(record) != "standby";
    for record in records.iter().filter(counts) {
        all.entry(&record.fault).or_default().push(record.silent);
    }
    all.values_mut().for_each(|silent| silent.sort());
    all
}

/// `2.1 (3)`: seconds, and of how many rounds.
fn median(silent: Option<&Vec<Duration>>) -> String {
    let median = silent.and_then(|all| Some((all.get(all.len() / 2)?, all.len())));
    median
        .map_or_else(String::new, |(time, rounds)| format!("{:.1} ({rounds})", time.as_secs_f64()))
}

/// The median silence of each fault that callers hear of, a column for each topology.
fn medians(kept: &BTreeMap<String, Vec<Record>>) -> String {
    let columns: Vec<_> = kept
        .iter()
        .filter(|(name, _)| !name.ends_with("-combined"))
        .map(|(name, records)| (name.as_str(), silences(records)))
        .collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "Seconds without SIP, median (rounds), where the node that serves was struck, or all; what callers do not \
         hear of is left out.\n\n| fault | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    let faults: BTreeSet<&str> = columns.iter().flat_map(|(_, all)| all.keys().copied()).collect();
    let heard = |fault: &&str| {
        let mut times = columns.iter().filter_map(|(_, all)| all.get(fault)).flatten();
        times.any(|time| time.as_millis() >= 50)
    };
    for fault in faults.into_iter().filter(heard) {
        let cells: Vec<_> = columns.iter().map(|(_, all)| median(all.get(fault))).collect();
        let _ = writeln!(text, "| {fault} | {} |", cells.join(" | "));
    }
    text
}

/// What the same faults cost in active/standby and in a hot standby before the examples had the numbers of today:
/// medians of 238 and 166 rounds, in seconds.
const BEFORE: [(&str, &str, &str); 9] = [
    ("move", "0.25", "0.15"),
    ("standby", "0.29", "4.3"),
    ("power-cut", "7.3", "12.4"),
    ("kill-worker", "8.5", "1.6"),
    ("kill-all", "5.8", "4.2"),
    ("stop-all", "12.9", "7.7"),
    ("address-deleted", "2.3", "3.7"),
    ("cable", "5.3", "2.8"),
    ("cables", "8.3", "63"),
];

/// The medians of before and those of these rounds.
fn beside(kept: &BTreeMap<String, Vec<Record>>) -> String {
    let of = |topology: &str| kept.get(topology).map(|all| silences(all)).unwrap_or_default();
    let (active, hot) = (of("active-standby"), of("hot-standby"));
    let mut text = String::from(
        "Before: measured from outside (238 rounds of active/standby, 166 of the hot standby), when the \
         examples did not have the numbers of today. A switch that was away for 20 s took the service away for 604 s \
         then, and a phone with the address for 8.4 s and 34 s: these depend on how long it lasts. Now: as busy as the \
         machine was meanwhile, see below; [hand-overs](hand-overs.md) and [continuity](continuity.md) have times of a \
         machine without other work.\n\n\
         | fault | active-standby: before | now | hot-standby: before | now |\n|---|---|---|---|---|\n",
    );
    for (fault, active_before, hot_before) in BEFORE {
        let (active, hot) = (median(active.get(fault)), median(hot.get(fault)));
        let _ = writeln!(text, "| {fault} | {active_before} | {active} | {hot_before} | {hot} |");
    }
    text
}

/// In how much of the time of a round programs waited for a processor, in percent: the median.
fn busy(records: &[Record]) -> u64 {
    let mut all: Vec<u64> = records.iter().map(|record| record.busy).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn first_line(violation: &Violation) -> String {
    violation.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Each fault, and how its limit comes about.
fn explained() -> String {
    let mut text = String::from(
        "A failover takes at most 2.2 times Corosync's token (3 s) and 6 s: the token, 1.2 times that for consensus, 1 s of delay of \
         the first fence device, and 5 s for fencing, Pacemaker's transition and the start. No silence means less than 1 s. Where \
         a limit is that of the serving node, none may be heard of the same fault on another one. \
         \"…\" is the node.\n\n",
    );
    text.push_str("| fault | what happens | limit of silence |\n|---|---|---|\n");
    for fault in FAMILIES.into_iter().flatten() {
        let _ = writeln!(text, "| {} | {} … | {} |", fault.name, fault.what, fault.why);
    }
    text
}

/// `seed 7: 1 to 60`.
fn seeds(records: &[Record]) -> String {
    let mut seeds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for Record { seed, round, .. } in records {
        let span = seeds.entry(*seed).or_insert((*round, *round));
        *span = (span.0.min(*round), span.1.max(*round));
    }
    let words: Vec<_> = seeds
        .iter()
        .map(|(seed, (first, last))| format!("seed {seed}: {first} to {last}"))
        .collect();
    words.join(", ")
}

fn daemons(records: &[Record]) -> String {
    let all: BTreeSet<&str> = records.iter().map(|record| record.daemon.as_str()).collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}

/// Where and when: for the page.
#[must_use]
pub fn place(command: &str) -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
    };
    let package = |name: &str| said("dpkg-query", &["-W", "-f", "${Version}", name]);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Written on {} by `{command}`. Debian with Corosync {}, Pacemaker {}, kernel {}, {cores} processors, token 3000, fencing by a \
         power switch that takes milliseconds. \"Without SIP\" counts every question without an answer from the beginning of the fault \
         on, added up.",
        said("date", &["+%F"]),
        package("corosync"),
        package("pacemaker"),
        said("uname", &["-r"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::record::Kind;
    use crate::chaos::record::tests::some;

    #[test]
    fn the_table_has_a_line_for_each_fault() {
        let mut still = some("power-cut", 90);
        still.stalled = Duration::from_secs(2);
        let mut wrong = some("kill-main", 3);
        wrong.violations.push(Violation::new(Kind::Fencing, "node1\nmore"));
        let records =
            [some("power-cut", 8), some("power-cut", 9), still, some("power-cut", 7), wrong];
        let text = table(&records);
        assert!(
            text.contains(
                "| power-cut | serving | 4 (1 not timed) | 7.0 / 8.0 / 9.0 | 12.0 | 4 | 0 |"
            ),
            "{text}"
        );
        assert!(
            text.contains("| kill-main | serving | 1 | 3.0 / 3.0 / 3.0 | 12.0 | 1 | 1 |"),
            "{text}"
        );
        let kept = BTreeMap::from([
            ("hot-standby".to_owned(), records.to_vec()),
            ("three-nodes".to_owned(), vec![some("power-cut", 0)]),
        ]);
        let page = page(&kept, "somewhere");
        assert!(
            page.contains("5 rounds (seed 18446744073709551615: 17 to 17), 1 with a violation"),
            "{page}"
        );
        assert!(page.contains("needless fencing: node1\n"), "{page}");
        assert!(page.contains("| power-cut | 8.0 (3) | 0.0 (1) |"), "{page}");
        assert!(page.contains("| power-cut | 7.3 |  | 12.4 | 8.0 (3) |"), "{page}");
    }
}
