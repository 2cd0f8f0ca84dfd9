//! What can go wrong with processes, by condition.

use std::io;
use std::path::{Path, PathBuf};

use hostfs::cause;
use nix::sys::signal::Signal;

use crate::process::Pid;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Every failure of this crate. The message is a sentence for an operator; it has the words of the
/// system's error and not its number.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process exists, but the caller may not look at it (`EACCES`, `EPERM`).
    #[error("cannot read {}: {}", path.display(), cause(source))]
    NotPermitted {
        /// The file below `/proc`.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// Any other failure to read about a process.
    #[error("cannot read {}: {}", path.display(), cause(source))]
    Unreadable {
        /// The file below `/proc`.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The list of processes lacks the one that reads it: it is not complete, or not of this pid namespace.
    #[error("{} does not list this process: mount the proc file system of this host there", path.display())]
    Incomplete {
        /// The directory.
        path: PathBuf,
    },
    /// A file of `/proc` does not have the form that proc(5) describes.
    #[error("{} has an unknown form: {content:?}", path.display())]
    Malformed {
        /// The file below `/proc`.
        path: PathBuf,
        /// Its content.
        content: String,
    },
    /// A signal was refused (`EPERM`).
    #[error("cannot send {signal} to process {pid}: {}", cause(source))]
    Signal {
        /// The process.
        pid: Pid,
        /// The signal.
        signal: Signal,
        /// The reason.
        source: io::Error,
    },
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] hostfs::Error),
    /// A lock file cannot be opened or locked. `ELOOP` means that it is a symbolic link, which is
    /// refused because an untrusted user may have put it there.
    #[error("cannot use lock file {}: {}", path.display(), cause(source))]
    Lock {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A lock is held by a program that is none of the caller's own.
    #[error("lock file {} is held by another program (pid {pid})", path.display())]
    ForeignHolder {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it.
        pid: Pid,
    },
    /// The holder of a lock was killed and does not end: it waits in a system call that no signal
    /// interrupts, and never returns from it to its program.
    #[error("lock file {} is held by process {pid}, which is killed and stuck in the kernel", path.display())]
    HolderStuck {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it.
        pid: Pid,
    },
    /// The holder of a lock is not visible, as in another pid namespace.
    #[error("lock file {} is held by a process that is not visible from here", path.display())]
    HolderHidden {
        /// The lock file.
        path: PathBuf,
    },
    /// The process could not leave its session, working directory or standard streams.
    #[error("cannot detach: {step}: {}", cause(source))]
    Detach {
        /// The system call.
        step: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn malformed(path: &Path, content: &[u8]) -> Self {
        let content = String::from_utf8_lossy(content).into_owned();
        Self::Malformed { path: path.to_owned(), content }
    }
}
