//! Links: carrier, admin state, alternative names, and starts that are taken back.

use std::time::Duration;

use testnet::{Agent, Capture, Host, Responder, wait_until};

use super::calibrated::RIVAL_MAC;
use super::{
    LONG, Site, VIP, ends, fails, has_strace, instances, is_at_work, is_up, locks, plain,
    recurring, shell, vip,
};

fn has_no_carrier(host: &Host) -> bool {
    host.ip("link show dev eth0").contains("NO-CARRIER")
}

#[test]
fn a_lost_carrier_is_what_the_parameter_says() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().action("start"), 0);
    let check = |word| recurring(&site.vip().param("check_link_status", word));
    for word in ["yes", "degraded", "no", "true", "false"] {
        ends(&check(word), 0);
    }
    site.cable_a.unplug(&site.a);
    wait_until("eth0 has no carrier", LONG, || has_no_carrier(&site.a));
    // Without a cluster no other node is known to be better; carrier.rs has one.
    let unknown = "eth0 has no carrier, and whether another node has one is unknown";
    fails(&recurring(&site.vip()), 190, unknown);
    fails(&check("yes"), 190, unknown);
    fails(&check("true"), 190, unknown);
    fails(&check("degraded"), 190, "eth0 has no carrier");
    ends(&check("no"), 0);
    ends(&check("false"), 0);
    site.cable_a.plug(&site.a);
    wait_until("eth0 is up", LONG, || is_up(&site.a, "eth0"));
    ends(&check("yes"), 0);
    site.a.ip("link set eth0 down");
    fails(&check("yes"), 1, "eth0 is administratively down");
    ends(&site.vip().action("stop"), 0);
    ends(&check("yes"), 7);
}

#[test]
fn a_link_stacked_on_one_without_carrier() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("link add link eth0 name sip0 type macvlan mode bridge");
    site.a.ip("link set sip0 up");
    wait_until("sip0 is up", LONG, || is_up(&site.a, "sip0"));
    let agent = site.vip().param("nic", "sip0").param("cidr_netmask", "24");
    ends(&agent.action("start"), 0);
    ends(&recurring(&agent), 0);
    site.cable_a.unplug(&site.a);
    wait_until("sip0 has noticed", LONG, || !is_up(&site.a, "sip0"));
    fails(&recurring(&agent), 190, "192.0.2.10 is on sip0, but sip0 ");
    ends(&agent.action("stop"), 0);
}

#[test]
fn altnames() {
    testnet::root_or_skip!();
    let site = Site::new();
    let long = "enp129s0f0np0-uplink-to-the-provider";
    for altname in ["enp9s9", long] {
        site.a.ip(&format!("link property add dev eth0 altname {altname}"));
    }
    for altname in ["enp9s9", long] {
        let agent = site.vip().param("nic", altname).param("iflabel", "sip");
        ends(&agent.action("start"), 0);
        assert!(site.a.ip("-4 -o addr show").contains(" eth0:sip"));
        ends(&recurring(&agent), 0);
        ends(&recurring(&site.vip().param("nic", "eth0")), 0);
        site.cable_a.unplug(&site.a);
        wait_until("eth0 has no carrier", LONG, || has_no_carrier(&site.a));
        fails(&recurring(&agent), 190, "eth0 has no carrier");
        site.cable_a.plug(&site.a);
        wait_until("eth0 is up", LONG, || is_up(&site.a, "eth0"));
        ends(&agent.action("stop"), 0);
    }
}

/// udev, or an administrator, renames the interface under the address.
#[test]
fn a_link_that_is_renamed() {
    testnet::root_or_skip!();
    let site = Site::new();
    let named = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    let unnamed = vip(&site.a);
    ends(&named.action("start"), 0);
    // Older kernels rename links only while they are down, which takes no address away.
    site.a.ip("link set eth0 down");
    site.a.ip("link set eth0 name sip0");
    site.a.ip("link set sip0 up");
    wait_until("sip0 is up", LONG, || is_up(&site.a, "sip0"));
    // The address is there, and not where it was said to be: never "not running".
    fails(&recurring(&named), 1, "192.0.2.10");
    ends(&recurring(&unnamed), 0);
    ends(&named.action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    ends(&recurring(&unnamed), 7);
    // Under its new name it is an interface like any other.
    let renamed = site.vip().param("nic", "sip0").param("cidr_netmask", "24");
    ends(&renamed.action("start"), 0);
    ends(&renamed.action("stop"), 0);
}

#[test]
fn a_link_that_is_down_is_brought_up() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("link set eth0 down");
    // Without nic: the network of a link that is down is known by its address.
    ends(&site.vip().param("link_wait", "60s").action("start"), 0);
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
    assert!(is_up(&site.a, "eth0"));
    ends(&recurring(&site.vip()), 0);
    ends(&site.vip().action("stop"), 0);
    // stop does not take the link down: others may use it.
    assert!(is_up(&site.a, "eth0"));
    // Not waited for, and yet the first announcement is out before start returns.
    let capture = Capture::start(&site.a, "eth0");
    site.a.ip("link set eth0 down");
    let agent = site.vip().param("check_link_status", "no").param("announce_schedule", "0");
    let outcome = agent.env("PCMK_service", "").action("start");
    ends(&outcome, 0);
    assert!(outcome.stderr.contains(" announced_us="), "{}", outcome.stderr);
    let vip: std::net::Ipv4Addr = VIP.parse().unwrap();
    assert!(capture.arp_frames().iter().any(|arp| arp.sender_ip == vip));
}

/// A port of a switch forwards some time after its carrier has come: what was asked before is lost.
#[test]
fn a_switch_that_forwards_late_hides_no_owner() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("link_wait", "60s").param("duplicate_wait", "0");
    let has_found_it = || {
        site.a.ip("link set eth0 down");
        finds_a_late_owner(&site, &agent, VIP)
    };
    // A machine that stands still for half a second shows nothing.
    assert!((0..10).any(|_| has_found_it()));
}

/// Whether start finds an owner who does not hear the first probes.
pub(super) fn finds_a_late_owner(site: &Site, agent: &Agent, ip: &str) -> bool {
    let mut delays = vec![None; 2];
    delays.resize(50, Some(Duration::ZERO));
    let _owner = Responder::start(&site.b, ip, RIVAL_MAC, &delays);
    let outcome = agent.action("start");
    if outcome.code == 1 {
        fails(&outcome, 1, &format!("{ip} is in use by 02:00:00:00:00:66 on eth0"));
    }
    ends(&agent.action("stop"), 0);
    outcome.code == 1
}

/// The cluster starts several addresses on the link: the second one finds it usable.
#[test]
fn nor_that_of_the_next_address() {
    testnet::root_or_skip!();
    let site = Site::new();
    let first = site.vip().param("link_wait", "60s");
    let second = plain(&site.a).param("ip", "192.0.2.20").param("duplicate_wait", "0");
    let has_found_it = || {
        site.a.ip("link set eth0 down");
        ends(&first.action("start"), 0);
        let found = finds_a_late_owner(&site, &second, "192.0.2.20");
        ends(&first.action("stop"), 0);
        found
    };
    // A machine that stands still for half a second shows nothing.
    assert!((0..10).any(|_| has_found_it()));
}

/// The kernel's duplicate address detection begins when start has little time left: a failure of start would bar
/// the node.
#[test]
fn a_carrier_that_comes_too_late_for_the_detection_of_the_kernel() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    // Longer than the action.
    site.a.sysctl("net/ipv6/conf/eth0/dad_transmits", "8");
    site.cable_a.unplug(&site.a);
    wait_until("eth0 has no carrier", LONG, || has_no_carrier(&site.a));
    let agent = plain(&site.a).param("ip", "2001:db8::10").param("nic", "eth0");
    let agent = agent.param("nodad", "no").param("duplicate_check", "no").param("link_wait", "60s");
    let agent = agent.param("announce", "none");
    let hurried = agent.clone().env("OCF_RESKEY_CRM_meta_timeout", "6000");
    let outcome = std::thread::scope(|scope| {
        let start = scope.spawn(|| hurried.action("start"));
        wait_until("start is at work", LONG, || is_at_work(&site.a));
        std::thread::sleep(Duration::from_millis(300));
        site.cable_a.plug(&site.a);
        start.join().unwrap()
    });
    ends(&outcome, 0);
    wait_until("monitor is content", LONG, || recurring(&agent).code == 0);
    ends(&agent.action("stop"), 0);
}

/// No other node is known to be better: the address is there as soon as the carrier is.
#[test]
fn without_carrier_start_succeeds() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.cable_a.unplug(&site.a);
    site.a.ip("link set eth0 down");
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    for wait in ["0", "100ms", "1s"] {
        ends(&agent.clone().param("link_wait", wait).action("start"), 0);
        assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
        fails(&recurring(&agent), 190, "eth0 has no carrier, and whether another node");
        ends(&agent.action("stop"), 0);
        ends(&recurring(&agent), 7);
    }
    // The action's own timeout is the limit, not link_wait.
    let short = agent.clone().param("link_wait", "60s").env("OCF_RESKEY_CRM_meta_timeout", "2000");
    ends(&short.timeout(Duration::from_secs(30)).action("start"), 0);
    // Announced without a restart, when the carrier comes.
    let capture = Capture::start(&site.neighbour, "eth0");
    site.cable_a.plug(&site.a);
    let vip: std::net::Ipv4Addr = VIP.parse().unwrap();
    wait_until("the VIP is announced", LONG, || {
        capture.arp_frames().iter().any(|arp| arp.sender_ip == vip)
    });
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
}

/// No process can be started, and the carrier comes before the first monitor.
#[test]
fn without_carrier_and_announcer_the_next_monitor_announces() {
    testnet::root_or_skip!();
    if !has_strace("link::without_carrier_and_announcer_the_next_monitor_announces") {
        return;
    }
    let site = Site::new();
    site.cable_a.unplug(&site.a);
    wait_until("eth0 has no carrier", LONG, || has_no_carrier(&site.a));
    let agent = site.vip().param("nic", "eth0").param("link_wait", "0");
    let strace = ["/usr/bin/strace", "-qq", "-o", "/dev/null"];
    let inject = "--inject=clone3,clone,vfork:error=EAGAIN";
    ends(&agent.clone().under(strace.iter().copied().chain([inject])).action("start"), 0);
    assert_eq!(super::announcer(&site.a), None);
    site.cable_a.plug(&site.a);
    wait_until("eth0 is up", LONG, || is_up(&site.a, "eth0"));
    let capture = Capture::start(&site.a, "eth0");
    fails(&recurring(&agent), 190, "is not announced: its announcer could not be started");
    wait_until("it is announced", LONG, || !super::announcements(&capture).is_empty());
    wait_until("monitor is content", LONG, || recurring(&agent).code == 0);
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_stop_ends_a_start_that_waits_for_the_carrier() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.cable_a.unplug(&site.a);
    wait_until("eth0 has no carrier", LONG, || has_no_carrier(&site.a));
    let agent = site.vip().param("nic", "eth0").param("link_wait", "60s");
    let patient = agent.clone().env("OCF_RESKEY_CRM_meta_timeout", "60000");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| patient.action("start"));
        wait_until("start is at work", LONG, || is_at_work(&site.a));
        ends(&agent.action("stop"), 0);
        fails(&start.join().unwrap(), 1, "192.0.2.10 was stopped while start was at work");
    });
    assert!(instances(&site.a).is_empty());
    assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
}

#[test]
fn a_carrier_that_comes_in_time() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.cable_a.unplug(&site.a);
    wait_until("eth0 has no carrier", LONG, || has_no_carrier(&site.a));
    let agent = site.vip().param("nic", "eth0").param("link_wait", "60s");
    let patient = agent.env("OCF_RESKEY_CRM_meta_timeout", "60000");
    let outcome = std::thread::scope(|scope| {
        let start = scope.spawn(|| patient.action("start"));
        wait_until("start is at work", LONG, || is_at_work(&site.a));
        // Without a carrier it adds no address in that time.
        std::thread::sleep(Duration::from_millis(300));
        assert!(instances(&site.a).is_empty());
        site.cable_a.plug(&site.a);
        start.join().unwrap()
    });
    ends(&outcome, 0);
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
}

#[test]
fn a_start_that_fails_at_its_last_look_rolls_back() {
    testnet::root_or_skip!();
    let site = Site::new();
    // With /run full start announces itself; the interface is taken down in the meantime.
    shell(&site.a, "mount -t tmpfs -o size=4k,nr_inodes=1 full /run");
    site.a.ip("addr add 192.0.2.20/24 dev eth0");
    let agent = site.vip().param("announce_schedule", "0,15000");
    let outcome = std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("the address is there", LONG, || !instances(&site.a).is_empty());
        site.a.ip("link set eth0 down");
        start.join().unwrap()
    });
    fails(&outcome, 1, "not usable right after start: 192.0.2.10 is on eth0, but eth0 is admin");
    ends(&recurring(&agent), 7);
    assert_eq!(super::others(&site.a), ["eth0 192.0.2.1/24", "eth0 192.0.2.20/24"]);
    ends(&vip(&site.a).action("stop"), 0);
}

#[test]
fn a_port_of_a_bridge_is_refused() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    ends(&agent.action("start"), 0);
    site.a.ip("link add vmbr0 type bridge stp_state 0 forward_delay 0");
    site.a.ip("link set vmbr0 up");
    site.a.ip("link set eth0 master vmbr0");
    site.a.sysctl("net/ipv4/conf/eth0/promote_secondaries", "1");
    site.a.ip("addr del 192.0.2.1/24 dev eth0");
    site.a.ip("addr add 192.0.2.1/24 dev vmbr0");
    wait_until("vmbr0 is up", LONG, || is_up(&site.a, "vmbr0"));
    // It is shown, and nothing ends because of it.
    let reason = "eth0 is a port of vmbr0: set nic=vmbr0";
    fails(&recurring(&agent), 190, reason);
    ends(&agent.action("stop"), 0);
    fails(&super::hasty(&agent).action("start"), 1, reason);
    assert!(instances(&site.a).is_empty());
    fails(&agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 1, reason);
    let bridge = agent.param("nic", "vmbr0");
    ends(&bridge.action("start"), 0);
    ends(&recurring(&bridge), 0);
    shell(&site.neighbour, &format!("ping -c 1 -w 30 {VIP} >/dev/null"));
    ends(&bridge.action("stop"), 0);
}
