use super::*;
use crate::testing::fixtures::{connected, link, params};

fn via(destination: &str, gateway: &str, metric: u32) -> Route {
    Route {
        gateway: gateway.parse().ok(),
        scope: Scope::Universe,
        protocol: RouteProtocol::Static,
        metric,
        ..connected(2, destination, None)
    }
}

fn shown(given: &[(&str, &str)], routes: &[Route], prefix: u8) -> Result<Vec<String>, String> {
    let params = params(given);
    let tables =
        Tables { routes: routes.iter().map(RouteRecord::new).collect(), rules: Vec::new() };
    let prefix = Prefix::new(params.family(), prefix).unwrap();
    let link = LinkIndex::new(2).unwrap();
    let wanted = wanted(&params, link, prefix, &tables).map_err(|error| error.to_string())?;
    let names = LinkNames::of([&self::link(2, "eth0")]);
    assert_eq!(wanted.missing(&tables, &names).is_none(), wanted == Wanted::default());
    let routes = wanted.routes.iter().map(|record| names.route(record.route()));
    Ok(routes.chain(wanted.rules.iter().map(ToString::to_string)).collect())
}

#[test]
fn a_table_for_the_gateway() {
    let given = [("gateway", "192.0.2.254"), ("route_table", "100")];
    let default = "0.0.0.0/0 via 192.0.2.254 dev eth0 table 100 src 192.0.2.10";
    let main = "17599: from 192.0.2.10/32 lookup main suppress_prefixlength 0";
    let rule = "17600: from 192.0.2.10/32 lookup 100";
    let network = "192.0.2.0/24 dev eth0 table 100 src 192.0.2.10";
    assert_eq!(shown(&given, &[], 24).unwrap(), [network, default, main, rule]);
    assert_eq!(shown(&given, &[], 32).unwrap(), [default, main, rule]);
    let chosen = |ip: &str| first_table(ip.parse().unwrap());
    assert_eq!(chosen("192.0.2.10"), FIRST_TABLE + 0x02_0a);
    assert_eq!(chosen("2001:db8::ab:cdef"), FIRST_TABLE + 0x00ab_cdef);
}

#[test]
fn a_table_that_is_in_use() {
    let of = |ip: &str| {
        params(&[("ip", ip), ("nic", "eth0"), ("cidr_netmask", "24"), ("gateway", "10.1.2.1")])
    };
    let (one, other) = (of("10.1.2.3"), of("192.1.2.3"));
    let number = table(&one, &Tables::default()).unwrap();
    assert_eq!(table(&other, &Tables::default()).unwrap(), number, "they collide");
    let route = |table, source: &str, protocol| {
        let source = source.parse().ok();
        let route = via("0.0.0.0/0", "10.1.2.1", 0);
        RouteRecord::new(&Route { table, preferred_source: source, protocol, ..route })
    };
    let rule = |ip: &str, table| Rule::from_source(host(ip.parse().unwrap()), table, PRIORITY);
    let with_one = Tables {
        rules: vec![rule("10.1.2.3", number)],
        routes: vec![route(number, "10.1.2.3", RouteProtocol::OWN)],
    };
    assert_eq!(table(&one, &with_one).unwrap(), number);
    assert_eq!(table(&other, &with_one).unwrap(), number + 1);
    // The choice stays when the other VIP is removed.
    let with_other = Tables { rules: vec![rule("192.1.2.3", number + 1)], routes: vec![] };
    assert_eq!(table(&other, &with_other).unwrap(), number + 1);
    // A number that was set is not changed.
    let given = |table: u32| Params { route_table: Some(table), ..of("192.1.2.3") };
    let shared = table(&given(number), &with_one).unwrap_err().to_string();
    assert!(shared.contains("is the table of the VIP 10.1.2.3"), "{shared}");
    let foreign = Tables { routes: vec![route(100, "", RouteProtocol::Dhcp)], ..Tables::default() };
    let foreign = table(&given(100), &foreign).unwrap_err().to_string();
    assert!(foreign.contains("of a DHCP client"), "{foreign}");
    assert_eq!(table(&given(100), &with_one), Ok(100));
}

#[test]
fn the_source_of_a_route() {
    let given = |destination| [("source_for", destination)];
    let routes = [
        via("0.0.0.0/0", "192.0.2.254", 100),
        via("0.0.0.0/0", "192.0.2.253", 50),
        via("203.0.113.0/24", "192.0.2.99", 7),
    ];
    let default = "0.0.0.0/0 via 192.0.2.253 dev eth0 src 192.0.2.10 metric 50";
    assert_eq!(shown(&given("0.0.0.0/0"), &routes, 24).unwrap(), [default]);
    let part = "203.0.113.128/25 via 192.0.2.99 dev eth0 src 192.0.2.10";
    assert_eq!(shown(&given("203.0.113.128/25"), &routes, 24).unwrap(), [part]);
    let none = shown(&given("203.0.113.0/24"), &[], 24).unwrap_err();
    assert!(none.contains("has no route in the main table"), "{none}");
    // An administrator has set that source.
    let source = "192.0.2.10".parse().ok();
    let by_hand = Route { preferred_source: source, ..via("0.0.0.0/0", "192.0.2.254", 0) };
    assert_eq!(shown(&given("0.0.0.0/0"), &[by_hand], 24).unwrap(), Vec::<String>::new());
}

#[test]
fn an_ipv6_copy_has_a_lower_metric() {
    let given = [("ip", "2001:db8::10"), ("source_for", "::/0")];
    let routes = |metric| [via("::/0", "fe80::1", metric)];
    assert_eq!(
        shown(&given, &routes(1024), 64).unwrap(),
        ["::/0 via fe80::1 dev eth0 src 2001:db8::10 metric 1023"]
    );
    assert!(shown(&given, &routes(1), 64).unwrap_err().contains("none is free"));
    // Below that of another VIP; it stays when the other VIP is removed.
    let copy = |ip: &str, metric| Route {
        preferred_source: ip.parse().ok(),
        protocol: RouteProtocol::OWN,
        ..via("::/0", "fe80::1", metric)
    };
    let wanted = |there: &[Route]| {
        let routes = [&routes(1024), there].concat().iter().map(RouteRecord::new).collect();
        let tables = Tables { routes, rules: Vec::new() };
        let ip = "2001:db8::10".parse().unwrap();
        free_metric(ip, "::/0".parse().unwrap(), 1024, &tables).unwrap()
    };
    assert_eq!(wanted(&[copy("2001:db8::11", 1023)]), 1022);
    assert_eq!(wanted(&[copy("2001:db8::10", 1022)]), 1022);
    assert_eq!(wanted(&[copy("2001:db8::10", 1023), copy("2001:db8::11", 1022)]), 1023);
    // One that the kernel would not prefer to the original.
    assert_eq!(wanted(&[copy("2001:db8::10", 2000)]), 1023);
    // In another table, and to another destination.
    assert_eq!(wanted(&[Route { table: 100, ..copy("2001:db8::11", 1023) }]), 1023);
    let destination = "2001:db8:1::/48".parse().unwrap();
    assert_eq!(wanted(&[Route { destination, ..copy("2001:db8::11", 1023) }]), 1023);
}

#[test]
fn rules_and_routes_of_others_do_not_count() {
    let ip: IpAddr = "192.0.2.10".parse().unwrap();
    let own = |source: Option<&str>, protocol| {
        let source = source.and_then(|source| source.parse().ok());
        let route = via("0.0.0.0/0", "192.0.2.254", 0);
        RouteRecord::new(&Route { preferred_source: source, protocol, ..route })
    };
    let tables = Tables {
        routes: vec![
            own(Some("192.0.2.10"), RouteProtocol::OWN),
            own(None, RouteProtocol::OWN),
            // The kernel deletes what has lost its source.
            RouteRecord::new(&Route {
                table: first_table(ip),
                ..own(None, RouteProtocol::OWN).route().clone()
            }),
            own(Some("192.0.2.11"), RouteProtocol::OWN),
            own(Some("192.0.2.10"), RouteProtocol::Static),
        ],
        rules: vec![
            Rule::from_source(host(ip), 100, PRIORITY),
            Rule::from_source(host("192.0.2.11".parse().unwrap()), 100, PRIORITY),
            Rule { protocol: RouteProtocol::Static, ..Rule::from_source(host(ip), 100, PRIORITY) },
        ],
    };
    let everything = [everywhere(Family::V4)];
    let found: Vec<_> = own_routes(ip, &everything, &tables).collect();
    assert_eq!(found, [&tables.routes[0]]);
    assert_eq!(own_rules(ip, &tables).count(), 1);
}

#[test]
fn orphans_have_lost_their_source() {
    let ip: IpAddr = "2001:db8::10".parse().unwrap();
    let orphan = |table, metric| {
        let protocol = RouteProtocol::OWN;
        RouteRecord::new(&Route { protocol, table, ..via("::/0", "fe80::1", metric) })
    };
    let original = RouteRecord::new(&via("::/0", "fe80::1", 300));
    let elsewhere = Rule::from_source(host("2001:db8::11".parse().unwrap()), 100, PRIORITY);
    let own = Rule::from_source(host(ip), 200, PRIORITY);
    let tables = Tables {
        routes: vec![
            original,
            orphan(TABLE_MAIN, 299),
            orphan(TABLE_MAIN, 301),
            orphan(100, 1024),
            orphan(200, 1024),
            orphan(first_table(ip), 1024),
        ],
        rules: vec![elsewhere, own],
    };
    let found = |source_for: &[Network]| {
        own_routes(ip, source_for, &tables)
            .map(|record| (record.route().table, record.route().metric))
            .collect::<Vec<_>>()
    };
    let in_tables = [(200, 1024), (first_table(ip), 1024)];
    assert_eq!(found(&[]), in_tables);
    let with_copy = [&[(TABLE_MAIN, 299)][..], &in_tables].concat();
    assert_eq!(found(&[everywhere(Family::V6)]), with_copy);
}

/// This kernel has no VRF: only the refusal was tried.
#[test]
fn there_is_no_source_routing_in_a_vrf() {
    let address = crate::testing::fixtures::address(2, "192.0.2.10/24");
    let address = hostnet::NewAddress::new(address.link, address.ip, address.prefix);
    let eth0 = Link { controller_kind: Some("vrf".to_owned()), ..link(2, "eth0") };
    let target = Target { link: eth0, address };
    let tables = Tables {
        routes: vec![RouteRecord::new(&via("0.0.0.0/0", "192.0.2.1", 0))],
        rules: Vec::new(),
    };
    for asked in [("gateway", "192.0.2.1"), ("source_for", "0.0.0.0/0")] {
        let reason = check(&params(&[asked]), &target, &tables).unwrap_err().to_string();
        assert!(reason.starts_with("eth0 is in a VRF, where gateway and source_for"), "{reason}");
    }
}

#[test]
fn a_gateway_is_a_host_on_the_link() {
    let judged = |vip: &str, gateway: &str, routes: &[Route]| {
        let (ip, _) = vip.split_once('/').unwrap();
        let params = params(&[("ip", ip), ("nic", "eth0"), ("gateway", gateway)]);
        let address = crate::testing::fixtures::address(2, vip);
        let address = hostnet::NewAddress::new(address.link, address.ip, address.prefix);
        let target = Target { link: link(2, "eth0"), address };
        let routes = routes.iter().map(RouteRecord::new).collect();
        check(&params, &target, &Tables { routes, rules: Vec::new() }).map_err(|it| it.to_string())
    };
    let network = |link, network| connected(link, network, None);
    assert_eq!(judged("192.0.2.10/24", "192.0.2.254", &[]), Ok(()));
    assert_eq!(judged("192.0.2.10/32", "192.0.2.254", &[network(2, "192.0.2.0/24")]), Ok(()));
    // As some clouds have it.
    let only_gateway = [network(2, "203.0.113.1/32")];
    assert_eq!(judged("192.0.2.10/32", "203.0.113.1", &only_gateway), Ok(()));
    let on_link = [via("0.0.0.0/0", "203.0.113.1", 0)];
    assert_eq!(judged("192.0.2.10/32", "203.0.113.1", &on_link), Ok(()));
    assert_eq!(judged("2001:db8::10/64", "fe80::1", &[]), Ok(()));
    assert_eq!(judged("2001:db8::10/64", "2001:db8::", &[]), Ok(()));
    let off = Err("gateway=203.0.113.1 is in no network of eth0: set gateway to a router there");
    for routes in [
        vec![],
        vec![network(3, "203.0.113.0/24"), via("203.0.113.0/24", "192.0.2.1", 0)],
        vec![network(2, "0.0.0.0/0")],
    ] {
        let judged = judged("192.0.2.10/24", "203.0.113.1", &routes);
        assert_eq!(judged.as_ref().map_err(String::as_str), off.map(|(): ()| &()), "{routes:?}");
    }
    for gateway in ["192.0.2.0", "192.0.2.255"] {
        let reason = judged("192.0.2.10/24", gateway, &[]).unwrap_err();
        assert!(reason.contains("network or broadcast address of 192.0.2.0/24"), "{reason}");
        let routes = [network(2, "192.0.2.0/24")];
        assert!(judged("192.0.2.10/32", gateway, &routes).is_err());
    }
    assert_eq!(judged("192.0.2.10/31", "192.0.2.11", &[]), Ok(()));
}

#[test]
fn what_asks_for_source_routing() {
    let asked = |given: &[(&str, &str)]| is_asked_for(&params(given));
    assert!(!asked(&[]));
    assert!(asked(&[("gateway", "192.0.2.254")]));
    assert!(asked(&[("source_for", "203.0.113.0/24")]));
}

#[test]
fn rules_that_use_a_table() {
    let given = [("nic", "eth0"), ("cidr_netmask", "24"), ("gateway", "192.0.2.254")];
    let (chosen, set) = (params(&given), params(&[&given[..], &[("route_table", "100")]].concat()));
    let rule = |ip: &str, table| Rule::from_source(host(ip.parse().unwrap()), table, PRIORITY);
    let by_hand = |table| Rule { protocol: RouteProtocol::Static, ..rule("198.51.100.1", table) };
    let with = |rules: Vec<Rule>| Tables { rules, routes: Vec::new() };
    // The table of another VIP that has no route yet.
    let other = table(&set, &with(vec![rule("192.0.2.11", 100)])).unwrap_err().to_string();
    assert!(other.contains("is used by the rule of another VIP"), "{other}");
    // An administrator may lead others to the table that is set, and not to one that is chosen.
    assert_eq!(table(&set, &with(vec![by_hand(100)])), Ok(100));
    let first = first_table(chosen.ip);
    assert_eq!(table(&chosen, &with(vec![by_hand(first)])), Ok(first + 1));
    assert_eq!(table(&chosen, &with(vec![by_hand(first + 1)])), Ok(first));
    // Its own rule makes a table the VIP's, and no other one.
    let route =
        Route { table: 100, protocol: RouteProtocol::Dhcp, ..via("0.0.0.0/0", "192.0.2.1", 0) };
    let in_use = |own: u32| Tables {
        rules: vec![rule("192.0.2.10", own)],
        routes: vec![RouteRecord::new(&route)],
    };
    assert_eq!(table(&set, &in_use(100)), Ok(100));
    assert!(table(&set, &in_use(200)).is_err());
}

#[test]
fn a_route_that_comes_with_the_address_is_not_missed() {
    let address = crate::testing::fixtures::address(2, "192.0.2.10/24");
    let address = hostnet::NewAddress::new(address.link, address.ip, address.prefix);
    let target = Target { link: link(2, "eth0"), address };
    let judged =
        |source_for| check(&params(&[("source_for", source_for)]), &target, &Tables::default());
    assert_eq!(judged("192.0.2.0/24"), Ok(()));
    assert!(matches!(judged("203.0.113.0/24"), Err(NoRoute::Destination { .. })));
}

#[test]
fn only_routes_that_carry_every_packet_have_a_source() {
    let ip: IpAddr = "192.0.2.10".parse().unwrap();
    let of = |destination: &str, routes: &[Route]| {
        let routes = routes.iter().map(RouteRecord::new).collect();
        let tables = Tables { routes, rules: Vec::new() };
        with_source(ip, destination.parse().unwrap(), &tables)
            .map(|found| found.map(|record| record.route().clone()))
    };
    let usual = via("203.0.113.0/24", "192.0.2.99", 7);
    let other_network = via("198.51.100.0/24", "192.0.2.98", 1);
    let part = of("203.0.113.128/25", &[other_network, usual.clone()]).unwrap().unwrap();
    assert_eq!((part.gateway, part.protocol), (usual.gateway, RouteProtocol::OWN));
    for route in [
        Route { table: 100, ..usual.clone() },
        Route { protocol: RouteProtocol::OWN, ..usual.clone() },
        Route { kind: RouteKind::Other(6), ..usual.clone() },
    ] {
        for destination in ["203.0.113.0/24", "203.0.113.128/25"] {
            let found = of(destination, std::slice::from_ref(&route));
            assert!(matches!(found, Err(NoRoute::Destination { .. })), "{route:?}: {found:?}");
        }
    }
}

#[test]
fn what_is_no_orphan() {
    let ip: IpAddr = "2001:db8::10".parse().unwrap();
    let wide = || via("::/0", "fe80::1", 300);
    let is_orphan = |orphan: Route, original: Route| {
        let orphan = Route { protocol: RouteProtocol::OWN, ..orphan };
        let source_for = [orphan.destination];
        let routes = [original, orphan].iter().map(RouteRecord::new).collect();
        own_routes(ip, &source_for, &Tables { routes, rules: Vec::new() }).count() == 1
    };
    let copy = |destination| via(destination, "fe80::1", 299);
    let part = || via("2001:db8:1::/48", "fe80::1", PART_BELOW - 1);
    assert!(is_orphan(copy("::/0"), wide()));
    assert!(is_orphan(part(), wide()));
    let (gateway, link) = ("fe80::2".parse().ok(), LinkIndex::new(3));
    for orphan in [
        Route { gateway, ..copy("::/0") },
        Route { link, ..copy("::/0") },
        Route { table: 100, ..copy("::/0") },
        Route { kind: RouteKind::Other(6), ..copy("::/0") },
        Route { metric: 300, ..copy("::/0") },
        Route { metric: PART_BELOW, ..part() },
    ] {
        assert!(!is_orphan(orphan.clone(), wide()), "{orphan:?}");
    }
    // Copies of a multipath route have its next hops.
    assert!(!is_orphan(Route { link: None, ..copy("::/0") }, Route { link: None, ..wide() }));
    // The original is a part of it, or elsewhere.
    let whole = Route { metric: PART_BELOW - 1, ..copy("2001:db8::/32") };
    assert!(!is_orphan(whole, via("2001:db8::/48", "fe80::1", 300)));
    assert!(!is_orphan(part(), via("2001:db8:2::/48", "fe80::1", 300)));
}

#[test]
fn what_is_missing_is_told() {
    let given = params(&[("gateway", "192.0.2.254"), ("route_table", "100")]);
    let (link, prefix) = (LinkIndex::new(2).unwrap(), Prefix::new(Family::V4, 24).unwrap());
    let wanted = wanted(&given, link, prefix, &Tables::default()).unwrap();
    let names = LinkNames::of([&self::link(2, "eth0")]);
    let missing = |tables: &Tables| wanted.missing(tables, &names);
    let mut tables = Tables { routes: wanted.routes.clone(), rules: wanted.rules.clone() };
    assert_eq!(missing(&tables), None);
    let rule = tables.rules.remove(0);
    assert_eq!(missing(&tables), Some(format!("rule {rule}")));
    let route = tables.routes.remove(0);
    assert_eq!(missing(&tables), Some(format!("route {}", names.route(route.route()))));
    // A route with another next hop is another one.
    assert!(wanted.has_route(&route));
    let other = Route { gateway: "192.0.2.1".parse().ok(), ..route.route().clone() };
    assert!(!wanted.has_route(&RouteRecord::new(&other)));
}
