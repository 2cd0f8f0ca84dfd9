//! What can go wrong with processes, by condition. That a process is *gone* is no error: it
//! is `None` or `false`.

use std::io;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::procfs::Pid;

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
    #[error("cannot read {}: {source}", path.display())]
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
    #[error("cannot send {signal} to process {pid}: {source}")]
    Signal {
        /// The process.
        pid: Pid,
        /// The signal.
        signal: Signal,
        /// The reason.
        source: io::Error,
    },
    /// Waiting for the end of a process failed.
    #[error("cannot wait for process {pid}: {source}")]
    Wait {
        /// The process.
        pid: Pid,
        /// The reason.
        source: io::Error,
    },
    /// A lock file can't be opened or locked. `ELOOP`: it is a symbolic link, which
    /// is refused, for the directory may be writable for others.
    #[error("cannot use lock file {}: {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The process could not leave its session, directory or standard streams.
    #[error("cannot detach: {step}: {source}")]
    Detach {
        /// The system call.
        step: &'static str,
        /// The reason.
        source: io::Error,
    },
}
