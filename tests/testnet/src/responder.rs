//! A host in user space that answers ARP requests as late as a test wants.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use etherparse::{ArpEthIpv4Packet, ArpOperation, NetSlice, SlicedPacket};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto, socket,
};

use crate::host::Host;

/// A thread that answers ARP requests for an address until it is dropped. The kernel of its host must not
/// have the address.
#[derive(Debug)]
pub struct Responder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    asked: AtomicUsize,
}

/// What it answers.
struct Identity {
    ip: Ipv4Addr,
    mac: [u8; 6],
    delays: Vec<Option<Duration>>,
}

impl Responder {
    /// Answers for `ip` from `mac` on `eth0`: the first request after the first delay, the second one after
    /// the second delay, and so on; `None` and what follows the last one is not answered.
    ///
    /// # Panics
    /// If there is no eth0 or no packet socket.
    #[must_use]
    pub fn start(host: &Host, ip: &str, mac: [u8; 6], delays: &[Option<Duration>]) -> Self {
        let (socket, index) = host.run(|| {
            let index = if_nametoindex("eth0").expect("eth0");
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)
                .expect("packet socket");
            (socket, usize::try_from(index).expect("index"))
        });
        let ip = ip.parse().expect("an address");
        let identity = Identity { ip, mac, delays: delays.to_vec() };
        let shared = Arc::new(Shared::default());
        let thread = host.thread({
            let shared = Arc::clone(&shared);
            move || shared.answer(&socket, index, &identity)
        });
        Self { shared, thread: Some(thread) }
    }

    /// How many requests for the address have been received.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn answer(&self, socket: &OwnedFd, index: usize, identity: &Identity) {
        let mut due: Vec<(Instant, Vec<u8>)> = Vec::new();
        let mut address = None;
        while !self.stop.load(Ordering::Relaxed) {
            while let Some((from, frame)) = receive(socket, index) {
                let Some(asker) = identity.asked_by(&frame) else { continue };
                let number = self.asked.fetch_add(1, Ordering::Relaxed);
                address = Some(from);
                if let Some(delay) = identity.delays.get(number).copied().flatten() {
                    due.push((Instant::now() + delay, identity.reply(&asker)));
                }
            }
            let now = Instant::now();
            due.retain(|(at, reply)| {
                if let (true, Some(address)) = (*at <= now, &address) {
                    let sent = sendto(socket.as_raw_fd(), reply, address, MsgFlags::empty());
                    sent.expect("a reply is sent");
                }
                *at > now
            });
            let wait = PollTimeout::from(1_u8);
            let _ = poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], wait);
        }
    }
}

impl Identity {
    /// The request, if the frame asks for this address.
    fn asked_by(&self, frame: &[u8]) -> Option<ArpEthIpv4Packet> {
        let Some(NetSlice::Arp(arp)) = SlicedPacket::from_ethernet(frame).ok()?.net else {
            return None;
        };
        let arp = ArpEthIpv4Packet::try_from(arp.to_packet()).ok()?;
        let asks = arp.operation == ArpOperation::REQUEST
            && arp.target_ipv4 == self.ip.octets()
            && arp.sender_ipv4 != self.ip.octets();
        asks.then_some(arp)
    }

    fn reply(&self, asker: &ArpEthIpv4Packet) -> Vec<u8> {
        let header = [&asker.sender_mac[..], &self.mac, &[8, 6]].concat();
        let kind = [0, 1, 8, 0, 6, 4, 0, 2];
        let sender = [&self.mac[..], &self.ip.octets()].concat();
        [&header[..], &kind, &sender, &asker.sender_mac, &asker.sender_ipv4].concat()
    }
}

/// The next frame that the interface has received; `None` if there is none now.
fn receive(socket: &OwnedFd, index: usize) -> Option<(LinkAddr, Vec<u8>)> {
    let mut buffer = vec![0; 2048];
    loop {
        match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
            Ok((length, Some(from))) => {
                if from.ifindex() == index && from.pkttype() != nix::libc::PACKET_OUTGOING {
                    buffer.truncate(length);
                    return Some((from, buffer));
                }
            }
            Ok((_, None)) | Err(Errno::EINTR | Errno::ENETDOWN) => {}
            Err(_) => return None,
        }
    }
}
