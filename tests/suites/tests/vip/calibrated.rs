//! The duplicate address check together with neighbours that are known to answer.

use std::net::Ipv6Addr;
use std::time::Duration;

use testnet::{Agent, ArpFrame, Capture, Direction, Responder, wait_until};

use super::{
    LONG, MAC_B, MAC_N, Site, VIP, announcements, ends, fails, instances, locks, plain, recurring,
    shell,
};

const NEIGHBOUR: &str = "192.0.2.99";
/// An address that only a [`Responder`] has, and its MAC address.
const SLOW: &str = "192.0.2.98";
const SLOW_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x98];
pub(super) const RIVAL_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x66];

pub(super) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Node A has spoken with that host a moment ago.
pub(super) fn knows(site: &Site, ip: &str, mac: &str) {
    site.a.ip(&format!("neigh replace {ip} lladdr {mac} nud reachable dev eth0"));
}

pub(super) fn sent(capture: &Capture, target: &str) -> Vec<ArpFrame> {
    let target: std::net::Ipv4Addr = target.parse().unwrap();
    let mut frames = capture.arp_frames();
    let is_question = |arp: &ArpFrame| !arp.is_reply && arp.sender_ip != target;
    frames.retain(|arp| {
        arp.direction == Direction::Sent && arp.target_ip == target && is_question(arp)
    });
    frames
}

/// With a silence of two seconds, which has 14 probes. What ends it sooner is an answer.
fn patient(site: &Site) -> Agent {
    site.vip().param("duplicate_timeout", "2s").param("announce_schedule", "0")
}

/// On a machine that stalls, the answer can be read too late to prove anything: then it is tried again.
#[test]
fn a_neighbour_that_answers_makes_it_short() {
    testnet::root_or_skip!();
    let site = Site::new();
    knows(&site, NEIGHBOUR, MAC_N);
    wait_until("a check is short", LONG, || {
        let capture = Capture::start(&site.a, "eth0");
        ends(&patient(&site).action("start"), 0);
        ends(&patient(&site).action("stop"), 0);
        let requests = sent(&capture, NEIGHBOUR);
        // From the node's own address, so that the neighbour's cache stays true.
        let own: std::net::Ipv4Addr = "192.0.2.1".parse().unwrap();
        assert!(!requests.is_empty() && requests.iter().all(|arp| arp.sender_ip == own));
        assert!(requests.iter().all(|arp| arp.destination == [0xff; 6]), "{requests:?}");
        assert!(requests.len() <= 2, "{requests:?}");
        sent(&capture, VIP).len() == 2 && requests.len() == 2
    });
    let agent = patient(&site).param("duplicate_check", "yes");
    let capture = Capture::start(&site.a, "eth0");
    ends(&agent.action("start"), 0);
    // More if the machine has stalled: then start checks again.
    assert!(sent(&capture, VIP).len() >= 14 && sent(&capture, NEIGHBOUR).is_empty());
    ends(&agent.action("stop"), 0);
}

#[test]
fn the_gateway_is_asked_although_no_cache_has_it() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip(&format!("route add default via {NEIGHBOUR}"));
    let capture = Capture::start(&site.a, "eth0");
    // With and without a look at the routes by start itself.
    for agent in [patient(&site), patient(&site).param("nic", "eth0").param("cidr_netmask", "24")] {
        let before = sent(&capture, NEIGHBOUR).len();
        ends(&agent.action("start"), 0);
        ends(&agent.action("stop"), 0);
        assert!(sent(&capture, NEIGHBOUR).len() > before);
    }
}

#[test]
fn a_neighbour_that_is_silent_shortens_nothing() {
    testnet::root_or_skip!();
    let site = Site::new();
    knows(&site, SLOW, "02:00:00:00:00:98");
    let capture = Capture::start(&site.a, "eth0");
    ends(&patient(&site).action("start"), 0);
    assert!(sent(&capture, VIP).len() >= 14);
    // The announcer asks again.
    let frames = capture.arp_frames();
    let slow: std::net::Ipv4Addr = SLOW.parse().unwrap();
    let by_start = frames.iter().take_while(|arp| !super::is_announcement(arp));
    assert_eq!(by_start.filter(|arp| arp.target_ip == slow).count(), 1, "{frames:?}");
    ends(&patient(&site).action("stop"), 0);
}

/// One frame in two is lost on the way to it.
#[test]
fn a_neighbour_that_answers_once_shortens_nothing() {
    testnet::root_or_skip!();
    let site = Site::new();
    knows(&site, SLOW, "02:00:00:00:00:98");
    let responder = Responder::start(&site.b, SLOW, SLOW_MAC, &[Some(ms(0)), None]);
    let capture = Capture::start(&site.a, "eth0");
    ends(&patient(&site).action("start"), 0);
    assert!(responder.asked() > 0);
    // The second probe is early, or the machine has stalled.
    assert!(sent(&capture, VIP).len() >= 14);
    ends(&patient(&site).action("stop"), 0);
}

/// The owner answers after 60 ms, and the neighbour no sooner.
#[test]
fn an_owner_that_is_as_slow_as_its_neighbours_is_found() {
    testnet::root_or_skip!();
    let site = Site::new();
    knows(&site, SLOW, "02:00:00:00:00:98");
    for (owner, neighbour) in [(60, 80), (60, 60), (1, 80)] {
        let delays = |delay| vec![Some(ms(delay)); 50];
        let _owner = Responder::start(&site.b, VIP, RIVAL_MAC, &delays(owner));
        let _neighbour = Responder::start(&site.neighbour, SLOW, SLOW_MAC, &delays(neighbour));
        let agent = patient(&site).param("duplicate_wait", "0");
        fails(&agent.action("start"), 1, "192.0.2.10 is in use by 02:00:00:00:00:66 on eth0");
        assert!(instances(&site.a).is_empty());
    }
}

/// The answer to the first probe is lost, and a neighbour in the same LAN answers both requests.
#[test]
fn an_owner_whose_first_answer_is_lost_is_found() {
    testnet::root_or_skip!();
    let site = Site::new();
    knows(&site, SLOW, "02:00:00:00:00:98");
    let _owner = Responder::start(&site.b, VIP, RIVAL_MAC, &[None, Some(ms(1))]);
    let _neighbour = Responder::start(&site.neighbour, SLOW, SLOW_MAC, &vec![Some(ms(60)); 50]);
    let agent = patient(&site).param("duplicate_wait", "0");
    fails(&agent.action("start"), 1, "192.0.2.10 is in use by 02:00:00:00:00:66 on eth0");
}

/// A switch that suppresses ARP, or a router with proxy ARP: it answers for the neighbour and for the VIP.
#[test]
fn one_that_answers_for_everything_has_the_address() {
    testnet::root_or_skip!();
    let site = Site::new();
    knows(&site, SLOW, "02:00:00:00:00:66");
    let delays = vec![Some(ms(0)); 50];
    let _for_the_vip = Responder::start(&site.b, VIP, RIVAL_MAC, &delays);
    let _for_the_neighbour = Responder::start(&site.b, SLOW, RIVAL_MAC, &delays);
    let agent = patient(&site).param("duplicate_wait", "0");
    fails(&agent.action("start"), 1, "192.0.2.10 is in use by 02:00:00:00:00:66 on eth0");
}

/// A port of a switch that does not forward yet (spanning tree): what can't be heard proves nothing.
#[test]
fn a_link_that_does_not_forward_yet_has_the_whole_silence() {
    testnet::root_or_skip!();
    let site = Site::new();
    knows(&site, NEIGHBOUR, MAC_N);
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    site.switch.host().ip("link set dev port0 type bridge_slave state 1");
    let capture = Capture::start(&site.a, "eth0");
    let agent = patient(&site).param("duplicate_timeout", "10s").param("duplicate_wait", "0");
    let agent = agent.env("OCF_RESKEY_CRM_meta_timeout", "120000").timeout(LONG * 3);
    std::thread::scope(|scope| {
        let start = scope.spawn(|| agent.action("start"));
        wait_until("A probes on", LONG, || sent(&capture, VIP).len() > 3);
        site.switch.host().ip("link set dev port0 type bridge_slave state 3");
        fails(&start.join().unwrap(), 1, &format!("192.0.2.10 is in use by {MAC_B} on eth0"));
    });
}

/// All announcements of the schedule are dropped by the switch.
#[test]
fn what_a_switch_has_dropped_is_announced_again_when_it_forwards() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip(&format!("route add default via {NEIGHBOUR}"));
    site.switch.host().ip("link set dev port0 type bridge_slave state 1");
    let capture = Capture::start(&site.neighbour, "eth0");
    let sending = Capture::start(&site.a, "eth0");
    let agent = site.vip().param("announce_schedule", "0,50");
    ends(&agent.action("start"), 0);
    let by_a = |arp: &&ArpFrame| arp.direction == Direction::Sent;
    wait_until("the schedule is over", LONG, || {
        announcements(&sending).iter().filter(by_a).count() == 2
    });
    assert!(announcements(&capture).is_empty());
    assert!(super::announcer(&site.a).is_some());
    site.switch.host().ip("link set dev port0 type bridge_slave state 3");
    wait_until("it is announced again", LONG, || announcements(&capture).len() == 2);
    wait_until("the announcer has ended", LONG, || super::announcer(&site.a).is_none());
    // After a probe.
    let frames = capture.arp_frames();
    let first = frames.iter().position(super::is_announcement).unwrap();
    assert!(frames[..first].iter().any(|arp| arp.sender_ip.is_unspecified()), "{frames:?}");
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).is_empty(), "{:?}", locks(&site.a));
}

/// The announcer asks for a minute, in which the address that asked for start can move to another host: a
/// request from it would draw the packets for that host to this node.
#[test]
fn the_announcer_asks_from_no_address_that_this_node_has_no_more() {
    testnet::root_or_skip!();
    let site = Site::new();
    shell(&site.a, "echo 1 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries");
    knows(&site, SLOW, "02:00:00:00:00:98");
    let capture = Capture::start(&site.a, "eth0");
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    let agent = agent.param("announce_schedule", "0");
    let own: std::net::Ipv4Addr = "192.0.2.1".parse().unwrap();
    ends(&agent.action("start"), 0);
    assert!(sent(&capture, SLOW).iter().all(|arp| arp.sender_ip == own));
    wait_until("the announcer has asked from it", LONG, || sent(&capture, SLOW).len() > 1);
    site.a.ip("addr del 192.0.2.1/24 dev eth0");
    // One request can be under way.
    let before = sent(&capture, SLOW).len();
    wait_until("it asks on", LONG, || sent(&capture, SLOW).len() > before + 1);
    assert_eq!(sent(&capture, SLOW).last().unwrap().sender_ip.to_string(), VIP);
    ends(&agent.action("stop"), 0);
    // A host without another address: a probe is for start alone, because a neighbour that is just probing
    // for its own address gives it up then (RFC 5227 section 2.1.1).
    let agent = agent.param("gateway", SLOW);
    let before = sent(&capture, SLOW).len();
    ends(&agent.action("start"), 0);
    wait_until("the announcer has asked", LONG, || sent(&capture, SLOW).len() > before + 1);
    let frames = sent(&capture, SLOW);
    let asked = &frames[before..];
    assert!(asked.iter().skip(1).all(|arp| arp.sender_ip.to_string() == VIP), "{asked:?}");
    ends(&agent.action("stop"), 0);
}

/// A guest on a macvlan of the same interface answers without a frame on the wire.
#[test]
fn what_can_be_a_guest_of_this_host_is_not_asked() {
    testnet::root_or_skip!();
    let site = Site::new();
    knows(&site, NEIGHBOUR, MAC_N);
    site.a.ip("link add guest0 link eth0 type macvlan mode bridge");
    let capture = Capture::start(&site.a, "eth0");
    ends(&site.vip().action("start"), 0);
    assert!(sent(&capture, VIP).len() >= 2 && sent(&capture, NEIGHBOUR).is_empty());
    ends(&site.vip().action("stop"), 0);
}

/// A switch with Dynamic ARP Inspection disables a port that sends more than 15 ARP frames in a second.
#[test]
fn a_start_with_all_neighbours_sends_few_frames() {
    testnet::root_or_skip!();
    let site = Site::new();
    for (ip, mac) in [(NEIGHBOUR, MAC_N), ("192.0.2.2", MAC_B), (SLOW, "02:00:00:00:00:98")] {
        knows(&site, ip, mac);
    }
    let capture = Capture::start(&site.a, "eth0");
    ends(&site.vip().action("start"), 0);
    wait_until("the schedule is over", LONG, || super::announcer(&site.a).is_none());
    let mut frames = capture.arp_frames();
    frames.retain(|arp| arp.direction == Direction::Sent && !arp.is_reply);
    for (at, first) in frames.iter().enumerate() {
        let in_a_second = |arp: &&ArpFrame| arp.at - first.at < Duration::from_secs(1);
        let count = frames[at..].iter().take_while(in_a_second).count();
        assert!(count < 15, "{count} in a second: {frames:?}");
    }
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn ipv6_too() {
    testnet::root_or_skip!();
    let site = Site::new();
    for (host, address) in [(&site.a, "1"), (&site.b, "2"), (&site.neighbour, "99")] {
        host.ip(&format!("addr add 2001:db8::{address}/64 dev eth0 nodad"));
        super::wait_until_ipv6_is_settled(host);
    }
    site.a.ip(&format!("neigh replace 2001:db8::99 lladdr {MAC_N} nud reachable dev eth0"));
    let agent = plain(&site.a).param("ip", "2001:db8::10").param("announce_schedule", "0");
    let agent = agent.param("duplicate_timeout", "2s");
    let (vip, neighbour): (Ipv6Addr, Ipv6Addr) =
        ("2001:db8::10".parse().unwrap(), "2001:db8::99".parse().unwrap());
    wait_until("a check is short", LONG, || {
        let capture = Capture::start(&site.a, "eth0");
        ends(&agent.action("start"), 0);
        ends(&agent.action("stop"), 0);
        let asks = |target: Ipv6Addr| {
            let frames = capture.ndisc_frames().into_iter();
            frames
                .filter(|it| it.direction == Direction::Sent && !it.is_advertisement)
                .filter(|it| it.target == target)
                .collect::<Vec<_>>()
        };
        // A solicitation without a source would be duplicate address detection.
        assert!(!asks(neighbour).is_empty());
        assert!(asks(neighbour).iter().all(|it| !it.source.is_unspecified()));
        asks(vip).len() == 2 && asks(neighbour).len() == 2
    });
    site.b.ip("addr add 2001:db8::10/64 dev eth0 nodad");
    super::wait_until_ipv6_is_settled(&site.b);
    fails(&agent.param("duplicate_wait", "0").action("start"), 1, "2001:db8::10 is in use by");
}
