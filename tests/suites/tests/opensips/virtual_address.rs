//! A virtual address that is on this host and that no socket serves.

use testnet::{Agent, wait_until};

use crate::probe::bound;
use crate::site::{recurring, stand_in_alone};
use crate::{LONG, Site, ends, every_daemon, fails};

const OWN: &str = "192.0.2.1";
const VIP: &str = "192.0.2.10";
const NOTE: &str = "opensips-sip.restarted-for";

fn with_vip(site: &Site) -> Agent {
    site.agent().param("vip", VIP)
}

/// A host with an address of its own on `eth9`, which may get the virtual one.
fn link(site: &Site) {
    site.host.ip("link add eth9 type veth peer name eth8");
    site.host.ip("link set eth8 up");
    site.host.ip("link set eth9 up");
    site.host.ip(&format!("addr add {OWN}/24 dev eth9"));
}

fn add_vip(site: &Site) {
    site.host.ip(&format!("addr add {VIP}/24 dev eth9"));
}

fn remove_vip(site: &Site) {
    site.host.ip(&format!("addr del {VIP}/24 dev eth9"));
}

fn is_noted(site: &Site) -> bool {
    site.files("/run/smartvox").iter().any(|file| file == NOTE)
}

#[test]
fn an_address_that_comes_later_is_served_after_a_restart() {
    testnet::root_or_skip!();
    every_daemon("an_address_that_comes_later_is_served_after_a_restart", |site| {
        link(site);
        for host in ["eth9", "*"] {
            site.configure(&[&format!("udp:{host}:5060")]);
            let agent = with_vip(site);
            ends(&agent.action("start"), 0);
            ends(&recurring(&agent), 0);
            add_vip(site);
            let healed = format!("a restart opens udp:{VIP}:5060");
            fails(&recurring(&agent), 1, &healed);
            assert!(is_noted(site));
            // As Pacemaker does.
            ends(&agent.action("stop"), 0);
            ends(&agent.action("start"), 0);
            ends(&recurring(&agent), 0);
            assert!(!is_noted(site), "it is served, and the next time is the first one again");
            // It may go and come: the socket stays.
            remove_vip(site);
            ends(&recurring(&agent), 0);
            ends(&agent.action("stop"), 0);
            site.nothing_is_left();
        }
    });
}

#[test]
fn a_restart_for_an_address_is_not_tried_twice() {
    testnet::root_or_skip!();
    every_daemon("a_restart_for_an_address_is_not_tried_twice", |site| {
        link(site);
        site.configure(&["udp:eth9:5060"]);
        let agent = with_vip(site);
        ends(&agent.action("start"), 0);
        add_vip(site);
        fails(&recurring(&agent), 1, "a restart opens");
        // A group that has the address behind OpenSIPS takes it away, and brings it back too late.
        remove_vip(site);
        ends(&agent.action("stop"), 0);
        ends(&agent.action("start"), 0);
        add_vip(site);
        for _ in 0..2 {
            fails(&recurring(&agent), 190, "though it was restarted: start the address before");
        }
        ends(&agent.action("stop"), 0);
    });
}

/// With two of them, a restart that is in vain for one must not be forgotten for the other.
#[test]
fn a_restart_for_one_of_two_addresses_is_not_tried_twice() {
    testnet::root_or_skip!();
    every_daemon("a_restart_for_one_of_two_addresses_is_not_tried_twice", |site| {
        link(site);
        site.configure(&["udp:eth9:5060"]);
        let agent = site.agent().param("vip", format!("{VIP} 192.0.2.11"));
        let both = |what: &str| {
            for address in [VIP, "192.0.2.11"] {
                site.host.ip(&format!("addr {what} {address}/24 dev eth9"));
            }
        };
        ends(&agent.action("start"), 0);
        both("add");
        fails(&recurring(&agent), 1, "a restart opens");
        for _ in 0..2 {
            both("del");
            ends(&agent.action("stop"), 0);
            ends(&agent.action("start"), 0);
            both("add");
            fails(&recurring(&agent), 190, "though it was restarted: start the address before");
        }
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn what_no_restart_heals_is_degraded() {
    testnet::root_or_skip!();
    every_daemon("what_no_restart_heals_is_degraded", |site| {
        link(site);
        add_vip(site);
        let other = format!("udp:{OWN}:5060");
        let unserved = format!("vip {VIP} is served by no socket of the configuration");
        for (socket, words) in [
            (other.as_str(), &*unserved),
            (&other, &*format!("; OpenSIPS has {other}")),
            (
                "udp:0.0.0.0:5060",
                "udp:0.0.0.0:5060 receives there and answers from another address",
            ),
        ] {
            site.configure(&[socket]);
            let agent = with_vip(site);
            ends(&agent.action("start"), 0);
            for _ in 0..2 {
                fails(&recurring(&agent), 190, words);
            }
            assert!(!is_noted(site));
            ends(&agent.action("stop"), 0);
        }
        // The address leaves a promotable clone with the promoted role: a restart would be in vain, and
        // the standby could not take over either.
        site.configure(&["udp:eth9:5060"]);
        remove_vip(site);
        let clone = with_vip(site).env("OCF_RESKEY_CRM_meta_promoted_max", "1");
        ends(&clone.action("start"), 0);
        fails(&recurring(&clone), 190, &unserved);
        add_vip(site);
        fails(&recurring(&clone), 190, &unserved);
        ends(&clone.action("stop"), 0);
    });
}

/// A failover, not a failure.
#[test]
fn a_silence_at_an_address_that_leaves_meanwhile_is_no_fault() {
    testnet::root_or_skip!();
    stand_in_alone("a_silence_at_an_address_that_leaves_meanwhile_is_no_fault", |site| {
        link(site);
        add_vip(site);
        let silent = format!("udp:{VIP}:5062");
        let text = site.config_with(&["udp:127.0.0.1:5060", &silent]).text();
        site.write(&format!("# OPENSIPS_STAND_IN_SIP_SILENT_PORT=5062\n{text}"));
        ends(&site.agent().action("start"), 0);
        let every = site.agent().env("OCF_CHECK_LEVEL", "20").param("sip_probe_attempts", "1");
        let every = every.param("sip_probe_timeout", "3s");
        fails(&recurring(&every), 1, &format!("no answer to OPTIONS at {silent}"));
        let leaves = || {
            let before = bound(site);
            let outcome = std::thread::scope(|scope| {
                let asking = scope.spawn(|| recurring(&every));
                wait_until("it asks", LONG, || bound(site) > before || asking.is_finished());
                remove_vip(site);
                asking.join().unwrap()
            });
            add_vip(site);
            outcome.code == 0
        };
        // A machine that stands still for seconds shows nothing.
        assert!((0..5).any(|_| leaves()));
        site.stop();
    });
}

/// When the daemon's own check was asked, in seconds since the boot.
fn checked_at(site: &Site) -> u64 {
    let state = site.state();
    let line = state.lines().find_map(|line| line.strip_prefix("checked ")).expect("a check");
    line.split(' ').next().unwrap().parse().unwrap()
}

/// A daemon that reports this for a week is not to be checked each two seconds.
#[test]
fn what_no_restart_heals_costs_a_check_each_minute() {
    testnet::root_or_skip!();
    every_daemon("what_no_restart_heals_costs_a_check_each_minute", |site| {
        link(site);
        add_vip(site);
        site.configure(&[&format!("udp:{OWN}:5060")]);
        let agent = with_vip(site);
        ends(&agent.action("start"), 0);
        let unserved = "is served by no socket of the configuration";
        fails(&recurring(&agent), 190, unserved);
        let first = checked_at(site);
        for _ in 0..3 {
            fails(&recurring(&agent), 190, unserved);
            let now = checked_at(site);
            assert!(now == first || now >= first + 60, "checked at {first} s and at {now} s");
        }
        ends(&agent.action("stop"), 0);
    });
}
