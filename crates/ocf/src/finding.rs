//! The findings of a validation.

use std::fmt;

use crate::{Exit, Verdict};

/// One fault of the parameters or, from `OCF_CHECK_LEVEL` 10, of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The exit code of an action that fails for it.
    pub exit: Exit,
    /// One line: the parameter with its value, what is wrong, what to do.
    pub sentence: String,
}

impl Finding {
    /// A fault with its exit code and its sentence.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { exit, sentence: sentence.into() }
    }
}

/// All findings of one validation, in the order of the parameter table. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    first: Finding,
    others: Vec<Finding>,
}

impl Findings {
    /// A single finding.
    pub(crate) const fn one(finding: Finding) -> Self {
        Self { first: finding, others: Vec::new() }
    }

    /// `None` if `findings` is empty.
    pub(crate) fn from_vec(mut findings: Vec<Finding>) -> Option<Self> {
        if findings.is_empty() {
            return None;
        }
        let first = findings.remove(0);
        Some(Self { first, others: findings })
    }

    /// The first finding. Its exit code is that of the action.
    pub const fn first(&self) -> &Finding {
        &self.first
    }

    /// The findings, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The findings by value, the first one first.
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
