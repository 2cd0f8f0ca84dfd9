//! Faults of ocf:heartbeat:IPaddr2 (resource-agents, main of 2026-08) that this agent must not have,
//! each as it was reproduced there. The numbers are those of the design; what is IPv6 or routing comes
//! with those.

use std::time::Duration;

use testnet::wait_until;

use super::{
    HeldLock, LONG, Site, VIP, Wire, announcer, ends, fails, instances, is_at_work, is_up, others,
    recurring, second_interface, shell, vip,
};

/// 1: stop left the announcer running; frames for the VIP went on for 14 s after stop.
#[test]
fn stop_silences_the_announcer() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    let times: Vec<_> = (0..20).map(|i| (i * 100).to_string()).collect();
    ends(&site.vip().param("announce_schedule", times.join(",")).action("start"), 0);
    assert!(announcer(&site.a).is_some());
    ends(&site.vip().action("stop"), 0);
    let seen = wire.announcements().len();
    // The address comes back at once, as by an administrator: still nobody announces it.
    site.a.ip(&format!("addr add {VIP}/24 dev eth0"));
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(wire.announcements().len(), seen);
}

/// 2: stop returned 0 with the VIP still up when interface or mask could not be worked out.
#[test]
fn stop_does_not_need_the_connected_route() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().action("start"), 0);
    // Else the VIP, a secondary address, would go too.
    site.a.sysctl("net/ipv4/conf/eth0/promote_secondaries", "1");
    site.a.ip("addr del 192.0.2.1/24 dev eth0");
    site.a.ip("route flush table main");
    ends(&recurring(&site.vip()), 0);
    ends(&site.vip().action("start"), 0);
    ends(&site.vip().action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    ends(&recurring(&site.vip()), 7);
}

/// 3: stop removed the exact ip/prefix only; the same IP with another prefix or on another
/// interface survived, and monitor said 7.
#[test]
fn stop_removes_every_instance() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    let kept = others(&site.a);
    ends(&site.vip().action("start"), 0);
    site.a.ip(&format!("addr add {VIP}/32 dev eth0 label eth0:old"));
    site.a.ip(&format!("addr add {VIP}/24 dev eth1"));
    site.a.ip(&format!("addr add {VIP}/32 dev lo"));
    site.a.ip(&format!("addr add {VIP} peer 203.0.113.7/32 dev eth1"));
    assert_eq!(instances(&site.a).len(), 4, "{:?}", instances(&site.a));
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    ends(&agent.action("stop"), 0);
    assert!(!site.a.ip("-4 addr show").contains(VIP));
    assert_eq!(others(&site.a), kept);
    // Only a wrong one: not 7.
    site.a.ip(&format!("addr add {VIP}/32 dev eth1"));
    fails(&recurring(&agent), 1, "belongs on eth0");
    fails(&agent.action("monitor"), 1, "belongs on eth0");
}

/// 4: the link check did nothing on an interface with an altname.
#[test]
fn the_carrier_is_seen_on_an_interface_with_altname() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("link property add dev eth0 altname enp9s9");
    ends(&site.vip().action("start"), 0);
    site.cable_a.unplug(&site.a);
    wait_until("carrier lost", LONG, || site.a.ip("link show dev eth0").contains("NO-CARRIER"));
    for agent in [site.vip(), site.vip().param("nic", "eth0"), site.vip().param("nic", "enp9s9")] {
        fails(&recurring(&agent), 190, "eth0 has no carrier");
    }
}

/// 8: start without carrier failed, the second start returned 5 and barred the node, and monitor said 7
/// with the address present.
#[test]
fn start_without_carrier_succeeds_and_is_judged() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.cable_a.unplug(&site.a);
    wait_until("carrier lost", LONG, || site.a.ip("link show dev eth0").contains("NO-CARRIER"));
    let agent = site.vip().param("link_wait", "50ms");
    for _ in 0..2 {
        ends(&agent.action("start"), 0);
        assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
        fails(&recurring(&agent), 190, "eth0 has no carrier");
    }
    site.cable_a.plug(&site.a);
    wait_until("eth0 is up", LONG, || is_up(&site.a, "eth0"));
    ends(&recurring(&agent), 0);
}

/// 9: with the VIP as primary address and promote_secondaries=0, stop removed all other
/// addresses of the subnet.
#[test]
fn the_other_addresses_of_the_subnet_survive() {
    testnet::root_or_skip!();
    let site = Site::new();
    let setting = "net/ipv4/conf/eth0/promote_secondaries";
    let read = || site.a.run(|| std::fs::read_to_string(format!("/proc/sys/{setting}")).unwrap());
    site.a.sysctl("net/ipv4/conf/all/promote_secondaries", "0");
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    for value in ["0", "1"] {
        site.a.sysctl(setting, value);
        site.a.ip("addr flush dev eth0");
        ends(&agent.action("start"), 0);
        for address in ["192.0.2.1/24", "192.0.2.20/24 label eth0:two", "192.0.2.1/25"] {
            site.a.ip(&format!("addr add {address} dev eth0"));
        }
        let before = others(&site.a);
        assert_eq!(before.len(), 3);
        ends(&agent.action("stop"), 0);
        assert_eq!(others(&site.a), before);
        assert_eq!(read().trim(), value);
        assert!(site.a.ip("-4 route show").contains("192.0.2.0/24 dev eth0"));
    }
}

/// 9, in a container that may not change settings.
#[test]
fn the_other_addresses_survive_with_a_read_only_proc_sys() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.sysctl("net/ipv4/conf/all/promote_secondaries", "0");
    site.a.sysctl("net/ipv4/conf/eth0/promote_secondaries", "0");
    site.a.ip("addr flush dev eth0");
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    ends(&agent.action("start"), 0);
    site.a.ip("addr add 192.0.2.1/24 dev eth0");
    site.a.ip("addr add 192.0.2.20/24 brd 192.0.2.255 dev eth0 label eth0:two");
    site.a.ip("route add default via 192.0.2.99 mtu 1400");
    site.a.ip("route add 198.51.100.0/24 via 192.0.2.99 src 192.0.2.20 metric 7");
    let before = others(&site.a);
    let routes = || site.a.ip("-4 route show proto boot");
    let routes_before = routes();
    assert_eq!(routes_before.lines().count(), 2);
    shell(&site.a, "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys");
    ends(&agent.action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    assert_eq!(others(&site.a), before);
    assert_eq!(routes(), routes_before);
    assert!(site.a.ip("-4 -o addr show").contains("192.0.2.20/24 brd 192.0.2.255 scope global"));
    assert!(site.a.ip("-4 -o addr show").contains("eth0:two"));
}

/// 9, when several VIPs of the subnet are stopped at the same time: one must not put the setting
/// back while another one relies on it.
#[test]
fn stops_at_the_same_time_leave_the_others() {
    testnet::root_or_skip!();
    let site = Site::new();
    let setting = "net/ipv4/conf/eth0/promote_secondaries";
    site.a.sysctl("net/ipv4/conf/all/promote_secondaries", "0");
    site.a.sysctl(setting, "0");
    for _ in 0..10 {
        site.a.ip("addr flush dev eth0");
        // Each is the primary address of a subnet of its own with a neighbour in it.
        let stops: Vec<_> = (1..=4)
            .map(|net| {
                let agent = vip(&site.a).param("ip", format!("10.0.{net}.10")).param("nic", "eth0");
                let agent = agent.param("cidr_netmask", "24").param("announce", "none");
                ends(&agent.action("start"), 0);
                site.a.ip(&format!("addr add 10.0.{net}.1/24 dev eth0"));
                agent
            })
            .collect();
        std::thread::scope(|scope| {
            for agent in &stops {
                scope.spawn(|| ends(&agent.action("stop"), 0));
            }
        });
        let left: Vec<_> = (1..=4).map(|net| format!("eth0 10.0.{net}.1/24")).collect();
        assert_eq!(others(&site.a), left);
        let value = site.a.run(|| std::fs::read_to_string(format!("/proc/sys/{setting}")).unwrap());
        assert_eq!(value.trim(), "0");
    }
}

/// 9, the same as far as it can be held still: while another stop has the setting on for its own
/// deletion, this one waits.
#[test]
fn a_stop_waits_for_another_ones_setting() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().param("announce_schedule", "0").action("start"), 0);
    let other = HeldLock::of_promotion(&site.a);
    // Waiting takes a part of a short time, not all of it.
    site.a.ip("addr flush dev eth0");
    site.a.ip(&format!("addr add {VIP}/24 dev eth0"));
    site.a.ip("addr add 192.0.2.1/24 dev eth0");
    let short = site.vip().env("OCF_RESKEY_CRM_meta_timeout", "4000");
    ends(&short.action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    drop(other);
    // A machine that stands still for two seconds shows nothing.
    assert!((0..10).any(|_| {
        let other = HeldLock::of_promotion(&site.a);
        site.a.ip(&format!("addr add {VIP}/24 dev eth0"));
        std::thread::scope(|scope| {
            let stop = scope.spawn(|| site.vip().action("stop"));
            wait_until("stop is at work", LONG, || is_at_work(&site.a));
            // A stop that does not wait removes the address in that time.
            std::thread::sleep(Duration::from_millis(500));
            let waits = !instances(&site.a).is_empty();
            drop(other);
            ends(&stop.join().unwrap(), 0);
            assert!(instances(&site.a).is_empty());
            waits
        })
    }));
}
