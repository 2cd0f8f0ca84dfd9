//! Why an action can't work on the instance.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use hostproc::Pid;

use crate::process::survey::{Elsewhere, Starter};

/// A result of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Processes, files and sockets of other users are hidden from a user that is not root.
    #[error("{action} is not permitted: run it as root")]
    NotRoot { action: ocf::Action },
    /// A daemon with the configuration of this instance is running, and this resource has not started it.
    #[error("{}", WhoseDaemon(.0))]
    StartedElsewhere(Elsewhere),
    /// Another resource with the same configuration is being started.
    #[error(
        "another resource starts OpenSIPS with this configuration{}: give each its own config ({})",
        holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default(),
        ocf::shown(config.as_os_str().as_bytes())
    )]
    ConfigLocked { config: PathBuf, holder: Option<Pid> },
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
        "pid file {} belongs to another OpenSIPS (pid {pid}{}): set another pidfile",
        path.display(),
        resource.as_deref().map(|name| format!(", resource {}", ocf::shown(name.as_bytes()))).unwrap_or_default()
    )]
    ForeignPidFile { path: PathBuf, pid: Pid, resource: Option<String> },
    #[error("{}", ocf::cause(.0))]
    File(#[from] hostfs::Error),
    #[error("{}", ocf::cause(.0))]
    Processes(#[from] hostproc::Error),
}

impl From<Elsewhere> for Error {
    fn from(elsewhere: Elsewhere) -> Self {
        Self::StartedElsewhere(elsewhere)
    }
}

/// Whose a daemon is that this resource has not started, and what to do about it.
struct WhoseDaemon<'a>(&'a Elsewhere);

impl fmt::Display for WhoseDaemon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Elsewhere { pid, pidfile, starter } = self.0;
        match starter {
            Starter::Resource(name) => {
                let name = ocf::shown(name.as_bytes());
                write!(
                    f,
                    "OpenSIPS (pid {pid}) with this configuration belongs to resource {name}: set \
                     another config, or disable {name} (if it no longer exists, run \"kill {pid}\")"
                )
            }
            Starter::Unit(unit) => write!(
                f,
                "{unit} runs OpenSIPS (pid {pid}) besides Pacemaker: run systemctl disable --now \
                 {unit}"
            ),
            Starter::Unknown => {
                write!(
                    f,
                    "OpenSIPS (pid {pid}) is running but was not started by this resource: run \
                     \"systemctl disable --now opensips\" or \"kill {pid}\", then crm_resource \
                     --cleanup"
                )?;
                match pidfile {
                    Some(path) => {
                        write!(f, " (its pid file is {})", ocf::shown(path.as_os_str().as_bytes()))
                    }
                    None => Ok(()),
                }
            }
        }
    }
}
