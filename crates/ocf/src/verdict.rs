//! The result of an action.

use crate::Exit;

/// The result of an action: the exit code, and the exit reason of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// The exit code.
    pub exit: Exit,
    /// The exit reason, one short line for `crm_mon`: subject, what is wrong, what to do.
    pub reason: Option<String>,
}

impl Verdict {
    /// `OCF_SUCCESS`, without a reason.
    pub const fn success() -> Self {
        Self { exit: Exit::Success, reason: None }
    }

    /// `OCF_NOT_RUNNING`, without a reason; of monitor only.
    pub const fn not_running() -> Self {
        Self { exit: Exit::NotRunning, reason: None }
    }

    /// `OCF_DEGRADED` with its reason; of monitor only.
    pub fn degraded(reason: impl Into<String>) -> Self {
        Self { exit: Exit::Degraded, reason: Some(reason.into()) }
    }

    /// The same verdict of monitor on a promoted instance: success, degraded and generic error have
    /// codes of their own for that role.
    pub fn of_promoted(mut self) -> Self {
        self.exit = match self.exit {
            Exit::Success => Exit::RunningPromoted,
            Exit::Degraded => Exit::DegradedPromoted,
            Exit::Generic => Exit::FailedPromoted,
            other => other,
        };
        self
    }

    /// A failure with its exit code and its reason.
    pub fn failed(exit: Exit, reason: impl Into<String>) -> Self {
        Self { exit, reason: Some(reason.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_promoted_role() {
        let promoted = |exit| Verdict::failed(exit, "x").of_promoted().exit;
        assert_eq!(Verdict::success().of_promoted().exit, Exit::RunningPromoted);
        assert_eq!(Verdict::not_running().of_promoted(), Verdict::not_running());
        assert_eq!(promoted(Exit::Degraded), Exit::DegradedPromoted);
        assert_eq!(promoted(Exit::Generic), Exit::FailedPromoted);
        assert_eq!(promoted(Exit::Permission), Exit::Permission);
    }
}
