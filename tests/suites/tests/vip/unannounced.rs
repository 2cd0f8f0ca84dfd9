//! A VIP that is not announced, or not with the MAC address that it has now.

use std::process::Command;

use testnet::{Agent, Capture, Host, Outcome, wait_until};

use super::{
    LONG, MAC_B, Site, VIP, announcements, announcer, ends, fails, instances, locks, recurring,
};

/// A queue without any place drops each frame, and the sender is told, as by a policer or an egress filter
/// (`net_xmit_errno()`, linux/netdevice.h).
fn queue(host: &Host, verb: &str) {
    let mut tc = Command::new("tc");
    tc.args(["qdisc", verb, "dev", "eth0", "root"]);
    if verb == "add" {
        tc.args(["pfifo", "limit", "0"]);
    }
    let output = host.output(&mut tc);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn deep(agent: &Agent) -> Outcome {
    recurring(&agent.clone().env("OCF_CHECK_LEVEL", "10"))
}

const REFUSES: &str = "192.0.2.10 is not announced: eth0 refuses to send: check its queue (tc -s qdisc \
                       show dev eth0) and packet filters";

#[test]
fn a_link_that_refuses_to_send_is_no_success() {
    testnet::root_or_skip!();
    let site = Site::new();
    let capture = Capture::start(&site.neighbour, "eth0");
    queue(&site.a, "add");
    let agent = site.vip().param("duplicate_wait", "0").param("announce_schedule", "0,50");
    ends(&agent.action("start"), 0);
    assert_eq!(instances(&site.a), ["eth0 192.0.2.10/24"]);
    fails(&recurring(&agent), 190, REFUSES);
    fails(&deep(&agent), 190, "eth0 refuses to send");
    assert!(announcements(&capture).is_empty());
    // It is announced as soon as that is possible, and after a probe.
    queue(&site.a, "del");
    wait_until("it is announced", LONG, || announcements(&capture).len() >= 2);
    let frames = capture.arp_frames();
    assert!(frames.iter().any(|arp| arp.sender_ip.is_unspecified()), "{frames:?}");
    wait_until("the announcer has ended", LONG, || announcer(&site.a).is_none());
    ends(&recurring(&agent), 0);
    ends(&deep(&agent), 0);
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
}

#[test]
fn who_can_not_be_asked_is_not_taken_for_absent() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("duplicate_wait", "0").param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    queue(&site.a, "add");
    let unknown = "whether another host has 192.0.2.10 is unknown: eth0 refuses to send";
    fails(&deep(&agent), 190, unknown);
    // A monitor that sends nothing knows of nothing.
    ends(&recurring(&agent.clone().param("duplicate_check", "no")), 0);
    queue(&site.a, "del");
    ends(&deep(&agent), 0);
    ends(&agent.action("stop"), 0);
    // Another host has it.
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    queue(&site.a, "add");
    ends(&agent.action("start"), 0);
    let capture = Capture::start(&site.a, "eth0");
    queue(&site.a, "del");
    let rival = format!("192.0.2.10 is in use by {MAC_B} on eth0, and is not announced");
    wait_until("the rival is found", LONG, || {
        recurring(&agent).exit_reason.is_some_and(|reason| reason.contains(&rival))
    });
    let own = |arp: &&testnet::ArpFrame| arp.sender_mac == [2, 0, 0, 0, 0, 0xa];
    assert_eq!(announcements(&capture).iter().filter(own).count(), 0);
    ends(&agent.action("stop"), 0);
}

/// A bond or bridge whose first port has been exchanged, days after start.
#[test]
fn another_mac_address_after_the_schedule_is_announced_by_monitor() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0").param("announce_targets", "192.0.2.2");
    ends(&agent.action("start"), 0);
    wait_until("the announcer has ended", LONG, || announcer(&site.a).is_none());
    ends(&recurring(&agent), 0);
    let captures = [&site.neighbour, &site.b].map(|host| Capture::start(host, "eth0"));
    site.a.ip("link set eth0 address 02:00:00:00:00:5a");
    ends(&recurring(&agent), 0);
    let is_new = |arp: &testnet::ArpFrame| arp.sender_mac == [2, 0, 0, 0, 0, 0x5a];
    for capture in &captures {
        wait_until("it is announced from the new address", LONG, || {
            announcements(capture).iter().any(is_new)
        });
    }
    // Also to the host that ignores broadcasts.
    let unicast = [2, 0, 0, 0, 0, 0xb];
    wait_until("a target is told", LONG, || {
        announcements(&captures[1]).iter().any(|arp| is_new(arp) && arp.destination == unicast)
    });
    // Once.
    wait_until("the announcer has ended", LONG, || announcer(&site.a).is_none());
    let count = announcements(&captures[0]).len();
    for _ in 0..3 {
        ends(&recurring(&agent), 0);
    }
    assert_eq!((announcer(&site.a), announcements(&captures[0]).len()), (None, count));
    ends(&agent.action("stop"), 0);
}

#[test]
fn the_announcements_of_monitor_reach_the_targets() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0").param("announce_targets", "192.0.2.2");
    ends(&agent.action("start"), 0);
    let capture = Capture::start(&site.b, "eth0");
    ends(&recurring(&agent.clone().param("arp_count_refresh", "1")), 0);
    let unicast = |arp: &testnet::ArpFrame| {
        (arp.is_reply, arp.destination, arp.sender_ip.to_string().as_str())
            == (true, [2, 0, 0, 0, 0, 0xb], VIP)
    };
    capture.wait_for_arp("a unicast announcement", LONG, unicast);
    ends(&agent.action("stop"), 0);
}

#[test]
fn nothing_is_called_announced_that_is_not() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce", "none").param("duplicate_action", "fail");
    ends(&agent.action("start"), 0);
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    let found = |words: &str| format!("192.0.2.10 is {words} in use by {MAC_B} on eth0: remove it");
    fails(&deep(&agent), 190, &found("also"));
    fails(&deep(&agent), 1, &found("still"));
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_link_that_answers_no_request_is_told() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    for setting in ["all", "eth0"] {
        let setting = format!("net/ipv4/conf/{setting}/arp_ignore");
        site.a.sysctl(&setting, "8");
        fails(&deep(&agent), 190, "192.0.2.10 is on eth0, which answers no ARP request: set");
        site.a.sysctl(&setting, "2");
        ends(&deep(&agent), 0);
    }
    ends(&agent.action("stop"), 0);
}
