//! What docs/benchmarks.md, docs/hand-overs.md and README.md conclude is what their own samples and cells give.

use std::collections::BTreeMap;

use suites::scenario::repository;

/// Samples have two digits behind the point, or none from 100 on: a ratio of two may be off by as much.
const ROUNDING: f64 = 0.02;

/// Tables, and the samples that follow them, by heading.
#[derive(Debug, Default)]
struct Section {
    heading: String,
    /// Head first.
    tables: Vec<Vec<Vec<String>>>,
    samples: BTreeMap<String, Vec<f64>>,
}

impl Section {
    /// The rows of the tables that have such a column, by the names of their columns.
    fn rows(&self, column: &str) -> Vec<Vec<(String, String)>> {
        let fits = |table: &&Vec<Vec<String>>| table[0].iter().any(|name| name == column);
        let named = |table: &Vec<Vec<String>>| -> Vec<Vec<(String, String)>> {
            let row = |row: &Vec<String>| table[0].iter().cloned().zip(row.clone()).collect();
            table[1..].iter().map(row).collect()
        };
        self.tables.iter().filter(fits).flat_map(named).collect()
    }
}

fn sections(text: &str) -> Vec<Section> {
    let mut all = vec![Section::default()];
    let mut in_table = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim().to_owned();
            all.push(Section { heading, ..Section::default() });
        }
        let section = all.last_mut().expect("one");
        let cells = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|'));
        if let Some(cells) = cells {
            let cells = cells.split('|').map(|cell| cell.trim().to_owned()).collect();
            if !in_table {
                section.tables.push(Vec::new());
            }
            section.tables.last_mut().expect("a table").push(cells);
        }
        in_table = line.starts_with('|');
        if let Some((name, values)) =
            line.strip_prefix("- ").and_then(|line| line.rsplit_once(": "))
        {
            let values: Option<Vec<f64>> =
                values.split(", ").map(|value| value.parse().ok()).collect();
            values.map(|values| section.samples.insert(name.to_owned(), values));
        }
    }
    all
}

fn cell<'a>(row: &'a [(String, String)], column: &str) -> &'a str {
    let found = row.iter().find(|(name, _)| name.contains(column));
    found.map(|(_, value)| value.as_str()).unwrap_or_default()
}

/// `min / median / max`.
fn numbers(cell: &str) -> Vec<f64> {
    cell.split(" / ").map(|number| number.parse().expect("a number")).collect()
}

fn same(what: &str, shown: f64, computed: f64) {
    let off = (shown - computed).abs();
    assert!(off <= 0.011 + computed * ROUNDING, "{what}: {shown} shown, {computed:.3} computed");
}

/// The pages that `make bench` writes.
fn page() -> Vec<Section> {
    let read = |name| std::fs::read_to_string(repository().join("docs").join(name)).expect(name);
    ["benchmarks.md", "hand-overs.md"].into_iter().flat_map(|name| sections(&read(name))).collect()
}

/// The middle one; of an even number, the higher of the two.
fn median(samples: &[f64]) -> f64 {
    samples[samples.len() / 2]
}

#[test]
fn spreads_are_those_of_their_samples() {
    let mut checked = 0;
    for section in page() {
        for row in section.tables.iter().flatten() {
            let Some(samples) = section.samples.get(&row[0]) else { continue };
            // Another table about the same.
            let Some(spread) = row.iter().find(|cell| cell.matches(" / ").count() == 2) else {
                continue;
            };
            assert!(samples.is_sorted(), "{}: {}", section.heading, row[0]);
            let expected = [samples[0], median(samples), samples[samples.len() - 1]];
            assert_eq!(numbers(spread), expected, "{}: {}", section.heading, row[0]);
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked} rows have samples");
}

#[test]
fn ratios_to_the_first_row_are_those_of_the_medians() {
    let mut checked = 0;
    for section in page() {
        for column in ["ours to it, median", "first row to it, median"] {
            let rows = section.rows(column);
            let Some(first) = rows.first() else { continue };
            let first = numbers(cell(first, "min / median / max"))[1];
            for row in &rows {
                let spread = cell(row, "min / median / max");
                let shown = cell(row, column);
                if spread.contains('/') && !shown.is_empty() {
                    let what = format!("{}: {}", section.heading, row[0].1);
                    let shown = shown.parse().expect("a ratio");
                    // From 10 on without a digit behind the point.
                    let computed = first / numbers(spread)[1];
                    same(&what, shown, if computed < 9.95 { computed } else { computed.round() });
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 10, "{checked} ratios");
}

#[test]
fn outages_of_calls_are_the_gap_less_the_pace_by_the_floor() {
    let pace = 10.0;
    let mut checked = 0;
    for section in page() {
        for row in section.rows("outage to floor, median") {
            let gap = numbers(cell(&row, "longest gap"))[1];
            let floor: f64 = cell(&row, "floor ms").parse().expect("a floor");
            let shown = cell(&row, "outage to floor").parse().expect("a ratio");
            same(&format!("{}: {}", section.heading, row[0].1), shown, (gap - pace) / floor);
            checked += 1;
            let alone = |what| section.samples.get(&format!("OpenSIPS alone, {what}"));
            if let Some(samples) = section.samples.get(&format!("{}, floor", row[0].1)) {
                let own: f64 = match (row[0].1.starts_with("active"), alone("end"), alone("start"))
                {
                    (true, Some(end), Some(start)) => median(end) + median(start),
                    _ => 0.0,
                };
                same(&format!("{}, floor", row[0].1), floor, median(samples) + own);
            }
        }
    }
    assert!(checked > 0, "no calls");
}

#[test]
fn shares_of_cpu_are_those_of_the_cells() {
    let mut checked = 0;
    let shared = "CPU of ours to it, min";
    for section in page() {
        let rows = section.rows(shared);
        let of = |row: &[(String, String)]| numbers(cell(row, "CPU ms"))[0];
        for row in rows.iter().filter(|row| !cell(row, shared).is_empty()) {
            let ours = |other: &&Vec<(String, String)>| {
                other[1].1 == "opensips-vip" && other[0].1 == row[0].1
            };
            let ours = rows.iter().find(ours).unwrap_or_else(|| panic!("{row:?}"));
            let shown = cell(row, shared).parse().expect("a ratio");
            same(&format!("{}, {}", row[0].1, row[1].1), shown, of(ours) / of(row));
            checked += 1;
        }
    }
    assert!(checked > 2, "{checked} shares");
    let beside = "CPU of ours to it, median";
    let rows: Vec<_> = page().iter().flat_map(|section| section.rows(beside)).collect();
    let median_of = |row: &[(String, String)]| numbers(cell(row, "CPU of monitor"))[1];
    let ours = rows.first().map(|row| median_of(row)).expect("the agent of the service");
    for row in &rows {
        let shown = cell(row, beside).parse().expect("a ratio");
        same(&row[0].1, shown, ours / median_of(row));
    }
}

/// The parts of the power cut with calls are no more than the gap that they are parts of.
#[test]
fn the_parts_of_a_gap_are_within_it() {
    let text = std::fs::read_to_string(repository().join("docs/calls.md")).expect("docs/calls.md");
    let mut checked = 0;
    for section in sections(&text) {
        for row in section.rows("longest gap between answered calls, ms") {
            let gap: u32 = cell(&row, "longest gap").parse().expect("a gap");
            let share = cell(&row, "agents' own share");
            if !share.is_empty() {
                assert!(share.parse::<u32>().expect("a share") <= gap, "{row:?}");
            }
            let calls: u32 = cell(&row, "calls").parse().expect("calls");
            let failed = cell(&row, "failed").split(' ').next().unwrap_or_default();
            assert!(failed.parse::<u32>().expect("failed") <= calls, "{row:?}");
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked} rows");
}

/// Everything that is rounded to the number with which a cell begins, such as `0.43 %` or `2,227, 41`.
fn rounded(cell: &str) -> (f64, f64) {
    let word = cell.split_whitespace().next().unwrap_or_default();
    let digits = word.trim_end_matches(',').replace(',', "");
    let behind_point = digits.split_once('.').map_or(0, |(_, digits)| digits.len());
    let half = (0..behind_point).fold(0.5, |half, _| half / 10.0);
    let number: f64 = digits.parse().unwrap_or_else(|_| panic!("no number: {cell}"));
    (number - half, number + half)
}

#[test]
fn ratios_of_the_readme_are_those_of_its_cells() {
    let text = std::fs::read_to_string(repository().join("README.md")).expect("README.md");
    let rows: Vec<_> = sections(&text).iter().flat_map(|section| section.rows("ratio")).collect();
    let mut checked = 0;
    for row in rows.iter().filter(|row| !cell(row, "ratio").is_empty()) {
        let shown = cell(row, "ratio");
        let (low, high) = match shown.strip_prefix("1/") {
            Some(parts) => {
                let (low, high) = rounded(parts);
                (1.0 / high, 1.0 / low)
            }
            None => rounded(shown),
        };
        let (ours, theirs) = (rounded(&row[1].1), rounded(&row[2].1));
        let (least, most) = (ours.0 / theirs.1, ours.1 / theirs.0);
        assert!(
            least <= high && low <= most,
            "{}: {shown} shown, {least} to {most} computed",
            row[0].1
        );
        checked += 1;
    }
    assert!(checked > 2, "{checked} ratios");
}
