//! Every failure of an action, and the one table that gives it an exit code.

use ocf::{Exit, Finding, Findings, Verdict};

use crate::{daemon, health, instance, mi, process, promotion, sockets};

/// A result of an action.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The message is the exit reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Parameters that are wrong on every node.
    #[error("{0}")]
    Parameters(Findings),
    /// An action that the agent does not advertise.
    #[error("action {0} is not implemented")]
    NotImplemented(ocf::Action),
    #[error(transparent)]
    Instance(#[from] instance::Error),
    #[error(transparent)]
    Daemon(#[from] daemon::Error),
    #[error(transparent)]
    Health(#[from] health::Error),
    #[error(transparent)]
    Promotion(#[from] promotion::Error),
    #[error(transparent)]
    Process(#[from] process::Error),
    #[error(transparent)]
    Sockets(#[from] sockets::Error),
    #[error(transparent)]
    Mi(#[from] mi::Error),
}

impl From<hostproc::Error> for Error {
    fn from(error: hostproc::Error) -> Self {
        Self::Process(error.into())
    }
}

impl From<hostnet::Error> for Error {
    fn from(error: hostnet::Error) -> Self {
        Self::Sockets(error.into())
    }
}

impl From<hostfs::Error> for Error {
    fn from(error: hostfs::Error) -> Self {
        Self::Instance(error.into())
    }
}

impl From<Findings> for Error {
    fn from(findings: Findings) -> Self {
        Self::Parameters(findings)
    }
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        Self::failed(error.exit(), error.to_string())
    }
}

impl Error {
    /// The same as findings of validation.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        match self {
            Self::Parameters(findings) => findings.into_vec(),
            other => vec![Finding::new(other.exit(), other.to_string())],
        }
    }

    /// Whether it tells of the look alone: processes or sockets can't be looked at, and nothing is known of OpenSIPS.
    pub(crate) const fn is_blindness(&self) -> bool {
        matches!(
            self,
            Self::Process(process::Error::Processes(_))
                | Self::Instance(instance::Error::Processes(_))
                | Self::Daemon(daemon::Error::Processes(_))
                | Self::Health(
                    health::Error::Processes(_)
                        | health::Error::Daemon(daemon::Error::Processes(_))
                        | health::Error::Sockets(sockets::Error::Network(_))
                )
                | Self::Sockets(sockets::Error::Network(_))
        )
    }

    /// What Pacemaker is told. The hard codes are for what no waiting heals: a hard error bars the node
    /// until an operator cleans up. An absent address is not among them, because it may arrive at any
    /// moment.
    fn exit(&self) -> Exit {
        match self {
            Self::Parameters(findings) => findings.first().exit,
            Self::NotImplemented(_) => Exit::Unimplemented,
            Self::Instance(error) => of_instance(error),
            Self::Daemon(error) => of_daemon(error),
            Self::Health(error) => of_health(error),
            Self::Promotion(error) => of_promotion(error),
            Self::Process(process::Error::Processes(error)) => of_processes(error),
            Self::Sockets(error) => of_sockets(error),
            Self::Process(process::Error::StillAlive { .. }) | Self::Mi(_) => Exit::Generic,
        }
    }
}

fn of_instance(error: &instance::Error) -> Exit {
    match error {
        instance::Error::NotRoot { .. } => Exit::Permission,
        instance::Error::Processes(error) => of_processes(error),
        _ => Exit::Generic,
    }
}

fn of_daemon(error: &daemon::Error) -> Exit {
    use daemon::Error as E;
    match error {
        E::BinaryMissing { .. } | E::BinaryNotExecutable { .. } => Exit::Installed,
        E::Execute { .. } if error.is_no_program() => Exit::Installed,
        E::BinaryIsScript { .. }
        | E::OtherExecutable { .. }
        | E::ConfigUnreadable { .. }
        | E::ConfigFault { .. }
        | E::UnitEnabled { .. }
        | E::MiTooOld { .. }
        | E::EnvironmentUnreadable { .. }
        | E::NoSuchAccount { .. } => Exit::Args,
        E::NoPtrace { .. } => Exit::Permission,
        E::Processes(error) => of_processes(error),
        _ => Exit::Generic,
    }
}

fn of_health(error: &health::Error) -> Exit {
    match error {
        health::Error::Gone { .. } => Exit::NotRunning,
        health::Error::Crashed { source, .. } => of_health(source),
        health::Error::Sockets(error) => of_sockets(error),
        health::Error::Daemon(error) => of_daemon(error),
        health::Error::Processes(error) => of_processes(error),
        _ => Exit::Generic,
    }
}

fn of_promotion(error: &promotion::Error) -> Exit {
    match error {
        promotion::Error::TagActive { .. }
        | promotion::Error::TagDeclaredActive { .. }
        | promotion::Error::TagUndeclared { .. } => Exit::Args,
        promotion::Error::Daemon(error) => of_daemon(error),
        _ => Exit::Generic,
    }
}

fn of_sockets(error: &sockets::Error) -> Exit {
    match error {
        sockets::Error::NoSctp { .. } => Exit::Installed,
        sockets::Error::NonlocalBind { source: hostnet::Error::SysctlDenied { .. }, .. } => {
            Exit::Permission
        }
        _ => Exit::Generic,
    }
}

fn of_processes(error: &hostproc::Error) -> Exit {
    match error {
        hostproc::Error::NotPermitted { .. } => Exit::Permission,
        _ => Exit::Generic,
    }
}

#[cfg(test)]
mod tests;
