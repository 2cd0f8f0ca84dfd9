//! Exit codes and what Pacemaker makes of them.

/// Exit code of an action (OCF RA API 1.1, "Return codes"; Pacemaker Administration, "Exit
/// status").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The action did what it says; monitor: running and usable.
    Success = 0,
    /// Something went wrong that may go away; monitor: present, but not a working resource.
    Generic = 1,
    /// Parameters right in form but wrong on this node.
    Args = 2,
    /// Unknown action.
    Unimplemented = 3,
    /// No privilege for the action.
    Permission = 4,
    /// A component is missing on this node.
    Installed = 5,
    /// Parameters wrong on every node.
    Configured = 6,
    /// monitor only: provably nothing of the resource is left on this node.
    NotRunning = 7,
    /// monitor, promotable: running and promoted.
    RunningPromoted = 8,
    /// monitor, promotable: promoted, but broken.
    FailedPromoted = 9,
    /// monitor: it serves, and an operator should look.
    Degraded = 190,
    /// monitor, promotable: the same, promoted.
    DegradedPromoted = 191,
}

impl Exit {
    /// The number the process exits with.
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

    /// Whether the exit tells of a fault, so that a reason belongs to it.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Success | Self::NotRunning | Self::RunningPromoted)
    }
}
