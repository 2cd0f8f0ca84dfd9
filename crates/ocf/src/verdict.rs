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

    /// Any fault, with its reason.
    pub fn failed(exit: Exit, reason: impl Into<String>) -> Self {
        Self { exit, reason: Some(reason.into()) }
    }
}
