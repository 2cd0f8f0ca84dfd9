//! The daemon's Management Interface (MI): JSON-RPC 2.0 over a FIFO, datagrams or HTTP, as 3.x and
//! 4.0 implement it (mi/mi.c; modules mi_fifo, mi_datagram, mi_http). A leaf room: it knows neither
//! parameters nor the instance, and JSON and HTTP do not leave it.

pub(crate) mod answers;
mod command;
mod datagram;
pub(crate) mod endpoint;
mod error;
mod fifo;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod http;
mod message;

use std::path::Path;
use std::time::{Duration, Instant};

use deadline::Deadline;
use nix::unistd::Uid;
use serde_json::Value;

use answers::{Capability, DaemonProcess, ListedTag, Neighbour, Statistics, Unready};
use command::Command;
pub(crate) use endpoint::Endpoint;
pub(crate) use error::{Error, Result};
pub(crate) use fifo::{misplaced, unsafe_directory};
use message::{Fault, METHOD_NOT_FOUND, Request};

/// The longest reply that is read, in bytes.
const REPLY_LIMIT: usize = 16 * 1024 * 1024;

/// The longest request, in bytes: what the daemon reads from its FIFO at once
/// (`MAX_MI_FIFO_BUFFER`).
const REQUEST_LIMIT: usize = 4096;

/// A client of one instance of the daemon. No method takes longer than its deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    pub(crate) endpoint: &'a Endpoint,
    /// The daemon's `reply_dir`: where it looks for the FIFO of the reply.
    pub(crate) reply_directory: &'a Path,
    /// The daemon's user. Commands go only to its FIFO or socket, or to root's.
    pub(crate) daemon: Uid,
    /// How long one exchange may take. The daemon has one process for all requests of a transport,
    /// which may be busy with another client's.
    pub(crate) patience: Duration,
}

/// One exchange, as the transports see it.
struct Exchange<'a> {
    client: Client<'a>,
    command: Command,
    /// The id of the request: 64 bits that no other program can guess.
    id: &'a str,
    request: &'a [u8],
    started: Instant,
    until: Deadline,
}

impl Client<'_> {
    /// How long the daemon has been up, if the answer tells.
    pub(crate) fn up_time(&self, deadline: Deadline) -> Result<Option<Duration>> {
        Ok(answers::up_time(&self.call(command::UPTIME, &[], deadline)?))
    }

    /// The statistics of these groups.
    pub(crate) fn statistics(&self, groups: &[&str], deadline: Deadline) -> Result<Statistics> {
        let answer = self.call(command::GET_STATISTICS, &[Value::from(groups)], deadline)?;
        Ok(Statistics::read(&answer))
    }

    /// Has the daemon load the routes of its configuration, and nothing else of it. It reads the file as its
    /// own user, and keeps its routes where it finds a fault in the new ones.
    pub(crate) fn reload_routes(&self, deadline: Deadline) -> Result<()> {
        self.call(command::RELOAD_ROUTES, &[], deadline).map(|_| ())
    }

    pub(crate) fn processes(&self, deadline: Deadline) -> Result<Vec<DaemonProcess>> {
        Ok(answers::processes(&self.call(command::PROCESSES, &[], deadline)?))
    }

    pub(crate) fn sharing_tags(&self, deadline: Deadline) -> Result<Vec<ListedTag>> {
        let answer = self.call(command::LIST_SHARING_TAGS, &[], deadline)?;
        answers::tags(&answer).ok_or_else(|| self.garbled("not a list of sharing tags"))
    }

    /// Makes a tag, `tag/cluster`, active on this node.
    pub(crate) fn activate_sharing_tag(&self, tag: &str, deadline: Deadline) -> Result<()> {
        self.call(command::ACTIVATE_SHARING_TAG, &[tag.into()], deadline).map(|_| ())
    }

    pub(crate) fn capabilities(&self, deadline: Deadline) -> Result<Vec<Capability>> {
        Ok(answers::capabilities(&self.call(command::LIST_CAPABILITIES, &[], deadline)?))
    }

    /// The other nodes of the clusters.
    pub(crate) fn neighbours(&self, deadline: Deadline) -> Result<Vec<Neighbour>> {
        Ok(answers::neighbours(&self.call(command::LIST_NODES, &[], deadline)?))
    }

    /// The parts of modules that say of themselves that they are not ready.
    pub(crate) fn unready(&self, deadline: Deadline) -> Result<Vec<Unready>> {
        Ok(answers::unready(&self.call(command::LIST_STATUS, &[], deadline)?))
    }

    /// An answer that is JSON-RPC and does not have the form of the command's answers.
    pub(crate) fn garbled(&self, what: impl Into<String>) -> Error {
        Error::Garbled { endpoint: self.endpoint.clone(), what: what.into() }
    }

    /// Executes a command; under its name in 4.0 where the daemon does not know the older one.
    fn call(&self, command: Command, parameters: &[Value], deadline: Deadline) -> Result<Value> {
        match self.ask(command, command.name, parameters, deadline) {
            Err(Error::UnknownCommand { .. }) => {
                self.ask(command, command.module_name, parameters, deadline)
            }
            answer => answer,
        }
    }

    fn ask(
        &self,
        command: Command,
        method: &str,
        parameters: &[Value],
        deadline: Deadline,
    ) -> Result<Value> {
        let id = hostproc::token();
        let request = Request { id: &id, method, parameters }.to_bytes();
        if request.len() > REQUEST_LIMIT {
            return Err(Error::RequestTooLong { length: request.len() });
        }
        let exchange = Exchange {
            client: *self,
            command,
            id: &id,
            request: &request,
            started: Instant::now(),
            until: deadline.within(self.patience),
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

    fn timed_out(&self, received: usize) -> Error {
        let waited = self.started.elapsed();
        Error::TimedOut { endpoint: self.client.endpoint.clone(), waited, received }
    }

    fn too_long(&self) -> Error {
        Error::TooLong { endpoint: self.client.endpoint.clone(), limit: REPLY_LIMIT }
    }

    fn unreachable(&self, source: impl Into<std::io::Error>) -> Error {
        Error::Unreachable { endpoint: self.client.endpoint.clone(), source: source.into() }
    }

    /// Reads a complete reply.
    fn judge(&self, reply: &[u8]) -> Result<Value> {
        message::parse(reply, self.id).map_err(|fault| self.fault(fault))
    }

    fn fault(&self, fault: Fault) -> Error {
        let command = self.command.name;
        match fault {
            Fault::OldForm => Error::OldForm { endpoint: self.client.endpoint.clone() },
            Fault::Garbled(what) => self.client.garbled(what),
            Fault::OtherRequest => self.client.garbled("it answers another request"),
            Fault::Refused { code: METHOD_NOT_FOUND, .. } => {
                Error::UnknownCommand { command, module: self.command.module() }
            }
            Fault::Refused { code, message } => Error::Refused { command, code, message },
        }
    }

    /// Accepts a FIFO or socket of the daemon's user or root.
    fn trust(&self, path: &Path, owner: u32) -> Result<()> {
        if self.is_trusted(owner) {
            return Ok(());
        }
        Err(Error::ForeignOwner { path: path.to_owned(), owner })
    }

    fn is_trusted(&self, user: u32) -> bool {
        user == 0 || user == self.client.daemon.as_raw()
    }
}
