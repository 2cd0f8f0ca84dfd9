//! One rtnetlink connection: complete dumps, acknowledged changes, blocking, until a deadline.
//!
//! The stock requests of the rtnetlink crate are not used for reading, because they can't
//! tell a complete dump from one that broke off: their stream just ends in both cases, a
//! message that does not parse is skipped with a log line, and `NLM_F_DUMP_INTR` is never
//! looked at. For a monitor that means "the address is absent", that is, a needless
//! fail-over. Likewise their changes report success when the connection ends before the
//! acknowledgement. So the exchange is ours, on the connection of the same family of crates.

mod address;
mod link;
mod message;
mod route;

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::time::Instant;

use futures_core::Stream;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::proto::{self, ConnectionHandle};
use rtnetlink::sys::{AsyncSocket, SocketAddr, protocols::NETLINK_ROUTE};
use tokio::runtime::Runtime;
use tokio::time::timeout_at;

use crate::error::{Capability, Error, Result};
use message::Message;

/// How often a dump is made at most before a table that keeps changing is an error.
const DUMP_ATTEMPTS: u32 = 3;

/// A connection to the kernel's routing tables in the network namespace of the thread that
/// opened it. Cheap: one socket, an event loop on the calling thread, no other thread.
pub struct Netlink {
    // The connection is a task of this runtime and makes progress only inside block_on.
    runtime: Runtime,
    requests: ConnectionHandle<Message>,
}

/// How one dump ended.
enum Dump<T> {
    Complete(Vec<T>),
    Interrupted,
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
        // Strict checking makes the kernel honour the filters of a dump. Kernels before 4.20
        // don't know the option and send everything, which is why answers are filtered here
        // once more.
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
        request: &RouteNetlinkMessage,
        until: Instant,
        keep: impl Fn(Message) -> Option<T>,
    ) -> Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            let flags = NLM_F_REQUEST | NLM_F_DUMP;
            let once = self.dump_once(operation, request.clone(), flags, &keep);
            match self.wait(operation, until, once)? {
                Dump::Complete(found) => return Ok(found),
                Dump::Interrupted => log::debug!("{operation}: interrupted by a change, again"),
            }
        }
        Err(Error::DumpInterrupted { operation: operation.to_owned() })
    }

    async fn dump_once<T>(
        &self,
        operation: &str,
        request: RouteNetlinkMessage,
        flags: u16,
        keep: impl Fn(Message) -> Option<T>,
    ) -> Result<Dump<T>> {
        let incomplete = |why: &str| Error::DumpIncomplete {
            operation: operation.to_owned(),
            why: why.to_owned(),
        };
        let mut answers =
            pin!(self.send(request, flags).map_err(|_| incomplete("connection closed"))?);
        let mut found = Vec::new();
        let mut interrupted = false;
        let mut unreadable = None;
        loop {
            let Some(answer) = next(&mut answers).await else {
                return Err(incomplete("the connection ended in the middle"));
            };
            interrupted |= answer.header.flags & NLM_F_DUMP_INTR != 0;
            match answer.payload {
                // Read on to the end all the same: a dump left half way keeps the socket busy.
                NetlinkPayload::InnerMessage(Message::Unreadable(error)) => {
                    unreadable = Some(error);
                }
                NetlinkPayload::InnerMessage(message) => found.extend(keep(message)),
                NetlinkPayload::Done(done) if done.code == 0 => break,
                NetlinkPayload::Done(done) => return Err(kernel_refused(operation, done.code)),
                NetlinkPayload::Error(error) => match error.code {
                    Some(code) => return Err(kernel_refused(operation, code.get())),
                    None => return Err(incomplete("acknowledged instead of answered")),
                },
                NetlinkPayload::Overrun(_) => return Err(incomplete("messages were lost")),
                _ => {}
            }
        }
        match unreadable {
            // An interrupted dump is made again anyway.
            _ if interrupted => Ok(Dump::Interrupted),
            Some(why) => Err(incomplete(&why.to_string())),
            None => Ok(Dump::Complete(found)),
        }
    }

    /// The single object that `request` asks for.
    fn get(
        &self,
        operation: &str,
        request: RouteNetlinkMessage,
        until: Instant,
    ) -> Result<Message> {
        let incomplete =
            |why: String| Error::DumpIncomplete { operation: operation.to_owned(), why };
        self.wait(operation, until, async {
            let answers = self.send(request, NLM_F_REQUEST);
            let mut answers =
                pin!(answers.map_err(|_| incomplete("connection closed".to_owned()))?);
            match next(&mut answers).await.map(|answer| answer.payload) {
                Some(NetlinkPayload::InnerMessage(Message::Unreadable(error))) => {
                    Err(incomplete(error.to_string()))
                }
                Some(NetlinkPayload::InnerMessage(message)) => Ok(message),
                Some(NetlinkPayload::Error(error)) if error.code.is_some() => {
                    Err(kernel_refused(operation, error.code.map_or(0, std::num::NonZeroI32::get)))
                }
                _ => Err(incomplete("no object in it".to_owned())),
            }
        })
    }

    /// A change; `Ok` only when the kernel has acknowledged it.
    fn change(
        &self,
        operation: &str,
        request: RouteNetlinkMessage,
        flags: u16,
        until: Instant,
    ) -> Result<()> {
        let lost = || Error::NotAcknowledged { operation: operation.to_owned() };
        self.wait(operation, until, async {
            let answers = self.send(request, NLM_F_REQUEST | NLM_F_ACK | flags);
            let mut answers = pin!(answers.map_err(|_| lost())?);
            loop {
                match next(&mut answers).await.map(|answer| answer.payload) {
                    Some(NetlinkPayload::Error(error)) => {
                        return match error.code {
                            None => Ok(()),
                            Some(code) => Err(kernel_refused(operation, code.get())),
                        };
                    }
                    Some(NetlinkPayload::InnerMessage(_) | NetlinkPayload::Noop) => {}
                    _ => return Err(lost()),
                }
            }
        })
    }

    fn send(
        &self,
        request: RouteNetlinkMessage,
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
        until: Instant,
        exchange: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let passed = || Error::DeadlinePassed { operation: operation.to_owned() };
        // Timers count in milliseconds from the next one on: a deadline that has passed already
        // must not start anything.
        if until <= Instant::now() {
            return Err(passed());
        }
        self.runtime
            .block_on(async { timeout_at(until.into(), exchange).await })
            .unwrap_or_else(|_| Err(passed()))
    }
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").finish_non_exhaustive()
    }
}

async fn next<S: Stream>(stream: &mut std::pin::Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

/// Netlink carries errno negated.
fn kernel_refused(operation: &str, code: i32) -> Error {
    let source = io::Error::from_raw_os_error(code.saturating_neg());
    Error::refused(operation, Capability::NetAdmin, source)
}
