//! IPv6 addresses and the kernel's own duplicate address detection, in network namespaces.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::net::IpAddr;

use common::{LONG, link, soon, two_hosts, wait_until_local};
use hostnet::{
    Address, Error, EventGroup, Events, Family, Lifetime, Netlink, NewAddress, Prefix, TABLE_MAIN,
};
use testnet::wait_until;

const VIP: &str = "2001:db8::10";
const PROBES: &str = "net/ipv6/conf/eth0/dad_transmits";

fn vip(netlink: &Netlink) -> NewAddress {
    let prefix = Prefix::new(Family::V6, 64).unwrap();
    NewAddress::new(link(netlink, "eth0").index, VIP.parse().unwrap(), prefix)
}

fn read(netlink: &Netlink, ip: &str) -> Option<Address> {
    let ip: IpAddr = ip.parse().unwrap();
    let found = netlink.addresses(Family::V6, None, soon()).unwrap();
    found.into_iter().find(|address| address.ip == ip)
}

/// The address after the kernel's duplicate address detection.
fn decided(netlink: &Netlink, events: &mut Events) -> Address {
    let decided = events.wait_until(soon(), || {
        let found = read(netlink, VIP).unwrap();
        Ok(Some(found).filter(|vip| !vip.flags.tentative || vip.flags.dadfailed))
    });
    decided.unwrap().expect("a decision")
}

#[test]
fn a_free_address_is_tentative_until_an_event() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let mut events = Events::subscribe(&[EventGroup::Address(Family::V6)]).unwrap();
        // One probe a second: it is still tentative when it is read.
        a.sysctl(PROBES, "1000");
        netlink.add_address(&vip(&netlink), soon()).unwrap();
        let tentative = read(&netlink, VIP).unwrap();
        assert!(tentative.flags.tentative && !tentative.flags.dadfailed, "{tentative:?}");
        assert!(netlink.delete_address(&tentative, soon()).unwrap());
        a.sysctl(PROBES, "1");
        netlink.add_address(&vip(&netlink), soon()).unwrap();
        let usable = decided(&netlink, &mut events);
        assert!(!usable.flags.tentative && !usable.flags.dadfailed, "{usable:?}");
        assert!(usable.flags.permanent);
        let twice = netlink.add_address(&vip(&netlink), soon());
        assert!(matches!(twice, Err(Error::AddressExists { .. })), "{twice:?}");
        assert!(netlink.delete_address(&usable, soon()).unwrap());
        assert!(!netlink.delete_address(&usable, soon()).unwrap());
        assert_eq!(read(&netlink, VIP), None);
    });
}

#[test]
fn an_address_that_another_host_has_fails() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    b.ip(&format!("addr add {VIP}/64 dev eth0 nodad"));
    wait_until("b receives solicitations for it", LONG, || {
        b.ip("maddr show dev eth0").contains("ff02::1:ff00:10")
    });
    wait_until_local(&b, VIP);
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let mut events = Events::subscribe(&[EventGroup::Address(Family::V6)]).unwrap();
        netlink.add_address(&vip(&netlink), soon()).unwrap();
        let failed = decided(&netlink, &mut events);
        assert!(failed.flags.dadfailed, "{failed:?}");
        // It can be deleted like any other.
        assert!(netlink.delete_address(&failed, soon()).unwrap());
        // Without detection it is added.
        let nodad = NewAddress { nodad: true, ..vip(&netlink) };
        netlink.add_address(&nodad, soon()).unwrap();
        let there = read(&netlink, VIP).unwrap();
        assert!(there.flags.nodad && !there.flags.tentative && !there.flags.dadfailed);
    });
}

#[test]
fn an_optimistic_address_is_usable_at_once() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.sysctl("net/ipv6/conf/eth0/optimistic_dad", "1");
    a.sysctl(PROBES, "1000");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        // Optimistic detection must be asked for with the address.
        a.ip(&format!("addr add {VIP}/64 dev eth0 optimistic"));
        let found = read(&netlink, VIP).unwrap();
        assert!(found.flags.optimistic, "{found:?}");
    });
}

#[test]
fn flags_and_lifetimes() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let new = NewAddress {
            nodad: true,
            noprefixroute: true,
            preferred_lft: Lifetime::Seconds(0),
            ..vip(&netlink)
        };
        netlink.add_address(&new, soon()).unwrap();
        let found = read(&netlink, VIP).unwrap();
        assert!(found.flags.nodad && found.flags.noprefixroute && found.flags.deprecated);
        assert_eq!(
            (found.preferred_lft, found.valid_lft),
            (Lifetime::Seconds(0), Lifetime::Forever)
        );
        let connected = |routes: Vec<hostnet::Route>| {
            routes.iter().any(|route| route.destination.to_string() == "2001:db8::/64")
        };
        assert!(!connected(netlink.routes(Family::V6, TABLE_MAIN, soon()).unwrap()));
        assert!(netlink.delete_address(&found, soon()).unwrap());

        let new =
            NewAddress { preferred_lft: Lifetime::Seconds(1800), nodad: true, ..vip(&netlink) };
        netlink.add_address(&new, soon()).unwrap();
        let found = read(&netlink, VIP).unwrap();
        assert!(matches!(found.preferred_lft, Lifetime::Seconds(1..=1800)), "{found:?}");
        assert!(connected(netlink.routes(Family::V6, TABLE_MAIN, soon()).unwrap()));
    });
}
