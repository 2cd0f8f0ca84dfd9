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
            "OPTIONS at udp:192.0.2.10:5060 answered ",
        );
        let v6 = agent.clone().param("sip_probe", "udp:[2001:db8::10]:5060");
        fails(
            &recurring(&v6.param("sip_probe_codes", "299")),
            1,
            "OPTIONS at udp:[2001:db8::10]:5060 answered ",
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
