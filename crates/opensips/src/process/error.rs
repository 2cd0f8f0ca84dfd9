//! What can go wrong with the processes of an instance.

/// A result of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why the processes can't be ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("OpenSIPS is still alive after SIGKILL (pid {pids}): see journalctl -k")]
    StillAlive { pids: String },
    #[error("{}", ocf::cause(.0))]
    Processes(#[from] hostproc::Error),
}
