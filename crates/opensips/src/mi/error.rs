//! What can go wrong between the agent and the Management Interface.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{Endpoint, REQUEST_LIMIT};

/// A result of the Management Interface.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why there is no answer, or no usable one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such file, connection refused, no reader (ENXIO).
    #[error(
        "MI {endpoint} can't be reached ({}): check mi and the MI module of OpenSIPS",
        ocf::cause(source)
    )]
    Unreachable { endpoint: Endpoint, source: io::Error },
    /// Something else is in the place of the FIFO or socket.
    #[error("MI {} is {found}, not a {expected}: remove it", path.display())]
    WrongKind { path: PathBuf, found: &'static str, expected: &'static str },
    /// The FIFO or socket may be another program's, which must not get the commands.
    #[error(
        "MI {} belongs to user {owner}, neither root nor the daemon's: remove it",
        path.display()
    )]
    ForeignOwner { path: PathBuf, owner: u32 },
    /// `why` is a predicate, with what to do.
    #[error("mi_reply_dir={} {why}", path.display())]
    ReplyDirectory { path: PathBuf, why: String },
    #[error(
        "MI {endpoint} gave no complete answer within {} ms ({received} bytes): look for an MI \
         command that hangs",
        waited.as_millis()
    )]
    TimedOut { endpoint: Endpoint, waited: Duration, received: usize },
    /// Longer than any answer to the agent's commands; `limit` is in bytes.
    #[error("MI {endpoint} sent an answer longer than {limit} bytes: check mi")]
    TooLong { endpoint: Endpoint, limit: usize },
    #[error(
        "MI {endpoint} answers in the form of OpenSIPS 2.x: remove mi, or use OpenSIPS 3.0 or newer"
    )]
    OldForm { endpoint: Endpoint },
    /// Not JSON-RPC, or not the answer to this request.
    #[error("MI {endpoint} sent an invalid answer ({what}): check mi")]
    Garbled { endpoint: Endpoint, what: String },
    #[error("OpenSIPS has no MI command {command}: {}", provided_by(module))]
    UnknownCommand { command: &'static str, module: &'static str },
    /// The daemon refuses a command: `code` is of JSON-RPC, or the command's own, like SIP's.
    #[error("MI command {command} was refused: {message} ({code})")]
    Refused { command: &'static str, code: i64, message: String },
    /// The daemon tells the reason in its log alone.
    #[error(
        "OpenSIPS refuses the routes of {}: see its log, and check that user {user} can read the file",
        config.display()
    )]
    RoutesRefused { config: PathBuf, user: String },
    /// In bytes.
    #[error("MI request of {length} bytes is longer than the {REQUEST_LIMIT} that OpenSIPS reads")]
    RequestTooLong { length: usize },
}

/// What to do for a command of this module.
fn provided_by(module: &str) -> String {
    match module {
        "core" => "use OpenSIPS 3.4 or newer".to_owned(),
        module => format!("load module {module}"),
    }
}
