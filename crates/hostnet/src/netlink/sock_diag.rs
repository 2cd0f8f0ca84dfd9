//! The kernel's table of sockets over sock_diag(7).
//!
//! `/proc/net/udp` costs the kernel a line of text for every socket of the host, and a trial
//! bind() proves nothing where addresses may be bound that are not on the host, or with
//! `SO_REUSEADDR`.

use std::net::{IpAddr, SocketAddr};

use deadline::Deadline;
use netlink_packet_sock_diag::constants::TCP_LISTEN;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags,
};
use netlink_packet_sock_diag::{SOCK_DESTROY, SOCK_DIAG_BY_FAMILY, SockDiagMessage};
use nix::libc;
use rtnetlink::packet_core::{DecodeError, Parseable};
use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;

use super::connection::{Connection, NetlinkProtocol};
use super::message::{Object, RawMessage};
use super::wire::{address_family, attributes_after};
use crate::address::Family;
use crate::error::{Error, Result};
use crate::retry::retry;
use crate::sctp::{INET_DIAG_LOCALS, local_addresses};
use crate::socket::{BoundSocket, Protocol};

/// `sizeof(struct inet_diag_msg)` (linux/inet_diag.h).
const HEADER_LENGTH: usize = 72;

/// A connection to the kernel's table of sockets, in the network namespace of the thread that
/// opened it.
pub struct SockDiag {
    connection: Connection,
}

impl SockDiag {
    /// Opens the connection, as [`crate::Netlink::open`] does. Needs no privilege.
    ///
    /// # Errors
    /// [`Error::Refused`] if the kernel gives no socket.
    pub fn open() -> Result<Self> {
        let protocol = NetlinkProtocol {
            number: NETLINK_SOCK_DIAG,
            open: "open a sock_diag socket",
            strict: false,
        };
        Ok(Self { connection: Connection::open(protocol)? })
    }

    /// Every bound UDP socket, or listening TCP or SCTP socket, of a family. An IPv6 socket bound
    /// to `::` may receive IPv4 as well. An SCTP endpoint with several local addresses is there
    /// once for each, those of the other family included.
    ///
    /// An answer that the kernel did not finish is an error. The kernel may still pass over a
    /// socket while others come and go, without a mark (`NLM_F_DUMP_INTR`): it counts within each
    /// chain of its hash table.
    ///
    /// # Errors
    /// [`Error::DumpIncomplete`], [`Error::DumpInterrupted`], [`Error::DeadlinePassed`],
    /// [`Error::Refused`]; its errno is `ENOENT` where the kernel was built without the protocol's
    /// `*_diag` module, or may not load it; for SCTP also where the protocol itself is not loaded
    /// (`sock_load_diag_module()`, net/core/sock_diag.c).
    pub fn bound_sockets(
        &self,
        protocol: Protocol,
        family: Family,
        until: Deadline,
    ) -> Result<Vec<BoundSocket>> {
        let states = match protocol {
            // UDP has two states: TCP_CLOSE for bound, TCP_ESTABLISHED for connected.
            Protocol::Udp => StateFlags::all(),
            // SCTP: without any other state the kernel passes over the associations
            // (sctp_diag_dump(), net/sctp/diag.c).
            Protocol::Tcp | Protocol::Sctp => StateFlags::LISTEN,
        };
        let request = message(SOCK_DIAG_BY_FAMILY, request(protocol, family, states));
        let operation = format_args!("list the {protocol} sockets");
        let found: Vec<DiagSocket> = self.connection.dump(operation, &request, until)?;
        Ok(found.iter().flat_map(|socket| bound(protocol, family, socket)).collect())
    }

    /// The bytes that wait to be read at the UDP sockets and TCP connections with exactly the local address
    /// `ip`; `None` if there is none of them.
    ///
    /// UDP: `sk_rmem_alloc`, the memory of what waits; TCP: the bytes that the program has not read yet
    /// (`udp_diag_get_info()`, `tcp_diag_get_info()`).
    ///
    /// # Errors
    /// Those of [`SockDiag::bound_sockets`]
    pub fn unread(&self, ip: IpAddr, until: Deadline) -> Result<Option<u64>> {
        // An IPv6 socket may carry IPv4.
        let families: &[Family] = match Family::of(ip) {
            Family::V4 => &[Family::V4, Family::V6],
            Family::V6 => &[Family::V6],
        };
        let mut unread = None;
        for family in families {
            for (protocol, states) in
                [(Protocol::Udp, StateFlags::all()), (Protocol::Tcp, connected())]
            {
                let request = message(SOCK_DIAG_BY_FAMILY, request(protocol, *family, states));
                let operation = format_args!("list the {protocol} sockets of {ip}");
                let found: Vec<DiagSocket> = self.connection.dump(operation, &request, until)?;
                for socket in found {
                    if socket.header.socket_id.source_address.to_canonical() == ip {
                        let queue = u64::from(socket.header.recv_queue);
                        unread = Some(unread.unwrap_or(0) + queue);
                    }
                }
            }
        }
        Ok(unread)
    }

    /// The TCP connections from or to the local address `ip`, also while they are being made.
    fn tcp_connections(&self, ip: IpAddr, until: Deadline) -> Result<Vec<SocketId>> {
        // An IPv6 socket may carry IPv4.
        let families: &[Family] = match Family::of(ip) {
            Family::V4 => &[Family::V4, Family::V6],
            Family::V6 => &[Family::V6],
        };
        let mut connections = Vec::new();
        for family in families {
            let request = request(Protocol::Tcp, *family, connected());
            let request = message(SOCK_DIAG_BY_FAMILY, request);
            let operation = format_args!("list the TCP connections of {ip}");
            let found: Vec<DiagSocket> = self.connection.dump(operation, &request, until)?;
            connections.extend(found.into_iter().map(|found| found.header.socket_id));
        }
        connections.retain(|connection| connection.source_address.to_canonical() == ip);
        Ok(connections)
    }

    /// Ends a connection of `ip`; `Ok(false)` if it has ended since.
    fn destroy(&self, ip: IpAddr, connection: SocketId, until: Deadline) -> Result<bool> {
        let family = Family::of(connection.source_address);
        // The identity has a cookie in it: another connection with the same ports is not meant.
        let request =
            InetRequest { socket_id: connection, ..request(Protocol::Tcp, family, connected()) };
        let operation = format_args!("close a TCP connection of {ip}");
        let request = message(SOCK_DESTROY, request);
        retry(until, |may_be_done| match self.connection.change(operation, &request, 0, until) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(may_be_done),
            Err(error) => Err(error),
        })
    }
}

impl std::fmt::Debug for SockDiag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SockDiag").finish_non_exhaustive()
    }
}

/// Ends every TCP connection of this host from or to its address `ip`, also while it is being
/// made: both sides see a reset. Returns how many there were. Listening sockets stay.
///
/// For an IPv4 address the connections of IPv6 sockets that carry IPv4 end, too. To be called
/// while `ip` is on the host, else the resets can't leave it.
///
/// # Errors
/// [`Error::NotSupported`] by a kernel without `CONFIG_INET_DIAG_DESTROY` (Linux 4.5);
/// [`Error::PermissionDenied`], and those of [`SockDiag::bound_sockets`]
pub fn destroy_tcp_connections(ip: IpAddr, until: Deadline) -> Result<usize> {
    let sockets = SockDiag::open()?;
    let mut count = 0;
    for connection in sockets.tcp_connections(ip, until).map_err(not_supported)? {
        count += usize::from(sockets.destroy(ip, connection, until).map_err(not_supported)?);
    }
    Ok(count)
}

/// The states in which the other end is there to receive a reset.
fn connected() -> StateFlags {
    let mut states = StateFlags::all();
    states.remove(StateFlags::LISTEN | StateFlags::TIME_WAIT | StateFlags::CLOSE);
    states
}

fn not_supported(error: Error) -> Error {
    match error {
        Error::Refused { operation, source }
            if matches!(source.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOENT)) =>
        {
            Error::NotSupported { operation, source }
        }
        other => other,
    }
}

/// A request for the sockets of any port.
fn request(protocol: Protocol, family: Family, states: StateFlags) -> InetRequest {
    let protocol = match protocol {
        Protocol::Udp => libc::IPPROTO_UDP,
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Sctp => libc::IPPROTO_SCTP,
    };
    InetRequest {
        family: address_family(family).into(),
        // These numbers are small.
        protocol: u8::try_from(protocol).unwrap_or_default(),
        extensions: ExtensionFlags::empty(),
        states,
        socket_id: match family {
            Family::V4 => SocketId::new_v4(),
            Family::V6 => SocketId::new_v6(),
        },
    }
}

/// The packet crate knows no other type of a request than that of a dump.
fn message(kind: u16, request: InetRequest) -> RawMessage {
    RawMessage { kind, ..RawMessage::of(&SockDiagMessage::InetRequest(request)) }
}

/// A socket as the kernel describes it.
#[derive(Debug)]
struct DiagSocket {
    header: InetResponseHeader,
    /// SCTP only: every local address; the header has one of them.
    locals: Vec<SocketAddr>,
}

impl Object for DiagSocket {
    const KIND: u16 = SOCK_DIAG_BY_FAMILY;

    /// `struct inet_diag_msg`, then attributes `INET_DIAG_*`.
    fn read(payload: &[u8]) -> std::result::Result<Option<Self>, DecodeError> {
        let header = InetResponseHeader::parse(payload)?;
        let mut locals = Vec::new();
        for attribute in attributes_after(HEADER_LENGTH, payload) {
            let attribute = attribute?;
            if attribute.kind == INET_DIAG_LOCALS {
                locals = local_addresses(attribute.value);
            }
        }
        Ok(Some(Self { header, locals }))
    }
}

fn bound(protocol: Protocol, family: Family, socket: &DiagSocket) -> Vec<BoundSocket> {
    let header = &socket.header;
    let id = &header.socket_id;
    let first = SocketAddr::new(id.source_address, id.source_port);
    let locals = match protocol {
        Protocol::Udp | Protocol::Tcp if Family::of(first.ip()) == family => vec![first],
        Protocol::Udp | Protocol::Tcp => Vec::new(),
        // The kernel shows every endpoint, whatever states were asked for.
        Protocol::Sctp if header.state != TCP_LISTEN => Vec::new(),
        Protocol::Sctp if socket.locals.is_empty() => vec![first],
        Protocol::Sctp => socket.locals.clone(),
    };
    let (inode, uid) = (header.inode, header.uid);
    // A socket without a port does not listen; an unbound UDP socket receives nothing.
    let locals = locals.into_iter().filter(|local| local.port() != 0);
    locals.map(|local| BoundSocket { protocol, local, inode, uid }).collect()
}

/// What the kernel says of one socket, as a target of a fuzzer (tests/fuzz).
#[cfg(any(test, fuzzing))]
pub(crate) fn decode(payload: &[u8]) {
    let Ok(Some(socket)) = DiagSocket::read(payload) else { return };
    for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Sctp] {
        for family in [Family::V4, Family::V6] {
            let bound = bound(protocol, family, &socket);
            assert!(bound.iter().all(|it| it.local.port() != 0), "{bound:?}");
        }
    }
}

#[cfg(test)]
mod tests;
