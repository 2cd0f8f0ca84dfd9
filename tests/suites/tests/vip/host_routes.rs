//! What the host had of its own before start is there after stop: IPv6 routes of the VIP's network, whatever
//! has added them. And the host's own connections never leave from the VIP.

use testnet::{Agent, Host};

use super::{Site, ends, plain, recurring, wait_until_ipv6_is_settled};

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
