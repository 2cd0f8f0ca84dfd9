//! Another host that has the VIP, and that answers or comes after the duplicate address check.

use std::path::PathBuf;
use std::time::Duration;

use testnet::{Agent, ArpFrame, Capture, Outcome, Responder, wait_until};

use super::calibrated::{RIVAL_MAC, ms, sent};
use super::{
    HeldLock, LONG, MAC_B, MAC_N, Site, VIP, announcements, announcer, ends, fails, has_strace,
    instances, late, locks, plain, program, recurring, shell,
};

/// The announcer hears what start was too early for, and the next monitor knows.
#[test]
fn a_host_that_answers_late_is_noted_for_the_next_monitor() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0,600000");
    // The answer to the first probe of start.
    let rival = Responder::start(&site.b, VIP, RIVAL_MAC, &[Some(Duration::from_secs(4))]);
    ends(&agent.action("start"), 0);
    assert!(rival.asked() > 0);
    let is_noted = || locks(&site.a).iter().any(|path| path.to_string_lossy().contains("/rival-"));
    wait_until("it is noted", LONG, is_noted);
    drop(rival);
    let capture = Capture::start(&site.b, "eth0");
    // It asks again: the host is silent now, and the neighbours are told whose the address is.
    ends(&recurring(&agent), 0);
    wait_until("it is announced again", LONG, || announcements(&capture).len() == 1);
    assert!(!is_noted());
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).is_empty());
}

#[test]
fn a_host_that_claims_the_address_after_start_is_noted_and_not_fought() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0,600000");
    ends(&agent.action("start"), 0);
    site.neighbour.ip(&format!("addr add {VIP}/24 dev eth0"));
    let capture = Capture::start(&site.b, "eth0");
    shell(&site.neighbour, &format!("arping -q -A -c 1 -I eth0 {VIP}"));
    wait_until("it is noted", LONG, || {
        locks(&site.a).iter().any(|path| path.to_string_lossy().contains("/rival-"))
    });
    fails(&recurring(&agent), 190, &format!("192.0.2.10 is also in use by {MAC_N} on eth0"));
    let by_a = |arp: &ArpFrame| arp.sender_mac == [2, 0, 0, 0, 0, 0xa];
    assert!(!announcements(&capture).iter().any(by_a));
    site.neighbour.ip(&format!("addr del {VIP}/24 dev eth0"));
    ends(&agent.action("stop"), 0);
    // Nobody listens where nobody asks for it.
    let deaf = agent.param("duplicate_check", "no");
    ends(&deaf.action("start"), 0);
    wait_until("the announcer has closed the socket", LONG, || {
        // A table of sk, RefCnt, Type, Proto, Iface, R, Rmem, User, Inode (packet_seq_show()).
        let table = site.a.run(|| std::fs::read_to_string("/proc/thread-self/net/packet")).unwrap();
        table.lines().nth(1).is_none()
    });
    ends(&deaf.action("stop"), 0);
}

/// A claim of an address that this host does not have any more is no conflict.
#[test]
fn a_claim_of_an_address_that_has_gone_is_not_noted() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().param("announce_schedule", "0,600000").action("start"), 0);
    site.a.ip(&format!("addr del {VIP}/24 dev eth0"));
    // Where it is not announced, others can have it on eth0.
    site.a.ip(&format!("addr add {VIP}/32 dev lo"));
    site.neighbour.ip(&format!("addr add {VIP}/24 dev eth0"));
    let pid = announcer(&site.a).unwrap();
    // For some seconds: the announcer reads what it has received once a second.
    shell(&site.neighbour, &format!("arping -q -A -c 5 -I eth0 {VIP}"));
    // A change of the link wakes it, and it sees that the address has gone.
    site.a.ip("link set eth0 mtu 1400");
    wait_until("the announcer ends", LONG, || !site.a.processes().contains(&pid));
    let is_noted = |path: &PathBuf| path.to_string_lossy().contains("/rival-");
    assert!(!locks(&site.a).iter().any(is_noted), "{:?}", locks(&site.a));
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn an_ipv6_address_that_another_host_uses_after_start_is_noted() {
    testnet::root_or_skip!();
    let site = Site::new();
    for (host, address) in [(&site.a, "1"), (&site.b, "2"), (&site.neighbour, "99")] {
        host.ip(&format!("addr add 2001:db8::{address}/64 dev eth0 nodad"));
        super::wait_until_ipv6_is_settled(host);
    }
    let agent = plain(&site.a).param("ip", "2001:db8::10").param("announce_schedule", "0,600000");
    ends(&agent.action("start"), 0);
    site.neighbour.ip("addr add 2001:db8::10/64 dev eth0 nodad");
    super::wait_until_ipv6_is_settled(&site.neighbour);
    wait_until("it is noted", LONG, || {
        // A solicitation from the VIP.
        shell(&site.neighbour, "ip -6 neigh flush dev eth0");
        let mut ping = std::process::Command::new("ping");
        let ping = ping.args(["-6", "-c", "1", "-W", "1", "-I", "2001:db8::10", "2001:db8::2"]);
        let _ = site.neighbour.output(ping);
        locks(&site.a).iter().any(|path| path.to_string_lossy().contains("/rival-"))
    });
    fails(&recurring(&agent), 190, &format!("2001:db8::10 is also in use by {MAC_N} on eth0"));
    site.neighbour.ip("addr del 2001:db8::10/64 dev eth0");
    ends(&agent.action("stop"), 0);
}

/// start under strace, whose last look at the link before it adds the address takes longer by that time.
/// `None` if nothing may be traced here.
fn delayed(site: &Site, name: &str, delay: Duration) -> Option<Agent> {
    if !has_strace(name) {
        return None;
    }
    let number = late::number_of(site, "start", "RTM_NEWADDR") - 1;
    ends(&site.vip().action("stop"), 0);
    let inject = format!("inject=sendto:delay_enter={}:when={number}", delay.as_micros());
    let program = program();
    let arguments = ["-o", "/run/trace", "-e", "trace=sendto", "-e", &inject];
    let agent = testnet::agent(&site.a, "/usr/bin/strace")
        .args(arguments.iter().copied().chain([program.to_str().unwrap(), "start"]))
        .args(["--ip", VIP, "--announce_schedule=0", "--duplicate_wait", "0"]);
    Some(agent)
}

/// How it ends when strace has delayed the message that was meant.
fn delayed_run(
    site: &Site,
    name: &str,
    delay: Duration,
    run: impl Fn(&Agent) -> Outcome,
) -> Option<Outcome> {
    for _ in 0..10 {
        let outcome = run(&delayed(site, name, delay)?);
        if late::is_delayed(site, "RTM_GETLINK") {
            return Some(outcome);
        }
        ends(&site.vip().action("stop"), 0);
    }
    panic!("the last look was never delayed");
}

/// The owner answers when the check is over and the address is not added yet.
#[test]
fn start_looks_once_more_before_it_adds_the_address() {
    testnet::root_or_skip!();
    let site = Site::new();
    let name = "late_conflict::start_looks_once_more_before_it_adds_the_address";
    let outcome = delayed_run(&site, name, Duration::from_secs(2), |agent| {
        let _rival = Responder::start(&site.b, VIP, RIVAL_MAC, &vec![Some(ms(700)); 50]);
        agent.action("-f")
    });
    let Some(outcome) = outcome else { return };
    assert!(outcome.stderr.contains("another host has the VIP: checking again"), "{outcome:?}");
    fails(&outcome, 1, "192.0.2.10 is in use by 02:00:00:00:00:66 on eth0");
    assert!(instances(&site.a).is_empty());
}

/// A node that was frozen between the check and the addition: another one has taken the address meanwhile.
#[test]
fn a_start_that_was_frozen_checks_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    let name = "late_conflict::a_start_that_was_frozen_checks_again";
    let outcome = delayed_run(&site, name, Duration::from_secs(10), |agent| {
        let capture = Capture::start(&site.a, "eth0");
        let outcome = std::thread::scope(|scope| {
            let start = scope.spawn(|| agent.action("-f"));
            wait_until("A has probed", LONG, || sent(&capture, VIP).len() >= 2);
            std::thread::sleep(Duration::from_secs(1));
            site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
            start.join().unwrap()
        });
        site.b.ip(&format!("addr del {VIP}/24 dev eth0"));
        outcome
    });
    let Some(outcome) = outcome else { return };
    assert!(outcome.stderr.contains("was this node frozen?"), "{outcome:?}");
    fails(&outcome, 1, &format!("192.0.2.10 is in use by {MAC_B} on eth0"));
    assert!(instances(&site.a).is_empty());
}

/// Before it adds the address, start can wait a second for the lock of the link: another host can add it
/// in that time.
#[test]
fn a_start_that_has_waited_for_the_link_checks_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("duplicate_wait", "0");
    let has_seen_it = || {
        let lock = HeldLock::of_promotion(&site.a);
        let capture = Capture::start(&site.a, "eth0");
        let outcome = std::thread::scope(|scope| {
            let start = scope.spawn(|| agent.action("start"));
            wait_until("A has probed", LONG, || sent(&capture, VIP).len() >= 2);
            std::thread::sleep(ms(300));
            site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
            start.join().unwrap()
        });
        drop(lock);
        ends(&agent.action("stop"), 0);
        site.b.ip(&format!("addr del {VIP}/24 dev eth0"));
        outcome.code == 1
    };
    // A machine that stands still for a second shows nothing.
    assert!((0..10).any(|_| has_seen_it()));
}
