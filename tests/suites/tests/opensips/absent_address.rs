//! Sockets on an address that is not on this host: nonlocal_bind.

use crate::site::recurring;
use crate::{Site, ends, every_daemon, fails};

const VIP: &str = "192.0.2.10";
const VIP6: &str = "2001:db8::10";

fn nonlocal_bind(site: &Site, family: &str) -> String {
    let path = format!("/proc/sys/net/{family}/ip_nonlocal_bind");
    site.on_host(|| std::fs::read_to_string(path).unwrap().trim().to_owned())
}

fn vip_link(site: &Site) {
    site.host.ip("link add vip0 type veth peer name vip1");
    site.host.ip("link set vip1 up");
    site.host.ip("link set vip0 up");
    testnet::wait_until("vip0 has a carrier", crate::LONG, || {
        site.host.ip("link show dev vip0").contains("state UP")
    });
}

#[test]
fn check_says_what_to_set_before_the_daemon_fails() {
    testnet::root_or_skip!();
    every_daemon("check_says_what_to_set_before_the_daemon_fails", |site| {
        for (sockets, setting) in [
            (["udp:192.0.2.10:5060", "tcp:192.0.2.10:5060"], "net.ipv4.ip_nonlocal_bind=1"),
            (["udp:127.0.0.1:5060", "udp:[2001:db8::10]:5060"], "net.ipv6.ip_nonlocal_bind=1"),
        ] {
            site.configure(&sockets);
            let outcome = site.agent().action("start");
            fails(&outcome, 1, setting);
            fails(&outcome, 1, "is not on this host");
            // The daemon was not executed: it would have left its words.
            site.nothing_is_left();
        }
        assert_eq!(nonlocal_bind(site, "ipv4"), "0");
        assert_eq!(nonlocal_bind(site, "ipv6"), "0");
        // The sockets are checked by nobody else on a node where the address may never be.
        ends(&site.agent().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 0);
    });
}

#[test]
fn ensure_sets_it_and_the_standby_starts() {
    testnet::root_or_skip!();
    every_daemon("ensure_sets_it_and_the_standby_starts", |site| {
        vip_link(site);
        site.configure(&["udp:192.0.2.10:5060", "tcp:192.0.2.10:5060", "udp:[2001:db8::10]:5060"]);
        let agent = site.agent().param("nonlocal_bind", "ensure").param("vip", VIP);
        ends(&agent.action("start"), 0);
        assert_eq!(nonlocal_bind(site, "ipv4"), "1");
        assert_eq!(nonlocal_bind(site, "ipv6"), "1");
        // Nobody to ask on a standby: processes and sockets do.
        ends(&recurring(&agent), 0);
        ends(&recurring(&agent.clone().param("sip_probe_codes", "299")), 0);

        // The address arrives: now it is asked, and answers without a restart.
        site.host.ip(&format!("addr add {VIP}/32 dev vip0"));
        site.host.ip(&format!("addr add {VIP6}/128 dev vip0 nodad"));
        ends(&recurring(&agent), 0);
        assert!(site.answers("192.0.2.10:5060"));
        fails(
            &recurring(&agent.clone().param("sip_probe_codes", "299")),
            1,
            "OPTIONS at udp:192.0.2.10:5060 is answered with ",
        );
        let v6 = agent.clone().param("sip_probe", "udp:[2001:db8::10]:5060");
        fails(
            &recurring(&v6.param("sip_probe_codes", "299")),
            1,
            "OPTIONS at udp:[2001:db8::10]:5060 is answered with ",
        );

        // It leaves again: a standby once more.
        site.host.ip("link del vip0");
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn check_is_content_where_it_is_set() {
    testnet::root_or_skip!();
    every_daemon("check_is_content_where_it_is_set", |site| {
        site.configure(&["udp:192.0.2.10:5060"]);
        site.host.sysctl("net/ipv4/ip_nonlocal_bind", "1");
        site.start();
        ends(&site.monitor(), 0);
        site.stop();
        assert_eq!(nonlocal_bind(site, "ipv4"), "1");
    });
}

#[test]
fn check_is_content_where_the_address_is() {
    testnet::root_or_skip!();
    every_daemon("check_is_content_where_the_address_is", |site| {
        vip_link(site);
        site.host.ip(&format!("addr add {VIP}/32 dev vip0"));
        // With duplicate address detection, as it arrives on a real node: it is waited for.
        site.host.ip(&format!("addr add {VIP6}/64 dev vip0"));
        site.configure(&["udp:192.0.2.10:5060", "udp:[2001:db8::10]:5060"]);
        site.start();
        ends(&site.monitor(), 0);
        assert_eq!(nonlocal_bind(site, "ipv4"), "0");
        site.stop();
    });
}

#[test]
fn ignore_lets_the_daemon_try() {
    testnet::root_or_skip!();
    every_daemon("ignore_lets_the_daemon_try", |site| {
        site.configure(&["udp:192.0.2.10:5060"]);
        let agent = site.agent().param("nonlocal_bind", "ignore");
        fails(&agent.action("start"), 1, "OpenSIPS ended with status 255: ");
        assert_eq!(nonlocal_bind(site, "ipv4"), "0");
        site.nothing_is_left();
    });
}

/// An instance whose virtual address came with the setting off, as in active/standby.
fn started_where_the_address_is(site: &Site, agent: &testnet::Agent) {
    vip_link(site);
    site.host.ip(&format!("addr add {VIP}/32 dev vip0"));
    site.host.ip(&format!("addr add {VIP6}/128 dev vip0 nodad"));
    site.configure(&["udp:127.0.0.1:5060", "udp:192.0.2.10:5060", "tcp:[2001:db8::10]:5060"]);
    ends(&agent.action("start"), 0);
}

#[test]
fn monitor_says_that_the_next_start_will_fail() {
    testnet::root_or_skip!();
    every_daemon("monitor_says_that_the_next_start_will_fail", |site| {
        let agent = site.agent();
        started_where_the_address_is(site, &agent);
        ends(&recurring(&agent), 0);
        // Another host's setting is none of ours.
        let other = testnet::Host::new("other");
        other.sysctl("net/ipv4/ip_nonlocal_bind", "1");

        site.host.ip(&format!("addr del {VIP}/32 dev vip0"));
        let v4 = "udp:192.0.2.10:5060 can't be opened by the next start: set net.ipv4.ip_nonlocal_bind=1";
        fails(&recurring(&agent), 190, v4);
        ends(&recurring(&agent.clone().param("nonlocal_bind", "ignore")), 0);
        // It only looks, whatever start may do.
        let ensured = agent.clone().param("nonlocal_bind", "ensure");
        fails(&recurring(&ensured), 190, "net.ipv4.ip_nonlocal_bind is 0, and ");
        assert_eq!(nonlocal_bind(site, "ipv4"), "0");
        // The families have a setting each.
        site.host.sysctl("net/ipv4/ip_nonlocal_bind", "1");
        ends(&recurring(&agent), 0);
        site.host.ip(&format!("addr del {VIP6}/128 dev vip0"));
        let v6 = "tcp:[2001:db8::10]:5060 can't be opened by the next start: set net.ipv6.ip_nonlocal_bind=1";
        fails(&recurring(&agent), 190, v6);
        site.host.sysctl("net/ipv6/ip_nonlocal_bind", "1");
        ends(&recurring(&agent), 0);
        // It was right: the next start fails for just that.
        ends(&agent.action("stop"), 0);
        site.host.sysctl("net/ipv6/ip_nonlocal_bind", "0");
        fails(&agent.action("start"), 1, "net.ipv6.ip_nonlocal_bind=1");
    });
}

#[test]
fn a_hot_standby_needs_the_setting_while_the_address_is_here() {
    testnet::root_or_skip!();
    every_daemon("a_hot_standby_needs_the_setting_while_the_address_is_here", |site| {
        let plain = site.agent().param("vip", format!("{VIP} {VIP6}"));
        started_where_the_address_is(site, &plain);
        // In active/standby the address is there before the daemon is, wherever that starts.
        ends(&recurring(&plain), 0);
        // In a promotable clone the instance stays when the address leaves with the role.
        let clone = plain.clone().env("OCF_RESKEY_CRM_meta_promoted_max", "1");
        let reason = "udp:192.0.2.10:5060 can't be opened by the next start: set net.ipv4.ip_nonlocal_bind=1";
        fails(&recurring(&clone), 190, reason);
        ends(&clone.action("promote"), 0);
        fails(&recurring(&clone), 191, reason);
        // An address of the node's own does not leave.
        let own = site.agent().env("OCF_RESKEY_CRM_meta_promoted_max", "1");
        ends(&recurring(&own), 8);
        site.host.sysctl("net/ipv4/ip_nonlocal_bind", "1");
        site.host.sysctl("net/ipv6/ip_nonlocal_bind", "1");
        ends(&recurring(&clone), 8);
        ends(&clone.action("stop"), 0);
        site.nothing_is_left();

        // ensure looks as far ahead; where it is not needed, it changes nothing.
        site.host.sysctl("net/ipv4/ip_nonlocal_bind", "0");
        site.host.sysctl("net/ipv6/ip_nonlocal_bind", "0");
        for (agent, value) in [(&plain, "0"), (&clone, "1")] {
            let ensuring = agent.clone().param("nonlocal_bind", "ensure");
            ends(&ensuring.action("start"), 0);
            assert_eq!(nonlocal_bind(site, "ipv4"), value);
            assert_eq!(nonlocal_bind(site, "ipv6"), value);
            ends(&recurring(&ensuring), 0);
            ends(&ensuring.action("stop"), 0);
        }
    });
}

fn is_tentative(site: &Site) -> bool {
    let mut ip = std::process::Command::new("ip");
    let shown =
        site.on_host(|| ip.args(["-6", "addr", "show", "dev", "vip0", "tentative"]).output());
    String::from_utf8_lossy(&shown.unwrap().stdout).contains(VIP6)
}

#[test]
fn a_tentative_address_is_waited_for() {
    testnet::root_or_skip!();
    every_daemon("a_tentative_address_is_waited_for", |site| {
        vip_link(site);
        // Longer than the daemon would need to fail.
        site.host.sysctl("net/ipv6/conf/vip0/dad_transmits", "6");
        // One that is absent, and allowed to be, does not cut the wait short.
        site.host.sysctl("net/ipv4/ip_nonlocal_bind", "1");
        site.configure(&["udp:192.0.2.10:5060", "udp:[2001:db8::10]:5060"]);
        site.host.ip(&format!("addr add {VIP6}/64 dev vip0"));
        assert!(is_tentative(site));
        site.start();
        assert!(!is_tentative(site));
        site.stop();

        // With the setting on there is nothing to wait for. Each of the probes takes a second.
        site.host.sysctl("net/ipv6/conf/vip0/dad_transmits", "250");
        site.host.ip(&format!("addr del {VIP6}/64 dev vip0"));
        site.host.ip(&format!("addr add {VIP6}/64 dev vip0"));
        assert!(is_tentative(site));
        site.host.sysctl("net/ipv6/ip_nonlocal_bind", "1");
        site.start();
        assert!(is_tentative(site));
        site.stop();

        // It stays so: said, within the deadline.
        site.host.sysctl("net/ipv6/ip_nonlocal_bind", "0");
        let hurried = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "8000");
        fails(
            &hurried.action("start"),
            1,
            "udp:[2001:db8::10]:5060 has an address that stays tentative",
        );
        site.nothing_is_left();
    });
}

#[test]
fn a_wildcard_that_stands_in_for_the_virtual_address_is_told() {
    testnet::root_or_skip!();
    every_daemon("a_wildcard_that_stands_in_for_the_virtual_address_is_told", |site| {
        let validate = || {
            let agent = site.agent().param("vip", VIP).env("OCF_CHECK_LEVEL", "10");
            // As a person calls it: under Pacemaker it goes to the log.
            let outcome = agent.env("PCMK_service", "").action("validate-all");
            ends(&outcome, 0);
            outcome.stderr
        };
        site.configure(&["udp:0.0.0.0:5060"]);
        let told = validate();
        assert!(told.contains("declare udp:192.0.2.10:5060"), "{told}");
        site.configure(&["udp:127.0.0.1:5060"]);
        let told = validate();
        assert!(told.contains("vip 192.0.2.10 is served by no socket"), "{told}");
        site.configure(&["udp:0.0.0.0:5060", "udp:192.0.2.10:5060"]);
        let told = validate();
        assert!(!told.contains("vip 192.0.2.10"), "{told}");
    });
}
