//! Wrong parameters, on every action: the code, one line that names the parameter, and a host that is
//! as it was. stop is 0, for nothing is there.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use testnet::{Agent, Host};

use super::{
    LONG, VIP, ends, fails, hasty, instances, is_up, plain, recurring, second_interface, state, vip,
};

fn host() -> Host {
    let host = Host::new("host");
    host.ip("link add eth0 type veth peer name far0");
    host.ip("link set eth0 up");
    host.ip("link set far0 up");
    host.ip("addr add 192.0.2.1/24 dev eth0");
    testnet::wait_until("eth0 is up", LONG, || is_up(&host, "eth0"));
    host
}

/// Wrong everywhere: 6 on every action but stop.
#[track_caller]
fn is_refused(host: &Host, agent: &Agent, parameter: &str) {
    let before = state(host);
    let outcomes = [
        agent.action("start"),
        agent.action("monitor"),
        recurring(agent),
        agent.action("reload-agent"),
        agent.action("validate-all"),
        agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all"),
    ];
    for outcome in outcomes {
        fails(&outcome, 6, parameter);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.len() < 400, "{}", outcome.stderr);
        assert!(outcome.exit_reason.unwrap().starts_with(parameter), "{}", outcome.stderr);
    }
    ends(&agent.action("stop"), 0);
    assert_eq!(state(host), before, "{parameter}");
}

#[test]
fn addresses_that_can_be_no_vip() {
    testnet::root_or_skip!();
    let host = host();
    for ip in [
        "",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.10/24",
        "0xc000020a",
        "-1",
        "sip.example.net",
        "2001:db8::10/64",
        "2001:db8:::10",
        "fe80::10",
        "fe80::10%eth0",
        "::ffff:192.0.2.10",
        "::",
        "::1",
        "ff02::1",
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.10; touch /run/pwned",
        "$(touch /run/pwned)",
        "`touch /run/pwned`",
        "%s%n",
        "../..",
    ] {
        is_refused(&host, &plain(&host).param("ip", ip), "ip");
    }
    is_refused(&host, &plain(&host), "ip is missing");
    assert!(!host.run(|| std::path::Path::new("/run/pwned").exists()));
}

#[test]
fn values_of_the_other_parameters() {
    testnet::root_or_skip!();
    let host = host();
    for (name, value) in [
        ("nic", "eth 0"),
        ("nic", "eth0:a b"),
        ("nic", "0.0.0.0/0"),
        ("nic", "192.0.2.0/33"),
        ("nic", "../eth0"),
        ("nic", "eth0;reboot"),
        ("nic", "$(reboot) "),
        ("cidr_netmask", "0"),
        ("cidr_netmask", "33"),
        ("cidr_netmask", "-24"),
        ("cidr_netmask", "24;reboot"),
        ("cidr_netmask", "255.0.255.0"),
        ("broadcast", "256.0.2.255"),
        ("broadcast", "++"),
        ("iflabel", "longer-than-15-bytes"),
        ("iflabel", "a b"),
        ("iflabel", "a|b c"),
        ("check_link_status", "perhaps"),
        ("link_wait", "-1"),
        ("link_wait", "3 days"),
        ("announce", "shout"),
        ("announce", "request;reply"),
        ("announce_schedule", "-1"),
        ("announce_schedule", "0,-50"),
        ("announce_schedule", "0,50,50"),
        ("announce_schedule", "0 50"),
        ("announce_schedule", "0,600001"),
        ("announce_targets", "192.0.2.99,everybody"),
        ("announce_targets", "2001:db8::99"),
        ("gateway", "198.51.100.1/24"),
        ("route_table", "254"),
        ("source_for", "0.0.0.0"),
        ("close_connections", "perhaps"),
        ("noprefixroute", "perhaps"),
        ("preferred_lft", "soon"),
        ("nodad", "never"),
        ("network_namespace", "../sip"),
        ("duplicate_check", "perhaps"),
        ("duplicate_timeout", "1ms"),
        ("duplicate_wait", "61s"),
        ("arp_count", "0"),
        ("arp_interval", "-1"),
        ("arp_bg", "perhaps"),
        ("arp_count_refresh", "101"),
        ("run_arping", "perhaps"),
        ("arp_sender", "arping"),
        ("flush_routes", "perhaps"),
        ("lvs_ipv6_addrlabel", "perhaps"),
        ("lvs_ipv6_addrlabel_value", "-1"),
        ("lvs_support", "true"),
        ("mac", "01:00:5e:00:00:01"),
        ("unique_clone_address", "true"),
        ("clusterip_hash", "sourceip"),
        ("clusterip_hash_seed", "1"),
        ("clusterip_firewall", "nft"),
        ("clusterip_table", "filter"),
        ("clusterip_chain", "INPUT"),
        ("clusterip_mac_mangle", "true"),
    ] {
        // "eth0;reboot" is a name the kernel would take: it is told from a wrong one by its absence.
        if value == "eth0;reboot" {
            continue;
        }
        is_refused(&host, &vip(&host).param(name, value), &format!("{name}={value}: "));
    }
}

#[test]
fn bytes_that_are_no_text_and_long_ones() {
    testnet::root_or_skip!();
    let host = host();
    for name in ["ip", "nic", "cidr_netmask", "broadcast", "iflabel", "announce_schedule"] {
        let bytes = OsString::from_vec(b"\xc3\x28\xff\n\x1b[31m".to_vec());
        is_refused(&host, &vip(&host).param(name, bytes), &format!("{name}=\\xc3(\\xff"));
        // One string of a program's environment may have 128 KB; the megabyte is a unit test.
        let long = "7".repeat(100_000);
        is_refused(&host, &vip(&host).param(name, long), &format!("{name}=777"));
    }
}

#[test]
fn every_finding_is_told() {
    testnet::root_or_skip!();
    let host = host();
    let wrong = plain(&host).param("cidr_netmask", "33").param("announce", "shout");
    let outcome = wrong.action("validate-all");
    fails(&outcome, 6, "ip is missing");
    for words in ["cidr_netmask=33: ", "announce=shout: "] {
        assert!(outcome.stderr.lines().any(|line| line.starts_with(words)), "{}", outcome.stderr);
        assert!(outcome.exit_reason.as_ref().unwrap().contains(words));
    }
    ends(&wrong.action("stop"), 0);
}

#[test]
fn an_interface_that_this_node_does_not_have() {
    testnet::root_or_skip!();
    let host = host();
    let before = state(&host);
    let agent = vip(&host).param("nic", "eth7").param("cidr_netmask", "24");
    let started = agent.action("start");
    fails(&started, 1, "nic=eth7 does not exist on this node");
    // It could still come; but the reason is there in seconds, not at the end of the timeout.
    assert!(started.stderr.lines().count() == 1, "{}", started.stderr);
    ends(&agent.action("monitor"), 7);
    ends(&recurring(&agent), 7);
    ends(&agent.action("stop"), 0);
    ends(&agent.action("validate-all"), 0);
    let level10 = agent.clone().env("OCF_CHECK_LEVEL", "10");
    fails(&level10.action("validate-all"), 1, "nic=eth7");
    let strange = vip(&host).param("nic", "eth0;reboot");
    fails(&hasty(&strange).action("start"), 1, "nic=eth0;reboot does not exist on this node");
    assert_eq!(state(&host), before);
    // The address is on the node all the same: then it is not "not running".
    host.ip(&format!("addr add {VIP}/24 dev eth0"));
    fails(&recurring(&agent), 1, "interface eth7, which does not exist");
    ends(&agent.action("stop"), 0);
    assert_eq!(state(&host), before);
}

#[test]
fn what_is_right_in_form_but_wrong_on_this_node() {
    testnet::root_or_skip!();
    let host = host();
    let before = state(&host);
    let at = |ip: &str| plain(&host).param("ip", ip);
    let label = vip(&host).param("nic", "eth0").param("iflabel", "eleven-byte");
    for (agent, code, words) in [
        (at("203.0.113.10"), 1, "no connected network of this node contains 203.0.113.10"),
        (at("203.0.113.10").param("nic", "eth0"), 1, "no network connected to eth0"),
        (at("192.0.2.255"), 1, "broadcast address of 192.0.2.0/24"),
        // No change of the network heals this one.
        (label, 2, "longer than 15 bytes"),
    ] {
        fails(&hasty(&agent).action("start"), code, words);
        let level10 = agent.clone().env("OCF_CHECK_LEVEL", "10");
        fails(&level10.action("validate-all"), code, words);
        ends(&agent.action("validate-all"), 0);
        ends(&agent.action("monitor"), 7);
        ends(&agent.action("stop"), 0);
        assert_eq!(state(&host), before);
    }
}

#[test]
fn what_start_would_refuse_is_found_before() {
    testnet::root_or_skip!();
    let host = host();
    let level10 = |agent: &Agent| agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all");
    // Every finding, and each by its name.
    let several = vip(&host)
        .param("nic", "eth0")
        .param("iflabel", "eleven-byte")
        .param("gateway", "192.0.2.99")
        .param("route_table", "200");
    host.ip("route add 203.0.113.0/24 dev eth0 table 200");
    let outcome = level10(&several);
    fails(&outcome, 2, "longer than 15 bytes");
    assert!(outcome.exit_reason.unwrap().contains("route_table=200"), "{}", outcome.stderr);
    let source = vip(&host).param("source_for", "203.0.113.0/24");
    fails(&level10(&source), 1, "source_for=203.0.113.0/24 has no route in the main table");
    // Its own network comes with the address.
    ends(&level10(&vip(&host).param("source_for", "192.0.2.0/24")), 0);
    host.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1");
    let ipv6 = plain(&host).param("ip", "2001:db8::10").param("nic", "eth0");
    let ipv6 = ipv6.param("cidr_netmask", "64");
    fails(&level10(&ipv6), 1, "IPv6 is disabled on eth0: set net.ipv6.conf.eth0.disable_ipv6 to 0");
    // Who else manages the interface is told, and may well leave the address alone.
    let index = host.run(|| std::fs::read_to_string("/sys/class/net/eth0/ifindex").unwrap());
    let file = format!("/run/NetworkManager/devices/{}", index.trim());
    host.run(|| {
        std::fs::create_dir_all("/run/NetworkManager/devices").unwrap();
        std::fs::write(&file, "[device]\nmanaged=true\n").unwrap();
    });
    let outcome = level10(&vip(&host).env("PCMK_service", ""));
    ends(&outcome, 0);
    assert!(
        outcome.stderr.contains("eth0 is also managed by NetworkManager"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn equally_near_interfaces_are_a_question() {
    testnet::root_or_skip!();
    let host = host();
    host.ip("addr flush dev eth0");
    second_interface(&host);
    // Without routes, so that the kernel has no metric to choose by.
    host.ip("addr add 192.0.2.1/24 dev eth0 noprefixroute");
    host.ip("addr add 192.0.2.2/24 dev eth1 noprefixroute");
    let refused = hasty(&vip(&host)).action("start");
    fails(&refused, 1, "192.0.2.0/24 is connected to both eth0 and eth1: set nic");
    ends(&vip(&host).param("nic", "eth1").action("start"), 0);
    assert_eq!(instances(&host), [format!("eth1 {VIP}/24")]);
    ends(&vip(&host).action("stop"), 0);
}

#[test]
fn stop_needs_nothing_but_the_address() {
    testnet::root_or_skip!();
    let host = host();
    let before = state(&host);
    for (name, value) in [
        ("nic", "eth7"),
        ("nic", "no interface"),
        ("cidr_netmask", "33"),
        ("cidr_netmask", "-1"),
        ("iflabel", "longer-than-15-bytes"),
        ("link_wait", "soon"),
        ("announce_schedule", "0,0"),
    ] {
        ends(&vip(&host).action("start"), 0);
        ends(&vip(&host).param(name, value).action("stop"), 0);
        assert_eq!(state(&host), before, "{name}={value}");
    }
}

#[test]
fn unknown_actions_and_the_announcers_argument() {
    testnet::root_or_skip!();
    let host = host();
    let before = state(&host);
    for action in ["status", "promote", "notify", "announcer", "Start"] {
        fails(&vip(&host).action(action), 3, "is not implemented");
    }
    // Without what start gives it, it does nothing.
    let outcome = vip(&host).action("--announcer");
    assert_ne!(outcome.code, 0);
    assert_eq!(state(&host), before);
}
