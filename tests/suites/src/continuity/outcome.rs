//! What came of a sequence with one contender, and the verdict over two.

use std::time::Duration;

use super::sequence::Sequence;
use crate::scenario;
use crate::site::configure::failures_expire;
use crate::site::{NODES, Site};

/// What came of a sequence.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How long there was no SIP, in all.
    pub silent: Duration,
    /// The part of it after the end of the cause.
    pub silent_after: Duration,
    /// Whether SIP was answered without a pause in the last seconds of the watch.
    pub serves: bool,
    /// Who served: A is the node that did before the cause, B the other one.
    pub served: String,
    /// What an operator has to repair.
    pub operator: Vec<String>,
    /// What is remarkable and ends by itself.
    pub remarks: Vec<String>,
    /// Stalls of the machine, in all.
    pub stalled: Duration,
}

/// The judgement of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never worse, and nobody was needed.
    Good,
    /// Why not.
    Bad(Vec<String>),
}

/// Two runs of the same on two clusters of one machine differ by this.
const NOISE: Duration = Duration::from_secs(1);

/// A fail-count of INFINITY.
const INFINITY: u64 = 1_000_000;

/// The verdict over our row, beside that of the peer where it has one.
#[must_use]
pub fn judge(sequence: &Sequence, ours: &Outcome, peer: Option<&Outcome>) -> Verdict {
    let mut wrong = Vec::new();
    if !ours.operator.is_empty() {
        wrong.push("needs an operator".to_owned());
    }
    if !ours.serves {
        wrong.push("did not come back by itself".to_owned());
    }
    if let Some(peer) = peer.filter(|_| sequence.not_compared.is_none()) {
        let tolerance = NOISE + sequence.noise + ours.stalled;
        if ours.silent > peer.silent + tolerance {
            let longer = (ours.silent - peer.silent).as_secs_f64();
            wrong.push(format!("{longer:.1} s longer silent than IPaddr2"));
        }
    }
    let promised = [
        (sequence.silent_at_most, ours.silent, "silent"),
        (sequence.back_within, ours.silent_after, "silent after the cause"),
    ];
    for (limit, silent, what) in promised {
        if let Some(limit) = limit.filter(|limit| silent > *limit + NOISE + ours.stalled) {
            let silent = silent.as_secs_f64();
            wrong.push(format!("{what} for {silent:.1} s, not {} s", limit.as_secs()));
        }
    }
    // A restart of a daemon that serves can be too short to be heard.
    if sequence.silent_at_most == Some(Duration::ZERO) && !ours.remarks.is_empty() {
        wrong.push("a failure is counted where none is".to_owned());
    }
    if wrong.is_empty() { Verdict::Good } else { Verdict::Bad(wrong) }
}

/// A failure that the cluster remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    node: String,
    resource: String,
    count: u64,
    threshold: u64,
}

impl Failure {
    /// Whether the node is barred for the resource.
    fn bars(&self) -> bool {
        self.count >= INFINITY || (self.threshold > 0 && self.count >= self.threshold)
    }
}

/// Looks at the cluster for what an operator would have to repair, and what not.
///
/// # Errors
/// No node can be asked.
pub fn inspect(site: &Site, serves: bool) -> Result<(Vec<String>, Vec<String>), String> {
    let powered = site.lab.powered_nodes().map_err(|error| error.to_string())?;
    let asked = NODES.into_iter().find(|node| powered.iter().any(|other| other == node));
    let asked = asked.ok_or("no node has power")?;
    let expire = failures_expire(&site.lab, asked)?;
    let (mut operator, mut remarks) = (site.findings(), Vec::new());
    let counts = site.run(asked, &["crm_mon", "-1", "--include=none,failcounts"])?;
    for failure in failures(&counts) {
        let Failure { node, resource, count, .. } = &failure;
        match (failure.bars(), expire) {
            (true, false) => operator.push(format!("{resource} barred on {node} for good")),
            (true, true) => remarks.push(format!("{resource} barred on {node} for a time")),
            (false, _) => remarks.push(format!("{resource} failed {count} times on {node}")),
        }
    }
    let status = scenario::status(&site.lab);
    if status.contains("(blocked)") {
        operator.push("a resource is blocked".to_owned());
    }
    if !serves && !expire && operator.is_empty() {
        operator.push("silent, and nothing forgives a failure".to_owned());
    }
    Ok((operator, remarks))
}

/// Lines: `* Node: node1:`, then `* vip: migration-threshold=2 fail-count=1 last-failure='…'`.
fn failures(counts: &str) -> Vec<Failure> {
    let mut node = "";
    let mut found = Vec::new();
    for line in counts.lines().filter_map(|line| line.trim().strip_prefix("* ")) {
        if let Some(name) = line.strip_prefix("Node: ").or_else(|| line.strip_prefix("Node ")) {
            node = name.split([':', ' ']).next().unwrap_or_default();
        }
        let number = |key: &str| {
            let value = line.split_once(key)?.1.split_whitespace().next()?;
            if value == "INFINITY" { Some(INFINITY) } else { value.parse().ok() }
        };
        let Some(count) = number("fail-count=") else { continue };
        let resource = line.split(':').next().unwrap_or_default().to_owned();
        let threshold = number("migration-threshold=").unwrap_or(INFINITY);
        found.push(Failure { node: node.to_owned(), resource, count, threshold });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_and_weighed() {
        let text = "\
Migration Summary:
  * Node: node1:
    * vip: migration-threshold=1000000 fail-count=1000000 last-failure='Sat'
    * opensips: migration-threshold=2 fail-count=1 last-failure='Sat'
  * Node: node2 (2):
    * opensips: migration-threshold=2 fail-count=2 last-failure='Sat'
    * gateway: migration-threshold=2
";
        let found = failures(text);
        let told: Vec<_> =
            found.iter().map(|f| (f.node.as_str(), f.resource.as_str(), f.bars())).collect();
        let expected =
            [("node1", "vip", true), ("node1", "opensips", false), ("node2", "opensips", true)];
        assert_eq!(told, expected);
    }

    #[test]
    fn ours_may_be_better_but_never_worse() {
        let seconds = Duration::from_secs;
        let outcome =
            |silent, serves| Outcome { silent: seconds(silent), serves, ..Outcome::default() };
        let good = outcome(5, true);
        assert_eq!(judge(&Sequence::DEFAULT, &good, Some(&outcome(20, true))), Verdict::Good);
        assert_eq!(judge(&Sequence::DEFAULT, &good, Some(&outcome(4, true))), Verdict::Good);
        assert_eq!(judge(&Sequence::DEFAULT, &good, None), Verdict::Good);
        let bad =
            |ours: &Outcome, peer| judge(&Sequence::DEFAULT, ours, Some(&peer)) != Verdict::Good;
        assert!(bad(&good, outcome(3, true)));
        assert!(bad(&outcome(5, false), outcome(5, false)));
        let called = Outcome { operator: vec!["vip".to_owned()], ..good.clone() };
        assert!(bad(&called, outcome(20, true)));
        let alone = Sequence { not_compared: Some("why"), ..Sequence::DEFAULT };
        assert_eq!(judge(&alone, &good, Some(&outcome(0, true))), Verdict::Good);
        let patient = Sequence { noise: seconds(5), ..Sequence::DEFAULT };
        assert_eq!(judge(&patient, &good, Some(&outcome(0, true))), Verdict::Good);
        let promised = Sequence { silent_at_most: Some(seconds(3)), ..Sequence::DEFAULT };
        let verdict = judge(&promised, &good, None);
        assert_eq!(verdict, Verdict::Bad(vec!["silent for 5.0 s, not 3 s".to_owned()]));
        let untouched = Sequence { silent_at_most: Some(Duration::ZERO), ..Sequence::DEFAULT };
        let counted = Outcome { remarks: vec!["vip".to_owned()], ..outcome(0, true) };
        assert_eq!(judge(&untouched, &outcome(0, true), None), Verdict::Good);
        assert_ne!(judge(&untouched, &counted, None), Verdict::Good);
        let promised = Sequence { back_within: Some(seconds(3)), ..Sequence::DEFAULT };
        assert_eq!(judge(&promised, &good, None), Verdict::Good);
    }
}
