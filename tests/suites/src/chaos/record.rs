//! What came of a round, and the file that keeps it.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// The machine may stand still for less than that in a round.
const STOOD_STILL: Duration = Duration::from_millis(500);

/// What came of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The configuration.
    pub topology: String,
    /// The daemon's version.
    pub daemon: String,
    /// Seed of the run.
    pub seed: u64,
    /// Number of the round.
    pub round: u64,
    /// Name of the fault; of two, both.
    pub fault: String,
    /// The round in words.
    pub line: String,
    /// How long there was no SIP.
    pub silent: Duration,
    /// How long there might be none.
    pub limit: Duration,
    /// How long the machine stood still.
    pub stalled: Duration,
    /// In how much of the time some process waited for a processor, in percent.
    pub busy: u64,
    /// What was fenced.
    pub fenced: Vec<String>,
    /// What is not as it should be.
    pub violations: Vec<Violation>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub kind: Kind,
    /// What was seen.
    pub text: String,
}

/// The invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SIP was away for longer than the fault allows.
    Silent,
    /// SIP or the cluster did not come back without a cleanup.
    NotBack,
    /// Two hosts answered ARP at the same time, or another one than should.
    Owners,
    /// A stop failed.
    FailedStop,
    /// A node was fenced for nothing.
    Fencing,
    /// A process is left where its resource is not.
    Orphan,
    /// crm_mon says something else than what serves.
    Untrue,
    /// A node attribute of the agents is not in the CIB.
    Attribute,
    /// The fault could not be played.
    NotPlayed,
}

impl Kind {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Silent, "silent for too long"),
        (Self::NotBack, "not back by itself"),
        (Self::Owners, "owners of the address"),
        (Self::FailedStop, "failed stop"),
        (Self::Fencing, "needless fencing"),
        (Self::Orphan, "orphan process"),
        (Self::Untrue, "crm_mon not true"),
        (Self::Attribute, "lost attribute"),
        (Self::NotPlayed, "not played"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

impl Violation {
    /// One of this kind.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.text)
    }
}

impl Record {
    /// Whether nothing is wrong but what a machine that stood still explains.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether the times of this round say something of the agents: the machine did not stand still.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.stalled < STOOD_STILL
    }

    /// Adds it to the file.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn append(&self, path: &Path) -> Result<(), String> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| writeln!(file, "{}", self.to_json()))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The records of a file.
    ///
    /// # Errors
    /// The file can't be read, or has other lines.
    pub fn read(path: &Path) -> Result<Vec<Self>, String> {
        let named = |error: String| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        let parse = |line: &str| {
            let value = serde_json::from_str(line).map_err(|error| named(error.to_string()))?;
            Self::from_json(&value).ok_or_else(|| named(format!("not a round: {line}")))
        };
        text.lines().map(parse).collect()
    }

    fn to_json(&self) -> Value {
        let violations = self.violations.iter();
        let violations = violations.map(|v| json!({"kind": v.kind.name(), "text": v.text}));
        json!({
            "topology": self.topology,
            "daemon": self.daemon,
            "seed": self.seed,
            "round": self.round,
            "fault": self.fault,
            "line": self.line,
            "silent": self.silent.as_secs_f64(),
            "limit": self.limit.as_secs_f64(),
            "stalled": self.stalled.as_secs_f64(),
            "busy": self.busy,
            "fenced": self.fenced,
            "violations": violations.collect::<Vec<_>>(),
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |value: &Value, key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let seconds = |key: &str| Duration::try_from_secs_f64(value.get(key)?.as_f64()?).ok();
        let list = |key: &str| value.get(key)?.as_array();
        let violation = |value: &Value| {
            Some(Violation::new(Kind::named(&text(value, "kind")?)?, text(value, "text")?))
        };
        Some(Self {
            topology: text(value, "topology")?,
            daemon: text(value, "daemon")?,
            seed: value.get("seed")?.as_u64()?,
            round: value.get("round")?.as_u64()?,
            fault: text(value, "fault")?,
            line: text(value, "line")?,
            silent: seconds("silent")?,
            limit: seconds("limit")?,
            stalled: seconds("stalled")?,
            busy: value.get("busy")?.as_u64()?,
            fenced: list("fenced")?.iter().filter_map(|v| Some(v.as_str()?.to_owned())).collect(),
            violations: list("violations")?.iter().map(violation).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::chaos) fn some(fault: &str, silent: u64) -> Record {
        Record {
            topology: "hot-standby".to_owned(),
            daemon: "version: opensips 4.0.1".to_owned(),
            seed: u64::MAX,
            round: 17,
            fault: fault.to_owned(),
            line: "power cut of node2 (serves)".to_owned(),
            silent: Duration::from_secs(silent),
            limit: Duration::from_secs(12),
            stalled: Duration::ZERO,
            busy: 12,
            fenced: vec!["node2".to_owned()],
            violations: Vec::new(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rounds.jsonl");
        let mut second = some("kill-main", 3);
        second.violations.push(Violation::new(Kind::FailedStop, "opensips on node1: error"));
        for record in [&some("power-cut", 8), &second] {
            record.append(&path).unwrap();
        }
        assert_eq!(Record::read(&path).unwrap(), [some("power-cut", 8), second]);
        std::fs::write(&path, "{}\n").unwrap();
        assert!(Record::read(&path).unwrap_err().contains("not a round"));
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for (kind, name) in Kind::ALL {
            assert_eq!((kind.name(), Kind::named(name)), (name, Some(kind)));
        }
    }
}
