//! A packet socket (packet(7)) for one protocol on one link.
//!
//! It is a channel of pnet without three of pnet's defaults, which make the interface promiscuous,
//! receive every protocol, so that RTP on a busy SIP proxy pushes the one ARP reply out of the
//! socket's buffer, and receive from every link between socket() and bind(). Here the socket is made
//! for protocol 0, which receives nothing, and pnet binds it to one protocol on one link.
//!
//! The protocol IPv6 still includes all of the RTP stream. A classic BPF filter, attached before the
//! socket receives anything, passes Neighbor Advertisements and Solicitations only.

use std::io;
use std::net::{Ipv6Addr, UdpSocket};
use std::os::fd::{IntoRawFd, OwnedFd};

use deadline::Deadline;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use pnet::datalink::{
    Channel, ChannelType, Config, DataLinkReceiver, DataLinkSender, NetworkInterface, linux,
};
use pnet::util::MacAddr;
use socket2::{SockFilter, SockRef};

use super::ndisc::solicited_node;
use crate::error::{Capability, Error, Result};
use crate::link::{Link, LinkIndex};
use crate::readiness::wait_readable;

/// The protocol a socket is bound to (IEEE 802 numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtherType {
    /// ARP, 0x0806.
    Arp,
    /// IPv6, 0x86dd. Only Neighbor Advertisements and Solicitations are received.
    Ipv6,
}

impl EtherType {
    fn number(self) -> u16 {
        match self {
            Self::Arp => 0x0806,
            Self::Ipv6 => 0x86dd,
        }
    }

    /// The filter of the frames that are received; `None` for all.
    fn filter(self) -> Option<[SockFilter; 7]> {
        // linux/bpf_common.h: BPF_LD|BPF_B|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K. Offsets
        // count from the Ethernet header, jumps from the next instruction.
        const LOAD_BYTE: u16 = 0x30;
        const JUMP_IF_EQUAL: u16 = 0x15;
        const RETURN: u16 = 0x06;
        let neighbor_discovery = || {
            [
                SockFilter::new(LOAD_BYTE, 0, 0, 14 + 6),  // next header
                SockFilter::new(JUMP_IF_EQUAL, 0, 4, 58),  // ICMPv6, else drop
                SockFilter::new(LOAD_BYTE, 0, 0, 14 + 40), // type
                SockFilter::new(JUMP_IF_EQUAL, 1, 0, 135), // Neighbor Solicitation
                SockFilter::new(JUMP_IF_EQUAL, 0, 1, 136), // Neighbor Advertisement
                SockFilter::new(RETURN, 0, 0, u32::MAX),
                SockFilter::new(RETURN, 0, 0, 0),
            ]
        };
        match self {
            Self::Arp => None,
            Self::Ipv6 => Some(neighbor_discovery()),
        }
    }
}

/// A socket that sends and receives whole Ethernet frames of one protocol on one link.
pub struct PacketSocket {
    link: String,
    index: LinkIndex,
    // Memberships of multicast groups last as long as this socket. It receives nothing.
    groups: Option<UdpSocket>,
    // The same open socket as in sender and receiver, to wait for: the timeout of pnet's receiver
    // is fixed when it is made, while each call here has a deadline of its own.
    readiness: OwnedFd,
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
}

impl PacketSocket {
    /// Opens a socket on `link`, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::NotEthernet`], [`Error::PermissionDenied`] without `CAP_NET_RAW`,
    /// [`Error::NoSuchLink`] if the link has been deleted, [`Error::Refused`]
    pub fn open(link: &Link, protocol: EtherType) -> Result<Self> {
        let name = link.name.to_string();
        let Some(mac) = link.mac.filter(|_| link.ethernet) else {
            return Err(Error::NotEthernet { link: name });
        };
        let refused = |source: io::Error| {
            if source.raw_os_error() == Some(nix::libc::ENODEV) {
                Error::NoSuchLink { link: format!("interface {name}"), source }
            } else {
                let operation = format!("open a packet socket on interface {name}");
                Error::refused(operation, Capability::NetRaw, source)
            }
        };
        // SOCK_RAW: frames with Ethernet headers. The protocol is 0 until pnet binds the socket.
        let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
            .map_err(|errno| refused(errno.into()))?;
        if let Some(filter) = protocol.filter() {
            SockRef::from(&fd).attach_filter(&filter).map_err(refused)?;
        }
        let readiness = fd.try_clone().map_err(refused)?;
        let interface = NetworkInterface {
            name: name.clone(),
            description: String::new(),
            index: link.index.get(),
            mac: Some(MacAddr::from(mac.0)),
            ips: Vec::new(),
            flags: 0,
        };
        let config = Config {
            promiscuous: false,
            // For a given socket this is only the protocol that it is bound to.
            channel_type: ChannelType::Layer3(protocol.number()),
            // pnet closes it, even if pnet fails.
            socket_fd: Some(fd.into_raw_fd()),
            ..Config::default()
        };
        match linux::channel(&interface, (&config).into()).map_err(refused)? {
            Channel::Ethernet(sender, receiver) => {
                let (index, groups) = (link.index, None);
                Ok(Self { link: name, index, groups, readiness, sender, receiver })
            }
            _ => Err(Error::NotEthernet { link: name }),
        }
    }

    /// Makes the link receive what is sent to the solicited-node group of `ip` while this socket is
    /// open: solicitations of other hosts for an address that is not on this host. The host becomes
    /// a member of the group, without promiscuous mode, and announces that (MLD), for switches that
    /// forward multicast to members only.
    ///
    /// The answers to a probe need no membership: they go to all nodes.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`] if the link has been deleted, [`Error::Refused`], for example if IPv6
    /// is disabled on it.
    pub fn join_solicited_node(&mut self, ip: Ipv6Addr) -> Result<()> {
        let refused = |source: io::Error| {
            if source.raw_os_error() == Some(nix::libc::ENODEV) {
                Error::NoSuchLink { link: format!("interface {}", self.link), source }
            } else {
                let operation = format!("receive multicast on interface {}", self.link);
                Error::refused(operation, Capability::NetRaw, source)
            }
        };
        let groups = match self.groups.take() {
            Some(groups) => groups,
            // It is not bound: there is no port to which anything could be sent.
            None => socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
                .map_err(|errno| refused(errno.into()))?
                .into(),
        };
        let joined = match groups.join_multicast_v6(&solicited_node(ip), self.index.get()) {
            // It is a member already: another address has the same last 24 bits.
            Err(error) if error.raw_os_error() == Some(nix::libc::EADDRINUSE) => Ok(()),
            joined => joined.map_err(refused),
        };
        self.groups = Some(groups);
        joined
    }

    /// Sends one frame, Ethernet header included.
    ///
    /// # Errors
    /// [`Error::SendFailed`]; its errno is `ENETDOWN` on a link that is administratively down.
    /// Without a carrier it depends on the driver: most take the frame and drop it, some (veth)
    /// refuse it with `ENOBUFS`.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        loop {
            let source = match self.sender.send_to(frame, None) {
                Some(Ok(())) => return Ok(()),
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Some(Err(error)) => error,
                None => io::ErrorKind::Other.into(),
            };
            // pnet waits with poll(2), which reports ENETDOWN as an event without a reason; the
            // socket has it.
            let source = self.pending_error().unwrap_or(source);
            return Err(Error::SendFailed { link: self.link.clone(), source });
        }
    }

    /// The next frame of the protocol that arrives on the link, or that another socket of this host
    /// sends on it; `None` if there is none by the deadline. Frames sent through this socket are not
    /// received.
    ///
    /// # Errors
    /// [`Error::Refused`]; its errno is `ENETDOWN` after the link went down.
    pub fn receive(&mut self, until: Deadline) -> Result<Option<Vec<u8>>> {
        let failed = |link: &str, source| {
            Error::refused(format!("receive on interface {link}"), Capability::NetRaw, source)
        };
        loop {
            let ready = wait_readable(&self.readiness, until)
                .map_err(|source| failed(&self.link, source))?;
            if !ready {
                return Ok(None);
            }
            if let Some(source) = self.pending_error() {
                return Err(failed(&self.link, source));
            }
            match self.receiver.next() {
                Ok(frame) => return Ok(Some(frame.to_vec())),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                    ) => {}
                Err(source) => return Err(failed(&self.link, source)),
            }
        }
    }

    /// The open socket alone, for callers that have no time to close it: packet_release()
    /// (net/packet/af_packet.c) calls synchronize_net(), which takes 10 ms and more for the last
    /// descriptor of a bound socket.
    pub fn into_descriptor(self) -> OwnedFd {
        self.readiness
    }

    /// The pending error of the socket, which this clears.
    fn pending_error(&self) -> Option<io::Error> {
        use nix::sys::socket::{getsockopt, sockopt::SocketError};
        match getsockopt(&self.readiness, SocketError) {
            Ok(0) | Err(_) => None,
            Ok(errno) => Some(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl std::fmt::Debug for PacketSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketSocket").field("link", &self.link).finish_non_exhaustive()
    }
}
