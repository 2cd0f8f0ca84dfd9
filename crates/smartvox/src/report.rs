//! What is printed: text for people, JSON for programs. The owner of the crate serde_json.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::rules::{Finding, Ignored, Severity};
use crate::source::Origin;

/// Where the answers are from.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) origin: Origin,
    pub(crate) node: &'a str,
    /// What was not understood, or is not as usual, as sentences.
    pub(crate) remarks: &'a [String],
}

/// The diagnosis of one resource.
#[derive(Debug)]
pub(crate) struct Diagnosed<'a> {
    pub(crate) id: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) remarks: &'a [String],
    /// What the agent has printed, or why it has not.
    pub(crate) printed: Result<String, String>,
}

fn remarks_as_text(out: &mut String, remarks: &[String]) {
    for remark in remarks {
        let _ = writeln!(out, "note: {remark}");
    }
}

/// The diagnoses as text: the name of each resource, and below it what the agent says.
pub(crate) fn diagnoses_as_text(ground: &Ground<'_>, diagnosed: &[Diagnosed<'_>]) -> String {
    let mut out = String::new();
    remarks_as_text(&mut out, ground.remarks);
    for one in diagnosed {
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "{} (ocf:smartvox:{}) on {}", one.id, one.agent, ground.node);
        for remark in one.remarks {
            let _ = writeln!(out, "  note: {remark}");
        }
        match &one.printed {
            Ok(text) => text.lines().for_each(|line| {
                let _ = writeln!(out, "  {line}");
            }),
            Err(why) => {
                let _ = writeln!(out, "  {why}");
            }
        }
    }
    out
}

/// The same as JSON (`docs/schemas/smartvox-diagnose.json`).
pub(crate) fn diagnoses_as_json(ground: &Ground<'_>, diagnosed: &[Diagnosed<'_>]) -> String {
    let resource = |one: &Diagnosed<'_>| {
        let parsed = one.printed.as_ref().map_err(Clone::clone).and_then(|text| {
            serde_json::from_str::<Value>(text)
                .map_err(|error| format!("the agent prints no JSON: {error}"))
        });
        let (diagnosis, error) = match parsed {
            Ok(value) => (value, Value::Null),
            Err(why) => (Value::Null, Value::from(why)),
        };
        json!({
            "resource": one.id,
            "agent": one.agent,
            "remarks": one.remarks,
            "diagnosis": diagnosis,
            "error": error,
        })
    };
    let all: Vec<Value> = diagnosed.iter().map(resource).collect();
    line(&json!({
        "origin": ground.origin.word(),
        "node": ground.node,
        "remarks": ground.remarks,
        "resources": all,
    }))
}

/// The findings as text: a sentence each, and the command that ends it.
pub(crate) fn findings_as_text(
    ground: &Ground<'_>,
    findings: &[Finding],
    ignored: &Ignored,
) -> String {
    let mut out = String::new();
    remarks_as_text(&mut out, ground.remarks);
    for finding in findings {
        let _ = writeln!(out, "{}: {}", finding.severity, finding.found.sentence);
        let _ = writeln!(out, "    {}", finding.found.command);
    }
    let count =
        |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [
        (count(Severity::Error), "error", "errors"),
        (count(Severity::Warning), "warning", "warnings"),
        (count(Severity::Advice), "piece of advice", "pieces of advice"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, several)| format!("{count} {}", if *count == 1 { one } else { several }))
        .collect();
    let said = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
    let without = match ignored.rules.as_slice() {
        [] => String::new(),
        rules => format!("; ignored: {}", rules.join(", ")),
    };
    let _ = writeln!(out, "{said} ({}{without})", ground.node);
    out
}

/// The same as JSON (`docs/schemas/smartvox-check.json`).
pub(crate) fn findings_as_json(
    ground: &Ground<'_>,
    findings: &[Finding],
    ignored: &Ignored,
) -> String {
    let finding = |one: &Finding| {
        json!({
            "rule": one.rule,
            "severity": one.severity.word(),
            "resource": one.found.resource,
            "sentence": one.found.sentence,
            "command": one.found.command,
        })
    };
    let all: Vec<Value> = findings.iter().map(finding).collect();
    line(&json!({
        "origin": ground.origin.word(),
        "node": ground.node,
        "remarks": ground.remarks,
        "ignored": ignored.rules,
        "findings": all,
    }))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}
