//! What validation has to say.

use std::fmt;

use crate::{Exit, Verdict};

/// One thing wrong with the parameters or, from level 10, with the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The exit code it stands for.
    pub exit: Exit,
    /// One clear sentence: the parameter, the value, the way out.
    pub sentence: String,
}

impl Finding {
    /// A finding.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { exit, sentence: sentence.into() }
    }
}

/// All findings of one validation, in the order of the parameter table; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    first: Finding,
    others: Vec<Finding>,
}

impl Findings {
    /// A single finding.
    pub const fn one(finding: Finding) -> Self {
        Self { first: finding, others: Vec::new() }
    }

    /// The findings, or `None` where there are none.
    pub fn from_vec(mut findings: Vec<Finding>) -> Option<Self> {
        if findings.is_empty() {
            return None;
        }
        let first = findings.remove(0);
        Some(Self { first, others: findings })
    }

    /// The first finding; its code is the exit code.
    pub const fn first(&self) -> &Finding {
        &self.first
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// All of them, by value.
    pub fn into_vec(self) -> Vec<Finding> {
        let mut all = vec![self.first];
        all.extend(self.others);
        all
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.sentence)?;
        self.others.iter().try_for_each(|finding| write!(f, "; {}", finding.sentence))
    }
}

impl std::error::Error for Findings {}

impl From<Findings> for Verdict {
    fn from(findings: Findings) -> Self {
        Self::failed(findings.first.exit, findings.to_string())
    }
}
