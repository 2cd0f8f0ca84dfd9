//! How an action ended.

use crate::Exit;

/// The end of an action: the exit code, and the reason that belongs to a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// The exit code.
    pub exit: Exit,
    /// One short line for `crm_mon`, naming the thing and the way out.
    pub reason: Option<String>,
}

impl Verdict {
    /// 0: done; monitor: running and usable.
    pub const fn success() -> Self {
        Self { exit: Exit::Success, reason: None }
    }

    /// 7, monitor only: provably nothing is left.
    pub const fn not_running() -> Self {
        Self { exit: Exit::NotRunning, reason: None }
    }

    /// 190, monitor only: it serves, and an operator should look.
    pub fn degraded(reason: impl Into<String>) -> Self {
        Self { exit: Exit::Degraded, reason: Some(reason.into()) }
    }

    /// monitor only: the same judgement of an instance that is promoted. What has a code of its own
    /// for that role gets it; the others mean the same in both.
    pub fn of_promoted(mut self) -> Self {
        self.exit = match self.exit {
            Exit::Success => Exit::RunningPromoted,
            Exit::Degraded => Exit::DegradedPromoted,
            Exit::Generic => Exit::FailedPromoted,
            other => other,
        };
        self
    }

    /// Any fault, with its reason.
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
