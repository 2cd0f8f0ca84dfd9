//! ICMP echo (RFC 792) over the kernel's datagram socket for it: what a client sees of an address
//! without any program behind it.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

/// A socket for echo requests, in the calling thread's namespace, which has to permit it
/// (`net.ipv4.ping_group_range`, set here: the namespace is one of our own).
///
/// # Errors
/// The sysctl or the socket is refused.
pub fn open() -> std::io::Result<UdpSocket> {
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0")?;
    let fd: OwnedFd = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Icmp,
    )?;
    // The calls of a datagram socket are the same; only the payload has ICMP's header.
    Ok(UdpSocket::from(fd))
}

/// Where to send an echo request for an address: the port means nothing to ICMP.
pub const fn target(address: Ipv4Addr) -> SocketAddrV4 {
    SocketAddrV4::new(address, 0)
}

/// An echo request with `number` as its data; kernel fills in identifier and checksum.
pub fn echo_request(number: u64) -> Vec<u8> {
    // Type 8, code 0, checksum, identifier, sequence number (RFC 792, "Echo"): the number in the
    // data is enough to match the reply.
    let mut message = vec![8, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&number.to_be_bytes());
    message
}

/// The number of the request that an echo reply answers.
pub fn echo_reply(message: &[u8]) -> Option<u64> {
    if message.first() != Some(&0) {
        return None;
    }
    Some(u64::from_be_bytes(message.get(8..16)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_leads_back_to_its_request() {
        let mut message = echo_request(70_000);
        assert_eq!(echo_reply(&message), None);
        message[0] = 0;
        assert_eq!(echo_reply(&message), Some(70_000));
        assert_eq!(echo_reply(&message[..12]), None);
    }
}
