//! What an agent implements.

use crate::{Description, Diagnosis, Finding, Request, Verdict};

/// An OCF resource agent.
pub trait Agent {
    /// Why an action failed. The conversion gives the exit code and the exit reason.
    type Error: Into<Verdict>;

    /// The table behind parsing, `--help` and meta-data.
    fn description(&self) -> &'static Description;

    /// Performs validate-all: checks the parameters and, from `OCF_CHECK_LEVEL` 10, also the host.
    /// Returns every finding.
    fn validate(&self, request: &Request) -> Vec<Finding>;

    /// Performs [`Action::Diagnose`](crate::Action::Diagnose), where the agent offers it: everything
    /// that is known of the resource on this host. A value that can't be determined is
    /// [`Value::Unknown`](crate::Value::Unknown) with the cause.
    fn diagnose(&self, request: &Request) -> Diagnosis;

    /// Performs any other action but meta-data, which needs no agent.
    ///
    /// # Errors
    /// What kept the action from succeeding.
    fn perform(&self, request: &Request) -> Result<Verdict, Self::Error>;
}
