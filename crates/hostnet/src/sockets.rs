//! Who listens where: the kernel's table of sockets (sock_diag(7)).
//!
//! Not /proc/net/udp, which costs the kernel a line of text for every socket of the host,
//! and not a trial bind(), which says nothing under nonlocal bind or `SO_REUSEADDR`.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags,
};
use nix::libc;

use crate::address::Family;
use crate::error::{Error, Result};
use crate::sock_diag;

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

/// Ends every TCP connection of this host from or to its address `ip`, also while it is being
/// made: both sides see a reset. Returns how many there were. Listening sockets stay.
///
/// For an IPv4 address, those of IPv6 sockets that carry IPv4, too. To be called while `ip` is on
/// the host, else the resets can't leave it.
///
/// # Errors
/// [`Error::NotSupported`] by a kernel without `CONFIG_INET_DIAG_DESTROY` (Linux 4.5);
/// [`Error::PermissionDenied`], and those of [`bound_sockets`]
pub fn destroy_tcp_connections(ip: IpAddr, until: Instant) -> Result<usize> {
    let operation = format!("close the TCP connections of {ip}");
    let mut states = StateFlags::all();
    // What waits after its end has nobody to tell about it.
    states.remove(StateFlags::LISTEN | StateFlags::TIME_WAIT | StateFlags::CLOSE);
    let families: &[Family] = match Family::of(ip) {
        Family::V4 => &[Family::V4, Family::V6],
        Family::V6 => &[Family::V6],
    };
    let mut connections = Vec::new();
    for family in families {
        let request = request(Protocol::Tcp, *family, 0, states.clone());
        let found = sock_diag::dump(&operation, &request, until);
        match found {
            Ok(found) => connections.extend(found.into_iter().map(|header| header.socket_id)),
            Err(error) => return Err(not_supported(error)),
        }
    }
    connections.retain(|connection| connection.source_address.to_canonical() == ip);
    let mut count = 0;
    for connection in connections {
        let family = Family::of(connection.source_address);
        // By its cookie: another one with the same ports would not be meant.
        let any = request(Protocol::Tcp, family, 0, states.clone());
        let request = InetRequest { socket_id: connection, ..any };
        match sock_diag::destroy(&operation, &request, until) {
            Ok(()) => count += 1,
            // Gone since.
            Err(error) if error.errno() == Some(libc::ENOENT) => {}
            Err(error) => return Err(not_supported(error)),
        }
    }
    Ok(count)
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

/// Port 0: any.
fn dump(protocol: Protocol, family: Family, port: u16, until: Instant) -> Result<Vec<BoundSocket>> {
    let states = match protocol {
        // UDP has two states: TCP_CLOSE for bound, TCP_ESTABLISHED for connected.
        Protocol::Udp => StateFlags::all(),
        Protocol::Tcp => StateFlags::LISTEN,
    };
    let request = request(protocol, family, port, states);
    let found = sock_diag::dump("list the sockets", &request, until)?;
    Ok(found.iter().filter_map(|header| bound(protocol, family, header)).collect())
}

fn bound(protocol: Protocol, family: Family, header: &InetResponseHeader) -> Option<BoundSocket> {
    let id = &header.socket_id;
    let local = SocketAddr::new(id.source_address, id.source_port);
    let (inode, uid) = (header.inode, header.uid);
    // A TCP socket without a port is none that listens; an unbound UDP one receives nothing.
    let receives = Family::of(local.ip()) == family && local.port() != 0;
    receives.then_some(BoundSocket { protocol, local, inode, uid })
}

fn request(protocol: Protocol, family: Family, port: u16, states: StateFlags) -> InetRequest {
    let (family, mut socket_id) = match family {
        Family::V4 => (libc::AF_INET, SocketId::new_v4()),
        Family::V6 => (libc::AF_INET6, SocketId::new_v6()),
    };
    socket_id.source_port = port;
    let protocol = match protocol {
        Protocol::Udp => libc::IPPROTO_UDP,
        Protocol::Tcp => libc::IPPROTO_TCP,
    };
    InetRequest {
        // These numbers are single bytes on the wire and small.
        family: u8::try_from(family).unwrap_or_default(),
        protocol: u8::try_from(protocol).unwrap_or_default(),
        extensions: ExtensionFlags::empty(),
        states,
        socket_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Capability;

    #[test]
    fn a_kernel_without_it_is_told_apart() {
        let refused = |errno| {
            let source = std::io::Error::from_raw_os_error(errno);
            not_supported(Error::refused("close", Capability::NetAdmin, source))
        };
        for errno in [libc::EOPNOTSUPP, libc::ENOENT] {
            assert!(matches!(refused(errno), Error::NotSupported { .. }));
            assert_eq!(refused(errno).errno(), Some(errno));
        }
        assert!(matches!(refused(libc::EPERM), Error::PermissionDenied { .. }));
        assert!(matches!(refused(libc::EINVAL), Error::Refused { .. }));
    }
}
