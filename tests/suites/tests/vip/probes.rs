//! How often another host is asked for the VIP, and for how long its answer is waited for.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testnet::{ArpFrame, Capture, Direction, Host};

use super::{LONG, Site, VIP, ends, fails, recurring};

fn probes(capture: &Capture) -> Vec<ArpFrame> {
    let mut frames = capture.arp_frames();
    frames.retain(|arp| arp.direction == Direction::Sent && arp.sender_ip.is_unspecified());
    frames
}

/// Switches disable a port that sends more than 15 ARP frames in a second.
#[test]
fn a_host_that_answers_is_not_asked_all_the_time() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    for timeout in ["10ms", "50ms", "1s"] {
        let capture = Capture::start(&site.a, "eth0");
        let agent = site.vip().param("duplicate_timeout", timeout).param("duplicate_wait", "3s");
        fails(&agent.action("start"), 1, "is in use by");
        let probes = probes(&capture);
        assert!(probes.len() > 1, "{timeout}: {probes:?}");
        for (at, probe) in probes.iter().enumerate() {
            let in_a_second = |other: &&ArpFrame| other.at - probe.at < Duration::from_secs(1);
            let count = probes[at..].iter().take_while(in_a_second).count();
            assert!(count < 15, "{timeout}: {count} in a second");
        }
    }
}

#[test]
fn a_longer_silence_has_more_probes() {
    testnet::root_or_skip!();
    let site = Site::new();
    for (timeout, count) in [("50ms", 2), ("500ms", 5), ("1s", 10)] {
        let agent = site.vip().param("duplicate_timeout", timeout).param("announce", "none");
        let sent = || {
            let capture = Capture::start(&site.a, "eth0");
            ends(&agent.action("start"), 0);
            ends(&agent.action("stop"), 0);
            probes(&capture).len()
        };
        // Where the machine has stood still for a second, start checks again.
        let is_right = |sent: usize| {
            assert!(sent >= count, "{timeout}: {sent}");
            sent == count
        };
        assert!((0..10).any(|_| is_right(sent())), "{timeout}");
    }
}

/// A host that answers each probe after that time, and not by itself.
fn answer_late(host: &Host, over: &AtomicBool, delay: Duration) {
    let capture = Capture::start(host, "eth0");
    let asked = || capture.arp_frames().iter().filter(|arp| arp.sender_ip.is_unspecified()).count();
    let mut answered = 0;
    while !over.load(Ordering::Relaxed) {
        if asked() == answered {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        }
        std::thread::sleep(delay);
        let mut arping = Command::new("arping");
        let _ = host.output(arping.args(["-A", "-c", "1", "-I", "eth0", VIP]));
        // One answer to all of a monitor.
        answered = asked();
    }
}

#[test]
fn an_owner_that_answers_late_is_found_by_level_10() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.b.sysctl("net/ipv4/conf/all/arp_ignore", "8");
    let agent = site.vip().param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    let deep = agent.clone().env("OCF_CHECK_LEVEL", "10");
    ends(&recurring(&deep), 0);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| answer_late(&site.b, &over, Duration::from_millis(200)));
        let until = Instant::now() + LONG;
        // A machine that stalls answers later, and what comes after one monitor must not be seen by the
        // next one.
        let is_found = || {
            let found = recurring(&deep).code == 190;
            std::thread::sleep(Duration::from_secs(3));
            found
        };
        let mut found = is_found();
        while !found && Instant::now() < until {
            found = is_found();
        }
        over.store(true, Ordering::Relaxed);
        assert!(found, "no monitor has found it");
    });
    ends(&agent.action("stop"), 0);
}
