//! The exchange with the kernel's socket monitoring (sock_diag(7)): complete dumps,
//! acknowledged changes.

use std::io;
use std::net::SocketAddr;

use deadline::Deadline;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, Nla as _,
};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{InetRequest, InetResponse, InetResponseHeader};
use netlink_packet_sock_diag::{SOCK_DESTROY, SOCK_DIAG_BY_FAMILY, SockDiagMessage};
use netlink_sys::{Socket, SocketAddr as KernelAddress, protocols::NETLINK_SOCK_DIAG};
use nix::libc;

use crate::error::{Capability, Error, Result};
use crate::readiness::wait_readable;
use crate::sctp::{INET_DIAG_LOCALS, local_addresses};

/// The kernel's datagrams of a dump are 32 KiB at most (`NLMSG_GOODSIZE`, since Linux 4.9).
const BUFFER: usize = 64 * 1024;
const ATTEMPTS: u32 = 3;

/// A socket as the kernel has described it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) header: InetResponseHeader,
    /// SCTP alone: every local address; the header has only one of them.
    pub(crate) locals: Vec<SocketAddr>,
}

impl From<InetResponse> for Found {
    fn from(response: InetResponse) -> Self {
        let locals = response.nlas.iter().find_map(|attribute| match attribute {
            Nla::Other(other) if other.kind() == INET_DIAG_LOCALS => {
                let mut value = vec![0; other.value_len()];
                other.emit_value(&mut value);
                Some(local_addresses(&value))
            }
            _ => None,
        });
        Self { header: response.header, locals: locals.unwrap_or_default() }
    }
}

/// Every socket that the request fits. Complete, or an error.
pub(crate) fn dump(operation: &str, request: &InetRequest, until: Deadline) -> Result<Vec<Found>> {
    let request = message(request, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP);
    for _ in 0..ATTEMPTS {
        // A new socket for each attempt: nothing of the last one can be left in it.
        let mut answers = Answers { operation, sockets: Vec::new(), interrupted: false };
        exchange(operation, &request, until, |datagram| answers.take(datagram))?;
        if !answers.interrupted {
            return Ok(answers.sockets);
        }
        log::debug!("{operation}: interrupted, again");
    }
    Err(Error::DumpInterrupted { operation: operation.to_owned() })
}

/// Ends the one socket that the request names.
pub(crate) fn destroy(operation: &str, request: &InetRequest, until: Deadline) -> Result<()> {
    let request = message(request, SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK);
    exchange(operation, &request, until, |datagram| {
        match NetlinkMessage::<SockDiagMessage>::deserialize(datagram).map(|read| read.payload) {
            // The acknowledgement is an error with code 0.
            Ok(NetlinkPayload::Error(error)) => match error.code {
                None => Ok(true),
                Some(code) => Err(kernel_refused(operation, code.get())),
            },
            _ => Err(Error::NotAcknowledged { operation: operation.to_owned() }),
        }
    })
}

/// Sends a request and gives each datagram of the answer to `take`, until that says it is done.
fn exchange(
    operation: &str,
    request: &[u8],
    until: Deadline,
    mut take: impl FnMut(&[u8]) -> Result<bool>,
) -> Result<()> {
    let refused = |source| Error::refused(operation, Capability::NetAdmin, source);
    let mut socket = Socket::new(NETLINK_SOCK_DIAG).map_err(refused)?;
    socket.bind_auto().map_err(refused)?;
    socket.connect(&KernelAddress::new(0, 0)).map_err(refused)?;
    let sent = socket.send(request, 0).map_err(refused)?;
    if sent != request.len() {
        return Err(incomplete(operation, "the request was cut off"));
    }
    loop {
        if !wait_readable(&socket, until).map_err(refused)? {
            return Err(Error::DeadlinePassed { operation: operation.to_owned() });
        }
        let mut datagram = Vec::with_capacity(BUFFER);
        // MSG_TRUNC makes the kernel return the true length, so a datagram that did not fit
        // shows.
        match socket.recv(&mut datagram, libc::MSG_TRUNC) {
            Ok(length) if length > datagram.len() => {
                return Err(incomplete(operation, "a message was cut off"));
            }
            Ok(_) => {
                if take(&datagram)? {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(refused(error)),
        }
    }
}

/// What a dump has answered so far.
struct Answers<'a> {
    operation: &'a str,
    sockets: Vec<Found>,
    interrupted: bool,
}

impl Answers<'_> {
    /// Takes the messages of one datagram; `true` when the dump is complete.
    fn take(&mut self, mut rest: &[u8]) -> Result<bool> {
        let incomplete = |why: &str| incomplete(self.operation, why);
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| incomplete(&error.to_string()))?;
            self.interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    self.sockets.push(Found::from(*response));
                }
                NetlinkPayload::Done(done) if done.code == 0 => return Ok(true),
                NetlinkPayload::Done(done) => {
                    return Err(kernel_refused(self.operation, done.code));
                }
                NetlinkPayload::Error(error) => {
                    return Err(match error.code {
                        Some(code) => kernel_refused(self.operation, code.get()),
                        None => incomplete("acknowledged instead of answered"),
                    });
                }
                NetlinkPayload::Overrun(_) => return Err(incomplete("messages were lost")),
                _ => {}
            }
            // Messages start at multiples of four bytes (NLMSG_ALIGN).
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(false)
    }
}

fn message(request: &InetRequest, kind: u16, flags: u16) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let inner = SockDiagMessage::InetRequest(request.clone());
    let mut message = NetlinkMessage::new(header, inner.into());
    message.finalize();
    // The crate knows no other type for a request than that of a dump.
    message.header.message_type = kind;
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn incomplete(operation: &str, why: &str) -> Error {
    Error::DumpIncomplete { operation: operation.to_owned(), why: why.to_owned() }
}

/// Netlink carries errno negated.
fn kernel_refused(operation: &str, code: i32) -> Error {
    let source = io::Error::from_raw_os_error(code.saturating_neg());
    Error::refused(operation, Capability::NetAdmin, source)
}

/// What a dump would give that is answered with these datagrams.
#[cfg(test)]
pub(crate) fn answered(datagrams: &[Vec<u8>]) -> Result<(Vec<Found>, bool)> {
    let mut answers = Answers { operation: "list", sockets: Vec::new(), interrupted: false };
    let mut done = false;
    for datagram in datagrams {
        done = answers.take(datagram)?;
    }
    Ok((answers.sockets, done))
}
