//! Neighbor Discovery through packet sockets, against the kernel of a neighbour.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv6Addr, UdpSocket};
use std::time::Duration;

use deadline::Deadline;
use hostnet::ndisc::{self, NeighborMessage};
use hostnet::{Error, EtherType, Link, MacAddress, Netlink, PacketSocket};
use testnet::{Cable, Capture, Direction, Host, cable, neighbour_cache, wait_until};

const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";
const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const LONG: Duration = Duration::from_secs(60);

fn soon() -> Deadline {
    Deadline::after(LONG)
}

fn two_hosts() -> (Host, Host, Cable) {
    let (a, b) = (Host::new("a"), Host::new("b"));
    let cable = cable((&a, "eth0", MAC_A), (&b, "eth0", MAC_B));
    a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    b.ip(&format!("addr add {ROUTER}/64 dev eth0 nodad"));
    for (host, ip) in [(&a, "2001:db8::1"), (&b, "2001:db8::2")] {
        // A moment after the address the kernel takes packets to it.
        wait_until("IPv6 is ready", LONG, || {
            host.ip("-6 route show table local").contains(&format!("local {ip} "))
        });
    }
    (a, b, cable)
}

fn eth0() -> Link {
    let netlink = Netlink::open().unwrap();
    netlink.link_by_name(&"eth0".parse().unwrap(), soon()).unwrap().unwrap()
}

/// The first message that `wanted` makes something of.
fn receive<T>(socket: &mut PacketSocket, wanted: impl Fn(&NeighborMessage) -> Option<T>) -> T {
    let until = soon();
    loop {
        let frame = socket.receive(until).unwrap().expect("an answer");
        let message =
            NeighborMessage::parse(&frame).unwrap_or_else(|| panic!("not for us: {frame:x?}"));
        if let Some(found) = wanted(&message) {
            return found;
        }
    }
}

fn knows(host: &Host, ip: Ipv6Addr, mac: &str) -> bool {
    let cache = neighbour_cache(host);
    cache.iter().any(|known| known.ip == ip && known.mac.as_deref() == Some(mac))
}

#[test]
fn an_announcement_changes_the_neighbours_mind() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    b.ip(&format!("neigh replace {VIP} lladdr 02:00:00:00:00:99 nud stale dev eth0"));
    let capture = Capture::start(&b, "eth0");
    a.run(|| {
        let mut socket = PacketSocket::open(&eth0(), EtherType::Ipv6).unwrap();
        socket.send(&ndisc::announcement(MAC_A.parse().unwrap(), VIP, true)).unwrap();
    });
    let seen = capture.wait_for_ndisc("the announcement", LONG, |seen| seen.target == VIP);
    assert_eq!(seen.direction, Direction::Received);
    assert_eq!(seen.source_mac, [2, 0, 0, 0, 0, 0x0a]);
    assert_eq!(seen.destination_mac, [0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!((seen.source, seen.destination), (VIP, ndisc::ALL_NODES));
    assert!(seen.hop_limit == 255 && seen.checksum_valid && seen.is_advertisement);
    assert!(seen.router && seen.overrides && !seen.solicited);
    assert_eq!(seen.link_layer, Some([2, 0, 0, 0, 0, 0x0a]));
    wait_until("b has learnt the new MAC address", LONG, || knows(&b, VIP, MAC_A));
    assert!(b.ip("-6 neigh show").contains("router"), "the flag has arrived");
}

#[test]
fn an_announcement_to_one_host() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    b.ip(&format!("neigh replace {VIP} lladdr 02:00:00:00:00:99 nud stale dev eth0"));
    a.run(|| {
        let mut socket = PacketSocket::open(&eth0(), EtherType::Ipv6).unwrap();
        let to = (MAC_B.parse().unwrap(), ROUTER);
        let frame = ndisc::announcement_to(MAC_A.parse().unwrap(), VIP, false, to);
        socket.send(&frame).unwrap();
    });
    wait_until("b has learnt the new MAC address", LONG, || knows(&b, VIP, MAC_A));
}

#[test]
fn questions_are_answered_and_other_traffic_is_not_seen() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    b.ip(&format!("addr add {VIP}/64 dev eth0 nodad"));
    wait_until("b listens to questions for both addresses", LONG, || {
        let groups = b.ip("maddr show dev eth0");
        groups.contains("ff02::1:ff00:10") && groups.contains("ff02::1:ff00:2")
    });
    a.run(|| {
        let (eth0, mac_b) = (eth0(), MAC_B.parse::<MacAddress>().unwrap());
        let mac = eth0.mac.unwrap();
        let mut socket = PacketSocket::open(&eth0, EtherType::Ipv6).unwrap();
        // IPv6 traffic on the link both ways (b answers that nobody listens), which the filter
        // keeps away: receive() above fails for anything else.
        let udp = UdpSocket::bind("[2001:db8::1]:0").unwrap();
        for _ in 0..100 {
            udp.send_to(b"RTP", (ROUTER, 9)).unwrap();
        }
        // Has anybody the VIP? The answer goes to all nodes.
        socket.send(&ndisc::probe(mac, VIP)).unwrap();
        let to_all = |message: &NeighborMessage| {
            message.claims(VIP).filter(|_| message.destination == ndisc::ALL_NODES)
        };
        assert_eq!(receive(&mut socket, to_all), mac_b);
        // Is the router there? The answer goes to who asks.
        let own: Ipv6Addr = "2001:db8::1".parse().unwrap();
        socket.send(&ndisc::request(mac, own, ROUTER)).unwrap();
        let to_us = |message: &NeighborMessage| {
            message.claims(ROUTER).filter(|_| message.solicited && message.destination == own)
        };
        assert_eq!(receive(&mut socket, to_us), mac_b);

        // Nobody has this one: what comes in until the deadline, if anything, is no claim.
        let free: Ipv6Addr = "2001:db8::77".parse().unwrap();
        socket.send(&ndisc::probe(mac, free)).unwrap();
        let until = Deadline::after(Duration::from_millis(100));
        while let Some(frame) = socket.receive(until).unwrap() {
            assert_eq!(NeighborMessage::parse(&frame).unwrap().claims(free), None);
        }
        let flags = std::fs::read_to_string("/sys/class/net/eth0/flags").unwrap();
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap();
        assert_eq!(flags & 0x300, 0, "promiscuous or all multicast");
    });
}

#[test]
fn another_host_that_probes_the_same_address_is_heard() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    a.run(|| {
        let mut socket = PacketSocket::open(&eth0(), EtherType::Ipv6).unwrap();
        let member = || a.ip("maddr show dev eth0").contains("33:33:ff:00:00:10");
        assert!(!member());
        socket.join_solicited_node(VIP).unwrap();
        socket.join_solicited_node(VIP).unwrap();
        assert!(member());
        // b does duplicate address detection of its own.
        b.ip(&format!("addr add {VIP}/64 dev eth0"));
        let rival = receive(&mut socket, |message| message.probes(VIP));
        assert_eq!(rival, MAC_B.parse::<MacAddress>().unwrap());
        drop(socket);
        assert!(!member(), "the membership has gone with the socket");

        let gone = eth0();
        let mut socket = PacketSocket::open(&gone, EtherType::Ipv6).unwrap();
        a.ip("link del eth0");
        let refused = socket.join_solicited_node(VIP).unwrap_err();
        assert!(matches!(refused, Error::NoSuchLink { .. }), "{refused:?}");
    });
}
