//! What can go wrong with processes, by condition. That a process is *gone* is no error: it
//! is `None` or `false`.

use std::io;
use std::path::{Path, PathBuf};

use hostfs::cause;
use nix::sys::signal::Signal;

use crate::process::Pid;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process is there, but we may not look at it (`EACCES`, `EPERM`).
    #[error("not permitted to read {}", path.display())]
    NotPermitted {
        /// The file under `/proc`.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// Any other failure to read about a process.
    #[error("cannot read {}: {}", path.display(), cause(source))]
    Unreadable {
        /// The file under `/proc`.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file of `/proc` does not have the form that proc(5) describes.
    #[error("{} is not as expected: {content:?}", path.display())]
    Malformed {
        /// The file under `/proc`.
        path: PathBuf,
        /// What it holds.
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
    /// Waiting for the end of a process failed.
    #[error("cannot wait for process {pid}: {}", cause(source))]
    Wait {
        /// The process.
        pid: Pid,
        /// The reason.
        source: io::Error,
    },
    /// A lock file can't be opened or locked. `ELOOP`: it is a symbolic link, which
    /// is refused, for the directory may be writable for others.
    #[error("cannot use lock file {}: {}", path.display(), cause(source))]
    Lock {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] hostfs::Error),
    /// A lock is held by a program that is none of the caller's own.
    #[error("lock file {} is held by another program (pid {pid})", path.display())]
    ForeignHolder {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it.
        pid: Pid,
    },
    /// The holder of a lock was killed and does not end: it waits in a system call that no signal
    /// interrupts, and executes nothing of its own any more.
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
    /// The process could not leave its session, directory or standard streams.
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
