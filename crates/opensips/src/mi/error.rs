//! Everything that can go wrong between the agent and the Management Interface.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{Endpoint, REQUEST_LIMIT};

/// A result of the Management Interface.
pub type Result<T> = std::result::Result<T, MiError>;

/// Why there is no answer, or none to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MiError {
    /// Nobody listens there.
    #[error("MI {endpoint} can't be reached: {source}")]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// The reason: no such file, connection refused, no reader (ENXIO).
        source: io::Error,
    },
    /// Something else has taken its place.
    #[error("MI {} is {found}, not a {expected}: not written to", path.display())]
    WrongKind {
        /// Its path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What should be.
        expected: &'static str,
    },
    /// It may be another program's, to which commands would be given away.
    #[error("MI {} belongs to user {owner}, neither root nor the daemon's: not written to", path.display())]
    ForeignOwner {
        /// Its path.
        path: PathBuf,
        /// User id.
        owner: u32,
    },
    /// Where the daemon's replies are to go is no good place.
    #[error("mi_reply_dir={}: {why}", path.display())]
    ReplyDirectory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No complete answer.
    #[error(
        "MI {endpoint} gave no complete answer within {} ms ({received} bytes of one)",
        waited.as_millis()
    )]
    TimedOut {
        /// Where.
        endpoint: Endpoint,
        /// How long.
        waited: Duration,
        /// What had come.
        received: usize,
    },
    /// More than any answer that was asked for.
    #[error("MI {endpoint}: the answer is longer than {limit} bytes")]
    TooLong {
        /// Where.
        endpoint: Endpoint,
        /// In bytes.
        limit: usize,
    },
    /// Not JSON-RPC, but what came before it.
    #[error("MI {endpoint} answers in the form of OpenSIPS 2.x: the MI is supported from 3.0 on")]
    OldForm {
        /// Where.
        endpoint: Endpoint,
    },
    /// Not JSON-RPC, or not the answer to this request.
    #[error("MI {endpoint}: no answer that can be understood: {what}")]
    Garbled {
        /// Where.
        endpoint: Endpoint,
        /// What is wrong.
        what: String,
    },
    /// The daemon says no.
    #[error("MI: {message} ({code})")]
    Refused {
        /// Of JSON-RPC (-32601: no such command), or the command's own, like SIP's.
        code: i64,
        /// Its words.
        message: String,
    },
    /// The daemon reads no more at once.
    #[error("MI request of {length} bytes: the daemon reads {REQUEST_LIMIT} at most")]
    RequestTooLong {
        /// Bytes.
        length: usize,
    },
}
