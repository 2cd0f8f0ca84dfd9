//! The cache of neighbours, in network namespaces.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

use deadline::Deadline;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use hostnet::{Family, MacAddress, Neighbour, NeighbourState, Netlink};
use testnet::{Host, cable, wait_until};

const LONG: Duration = Duration::from_secs(60);

fn read(netlink: &Netlink, ip: &str) -> Option<Neighbour> {
    let ip: IpAddr = ip.parse().unwrap();
    let all = netlink.neighbours(Family::of(ip), Deadline::after(LONG)).unwrap();
    all.into_iter().find(|known| known.ip == ip)
}

#[test]
fn neighbours_that_answer_and_that_do_not() {
    testnet::root_or_skip!();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let _cable = cable((&a, "eth0", "02:00:00:00:00:0a"), (&b, "eth0", "02:00:00:00:00:0b"));
    a.ip("addr add 192.0.2.1/24 dev eth0");
    a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    b.ip("addr add 192.0.2.2/24 dev eth0");
    b.ip("addr add 2001:db8::2/64 dev eth0 nodad");
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

        let mac_b: MacAddress = "02:00:00:00:00:0b".parse().unwrap();
        for (from, there, missing) in [
            ("192.0.2.1", "192.0.2.2", "192.0.2.77"),
            ("2001:db8::1", "2001:db8::2", "2001:db8::77"),
        ] {
            let socket = UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0)).unwrap();
            for to in [there, missing] {
                socket.send_to(b"x", (to.parse::<IpAddr>().unwrap(), 9)).unwrap();
            }
            wait_until("b is known", LONG, || {
                read(&netlink, there).is_some_and(|known| known.mac == Some(mac_b))
            });
            // The kernel drops what has failed sooner or later; it was asked a moment ago.
            use NeighbourState::{Failed, Incomplete};
            let unknown = read(&netlink, missing).unwrap();
            assert!(matches!(unknown.state, Incomplete | Failed), "{unknown:?}");
            assert_eq!(unknown.mac, None);
        }
    });
}
