//! One rtnetlink connection: complete dumps, acknowledged changes, blocking, until a deadline.
//!
//! The stock requests of the rtnetlink crate are not used for reading, because they can't
//! tell a complete dump from one that broke off: their stream just ends in both cases, a
//! message that does not parse is skipped with a log line, and `NLM_F_DUMP_INTR` is never
//! looked at. For a monitor that means "the address is absent", that is, a needless
//! fail-over. Likewise their changes report success when the connection ends before the
//! acknowledgement. So the exchange is ours, on the connection of the same family of crates.

mod address;
mod attribute;
mod exchange;
mod link;
mod message;
mod neighbour;
mod route;
mod route_record;
mod rule;

use deadline::Deadline;
use futures_core::Stream;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::proto::{self, ConnectionHandle};
use rtnetlink::sys::{AsyncSocket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::runtime::Runtime;
use tokio::time::timeout_at;

use crate::error::{Capability, Error, Result};
use exchange::Dump;
use message::{Message, Request};

pub use route_record::RouteRecord;

/// How often a dump is made at most before a table that keeps changing is an error.
const DUMP_ATTEMPTS: u32 = 3;

/// A connection to the kernel's routing tables in the network namespace of the thread that
/// opened it. Cheap: one socket, an event loop on the calling thread, no other thread.
pub struct Netlink {
    // The connection is a task of this runtime and makes progress only inside block_on.
    runtime: Runtime,
    requests: ConnectionHandle<Message>,
}

impl Netlink {
    /// Opens the connection. Needs no privilege.
    ///
    /// # Errors
    /// [`Error::Refused`] if the kernel gives no socket.
    pub fn open() -> Result<Self> {
        let refused =
            |source| Error::refused("open a netlink socket", Capability::NetAdmin, source);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(refused)?;
        // The socket registers with the event loop of the runtime it is made in.
        let guard = runtime.enter();
        let (mut connection, requests, _unsolicited) =
            proto::new_connection::<Message>(NETLINK_ROUTE).map_err(refused)?;
        drop(guard);
        connection.set_forward_done(true);
        connection.set_forward_ack(true);
        // Strict checking makes the kernel honour the filters of a dump, such as the table of
        // routes. Kernels before 4.20 don't know the option and send everything, which is why
        // answers are filtered here once more.
        if let Err(error) = connection.socket_mut().socket_mut().set_netlink_get_strict_chk(true) {
            log::debug!("no strict checking of netlink requests: {error}");
        }
        runtime.spawn(connection);
        Ok(Self { runtime, requests })
    }

    /// Every object of a kind that `keep` makes a `T` of. Complete, or an error.
    fn dump<T>(
        &self,
        operation: &str,
        request: impl Into<Request>,
        until: Deadline,
        keep: impl Fn(Message) -> Option<T>,
    ) -> Result<Vec<T>> {
        let request = request.into();
        for _ in 0..DUMP_ATTEMPTS {
            let ended = self.wait(operation, until, async {
                let answers = self.send(request.clone(), NLM_F_REQUEST | NLM_F_DUMP);
                let closed = |_| exchange::incomplete(operation, "the connection is closed");
                exchange::read_dump(operation, answers.map_err(closed)?, &keep).await
            })?;
            match ended {
                Dump::Complete(found) => return Ok(found),
                Dump::Interrupted => log::debug!("{operation}: interrupted by a change, again"),
            }
        }
        Err(Error::DumpInterrupted { operation: operation.to_owned() })
    }

    /// The single object that `request` asks for.
    fn get(
        &self,
        operation: &str,
        request: impl Into<Request>,
        until: Deadline,
    ) -> Result<Message> {
        self.wait(operation, until, async {
            let answers = self.send(request.into(), NLM_F_REQUEST);
            let closed = |_| exchange::incomplete(operation, "the connection is closed");
            exchange::read_object(operation, answers.map_err(closed)?).await
        })
    }

    /// A change; `Ok` only when the kernel has acknowledged it.
    fn change(
        &self,
        operation: &str,
        request: impl Into<Request>,
        flags: u16,
        until: Deadline,
    ) -> Result<()> {
        self.wait(operation, until, async {
            let answers = self.send(request.into(), NLM_F_REQUEST | NLM_F_ACK | flags);
            let closed = |_| Error::NotAcknowledged { operation: operation.to_owned() };
            exchange::read_acknowledgement(operation, answers.map_err(closed)?).await
        })
    }

    fn send(
        &self,
        request: Request,
        flags: u16,
    ) -> std::result::Result<
        impl Stream<Item = NetlinkMessage<Message>> + use<>,
        proto::NetlinkProtoError,
    > {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        let payload = NetlinkPayload::InnerMessage(Message::Request(request));
        self.requests.request(NetlinkMessage::new(header, payload), SocketAddr::new(0, 0))
    }

    /// Drives the connection until `exchange` has its answer or the deadline has passed.
    fn wait<T>(
        &self,
        operation: &str,
        until: Deadline,
        exchange: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let passed = || Error::DeadlinePassed { operation: operation.to_owned() };
        // Timers count in milliseconds from the next one on: a deadline that has passed already
        // must not start anything.
        if until.has_passed() {
            return Err(passed());
        }
        self.runtime
            .block_on(async { timeout_at(until.instant().into(), exchange).await })
            .unwrap_or_else(|_| Err(passed()))
    }
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").finish_non_exhaustive()
    }
}
