//! Sockets that somebody else holds.

use crate::stranger::Stranger;
use crate::{ends, every_daemon, fails};

#[test]
fn a_busy_udp_port_names_its_owner() {
    testnet::root_or_skip!();
    every_daemon("a_busy_udp_port_names_its_owner", |site| {
        let held = Stranger::udp(site, "127.0.0.1:5060");
        let outcome = site.agent().action("start");
        fails(&outcome, 1, "udp:127.0.0.1:5060 is in use by ");
        fails(&outcome, 1, &held.name());
        site.nothing_is_left();
        ends(&site.monitor(), 7);
        drop(held);
        site.start();
        site.stop();
    });
}

#[test]
fn a_busy_tcp_port_names_its_owner() {
    testnet::root_or_skip!();
    every_daemon("a_busy_tcp_port_names_its_owner", |site| {
        // A wildcard is in the way of an address of its own.
        for address in ["127.0.0.1:5060", "0.0.0.0:5060"] {
            let held = Stranger::tcp(site, address);
            let outcome = site.agent().action("start");
            fails(&outcome, 1, "tcp:127.0.0.1:5060 is in use by ");
            fails(&outcome, 1, &held.name());
            site.nothing_is_left();
            drop(held);
        }
        site.start();
        site.stop();
    });
}

#[test]
fn a_wildcard_that_the_kernel_refuses_to_share_names_its_owner() {
    testnet::root_or_skip!();
    every_daemon("a_wildcard_that_the_kernel_refuses_to_share_names_its_owner", |site| {
        // Without SO_REUSEADDR on both, the daemon can't bind beside it; the check can't know.
        let held = Stranger::udp(site, "0.0.0.0:5060");
        let outcome = site.agent().action("start");
        fails(&outcome, 1, "OpenSIPS ended with status 255: ");
        fails(&outcome, 1, "0.0.0.0:5060 is held by ");
        fails(&outcome, 1, &held.name());
        site.nothing_is_left();
        drop(held);
    });
}

#[test]
fn a_late_death_of_a_busy_tcp_port_fails_the_start() {
    testnet::root_or_skip!();
    every_daemon("a_late_death_of_a_busy_tcp_port_fails_the_start", |site| {
        // Without the check, only the daemon finds out: 3.6 and 4.0 after they reported success.
        let agent = site.agent().param("start_check", "no");
        ends(&agent.action("start"), 0);
        ends(&agent.action("stop"), 0);
        let held = Stranger::tcp(site, "127.0.0.1:5060");
        fails(&agent.action("start"), 1, "OpenSIPS ");
        site.nothing_is_left();
        // It logs to nowhere: the owner is found by us.
        let mut silent = site.config_with(&["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
        silent.stderror = false;
        site.write(&silent.text());
        let outcome = agent.action("start");
        fails(&outcome, 1, "tcp:127.0.0.1:5060 can't be opened: ");
        fails(&outcome, 1, &held.name());
        site.nothing_is_left();
        if site.is_stand_in() {
            let switch = "# OPENSIPS_STAND_IN_LATE_FAILURE=seen\n";
            site.write(&format!("{switch}{}", silent.text()));
            fails(&agent.action("start"), 1, "tcp:127.0.0.1:5060 can't be opened: ");
            site.nothing_is_left();
        }
        drop(held);
    });
}

#[test]
fn ports_of_others_are_findings_and_our_own_are_none() {
    testnet::root_or_skip!();
    every_daemon("ports_of_others_are_findings_and_our_own_are_none", |site| {
        let validate = site.agent().env("OCF_CHECK_LEVEL", "10");
        ends(&validate.action("validate-all"), 0);
        site.start();
        ends(&validate.action("validate-all"), 0);
        site.stop();
        let held = Stranger::tcp(site, "127.0.0.1:5060");
        fails(&validate.action("validate-all"), 1, "tcp:127.0.0.1:5060 is in use by ");
        // The parameters alone are right.
        ends(&site.agent().action("validate-all"), 0);
        drop(held);
    });
}
