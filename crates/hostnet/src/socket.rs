//! Sockets of the host as values; no effect in here.

use std::fmt;
use std::net::SocketAddr;

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
    /// The address and port it is bound to; the unspecified address for all addresses.
    pub local: SocketAddr,
    /// The inode in the `socket:[inode]` links of `/proc/PID/fd`, by which its processes are found.
    pub inode: u32,
    /// The effective user of the process that made it.
    pub uid: u32,
}
