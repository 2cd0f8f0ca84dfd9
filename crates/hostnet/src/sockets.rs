//! Who listens where: the kernel's table of sockets (sock_diag(7)).
//!
//! Not /proc/net/udp, which costs the kernel a line of text for every socket of the host,
//! and not a trial bind(), which says nothing under nonlocal bind or `SO_REUSEADDR`.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags,
};
use netlink_sys::{Socket, SocketAddr as KernelAddress, protocols::NETLINK_SOCK_DIAG};
use nix::libc;

use crate::address::Family;
use crate::error::{Capability, Error, Result};
use crate::readiness::wait_readable;

/// The kernel's datagrams of a dump are 32 KiB at most (`NLMSG_GOODSIZE`, since Linux 4.9).
const BUFFER: usize = 64 * 1024;
const ATTEMPTS: u32 = 3;
const OPERATION: &str = "list the sockets";

/// The protocol of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// UDP: every bound socket, connected ones included.
    Udp,
    /// TCP: listening sockets only.
    Tcp,
}

/// One socket that receives on a local address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundSocket {
    /// Its protocol.
    pub protocol: Protocol,
    /// Where it is bound; the unspecified address for "all".
    pub local: SocketAddr,
    /// The inode behind the `socket:[inode]` links in `/proc/PID/fd`: whose it is.
    pub inode: u32,
    /// The user that made it.
    pub uid: u32,
}

/// Every bound UDP socket or listening TCP socket of a family, in the network namespace of the
/// calling thread. An IPv6 socket bound to `::` may receive IPv4 as well.
///
/// An error if the kernel did not finish its answer. While sockets come and go the kernel may
/// all the same pass over one, and does not say so (it counts within each chain of its hash
/// table, without `NLM_F_DUMP_INTR`); to decide by the absence of a socket, ask for its port:
/// [`bound_sockets_on_port`].
///
/// # Errors
/// [`Error::DumpIncomplete`], [`Error::DumpInterrupted`], [`Error::DeadlinePassed`],
/// [`Error::Refused`]; its errno is `ENOENT` where the kernel was built without the
/// protocol's `*_diag` module, or may not load it.
pub fn bound_sockets(
    protocol: Protocol,
    family: Family,
    until: Instant,
) -> Result<Vec<BoundSocket>> {
    dump(protocol, family, 0, until)
}

/// The same for one local port, filtered by the kernel: the few sockets of a port fit one
/// datagram, which is made in one go.
///
/// # Errors
/// Those of [`bound_sockets`]
pub fn bound_sockets_on_port(
    protocol: Protocol,
    family: Family,
    port: u16,
    until: Instant,
) -> Result<Vec<BoundSocket>> {
    let mut found = dump(protocol, family, port, until)?;
    found.retain(|socket| socket.local.port() == port);
    Ok(found)
}

/// Port 0: any.
fn dump(protocol: Protocol, family: Family, port: u16, until: Instant) -> Result<Vec<BoundSocket>> {
    for _ in 0..ATTEMPTS {
        // A new socket for each attempt: nothing of the last one can be left in it.
        match dump_once(protocol, family, port, until) {
            Err(Error::DumpInterrupted { .. }) => log::debug!("{OPERATION}: interrupted, again"),
            found => return found,
        }
    }
    Err(Error::DumpInterrupted { operation: OPERATION.to_owned() })
}

fn dump_once(
    protocol: Protocol,
    family: Family,
    port: u16,
    until: Instant,
) -> Result<Vec<BoundSocket>> {
    let refused = |source| Error::refused(OPERATION, Capability::NetAdmin, source);
    let mut socket = Socket::new(NETLINK_SOCK_DIAG).map_err(refused)?;
    socket.bind_auto().map_err(refused)?;
    socket.connect(&KernelAddress::new(0, 0)).map_err(refused)?;
    let request = request(protocol, family, port);
    let sent = socket.send(&request, 0).map_err(refused)?;
    if sent != request.len() {
        return Err(incomplete("the request was cut off"));
    }
    let mut found = Found { protocol, family, sockets: Vec::new(), interrupted: false };
    loop {
        if !wait_readable(&socket, until).map_err(refused)? {
            return Err(Error::DeadlinePassed { operation: OPERATION.to_owned() });
        }
        let mut datagram = Vec::with_capacity(BUFFER);
        // MSG_TRUNC makes the kernel return the true length, so a datagram that did not fit
        // shows.
        match socket.recv(&mut datagram, libc::MSG_TRUNC) {
            Ok(length) if length > datagram.len() => {
                return Err(incomplete("a message was cut off"));
            }
            Ok(_) => {
                if found.take(&datagram)? {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(refused(error)),
        }
    }
    if found.interrupted {
        return Err(Error::DumpInterrupted { operation: OPERATION.to_owned() });
    }
    Ok(found.sockets)
}

struct Found {
    protocol: Protocol,
    family: Family,
    sockets: Vec<BoundSocket>,
    interrupted: bool,
}

impl Found {
    /// Takes the messages of one datagram; `true` when the dump is complete.
    fn take(&mut self, mut rest: &[u8]) -> Result<bool> {
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| incomplete(&error.to_string()))?;
            self.interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    self.keep(&response.header);
                }
                NetlinkPayload::Done(done) if done.code == 0 => return Ok(true),
                NetlinkPayload::Done(done) => return Err(kernel_refused(done.code)),
                NetlinkPayload::Error(error) => {
                    return Err(match error.code {
                        Some(code) => kernel_refused(code.get()),
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

    fn keep(&mut self, header: &InetResponseHeader) {
        let id = &header.socket_id;
        let local = SocketAddr::new(id.source_address, id.source_port);
        // A TCP socket without a port is none that listens; an unbound UDP one receives nothing.
        if Family::of(local.ip()) == self.family && local.port() != 0 {
            let (protocol, inode, uid) = (self.protocol, header.inode, header.uid);
            self.sockets.push(BoundSocket { protocol, local, inode, uid });
        }
    }
}

fn request(protocol: Protocol, family: Family, port: u16) -> Vec<u8> {
    let (family, mut socket_id) = match family {
        Family::V4 => (libc::AF_INET, SocketId::new_v4()),
        Family::V6 => (libc::AF_INET6, SocketId::new_v6()),
    };
    socket_id.source_port = port;
    let (protocol, states) = match protocol {
        // UDP has two states: TCP_CLOSE for bound, TCP_ESTABLISHED for connected.
        Protocol::Udp => (libc::IPPROTO_UDP, StateFlags::all()),
        Protocol::Tcp => (libc::IPPROTO_TCP, StateFlags::LISTEN),
    };
    let request = InetRequest {
        // These numbers are single bytes on the wire and small.
        family: u8::try_from(family).unwrap_or_default(),
        protocol: u8::try_from(protocol).unwrap_or_default(),
        extensions: ExtensionFlags::empty(),
        states,
        socket_id,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn incomplete(why: &str) -> Error {
    Error::DumpIncomplete { operation: OPERATION.to_owned(), why: why.to_owned() }
}

fn kernel_refused(code: i32) -> Error {
    let source = io::Error::from_raw_os_error(code.saturating_neg());
    Error::refused(OPERATION, Capability::NetAdmin, source)
}
