//! Why an action can't work on the instance.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use hostproc::Pid;

/// A result of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Processes, files and sockets of other users are hidden from a user that is not root.
    #[error("{action} is not permitted: run it as root")]
    NotRoot { action: ocf::Action },
    /// The instance is running, and another program or person has started it.
    #[error(
        "OpenSIPS (pid {pid}) is running but was not started by this resource: run \
         \"systemctl disable --now opensips\", then crm_resource --cleanup (its pid file is {})",
        ocf::shown(pidfile.as_os_str().as_bytes())
    )]
    StartedElsewhere { pid: Pid, pidfile: PathBuf },
    /// Another action on this instance is running.
    #[error(
        "another start or stop of this instance is running{}: wait for its end",
        holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked { holder: Option<Pid> },
    #[error("{action} was ended by a stop of this instance")]
    Stopped { action: ocf::Action },
    /// Another instance that is alive has the same pid file.
    #[error(
        "pid file {} belongs to another OpenSIPS (pid {pid}): set another pidfile",
        path.display()
    )]
    ForeignPidFile { path: PathBuf, pid: Pid },
    #[error("{}", ocf::cause(.0))]
    File(#[from] hostfs::Error),
    #[error("{}", ocf::cause(.0))]
    Processes(#[from] hostproc::Error),
}
