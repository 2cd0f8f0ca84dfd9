//! Notifications of the kernel, in network namespaces.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{End, LONG, link, soon, two_hosts};
use deadline::Deadline;
use hostnet::{Error, EventGroup, Events, Family, Link, MacAddress, Netlink, NewAddress, Prefix};
use testnet::{Host, wait_until};

fn moment() -> Deadline {
    Deadline::after(Duration::from_millis(50))
}

fn eth0(netlink: &Netlink) -> Link {
    link(netlink, "eth0")
}

#[test]
fn a_carrier_and_a_hardware_address_are_noticed() {
    testnet::root_or_skip!();
    let (a, _b, cable) = two_hosts();
    cable.unplug(&a);
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let mut events = Events::subscribe(&[EventGroup::Link]).unwrap();
        let mut look = || Ok(Some(eth0(&netlink)).filter(Link::usable));
        assert!(events.wait_until(moment(), &mut look).unwrap().is_none());
        std::thread::scope(|scope| {
            scope.spawn(|| cable.plug(&a));
            assert!(events.wait_until(soon(), &mut look).unwrap().is_some());
        });
        let other: MacAddress = "02:00:00:00:00:1a".parse().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| a.ip(&format!("link set eth0 address {other}")));
            let changed = |link: &Link| link.mac == Some(other);
            let seen = events.wait_until(soon(), || Ok(Some(eth0(&netlink)).filter(changed)));
            assert!(seen.unwrap().is_some());
        });
    });
}

#[test]
fn only_subscribed_tables_are_reported() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    a.ip("link add eth0 type bridge");
    a.ip("link set eth0 up");
    a.run(|| {
        let groups = [
            (EventGroup::Link, "link set eth0 mtu 1400"),
            (EventGroup::Address(Family::V4), "addr add 192.0.2.1/24 dev eth0"),
            (EventGroup::Address(Family::V6), "addr add 2001:db8::1/64 dev eth0 nodad"),
            (EventGroup::Route(Family::V4), "route add blackhole 198.51.100.0/24"),
            (EventGroup::Route(Family::V6), "route add blackhole 2001:db8:1::/48"),
            (EventGroup::Rule(Family::V4), "rule add from 192.0.2.1 lookup 100"),
            (EventGroup::Rule(Family::V6), "-6 rule add from 2001:db8::1 lookup 100"),
        ];
        for (group, change) in groups {
            let mut events = Events::subscribe(&[group]).unwrap();
            a.ip(change);
            assert!(events.wait(soon()).unwrap(), "{change}");
        }
        let mut events = Events::subscribe(&[EventGroup::Rule(Family::V4)]).unwrap();
        a.ip("link set eth0 mtu 1300");
        assert!(!events.wait(moment()).unwrap());
    });
}

/// More events than the socket has room for: some are lost, but that counts as an event.
#[test]
fn an_overrun_is_an_event() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    a.ip("link add eth0 type bridge");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let mut events = Events::subscribe(&[EventGroup::Address(Family::V4)]).unwrap();
        let link = eth0(&netlink).index;
        for number in 0..3000_u16 {
            let [high, low] = number.to_be_bytes();
            let prefix = Prefix::host(Family::V4);
            let new = NewAddress::new(link, [10, 0, high, low].into(), prefix);
            netlink.add_address(&new, soon()).unwrap();
        }
        assert!(events.wait(soon()).unwrap());
        assert!(!events.wait(moment()).unwrap(), "all of them count as one");
        // The subscription still works.
        a.ip("addr add 192.0.2.1/24 dev eth0");
        assert!(events.wait(soon()).unwrap());
    });
}

#[test]
fn a_look_that_runs_out_of_time_finds_nothing() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    a.ip("link add eth0 type bridge");
    a.run(|| {
        let late = || Error::DeadlinePassed { operation: "look".to_owned() };
        let mut events = Events::subscribe(&[EventGroup::Link]).unwrap();
        let first = events.wait_until(moment(), || Err::<Option<()>, _>(late()));
        assert!(matches!(first, Err(Error::DeadlinePassed { .. })), "{first:?}");
        let mut looks = 0;
        a.ip("link set eth0 up");
        let found = events.wait_until(moment(), || {
            looks += 1;
            if looks == 1 { Ok(None::<()>) } else { Err(late()) }
        });
        assert!(matches!(found, Ok(None)), "{found:?}");
        assert!(looks >= 2);
    });
}

/// There always is an event to report, because each look takes longer than the next change.
#[test]
fn changes_without_an_end_do_not_keep_a_wait_from_its_deadline() {
    testnet::root_or_skip!();
    let a = Host::new("a");
    a.ip("link add eth0 type bridge");
    let (changes, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let wait_for_more = |what| {
        let before = changes.load(Ordering::Relaxed);
        wait_until(what, LONG, || changes.load(Ordering::Relaxed) > before + 100);
    };
    let change = || {
        let netlink = Netlink::open().unwrap();
        let link = eth0(&netlink).index;
        let new = NewAddress::new(link, [192, 0, 2, 1].into(), Prefix::host(Family::V4));
        while !ended.load(Ordering::Relaxed) {
            netlink.add_address(&new, soon()).unwrap();
            let added = netlink.addresses(Family::V4, Some(link), soon()).unwrap();
            assert!(netlink.delete_address(&added[0], soon()).unwrap());
            changes.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| a.run(change));
        let _end = End(&ended);
        wait_for_more("changes are made");
        let guard = soon();
        let waited = a.run(|| {
            let mut events = Events::subscribe(&[EventGroup::Address(Family::V4)]).unwrap();
            events.wait_until(Deadline::after(Duration::from_secs(1)), || {
                wait_for_more("changes are made");
                if guard.has_passed() { Ok(Some(())) } else { Ok(None) }
            })
        });
        wait_for_more("changes are still made");
        assert!(matches!(waited, Ok(None)), "{waited:?}");
    });
}
