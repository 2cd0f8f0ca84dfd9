//! Parameters as ocf:heartbeat:IPaddr2 has them.

use std::time::{Duration, Instant};

use testnet::{Capture, wait_until};

use super::{LONG, Site, Wire, announcements, announcer, ends, fails, locks, recurring};

#[test]
fn count_and_interval_are_a_schedule() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    // More than an announce_schedule may have.
    let agent = site.vip().param("arp_count", "40").param("arp_interval", "10");
    // The schedule begins after this. If the first frame is late, the others need not be.
    let begun = Instant::now();
    ends(&agent.action("start"), 0);
    wait_until("the announcer has ended", LONG, || locks(&site.a).is_empty());
    let frames = wire.announcements();
    assert_eq!(frames.len(), 40);
    for (frame, due) in frames.iter().zip((0..).step_by(10)) {
        let after = frame.at.duration_since(begun);
        assert!(after >= Duration::from_millis(due), "{after:?} {due}");
    }
    ends(&agent.action("stop"), 0);
}

#[test]
fn in_the_foreground() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    let agent = site.vip().param("announce_schedule", "0,40,80").param("arp_bg", "no");
    ends(&agent.action("start"), 0);
    assert_eq!(wire.announcements().len(), 3);
    assert!(announcer(&site.a).is_none() && locks(&site.a).is_empty());
    ends(&agent.action("stop"), 0);
}

#[test]
fn every_monitor_announces() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("arp_count", "1").param("arp_count_refresh", "3");
    ends(&agent.action("start"), 0);
    let wire = Wire::of(&site);
    ends(&agent.action("monitor"), 0);
    assert!(wire.announcements().is_empty(), "a probe announces nothing");
    ends(&recurring(&agent), 0);
    assert_eq!(wire.announcements().len(), 3);
    ends(&recurring(&agent.clone().param("announce", "none")), 0);
    assert_eq!(wire.announcements().len(), 3);
    ends(&agent.action("stop"), 0);
    ends(&recurring(&agent), 7);
    assert_eq!(wire.announcements().len(), 3);
}

#[test]
fn no_route_and_no_source() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "25");
    let route = || site.a.ip("route show 192.0.2.0/25");
    ends(&agent.action("start"), 0);
    assert!(route().contains("192.0.2.0/25"));
    ends(&agent.action("stop"), 0);
    let agent = agent.param("noprefixroute", "true").param("preferred_lft", "0");
    let started = agent.clone().env("PCMK_service", "").action("start");
    ends(&started, 0);
    let remark = "preferred_lft=0 has no effect on an IPv4 address";
    assert!(started.stderr.contains(remark), "{}", started.stderr);
    assert_eq!(route(), "");
    assert!(!site.a.ip("-4 addr show dev eth0").contains("deprecated"));
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
}

#[test]
fn what_has_no_effect_is_told_once_by_start() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site
        .vip()
        .env("PCMK_service", "")
        .param("flush_routes", "true")
        .param("arp_sender", "send_arp")
        .param("lvs_support", "false")
        .param("clusterip_hash", "sourceip-sourceport");
    let started = agent.clone().env("PCMK_service", "").action("start");
    ends(&started, 0);
    for words in ["flush_routes=true has no effect", "arp_sender=send_arp has no effect"] {
        assert!(started.stderr.contains(words), "{}", started.stderr);
    }
    assert!(!started.stderr.contains("lvs_support"), "{}", started.stderr);
    let monitored = recurring(&agent);
    ends(&monitored, 0);
    assert_eq!(monitored.stderr, "");
    ends(&agent.action("stop"), 0);
    let shared = site.vip().param("unique_clone_address", "true").action("start");
    fails(&shared, 6, "use ocf:heartbeat:IPaddr2");
}

#[test]
fn hosts_that_are_told_alone() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("route add default via 192.0.2.2");
    let capture = Capture::start(&site.neighbour, "eth0");
    let gateway = Capture::start(&site.b, "eth0");
    let agent = site
        .vip()
        .param("announce_schedule", "0,20")
        .param("announce_targets", "192.0.2.99, gateway,192.0.2.77");
    ends(&agent.action("start"), 0);
    wait_until("the announcer has ended", LONG, || locks(&site.a).is_empty());
    for capture in [capture, gateway] {
        let alone = || {
            let mut frames = announcements(&capture);
            frames.retain(|arp| arp.destination != [0xff; 6]);
            frames
        };
        wait_until("what was sent has been received", LONG, || alone().len() >= 2);
        let alone = alone();
        assert_eq!(alone.len(), 2, "{alone:?}");
        for frame in alone {
            assert!(frame.is_reply && frame.target_ip == frame.sender_ip);
        }
    }
    ends(&agent.action("stop"), 0);
}
