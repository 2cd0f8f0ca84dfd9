use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use suites::scenario::repository;

use crate::yaml;

/// Metrics of node_exporter, with their labels.
const OF_NODE_EXPORTER: [(&str, &[&str]); 1] = [("node_textfile_mtime_seconds", &["file"])];

fn text(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Each metric that an expression may use, and its labels: those of the manual page, which a test holds equal to
/// what the command writes, and those that docs/monitoring.md explains.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let page = text("packaging/man/smartvox.8");
    let section = page.split(".SH METRICS\n").nth(1).and_then(|it| it.split(".SH ").next());
    let tags = section.unwrap_or_default().lines().filter_map(|line| line.strip_prefix("\\fB"));
    let mut known = BTreeMap::new();
    for (name, labels) in tags.filter_map(|tag| tag.split_once('{')) {
        let labels = labels.split('}').next().unwrap_or_default().split(", ").map(str::to_owned);
        known.insert(name.to_owned(), labels.collect());
    }
    assert!(known.len() >= 6, "{known:?}");
    let document = text("docs/monitoring.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `ha_cluster_"));
    for cell in rows.filter_map(|row| row.split(" | ").next()) {
        for metric in cell.split(", ") {
            let (name, labels) = metric.trim_matches('`').split_once('{').unwrap_or((metric, ""));
            let labels = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0));
            let name =
                format!("ha_cluster_{}", name.trim_matches('`').trim_start_matches("ha_cluster_"));
            let all: &mut BTreeSet<String> = known.entry(name).or_default();
            all.extend(labels.map(str::to_owned));
            // The source of the exporter has it in every metric of a node.
            all.extend(["node".to_owned(), "type".to_owned()]);
        }
    }
    for (name, labels) in OF_NODE_EXPORTER {
        known.insert(name.to_owned(), labels.iter().map(|label| (*label).to_owned()).collect());
    }
    for labels in known.values_mut() {
        // That of the scrape.
        labels.insert("instance".to_owned());
    }
    known
}

/// The metrics in an expression, each with the labels that it is filtered by.
fn metrics(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) =
        ["ha_cluster_", "smartvox_", "node_"].iter().filter_map(|family| rest.find(family)).min()
    {
        let from = &rest[at..];
        let end = from.find(|c| !is_name(c)).unwrap_or(from.len());
        let (name, after) = from.split_at(end);
        let filter = after.strip_prefix('{').and_then(|after| after.split('}').next());
        let labels = filter.unwrap_or_default().split(',').filter_map(|one| one.split_once('='));
        let labels = labels.map(|(label, _)| label.to_owned()).collect();
        found.push((name.to_owned(), labels));
        // Words in a filter are no metrics.
        rest = filter.map_or(after, |filter| &after[filter.len() + 1..]);
    }
    found
}

fn check(at: &str, expression: &str, known: &BTreeMap<String, BTreeSet<String>>) {
    let used = metrics(expression);
    assert!(!used.is_empty(), "{at}: {expression}");
    let mut all = BTreeSet::new();
    for (name, labels) in used {
        let has = known.get(&name).unwrap_or_else(|| panic!("{at}: nothing writes {name}"));
        let other = labels.iter().find(|label| !has.contains(*label));
        assert_eq!(other, None, "{at}: {name} has no such label");
        all.extend(has.iter());
    }
    for group in expression.split("by (").skip(1).filter_map(|by| by.split(')').next()) {
        for label in group.split(", ") {
            assert!(all.iter().any(|one| *one == label), "{at}: no metric has {label}");
        }
    }
}

/// `None`: nothing here can read YAML.
fn rules() -> Option<Vec<Value>> {
    let read = yaml::read(&text("docs/monitoring/alerts.yml"))?;
    Some(read["groups"][0]["rules"].as_array().expect("rules").clone())
}

/// The expressions of all panels, with their titles.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value =
        serde_json::from_str(&text("docs/monitoring/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut queries = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().expect("targets") {
            let expression = target["expr"].as_str().expect("expr");
            queries.push((title.to_owned(), expression.to_owned()));
        }
    }
    assert!(queries.len() >= 10, "{queries:?}");
    queries
}

#[test]
fn alerts_and_dashboard_use_metrics_that_exist() {
    let name = "monitoring::alerts_and_dashboard_use_metrics_that_exist";
    let known = known();
    for (title, expression) in queries() {
        check(&title, &expression, &known);
    }
    let Some(rules) = rules() else { return testnet::skipped(name, "needs python3-yaml") };
    let document = text("docs/monitoring.md");
    for rule in &rules {
        let alert = rule["alert"].as_str().expect("alert");
        check(alert, rule["expr"].as_str().expect("expr"), &known);
        let severity = rule["labels"]["severity"].as_str().expect("severity");
        assert!(["page", "ticket"].contains(&severity), "{alert}: {severity}");
        assert!(rule["annotations"]["summary"].is_string(), "{alert}");
        assert!(document.contains(&format!("`{alert}`")), "docs/monitoring.md: no {alert}");
    }
    let named = document.split('`').filter(|word| word.starts_with("Sip"));
    assert_eq!(named.collect::<BTreeSet<_>>().len(), rules.len(), "an alert that is not there");
    // What the command writes is used.
    let all: String = queries().into_iter().map(|(_, expression)| expression).collect();
    for name in known.keys().filter(|name| name.starts_with("smartvox_")) {
        assert!(all.contains(name.as_str()), "the dashboard does not show {name}");
    }
}

/// Prometheus itself parses every expression, and the alerts fire for what they are there for.
#[test]
fn prometheus_accepts_alerts_and_dashboard() {
    let directory = tempfile::tempdir().expect("a directory");
    let panels = directory.path().join("panels.yml");
    let mut file = "groups:\n  - name: panels\n    rules:\n".to_owned();
    for (at, (_, expression)) in queries().iter().enumerate() {
        let expression = expression.replace('$', "");
        let expression = Value::from(expression);
        file += &format!("      - {{record: panel_{at}, expr: {expression}}}\n");
    }
    std::fs::write(&panels, file).expect("a file");
    let alerts = repository().join("docs/monitoring/alerts.yml");
    let test = repository().join("tests/suites/tests/documents/alerts.test.yml");
    let runs: [(&str, Vec<PathBuf>); 2] = [("check", vec![alerts, panels]), ("test", vec![test])];
    for (task, files) in runs {
        let output = Command::new("promtool").args([task, "rules"]).args(&files).output();
        let Ok(output) = output else {
            let name = "monitoring::prometheus_accepts_alerts_and_dashboard";
            return testnet::skipped(name, "needs promtool (Debian package prometheus)");
        };
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{task}: {}", String::from_utf8_lossy(&said));
    }
}
