//! What is known of one run of a scenario.

use std::fmt;

/// The record of one scenario with one agent.
#[derive(Debug, Default, Clone)]
pub struct Record {
    actions: Vec<(String, i32)>,
    seen: Vec<String>,
    wrong: Vec<String>,
    held: usize,
    fault: Option<bool>,
}

impl Record {
    /// Notes an action and its exit code.
    pub(super) fn action(&mut self, action: &str, code: i32) {
        self.actions.push((action.to_owned(), code));
    }

    /// Notes what was seen on the host or on the wire.
    pub(super) fn saw(&mut self, what: impl Into<String>) {
        self.seen.push(what.into());
    }

    /// Notes an assertion: what has to be so, and whether it is.
    pub(super) fn check(&mut self, assertion: &str, holds: bool) {
        if holds {
            self.held += 1;
        } else {
            // Several actions of a scenario may fail the same way.
            if !self.wrong.iter().any(|wrong| wrong == assertion) {
                self.wrong.push(assertion.to_owned());
            }
        }
    }

    /// Notes whether the fault shows as it is listed.
    pub(super) fn fault(&mut self, shows: bool) {
        self.fault = Some(shows);
    }

    /// The actions with their exit codes, in order; -1: ended by a signal or not in time.
    #[must_use]
    pub fn actions(&self) -> &[(String, i32)] {
        &self.actions
    }

    /// What was seen on the host and on the wire.
    #[must_use]
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// The assertions that did not hold.
    #[must_use]
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// Whether assertions were made, and all of them held.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.wrong.is_empty() && self.held > 0
    }

    /// Whether the fault shows as it is listed; `None` if the run did not come so far.
    #[must_use]
    pub fn shows_fault(&self) -> Option<bool> {
        self.fault
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions: Vec<_> =
            self.actions.iter().map(|(name, code)| format!("{name} {code}")).collect();
        writeln!(f, "actions: {}", actions.join(", "))?;
        for seen in &self.seen {
            writeln!(f, "seen: {seen}")?;
        }
        for wrong in &self.wrong {
            writeln!(f, "does not hold: {wrong}")?;
        }
        Ok(())
    }
}
