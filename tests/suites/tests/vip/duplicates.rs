//! Another host that has the VIP.

use std::time::{Duration, Instant};

use testnet::{Agent, ArpFrame, Capture, Host, wait_until};

use super::{
    LONG, MAC_B, MAC_N, Site, VIP, Wire, ends, fails, instances, locks, recurring, shell, state,
    vip,
};

/// How long somebody who has answered is believed to have the VIP (`conflict_probe::RELEASE_TIME`).
const LET_GO: Duration = Duration::from_millis(500);

/// Whether a host has sent a question of start's.
fn asked(capture: &Capture) -> bool {
    capture.arp_frames().iter().any(|arp| arp.sender_ip.is_unspecified())
}

/// A monitor that asks the neighbours.
fn deep(agent: &Agent) -> testnet::Outcome {
    recurring(&agent.clone().env("OCF_CHECK_LEVEL", "10"))
}

/// Another owner on B.
fn take(host: &Host) {
    host.ip(&format!("addr add {VIP}/24 dev eth0"));
}

fn let_go(host: &Host) {
    host.ip(&format!("addr del {VIP}/24 dev eth0"));
}

#[test]
fn a_second_owner_is_not_started() {
    testnet::root_or_skip!();
    let site = Site::new();
    take(&site.b);
    let before = state(&site.a);
    let agent = site.vip().param("duplicate_wait", "300ms");
    let reason = format!("192.0.2.10 is in use by {MAC_B} on eth0: remove it from that host");
    fails(&agent.action("start"), 1, &reason);
    assert_eq!(state(&site.a), before);
    assert!(locks(&site.a).is_empty());
    ends(&agent.action("monitor"), 7);
    ends(&agent.clone().param("duplicate_check", "no").action("start"), 0);
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_dying_peer_is_waited_for() {
    testnet::root_or_skip!();
    let site = Site::new();
    take(&site.b);
    let capture = Capture::start(&site.b, "eth0");
    let agent = site.vip().param("duplicate_wait", "60s");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        // It has asked at least twice, and been answered.
        wait_until("A asks again", LONG, || {
            capture.arp_frames().iter().filter(|arp| arp.sender_ip.is_unspecified()).count() >= 4
        });
        let_go(&site.b);
        ends(&start.join().unwrap(), 0);
    });
    assert_eq!(instances(&site.a), ["eth0 192.0.2.10/24"]);
    ends(&agent.action("stop"), 0);
}

#[test]
fn its_question_is_a_probe_that_no_cache_learns_from() {
    testnet::root_or_skip!();
    let site = Site::new();
    let wire = Wire::of(&site);
    ends(&site.vip().param("announce", "none").action("start"), 0);
    let frames = wire.frames(|_| true);
    assert_eq!(frames.len(), 2, "{frames:?}");
    for frame in frames {
        assert!(!frame.is_reply && frame.sender_ip.is_unspecified());
        assert_eq!(frame.target_ip, VIP.parse::<std::net::Ipv4Addr>().unwrap());
    }
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn other_interfaces_of_this_host_are_no_rivals() {
    testnet::root_or_skip!();
    let site = Site::new();
    // Two interfaces in one LAN, and Linux answers on each for every address.
    let _cable = site.switch.connect(&site.a, "eth1", "02:00:00:00:00:1a");
    wait_until("eth1 is up", LONG, || super::is_up(&site.a, "eth1"));
    site.a.ip(&format!("addr add {VIP}/32 dev eth1"));
    let agent = site.vip().param("nic", "eth0").param("duplicate_wait", "0");
    ends(&agent.action("start"), 0);
    ends(&deep(&agent), 0);
    ends(&agent.action("stop"), 0);
    assert!(instances(&site.a).is_empty());
}

#[test]
fn of_two_that_start_at_the_same_time_one_goes_on() {
    testnet::root_or_skip!();
    let site = Site::new();
    for _ in 0..5 {
        let outcomes = std::thread::scope(|scope| {
            let starts = [&site.a, &site.b].map(|host| {
                let agent = vip(host).param("duplicate_wait", "500ms");
                scope.spawn(move || agent.param("duplicate_timeout", "1s").action("start").code)
            });
            starts.map(|start| start.join().unwrap())
        });
        assert!(outcomes.contains(&0) && outcomes.contains(&1), "{outcomes:?}");
        for host in [&site.a, &site.b] {
            ends(&vip(host).action("stop"), 0);
        }
    }
}

/// The announcements of the VIP by node A that another host has received.
fn announced_by_a(capture: &Capture) -> usize {
    let is_by_a = |arp: &ArpFrame| arp.sender_mac == [2, 0, 0, 0, 0, 0xa];
    super::announcements(capture).iter().filter(|arp| is_by_a(arp) && !arp.is_reply).count()
}

#[test]
fn the_owner_defends_its_address_and_goes_on() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    ends(&deep(&agent), 0);
    take(&site.neighbour);
    let capture = Capture::start(&site.b, "eth0");
    let reason = format!("192.0.2.10 is also in use by {MAC_N} on eth0, and was announced again");
    fails(&deep(&agent), 190, &reason);
    wait_until("it is announced again", LONG, || announced_by_a(&capture) == 1);
    // It never ends the service, and never answers in a loop. A shallow look knows of it now.
    for _ in 0..3 {
        fails(&deep(&agent), 190, &reason);
        fails(&recurring(&agent), 190, &reason);
    }
    assert_eq!(announced_by_a(&capture), 1);
    // Ten seconds later.
    shell(&site.a, "touch -d '-11 seconds' /run/smartvox/rival-*");
    fails(&recurring(&agent), 190, &reason);
    wait_until("it is announced again", LONG, || announced_by_a(&capture) == 2);
    // When the other host is silent, the neighbours are told once more, by a shallow look, too.
    let_go(&site.neighbour);
    ends(&recurring(&agent), 0);
    wait_until("it is announced again", LONG, || announced_by_a(&capture) == 3);
    ends(&recurring(&agent), 0);
    ends(&deep(&agent), 0);
    assert_eq!(announced_by_a(&capture), 3);
    take(&site.b);
    fails(&deep(&agent), 190, &format!("also in use by {MAC_B} on eth0, and was announced again"));
    ends(&deep(&agent.clone().param("duplicate_check", "no")), 0);
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).is_empty());
}

/// A phone with the wrong address comes and leaves between two deep looks, and the LAN goes on to send to it.
#[test]
fn a_shallow_look_asks_from_time_to_time() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    let capture = Capture::start(&site.b, "eth0");
    let some_seconds_later =
        || shell(&site.a, "cd /run/smartvox && touch -c -d '-6 seconds' announced-* searched-*");
    some_seconds_later();
    ends(&recurring(&agent), 0);
    assert!(asked(&capture));
    take(&site.neighbour);
    some_seconds_later();
    // This host may have been frozen, and the other one its successor.
    fails(&recurring(&agent), 190, &format!("is also in use by {MAC_N} on eth0: remove it"));
    assert_eq!(announced_by_a(&capture), 0);
    fails(&recurring(&agent), 190, &format!("is also in use by {MAC_N} on eth0: remove it"));
    assert_eq!(announced_by_a(&capture), 0);
    // Known to the next one without waiting for its turn, and so is the silence.
    shell(&site.a, "touch -d '-11 seconds' /run/smartvox/rival-*");
    let reason = format!("192.0.2.10 is also in use by {MAC_N} on eth0, and was announced again");
    fails(&recurring(&agent), 190, &reason);
    wait_until("it is announced again", LONG, || announced_by_a(&capture) == 1);
    fails(&recurring(&agent), 190, &reason);
    let_go(&site.neighbour);
    ends(&recurring(&agent), 0);
    wait_until("it is announced again", LONG, || announced_by_a(&capture) == 2);
    // Whoever asks for nothing asks nobody.
    let quiet = Capture::start(&site.b, "eth0");
    some_seconds_later();
    ends(&recurring(&agent.clone().param("duplicate_check", "no")), 0);
    some_seconds_later();
    ends(&agent.action("monitor"), 0);
    ends(&agent.action("stop"), 0);
    assert!(!asked(&quiet));
    assert!(locks(&site.a).is_empty());
}

/// A port in hairpin mode, as container networks have it: the host answers its own probe.
#[test]
fn frames_that_a_switch_sends_back_are_no_rival() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    site.switch.host().ip("link set dev port0 type bridge_slave hairpin on");
    for _ in 0..2 {
        ends(&deep(&agent), 0);
    }
    take(&site.neighbour);
    fails(&deep(&agent), 190, &format!("is also in use by {MAC_N} on eth0"));
    ends(&agent.action("stop"), 0);
}

#[test]
fn failing_for_a_rival_is_an_option() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("duplicate_action", "fail");
    ends(&agent.action("start"), 0);
    take(&site.neighbour);
    fails(&deep(&agent), 190, "announced again");
    // Only a monitor that searches decides.
    fails(&recurring(&agent), 190, "announced again");
    fails(&deep(&agent), 1, "is still in use by");
    fails(&deep(&agent), 1, "is still in use by");
    let_go(&site.neighbour);
    ends(&deep(&agent), 0);
    // Forgotten: the next one is the first again.
    take(&site.neighbour);
    fails(&deep(&agent), 190, "announced again");
    // Another host is not the one that persists.
    let_go(&site.neighbour);
    take(&site.b);
    fails(&deep(&agent), 190, &format!("also in use by {MAC_B} on eth0, and was announced again"));
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).is_empty());
}

/// A node that waits for its turn, or a switch that tracks its devices, is no second owner.
#[test]
fn who_merely_asks_is_no_rival_of_the_owner() {
    testnet::root_or_skip!();
    let site = Site::new();
    let owner = vip(&site.b).param("announce", "none");
    ends(&owner.action("start"), 0);
    let capture = Capture::start(&site.b, "eth0");
    // The one that asks has the lower hardware address.
    let agent = site.vip().param("duplicate_wait", "60s");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("A asks", LONG, || asked(&capture));
        for _ in 0..10 {
            ends(&deep(&owner), 0);
        }
        ends(&owner.action("stop"), 0);
        ends(&start.join().unwrap(), 0);
    });
    ends(&agent.action("stop"), 0);
}

#[test]
fn who_has_just_answered_has_to_be_silent_for_longer() {
    testnet::root_or_skip!();
    let site = Site::new();
    take(&site.b);
    let capture = Capture::start(&site.b, "eth0");
    let agent = site.vip().param("duplicate_wait", "60s").param("announce_schedule", "0");
    let vip: std::net::Ipv4Addr = VIP.parse().unwrap();
    std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("B has answered", LONG, || {
            capture.arp_frames().iter().any(|arp| arp.sender_ip == vip && arp.is_reply)
        });
        let_go(&site.b);
        ends(&start.join().unwrap(), 0);
    });
    let frames = capture.arp_frames();
    let last = frames.iter().rfind(|arp| arp.is_reply && arp.sender_ip == vip).unwrap();
    let first = frames.iter().find(|arp| !arp.is_reply && arp.sender_ip == vip).unwrap();
    assert!(first.at.duration_since(last.at) >= LET_GO, "{frames:?}");
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_link_that_is_down_for_a_moment_does_not_hide_a_rival() {
    testnet::root_or_skip!();
    let site = Site::new();
    take(&site.b);
    let capture = Capture::start(&site.b, "eth0");
    let agent =
        site.vip().param("duplicate_wait", "5s").env("OCF_RESKEY_CRM_meta_timeout", "60000");
    let outcome = std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("A asks", LONG, || asked(&capture));
        site.a.ip("link set eth0 down");
        site.a.ip("link set eth0 up");
        start.join().unwrap()
    });
    fails(&outcome, 1, "192.0.2.10 is in use by 02:00:00:00:00:0b on eth0");
    assert!(instances(&site.a).is_empty());
}

#[test]
fn a_silence_without_carrier_proves_nothing() {
    testnet::root_or_skip!();
    let site = Site::new();
    take(&site.b);
    // It has the address, and does not answer for now.
    site.b.sysctl("net/ipv4/conf/all/arp_ignore", "8");
    let capture = Capture::start(&site.a, "eth0");
    let agent = site.vip().param("duplicate_timeout", "10s").param("link_wait", "60s");
    let agent = agent.env("OCF_RESKEY_CRM_meta_timeout", "120000").timeout(LONG * 3);
    let outcome = std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("A asks", LONG, || asked(&capture));
        site.cable_a.unplug(&site.a);
        wait_until("no carrier", LONG, || !super::is_up(&site.a, "eth0"));
        let probes = || {
            let frames = capture.arp_frames();
            frames.iter().filter(|arp| arp.sender_ip.is_unspecified()).count()
        };
        // Those that the start sends without a carrier do not leave it.
        let before = probes();
        site.cable_a.plug(&site.a);
        wait_until("A asks again", LONG, || probes() > before);
        site.b.sysctl("net/ipv4/conf/all/arp_ignore", "0");
        start.join().unwrap()
    });
    fails(&outcome, 1, "192.0.2.10 is in use by 02:00:00:00:00:0b on eth0");
    assert!(instances(&site.a).is_empty());
}

/// Containers come and go: the table of links changes while it is read.
#[test]
fn links_that_come_and_go_are_no_fault() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().action("start"), 0);
    let links: String =
        (0..100).map(|n| format!("link add c{n} type veth peer name d{n}\n")).collect();
    site.a.run(|| std::fs::write("/run/links", links).unwrap());
    site.a.ip("-batch /run/links");
    let script = "while :; do ip link add x0 type veth peer name x1; ip link del x0; done";
    let mut churn = site.a.spawn(std::process::Command::new("sh").args(["-c", script]));
    for _ in 0..30 {
        ends(&deep(&site.vip()), 0);
    }
    churn.kill().unwrap();
    churn.wait().unwrap();
    ends(&site.vip().action("stop"), 0);
}

/// RFC 8950: what resolves the next hop is Neighbor Discovery of the link's own address.
#[test]
fn a_gateway_of_the_other_family_is_not_asked() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("-4 route add default via inet6 fe80::1 dev eth0");
    ends(&site.vip().action("start"), 0);
    ends(&deep(&site.vip()), 0);
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn a_gateway_that_does_not_answer() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("route add default via 192.0.2.99");
    let agent = site.vip();
    ends(&agent.action("start"), 0);
    ends(&deep(&agent), 0);
    site.neighbour.ip("addr del 192.0.2.99/24 dev eth0");
    fails(&deep(&agent), 190, "gateway 192.0.2.99 does not answer 192.0.2.10 on eth0");
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_silence_that_was_cut_short_proves_nothing() {
    testnet::root_or_skip!();
    let site = Site::new();
    let before = state(&site.a);
    let agent = site.vip().param("duplicate_timeout", "10s");
    let short = agent.clone().env("OCF_RESKEY_CRM_meta_timeout", "2000");
    let short = short.timeout(LONG);
    fails(&short.action("start"), 1, "192.0.2.10 on eth0 can't be probed for 10000 ms");
    assert_eq!(state(&site.a), before);
    // Monitor comes to its end before it is killed, and keeps what it knows of a rival.
    ends(&site.vip().action("start"), 0);
    take(&site.b);
    fails(&deep(&site.vip()), 190, "announced again");
    let_go(&site.b);
    let monitor = short.env("OCF_RESKEY_CRM_meta_interval", "10000").env("OCF_CHECK_LEVEL", "10");
    let begin = Instant::now();
    fails(&monitor.action("monitor"), 190, "raise the timeout of monitor");
    assert!(begin.elapsed() < Duration::from_secs(9), "the silence alone takes 10 s");
    assert!(locks(&site.a).iter().any(|path| path.to_string_lossy().contains("rival-")));
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn a_stop_overtakes_a_start_that_waits() {
    testnet::root_or_skip!();
    let site = Site::new();
    take(&site.b);
    let capture = Capture::start(&site.b, "eth0");
    let agent = site.vip().param("duplicate_wait", "60s");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("A asks", LONG, || {
            capture.arp_frames().iter().any(|arp| arp.sender_ip.is_unspecified())
        });
        ends(&agent.action("stop"), 0);
        assert!(instances(&site.a).is_empty());
        let_go(&site.b);
        fails(&start.join().unwrap(), 1, "192.0.2.10 was stopped while start was at work");
    });
    assert!(instances(&site.a).is_empty());
    // The next one is a new one, also after a stop that has not seen the end of the last.
    ends(&agent.action("start"), 0);
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    testnet::root_or_skip!();
    let site = Site::new();
    take(&site.b);
    let capture = Capture::start(&site.b, "eth0");
    let mut start = std::process::Command::new(super::program());
    start.args(["start", "--ip", VIP, "--duplicate_wait=60s"]).env_clear();
    let mut start = site.a.spawn(&mut start);
    wait_until("A asks", LONG, || {
        capture.arp_frames().iter().any(|arp| arp.sender_ip.is_unspecified())
    });
    // It hangs: the stop kills it.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(start.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let agent = site.vip().env("OCF_RESKEY_CRM_meta_timeout", "3000").timeout(LONG);
    ends(&agent.action("stop"), 0);
    let_go(&site.b);
    let status = start.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    assert!(instances(&site.a).is_empty());
    ends(&site.vip().action("start"), 0);
    ends(&site.vip().action("stop"), 0);
    assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
}

#[test]
fn the_check_takes_its_silence_and_no_more() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("duplicate_timeout", "400ms");
    let begin = Instant::now();
    ends(&agent.action("start"), 0);
    assert!(begin.elapsed() >= Duration::from_millis(400));
    ends(&agent.action("stop"), 0);
}
