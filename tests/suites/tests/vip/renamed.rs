//! Two interfaces that swap their names while the VIP is on one of them.

use testnet::{Capture, Host, wait_until};

use super::{
    LONG, MAC_A, Site, VIP, announcements, announcer, ends, fails, instances, is_up, locks, others,
    recurring, second_interface,
};

/// A live rename (Linux 6.2 and newer).
fn swap_names(host: &Host) {
    for (from, to) in [("eth0", "other"), ("eth1", "eth0"), ("other", "eth1")] {
        host.ip(&format!("link set dev {from} name {to}"));
    }
    assert!(host.ip("link show dev eth1").contains(MAC_A));
}

#[test]
fn monitor_and_stop_find_the_interface_by_what_it_is() {
    testnet::root_or_skip!();
    for nic in [None, Some(MAC_A), Some("192.0.2.0/24")] {
        let site = Site::new();
        second_interface(&site.a);
        site.a.ip("addr add 198.51.100.1/24 dev eth1");
        let agent = nic.map_or_else(|| site.vip(), |nic| site.vip().param("nic", nic));
        ends(&agent.action("start"), 0);
        swap_names(&site.a);
        assert_eq!(instances(&site.a), ["eth1 192.0.2.10/24"]);
        ends(&recurring(&agent), 0);
        let before = others(&site.a);
        ends(&agent.action("stop"), 0);
        assert!(instances(&site.a).is_empty());
        assert_eq!(others(&site.a), before);
        ends(&agent.action("start"), 0);
        assert_eq!(instances(&site.a), ["eth1 192.0.2.10/24"]);
        ends(&agent.action("stop"), 0);
        assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
    }
}

/// The definition names another interface now, and says where the address belongs.
#[test]
fn a_name_in_the_definition_means_the_interface_that_has_it_now() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    site.a.ip("addr add 198.51.100.1/24 dev eth1");
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    ends(&agent.action("start"), 0);
    swap_names(&site.a);
    fails(&recurring(&agent), 1, "192.0.2.10/24 on eth1");
    ends(&agent.action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    ends(&agent.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth0 192.0.2.10/24"]);
    ends(&agent.action("stop"), 0);
}

#[test]
fn the_announcer_goes_on_where_the_address_is() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    let capture = Capture::start(&site.neighbour, "eth0");
    let agent = site.vip().param("announce_schedule", "0,600000");
    ends(&agent.action("start"), 0);
    let pid = announcer(&site.a).unwrap();
    swap_names(&site.a);
    // It begins again when the carrier has returned.
    site.cable_a.unplug(&site.a);
    wait_until("no carrier", LONG, || !is_up(&site.a, "eth1"));
    let before = announcements(&capture).len();
    site.cable_a.plug(&site.a);
    wait_until("it is announced again", LONG, || announcements(&capture).len() > before);
    assert_eq!(announcer(&site.a), Some(pid));
    ends(&agent.action("stop"), 0);
    assert!(!site.a.ip("addr show").contains(VIP));
}
