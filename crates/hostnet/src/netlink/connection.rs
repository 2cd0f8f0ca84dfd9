//! A connection to one netlink protocol of the kernel. A call blocks until its dump is complete or
//! its change is acknowledged, or until its deadline.
//!
//! This is the connection of netlink-proto, on which rtnetlink is built. The requests of rtnetlink
//! itself can't be used: their stream of answers to a dump ends in the same way after `NLMSG_DONE`
//! and when the connection breaks off, the errno in `NLMSG_DONE` is lost, and nothing checks
//! `NLM_F_DUMP_INTR`. A monitor that misses an address in such a dump causes a needless failover.
//! Likewise rtnetlink reports a change as made if the connection ends before the acknowledgement.
//!
//! A connection that has failed is replaced by a new one with a socket of its own, so that an answer
//! that still comes to the old one answers nothing else.

use std::cell::RefCell;
use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use deadline::Deadline;
use futures_core::Stream;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::proto::sys::{AsyncSocket, SocketAddr, TokioSocket};
use rtnetlink::proto::{self, ConnectionHandle};
use tokio::runtime::Runtime;
use tokio::time::timeout_at;

use super::exchange::{self, Answers, Dump};
use super::message::{Object, RawMessage, WholeDatagrams};
use crate::error::{Capability, Error, Result};
use crate::retry::retry;

/// How often a table is read at most if it changes while it is read.
const DUMP_ATTEMPTS: u32 = 3;

/// Sends requests and receives answers while it is polled.
type Driver = proto::Connection<RawMessage, TokioSocket, WholeDatagrams>;

/// Messages that answer no request.
type Unsolicited = Pin<Box<dyn Stream<Item = (NetlinkMessage<RawMessage>, SocketAddr)>>>;

/// A protocol of netlink and how a connection to it is opened.
#[derive(Clone, Copy)]
pub(super) struct NetlinkProtocol {
    /// Its number, such as `NETLINK_ROUTE`.
    pub(super) number: isize,
    /// What opening a connection is called in an error.
    pub(super) open: &'static str,
    /// Whether the kernel shall apply the filters of a dump, such as the table of routes, and refuse
    /// filters that it does not know (`NETLINK_GET_STRICT_CHK`).
    pub(super) strict: bool,
}

/// A connection in the network namespace of the thread that uses it: one socket, an event loop on
/// the calling thread, no other thread.
pub(super) struct Connection {
    protocol: NetlinkProtocol,
    /// `None` after a failure: the next request opens it again.
    opened: RefCell<Option<Opened>>,
}

impl Connection {
    /// Opens a connection. For want of memory or descriptors it is opened by the first request,
    /// which has a deadline.
    pub(super) fn open(protocol: NetlinkProtocol) -> Result<Self> {
        let opened = match Opened::new(protocol) {
            Ok(opened) => Some(opened),
            Err(error) if error.is_transient() => None,
            Err(error) => return Err(error),
        };
        Ok(Self { protocol, opened: RefCell::new(opened) })
    }

    /// Every object that `request` asks for. An incomplete answer is an error.
    pub(super) fn dump<T: Object>(
        &self,
        operation: impl Display + Copy,
        request: &RawMessage,
        until: Deadline,
    ) -> Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            let ask = |_| {
                let read = |answers| exchange::read_dump(operation, answers);
                self.ask(operation, request, NLM_F_DUMP, until, read)
            };
            match retry(until, ask)? {
                Dump::Complete(found) => return Ok(found),
                Dump::Interrupted => log::debug!("{operation}: interrupted by a change, again"),
            }
        }
        Err(Error::DumpInterrupted { operation: operation.to_string() })
    }

    /// The single object that `request` asks for.
    pub(super) fn get<T: Object>(
        &self,
        operation: impl Display + Copy,
        request: &RawMessage,
        until: Deadline,
    ) -> Result<T> {
        retry(until, |_| {
            let read = |answers| exchange::read_object(operation, answers);
            self.ask(operation, request, 0, until, read)
        })
    }

    /// Makes a change; `Ok` only when the kernel has acknowledged it. This is a single attempt,
    /// which the caller has to [`retry`]: only the caller knows what answer to a further attempt
    /// means that the first one was carried out.
    pub(super) fn change(
        &self,
        operation: impl Display + Copy,
        request: &RawMessage,
        flags: u16,
        until: Deadline,
    ) -> Result<()> {
        let read = |answers| exchange::read_acknowledgement(operation, answers);
        self.ask(operation, request, NLM_F_ACK | flags, until, read)
    }

    /// Sends `request` once and waits until `read` has the answer or the deadline has passed.
    fn ask<T, F: Future<Output = Result<T>>>(
        &self,
        operation: impl Display + Copy,
        request: &RawMessage,
        flags: u16,
        until: Deadline,
        read: impl FnOnce(Answers) -> F,
    ) -> Result<T> {
        let passed = || Error::DeadlinePassed { operation: operation.to_string() };
        // The timer rounds up to milliseconds, but nothing may be sent after the deadline.
        if until.has_passed() {
            return Err(passed());
        }
        let mut opened = match self.opened.take() {
            Some(opened) => opened,
            None => Opened::new(self.protocol)?,
        };
        let answered = opened.ask(request, flags, until, read).unwrap_or_else(|| Err(passed()));
        // After a refusal nothing of the kernel's answer is still to come.
        let is_refusal = |error: &Error| error.errno().is_some() && !error.is_transient();
        if opened.driver.is_some() && answered.as_ref().err().is_none_or(is_refusal) {
            self.opened.replace(Some(opened));
        }
        answered
    }
}

/// What an open connection consists of.
struct Opened {
    requests: ConnectionHandle<RawMessage>,
    /// `None` once the connection has ended.
    driver: Option<Driver>,
    unsolicited: Unsolicited,
    runtime: Runtime,
}

impl Opened {
    fn new(protocol: NetlinkProtocol) -> Result<Self> {
        Self::with_socket(protocol)
            .map_err(|source| Error::refused(protocol.open, Capability::NetAdmin, source))
    }

    fn with_socket(protocol: NetlinkProtocol) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        // The socket registers with the event loop of the runtime in which it is made.
        let guard = runtime.enter();
        let (mut driver, requests, unsolicited) =
            proto::new_connection_with_codec::<_, _, WholeDatagrams>(protocol.number)?;
        drop(guard);
        driver.set_forward_done(true);
        driver.set_forward_ack(true);
        if protocol.strict {
            let socket: &mut TokioSocket = driver.socket_mut();
            // Kernels before 4.20 don't have the option and ignore filters.
            if let Err(error) = socket.socket_mut().set_netlink_get_strict_chk(true) {
                log::debug!("no strict checking of netlink requests: {error}");
            }
        }
        Ok(Self { requests, driver: Some(driver), unsolicited: Box::pin(unsolicited), runtime })
    }

    /// Sends `request` and drives the connection until `read` has the answer; `None` if it has not
    /// by the deadline.
    fn ask<T, F: Future<Output = Result<T>>>(
        &mut self,
        request: &RawMessage,
        flags: u16,
        until: Deadline,
        read: impl FnOnce(Answers) -> F,
    ) -> Option<Result<T>> {
        let Self { requests, driver, unsolicited, runtime } = self;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request.clone()));
        let kernel = SocketAddr::new(0, 0);
        let answers = Answers::new(requests.request(message, kernel).ok());
        let mut reading = pin!(read(answers));
        let driven = poll_fn(|context| {
            drive(driver, unsolicited, context);
            reading.as_mut().poll(context)
        });
        runtime.block_on(async { timeout_at(until.instant().into(), driven).await }).ok()
    }
}

/// Sends and receives what can be sent and received now. Drops the driver where nothing follows any
/// more, which ends the streams of answers.
fn drive(driver: &mut Option<Driver>, unsolicited: &mut Unsolicited, context: &mut Context<'_>) {
    let Some(running) = driver else { return };
    let mut ended = Pin::new(running).poll(context).is_ready();
    // The kernel had no memory for an answer (ENOBUFS from recvmsg(2), netlink_ack() in
    // net/netlink/af_netlink.c). netlink-proto reports that as a message without a number, and the
    // request would wait for its answer until the deadline.
    while let Poll::Ready(Some((message, _))) = unsolicited.as_mut().poll_next(context) {
        ended |= matches!(message.payload, NetlinkPayload::Overrun(_));
    }
    if ended {
        *driver = None;
    }
}
