//! The daemon's Management Interface (MI): JSON-RPC 2.0 over a FIFO, datagrams or HTTP, as 3.x and
//! 4.0 speak it (mi/mi.c; modules mi_fifo, mi_datagram, mi_http).

pub mod command;
mod datagram;
pub mod endpoint;
pub mod error;
mod fifo;
pub(crate) mod health;
mod http;
pub mod message;
pub(crate) mod processes;

use std::path::Path;
use std::time::{Duration, Instant};

use deadline::Deadline;
use nix::unistd::Uid;
use serde_json::Value;

pub use command::Command;
pub use endpoint::Endpoint;
pub use error::{MiError, Result};
pub(crate) use fifo::{misplaced, unsafe_directory};
use message::{Fault, METHOD_NOT_FOUND, Request};

/// Longest reply that is read.
pub const REPLY_LIMIT: usize = 16 * 1024 * 1024;

/// Longest request: what the daemon reads from its FIFO at once (`MAX_MI_FIFO_BUFFER`).
const REQUEST_LIMIT: usize = 4096;

/// How long one exchange may take. The daemon has one process for all requests of a transport, and
/// somebody else's may be at work; but monitor has more to do than to wait for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks one instance of the daemon.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Where it is asked.
    pub endpoint: &'a Endpoint,
    /// The daemon's `reply_dir`: where it looks for the FIFO that it is to answer into.
    pub reply_directory: &'a Path,
    /// The daemon's user. Beside root's, only its FIFO or socket is spoken to.
    pub daemon: Uid,
}

/// One exchange, as the transports see it.
struct Exchange<'a> {
    client: Client<'a>,
    /// The id of the request: 64 bits that nobody guesses.
    id: &'a str,
    request: &'a [u8],
    started: Instant,
    until: Deadline,
}

impl Client<'_> {
    /// Executes a command; under its name in 4.0 where its older name is not known.
    ///
    /// # Errors
    /// Every [`MiError`]; none takes longer than the deadline.
    pub fn call(
        &self,
        command: Command,
        parameters: &[Value],
        deadline: Deadline,
    ) -> Result<Value> {
        let answer = self.ask(command.name, parameters, deadline);
        match answer {
            Err(MiError::Refused { code: METHOD_NOT_FOUND, .. }) => {
                self.ask(command.module_name, parameters, deadline)
            }
            answer => answer,
        }
    }

    fn ask(&self, method: &str, parameters: &[Value], deadline: Deadline) -> Result<Value> {
        let id = crate::sip::probe::token();
        let request = Request { id: &id, method, parameters }.to_bytes();
        if request.len() > REQUEST_LIMIT {
            return Err(MiError::RequestTooLong { length: request.len() });
        }
        let exchange = Exchange {
            client: *self,
            id: &id,
            request: &request,
            started: Instant::now(),
            until: deadline.within(PATIENCE),
        };
        let reply = match self.endpoint {
            Endpoint::Fifo(path) => exchange.over_fifo(path),
            Endpoint::UnixDatagram(path) => exchange.over_unix_datagram(path),
            Endpoint::Datagram(address) => exchange.over_datagram(*address),
            Endpoint::Http { url } => exchange.over_http(url),
        };
        log::debug!("mi={method} took_ms={}", exchange.started.elapsed().as_millis());
        reply
    }
}

impl Exchange<'_> {
    fn left(&self) -> Duration {
        self.until.remaining()
    }

    fn timed_out(&self, received: usize) -> MiError {
        let waited = self.started.elapsed();
        MiError::TimedOut { endpoint: self.client.endpoint.clone(), waited, received }
    }

    fn too_long(&self) -> MiError {
        MiError::TooLong { endpoint: self.client.endpoint.clone(), limit: REPLY_LIMIT }
    }

    fn unreachable(&self, source: impl Into<std::io::Error>) -> MiError {
        MiError::Unreachable { endpoint: self.client.endpoint.clone(), source: source.into() }
    }

    /// What a complete reply says.
    fn judge(&self, reply: &[u8]) -> Result<Value> {
        message::parse(reply, self.id).map_err(|fault| self.fault(fault))
    }

    fn fault(&self, fault: Fault) -> MiError {
        let endpoint = self.client.endpoint.clone();
        match fault {
            Fault::OldForm => MiError::OldForm { endpoint },
            Fault::Garbled(what) => MiError::Garbled { endpoint, what: what.to_owned() },
            Fault::OtherRequest => {
                MiError::Garbled { endpoint, what: "it answers another request".to_owned() }
            }
            Fault::Refused { code, message } => MiError::Refused { code, message },
        }
    }

    /// Whether a FIFO or socket is one that we may speak to: the daemon's, or root's.
    fn trust(&self, path: &Path, owner: u32) -> Result<()> {
        if self.is_trusted(owner) {
            return Ok(());
        }
        Err(MiError::ForeignOwner { path: path.to_owned(), owner })
    }

    fn is_trusted(&self, user: u32) -> bool {
        user == 0 || user == self.client.daemon.as_raw()
    }
}
