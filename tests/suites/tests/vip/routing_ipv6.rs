//! Source routing of IPv6: the kernel wants an address that is no duplicate as the source of a route.

use std::time::Duration;

use testnet::{Agent, wait_until};

use super::routing::{site, tables, way};
use super::{LONG, Site, ends, fails, is_up, plain, recurring};

#[test]
fn ipv6() {
    testnet::root_or_skip!();
    let site = site();
    let before = tables(&site.a);
    let agent = plain(&site.a)
        .param("ip", "2001:db8::10")
        .param("gateway", "2001:db8::98")
        .param("source_for", "::/0,2001:db8:77::/48");
    ends(&agent.action("start"), 0);
    ends(&recurring(&agent), 0);
    let from = way(&site.a, "2001:db8:5::1 from 2001:db8::10");
    assert!(from.starts_with("via 2001:db8::98 dev eth0"), "{from}");
    for destination in ["2001:db8:5::1", "2001:db8:77::1"] {
        assert_eq!(
            way(&site.a, destination),
            // By the rule: a socket that is bound to the VIP would go through the gateway.
            "via 2001:db8::99 dev eth0 src 2001:db8::10"
        );
    }
    ends(&agent.action("stop"), 0);
    assert_eq!(tables(&site.a), before);
    // Somebody has deleted the address: its routes have lost their source, and are found.
    ends(&agent.action("start"), 0);
    site.a.ip("addr del 2001:db8::10/64 dev eth0");
    ends(&recurring(&agent), 7);
    ends(&agent.action("stop"), 0);
    assert_eq!(tables(&site.a), before);
}

/// The VIP of IPv6 with routes that have it as their source.
fn routed6(site: &Site) -> Agent {
    plain(&site.a)
        .param("ip", "2001:db8::10")
        .param("gateway", "2001:db8::98")
        .param("source_for", "::/0")
}

/// Takes the cable of eth0 out. A link that has had no carrier since it was brought up checks no address for a duplicate
/// before the carrier comes; another one does, though nobody hears it.
fn without_carrier(site: &Site, since_it_is_up: bool) {
    if since_it_is_up {
        site.a.ip("link set eth0 down");
    }
    site.cable_a.unplug(&site.a);
    wait_until("no carrier", LONG, || !is_up(&site.a, "eth0"));
    if since_it_is_up {
        site.a.ip("link set eth0 up");
        // They went with the link.
        site.a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
        site.a.ip("-6 route add default via 2001:db8::99 dev eth0 metric 300");
    }
}

/// The kernel refuses a route whose source it still checks for a duplicate.
#[test]
fn ipv6_without_carrier() {
    testnet::root_or_skip!();
    for (parameter, value, since_it_is_up) in [
        ("duplicate_check", "no", false),
        ("duplicate_check", "no", true),
        ("nodad", "no", false),
        ("nodad", "no", true),
        ("nodad", "auto", true),
    ] {
        let site = site();
        let agent = routed6(&site).param("link_wait", "0").param(parameter, value);
        without_carrier(&site, since_it_is_up);
        if (parameter, since_it_is_up) == ("nodad", true) {
            // Somebody has added it.
            site.a.ip("addr add 2001:db8::10/64 dev eth0");
        }
        ends(&agent.action("start"), 0);
        fails(&recurring(&agent), 190, "eth0 has no carrier");
        site.cable_a.plug(&site.a);
        wait_until("the VIP serves", LONG, || recurring(&agent).code == 0);
        let from = way(&site.a, "2001:db8:5::1 from 2001:db8::10");
        assert!(from.starts_with("via 2001:db8::98 dev eth0"), "{parameter}={value}: {from}");
        ends(&agent.action("stop"), 0);
        let left = tables(&site.a);
        assert!(!left.contains("2001:db8::10") && !left.contains("proto 176"), "{left}");
    }
}

/// The carrier comes while start waits for it, and leaves no time for the kernel's check.
#[test]
fn ipv6_with_a_carrier_that_comes_late() {
    testnet::root_or_skip!();
    let site = site();
    let agent = routed6(&site)
        .param("duplicate_check", "no")
        .param("link_wait", "10")
        .env("OCF_RESKEY_CRM_meta_timeout", "5000");
    without_carrier(&site, true);
    std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        std::thread::sleep(Duration::from_millis(2300));
        site.cable_a.plug(&site.a);
        ends(&start.join().unwrap(), 0);
    });
    wait_until("the VIP serves", LONG, || recurring(&agent).code == 0);
    ends(&agent.action("stop"), 0);
}
