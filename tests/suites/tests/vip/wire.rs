//! What the neighbour sees: announcements, and silence after stop.

use std::time::{Duration, Instant};

use testnet::{Agent, ArpFrame, Capture, agent, neighbour_cache, resume, suspend, wait_until};

use super::{
    LONG, MAC_A, MAC_B, Site, VIP, Wire, announcements, announcer, ends, instances, is_up, locks,
    program, second_interface, shell, vip,
};

const BROADCAST: [u8; 6] = [0xff; 6];

fn mac(text: &str) -> [u8; 6] {
    let bytes: Vec<u8> =
        text.split(':').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

fn wait_for_announcements(capture: &Capture, count: usize) -> Vec<ArpFrame> {
    wait_until(&format!("{count} announcements"), LONG, || announcements(capture).len() >= count);
    announcements(capture)
}

/// Without announcer, and no announcement more.
fn wait_until_over(site: &Site) {
    wait_until("the announcer has ended", LONG, || locks(&site.a).is_empty());
}

/// Times that are long enough to be in the middle of for a stalled machine.
fn slow(site: &Site) -> Agent {
    site.vip().param("announce_schedule", "0,30000,60000")
}

#[test]
fn the_first_announcement_is_out_before_start_returns() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    ends(&slow(&site).action("start"), 0);
    let frames = wire.announcements();
    assert_eq!(frames.len(), 1);
    let frame = &frames[0];
    assert_eq!((frame.source, frame.destination), (mac(MAC_A), BROADCAST));
    assert_eq!((frame.is_reply, frame.sender_mac), (false, mac(MAC_A)));
    assert_eq!(frame.target_ip, frame.sender_ip);
}

#[test]
fn the_whole_schedule_and_nothing_else() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    let agent = site.vip().param("announce_schedule", "0,30,90,200");
    let begun = Instant::now();
    ends(&agent.action("start"), 0);
    wait_until_over(&site);
    let frames = wire.announcements();
    assert_eq!(frames.len(), 4);
    for (frame, due) in frames.iter().zip([0, 30, 90, 200]) {
        // The schedule begins with the address, a moment before the first frame; never earlier.
        let after = frame.at.duration_since(begun);
        assert!(after >= Duration::from_millis(due), "{after:?} {due}");
    }
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).is_empty());
}

#[test]
fn the_default_schedule() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    ends(&site.vip().action("start"), 0);
    wait_until_over(&site);
    assert_eq!(wire.announcements().len(), 6);
}

#[test]
fn forms() {
    testnet::root_or_skip!();
    let site = Site::new();
    for (form, replies) in
        [("request", &[false][..]), ("reply", &[true]), ("both", &[false, true]), ("none", &[])]
    {
        let wire = Wire::of(&site);
        let agent = site.vip().param("announce", form).param("announce_schedule", "0,10");
        ends(&agent.action("start"), 0);
        wait_until_over(&site);
        ends(&agent.action("stop"), 0);
        let seen: Vec<_> = wire.announcements().iter().map(|frame| frame.is_reply).collect();
        assert_eq!(seen, replies.repeat(2), "{form}");
    }
}

#[test]
fn not_one_frame_after_stop_has_returned() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    let times: Vec<_> = (0..30).map(|i| (i * 50).to_string()).collect();
    let agent = site.vip().param("announce_schedule", times.join(","));
    for _ in 0..5 {
        ends(&agent.action("start"), 0);
        ends(&agent.action("stop"), 0);
        let until_stop = wire.announcements().len();
        assert_eq!(announcer(&site.a), None);
        // Longer than the schedule: there is no event for "nothing happens".
        let end = Instant::now() + Duration::from_millis(2000);
        while Instant::now() < end {
            assert_eq!(wire.announcements().len(), until_stop);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_start_replaces_the_last_ones_announcer() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    ends(&slow(&site).action("start"), 0);
    let first = announcer(&site.a).unwrap();
    ends(&slow(&site).action("start"), 0);
    let second = announcer(&site.a).unwrap();
    assert_ne!(first, second);
    assert!(!std::path::Path::new(&format!("/proc/{first}/fd/0")).exists());
    // Nothing left to announce: no announcer.
    ends(&site.vip().param("announce_schedule", "0").action("start"), 0);
    assert_eq!((announcer(&site.a), locks(&site.a).len()), (None, 0));
    ends(&slow(&site).action("start"), 0);
    ends(&site.vip().param("announce", "none").action("start"), 0);
    assert_eq!((announcer(&site.a), locks(&site.a).len()), (None, 0));
    assert_eq!(wire.announcements().len(), 4);
}

#[test]
fn the_announcer_keeps_nothing_of_the_action() {
    testnet::root_or_skip!();
    let site = Site::new();
    // That the action ended at all shows that its output pipes are closed. Called by hand it may
    // get more of them.
    let start = format!("exec 7>/run/inherited; exec {} start --ip {VIP}", program().display());
    ends(&agent(&site.a, "/bin/sh").env("OCF_SECRET", "x").args([start]).action("-c"), 0);
    let pid = announcer(&site.a).unwrap();
    let proc = |name: &str| format!("/proc/{pid}/{name}");
    let stat = std::fs::read_to_string(proc("stat")).unwrap();
    let after_name: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // State, parent, group, session (proc(5)).
    assert_eq!(after_name[2..4], [pid.to_string(), pid.to_string()]);
    assert_eq!(std::fs::read_link(proc("cwd")).unwrap(), std::path::Path::new("/"));
    for descriptor in 0..3 {
        let target = std::fs::read_link(proc(&format!("fd/{descriptor}"))).unwrap();
        assert_eq!(target, std::path::Path::new("/dev/null"));
    }
    for open in std::fs::read_dir(proc("fd")).unwrap() {
        let target = std::fs::read_link(open.unwrap().path()).unwrap_or_default();
        assert_ne!(target, std::path::Path::new("/run/inherited"));
    }
    assert_eq!(std::fs::read(proc("environ")).unwrap(), b"");
    ends(&site.vip().action("stop"), 0);
    assert_eq!(announcer(&site.a), None);
}

#[test]
fn the_announcer_ends_with_the_address() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    ends(&site.vip().param("announce_schedule", "0,5000,5050").action("start"), 0);
    // Otherwise it could look before the address is deleted and send after that.
    let announcer = announcer(&site.a).unwrap();
    suspend(announcer);
    site.a.ip(&format!("addr del {VIP}/24 dev eth0"));
    let seen = wire.announcements().len();
    resume(announcer);
    wait_until_over(&site);
    assert_eq!(wire.announcements().len(), seen);
}

#[test]
fn the_hardware_address_is_read_for_every_frame() {
    testnet::root_or_skip!();
    let site = Site::new();
    let capture = Capture::start(&site.neighbour, "eth0");
    let other = "02:00:00:00:00:aa";
    let agent = site.vip().param("announce_schedule", "0,3000,600000");
    ends(&agent.action("start"), 0);
    site.a.ip(&format!("link set eth0 address {other}"));
    let is_new = |frame: &ArpFrame| frame.source == mac(other);
    wait_until("it is announced from the new address", LONG, || {
        announcements(&capture).iter().any(is_new)
    });
    ends(&agent.action("stop"), 0);
    let frames = announcements(&capture);
    let first = frames.iter().position(is_new).unwrap();
    for frame in &frames[first..] {
        assert_eq!((frame.source, frame.sender_mac), (mac(other), mac(other)));
    }
}

#[test]
fn without_carrier_the_burst_waits_and_begins_anew() {
    testnet::root_or_skip!();
    let site = Site::new();
    // Where they are sent: the switch may learn of a carrier later than the host, and forwards then.
    let capture = Capture::start(&site.a, "eth0");
    site.cable_a.unplug(&site.a);
    wait_until("eth0 has no carrier", LONG, || {
        site.a.ip("link show dev eth0").contains("NO-CARRIER")
    });
    let agent = site.vip().param("check_link_status", "no").param("announce_schedule", "0,50,100");
    ends(&agent.action("start"), 0);
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
    assert!(announcer(&site.a).is_some());
    assert!(announcements(&capture).is_empty());
    site.cable_a.plug(&site.a);
    wait_until_over(&site);
    assert_eq!(announcements(&capture).len(), 3);

    // In the middle of a burst: the second announcement finds no carrier, so the burst begins again.
    let agent = agent.param("announce_schedule", "0,5000,600000");
    ends(&agent.action("start"), 0);
    let announcer = announcer(&site.a).unwrap();
    suspend(announcer);
    site.cable_a.unplug(&site.a);
    wait_until("no carrier", LONG, || !is_up(&site.a, "eth0"));
    // On a machine that stalls, the second announcement may have been sent already.
    let seen = announcements(&capture).len();
    resume(announcer);
    // Beyond the second one's time, with nothing to see.
    std::thread::sleep(Duration::from_millis(6000));
    assert_eq!(announcements(&capture).len(), seen);
    site.cable_a.plug(&site.a);
    wait_for_announcements(&capture, seen + 2);
    ends(&agent.action("stop"), 0);
    assert_eq!(announcements(&capture).len(), seen + 2);
}

#[test]
fn the_neighbours_cache_moves_with_the_vip() {
    testnet::root_or_skip!();
    let site = Site::new();
    let known = || {
        let cache = neighbour_cache(&site.neighbour);
        cache.into_iter().find(|entry| entry.ip.to_string() == VIP).and_then(|entry| entry.mac)
    };
    ends(&site.vip().action("start"), 0);
    // The neighbour asks, and node A answers.
    shell(&site.neighbour, &format!("ping -c 1 -w 30 {VIP} >/dev/null || exit 1"));
    assert_eq!(known().as_deref(), Some(MAC_A));
    for (from, to, mac) in [(&site.a, &site.b, MAC_B), (&site.b, &site.a, MAC_A)] {
        ends(&vip(from).action("stop"), 0);
        ends(&vip(to).action("start"), 0);
        wait_until("the cache has the new owner", LONG, || known().as_deref() == Some(mac));
        shell(&site.neighbour, &format!("ping -c 1 -w 30 {VIP} >/dev/null || exit 1"));
    }
}

#[test]
fn interfaces_without_neighbours_are_not_announced_on() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    site.a.ip("link set eth1 arp off");
    for nic in ["lo", "eth1"] {
        let capture = Capture::start(&site.a, nic);
        let agent = site.vip().param("nic", nic).param("cidr_netmask", "32");
        let started = agent.action("start");
        ends(&started, 0);
        assert_eq!(started.stderr, "");
        assert_eq!(instances(&site.a), [format!("{nic} {VIP}/32")]);
        assert_eq!((announcer(&site.a), announcements(&capture).len()), (None, 0));
        ends(&agent.action("monitor"), 0);
        ends(&agent.action("stop"), 0);
    }
}

/// Shorter than the announcer takes to look: the switch has forgotten the address all the same.
#[test]
fn a_carrier_lost_for_a_moment_begins_the_burst_anew() {
    testnet::root_or_skip!();
    let site = Site::new();
    let capture = Capture::start(&site.a, "eth0");
    let agent = site.vip().param("announce_schedule", "0,50,600000");
    ends(&agent.action("start"), 0);
    wait_for_announcements(&capture, 2);
    let announcer = announcer(&site.a).unwrap();
    suspend(announcer);
    site.cable_a.unplug(&site.a);
    wait_until("no carrier", LONG, || !is_up(&site.a, "eth0"));
    site.cable_a.plug(&site.a);
    wait_until("the carrier is back", LONG, || is_up(&site.a, "eth0"));
    assert_eq!(announcements(&capture).len(), 2);
    resume(announcer);
    wait_for_announcements(&capture, 4);
    ends(&agent.action("stop"), 0);
}

#[test]
fn another_hardware_address_in_a_pause_begins_the_burst_anew() {
    testnet::root_or_skip!();
    let site = Site::new();
    let capture = Capture::start(&site.neighbour, "eth0");
    let agent = site.vip().param("announce_schedule", "0,50,600000");
    ends(&agent.action("start"), 0);
    wait_for_announcements(&capture, 2);
    // As a bond does that fails over; the next one would be due in ten minutes.
    site.a.ip("link set eth0 address 02:00:00:00:00:5a");
    let frames = wait_for_announcements(&capture, 4);
    for frame in &frames[2..] {
        assert_eq!((frame.source, frame.sender_mac), (mac("02:00:00:00:00:5a"), frame.source));
    }
    ends(&agent.action("stop"), 0);
}
