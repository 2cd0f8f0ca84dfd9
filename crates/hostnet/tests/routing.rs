//! Routes and policy routing rules, deleted and restored, in network namespaces. The tests compare
//! what `ip` shows of all tables before and after.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::net::IpAddr;

use common::{LONG, drop_capabilities, soon};
use hostnet::{
    Capability, Error, Family, LinkIndex, Netlink, PacketMark, Route, RouteKind, RouteProtocol,
    RouteRecord, Rule, RuleAction, Scope, TABLE_MAIN,
};
use testnet::{Cable, Host, cable, wait_until};

fn two_hosts() -> (Host, Host, [Cable; 2]) {
    let (a, b) = (Host::new("a"), Host::new("b"));
    // No link-local addresses: their routes appear when duplicate address detection ends.
    a.sysctl("net/ipv6/conf/default/addr_gen_mode", "1");
    let cables = [
        cable((&a, "eth0", "02:00:00:00:00:0a"), (&b, "eth0", "02:00:00:00:00:0b")),
        cable((&a, "eth1", "02:00:00:00:01:0a"), (&b, "eth1", "02:00:00:00:01:0b")),
    ];
    for (interface, network) in [("eth0", "192.0.2"), ("eth1", "198.51.100")] {
        a.ip(&format!("addr add {network}.1/24 dev {interface}"));
        a.ip(&format!("addr add {network}.10/24 dev {interface}"));
    }
    a.ip("addr add 2001:db8::1/64 dev eth0 nodad");
    a.ip("addr add 2001:db8::10/64 dev eth0 nodad");
    a.ip("addr add 2001:db8:1::1/64 dev eth1 nodad");
    // The kernel adds these routes some time later; they must be in both pictures.
    let own = [
        "local 2001:db8::1 dev eth0",
        "local 2001:db8::10 dev eth0",
        "local 2001:db8:1::1 dev eth1",
        "multicast ff00::/8 dev eth0",
        "multicast ff00::/8 dev eth1",
    ];
    wait_until("IPv6 is ready", LONG, || {
        let routes = a.ip("route show table all") + &a.ip("-6 route show table all");
        own.iter().all(|route| routes.contains(route)) && !routes.contains("linkdown")
    });
    (a, b, cables)
}

/// Everything `ip` knows of routes and rules.
fn shown(host: &Host) -> [String; 4] {
    ["-d route show table all", "-d -6 route show table all", "-d rule", "-d -6 rule"]
        .map(|command| host.ip(command))
}

fn records(netlink: &Netlink, family: Family) -> Vec<RouteRecord> {
    netlink.route_records(family, None, soon()).unwrap()
}

#[test]
fn the_routes_of_one_link() {
    testnet::root_or_skip!();
    let (a, _b, _cables) = two_hosts();
    a.ip("route add default via 192.0.2.254");
    a.ip("route add 203.0.113.0/24 via 198.51.100.254");
    a.ip("-6 route add default via 2001:db8::fe dev eth0");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        for name in ["eth0", "eth1"] {
            let link = common::link(&netlink, name).index;
            for family in [Family::V4, Family::V6] {
                let mut expected = netlink.routes(family, TABLE_MAIN, soon()).unwrap();
                expected.retain(|route| route.link == Some(link));
                let routes = netlink.routes_by(family, TABLE_MAIN, link, soon()).unwrap();
                assert_eq!(routes, expected);
                assert!(routes.len() > 1 || name == "eth1", "{routes:?}");
            }
        }
    });
}

fn eth0(netlink: &Netlink) -> LinkIndex {
    common::link(netlink, "eth0").index
}

fn default_via(gateway: &str, link: LinkIndex) -> Route {
    let gateway: IpAddr = gateway.parse().unwrap();
    let everything = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    Route {
        destination: everything.parse().unwrap(),
        link: Some(link),
        gateway: Some(gateway),
        preferred_source: None,
        scope: Scope::Universe,
        table: TABLE_MAIN,
        protocol: RouteProtocol::OWN,
        kind: RouteKind::Unicast,
        metric: 0,
    }
}

const ODD_ROUTES: &[&str] = &[
    "default via 192.0.2.254 dev eth0 proto dhcp src 192.0.2.1 metric 100",
    "default via 198.51.100.254 dev eth1 proto static metric 200 mtu 1400 advmss 1360",
    "203.0.113.0/24 via 192.0.2.253",
    "203.0.113.0/24 via 192.0.2.252 metric 7 initcwnd 20 rto_min 40ms mtu lock 1300",
    "203.0.113.0/25 nexthop via 192.0.2.253 weight 3 nexthop via 198.51.100.253 dev eth1",
    "203.0.113.9 via 10.9.9.9 dev eth0 onlink",
    "203.0.113.128/25 nexthop via 10.9.9.9 dev eth0 onlink nexthop via 198.51.100.253",
    "203.0.113.10 dev eth1 scope link src 198.51.100.10 table 100",
    "default via 198.51.100.254 table 100 quickack 1 congctl reno",
    "203.0.113.11 via inet6 2001:db8::253 dev eth0",
    "203.0.113.12 dev eth0 tos 0x10 table 4000000",
    "blackhole 10.0.0.0/8",
    "unreachable 172.16.0.0/12 metric 4278198272 proto 42",
    "prohibit 192.168.0.0/16 table 100",
    "throw 192.168.1.0/24 table 100",
    "local 203.0.113.13 dev lo",
    "203.0.113.14 nhid 7",
    "203.0.113.15 nhid 9 metric 3",
    "-6 default via fe80::254 dev eth0 proto static metric 50 pref high",
    "-6 default via 2001:db8::254 mtu 1400 hoplimit 63",
    "-6 2001:db8:9::/48 nexthop via 2001:db8::253 weight 2 nexthop via 2001:db8:1::253",
    "-6 2001:db8:a::/48 from 2001:db8::/64 via 2001:db8::253",
    "-6 2001:db8:b::/48 via 2001:dead::1 dev eth0 onlink",
    "-6 2001:db8:c::/48 via 2001:db8::253 src 2001:db8::10 table 100",
    "-6 blackhole 2001:db8:d::/48",
    "-6 unreachable 2001:db8:e::/48 metric 5",
    "-6 2001:db8:f::/48 nhid 8",
];

fn odd_routes(a: &Host) {
    a.ip("nexthop add id 7 via 192.0.2.251 dev eth0");
    a.ip("nexthop add id 8 via 2001:db8::251 dev eth0");
    a.ip("nexthop add id 9 group 7");
    for route in ODD_ROUTES {
        match route.strip_prefix("-6 ") {
            Some(route) => a.ip(&format!("-6 route add {route}")),
            None => a.ip(&format!("route add {route}")),
        };
    }
    a.ip("rule add from 192.0.2.10 to 203.0.113.0/24 fwmark 0x5/0xff iif eth1 lookup 100");
    a.ip("rule add not from 192.0.2.11 ipproto udp sport 5060-5070 lookup 100 pref 5");
    a.ip("rule add from all tos 0x10 oif eth0 prohibit pref 6 protocol 42");
    a.ip("rule add lookup main suppress_prefixlength 0 pref 7");
    a.ip("rule add goto 32766 pref 8");
    a.ip("-6 rule add from 2001:db8::10 lookup 100 uidrange 1000-2000");
}

#[test]
fn every_route_can_be_deleted_and_restored() {
    testnet::root_or_skip!();
    let (a, _b, _cables) = two_hosts();
    odd_routes(&a);
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let before = shown(&a);
        let mut deleted = 0;
        for family in [Family::V4, Family::V6] {
            let all = records(&netlink, family);
            let ours: Vec<&RouteRecord> = all
                .iter()
                .filter(|record| record.route().protocol != RouteProtocol::Kernel)
                .collect();
            deleted += ours.len();
            for record in &ours {
                assert!(netlink.delete_route(record, soon()).unwrap(), "{}", record.route());
                assert!(!netlink.delete_route(record, soon()).unwrap(), "{}", record.route());
            }
            let left = records(&netlink, family);
            let kernel = |record: &RouteRecord| record.route().protocol == RouteProtocol::Kernel;
            assert!(left.iter().all(kernel), "{left:?}");
            for record in ours.iter().rev() {
                netlink.add_route(record, soon()).unwrap();
                let twice = netlink.add_route(record, soon());
                assert!(matches!(twice, Err(Error::RouteExists { .. })), "{twice:?}");
            }
        }
        assert_eq!(deleted, ODD_ROUTES.len());
        assert_eq!(shown(&a), before);
    });
}

/// Another source address without a change of existing routes.
#[test]
fn a_route_before_an_existing_one() {
    testnet::root_or_skip!();
    let (a, _b, _cables) = two_hosts();
    a.ip("route add default via 192.0.2.254 proto static mtu 1400");
    a.ip("-6 route add default via 2001:db8::254 mtu 1400");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let before = shown(&a);
        let default = |family| {
            let all = netlink.route_records(family, Some(TABLE_MAIN), soon()).unwrap();
            let is_default =
                |record: &RouteRecord| record.route().destination.prefix().length() == 0;
            all.into_iter().find(is_default).unwrap()
        };
        let source = |to: &str| {
            let said = a.ip(&format!("route get {to}"));
            let mut words = said.split_whitespace();
            words.find(|word| *word == "src").unwrap();
            words.next().unwrap().to_owned()
        };
        assert_eq!(source("203.0.113.9"), "192.0.2.1");
        let mine = default(Family::V4)
            .with_preferred_source("192.0.2.10".parse().unwrap())
            .with_protocol(RouteProtocol::OWN);
        netlink.prepend_route(&mine, soon()).unwrap();
        assert_eq!(source("203.0.113.9"), "192.0.2.10");
        assert!(a.ip("route show default").lines().all(|route| route.contains("mtu 1400")));
        assert!(matches!(netlink.prepend_route(&mine, soon()), Err(Error::RouteExists { .. })));

        let mine_v6 = default(Family::V6)
            .with_preferred_source("2001:db8::10".parse().unwrap())
            .with_protocol(RouteProtocol::OWN)
            .with_metric(default(Family::V6).route().metric - 1);
        netlink.add_route(&mine_v6, soon()).unwrap();
        assert_eq!(source("2001:db8:ffff::1"), "2001:db8::10");

        for record in [mine, mine_v6] {
            assert!(netlink.delete_route(&record, soon()).unwrap());
        }
        assert_eq!(source("203.0.113.9"), "192.0.2.1");
        assert_eq!(shown(&a), before);
    });
}

#[test]
fn a_table_for_the_vip() {
    testnet::root_or_skip!();
    let (a, _b, _cables) = two_hosts();
    odd_routes(&a);
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let before = shown(&a);
        let link = eth0(&netlink);
        for (vip, network, gateway) in [
            ("192.0.2.10", "192.0.2.0/24", "192.0.2.250"),
            ("2001:db8::10", "2001:db8::/64", "2001:db8::250"),
        ] {
            let vip: IpAddr = vip.parse().unwrap();
            let host = hostnet::Network::of(vip, hostnet::Prefix::host(Family::of(vip)));
            let rule = Rule::from_source(host, 1000, 4);
            let default = RouteRecord::new(&Route {
                table: 1000,
                preferred_source: Some(vip),
                ..default_via(gateway, link)
            });
            let connected = RouteRecord::new(&Route {
                destination: network.parse().unwrap(),
                gateway: None,
                scope: Scope::Link,
                ..default.route().clone()
            });
            netlink.add_route(&connected, soon()).unwrap();
            netlink.add_route(&default, soon()).unwrap();
            netlink.add_rule(&rule, soon()).unwrap();
            let twice = netlink.add_rule(&rule, soon());
            assert!(matches!(twice, Err(Error::RuleExists { .. })), "{twice:?}");

            let family = Family::of(vip);
            assert!(netlink.rules(family, soon()).unwrap().contains(&rule));
            let ours = netlink.routes(family, 1000, soon()).unwrap();
            assert_eq!(ours.len(), 2);
            assert!(ours.contains(default.route()) && ours.contains(connected.route()));
            let far = if vip.is_ipv4() { "203.0.113.99" } else { "2001:db8:ffff::1" };
            let way = a.ip(&format!("route get {far} from {vip}"));
            assert!(way.contains(gateway) && way.contains("table 1000"), "{way}");

            assert!(netlink.delete_rule(&rule, soon()).unwrap());
            assert!(!netlink.delete_rule(&rule, soon()).unwrap());
            assert!(netlink.delete_route(&default, soon()).unwrap());
            assert!(netlink.delete_route(&connected, soon()).unwrap());
        }
        assert_eq!(shown(&a), before);
    });
}

#[test]
fn a_gateway_that_no_network_contains() {
    testnet::root_or_skip!();
    let (a, _b, _cables) = two_hosts();
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        for gateway in ["10.9.9.9", "2001:dead::1"] {
            let record =
                RouteRecord::new(&Route { table: 1000, ..default_via(gateway, eth0(&netlink)) });
            let refused = netlink.add_route(&record, soon()).unwrap_err();
            assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
            let record = record.onlink();
            netlink.add_route(&record, soon()).unwrap();
            assert!(netlink.delete_route(&record, soon()).unwrap());
        }
    });
}

#[test]
fn all_rules_are_read() {
    testnet::root_or_skip!();
    let (a, _b, _cables) = two_hosts();
    odd_routes(&a);
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let rules = netlink.rules(Family::V4, soon()).unwrap();
        let at = |priority| rules.iter().find(|rule| rule.priority == priority).unwrap();
        assert_eq!(rules.len(), a.ip("rule").lines().count());
        assert_eq!(at(0).action, RuleAction::Lookup(255));
        assert_eq!(at(0).protocol, RouteProtocol::Kernel);
        assert!(at(32766).others.is_empty() && at(32766).from.is_none());
        let marked = at(32765);
        assert_eq!(marked.from.unwrap().to_string(), "192.0.2.10/32");
        assert_eq!(marked.to.unwrap().to_string(), "203.0.113.0/24");
        assert_eq!(marked.mark, Some(PacketMark { value: 5, mask: 0xff }));
        assert_eq!((marked.iif.as_deref(), marked.action), (Some("eth1"), RuleAction::Lookup(100)));
        assert!(at(5).inverted && !at(5).others.is_empty());
        assert_eq!((at(6).tos, at(6).oif.as_deref()), (0x10, Some("eth0")));
        assert_eq!(at(6).action, RuleAction::Prohibit);
        assert_eq!(at(6).protocol, RouteProtocol::Other(42));
        assert!(at(7).suppressed_prefix.is_some() && at(7).others.is_empty());
        assert_eq!(at(8).action, RuleAction::Other(2));

        // Each can be deleted, alone, and restored.
        let before = shown(&a);
        let all = [rules.clone(), netlink.rules(Family::V6, soon()).unwrap()].concat();
        for rule in all.iter().filter(|rule| rule.protocol != RouteProtocol::Kernel) {
            let count = netlink.rules(rule.family, soon()).unwrap().len();
            assert!(netlink.delete_rule(rule, soon()).unwrap(), "{rule}");
            assert_eq!(netlink.rules(rule.family, soon()).unwrap().len(), count - 1);
            netlink.add_rule(rule, soon()).unwrap();
            assert!(netlink.rules(rule.family, soon()).unwrap().contains(rule), "{rule}");
        }
        assert_eq!(shown(&a), before);
    });
}

#[test]
fn only_the_exact_one_is_deleted() {
    testnet::root_or_skip!();
    let (a, _b, _cables) = two_hosts();
    a.ip("route add default via 192.0.2.254 metric 100");
    a.ip("route add 203.0.113.0/24 via 192.0.2.254 src 192.0.2.10");
    a.ip("rule add from 192.0.2.10 lookup 100 pref 1000 protocol 176 ipproto udp");
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let before = shown(&a);
        let all = netlink.route_records(Family::V4, Some(TABLE_MAIN), soon()).unwrap();
        // To the kernel a metric of 0 matches any.
        let default = all.iter().find(|record| record.route().metric == 100).unwrap();
        assert!(!netlink.delete_route(&default.clone().with_metric(0), soon()).unwrap());
        // So does a missing source.
        let route = all.iter().find(|record| {
            record.route().preferred_source.is_some() && record.route().gateway.is_some()
        });
        let without = Route { preferred_source: None, ..route.unwrap().route().clone() };
        assert!(!netlink.delete_route(&RouteRecord::new(&without), soon()).unwrap());
        // And a missing selector of a rule.
        let rule = Rule::from_source("192.0.2.10/32".parse().unwrap(), 100, 1000);
        assert!(!netlink.delete_rule(&rule, soon()).unwrap());
        assert_eq!(shown(&a), before);
    });
}

#[test]
fn errors_name_their_condition() {
    testnet::root_or_skip!();
    let (a, _b, _cables) = two_hosts();
    a.run(|| {
        let netlink = Netlink::open().unwrap();
        let route = default_via("192.0.2.254", eth0(&netlink));
        let nowhere = Route {
            link: LinkIndex::new(4_000_000),
            gateway: None,
            scope: Scope::Link,
            ..route.clone()
        };
        let refused = netlink.add_route(&RouteRecord::new(&nowhere), soon()).unwrap_err();
        assert!(matches!(refused, Error::NoSuchLink { .. }), "{refused:?}");
        let source = Some("192.0.2.99".parse().unwrap());
        let foreign = Route { preferred_source: source, ..route.clone() };
        let refused = netlink.add_route(&RouteRecord::new(&foreign), soon()).unwrap_err();
        assert_eq!(refused.errno(), Some(nix::libc::EINVAL));
        assert!(refused.to_string().contains("src 192.0.2.99"), "{refused}");

        drop_capabilities();
        let netlink = Netlink::open().unwrap();
        let rule = Rule::from_source("192.0.2.10/32".parse().unwrap(), 100, 1000);
        for refused in [
            netlink.add_route(&RouteRecord::new(&route), soon()).unwrap_err(),
            netlink.add_rule(&rule, soon()).unwrap_err(),
        ] {
            let Error::PermissionDenied { capability, .. } = refused else { panic!("{refused:?}") };
            assert_eq!(capability, Capability::NetAdmin);
        }
        // Reading needs none.
        assert!(!netlink.rules(Family::V4, soon()).unwrap().is_empty());
        assert!(!records(&netlink, Family::V4).is_empty());
    });
}
