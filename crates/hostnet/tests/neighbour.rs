//! The cache of neighbours, in network namespaces.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::net::{IpAddr, UdpSocket};

use common::{LONG, MAC_B, soon, two_hosts, wait_until_local};
use hostnet::{Family, MacAddress, Neighbour, NeighbourState, Netlink};
use testnet::wait_until;

fn read(netlink: &Netlink, ip: &str) -> Option<Neighbour> {
    let ip: IpAddr = ip.parse().unwrap();
    let all = netlink.neighbours(Family::of(ip), soon()).unwrap();
    all.into_iter().find(|known| known.ip == ip)
}

#[test]
fn neighbours_that_answer_and_that_do_not() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    a.ip("addr add 192.0.2.1/24 dev eth0");
    a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    b.ip("addr add 192.0.2.2/24 dev eth0");
    b.ip("addr add 2001:db8::2/64 dev eth0 nodad");
    wait_until_local(&a, "2001:db8::1");
    wait_until_local(&b, "2001:db8::2");
    a.ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:99 nud permanent dev eth0");
    a.ip("neigh add 2001:db8::9 lladdr 02:00:00:00:00:99 nud stale router dev eth0");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let fixed = read(&netlink, "192.0.2.9").unwrap();
        assert_eq!(fixed.mac, Some("02:00:00:00:00:99".parse().unwrap()));
        assert_eq!((fixed.state, fixed.router), (NeighbourState::Permanent, false));
        let router = read(&netlink, "2001:db8::9").unwrap();
        assert_eq!((router.state, router.router), (NeighbourState::Stale, true));
        assert_eq!(read(&netlink, "192.0.2.2"), None);
        let on = |name: &str, family| {
            let link = common::link(&netlink, name).index;
            netlink.neighbours_on(family, link, soon()).unwrap().into_iter().map(|it| it.ip)
        };
        for (family, fixed) in [(Family::V4, fixed), (Family::V6, router)] {
            assert!(on("eth0", family).any(|ip| ip == fixed.ip));
            assert!(on("lo", family).all(|ip| ip != fixed.ip));
        }

        let mac_b: MacAddress = MAC_B.parse().unwrap();
        for (from, there, missing) in [
            ("192.0.2.1", "192.0.2.2", "192.0.2.77"),
            ("2001:db8::1", "2001:db8::2", "2001:db8::77"),
        ] {
            let socket = UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0)).unwrap();
            let send = |to: &str| {
                socket.send_to(b"x", (to.parse::<IpAddr>().unwrap(), 9)).unwrap();
                read(&netlink, to)
            };
            wait_until("b is known", LONG, || {
                send(there).is_some_and(|known| known.mac == Some(mac_b))
            });
            // The kernel may forget a neighbour that does not answer, until the next packet to it.
            wait_until("a request for the missing host was sent", LONG, || {
                use NeighbourState::{Failed, Incomplete};
                let known = send(missing);
                known.is_some_and(|it| it.mac.is_none() && matches!(it.state, Incomplete | Failed))
            });
        }
    });
}
