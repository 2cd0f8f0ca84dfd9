//! Peculiarities of SCTP: an endpoint may have several local addresses, and the kernel may have no
//! SCTP at all.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, setsockopt, socket,
    sockopt,
};

use crate::address::Family;

/// The attribute with all local addresses (`INET_DIAG_LOCALS`, linux/inet_diag.h).
pub(crate) const INET_DIAG_LOCALS: u16 = 12;

/// `sizeof(struct sockaddr_storage)`: the stride of that attribute
/// (`inet_diag_msg_sctpladdrs_fill()`, net/sctp/diag.c).
const STORAGE: usize = 128;

/// The addresses in an `INET_DIAG_LOCALS`: a `sockaddr_in` or `sockaddr_in6` each, whatever the
/// family of the socket, with the port in network order. An IPv4-mapped IPv6 address counts as IPv4.
pub(crate) fn local_addresses(attribute: &[u8]) -> Vec<SocketAddr> {
    attribute.chunks_exact(STORAGE).filter_map(socket_address).collect()
}

fn socket_address(storage: &[u8]) -> Option<SocketAddr> {
    // Both begin with family (2 bytes, of this host's order) and port (2 bytes, of the network's).
    let family = u16::from_ne_bytes(bytes(storage, 0)?);
    let port = u16::from_be_bytes(bytes(storage, 2)?);
    let ip: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::from(bytes::<4>(storage, 4)?).into(),
        // After the flow label (4 bytes).
        libc::AF_INET6 => Ipv6Addr::from(bytes::<16>(storage, 8)?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn bytes<const N: usize>(storage: &[u8], at: usize) -> Option<[u8; N]> {
    storage.get(at..)?.first_chunk().copied()
}

/// Whether this kernel has SCTP for a family. If SCTP is a module, this loads it, as every program
/// does that opens such a socket.
///
/// # Errors
/// The kernel refuses the socket for another reason.
pub fn supports_sctp(family: Family) -> io::Result<bool> {
    match sctp_socket(family) {
        Ok(_) => Ok(true),
        Err(Errno::ESOCKTNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Binds an SCTP socket as a server does, with `SO_REUSEADDR`, and closes it again.
///
/// # Errors
/// The reason why a server can't bind it.
pub fn try_sctp_bind(local: SocketAddr) -> io::Result<()> {
    let socket = sctp_socket(Family::of(local.ip()))?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    Ok(bind(socket.as_raw_fd(), &SockaddrStorage::from(local))?)
}

/// The one-to-many style, which SIP servers use (RFC 6458 section 3).
fn sctp_socket(family: Family) -> nix::Result<OwnedFd> {
    let family = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    socket(family, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, SockProtocol::Sctp)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A `struct sockaddr_storage` (linux/socket.h) with an address of `struct sockaddr_in` or
    /// `sockaddr_in6` (linux/in.h, linux/in6.h) in it.
    pub(crate) fn storage(family: i32, port: [u8; 2], rest: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(family).unwrap().to_ne_bytes().to_vec();
        bytes.extend_from_slice(&port);
        bytes.extend_from_slice(rest);
        bytes.resize(STORAGE, 0);
        bytes
    }

    #[test]
    fn every_address_of_an_endpoint() {
        let flow_label = [0xff; 4];
        let ip: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let mapped: Ipv6Addr = "::ffff:192.0.2.2".parse().unwrap();
        let attribute = [
            storage(libc::AF_INET, [0x13, 0xc4], &[192, 0, 2, 1]),
            storage(libc::AF_INET6, [0x13, 0xc5], &[&flow_label[..], &ip.octets()].concat()),
            storage(libc::AF_INET6, [0x13, 0xc4], &[&flow_label[..], &mapped.octets()].concat()),
            storage(libc::AF_UNIX, [0x13, 0xc4], b"/x"),
        ]
        .concat();
        let found: Vec<String> =
            local_addresses(&attribute).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:5060", "[2001:db8::1]:5061", "192.0.2.2:5060"]);
        // An address that was cut off is skipped.
        assert_eq!(local_addresses(&attribute[..STORAGE + 8]).len(), 1);
        assert_eq!(local_addresses(&[]), []);
    }

    #[test]
    fn support_and_bind_agree() {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = try_sctp_bind(local);
        assert_eq!(supports_sctp(Family::V4).unwrap(), bound.is_ok(), "{bound:?}");
    }
}
