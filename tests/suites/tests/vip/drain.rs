//! The kernel's own route of the VIP: where it is missing the VIP does not serve, and stop takes it away to
//! let a server answer what it has received.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use testnet::{Agent, Capture, Host, Outcome, wait_until};

use super::{LONG, Site, ends, fails, plain, recurring, wait_until_ipv6_is_settled};

/// The VIP of a family on node A, and an address of the neighbour.
struct Case {
    ip: IpAddr,
    agent: Agent,
    neighbour: IpAddr,
}

fn cases(site: &Site) -> [Case; 2] {
    site.a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    site.neighbour.ip("addr add 2001:db8::99/64 dev eth0 nodad");
    wait_until_ipv6_is_settled(&site.a);
    wait_until_ipv6_is_settled(&site.neighbour);
    [("192.0.2.10", "192.0.2.99"), ("2001:db8::10", "2001:db8::99")].map(|(ip, neighbour)| Case {
        ip: ip.parse().unwrap(),
        agent: plain(&site.a).param("ip", ip),
        neighbour: neighbour.parse().unwrap(),
    })
}

impl Case {
    fn option(&self) -> &'static str {
        if self.ip.is_ipv6() { "-6" } else { "-4" }
    }

    fn is_here(&self, host: &Host) -> bool {
        !host.ip(&format!("{} -o addr show to {}", self.option(), self.ip)).is_empty()
    }

    fn has_route(&self, host: &Host) -> bool {
        let routes = host.ip(&format!("{} route show table local", self.option()));
        routes.lines().any(|line| line.starts_with(&format!("local {} ", self.ip)))
    }

    fn lose_route(&self, host: &Host) {
        host.ip(&format!("{} route del local {} dev eth0 table local", self.option(), self.ip));
    }

    fn add_route(&self, host: &Host) {
        let route = format!("local {} dev eth0 table local proto kernel", self.ip);
        host.ip(&format!("{} route replace {route}", self.option()));
    }

    fn written(&self) -> String {
        format!("{}/{}", self.ip, if self.ip.is_ipv6() { 64 } else { 24 })
    }

    /// A server that is bound to the VIP, and a request that it has not read.
    fn server_with_a_request(&self, site: &Site) -> (UdpSocket, UdpSocket) {
        let server = site.a.run(|| UdpSocket::bind((self.ip, 5060)).unwrap());
        let phone = site.neighbour.run(|| UdpSocket::bind((self.neighbour, 5060)).unwrap());
        phone.send_to(b"OPTIONS", (self.ip, 5060)).unwrap();
        server.set_read_timeout(Some(LONG)).unwrap();
        server.peek(&mut [0; 16]).unwrap();
        phone.set_read_timeout(Some(LONG)).unwrap();
        (server, phone)
    }
}

#[test]
fn without_its_local_route_the_vip_does_not_serve() {
    testnet::root_or_skip!();
    let site = Site::new();
    for case in cases(&site) {
        let (agent, host) = (&case.agent, &site.a);
        ends(&agent.action("start"), 0);
        ends(&recurring(agent), 0);
        case.lose_route(host);
        fails(&recurring(agent), 1, "the kernel accepts no packets for it");
        // What a stop that was killed leaves; also without a stop in between.
        ends(&agent.action("start"), 0);
        assert!(case.is_here(host) && case.has_route(host));
        ends(&recurring(agent), 0);
        case.lose_route(host);
        ends(&agent.action("stop"), 0);
        assert!(!case.is_here(host) && !case.has_route(host));
    }
}

/// The kernel adds that of an IPv6 address with `nodad` later than the address, and an address that another
/// program replaces lacks it for a moment.
#[test]
fn a_local_route_that_comes_late_is_waited_for() {
    testnet::root_or_skip!();
    let site = Site::new();
    for case in cases(&site) {
        ends(&case.agent.action("start"), 0);
        // A machine that stands still for a second shows nothing.
        let waited = (0..10).any(|_| {
            case.lose_route(&site.a);
            std::thread::scope(|scope| {
                let monitor = scope.spawn(|| recurring(&case.agent));
                std::thread::sleep(Duration::from_millis(200));
                case.add_route(&site.a);
                has_seen(&monitor.join().unwrap(), 0)
            })
        });
        assert!(waited, "monitor of {} has not waited", case.ip);
        // The reason for what has become of it meanwhile is the true one.
        let told = (0..10).any(|_| {
            ends(&case.agent.action("start"), 0);
            case.lose_route(&site.a);
            std::thread::scope(|scope| {
                let monitor = scope.spawn(|| recurring(&case.agent));
                std::thread::sleep(Duration::from_millis(200));
                site.a.ip(&format!("addr del {} dev eth0", case.written()));
                has_seen(&monitor.join().unwrap(), 7)
            })
        });
        assert!(told, "monitor of {} does not see that it has gone", case.ip);
        ends(&case.agent.action("stop"), 0);
    }
}

/// Whether monitor ended so. Otherwise it has seen the end of its patience before the change.
#[track_caller]
fn has_seen(monitor: &Outcome, code: i32) -> bool {
    if monitor.code != code {
        fails(monitor, 1, "the kernel accepts no packets for it");
    }
    monitor.code == code
}

/// start deletes no address that serves a moment later.
#[test]
fn start_waits_for_a_local_route_that_comes_late() {
    testnet::root_or_skip!();
    let site = Site::new();
    let [case, _] = cases(&site);
    let agent = case.agent.clone().param("announce", "none");
    ends(&agent.action("start"), 0);
    let capture = Capture::start(&site.a, "eth0");
    let probes =
        || capture.arp_frames().iter().filter(|arp| arp.sender_ip.is_unspecified()).count();
    // A machine that stands still for a second shows nothing.
    let waited = (0..10).any(|_| {
        let before = probes();
        case.lose_route(&site.a);
        std::thread::scope(|scope| {
            let start = scope.spawn(|| agent.action("start"));
            std::thread::sleep(Duration::from_millis(200));
            case.add_route(&site.a);
            ends(&start.join().unwrap(), 0);
        });
        // Before it adds an address it probes.
        probes() == before
    });
    assert!(waited, "start has deleted the VIP");
    ends(&agent.action("stop"), 0);
}

/// One for a transparent proxy, or that lets a standby send from the VIP.
#[test]
fn a_local_route_of_the_administrator_stays() {
    testnet::root_or_skip!();
    let site = Site::new();
    for case in cases(&site) {
        let agent = case.agent.clone().param("drain", "20ms");
        let route = format!("{} route add local {} dev lo table 100", case.option(), case.ip);
        site.a.ip(&route);
        let others = || site.a.ip(&format!("{} route show table 100", case.option()));
        let before = others();
        assert!(before.contains(&case.ip.to_string()), "{before}");
        ends(&agent.action("start"), 0);
        let _unread = case.server_with_a_request(&site);
        ends(&agent.action("stop"), 0);
        assert!(!case.is_here(&site.a) && !case.has_route(&site.a));
        assert_eq!(others(), before);
        // Also on a node without the VIP.
        ends(&agent.action("stop"), 0);
        assert_eq!(others(), before);
    }
}

#[test]
fn a_rule_of_the_administrator_hides_no_local_route() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().action("start"), 0);
    // The host's own packets to the VIP leave by the wire; what arrives for it is taken all the same.
    site.a.ip("rule add pref 100 lookup local");
    site.a.ip("rule del pref 0");
    site.a.ip("rule add pref 10 to 192.0.2.10 iif lo lookup main");
    assert!(!site.a.ip("route get 192.0.2.10").starts_with("local"));
    ends(&recurring(&site.vip()), 0);
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn what_was_received_is_read_before_the_address_goes() {
    testnet::root_or_skip!();
    let site = Site::new();
    for case in cases(&site) {
        // A machine that stands still for a second while stop waits shows nothing.
        let seen = (0..10).any(|_| is_answered_while_stop_waits(&site, &case));
        assert!(seen, "stop of {} has not waited", case.ip);
    }
}

/// The server reads and answers after the host has stopped receiving; false if stop had ended before.
fn is_answered_while_stop_waits(site: &Site, case: &Case) -> bool {
    let agent = case.agent.clone().param("drain", "1s");
    ends(&agent.action("start"), 0);
    let (server, phone) = case.server_with_a_request(site);
    let answered = std::thread::scope(|scope| {
        let stop = scope.spawn(|| agent.action("stop"));
        wait_until("nothing more is received", LONG, || !case.has_route(&site.a));
        let (length, from) = server.recv_from(&mut [0; 16]).unwrap();
        assert_eq!((length, from.ip()), (7, case.neighbour));
        let sent = case.is_here(&site.a) && server.send_to(b"200", from).is_ok();
        ends(&stop.join().unwrap(), 0);
        sent
    });
    assert!(!case.is_here(&site.a) && !case.has_route(&site.a));
    if answered {
        let (_, from) = phone.recv_from(&mut [0; 16]).unwrap();
        assert_eq!(from, SocketAddr::new(case.ip, 5060));
    }
    answered
}

#[test]
fn what_is_never_read_holds_no_stop() {
    testnet::root_or_skip!();
    let site = Site::new();
    for case in cases(&site) {
        for drain in ["0", "20ms", "a while"] {
            ends(&case.agent.action("start"), 0);
            let _unread = case.server_with_a_request(&site);
            ends(&case.agent.clone().param("drain", drain).action("stop"), 0);
            assert!(!case.is_here(&site.a) && !case.has_route(&site.a));
        }
    }
    let invalid = site.vip().param("drain", "2s");
    fails(&invalid.action("validate-all"), 6, "drain=2s: out of range");
}
