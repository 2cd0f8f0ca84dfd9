//! Links that are found by what they have, and judged by the links below them, in network
//! namespaces.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{LONG, MAC_A, soon, two_hosts};
use hostnet::{Family, Link, LinkCondition, Netlink, condition, link_in_network, link_with_mac};
use testnet::wait_until;

fn named<'a>(name: &str, links: &'a [Link]) -> &'a Link {
    links.iter().find(|link| link.name.as_str() == name).unwrap()
}

#[test]
fn by_hardware_address_and_by_network() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    // As a bridge takes the address of its port.
    a.ip(&format!("link add br0 address {MAC_A} type bridge"));
    a.ip("link set eth0 master br0");
    a.ip("link add mac0 link br0 address 02:00:00:00:00:0c type macvlan");
    a.ip("addr add 192.0.2.1/24 dev br0");
    a.ip("addr add 2001:db8::1/64 dev br0 nodad");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let links = netlink.links(soon()).unwrap();
        let base = link_with_mac(MAC_A.parse().unwrap(), &links).unwrap();
        assert_eq!(base, Some(named("br0", &links)));
        let stacked = link_with_mac("02:00:00:00:00:0c".parse().unwrap(), &links).unwrap();
        assert_eq!(stacked, Some(named("mac0", &links)));
        for (family, network) in [(Family::V4, "192.0.2.0/24"), (Family::V6, "2001:db8::/64")] {
            let addresses = netlink.addresses(family, None, soon()).unwrap();
            let found = link_in_network(network.parse().unwrap(), &links, &addresses).unwrap();
            assert_eq!(found, Some(named("br0", &links)));
        }
    });
}

#[test]
fn a_macvlan_is_down_with_the_link_below_it() {
    testnet::root_or_skip!();
    let (a, _b, cable) = two_hosts();
    a.ip("link add mac0 link eth0 type macvlan");
    a.ip("link set mac0 up");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let judged = || {
            let links = netlink.links(soon()).unwrap();
            condition(named("mac0", &links), &links)
        };
        wait_until("the macvlan is usable", LONG, || judged() == LinkCondition::Usable);
        cable.unplug(&a);
        let down = LinkCondition::Unusable(vec!["eth0".parse().unwrap()]);
        wait_until("the macvlan is down", LONG, || judged() == down);
        cable.plug(&a);
        wait_until("the macvlan is usable", LONG, || judged() == LinkCondition::Usable);
    });
}
