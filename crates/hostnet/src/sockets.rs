//! Who listens where: the kernel's table of sockets (sock_diag(7)).
//!
//! Not /proc/net/udp, which costs the kernel a line of text for every socket of the host,
//! and not a trial bind(), which says nothing under nonlocal bind or `SO_REUSEADDR`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use deadline::Deadline;
use netlink_packet_sock_diag::constants::TCP_LISTEN;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use nix::libc;

use crate::address::Family;
use crate::error::{Error, Result};
use crate::sock_diag::{self, Found};

/// The protocol of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// UDP: every bound socket, connected ones included.
    Udp,
    /// TCP: listening sockets only.
    Tcp,
    /// SCTP: listening endpoints only.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Sctp => "SCTP",
        })
    }
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

/// Every bound UDP socket, or listening TCP or SCTP socket, of a family, in the network namespace
/// of the calling thread. An IPv6 socket bound to `::` may receive IPv4 as well. An SCTP endpoint
/// with several local addresses is there once for each, those of the other family included.
///
/// An error if the kernel did not finish its answer. While sockets come and go the kernel may
/// all the same pass over one, and does not say so (it counts within each chain of its hash
/// table, without `NLM_F_DUMP_INTR`); to decide by the absence of a socket, ask for its port:
/// [`bound_sockets_on_port`].
///
/// # Errors
/// [`Error::DumpIncomplete`], [`Error::DumpInterrupted`], [`Error::DeadlinePassed`],
/// [`Error::Refused`]; its errno is `ENOENT` where the kernel was built without the
/// protocol's `*_diag` module, or may not load it; for SCTP also where nobody has loaded the
/// protocol itself (`sock_load_diag_module()`, net/core/sock_diag.c).
pub fn bound_sockets(
    protocol: Protocol,
    family: Family,
    until: Deadline,
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
    until: Deadline,
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
pub fn destroy_tcp_connections(ip: IpAddr, until: Deadline) -> Result<usize> {
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
            Ok(found) => connections.extend(found.into_iter().map(|one| one.header.socket_id)),
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
fn dump(
    protocol: Protocol,
    family: Family,
    port: u16,
    until: Deadline,
) -> Result<Vec<BoundSocket>> {
    let states = match protocol {
        // UDP has two states: TCP_CLOSE for bound, TCP_ESTABLISHED for connected.
        Protocol::Udp => StateFlags::all(),
        // SCTP: without any other state the kernel passes over the associations
        // (sctp_diag_dump(), net/sctp/diag.c).
        Protocol::Tcp | Protocol::Sctp => StateFlags::LISTEN,
    };
    let request = request(protocol, family, port, states);
    let found = sock_diag::dump(&format!("list the {protocol} sockets"), &request, until)?;
    Ok(found.iter().flat_map(|socket| bound(protocol, family, socket)).collect())
}

fn bound(protocol: Protocol, family: Family, socket: &Found) -> Vec<BoundSocket> {
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
    // A socket without a port is none that listens; an unbound UDP one receives nothing.
    let locals = locals.into_iter().filter(|local| local.port() != 0);
    locals.map(|local| BoundSocket { protocol, local, inode, uid }).collect()
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
        Protocol::Sctp => libc::IPPROTO_SCTP,
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
    use crate::sctp::tests::storage;

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

    /// A message as the kernel's SCTP makes it: `struct nlmsghdr` (linux/netlink.h),
    /// `struct inet_diag_msg` (linux/inet_diag.h), and the local addresses as the attribute
    /// `INET_DIAG_LOCALS` (`inet_sctp_diag_fill()`, net/sctp/diag.c).
    fn endpoint(family: i32, state: u8, port: u16, locals: &[Vec<u8>], inode: u32) -> Vec<u8> {
        let mut body = vec![u8::try_from(family).unwrap(), state, 0, 0];
        body.extend_from_slice(&port.to_be_bytes()); // idiag_sport
        body.extend_from_slice(&[0; 2]); // idiag_dport
        body.extend_from_slice(&[198, 51, 100, 7]); // idiag_src: the first word of four
        body.resize(4 + 4 + 16 + 16, 0); // idiag_src, idiag_dst
        body.extend_from_slice(&[0; 4 + 8]); // idiag_if, idiag_cookie
        body.extend_from_slice(&[0; 4]); // idiag_expires
        body.extend_from_slice(&[0, 0, 0, 0, 128, 0, 0, 0]); // idiag_rqueue, idiag_wqueue
        body.extend_from_slice(&65534_u32.to_ne_bytes()); // idiag_uid
        body.extend_from_slice(&inode.to_ne_bytes()); // idiag_inode
        assert_eq!(body.len(), 72);
        // INET_DIAG_SHUTDOWN, one byte and its padding: there by default, before the addresses.
        body.extend_from_slice(&[5, 0, 8, 0, 0, 0, 0, 0]);
        let value = locals.concat();
        let length = u16::try_from(4 + value.len()).unwrap();
        body.extend_from_slice(&length.to_ne_bytes());
        body.extend_from_slice(&12_u16.to_ne_bytes());
        body.extend_from_slice(&value);
        message(20, &body) // SOCK_DIAG_BY_FAMILY
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&2_u16.to_ne_bytes()); // NLM_F_MULTI
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(body);
        message
    }

    #[test]
    fn sctp_endpoints_as_the_kernel_describes_them() {
        const LISTENING: u8 = 10;
        const ESTABLISHED: u8 = 1;
        let v4 = |last, port: u16| storage(libc::AF_INET, port.to_be_bytes(), &[192, 0, 2, last]);
        let v6: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
        let v6 = storage(libc::AF_INET6, [0x13, 0xc4], &[&[0; 4][..], &v6.octets()].concat());
        let datagrams = [
            [
                endpoint(libc::AF_INET, LISTENING, 5060, &[v4(1, 5060)], 7),
                endpoint(libc::AF_INET, LISTENING, 5061, &[v4(2, 5061), v4(3, 5061)], 8),
            ]
            .concat(),
            [
                endpoint(libc::AF_INET6, LISTENING, 5060, &[v6, v4(4, 5060)], 9),
                endpoint(libc::AF_INET, ESTABLISHED, 5060, &[v4(5, 5060)], 10),
                endpoint(libc::AF_INET, LISTENING, 5062, &[], 11),
                message(3, &[0; 4]), // NLMSG_DONE
            ]
            .concat(),
        ];
        let (found, done) = sock_diag::answered(&datagrams).unwrap();
        assert!(done);
        let sockets: Vec<BoundSocket> =
            found.iter().flat_map(|one| bound(Protocol::Sctp, Family::V4, one)).collect();
        let shown: Vec<String> =
            sockets.iter().map(|socket| format!("{} {}", socket.local, socket.inode)).collect();
        assert_eq!(
            shown,
            [
                "192.0.2.1:5060 7",
                "192.0.2.2:5061 8",
                "192.0.2.3:5061 8",
                "[2001:db8::1]:5060 9",
                "192.0.2.4:5060 9",
                "198.51.100.7:5062 11",
            ]
        );
        assert!(sockets.iter().all(|one| one.protocol == Protocol::Sctp && one.uid == 65534));
        let (found, done) = sock_diag::answered(&datagrams[..1]).unwrap();
        assert_eq!((found.len(), done), (2, false));
    }

    #[test]
    fn a_kernel_without_sctp_says_that_it_can_not_list() {
        let until = Deadline::after(std::time::Duration::from_secs(60));
        for family in [Family::V4, Family::V6] {
            let listed = bound_sockets(Protocol::Sctp, family, until);
            match listed {
                Ok(_) => assert!(crate::supports_sctp(family).unwrap()),
                Err(error) => assert_eq!(error.errno(), Some(libc::ENOENT), "{error}"),
            }
        }
    }
}
