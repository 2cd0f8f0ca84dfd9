//! Neighbor Discovery through packet sockets, against the kernel of a neighbour.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::{Ipv6Addr, UdpSocket};
use std::time::Duration;

use common::{LONG, MAC_A, MAC_B, link, soon, wait_until_local};
use deadline::Deadline;
use hostnet::ndisc::{self, NeighborMessage};
use hostnet::{Error, EtherType, Link, MacAddress, Netlink, PacketSocket};
use testnet::{Cable, Capture, Direction, Host, neighbour_cache, wait_until};

const VIP: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

fn two_hosts() -> (Host, Host, Cable) {
    let (a, b, cable) = common::two_hosts();
    a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    b.ip(&format!("addr add {ROUTER}/64 dev eth0 nodad"));
    wait_until_local(&a, "2001:db8::1");
    wait_until_local(&b, "2001:db8::2");
    (a, b, cable)
}

fn eth0() -> Link {
    link(&Netlink::open().unwrap(), "eth0")
}

/// The first message that `wanted` makes something of.
fn receive<T>(socket: &mut PacketSocket, wanted: impl Fn(&NeighborMessage) -> Option<T>) -> T {
    let until = soon();
    loop {
        let frame = socket.receive(until).unwrap().expect("an answer");
        let message =
            NeighborMessage::parse(&frame).unwrap_or_else(|| panic!("another frame: {frame:x?}"));
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
fn an_announcement_updates_the_neighbours_cache() {
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
    wait_until("b has learnt the new MAC address and the flag", LONG, || {
        knows(&b, VIP, MAC_A) && b.ip("-6 neigh show").contains("router")
    });
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
fn solicitations_are_answered_and_other_traffic_is_not_received() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    b.ip(&format!("addr add {VIP}/64 dev eth0 nodad"));
    wait_until("b receives solicitations for both addresses", LONG, || {
        let groups = b.ip("maddr show dev eth0");
        groups.contains("ff02::1:ff00:10") && groups.contains("ff02::1:ff00:2")
    });
    a.run(|| {
        let (eth0, mac_b) = (eth0(), MAC_B.parse::<MacAddress>().unwrap());
        let mac = eth0.mac.unwrap();
        let mut socket = PacketSocket::open(&eth0, EtherType::Ipv6).unwrap();
        // IPv6 traffic on the link in both directions (b answers that the port is closed), which
        // the filter drops: receive() above fails for anything else.
        let udp = UdpSocket::bind("[2001:db8::1]:0").unwrap();
        for _ in 0..100 {
            udp.send_to(b"RTP", (ROUTER, 9)).unwrap();
        }
        // The answer to a probe goes to all nodes.
        socket.send(&ndisc::probe(mac, VIP)).unwrap();
        let to_all = |message: &NeighborMessage| {
            message.claims(VIP).filter(|_| message.destination == ndisc::ALL_NODES)
        };
        assert_eq!(receive(&mut socket, to_all), mac_b);
        // The answer to a request goes to the host that sent it.
        let own: Ipv6Addr = "2001:db8::1".parse().unwrap();
        socket.send(&ndisc::request(mac, own, ROUTER)).unwrap();
        let to_us = |message: &NeighborMessage| {
            message.claims(ROUTER).filter(|_| message.solicited && message.destination == own)
        };
        assert_eq!(receive(&mut socket, to_us), mac_b);

        // No host has this address: frames that arrive by the deadline don't claim it.
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
fn a_probe_of_another_host_is_received() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    a.run(|| {
        let mut socket = PacketSocket::open(&eth0(), EtherType::Ipv6).unwrap();
        let member = || a.ip("maddr show dev eth0").contains("33:33:ff:00:00:10");
        assert!(!member());
        socket.join_solicited_node(VIP).unwrap();
        socket.join_solicited_node(VIP).unwrap();
        wait_until("the host is a member", LONG, member);
        // b detects duplicates itself.
        b.ip(&format!("addr add {VIP}/64 dev eth0"));
        let other = receive(&mut socket, |message| message.probes(VIP));
        assert_eq!(other, MAC_B.parse::<MacAddress>().unwrap());
        drop(socket);
        wait_until("the membership ends with the socket", LONG, || !member());

        let gone = eth0();
        let mut socket = PacketSocket::open(&gone, EtherType::Ipv6).unwrap();
        a.ip("link del eth0");
        let refused = socket.join_solicited_node(VIP).unwrap_err();
        assert!(matches!(refused, Error::NoSuchLink { .. }), "{refused:?}");
    });
}

#[test]
fn only_messages_about_what_was_asked_for_are_received() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    let mac_b: MacAddress = MAC_B.parse().unwrap();
    let other: Ipv6Addr = "2001:db8::77".parse().unwrap();
    a.run(|| {
        let eth0 = eth0();
        let mut socket = PacketSocket::open(&eth0, EtherType::Ipv6).unwrap();
        socket.send(&ndisc::probe(eth0.mac.unwrap(), VIP)).unwrap();
        b.run(|| {
            let mut socket = PacketSocket::open(&self::eth0(), EtherType::Ipv6).unwrap();
            socket.send(&ndisc::announcement(mac_b, other, false)).unwrap();
            socket.send(&ndisc::announcement(mac_b, VIP, false)).unwrap();
            let to_a = ndisc::announcement_to(mac_b, VIP, false, (eth0.mac.unwrap(), other));
            socket.send(&to_a).unwrap();
        });
        for _ in 0..2 {
            let frame = socket.receive(soon()).unwrap().unwrap();
            assert_eq!(NeighborMessage::parse(&frame).unwrap().claims(VIP), Some(mac_b));
        }
        socket.send(&ndisc::request(eth0.mac.unwrap(), VIP, other)).unwrap();
        b.run(|| {
            let mut socket = PacketSocket::open(&self::eth0(), EtherType::Ipv6).unwrap();
            socket.send(&ndisc::announcement(mac_b, other, false)).unwrap();
        });
        let frame = socket.receive(soon()).unwrap().unwrap();
        assert_eq!(NeighborMessage::parse(&frame).unwrap().claims(other), Some(mac_b));
    });
}
