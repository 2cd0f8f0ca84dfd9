//! Another owner whose MAC address is that of a link of this host: the virtual router MAC of keepalived
//! (`use_vmac`), ocf:heartbeat:iface-macvlan with `mac`, a bridge with a configured address.

use testnet::{Host, cable, wait_until};

use super::{LONG, Site, VIP, ends, fails, instances, is_up, plain, recurring, vip};

/// Virtual router 51 (RFC 5798 section 7.3).
const VMAC: &str = "00:00:5e:00:01:33";

/// Gives the host a macvlan with the virtual MAC address, as keepalived does.
fn virtual_router(host: &Host) {
    host.ip(&format!("link add link eth0 name vrrp51 address {VMAC} type macvlan mode bridge"));
    host.ip("link set vrrp51 up");
    wait_until("vrrp51 is up", LONG, || is_up(host, "vrrp51"));
    // Only the link that has the address answers for it.
    for setting in ["all/arp_ignore", "all/arp_announce"] {
        host.sysctl(&format!("net/ipv4/conf/{setting}"), "1");
    }
}

#[test]
fn a_rival_with_the_mac_of_another_link_of_this_host() {
    testnet::root_or_skip!();
    let site = Site::new();
    virtual_router(&site.a);
    virtual_router(&site.b);
    let on_rival = format!("{VIP}/32 dev vrrp51");
    site.b.ip(&format!("addr add {on_rival}"));
    let agent = site.vip().param("nic", "eth0").param("duplicate_wait", "0");
    fails(&agent.action("start"), 1, &format!("192.0.2.10 is in use by {VMAC} on eth0"));
    assert!(instances(&site.a).is_empty());
    site.b.ip(&format!("addr del {on_rival}"));
    ends(&agent.action("start"), 0);
    let deep = agent.clone().env("OCF_CHECK_LEVEL", "10");
    ends(&recurring(&deep), 0);
    site.b.ip(&format!("addr add {on_rival}"));
    fails(&recurring(&deep), 190, &format!("also in use by {VMAC} on eth0"));
    ends(&agent.action("stop"), 0);
}

#[test]
fn an_ipv6_rival_with_the_mac_of_another_link_of_this_host() {
    testnet::root_or_skip!();
    let site = Site::new();
    virtual_router(&site.a);
    virtual_router(&site.b);
    site.b.ip("addr add 2001:db8::10/128 dev vrrp51 nodad");
    let agent = plain(&site.a).param("ip", "2001:db8::10").param("nic", "eth0");
    let agent = agent.param("cidr_netmask", "64").param("duplicate_wait", "0");
    fails(&agent.action("start"), 1, &format!("2001:db8::10 is in use by {VMAC} on eth0"));
    site.b.ip("addr del 2001:db8::10/128 dev vrrp51");
    ends(&agent.action("start"), 0);
    site.b.ip("addr add 2001:db8::10/128 dev vrrp51 nodad");
    let deep = agent.clone().env("OCF_CHECK_LEVEL", "10");
    fails(&recurring(&deep), 190, &format!("also in use by {VMAC} on eth0"));
    ends(&agent.action("stop"), 0);
}

/// A switch sends the answers of such a host nowhere: the address moves from port to port.
#[test]
fn a_rival_with_the_mac_of_this_link() {
    testnet::root_or_skip!();
    let (a, b) = (Host::new("a"), Host::new("b"));
    let _cable = cable((&a, "eth0", VMAC), (&b, "eth0", VMAC));
    a.ip("addr add 192.0.2.1/24 dev eth0");
    b.ip(&format!("addr add {VIP}/24 dev eth0"));
    let agent = vip(&a).param("duplicate_wait", "0");
    fails(&agent.action("start"), 1, &format!("192.0.2.10 is in use by {VMAC} on eth0"));
    b.ip(&format!("addr del {VIP}/24 dev eth0"));
    ends(&agent.action("start"), 0);
    let deep = agent.clone().env("OCF_CHECK_LEVEL", "10");
    ends(&recurring(&deep), 0);
    b.ip(&format!("addr add {VIP}/24 dev eth0"));
    fails(&recurring(&deep), 190, &format!("also in use by {VMAC} on eth0"));
    ends(&agent.action("stop"), 0);
}
