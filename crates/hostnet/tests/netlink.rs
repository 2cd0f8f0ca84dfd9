//! The rtnetlink connection against the kernel, in network namespaces.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::{MAC_A, drop_capabilities, link, soon, two_hosts};
use deadline::Deadline;
use hostnet::{
    Address, Capability, Error, Family, Lifetime, Link, Netlink, Network, NewAddress, Prefix,
    Scope, TABLE_MAIN,
};

fn v4(ip: &str, length: u8) -> (IpAddr, Prefix) {
    (ip.parse().unwrap(), Prefix::new(Family::V4, length).unwrap())
}

fn texts(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(|address| format!("{}/{}", address.ip, address.prefix)).collect()
}

#[test]
fn links_by_name_altname_and_index() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    let long = "an-alternative-name-longer-than-any-interface-name";
    a.ip("link property add dev eth0 altname uplink0");
    a.ip(&format!("link property add dev eth0 altname {long}"));
    a.ip("link add br0 type bridge");
    a.ip("link add port1 type veth peer name port2");
    a.ip("link set port1 master br0");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let eth0 = link(&netlink, "eth0");
        assert_eq!(eth0.mac.unwrap().to_string(), MAC_A);
        assert_eq!(eth0.broadcast.unwrap().to_string(), "ff:ff:ff:ff:ff:ff");
        assert!(eth0.ethernet && eth0.usable() && !eth0.loopback && !eth0.noarp);
        assert_eq!(eth0.kind.as_deref(), Some("veth"));
        assert_eq!(eth0.mtu, 1500);
        assert_eq!(link(&netlink, "uplink0"), eth0);
        assert_eq!(link(&netlink, long), eth0);
        assert_eq!(netlink.link_by_index(eth0.index, soon()).unwrap(), Some(eth0.clone()));
        assert!(netlink.links(soon()).unwrap().contains(&eth0));
        let (bridge, port) = (link(&netlink, "br0"), link(&netlink, "port1"));
        assert_eq!((bridge.kind.as_deref(), bridge.usable()), (Some("bridge"), false));
        assert_eq!((port.controller, eth0.controller), (Some(bridge.index), None));
        assert_eq!(port.controller_kind.as_deref(), Some("bridge"));
        assert!(port.is_port() && !eth0.is_port());
        // The kernel reports the peer of a veth as the link below; that of eth0 is in another
        // namespace.
        assert_eq!(port.lower, Some(link(&netlink, "port2").index));
        assert_eq!(eth0.lower, None);
        let lo = link(&netlink, "lo");
        assert!(lo.loopback && lo.usable() && !lo.ethernet);
        assert_eq!(netlink.link_by_name(&"eth7".parse().unwrap(), soon()).unwrap(), None);
        let gone = hostnet::LinkIndex::new(4_000_000).unwrap();
        assert_eq!(netlink.link_by_index(gone, soon()).unwrap(), None);
        assert_eq!(netlink.addresses(Family::V4, Some(gone), soon()).unwrap(), []);
    });
}

#[test]
fn an_address_is_added_and_deleted() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.ip("addr add 192.0.2.1/24 dev eth0");
    a.ip("addr add 203.0.113.1/24 dev lo");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let eth0 = link(&netlink, "eth0").index;
        let (ip, prefix) = v4("192.0.2.10", 24);
        let new =
            NewAddress { label: Some("eth0:sip".to_owned()), ..NewAddress::new(eth0, ip, prefix) };
        netlink.add_address(&new, soon()).unwrap();
        let twice = netlink.add_address(&new, soon()).unwrap_err();
        assert!(matches!(twice, Error::AddressExists { .. }), "{twice:?}");
        assert_eq!(twice.to_string(), "192.0.2.10 is already on interface eth0");

        let found = netlink.addresses(Family::V4, Some(eth0), soon()).unwrap();
        assert_eq!(texts(&found), ["192.0.2.1/24", "192.0.2.10/24"]);
        let vip = found.last().unwrap();
        assert_eq!(vip.broadcast, Some("192.0.2.255".parse().unwrap()));
        assert_eq!(vip.label.as_deref(), Some("eth0:sip"));
        assert_eq!((vip.scope, vip.peer, vip.link), (Scope::Universe, None, eth0));
        assert!(vip.flags.secondary && vip.flags.permanent && !vip.flags.noprefixroute);
        assert_eq!((vip.preferred_lft, vip.valid_lft), (Lifetime::Forever, Lifetime::Forever));
        assert_eq!(netlink.addresses(Family::V4, None, soon()).unwrap().len(), 4, "lo has two");

        assert!(netlink.delete_address(vip, soon()).unwrap());
        assert!(!netlink.delete_address(vip, soon()).unwrap());
        let left = netlink.addresses(Family::V4, Some(eth0), soon()).unwrap();
        assert_eq!(texts(&left), ["192.0.2.1/24"]);
    });
}

#[test]
fn an_address_with_flags_and_lifetime() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let eth0 = link(&netlink, "eth0").index;
        let (ip, prefix) = v4("192.0.2.10", 24);
        let new = NewAddress {
            noprefixroute: true,
            preferred_lft: Lifetime::Seconds(0),
            ..NewAddress::new(eth0, ip, prefix)
        };
        netlink.add_address(&new, soon()).unwrap();
        let found = netlink.addresses(Family::V4, Some(eth0), soon()).unwrap();
        let vip = found.first().unwrap();
        assert!(vip.flags.noprefixroute && vip.flags.deprecated);
        assert_eq!(vip.valid_lft, Lifetime::Forever);
        let routes = netlink.routes(Family::V4, TABLE_MAIN, soon()).unwrap();
        assert!(routes.is_empty(), "{routes:?}");

        let v6: IpAddr = "2001:db8::10".parse().unwrap();
        let new = NewAddress {
            nodad: true,
            ..NewAddress::new(eth0, v6, Prefix::new(Family::V6, 64).unwrap())
        };
        netlink.add_address(&new, soon()).unwrap();
        // An address with an end counts down.
        let ending = "198.51.100.9/32 dev eth0 valid_lft 3600 preferred_lft 1800";
        a.ip(&format!("addr add {ending}"));
        let found = netlink.addresses(Family::V4, Some(eth0), soon()).unwrap();
        let ending = found.iter().find(|address| !address.flags.permanent).unwrap();
        assert!(matches!(ending.preferred_lft, Lifetime::Seconds(1..=1800)), "{ending:?}");
        assert!(matches!(ending.valid_lft, Lifetime::Seconds(1801..=3600)), "{ending:?}");

        let found = netlink.addresses(Family::V6, Some(eth0), soon()).unwrap();
        let vip = found.iter().find(|address| address.ip == v6).unwrap();
        assert!(vip.flags.nodad && !vip.flags.tentative);
        assert!(netlink.delete_address(vip, soon()).unwrap());
    });
}

#[test]
fn only_the_exact_address_goes() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    // The same IP three times: with two prefixes, and with a peer.
    a.ip("addr add 192.0.2.10/24 dev eth0");
    a.ip("addr add 192.0.2.10/32 dev eth0");
    a.ip("addr add 192.0.2.10 peer 198.51.100.1/32 dev eth0");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let eth0 = link(&netlink, "eth0").index;
        let found = netlink.addresses(Family::V4, Some(eth0), soon()).unwrap();
        assert_eq!(found.len(), 3);
        let peer = found.iter().find(|address| address.peer.is_some()).unwrap();
        assert_eq!(peer.peer, Some("198.51.100.1".parse().unwrap()));
        assert_eq!(peer.network().to_string(), "198.51.100.1/32");
        for (number, address) in found.iter().enumerate() {
            assert!(netlink.delete_address(address, soon()).unwrap());
            let left = netlink.addresses(Family::V4, Some(eth0), soon()).unwrap();
            assert_eq!(left, found[number + 1..]);
        }
    });
}

#[test]
fn the_routes_of_a_table() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.ip("addr add 192.0.2.1/24 dev eth0");
    a.ip("route add default via 192.0.2.254");
    a.ip("route add 198.51.100.0/24 via 192.0.2.254 metric 7");
    a.ip("route add 192.0.2.0/25 dev eth0 table 1000");
    a.ip("route add blackhole 203.0.113.0/24");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let eth0 = link(&netlink, "eth0").index;
        let routes = netlink.routes(Family::V4, TABLE_MAIN, soon()).unwrap();
        let connected = routes.iter().find(|route| route.is_connected()).unwrap();
        assert_eq!(connected.destination, "192.0.2.0/24".parse::<Network>().unwrap());
        assert_eq!(connected.link, Some(eth0));
        assert_eq!(connected.preferred_source, Some("192.0.2.1".parse().unwrap()));
        let gateway = routes.iter().find(|route| route.metric == 7).unwrap();
        assert_eq!(gateway.gateway, Some("192.0.2.254".parse().unwrap()));
        let other = netlink.routes(Family::V4, 1000, soon()).unwrap();
        assert_eq!(other.len(), 1);
        assert!(netlink.routes(Family::V4, 1001, soon()).unwrap().is_empty());
    });
}

#[test]
fn a_link_is_brought_up_and_its_carrier_waited_for() {
    testnet::root_or_skip!();
    let (a, _b, cable) = two_hosts();
    cable.unplug(&a);
    a.ip("link set eth0 down");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let eth0 = link(&netlink, "eth0");
        assert!(!eth0.admin_up && !eth0.usable());
        netlink.set_link_up(eth0.index, soon()).unwrap();
        let up = netlink.wait_for_link(eth0.index, soon(), |link| link.admin_up).unwrap();
        assert!(!up.carrier && !up.usable());
        // There is no carrier: the link as it is at the deadline.
        let until = Deadline::after(Duration::from_millis(50));
        let still = netlink.wait_for_link(eth0.index, until, Link::usable).unwrap();
        assert!(!still.usable());
        std::thread::scope(|scope| {
            scope.spawn(|| cable.plug(&a));
            assert!(netlink.wait_for_link(eth0.index, soon(), Link::usable).unwrap().usable());
        });
        a.ip("link del eth0");
        let gone = netlink.wait_for_link(eth0.index, soon(), Link::usable).unwrap_err();
        assert!(matches!(gone, Error::NoSuchLink { .. }), "{gone:?}");
    });
}

#[test]
fn errors_name_their_condition() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let eth0 = link(&netlink, "eth0").index;
        let (ip, prefix) = v4("192.0.2.10", 24);
        let new = NewAddress::new(eth0, ip, prefix);

        let past = Deadline::now();
        let late = netlink.addresses(Family::V4, None, past).unwrap_err();
        assert!(matches!(late, Error::DeadlinePassed { .. }), "{late:?}");
        assert!(matches!(netlink.links(past), Err(Error::DeadlinePassed { .. })));
        // The connection still works.
        assert!(!netlink.links(soon()).unwrap().is_empty());

        let nowhere = hostnet::LinkIndex::new(4_000_000).unwrap();
        let refused = netlink.add_address(&NewAddress::new(nowhere, ip, prefix), soon());
        assert!(matches!(refused, Err(Error::NoSuchLink { .. })), "{refused:?}");
        let refused = netlink.set_link_up(nowhere, soon());
        assert!(matches!(refused, Err(Error::NoSuchLink { .. })), "{refused:?}");

        drop_capabilities();
        let refused = Netlink::open().unwrap().add_address(&new, soon()).unwrap_err();
        let Error::PermissionDenied { capability, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(*capability, Capability::NetAdmin);
        assert!(refused.to_string().contains("CAP_NET_ADMIN"), "{refused}");
        // Reading needs none.
        assert_eq!(Netlink::open().unwrap().addresses(Family::V4, Some(eth0), soon()).unwrap(), []);
    });
}

/// netlink-proto reads 64 KiB of a datagram at most; the kernel's description of this link is longer.
#[test]
fn an_answer_that_was_cut_off_is_an_error() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.run(|| {
        let add = |number| format!("link property add dev eth0 altname {number:0127}\n");
        let batch: String = (0..490).map(add).collect();
        std::fs::write("/run/batch", batch).unwrap();
        a.ip("-batch /run/batch");
        let all = Netlink::open().unwrap().links(soon());
        assert!(matches!(all, Err(Error::DumpIncomplete { .. })), "{all:?}");
        let netlink = Netlink::open().unwrap();
        let one = netlink.link_by_name(&"eth0".parse().unwrap(), soon());
        assert!(matches!(one, Err(Error::DumpIncomplete { .. })), "{one:?}");
        // The next request is answered.
        assert_eq!(link(&netlink, "lo").name.as_str(), "lo");
    });
}

/// Sends requests whose answers come too late, and then one whose answer is waited for.
#[test]
fn a_late_answer_does_not_answer_the_next_request() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.ip("addr add 192.0.2.1/24 dev eth0");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let (eth0, lo) = (link(&netlink, "eth0"), link(&netlink, "lo"));
        let mut late = 0;
        for microseconds in 0..500 {
            let hardly = Deadline::after(Duration::from_micros(microseconds));
            late += usize::from(netlink.link_by_index(lo.index, hardly).is_err());
            late += usize::from(netlink.addresses(Family::V4, Some(lo.index), hardly).is_err());
            assert_eq!(link(&netlink, "eth0").index, eth0.index);
            let found = netlink.addresses(Family::V4, Some(eth0.index), soon()).unwrap();
            assert_eq!(texts(&found), ["192.0.2.1/24"]);
        }
        assert!(late > 0);
    });
}

/// Addresses that stay must be in every dump while others before them in the kernel's list are
/// deleted. The kernel continues a dump by counting, so that each address that is deleted between
/// two datagrams makes it skip one that stays. It marks that (`NLM_F_DUMP_INTR`), but only in dumps
/// of all links.
#[test]
fn a_dump_under_change_is_complete_or_an_error() {
    testnet::root_or_skip!();
    const GOING: u16 = 1500;
    const STAYING: u16 = 500;
    let (a, _b, _cable) = two_hosts();
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let eth0 = link(&netlink, "eth0").index;
        let prefix = Prefix::host(Family::V4);
        let add = |first: u8, count: u16| {
            for number in 0..count {
                let [high, low] = number.to_be_bytes();
                let ip = IpAddr::from([first, 0, high, low]);
                netlink.add_address(&NewAddress::new(eth0, ip, prefix), soon()).unwrap();
            }
        };
        add(10, GOING);
        add(11, STAYING);
        let all = netlink.addresses(Family::V4, Some(eth0), soon()).unwrap();
        let (staying, going): (Vec<Address>, Vec<Address>) =
            all.into_iter().partition(|address| address.ip.to_string().starts_with("11."));
        assert_eq!(staying.len(), usize::from(STAYING));
        std::thread::scope(|scope| {
            let deletion = scope.spawn(|| {
                let netlink = Netlink::open().unwrap();
                for address in &going {
                    assert!(netlink.delete_address(address, soon()).unwrap());
                }
            });
            while !deletion.is_finished() {
                match netlink.addresses(Family::V4, Some(eth0), soon()) {
                    Ok(mut found) => {
                        found.retain(|address| address.ip.to_string().starts_with("11."));
                        assert_eq!(found.len(), staying.len());
                    }
                    Err(Error::DumpInterrupted { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        });
        // Without changes the dump is complete.
        let found = netlink.addresses(Family::V4, Some(eth0), soon()).unwrap();
        assert_eq!(found, staying);
    });
}
