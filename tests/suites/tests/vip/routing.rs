//! Source routing: packets from the VIP take the right way, and nothing is left of it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use testnet::{Agent, Host, wait_until};

use super::{LONG, Site, VIP, ends, fails, hasty, instances, plain, recurring, second_interface};

/// Everything `ip` shows of routes and rules, once the kernel's own changes are over.
pub(super) fn tables(host: &Host) -> String {
    ["-d route show table all", "-d rule", "-d -6 route show table all", "-d -6 rule"]
        .map(|what| host.ip(what))
        .concat()
}

/// A server in two networks: the signalling on eth0, the default route on eth1.
pub(super) fn site() -> Site {
    let site = Site::new();
    second_interface(&site.a);
    site.a.ip("addr add 198.51.100.1/24 dev eth1");
    site.a.ip("route add default via 198.51.100.254 dev eth1 metric 100 mtu 1400");
    site.a.ip("route add 203.0.113.0/24 via 192.0.2.99 dev eth0 metric 50 mtu 1300");
    site.a.ip("rule add from 198.51.100.1 lookup 77 priority 500");
    site.a.ip("route add 10.1.0.0/16 via 198.51.100.253 dev eth1 table 77");
    for (host, address) in [(&site.a, "2001:db8::1"), (&site.neighbour, "2001:db8::99")] {
        host.ip(&format!("addr add {address}/64 dev eth0 nodad"));
    }
    site.a.ip("-6 route add default via 2001:db8::99 dev eth0 metric 300");
    super::wait_until_ipv6_is_settled(&site.a);
    site
}

/// What the kernel would do with a packet: `via ... dev ... src ...`.
pub(super) fn way(host: &Host, arguments: &str) -> String {
    let line = host.ip(&format!("-o route get {arguments}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |key: &str| {
        let at = words.iter().position(|word| *word == key)?;
        Some(format!("{key} {}", words.get(at + 1)?))
    };
    [after("via"), after("dev"), after("src")].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn routed(site: &Site) -> Agent {
    site.vip().param("nic", "eth0").param("gateway", "192.0.2.99")
}

#[test]
fn packets_from_the_vip_leave_through_its_gateway() {
    testnet::root_or_skip!();
    let site = site();
    let before = tables(&site.a);
    let default = way(&site.a, "198.18.0.1");
    for table in [None, Some("4711")] {
        let agent = match table {
            Some(table) => routed(&site).param("route_table", table),
            None => routed(&site),
        };
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        assert_eq!(way(&site.a, "198.18.0.1 from 192.0.2.10"), "via 192.0.2.99 dev eth0");
        assert_eq!(way(&site.a, "192.0.2.2 from 192.0.2.10"), "dev eth0");
        // The others' way is as it was.
        assert_eq!(way(&site.a, "198.18.0.1"), default);
        let during = tables(&site.a);
        ends(&agent.action("start"), 0);
        assert_eq!(tables(&site.a), during, "a second start changes nothing");
        ends(&agent.action("stop"), 0);
        assert_eq!(tables(&site.a), before);
    }
}

/// Only what has no route of its own leaves through the gateway.
#[test]
fn the_hosts_other_networks_are_reached_directly() {
    testnet::root_or_skip!();
    let site = site();
    let before = tables(&site.a);
    for prefix in ["24", "32"] {
        let agent = routed(&site).param("gateway", "192.0.2.98").param("cidr_netmask", prefix);
        ends(&agent.action("start"), 0);
        for (destination, expected) in [
            ("198.18.0.1", "via 192.0.2.98 dev eth0"),
            ("192.0.2.2", "dev eth0"),
            ("198.51.100.7", "dev eth1"),
            ("203.0.113.5", "via 192.0.2.99 dev eth0"),
        ] {
            let from = format!("{destination} from 192.0.2.10");
            assert_eq!(way(&site.a, &from), expected, "{prefix}");
        }
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        assert_eq!(tables(&site.a), before);
    }
}

#[test]
fn a_gateway_that_is_no_router_on_the_link() {
    testnet::root_or_skip!();
    let site = site();
    let before = tables(&site.a);
    for (gateway, words) in [
        (
            "198.51.100.254",
            "gateway=198.51.100.254 is in no network of eth0: set gateway to a router",
        ),
        ("203.0.113.1", "gateway=203.0.113.1 is in no network of eth0"),
        ("192.0.2.255", "is the network or broadcast address of 192.0.2.0/24"),
        ("192.0.2.0", "is the network or broadcast address of 192.0.2.0/24"),
    ] {
        let agent = routed(&site).param("gateway", gateway);
        fails(&hasty(&agent).action("start"), 1, words);
        fails(&agent.env("OCF_CHECK_LEVEL", "10").action("validate-all"), 1, words);
    }
    fails(&routed(&site).param("gateway", VIP).action("validate-all"), 6, "the VIP itself");
    let known = routed(&site).param("gateway", "192.0.2.255").param("cidr_netmask", "24");
    fails(&known.action("validate-all"), 6, "network or broadcast address");
    assert_eq!(tables(&site.a), before);
}

#[test]
fn the_vip_as_source() {
    testnet::root_or_skip!();
    let site = site();
    let before = tables(&site.a);
    let agent =
        site.vip().param("nic", "eth0").param("source_for", "0.0.0.0/0,203.0.113.0/24 10.9.0.0/16");
    ends(&agent.action("start"), 0);
    ends(&recurring(&agent), 0);
    assert_eq!(way(&site.a, "198.18.0.1"), "via 198.51.100.254 dev eth1 src 192.0.2.10");
    assert_eq!(way(&site.a, "203.0.113.5"), "via 192.0.2.99 dev eth0 src 192.0.2.10");
    assert_eq!(way(&site.a, "10.9.1.1"), "via 198.51.100.254 dev eth1 src 192.0.2.10");
    // What else the routes say goes with them.
    assert!(site.a.ip("-d route show 203.0.113.0/24 proto 176").contains("mtu 1300"));
    ends(&agent.action("stop"), 0);
    assert_eq!(tables(&site.a), before);
    // Any stop finds them, whatever its parameters.
    ends(&agent.action("start"), 0);
    ends(&plain(&site.a).param("ip", VIP).action("stop"), 0);
    assert_eq!(tables(&site.a), before);
}

#[test]
fn what_is_missing_is_a_failure() {
    testnet::root_or_skip!();
    let site = site();
    let before = tables(&site.a);
    let agent = routed(&site).param("source_for", "0.0.0.0/0").param("route_table", "100");
    for (damage, words) in [
        (
            "rule del from 192.0.2.10 lookup 100",
            "rule 17600: from 192.0.2.10/32 lookup 100 is missing",
        ),
        (
            "rule del from 192.0.2.10 lookup main",
            "rule 17599: from 192.0.2.10/32 lookup main suppress_prefixlength 0 is missing",
        ),
        ("route del default table 100", "route 0.0.0.0/0 via 192.0.2.99 dev eth0"),
        ("route del default proto 176", "route 0.0.0.0/0 via 198.51.100.254"),
    ] {
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        site.a.ip(damage);
        fails(&recurring(&agent), 1, words);
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        assert_eq!(tables(&site.a), before, "{damage}");
    }
    // The original is another one now: ours leads astray.
    ends(&agent.action("start"), 0);
    site.a.ip("route del default proto boot");
    site.a.ip("route add default via 198.51.100.253 dev eth1 metric 90");
    fails(&recurring(&agent), 1, "via 198.51.100.253");
    ends(&agent.action("start"), 0);
    assert_eq!(way(&site.a, "198.18.0.1"), "via 198.51.100.253 dev eth1 src 192.0.2.10");
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_start_that_fails_takes_its_routes_back() {
    testnet::root_or_skip!();
    let site = site();
    // The table has such a route already, and it is somebody else's.
    site.a.ip("route add default via 192.0.2.2 dev eth0 table 100");
    let before = tables(&site.a);
    let agent = routed(&site).param("route_table", "100");
    let whose = "route_table=100 has the route 0.0.0.0/0 via 192.0.2.2 of an administrator";
    fails(&hasty(&agent).action("start"), 1, whose);
    assert_eq!(tables(&site.a), before);
    assert!(instances(&site.a).is_empty());
    ends(&agent.action("stop"), 0);
    assert_eq!(tables(&site.a), before);
    site.a.ip("route del default dev eth1");
    let nowhere = site.vip().param("nic", "eth0").param("source_for", "0.0.0.0/0");
    fails(&hasty(&nowhere).action("start"), 1, "has no route in the main table");
    assert!(instances(&site.a).is_empty());
}

#[test]
fn two_vips_beside_each_other() {
    testnet::root_or_skip!();
    let site = site();
    let before = tables(&site.a);
    let one = routed(&site).param("source_for", "203.0.113.0/24");
    let other = one.clone().param("ip", "192.0.2.11").param("source_for", "0.0.0.0/0");
    ends(&one.action("start"), 0);
    let with_one = tables(&site.a);
    ends(&other.action("start"), 0);
    for agent in [&one, &other] {
        ends(&recurring(agent), 0);
    }
    ends(&other.action("stop"), 0);
    assert_eq!(tables(&site.a), with_one);
    ends(&recurring(&one), 0);
    ends(&one.action("stop"), 0);
    assert_eq!(tables(&site.a), before);
}

#[test]
fn connections_are_closed() {
    testnet::root_or_skip!();
    let site = Site::new();
    for (closes, reset) in [("yes", true), ("no", false)] {
        let agent = site.vip().param("close_connections", closes);
        ends(&agent.action("start"), 0);
        let listener = site.a.run(|| TcpListener::bind((VIP, 5060)).unwrap());
        let mut phone = site.neighbour.run(|| TcpStream::connect((VIP, 5060)).unwrap());
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"OPTIONS").unwrap();
        phone.read_exact(&mut [0; 7]).unwrap();
        ends(&agent.action("stop"), 0);
        let timeout = if reset { LONG } else { Duration::from_millis(500) };
        phone.set_read_timeout(Some(timeout)).unwrap();
        let error = phone.read(&mut [0; 7]).unwrap_err();
        assert_eq!(error.kind() == std::io::ErrorKind::ConnectionReset, reset, "{error}");
    }
    let output = site.a.output(Command::new("ss").args(["-Htn", "src", VIP]));
    assert!(output.status.success());
}

#[test]
fn routes_of_others_stay() {
    testnet::root_or_skip!();
    let site = site();
    // Of the same protocol number, and without a source.
    site.a.ip("route add 198.18.0.0/15 via 192.0.2.99 dev eth0 proto 176");
    site.a.ip("-6 route add 2001:db8:9::/48 via 2001:db8::99 dev eth0 proto 176");
    site.a.ip("-6 route add default via 2001:db8::98 dev eth0 proto 176 metric 200");
    let before = tables(&site.a);
    let six = plain(&site.a).param("ip", "2001:db8::10").param("gateway", "2001:db8::98");
    for agent in [site.vip(), routed(&site), six.clone(), six.param("source_for", "::/0")] {
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        assert_eq!(tables(&site.a), before);
    }
}

#[test]
fn two_vips_with_one_table_or_one_source_for() {
    testnet::root_or_skip!();
    let site = site();
    site.a.ip("addr add 10.1.2.1/24 dev eth0");
    let before = tables(&site.a);
    let pairs = [
        // The last three bytes are the same.
        ["192.0.2.10", "10.0.2.10"].map(|ip| (ip, "gateway", "192.0.2.99")),
        ["2001:db8::10", "2001:db8::11"].map(|ip| (ip, "source_for", "::/0,2001:db8:77::/48")),
    ];
    for pair in pairs {
        let [one, other] = pair.map(|(ip, name, value)| {
            plain(&site.a).param("ip", ip).param("nic", "eth0").param(name, value)
        });
        let prefix = if pair[0].0.contains(':') { "64" } else { "24" };
        let (one, other) = (one.param("cidr_netmask", prefix), other.param("cidr_netmask", prefix));
        for agent in [&one, &other, &one, &other] {
            ends(&agent.action("start"), 0);
        }
        for agent in [&one, &other] {
            ends(&recurring(agent), 0);
        }
        ends(&one.action("stop"), 0);
        ends(&recurring(&other), 0);
        ends(&other.action("start"), 0);
        ends(&one.action("start"), 0);
        ends(&other.action("stop"), 0);
        ends(&recurring(&one), 0);
        ends(&one.action("stop"), 0);
        assert_eq!(tables(&site.a), before);
    }
    let one = routed(&site).param("route_table", "100");
    ends(&one.action("start"), 0);
    let with_one = tables(&site.a);
    let other = one.clone().param("ip", "192.0.2.11");
    fails(&hasty(&other).action("start"), 1, "route_table=100 is the table of the VIP 192.0.2.10");
    assert_eq!(tables(&site.a), with_one);
    ends(&one.action("stop"), 0);
}

#[test]
fn a_program_that_replaces_the_default_route_hits_the_copy() {
    testnet::root_or_skip!();
    let site = site();
    let agent = site.vip().param("nic", "eth0").param("source_for", "0.0.0.0/0");
    let replace = "route replace default via 198.51.100.253 dev eth1 metric 100";
    for damage in [replace, "route del default", "route del default proto boot"] {
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        site.a.ip(damage);
        fails(&recurring(&agent), 1, "0.0.0.0/0");
        ends(&agent.action("stop"), 0);
        site.a.ip("route flush exact default table main");
        site.a.ip("route add default via 198.51.100.254 dev eth1 metric 100");
    }
}

#[test]
fn the_copy_follows_its_original() {
    testnet::root_or_skip!();
    let site = site();
    let four = site.vip().param("nic", "eth0").param("source_for", "203.0.113.0/24");
    let six = plain(&site.a).param("ip", "2001:db8::10").param("source_for", "2001:db8:77::/48");
    let hops = "nexthop via 2001:db8::97 dev eth0 weight 2";
    let ecmp = |other: &str| format!("{hops} nexthop via {other} dev eth0");
    site.a.ip(&format!("-6 route add 2001:db8:77::/48 metric 300 {}", ecmp("2001:db8::98")));
    let four_changed: &[&str] = &[
        "route del 203.0.113.0/24 proto boot",
        "route append 203.0.113.0/24 via 192.0.2.99 dev eth0 metric 50 mtu 1200",
    ];
    let replaced = format!("-6 route replace 2001:db8:77::/48 metric 300 {}", ecmp("2001:db8::96"));
    for (agent, changes) in [(&four, four_changed), (&six, &[&replaced])] {
        ends(&agent.action("start"), 0);
        ends(&recurring(agent), 0);
        for change in changes {
            site.a.ip(change);
        }
        fails(&recurring(agent), 1, "is missing");
        ends(&agent.action("start"), 0);
        ends(&recurring(agent), 0);
        ends(&agent.action("stop"), 0);
    }
}

/// A route for a type of service, or one whose lifetime is over, is not the one that packets take.
#[test]
fn routes_that_the_kernel_does_not_use_are_not_copied() {
    testnet::root_or_skip!();
    let site = site();
    site.a.ip("route add default via 198.51.100.253 dev eth1 metric 10 tos 0x10");
    let agent = site.vip().param("nic", "eth0").param("source_for", "0.0.0.0/0");
    ends(&agent.action("start"), 0);
    assert_eq!(way(&site.a, "198.18.0.1"), "via 198.51.100.254 dev eth1 src 192.0.2.10");
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
    site.a.ip("-6 route add 2001:db8:77::/48 via 2001:db8::97 dev eth0 metric 50 expires 1");
    site.a.ip("-6 route add 2001:db8:77::/48 via 2001:db8::98 dev eth0 metric 90");
    wait_until("the first route is over", LONG, || {
        way(&site.a, "2001:db8:77::1").starts_with("via 2001:db8::98")
    });
    // For some ten milliseconds around its end the kernel tells a lifetime of 0, as of a route without one
    // (rtnl_put_cacheinfo() rounds).
    wait_until("the kernel says so", LONG, || {
        let routes = site.a.ip("-6 route show 2001:db8:77::/48");
        !routes.contains("::97 ") || routes.contains("expires -")
    });
    let six = plain(&site.a).param("ip", "2001:db8::10").param("source_for", "2001:db8:77::/48");
    ends(&six.action("start"), 0);
    assert_eq!(way(&site.a, "2001:db8:77::1"), "via 2001:db8::98 dev eth0 src 2001:db8::10");
    ends(&recurring(&six), 0);
    ends(&six.action("stop"), 0);
}
