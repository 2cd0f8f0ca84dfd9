//! Packet capture on one interface of a host.

use std::io::IoSliceMut;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use etherparse::{ArpEthIpv4Packet, ArpOperation, LinkSlice, NetSlice, SlicedPacket};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;

use crate::host::Host;

/// Which way a frame went, as the captured interface sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Sent by the host.
    Sent,
    /// Received by it.
    Received,
}

/// A frame on the wire.
#[derive(Debug, Clone)]
pub struct CapturedFrame {
    /// When the kernel saw it, by its own time stamp.
    pub at: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// The whole Ethernet frame.
    pub bytes: Vec<u8>,
}

/// An ARP frame, read by etherparse.
#[derive(Debug, Clone)]
pub struct ArpFrame {
    /// When the kernel saw it.
    pub at: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// Ethernet source.
    pub source: [u8; 6],
    /// Ethernet destination.
    pub destination: [u8; 6],
    /// Operation 2, otherwise 1.
    pub is_reply: bool,
    /// Sender hardware address.
    pub sender_mac: [u8; 6],
    /// Sender protocol address.
    pub sender_ip: Ipv4Addr,
    /// Target hardware address.
    pub target_mac: [u8; 6],
    /// Target protocol address.
    pub target_ip: Ipv4Addr,
}

impl CapturedFrame {
    /// As ARP; `None` if it is something else.
    #[must_use]
    pub fn arp(&self) -> Option<ArpFrame> {
        let packet = SlicedPacket::from_ethernet(&self.bytes).ok()?;
        let (Some(LinkSlice::Ethernet2(ethernet)), Some(NetSlice::Arp(arp))) =
            (packet.link, packet.net)
        else {
            return None;
        };
        let arp = ArpEthIpv4Packet::try_from(arp.to_packet()).ok()?;
        Some(ArpFrame {
            at: self.at,
            direction: self.direction,
            source: ethernet.source(),
            destination: ethernet.destination(),
            is_reply: arp.operation == ArpOperation::REPLY,
            sender_mac: arp.sender_mac,
            sender_ip: arp.sender_ipv4.into(),
            target_mac: arp.target_mac,
            target_ip: arp.target_ipv4.into(),
        })
    }
}

/// A running capture of every frame that an interface sends or receives; it ends when
/// dropped.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    frames: Vec<CapturedFrame>,
    /// Numbers of questions asked and answered: an answer says that everything was read
    /// that the kernel had captured when the question was asked.
    asked: u64,
    answered: u64,
}

impl Capture {
    /// Starts a capture; what happens after the return is in it.
    ///
    /// # Panics
    /// If there is no such interface or no packet socket.
    #[must_use]
    pub fn start(host: &Host, interface: &str) -> Self {
        let (fd, index) = host.run(|| {
            let index = if_nametoindex(interface)
                .unwrap_or_else(|error| panic!("{}: {interface}: {error}", host.name()));
            // ETH_P_ALL shows what is sent, too. Bound to no interface: frames of others are
            // dropped by their index below.
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let fd = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)
                .expect("packet socket");
            setsockopt(&fd, sockopt::ReceiveTimestampns, &true).expect("time stamps");
            (fd, usize::try_from(index).expect("index"))
        });
        let shared = Arc::new(Shared::default());
        let thread = host.thread({
            let shared = Arc::clone(&shared);
            move || shared.read(&fd, index)
        });
        Self { shared, thread: Some(thread) }
    }

    /// Every frame up to now: what the kernel had captured when this was called is in it.
    ///
    /// # Panics
    /// If the capture has failed.
    #[must_use]
    pub fn frames(&self) -> Vec<CapturedFrame> {
        let mut state = self.shared.state.lock().expect("capture");
        state.asked += 1;
        let question = state.asked;
        while state.answered < question {
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            assert!(!ended, "the capture has ended");
            (state, _) =
                self.shared.changed.wait_timeout(state, Duration::from_secs(1)).expect("capture");
        }
        state.frames.clone()
    }

    /// The ARP frames up to now.
    ///
    /// # Panics
    /// If the capture has failed.
    #[must_use]
    pub fn arp_frames(&self) -> Vec<ArpFrame> {
        self.frames().iter().filter_map(CapturedFrame::arp).collect()
    }

    /// The first frame that `wanted` accepts, as soon as it is there.
    ///
    /// # Panics
    /// Naming `what`, if there is none `within` that time.
    pub fn wait_for(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&CapturedFrame) -> bool,
    ) -> CapturedFrame {
        let until = Instant::now() + within;
        loop {
            let frames = self.frames();
            if let Some(frame) = frames.iter().find(|frame| wanted(frame)) {
                return frame.clone();
            }
            assert!(
                Instant::now() < until,
                "waited {within:?} in vain for {what}; captured {} frames: {:x?}",
                frames.len(),
                frames.iter().map(|frame| &frame.bytes).collect::<Vec<_>>()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The first ARP frame that `wanted` accepts, as soon as it is there.
    ///
    /// # Panics
    /// Naming `what`, if there is none `within` that time.
    pub fn wait_for_arp(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&ArpFrame) -> bool,
    ) -> ArpFrame {
        let frame =
            self.wait_for(what, within, |frame| frame.arp().is_some_and(|arp| wanted(&arp)));
        frame.arp().expect("it was ARP a moment ago")
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn read(&self, fd: &OwnedFd, index: usize) {
        let clocks = Clocks::read();
        while !self.stop.load(Ordering::Relaxed) {
            let question = self.state.lock().expect("capture").asked;
            let mut new = Vec::new();
            while let Some((link, frame)) = receive(fd, clocks) {
                if link == index {
                    new.push(frame);
                }
            }
            let mut state = self.state.lock().expect("capture");
            state.frames.append(&mut new);
            state.answered = question;
            drop(state);
            self.changed.notify_all();
            let timeout = PollTimeout::from(3_u8);
            let _ = poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout);
        }
    }
}

/// The next captured frame and the index of its interface; `None` if there is none now.
fn receive(fd: &OwnedFd, clocks: Clocks) -> Option<(usize, CapturedFrame)> {
    // More than any MTU in use, jumbo frames and loopback included.
    let mut buffer = vec![0; 70_000];
    let mut control = nix::cmsg_space!(TimeSpec);
    loop {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let received =
            recvmsg::<LinkAddr>(fd.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty());
        let message = match received {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return None,
            // ENETDOWN is told once when an interface goes down; others go on.
            Err(Errno::EINTR | Errno::ENETDOWN) => continue,
            Err(errno) => panic!("capture: {errno}"),
        };
        let stamp = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            })
        });
        let address = message.address.expect("packet sockets tell the interface");
        let length = message.bytes;
        let direction = if address.pkttype() == nix::libc::PACKET_OUTGOING {
            Direction::Sent
        } else {
            Direction::Received
        };
        let at = clocks.instant_of(stamp.expect("time stamps are on"));
        buffer.truncate(length);
        return Some((address.ifindex(), CapturedFrame { at, direction, bytes: buffer }));
    }
}

/// The same moment on the clock of the kernel's time stamps and on that of `Instant`. Both clocks are
/// slewed alike, so one reading serves a whole capture. A reading for each frame would be wrong by the
/// time for which the scheduler puts this thread off between the two clocks.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    instant: Instant,
    wall: SystemTime,
}

impl Clocks {
    /// Returns the closest of several readings.
    fn read() -> Self {
        let readings = (0..16).map(|_| {
            let before = Instant::now();
            let wall = SystemTime::now();
            let took = before.elapsed();
            (took, Self { instant: before + took / 2, wall })
        });
        readings.min_by_key(|(took, _)| *took).expect("sixteen readings").1
    }

    /// Converts a time stamp, given as the time since the epoch.
    fn instant_of(self, stamp: Duration) -> Instant {
        match self.wall.duration_since(SystemTime::UNIX_EPOCH + stamp) {
            Ok(before) => self.instant.checked_sub(before).unwrap_or(self.instant),
            Err(after) => self.instant + after.duration(),
        }
    }
}
