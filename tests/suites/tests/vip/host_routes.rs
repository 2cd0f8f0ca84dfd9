//! What the host had of its own before start is there after stop: IPv6 routes of the VIP's network, whatever
//! has added them. And the host's own connections never leave from the VIP.

use std::process::Command;

use testnet::{Agent, Host, wait_until};

use super::{
    LONG, Site, VIP, ends, fails, instances, plain, recurring, wait_until_ipv6_is_settled,
};

/// The IPv6 routes of the host, without what is left of their lifetimes.
fn routes(host: &Host) -> String {
    let listed = host.ip("-6 route show table all");
    let has_lifetime = |line: &str| line.contains(" expires ");
    let lines = listed.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let seconds = |word: &&&str| word.ends_with("sec") && has_lifetime(line);
        words.iter().filter(|word| !seconds(word)).copied().collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn vip(host: &Host, last: &str) -> Agent {
    let agent = plain(host).param("ip", format!("2001:db8::{last}"));
    agent.param("nic", "eth0").param("cidr_netmask", "64").param("announce", "none")
}

/// The networks of a host: by DHCPv6 and router advertisements, by an administrator, by NetworkManager.
const HOSTS: [(&str, &[&str]); 6] = [
    (
        "DHCPv6, router advertisements",
        &[
            "addr add 2001:db8::1/128 dev eth0 nodad",
            "-6 route add 2001:db8::/64 dev eth0 proto ra metric 256 expires 3000",
        ],
    ),
    (
        "a route of an administrator",
        &[
            "addr add 2001:db8::1/128 dev eth0 nodad",
            "-6 route add 2001:db8::/64 dev eth0 proto static metric 100",
        ],
    ),
    (
        "NetworkManager",
        &[
            "addr add 2001:db8::1/64 dev eth0 nodad noprefixroute",
            "-6 route add 2001:db8::/64 dev eth0 proto kernel metric 100",
        ],
    ),
    ("an address", &["addr add 2001:db8::1/64 dev eth0 nodad"]),
    (
        "an address and a route",
        &[
            "addr add 2001:db8::1/64 dev eth0 nodad",
            "-6 route add 2001:db8::/64 dev eth0 proto static metric 100",
        ],
    ),
    ("nothing", &[]),
];

#[test]
fn ipv6_routes_are_as_they_were() {
    testnet::root_or_skip!();
    for (name, commands) in HOSTS {
        let site = Site::new();
        wait_until_ipv6_is_settled(&site.a);
        for command in commands {
            site.a.ip(command);
        }
        wait_until_ipv6_is_settled(&site.a);
        let before = routes(&site.a);
        let (one, other) = (vip(&site.a, "10"), vip(&site.a, "11"));
        for agent in [&one, &other, &one] {
            ends(&agent.action("start"), 0);
            ends(&recurring(agent), 0);
        }
        assert!(routes(&site.a).contains("2001:db8::/64 dev eth0"), "{name}");
        for agent in [&one, &other, &one] {
            ends(&agent.action("stop"), 0);
        }
        assert_eq!(routes(&site.a), before, "{name}");
    }
}

/// What IPaddr2 has added, or what was there before the host's own network.
#[test]
fn ipv6_routes_stay_when_an_adopted_address_goes() {
    testnet::root_or_skip!();
    for (name, commands) in HOSTS.iter().filter(|(name, _)| !name.contains("router adv")) {
        let site = Site::new();
        wait_until_ipv6_is_settled(&site.a);
        let agent = vip(&site.a, "10");
        ends(&agent.action("start"), 0);
        for command in *commands {
            site.a.ip(command);
        }
        wait_until_ipv6_is_settled(&site.a);
        ends(&agent.action("stop"), 0);
        let after = routes(&site.a);
        let other = Site::new();
        wait_until_ipv6_is_settled(&other.a);
        for command in *commands {
            other.a.ip(command);
        }
        wait_until_ipv6_is_settled(&other.a);
        let only_global = |text: &str| {
            let lines = text.lines().filter(|line| line.contains("2001:db8:"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(only_global(&after), only_global(&routes(&other.a)), "{name}");
    }
}

/// The source address of the host's own packets.
fn source(host: &Host, destination: &str) -> String {
    let route = host.ip(&format!("-o route get {destination}"));
    let mut words = route.split_whitespace();
    words.find(|word| *word == "src").unwrap();
    words.next().unwrap().to_owned()
}

#[test]
fn the_hosts_own_ipv6_traffic_does_not_leave_from_the_vip() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    wait_until_ipv6_is_settled(&site.a);
    site.a.ip("-6 route add default via 2001:db8::99 dev eth0");
    let agent = vip(&site.a, "10");
    ends(&agent.action("start"), 0);
    for destination in ["2001:db8:5::1", "2001:db8::99", "2001:db8::11"] {
        assert_eq!(source(&site.a, destination), "2001:db8::1");
    }
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
    // Only who asks for it.
    for (name, value) in [("preferred_lft", "forever"), ("source_for", "::/0")] {
        let agent = agent.clone().param(name, value);
        ends(&agent.action("start"), 0);
        assert_eq!(source(&site.a, "2001:db8:5::1"), "2001:db8::10", "{name}");
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
    }
}

/// Each change of the VIP on a host, in the kernel's order.
struct AddressLog {
    watcher: std::process::Child,
    log: tempfile::NamedTempFile,
}

impl AddressLog {
    fn of(host: &Host) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut monitor = Command::new("ip");
        monitor.args(["-4", "-o", "monitor", "address"]).stdout(log.reopen().unwrap());
        let log = Self { watcher: host.spawn(&mut monitor), log };
        // It watches as soon as it shows a change.
        wait_until("ip monitor watches", LONG, || {
            host.ip("addr add 198.51.100.7/32 dev lo");
            host.ip("addr del 198.51.100.7/32 dev lo");
            !log.read().is_empty()
        });
        log
    }

    fn read(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap()
    }

    /// The least number of instances of the VIP, which is there once at first, after a last change that
    /// has this in it.
    fn least(&self, last: &str) -> i32 {
        wait_until("the last change is seen", LONG, || self.read().contains(last));
        let (mut now, mut least) = (1, 1);
        for line in self.read().lines().filter(|line| line.contains(&format!(" {VIP}/"))) {
            now += if line.starts_with("Deleted") { -1 } else { 1 };
            least = least.min(now);
        }
        least
    }
}

impl Drop for AddressLog {
    fn drop(&mut self) {
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

#[test]
fn the_hosts_own_ipv4_traffic_does_not_leave_from_the_vip() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.ip("route add default via 192.0.2.99 dev eth0");
    site.a.sysctl("net/ipv4/conf/eth0/promote_secondaries", "1");
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    let agent = agent.param("iflabel", "sip").param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    let before = site.a.ip("-4 route show table all");
    let line = site.a.ip(&format!("-4 -o addr show to {VIP}"));
    for action in ["monitor", "start"] {
        // As NetworkManager does when the connection is applied again.
        site.a.ip("addr del 192.0.2.1/24 dev eth0");
        site.a.ip("addr add 192.0.2.1/24 brd + dev eth0");
        assert_eq!(source(&site.a, "198.51.100.1"), VIP);
        // A probe changes nothing.
        fails(
            &agent.action("monitor"),
            190,
            "192.0.2.10 comes before this node's own address 192.0.2.1",
        );
        assert_eq!(source(&site.a, "198.51.100.1"), VIP);
        let log = AddressLog::of(&site.a);
        if action == "monitor" {
            ends(&recurring(&agent), 0);
        } else {
            ends(&agent.action("start"), 0);
        }
        for destination in ["198.51.100.1", "192.0.2.99"] {
            assert_eq!(source(&site.a, destination), "192.0.2.1", "{action}");
        }
        assert_eq!(log.least("Deleted 2: eth0"), 1, "{}", log.read());
        assert_eq!(instances(&site.a), ["eth0 192.0.2.10/24"]);
        assert_eq!(site.a.ip(&format!("-4 -o addr show to {VIP}")), line);
        assert_eq!(site.a.ip("-4 route show table all"), before);
        ends(&recurring(&agent), 0);
    }
    ends(&agent.action("stop"), 0);
}

/// Another VIP of this agent is no address of the host's own.
#[test]
fn two_vips_do_not_overtake_each_other() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agents = [VIP, "192.0.2.11"].map(|ip| {
        let agent = site.vip().param("ip", ip).param("nic", "eth0").param("cidr_netmask", "24");
        agent.param("announce_schedule", "0")
    });
    site.a.sysctl("net/ipv4/conf/eth0/promote_secondaries", "1");
    for agent in &agents {
        ends(&agent.action("start"), 0);
    }
    site.a.ip("addr del 192.0.2.1/24 dev eth0");
    let before = site.a.ip("-4 -d addr show dev eth0");
    for _ in 0..2 {
        for agent in &agents {
            ends(&recurring(agent), 0);
            ends(&agent.action("start"), 0);
        }
    }
    assert_eq!(site.a.ip("-4 -d addr show dev eth0"), before);
    for agent in &agents {
        ends(&agent.action("stop"), 0);
    }
}

#[test]
fn what_is_adopted_becomes_what_was_asked_for() {
    testnet::root_or_skip!();
    let site = Site::new();
    let shown = |ip: &str| site.a.ip(&format!("-o addr show to {ip}"));
    let agent = site.vip().param("announce_schedule", "0");
    ends(&agent.action("start"), 0);
    // Somebody gives it an end.
    site.a.ip(&format!("addr change {VIP}/24 dev eth0 valid_lft 600 preferred_lft 600"));
    assert!(shown(VIP).contains("valid_lft 6"), "{}", shown(VIP));
    ends(&agent.action("start"), 0);
    assert!(shown(VIP).contains("valid_lft forever preferred_lft forever"), "{}", shown(VIP));
    let labelled = agent.param("iflabel", "sip").param("broadcast", "192.0.2.127");
    ends(&labelled.action("start"), 0);
    let line = shown(VIP);
    assert!(line.contains("brd 192.0.2.127 ") && line.contains(" eth0:sip"), "{line}");
    assert_eq!(instances(&site.a), ["eth0 192.0.2.10/24"]);
    assert_eq!(source(&site.a, "192.0.2.99"), "192.0.2.1");
    ends(&recurring(&labelled), 0);
    ends(&labelled.action("stop"), 0);
    // IPv6, by IPaddr2 or by hand.
    site.a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    wait_until_ipv6_is_settled(&site.a);
    let agent = vip(&site.a, "10");
    ends(&agent.action("start"), 0);
    let change = "addr change 2001:db8::10/64 dev eth0 nodad valid_lft 600 preferred_lft 600";
    site.a.ip(change);
    ends(&agent.action("start"), 0);
    let line = shown("2001:db8::10");
    assert!(line.contains("valid_lft forever preferred_lft 0sec"), "{line}");
    assert_eq!(source(&site.a, "2001:db8::99"), "2001:db8::1");
    ends(&recurring(&agent), 0);
    ends(&agent.action("stop"), 0);
}
