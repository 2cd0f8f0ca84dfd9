//! The table of a run, and the page docs/chaos.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::record::Record;

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
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for record in records {
        let row = rows.entry(record.fault.as_str()).or_default();
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
        "| fault | rounds | without SIP, s: min / median / max | limit, s | rounds with fencing | violations |\n\
         |---|---|---|---|---|---|\n",
    );
    for (fault, row) in rows {
        let _ = writeln!(text, "| {fault} {}", row.cells());
    }
    text
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
