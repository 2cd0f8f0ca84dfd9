//! The comparison as a Markdown table for people and as JSON for machines.

use serde_json::{Value, json};

use super::{Record, Scenario};

/// One agent's column: its name, and a record for each scenario.
#[derive(Debug)]
pub struct Column {
    /// The agent, as the head of the column.
    pub name: String,
    /// Whether the listed faults are this agent's.
    pub peer: bool,
    /// In the order of the scenarios.
    pub records: Vec<Record>,
}

/// What the table says about one agent in one scenario, beside what was seen.
#[must_use]
pub fn verdict(record: &Record) -> String {
    if record.is_right() {
        return "right".to_owned();
    }
    format!("**wrong**: {}", record.wrong().join("; "))
}

/// `start 0, stop 0, monitor 7`
#[must_use]
pub fn actions(record: &Record) -> String {
    let words = record.actions().iter().map(|(action, code)| format!("{action} {code}"));
    words.collect::<Vec<_>>().join(", ")
}

/// The table.
#[must_use]
pub fn markdown(scenarios: &[&Scenario], columns: &[Column]) -> String {
    let mut text = String::from("| # | scenario, listed fault |");
    for column in columns {
        text += &format!(" {} | verdict |", column.name);
    }
    text += &format!("\n|---|---|{}\n", "---|---|".repeat(columns.len()));
    for (at, scenario) in scenarios.iter().enumerate() {
        text += &format!("| {} | **{}**: {} |", scenario.number, scenario.name, scenario.fault);
        for column in columns {
            let Some(record) = column.records.get(at) else { continue };
            let seen = [vec![actions(record)], record.seen().to_vec()].concat().join("; ");
            let listed = if column.peer { listed(record) } else { "" };
            text += &format!(" {} | {}{listed} |", cell(&seen), cell(&verdict(record)));
        }
        text.push('\n');
    }
    text
}

/// Whether the fault shows as it is listed: the list is of another version.
fn listed(record: &Record) -> &'static str {
    match record.shows_fault() {
        Some(true) => " (the listed fault)",
        Some(false) => " (the listed fault does not show in this version)",
        None => " (did not come to the listed fault)",
    }
}

/// Text that can't end a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// The same for machines.
#[must_use]
pub fn json(scenarios: &[&Scenario], columns: &[Column], awk: &str, peer: &str) -> Value {
    let scenarios: Vec<Value> = scenarios
        .iter()
        .enumerate()
        .map(|(at, scenario)| {
            let agents = columns.iter().filter_map(|column| {
                let record = column.records.get(at)?;
                let actions: Vec<Value> = record
                    .actions()
                    .iter()
                    .map(|(action, code)| json!({ "action": action, "exit": code }))
                    .collect();
                Some(json!({
                    "agent": column.name,
                    "actions": actions,
                    "seen": record.seen(),
                    "right": record.is_right(),
                    "wrong": record.wrong(),
                    "shows_listed_fault": record.shows_fault(),
                }))
            });
            json!({
                "number": scenario.number,
                "name": scenario.name,
                "fault": scenario.fault,
                "agents": agents.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "resource_agents": peer, "awk": awk, "scenarios": scenarios })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::SCENARIOS;

    fn column(name: &str, holds: bool) -> Column {
        let mut record = Record::default();
        record.action("start", 0);
        record.saw("a|b");
        record.check("nothing is left", holds);
        record.fault(!holds);
        Column { name: name.to_owned(), peer: !holds, records: vec![record] }
    }

    #[test]
    fn the_table_tells_right_from_wrong() {
        let columns = [column("IPaddr2", false), column("opensips-vip", true)];
        let table = markdown(&[&SCENARIOS[0]], &columns);
        let row = table.lines().nth(2).unwrap();
        assert!(
            row.contains("| start 0; a\\|b | **wrong**: nothing is left (the listed fault) |"),
            "{row}"
        );
        assert!(row.ends_with("| start 0; a\\|b | right |"), "{row}");
        let values = json(&[&SCENARIOS[0]], &columns, "mawk", "1:4.12.0-2");
        assert_eq!(values["scenarios"][0]["agents"][0]["right"], false);
        assert_eq!(values["scenarios"][0]["agents"][1]["right"], true);
    }

    #[test]
    fn a_record_without_assertions_is_not_right() {
        assert!(!Record::default().is_right());
    }
}
