//! The network of the node comes while start is at work: at boot, in a restart of the network service,
//! while a bond is made.

use std::time::Duration;

use testnet::{Agent, Host, Outcome, wait_until};

use super::{
    LONG, Site, VIP, ends, fails, has_strace, hasty, instances, is_at_work, is_up, locks, plain,
    recurring, second_interface, state,
};

/// start, with this change of the host while it waits. Before, it fails with 1 and leaves the node as it
/// was; a hard error (2 to 6) would bar the node for good.
#[track_caller]
fn becomes_ready(host: &Host, agent: &Agent, words: &str, change: impl FnOnce()) {
    let before = state(host);
    fails(&hasty(agent).action("start"), 1, words);
    assert_eq!(state(host), before);
    ends(&meanwhile(host, agent, change), 0);
    ends(&recurring(agent), 0);
    ends(&agent.action("stop"), 0);
}

fn meanwhile(host: &Host, agent: &Agent, change: impl FnOnce()) -> Outcome {
    std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("start is at work", LONG, || is_at_work(host));
        change();
        start.join().unwrap()
    })
}

#[test]
fn a_network_that_comes_late() {
    testnet::root_or_skip!();
    let site = Site::new();
    for agent in
        [site.vip(), site.vip().param("nic", "eth0"), site.vip().param("nic", "192.0.2.0/24")]
    {
        site.a.ip("addr flush dev eth0");
        let words = "192.0.2";
        becomes_ready(&site.a, &agent, words, || {
            site.a.ip("addr add 192.0.2.1/24 dev eth0");
        });
    }
    // Its prefix is another one for a moment.
    site.a.ip("addr flush dev eth0");
    site.a.ip("addr add 192.0.2.9/30 dev eth0");
    let agent = plain(&site.a).param("ip", "192.0.2.11");
    let words = "ip=192.0.2.11 is the broadcast address of 192.0.2.8/30";
    becomes_ready(&site.a, &agent, words, || {
        site.a.ip("addr add 192.0.2.1/28 dev eth0");
        site.a.ip("addr del 192.0.2.9/30 dev eth0");
    });
}

#[test]
fn an_interface_that_comes_late() {
    testnet::root_or_skip!();
    let site = Site::new();
    for nic in ["sip0", "02:00:00:00:00:51", "198.51.100.0/24"] {
        let agent = site.vip().param("nic", nic).param("cidr_netmask", "24");
        let agent = agent.param("check_link_status", "no");
        becomes_ready(&site.a, &agent, &format!("nic={nic} does not exist on this node"), || {
            site.a.ip("link add sip0 address 02:00:00:00:00:51 type veth peer name far0");
            site.a.ip("addr add 198.51.100.1/24 dev sip0");
            site.a.ip("link set sip0 up");
        });
        site.a.ip("link del sip0");
    }
    let local = plain(&site.a).param("ip", "fe80::10").param("nic", "sip0");
    let local = local
        .param("duplicate_check", "no")
        .param("check_link_status", "no")
        .param("cidr_netmask", "64");
    fails(&hasty(&local).action("start"), 1, "nic=sip0 does not exist on this node");
    let outcome = std::thread::scope(|scope| {
        let start = scope.spawn(|| local.action("start"));
        std::thread::sleep(Duration::from_millis(300));
        site.a.ip("link add sip0 type veth peer name far0");
        site.a.ip("link set far0 up");
        site.a.ip("link set sip0 up");
        start.join().unwrap()
    });
    ends(&outcome, 0);
    ends(&local.action("stop"), 0);
}

/// The carrier comes after the address: the kernel looks for duplicates only then.
#[test]
fn a_carrier_that_comes_before_the_last_look() {
    testnet::root_or_skip!();
    if !has_strace("readiness::a_carrier_that_comes_before_the_last_look") {
        return;
    }
    let site = Site::new();
    site.a.ip("link add sip0 type veth peer name far0");
    site.a.ip("link set sip0 up");
    site.a.sysctl("net/ipv6/conf/sip0/dad_transmits", "6");
    let agent = plain(&site.a).param("ip", "fe80::10").param("nic", "sip0");
    let agent = agent.param("cidr_netmask", "64").param("announce_schedule", "0");
    let agent = agent.param("duplicate_check", "no").param("check_link_status", "no");
    let shown = || site.a.ip("-6 addr show dev sip0");
    let strace = ["/usr/bin/strace", "-qq", "-o", "/run/trace", "-e", "trace=sendto"];
    ends(&agent.clone().under(strace).action("start"), 0);
    let trace = site.a.run(|| std::fs::read_to_string("/run/trace").unwrap());
    let number = trace.lines().position(|line| line.contains("RTM_NEWADDR")).unwrap() + 2;
    ends(&agent.action("stop"), 0);
    let inject = format!("--inject=sendto:delay_enter=4000000:when={number}");
    let held = agent.clone().under(strace.iter().copied().chain([inject.as_str()]));
    let has_waited = || {
        site.a.ip("link set far0 down");
        let outcome = std::thread::scope(|scope| {
            let start = scope.spawn(|| held.action("start"));
            wait_until("the address is there", LONG, || shown().contains("fe80::10/64"));
            site.a.ip("link set far0 up");
            start.join().unwrap()
        });
        ends(&outcome, 0);
        let shown = shown();
        ends(&agent.action("stop"), 0);
        let address = shown.lines().find(|line| line.contains("fe80::10/64")).unwrap();
        !address.contains("tentative")
    };
    // On a machine that stands still the carrier comes after the last look, or too late for the detection.
    assert!((0..10).any(|_| has_waited()));
}

#[test]
fn what_is_on_two_interfaces_for_a_moment() {
    testnet::root_or_skip!();
    let site = Site::new();
    let mac = site.a.run(|| std::fs::read_to_string("/sys/class/net/eth0/address").unwrap());
    for agent in [site.vip(), site.vip().param("nic", mac.trim())] {
        second_interface(&site.a);
        site.a.ip(&format!("link set eth1 address {}", mac.trim()));
        site.a.ip("addr flush dev eth0");
        site.a.ip("addr add 192.0.2.1/24 dev eth0 noprefixroute");
        site.a.ip("addr add 192.0.2.3/24 dev eth1 noprefixroute");
        becomes_ready(&site.a, &agent, "eth0", || {
            site.a.ip("link del eth1");
        });
    }
}

#[test]
fn a_route_that_comes_late() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("source_for", "0.0.0.0/0");
    becomes_ready(&site.a, &agent, "source_for=0.0.0.0/0 has no route", || {
        site.a.ip("route add default via 192.0.2.99 dev eth0");
    });
    let agent = site.vip().param("gateway", "192.0.2.99").param("route_table", "100");
    site.a.ip("route add 203.0.113.0/24 via 192.0.2.99 table 100");
    becomes_ready(&site.a, &agent, "route_table=100 has the route 203.0.113.0/24", || {
        site.a.ip("route flush table 100");
    });
}

#[test]
fn ipv6_that_comes_late() {
    testnet::root_or_skip!();
    let site = Site::new();
    let vip = plain(&site.a).param("ip", "2001:db8::10");
    site.a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    site.a.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1");
    let named = vip.clone().param("nic", "eth0").param("cidr_netmask", "64");
    becomes_ready(&site.a, &named, "IPv6 is disabled on eth0", || {
        site.a.sysctl("net/ipv6/conf/eth0/disable_ipv6", "0");
    });
    // A router advertises the network: here, an administrator adds an address.
    becomes_ready(&site.a, &vip, "no connected network of this node contains 2001:db8::10", || {
        site.a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    });
    // IPv6 needs 1280 bytes.
    site.a.ip("link set eth0 mtu 1200");
    becomes_ready(&site.a, &named, "eth0 has no IPv6: set its MTU, which is 1200, to 1280", || {
        site.a.ip("link set eth0 mtu 1500");
    });
}

#[test]
fn a_namespace_that_comes_late() {
    testnet::root_or_skip!();
    let host = Host::new("host");
    let agent = plain(&host).param("ip", VIP).param("network_namespace", "sip");
    let agent = agent.param("check_link_status", "no");
    fails(&hasty(&agent).action("start"), 1, "there is no network namespace sip on this host");
    let outcome = std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        std::thread::sleep(Duration::from_millis(300));
        host.ip("netns add sip");
        host.ip("-n sip link add eth0 type veth peer name far0");
        host.ip("-n sip link set eth0 up");
        host.ip("-n sip addr add 192.0.2.1/24 dev eth0");
        start.join().unwrap()
    });
    ends(&outcome, 0);
    ends(&agent.action("stop"), 0);
    host.ip("netns del sip");
}

/// A restart of the network service removes the address right after start has added it.
#[test]
fn an_address_that_is_flushed_is_added_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    site.a.sysctl("net/ipv6/conf/eth0/dad_transmits", "2");
    let vip = plain(&site.a).param("ip", "2001:db8::10");
    let vip = vip.param("nodad", "no").param("duplicate_check", "no");
    let is_there = || site.a.ip("-6 addr show dev eth0").contains("2001:db8::10/64");
    let outcome = meanwhile(&site.a, &vip, || {
        wait_until("the address is there", LONG, is_there);
        site.a.ip("addr del 2001:db8::10/64 dev eth0");
    });
    ends(&outcome, 0);
    assert!(is_there());
    ends(&recurring(&vip), 0);
    ends(&vip.action("stop"), 0);
}

#[test]
fn a_stop_ends_the_wait() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("nic", "eth7").param("cidr_netmask", "24");
    let start = meanwhile(&site.a, &agent, || ends(&agent.action("stop"), 0));
    fails(&start, 1, "192.0.2.10 was stopped while start was at work");
    assert!(instances(&site.a).is_empty() && is_up(&site.a, "eth0"));
    assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
}
