//! The host's own address, typed as that of a VIP.

use testnet::{Agent, Host};

use super::{
    Site, VIP, ends, fails, files, instances, plain, recurring, second_interface, shell, state, vip,
};

const OWN: &str = "192.0.2.1";

/// Refused in every way, and left alone: nothing on the host changes.
#[track_caller]
fn is_refused(host: &Host, agent: &Agent, code: i32, reason: &str) {
    let before = state(host);
    let deep = agent.clone().env("OCF_CHECK_LEVEL", "10");
    fails(&deep.action("validate-all"), code, reason);
    ends(&agent.action("monitor"), 7);
    // With role=Stopped Pacemaker looks for it where it must not run.
    ends(&recurring(&agent.clone().env("OCF_RESKEY_CRM_meta_role", "Stopped")), 7);
    // Pacemaker stops what it has merely defined, and what has failed to start.
    ends(&agent.action("stop"), 0);
    fails(&agent.action("start"), code, reason);
    ends(&agent.action("stop"), 0);
    assert_eq!(state(host), before);
    assert!(files(host).is_empty(), "{:?}", files(host));
}

#[test]
fn the_only_address_of_its_network() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("route add default via 192.0.2.99");
    let own = plain(&site.a).param("ip", OWN);
    let reason = "ip=192.0.2.1 is this node's own address, the only one in 192.0.2.0/24 on eth0";
    is_refused(&site.a, &own, 1, reason);
    // start would add another instance and delete the host's.
    let host_prefix = own.clone().param("nic", "eth0").param("cidr_netmask", "32");
    is_refused(&site.a, &host_prefix, 1, reason);
    // On another interface it would be moved.
    second_interface(&site.a);
    is_refused(&site.a, &own.clone().param("nic", "eth1").param("cidr_netmask", "24"), 1, reason);
    // In a second network of the interface.
    site.a.ip("addr add 198.51.100.1/24 dev eth0");
    is_refused(
        &site.a,
        &plain(&site.a).param("ip", "198.51.100.1"),
        1,
        "in 198.51.100.0/24 on eth0",
    );
    site.a.ip("-6 addr add 2001:db8::1/64 dev eth0 nodad");
    let ipv6 = plain(&site.a).param("ip", "2001:db8::1");
    is_refused(&site.a, &ipv6, 1, "in 2001:db8::/64 on eth0");
    // A VIP beside it does not make it one, and stays.
    ends(&site.vip().param("announce_schedule", "0").action("start"), 0);
    ends(&own.action("monitor"), 7);
    fails(&own.action("start"), 1, reason);
    ends(&own.action("stop"), 0);
    assert_eq!(instances(&site.a), ["eth0 192.0.2.10/24"]);
    assert!(site.a.ip("route show").contains("default via 192.0.2.99"));
    ends(&site.vip().action("stop"), 0);
    is_refused(&site.a, &own, 1, reason);
}

/// Without a note nothing tells a VIP that is alone in its network from the host's own address. Where no
/// note can be written, monitor finds it and stop removes it: an address on two nodes is worse than one
/// that has to be added again.
#[test]
fn a_vip_whose_note_could_not_be_written() {
    testnet::root_or_skip!();
    let site = Site::new();
    // Room for the directory of the notes, and for nothing in it.
    shell(&site.a, "mount -t tmpfs -o size=64k,nr_inodes=2 full /run && mkdir /run/smartvox");
    let ip = "198.51.100.10";
    let vip = plain(&site.a).param("ip", ip).param("nic", "eth0").param("cidr_netmask", "24");
    ends(&vip.clone().param("announce_schedule", "0").action("start"), 0);
    assert!(files(&site.a).is_empty(), "{:?}", files(&site.a));
    assert!(site.a.ip("-4 addr show").contains(ip));
    ends(&vip.action("monitor"), 0);
    ends(&vip.action("stop"), 0);
    assert!(!site.a.ip("-4 addr show").contains(ip));
}

#[test]
fn a_lease() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("addr add 192.0.2.7/24 dev eth0 valid_lft 3600 preferred_lft 3600");
    let own = plain(&site.a).param("ip", "192.0.2.7");
    ends(&own.action("monitor"), 7);
    ends(&own.action("stop"), 0);
    fails(&own.action("start"), 1, "ip=192.0.2.7 is this node's own address, with a lifetime");
    assert!(site.a.ip("-4 addr show").contains("192.0.2.7/24"));
}

/// A directory of the host's configuration with this file in it.
fn configuration(host: &Host, directory: &str, file: &str, text: &str) {
    let path = format!("/run/config/{file}");
    shell(host, "mkdir -p /run/config");
    host.run(|| std::fs::write(path, text).unwrap());
    shell(host, &format!("mount --bind /run/config {directory}"));
}

#[test]
fn the_configuration_of_the_host_has_it() {
    testnet::root_or_skip!();
    if !std::path::Path::new("/etc/systemd/network").is_dir() {
        testnet::skipped("own_address::the_configuration_of_the_host", "needs systemd");
        return;
    }
    let site = Site::new();
    let text = "[Network]\nAddress=192.0.2.1/24\nAddress=192.0.2.7/24\nDNS=192.0.2.10\n";
    configuration(&site.a, "/etc/systemd/network", "10-eth0.network", text);
    site.a.ip("addr add 192.0.2.7/24 dev eth0");
    let own = plain(&site.a).param("ip", "192.0.2.7");
    is_refused(
        &site.a,
        &own,
        1,
        "ip=192.0.2.7 is this node's own address, by /etc/systemd/network/10-eth0.network",
    );
}

/// Of any node: it is a VIP on none of them.
#[test]
fn an_address_of_corosync() {
    testnet::root_or_skip!();
    if !std::path::Path::new("/etc/corosync").is_dir() {
        testnet::skipped("own_address::an_address_of_corosync", "needs corosync");
        return;
    }
    let site = Site::new();
    let text = "nodelist {\n node {\n  ring0_addr: 192.0.2.1\n }\n node {\n  ring0_addr: 192.0.2.2\n }\n}\n";
    configuration(&site.a, "/etc/corosync", "corosync.conf", text);
    let reason = "is an address that Corosync uses, by /etc/corosync/corosync.conf: use one";
    for ip in [OWN, "192.0.2.2"] {
        is_refused(&site.a, &plain(&site.a).param("ip", ip), 6, &format!("ip={ip} {reason}"));
    }
}

/// What ocf:heartbeat:IPaddr2 has added is the VIP: a probe, a monitor or a start adopts it, and stop removes it.
#[test]
fn what_another_agent_has_added_is_adopted() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    for address in
        [format!("{VIP}/24 dev eth0"), format!("{VIP}/32 dev eth0"), format!("{VIP}/32 dev eth1")]
    {
        site.a.ip(&format!("addr add {address}"));
        let agent = site.vip();
        ends(&agent.action("monitor"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        assert!(instances(&site.a).is_empty(), "{address}");
        assert!(files(&site.a).is_empty());
        site.a.ip(&format!("addr add {address}"));
        ends(&agent.action("start"), 0);
        ends(&agent.action("stop"), 0);
        assert!(instances(&site.a).is_empty(), "{address}");
    }
}

/// With nothing of its network beside it, only a note tells the VIP from an address of the host's own.
#[test]
fn a_vip_alone_in_its_network_stays_one() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    let alone = |host: &Host| {
        vip(host).param("ip", "203.0.113.10").param("nic", "eth1").param("cidr_netmask", "24")
    };
    let is_here = || site.a.ip("-4 addr show dev eth1").contains("203.0.113.10/24");
    for announce in ["request", "none"] {
        let agent = alone(&site.a).param("announce", announce);
        ends(&agent.action("start"), 0);
        ends(&agent.action("monitor"), 0);
        ends(&agent.action("start"), 0);
        ends(&agent.action("stop"), 0);
        assert!(!is_here());
    }
    // Earlier versions note only that it was announced.
    let agent = alone(&site.a);
    ends(&agent.action("start"), 0);
    shell(&site.a, "rm /run/smartvox/here-*");
    ends(&agent.action("monitor"), 0);
    ends(&agent.action("stop"), 0);
    assert!(!is_here());
    // A note that was lost is written again by a recurring monitor. stop would not find an announcer whose
    // lock is lost.
    let agent = agent.param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    shell(&site.a, "rm /run/smartvox/*");
    ends(&recurring(&agent), 0);
    ends(&agent.action("monitor"), 0);
    ends(&agent.action("stop"), 0);
    assert!(!is_here());
    assert!(files(&site.a).is_empty(), "{:?}", files(&site.a));
}
