//! What each failure means to Pacemaker.

use std::io;

use nix::libc;
use ocf::{Exit, Verdict};

use super::Error;
use crate::{process, sockets};

impl Error {
    /// What it means to Pacemaker.
    fn exit(&self) -> Exit {
        match self {
            Self::Parameters { findings } => findings.first().exit,
            Self::NotOffered { .. } => Exit::Unimplemented,
            Self::NotRoot { .. }
            | Self::Process(process::Error::Processes(hostproc::Error::NotPermitted { .. }))
            | Self::Sockets(sockets::Error::NonlocalBind {
                source: hostnet::Error::SysctlDenied { .. },
                ..
            }) => Exit::Permission,
            Self::BinaryMissing { .. }
            | Self::BinaryNotExecutable { .. }
            | Self::Sockets(sockets::Error::NoSctp { .. }) => Exit::Installed,
            Self::Execute { source, .. } if is_lacking(source) => Exit::Installed,
            Self::Gone { .. } => Exit::NotRunning,
            Self::Crashed { source, .. } => source.exit(),
            // Wrong on this node, and no waiting makes it right.
            Self::BinaryIsScript { .. }
            | Self::OtherExecutable { .. }
            | Self::ConfigUnreadable { .. }
            | Self::ConfigFault { .. }
            | Self::UnitEnabled { .. }
            | Self::MiTooOld { .. }
            | Self::TagActive { .. }
            | Self::TagDeclaredActive { .. }
            | Self::NoSuchAccount { .. } => Exit::Args,
            // An absent address among them: it may arrive at any moment, and a hard error would
            // bar the node until somebody cleans up.
            _ => Exit::Generic,
        }
    }

    /// The same as a finding of validation.
    pub(crate) fn into_findings(self) -> Vec<ocf::Finding> {
        match self {
            Self::Parameters { findings } => findings.into_vec(),
            other => vec![ocf::Finding::new(other.exit(), other.to_string())],
        }
    }
}

/// Whether exec(2) failed for what the program is, or for a loader that is not here (ENOEXEC, ENOENT,
/// ELIBBAD), not for what the machine lacks just now.
fn is_lacking(source: &io::Error) -> bool {
    [libc::ENOEXEC, libc::ENOENT, libc::ELIBBAD].map(Some).contains(&source.raw_os_error())
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        Self::failed(error.exit(), error.to_string())
    }
}
