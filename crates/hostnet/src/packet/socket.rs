//! A packet socket (packet(7)) for one protocol on one link.
//!
//! pnet binds it, without three of pnet's defaults, which make the interface promiscuous, receive
//! every protocol, so that RTP on a busy SIP proxy pushes the one ARP reply out of the socket's
//! buffer, and receive from every link between socket() and bind(). Here the socket is made for
//! protocol 0, which receives nothing, and pnet binds it to one protocol on one link. A filter of
//! the kernel, attached before the socket receives anything, passes only frames that are waited for
//! ([`super::filter`]).

use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use deadline::Deadline;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socket};
use pnet::datalink::{ChannelType, Config, NetworkInterface, linux};
use pnet::util::MacAddr;
use socket2::SockRef;

use super::filter::{program, subjects_of};
use super::ndisc::solicited_node;
use crate::error::{Capability, Error, Result};
use crate::link::{Link, LinkIndex};
use crate::readiness::wait_readable;
use crate::retry::{WITHOUT_DEADLINE, retry_within};

/// How long a frame is sent again that found no place in the queue of the link.
const SEND_AGAIN: Duration = Duration::from_millis(100);
/// Longer than any frame that is received.
const LONGEST_FRAME: usize = 4096;
/// How many frames are received after a deadline that were perhaps in the buffer before it. More
/// about the same addresses than the buffer holds by default (`net.core.rmem_default`).
const LATE_FRAMES: u32 = 512;

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
}

/// A socket that sends and receives whole Ethernet frames of one protocol on one link.
///
/// It receives what concerns the addresses that were named by the frames that it has sent, and by
/// [`PacketSocket::join_solicited_node`]: frames of hosts that claim one of them or probe for it.
/// The kernel drops all others.
pub struct PacketSocket {
    link: String,
    index: LinkIndex,
    protocol: EtherType,
    // Memberships of multicast groups last as long as this socket. It receives nothing.
    groups: Option<UdpSocket>,
    // Not blocking.
    socket: OwnedFd,
    subjects: Vec<IpAddr>,
    // How many frames have been received in a row after their deadline.
    late: u32,
}

impl PacketSocket {
    /// Opens a socket on `link`, in the network namespace of the calling thread. While the kernel has
    /// no memory or no descriptor left this tries again, for up to two seconds.
    ///
    /// # Errors
    /// [`Error::NotEthernet`], [`Error::PermissionDenied`] without `CAP_NET_RAW`,
    /// [`Error::NoSuchLink`] if the link has been deleted, [`Error::Refused`]
    pub fn open(link: &Link, protocol: EtherType) -> Result<Self> {
        let name = link.name.to_string();
        let Some(mac) = link.mac.filter(|_| link.ethernet) else {
            return Err(Error::NotEthernet { link: name });
        };
        let interface = NetworkInterface {
            name: name.clone(),
            description: String::new(),
            index: link.index.get(),
            mac: Some(MacAddr::from(mac.0)),
            ips: Vec::new(),
            flags: 0,
        };
        let socket = retry_within(WITHOUT_DEADLINE, || {
            bind(&interface, protocol).map_err(|source| {
                refused(&name, format!("open a packet socket on interface {name}"), source)
            })
        })?;
        let (index, groups, subjects) = (link.index, None, Vec::new());
        Ok(Self { link: name, index, protocol, groups, socket, subjects, late: 0 })
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
        let failed = |source| {
            refused(&self.link, format!("receive multicast on interface {}", self.link), source)
        };
        let groups = match self.groups.take() {
            Some(groups) => groups,
            // It is not bound: there is no port to which anything could be sent.
            None => retry_within(WITHOUT_DEADLINE, || {
                socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
                    .map_err(|errno| failed(errno.into()))
            })?
            .into(),
        };
        let joined = match groups.join_multicast_v6(&solicited_node(ip), self.index.get()) {
            // It is a member already: another address has the same last 24 bits.
            Err(error) if error.raw_os_error() == Some(nix::libc::EADDRINUSE) => Ok(()),
            joined => joined.map_err(failed),
        };
        self.groups = Some(groups);
        self.listen_to([ip.into()])?;
        joined
    }

    /// Sends one frame, Ethernet header included. Where the queue of the link has no place for it,
    /// or the kernel no memory, it is sent again for up to a tenth of a second.
    ///
    /// # Errors
    /// [`Error::SendFailed`]: the frame was not sent. Its errno is `ENETDOWN` on a link that is
    /// administratively down or deleted. Without a carrier it depends on the driver: most take the frame and
    /// drop it, some (veth) refuse it with `ENOBUFS`. [`Error::Refused`] if the answers to it could
    /// not be received.
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        // Before an answer can come.
        self.listen_to(subjects_of(frame))?;
        retry_within(SEND_AGAIN, || {
            let failed = |errno: Errno| {
                let (link, source) = (self.link.clone(), errno.into());
                Error::SendFailed { link, source }
            };
            self.send_once(frame).map_err(failed)
        })
    }

    fn send_once(&self, frame: &[u8]) -> nix::Result<()> {
        let sent = || send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
        let sent = match sent() {
            // That the link was down for a moment is reported once.
            Err(Errno::ENETDOWN) => sent(),
            sent => sent,
        };
        match sent {
            Ok(_) => Ok(()),
            // The socket is bound to a link that is down now (packet_notifier(),
            // net/packet/af_packet.c).
            Err(Errno::ENXIO) => Err(Errno::ENETDOWN),
            Err(errno) => Err(errno),
        }
    }

    /// The next frame of the protocol that arrives on the link and is about an address that is
    /// listened to; `None` if there is none by the deadline. Frames sent through this socket are not
    /// received.
    ///
    /// Frames that are in the buffer when the deadline passes are received, too, but not endlessly
    /// while others follow them.
    ///
    /// # Errors
    /// [`Error::Refused`]; its errno is `ENETDOWN` after the link went down.
    pub fn receive(&mut self, until: Deadline) -> Result<Option<Vec<u8>>> {
        self.late = if until.has_passed() { self.late + 1 } else { 0 };
        let received = if self.late > LATE_FRAMES { Ok(None) } else { self.next_frame(until) };
        if !matches!(received, Ok(Some(_))) {
            self.late = 0;
        }
        received.map_err(|source| {
            refused(&self.link, format!("receive on interface {}", self.link), source)
        })
    }

    /// Whether a frame is there that [`PacketSocket::receive`] returns at once.
    ///
    /// # Errors
    /// [`Error::Refused`]
    pub fn has_frames(&self) -> Result<bool> {
        wait_readable(&self.socket, Deadline::now()).map_err(|source| {
            refused(&self.link, format!("receive on interface {}", self.link), source)
        })
    }

    fn next_frame(&self, until: Deadline) -> io::Result<Option<Vec<u8>>> {
        let mut frame = vec![0; LONGEST_FRAME];
        while wait_readable(&self.socket, until)? {
            match recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                Ok(length) => {
                    frame.truncate(length);
                    return Ok(Some(frame));
                }
                Err(Errno::EAGAIN | Errno::EINTR) if !until.has_passed() => {}
                Err(Errno::EAGAIN | Errno::EINTR) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(None)
    }

    /// The open socket alone, for callers that have no time to close it: packet_release()
    /// (net/packet/af_packet.c) calls synchronize_net(), which takes 10 ms and more for the last
    /// descriptor of a bound socket.
    pub fn into_descriptor(self) -> OwnedFd {
        self.socket
    }

    /// The socket again, of which another process has had the descriptor: from now on it receives
    /// what concerns these addresses, after what it has received already.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is no socket.
    pub fn from_descriptor(
        link: &Link,
        protocol: EtherType,
        socket: OwnedFd,
        subjects: &[IpAddr],
    ) -> Result<Self> {
        let (link, index) = (link.name.to_string(), link.index);
        let (groups, known) = (None, Vec::new());
        let mut socket = Self { link, index, protocol, groups, socket, subjects: known, late: 0 };
        socket.listen_to(subjects.iter().copied())?;
        Ok(socket)
    }

    /// Receives frames about these addresses from now on, too.
    fn listen_to(&mut self, subjects: impl IntoIterator<Item = IpAddr>) -> Result<()> {
        let known = self.subjects.len();
        for ip in subjects {
            if !self.subjects.contains(&ip) {
                self.subjects.push(ip);
            }
        }
        if self.subjects.len() == known {
            return Ok(());
        }
        let program = program(self.protocol, &self.subjects);
        let attached = retry_within(SEND_AGAIN, || {
            SockRef::from(&self.socket).attach_filter(&program).map_err(|source| {
                refused(&self.link, format!("receive on interface {}", self.link), source)
            })
        });
        if attached.is_err() {
            self.subjects.truncate(known);
        }
        attached
    }
}

/// A socket that is bound to the protocol on the interface and does not block.
fn bind(interface: &NetworkInterface, protocol: EtherType) -> io::Result<OwnedFd> {
    // SOCK_RAW: frames with Ethernet headers. The protocol is 0 until pnet binds the socket.
    let unbound = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
    SockRef::from(&unbound).attach_filter(&program(protocol, &[]))?;
    let socket = unbound.try_clone()?;
    let config = Config {
        promiscuous: false,
        // For a given socket this is only the protocol that it is bound to.
        channel_type: ChannelType::Layer3(protocol.number()),
        // pnet closes it, even if pnet fails. The other descriptor keeps the socket open.
        socket_fd: Some(unbound.into_raw_fd()),
        ..Config::default()
    };
    // pnet's channel waits without an end: for a place in the buffer, and for a frame.
    linux::channel(interface, (&config).into())?;
    Ok(socket)
}

fn refused(link: &str, operation: String, source: io::Error) -> Error {
    if source.raw_os_error() == Some(nix::libc::ENODEV) {
        Error::NoSuchLink { link: format!("interface {link}"), source }
    } else {
        Error::refused(operation, Capability::NetRaw, source)
    }
}

impl std::fmt::Debug for PacketSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketSocket").field("link", &self.link).finish_non_exhaustive()
    }
}
