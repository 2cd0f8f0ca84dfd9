//! A connection to one netlink protocol of the kernel. A call blocks until its dump is complete or
//! its change is acknowledged, or until its deadline.
//!
//! This is the connection of netlink-proto, on which rtnetlink is built. The requests of rtnetlink
//! itself can't be used: their stream of answers to a dump ends in the same way after `NLMSG_DONE`
//! and when the connection breaks off, the errno in `NLMSG_DONE` is lost, and nothing checks
//! `NLM_F_DUMP_INTR`. A monitor that misses an address in such a dump causes a needless failover.
//! Likewise rtnetlink reports a change as made if the connection ends before the acknowledgement.

use std::cell::RefCell;
use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Context;

use deadline::Deadline;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::proto::sys::{AsyncSocket, SocketAddr, TokioSocket};
use rtnetlink::proto::{self, ConnectionHandle};
use tokio::runtime::Runtime;
use tokio::time::timeout_at;

use super::exchange::{self, Answers, Dump};
use super::message::{Object, RawMessage, WholeDatagrams};
use crate::error::{Error, Result};

/// How often a table is read at most if it changes while it is read.
const DUMP_ATTEMPTS: u32 = 3;

/// Sends requests and receives answers while it is polled.
type Driver = proto::Connection<RawMessage, TokioSocket, WholeDatagrams>;

/// A connection in the network namespace of the thread that opened it: one socket, an event loop
/// on the calling thread, no other thread.
pub(super) struct Connection {
    requests: ConnectionHandle<RawMessage>,
    /// `None` once the connection has ended.
    driver: RefCell<Option<Driver>>,
    runtime: Runtime,
}

impl Connection {
    /// Opens a connection to a protocol, such as `NETLINK_ROUTE`.
    pub(super) fn open(protocol: isize) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        // The socket registers with the event loop of the runtime in which it is made.
        let guard = runtime.enter();
        let (mut driver, requests, _unsolicited) = proto::new_connection_with_codec(protocol)?;
        drop(guard);
        driver.set_forward_done(true);
        driver.set_forward_ack(true);
        Ok(Self { requests, driver: RefCell::new(Some(driver)), runtime })
    }

    /// Makes the kernel apply the filters of a dump, such as the table of routes, and refuse filters
    /// that it does not know (`NETLINK_GET_STRICT_CHK`). Kernels before 4.20 don't have the option.
    pub(super) fn set_strict(&mut self) -> io::Result<()> {
        self.driver.get_mut().as_mut().map_or(Ok(()), |driver| {
            driver.socket_mut().socket_mut().set_netlink_get_strict_chk(true)
        })
    }

    /// Every object that `request` asks for. An incomplete answer is an error.
    pub(super) fn dump<T: Object>(
        &self,
        operation: impl Display + Copy,
        request: &RawMessage,
        until: Deadline,
    ) -> Result<Vec<T>> {
        for _ in 0..DUMP_ATTEMPTS {
            let read = |answers| exchange::read_dump(operation, answers);
            match self.ask(operation, request.clone(), NLM_F_DUMP, until, read)? {
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
        request: RawMessage,
        until: Deadline,
    ) -> Result<T> {
        let read = |answers| exchange::read_object(operation, answers);
        self.ask(operation, request, 0, until, read)
    }

    /// Makes a change; `Ok` only when the kernel has acknowledged it.
    pub(super) fn change(
        &self,
        operation: impl Display + Copy,
        request: RawMessage,
        flags: u16,
        until: Deadline,
    ) -> Result<()> {
        let read = |answers| exchange::read_acknowledgement(operation, answers);
        self.ask(operation, request, NLM_F_ACK | flags, until, read)
    }

    /// Sends `request` and drives the connection until `read` has the answer or the deadline has
    /// passed. netlink-proto matches answers to requests by sequence number, so that an answer that
    /// comes after the deadline does not answer the next request.
    fn ask<T, F: Future<Output = Result<T>>>(
        &self,
        operation: impl Display + Copy,
        request: RawMessage,
        flags: u16,
        until: Deadline,
        read: impl FnOnce(Answers) -> F,
    ) -> Result<T> {
        let passed = || Error::DeadlinePassed { operation: operation.to_string() };
        // The timer rounds up to milliseconds, but nothing may be sent after the deadline.
        if until.has_passed() {
            return Err(passed());
        }
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        let kernel = SocketAddr::new(0, 0);
        let answers = Answers::new(self.requests.request(message, kernel).ok());
        let mut reading = pin!(read(answers));
        let driven = poll_fn(|context| {
            self.drive(context);
            reading.as_mut().poll(context)
        });
        self.runtime
            .block_on(async { timeout_at(until.instant().into(), driven).await })
            .unwrap_or_else(|_| Err(passed()))
    }

    fn drive(&self, context: &mut Context<'_>) {
        let mut driver = self.driver.borrow_mut();
        let ended = |driver: &mut Driver| Pin::new(driver).poll(context).is_ready();
        if driver.as_mut().is_some_and(ended) {
            // Dropping it ends the streams of answers.
            *driver = None;
        }
    }
}
