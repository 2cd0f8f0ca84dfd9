//! Packet sockets against the kernel, in network namespaces.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{End, LONG, MAC_A, MAC_B, drop_capabilities, soon, wait_until_up};
use deadline::Deadline;
use hostnet::arp::{self, Arp};
use hostnet::{Capability, Error, EtherType, Link, MacAddress, Netlink, PacketSocket};
use testnet::{Cable, Capture, Direction, Host, neighbour_cache, wait_until};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

fn two_hosts() -> (Host, Host, Cable) {
    let (a, b, cable) = common::two_hosts();
    a.ip("addr add 192.0.2.1/24 dev eth0");
    b.ip("addr add 192.0.2.2/24 dev eth0");
    (a, b, cable)
}

fn link(name: &str) -> Link {
    common::link(&Netlink::open().unwrap(), name)
}

#[test]
fn an_announcement_updates_the_neighbours_cache() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    b.ip("neigh replace 192.0.2.10 lladdr 02:00:00:00:00:99 nud stale dev eth0");
    let capture = Capture::start(&b, "eth0");
    a.run(|| {
        let eth0 = link("eth0");
        let mut socket = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
        socket.send(&arp::announcement_request(eth0.mac.unwrap(), VIP)).unwrap();
    });
    let seen = capture.wait_for_arp("the announcement", LONG, |arp| arp.sender_ip == VIP);
    assert_eq!(seen.direction, Direction::Received);
    assert_eq!((seen.source, seen.destination), ([2, 0, 0, 0, 0, 0x0a], [0xff; 6]));
    assert_eq!((seen.target_ip, seen.is_reply), (VIP, false));
    wait_until("b has learnt the new MAC address", LONG, || {
        let cache = neighbour_cache(&b);
        cache.iter().any(|known| known.ip == VIP && known.mac.as_deref() == Some(MAC_A))
    });
}

#[test]
fn a_probe_is_answered_and_other_traffic_is_not_received() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    b.ip("addr add 192.0.2.10/24 dev eth0");
    a.run(|| {
        let eth0 = link("eth0");
        let mac = eth0.mac.unwrap();
        let mut socket = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
        // IP traffic on the link, which is not for this socket.
        let udp = std::net::UdpSocket::bind("192.0.2.1:0").unwrap();
        for _ in 0..100 {
            udp.send_to(b"RTP", "192.0.2.2:9").unwrap();
        }
        socket.send(&arp::probe(mac, VIP)).unwrap();
        let until = soon();
        let owner = loop {
            let frame = socket.receive(until).unwrap().unwrap();
            let arp = Arp::parse(&frame).unwrap_or_else(|| panic!("not ARP: {frame:x?}"));
            if let Some(owner) = arp.claims(VIP) {
                break owner;
            }
        };
        assert_eq!(owner, MAC_B.parse::<MacAddress>().unwrap());
        let flags = std::fs::read_to_string("/sys/class/net/eth0/flags").unwrap();
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap();
        assert_eq!(flags & 0x100, 0, "promiscuous");

        // No host has this address: frames that arrive by the deadline don't claim it.
        let free = Ipv4Addr::new(192, 0, 2, 77);
        socket.send(&arp::probe(mac, free)).unwrap();
        let until = Deadline::after(Duration::from_millis(100));
        while let Some(frame) = socket.receive(until).unwrap() {
            assert_eq!(Arp::parse(&frame).unwrap().claims(free), None);
        }
        assert!(until.has_passed());
        assert_eq!(socket.receive(Deadline::now()).unwrap(), None);
        assert!(!socket.has_frames().unwrap());
    });
}

#[test]
fn a_socket_that_was_handed_over_goes_on_where_it_was() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    b.ip("addr add 192.0.2.10/24 dev eth0");
    a.run(|| {
        let eth0 = link("eth0");
        let mac = eth0.mac.unwrap();
        let mut first = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
        first.send(&arp::probe(mac, VIP)).unwrap();
        wait_until("B has answered", LONG, || first.has_frames().unwrap());
        let descriptor = first.into_descriptor();
        let subjects = [VIP.into()];
        let mut second =
            PacketSocket::from_descriptor(&eth0, EtherType::Arp, descriptor, &subjects).unwrap();
        for _ in 0..2 {
            let frame = second.receive(soon()).unwrap().unwrap();
            assert_eq!(Arp::parse(&frame).unwrap().claims(VIP), Some(MAC_B.parse().unwrap()));
            second.send(&arp::probe(mac, VIP)).unwrap();
        }
        let null = std::fs::File::open("/dev/null").unwrap().into();
        let refused = PacketSocket::from_descriptor(&eth0, EtherType::Arp, null, &subjects);
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    });
}

#[test]
fn errors_name_their_condition() {
    testnet::root_or_skip!();
    let (a, _b, cable) = two_hosts();
    a.run(|| {
        let refused = PacketSocket::open(&link("lo"), EtherType::Arp).unwrap_err();
        assert!(matches!(refused, Error::NotEthernet { .. }), "{refused:?}");

        let eth0 = link("eth0");
        let frame = arp::announcement_request(eth0.mac.unwrap(), VIP);
        let mut socket = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
        // Without a carrier it depends on the driver; veth returns ENOBUFS.
        cable.unplug(&a);
        if let Err(refused) = socket.send(&frame) {
            assert_eq!(refused.errno(), Some(nix::libc::ENOBUFS), "{refused:?}");
        }
        cable.plug(&a);
        // A link that is down is an error in both directions.
        a.ip("link set eth0 down");
        // The kernel reports once that the link went down, and then refuses frames.
        for _ in 0..2 {
            let refused = socket.send(&frame).unwrap_err();
            assert!(matches!(refused, Error::SendFailed { .. }), "{refused:?}");
            assert_eq!(refused.errno(), Some(nix::libc::ENETDOWN));
        }
        a.ip("link set eth0 up");
        wait_until_up(&a, "eth0");
        socket.send(&frame).unwrap();
        a.ip("link set eth0 down");
        let refused = socket.receive(soon()).unwrap_err();
        assert_eq!(refused.errno(), Some(nix::libc::ENETDOWN), "{refused:?}");
        a.ip("link del eth0");
        let refused = PacketSocket::open(&eth0, EtherType::Arp).unwrap_err();
        assert!(matches!(refused, Error::NoSuchLink { .. }), "{refused:?}");

        drop_capabilities();
        let refused = PacketSocket::open(&eth0, EtherType::Arp).unwrap_err();
        let Error::PermissionDenied { capability, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(*capability, Capability::NetRaw);
        assert!(refused.to_string().contains("CAP_NET_RAW"), "{refused}");
    });
}

/// Sends frames until the guard is dropped, and counts them.
struct Storm<'a> {
    sent: AtomicU64,
    ended: AtomicBool,
    frames: &'a [[u8; 42]],
}

impl<'a> Storm<'a> {
    fn of(frames: &'a [[u8; 42]]) -> Self {
        Self { sent: AtomicU64::new(0), ended: AtomicBool::new(false), frames }
    }

    /// While the storm rages at `host`, does `action` on the calling thread.
    fn during(&self, host: &Host, action: impl FnOnce()) {
        std::thread::scope(|scope| {
            scope.spawn(|| host.run(|| self.rage()));
            // Also if the action panics.
            let _end = End(&self.ended);
            self.wait_for_more("the storm has begun");
            action();
            self.wait_for_more("the storm goes on");
        });
    }

    fn rage(&self) {
        let mut socket = PacketSocket::open(&link("eth0"), EtherType::Arp).unwrap();
        while !self.ended.load(Ordering::Relaxed) {
            for frame in self.frames {
                let _ = socket.send(frame);
                self.sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// More frames than the buffer of a socket holds.
    fn wait_for_more(&self, what: &str) {
        let before = self.sent.load(Ordering::Relaxed);
        wait_until(what, LONG, || self.sent.load(Ordering::Relaxed) > before + 2000);
    }
}

/// Reads slower than frames arrive, as on a host that is short of time.
fn receive_slowly(socket: &mut PacketSocket, until: Deadline) -> Vec<Arp> {
    let guard = soon();
    let mut received = Vec::new();
    while let Some(frame) = socket.receive(until).unwrap() {
        received.push(Arp::parse(&frame).unwrap());
        std::thread::sleep(Duration::from_millis(1));
        assert!(!guard.has_passed(), "receiving does not end: {} frames", received.len());
    }
    received
}

#[test]
fn a_storm_of_claims_does_not_keep_a_receiver_from_its_deadline() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    let rival = MAC_B.parse().unwrap();
    let claim = [arp::announcement_request(rival, VIP)];
    let storm = Storm::of(&claim);
    a.run(|| {
        let eth0 = link("eth0");
        let mut socket = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
        socket.send(&arp::probe(eth0.mac.unwrap(), VIP)).unwrap();
        storm.during(&b, || {
            for _ in 0..2 {
                let until = Deadline::after(Duration::from_secs(1));
                let received = receive_slowly(&mut socket, until);
                assert!(until.has_passed());
                assert!(received.iter().all(|arp| arp.claims(VIP) == Some(rival)));
                assert!(!received.is_empty());
            }
            // Without waiting it is the same, and frames go on to be received.
            for _ in 0..2 {
                storm.wait_for_more("frames wait");
                assert!(!receive_slowly(&mut socket, Deadline::now()).is_empty());
            }
        });
    });
}

#[test]
fn a_storm_about_other_addresses_is_not_received() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    let (other, third) = (Ipv4Addr::new(192, 0, 2, 77), Ipv4Addr::new(192, 0, 2, 78));
    let (mac, mac_b) = (MacAddress([2, 0, 0, 0, 0, 0x77]), MAC_B.parse().unwrap());
    let broadcast = MacAddress::BROADCAST;
    let frames = [
        arp::announcement_request(mac, other),
        arp::announcement_reply(mac, other, broadcast),
        arp::request(mac, other, third),
        // Asks for it, and claims nothing.
        arp::request(mac, other, VIP),
        arp::probe(mac, third),
    ];
    let storm = Storm::of(&frames);
    b.ip("addr add 192.0.2.10/24 dev eth0");
    a.run(|| {
        let eth0 = link("eth0");
        let mut socket = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
        storm.during(&b, || {
            assert_eq!(socket.receive(Deadline::now()).unwrap(), None, "before anything is asked");
            socket.send(&arp::probe(eth0.mac.unwrap(), VIP)).unwrap();
            // The buffer would be full of the storm when the answer comes.
            storm.wait_for_more("the storm goes on");
            let answer = Arp::parse(&socket.receive(soon()).unwrap().unwrap()).unwrap();
            assert_eq!(answer.claims(VIP), Some(mac_b));
            let until = Deadline::after(Duration::from_millis(100));
            assert_eq!(receive_slowly(&mut socket, until), []);
        });
    });
}

#[test]
fn every_address_that_was_asked_for_is_listened_to() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    let mac_b: MacAddress = MAC_B.parse().unwrap();
    // More than the filter has room for, at last.
    let asked: Vec<Ipv4Addr> = (1..=20).map(|last| Ipv4Addr::new(198, 51, 100, last)).collect();
    a.run(|| {
        let eth0 = link("eth0");
        let mut socket = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
        for (position, ip) in asked.iter().enumerate() {
            socket.send(&arp::request(eth0.mac.unwrap(), VIP, *ip)).unwrap();
            b.run(|| {
                let mut socket = PacketSocket::open(&link("eth0"), EtherType::Arp).unwrap();
                socket.send(&arp::probe(mac_b, asked[0])).unwrap();
                socket.send(&arp::announcement_request(mac_b, *ip)).unwrap();
            });
            let mut next = || {
                let frame = socket.receive(soon()).unwrap().unwrap();
                Arp::parse(&frame).unwrap()
            };
            assert_eq!(next().probes(asked[0]), Some(mac_b), "{position}");
            assert_eq!(next().claims(*ip), Some(mac_b), "{position}");
        }
    });
}

/// The frame with a tag of IEEE 802.1Q, as a switch port sends it that has both VLANs.
fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let [high, low] = vlan.to_be_bytes();
    [&frame[..12], &[0x81, 0x00, high, low], &frame[12..]].concat()
}

#[test]
fn what_the_kernel_ignores_is_not_received() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    let claimed = |last| MacAddress([2, 0, 0, 0, 0, last]);
    a.run(|| {
        let eth0 = link("eth0");
        let mut socket = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
        socket.send(&arp::probe(eth0.mac.unwrap(), VIP)).unwrap();
        b.run(|| {
            let mut socket = PacketSocket::open(&link("eth0"), EtherType::Arp).unwrap();
            socket.send(&tagged(&arp::announcement_request(claimed(7), VIP), 5)).unwrap();
            socket
                .send(&tagged(&arp::announcement_reply(claimed(8), VIP, eth0.mac.unwrap()), 5))
                .unwrap();
            // A tag with a priority alone, and no tag.
            for last in [9, 10] {
                let frame = arp::announcement_request(claimed(last), VIP);
                let frame = if last == 9 { tagged(&frame, 0xe000) } else { frame.to_vec() };
                socket.send(&frame).unwrap();
            }
        });
        for last in [9, 10] {
            let frame = socket.receive(soon()).unwrap().unwrap();
            assert_eq!(Arp::parse(&frame).unwrap().claims(VIP), Some(claimed(last)));
        }
    });
}
