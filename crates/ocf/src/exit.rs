//! Exit codes.

/// The exit code of an action (OCF RA API 1.1, "Return codes"; Pacemaker Administration, "Exit
/// status").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The action succeeded; monitor: running and usable.
    Success = 0,
    /// A failure that a restart or a move can heal; monitor: something of the resource is present,
    /// but it does not work.
    Generic = 1,
    /// Valid parameters that are wrong on this node.
    Args = 2,
    /// The agent does not offer the action.
    Unimplemented = 3,
    /// The process lacks a privilege.
    Permission = 4,
    /// A component is missing on this node.
    Installed = 5,
    /// Parameters that are wrong on every node.
    Configured = 6,
    /// monitor only: it is proven that nothing of the resource is on this node.
    NotRunning = 7,
    /// monitor of a promotable clone: running and promoted.
    RunningPromoted = 8,
    /// monitor of a promotable clone: promoted, but it does not work.
    FailedPromoted = 9,
    /// monitor: the resource serves, but needs the attention of an operator.
    Degraded = 190,
    /// monitor of a promotable clone: promoted, and degraded.
    DegradedPromoted = 191,
}

impl Exit {
    /// The exit status of the process.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in the OCF specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "OCF_SUCCESS",
            Self::Generic => "OCF_ERR_GENERIC",
            Self::Args => "OCF_ERR_ARGS",
            Self::Unimplemented => "OCF_ERR_UNIMPLEMENTED",
            Self::Permission => "OCF_ERR_PERM",
            Self::Installed => "OCF_ERR_INSTALLED",
            Self::Configured => "OCF_ERR_CONFIGURED",
            Self::NotRunning => "OCF_NOT_RUNNING",
            Self::RunningPromoted => "OCF_RUNNING_PROMOTED",
            Self::FailedPromoted => "OCF_FAILED_PROMOTED",
            Self::Degraded => "OCF_DEGRADED",
            Self::DegradedPromoted => "OCF_DEGRADED_PROMOTED",
        }
    }
}
