use super::*;
use crate::testing::fixtures::{address, connected, link, lo, params};
use hostnet::Scope;
use std::net::Ipv4Addr;

fn host() -> Snapshot {
    Snapshot {
        links: vec![lo(), link(2, "eth0"), link(3, "eth1")],
        addresses: vec![address(2, "192.0.2.1/24"), address(3, "198.51.100.1/24")],
        routes: vec![
            connected(2, "192.0.2.0/24", Some("192.0.2.1")),
            connected(3, "198.51.100.0/24", Some("198.51.100.1")),
        ],
        ..Snapshot::default()
    }
}

fn found(given: &[(&str, &str)], host: &Snapshot) -> Result<(String, u8), String> {
    choose(&params(given), host)
        .map(|target| (target.link.name.to_string(), target.address.prefix.length()))
        .map_err(|refusal| refusal.to_string())
}

#[test]
fn from_the_connected_network() {
    let target = choose(&params(&[]), &host()).unwrap();
    assert_eq!((target.link.name.as_str(), target.address.prefix.length()), ("eth0", 24));
    assert_eq!(target.address.broadcast, Some(Ipv4Addr::new(192, 0, 2, 255)));
    assert_eq!(target.address.label, None);
}

#[test]
fn parameters_win() {
    let named = |nic| found(&[("nic", nic), ("cidr_netmask", "32")], &host());
    assert_eq!(named("eth1"), Ok(("eth1".to_owned(), 32)));
    assert_eq!(named("enp3s0"), Ok(("eth1".to_owned(), 32)));
    assert_eq!(named("lo"), Ok(("lo".to_owned(), 32)));
    assert_eq!(found(&[("cidr_netmask", "32")], &host()), Ok(("eth0".to_owned(), 32)));
    assert_eq!(found(&[("nic", "eth0")], &host()), Ok(("eth0".to_owned(), 24)));
}

#[test]
fn the_most_specific_network_then_the_lowest_metric() {
    let mut host = host();
    host.routes.push(connected(3, "192.0.2.0/25", None));
    assert_eq!(found(&[], &host), Ok(("eth1".to_owned(), 25)));
    host.routes.push(connected(3, "192.0.2.0/28", None));
    assert_eq!(found(&[], &host), Ok(("eth1".to_owned(), 28)));
    assert_eq!(found(&[("nic", "eth0")], &host), Ok(("eth0".to_owned(), 24)));
    host.routes.push(Route { metric: 100, ..connected(2, "192.0.2.0/28", None) });
    assert_eq!(found(&[], &host), Ok(("eth1".to_owned(), 28)));
    host.routes.push(connected(2, "192.0.2.8/29", None));
    assert_eq!(found(&[], &host), Ok(("eth0".to_owned(), 29)));
}

#[test]
fn two_equal_links_are_ambiguous() {
    let mut host = host();
    host.routes.push(connected(3, "192.0.2.0/24", None));
    assert_eq!(
        found(&[], &host),
        Err("192.0.2.0/24 is connected to both eth0 and eth1: set nic".to_owned())
    );
    assert_eq!(found(&[("nic", "eth1")], &host), Ok(("eth1".to_owned(), 24)));
    // Two addresses of the network on one link are not ambiguous.
    host.routes.pop();
    host.routes.push(connected(2, "192.0.2.0/24", Some("192.0.2.2")));
    assert_eq!(found(&[], &host), Ok(("eth0".to_owned(), 24)));
}

#[test]
fn a_link_that_is_down_still_has_its_addresses() {
    let host = Snapshot { routes: Vec::new(), ..host() };
    assert_eq!(found(&[], &host), Ok(("eth0".to_owned(), 24)));
}

#[test]
fn the_route_of_the_vip_itself_does_not_count() {
    let host = Snapshot {
        addresses: vec![address(2, "192.0.2.10/24")],
        routes: vec![connected(2, "192.0.2.0/24", Some("192.0.2.10"))],
        ..host()
    };
    assert!(found(&[], &host).is_err());
    // A route of a router advertisement is none of the address.
    let ip = [("ip", "2001:db8::10")];
    let advertised = |protocol| Snapshot {
        addresses: vec![address(2, "2001:db8::10/64")],
        routes: vec![Route { protocol, ..connected(2, "2001:db8::/64", None) }],
        ..host.clone()
    };
    let protocol = RouteProtocol::RouterAdvertisement;
    assert_eq!(found(&ip, &advertised(protocol)), Ok(("eth0".to_owned(), 64)));
    assert!(found(&ip, &advertised(RouteProtocol::Kernel)).is_err());
}

#[test]
fn what_is_asked_for_of_the_address() {
    let chosen = |given: &[(&str, &str)]| choose(&params(given), &host()).unwrap().address;
    let broadcast = |text: &str| text.parse::<Ipv4Addr>().ok();
    assert_eq!(chosen(&[]).broadcast, broadcast("192.0.2.255"));
    assert_eq!(chosen(&[("broadcast", "-")]).broadcast, broadcast("192.0.2.0"));
    assert_eq!(chosen(&[("broadcast", "192.0.2.127")]).broadcast, broadcast("192.0.2.127"));
}

/// They are not asked for by a parameter, and a change would take the address away for a moment.
#[test]
fn what_an_adopted_address_keeps() {
    let mut exact = address(2, "192.0.2.10/24");
    exact.scope = Scope::Link;
    (exact.flags.noprefixroute, exact.flags.nodad) = (true, true);
    let kept = adopted(&params(&[]), &link(2, "eth0"), &exact).address;
    assert_eq!((kept.scope, kept.noprefixroute, kept.nodad), (Scope::Link, true, true));
    let usual = adopted(&params(&[]), &link(2, "eth0"), &address(2, "192.0.2.10/24")).address;
    assert_eq!((usual.scope, usual.noprefixroute, usual.nodad), (Scope::Universe, false, false));
}

#[test]
fn nic_by_mac_and_by_network() {
    let named = |nic| found(&[("nic", nic)], &host());
    assert_eq!(named("02:00:00:00:00:02"), Ok(("eth0".to_owned(), 24)));
    assert_eq!(named("192.0.2.0/24"), Ok(("eth0".to_owned(), 24)));
    assert_eq!(
        found(&[("nic", "198.51.100.0/24"), ("cidr_netmask", "32")], &host()),
        Ok(("eth1".to_owned(), 32))
    );
    let missing = named("02:00:00:00:00:09").unwrap_err();
    assert_eq!(
        missing,
        "nic=02:00:00:00:00:09 does not exist on this node: set nic to a name that ip link lists"
    );
    let several = named("192.0.0.0/3").unwrap_err();
    assert!(several.contains("matches several interfaces (eth0, eth1)"), "{several}");
    // The VIP's own address does not count.
    let mut host = host();
    host.addresses.push(address(3, "192.0.2.10/24"));
    assert_eq!(found(&[("nic", "192.0.2.0/24")], &host), Ok(("eth0".to_owned(), 24)));
}

#[test]
fn ipv6_takes_the_prefix_of_its_network() {
    let route = |link, network| Route { scope: Scope::Universe, ..connected(link, network, None) };
    let host = Snapshot {
        links: vec![lo(), link(2, "eth0"), link(3, "eth1")],
        addresses: vec![address(2, "2001:db8::1/64"), address(2, "fe80::2/64")],
        routes: vec![
            route(2, "2001:db8::/64"),
            route(2, "fe80::/64"),
            route(3, "fe80::/64"),
            route(2, "2001:db8::1/128"),
        ],
        ..Snapshot::default()
    };
    let found = |given: &[(&str, &str)]| found(given, &host);
    assert_eq!(found(&[("ip", "2001:DB8:0::10")]), Ok(("eth0".to_owned(), 64)));
    assert_eq!(found(&[("ip", "fe80::10"), ("nic", "eth1")]), Ok(("eth1".to_owned(), 64)));
    assert!(found(&[("ip", "2001:db8:1::10")]).is_err());
    let target = choose(&params(&[("ip", "2001:db8::10")]), &host).unwrap();
    assert_eq!((target.address.broadcast, target.address.nodad), (None, false));

    // A route that exists only for the VIP.
    let alone = Snapshot {
        addresses: vec![address(2, "2001:db8::10/64"), address(2, "fe80::2/64")],
        ..host.clone()
    };
    assert!(choose(&params(&[("ip", "2001:db8::10")]), &alone).is_err());
}

#[test]
fn refusals() {
    let elsewhere = Snapshot {
        routes: vec![
            connected(2, "203.0.113.0/24", None),
            connected(2, "0.0.0.0/0", None),
            Route { gateway: "203.0.113.1".parse().ok(), ..connected(2, "192.0.2.0/24", None) },
            Route { table: 100, ..connected(2, "192.0.2.0/24", None) },
        ],
        addresses: vec![address(2, "203.0.113.7/24")],
        ..host()
    };
    let refused = |given: &[(&str, &str)], host: &Snapshot| found(given, host).unwrap_err();
    assert!(refused(&[], &elsewhere).starts_with("no connected network of this node contains"));
    assert!(refused(&[("nic", "eth0")], &elsewhere).contains("to eth0 contains 192.0.2.10"));
    assert_eq!(
        refused(&[("nic", "eth7")], &host()),
        "nic=eth7 does not exist on this node: set nic to a name that ip link lists"
    );
    assert!(
        refused(&[("nic", "eth0"), ("iflabel", "eleven-byte")], &host())
            .contains("eth0:eleven-byte is longer than 15 bytes")
    );
    let mut host = host();
    host.routes.push(connected(2, "192.0.2.8/30", None));
    let broadcast = params(&[("ip", "192.0.2.11")]);
    assert!(matches!(choose(&broadcast, &host), Err(Refusal::BroadcastAddress { .. })));
}

#[test]
fn labels() {
    let target = choose(&params(&[("iflabel", "sip"), ("nic", "enp2s0")]), &host()).unwrap();
    assert_eq!(target.address.label.as_deref(), Some("eth0:sip"));
}

fn expected(given: &[(&str, &str)], host: &Snapshot) -> Option<String> {
    let params = params(given);
    let instances = judge::instances(&params, &host.addresses);
    host.expected_link(&params, &instances).map(|link| link.name.to_string())
}

#[test]
fn the_vip_stays_expected_where_it_is() {
    let mut host = host();
    let network = [("nic", "192.0.2.0/24")];
    let mac = [("nic", "02:00:00:00:00:02")];
    let eth0 = Some("eth0".to_owned());
    assert_eq!((expected(&network, &host), expected(&mac, &host)), (eth0.clone(), eth0.clone()));
    host.addresses.push(address(2, "192.0.2.10/24"));
    // Another link of that network, and one with that MAC address, appear later.
    host.addresses.push(address(3, "192.0.2.3/24"));
    host.links[2].mac = host.links[1].mac;
    assert_eq!((expected(&network, &host), expected(&mac, &host)), (eth0.clone(), eth0.clone()));
    // Without an instance, nic is ambiguous.
    host.addresses.retain(|address| address.ip.to_string() != "192.0.2.10");
    assert_eq!((expected(&network, &host), expected(&mac, &host)), (None, None));
    assert!(found(&network, &host).unwrap_err().contains("eth0, eth1"));
    // The VIP is the last address of its network.
    host.addresses = vec![address(2, "192.0.2.10/24"), address(3, "198.51.100.1/24")];
    assert_eq!(expected(&network, &host), eth0);
    assert!(host.has_lost_network(&params(&network)));
    assert!(!host.has_lost_network(&params(&[("nic", "198.51.100.0/24")])));
    assert!(!host.has_lost_network(&params(&[("nic", "eth0")])));
}

/// Where `nic` is ambiguous, the VIP is expected on one of the links that it matches, and on no other one.
#[test]
fn an_ambiguous_nic_does_not_match_every_link() {
    let mut host = host();
    host.links.push(link(4, "eth2"));
    host.addresses.push(address(3, "192.0.2.3/24"));
    host.addresses.push(address(4, "198.51.100.4/24"));
    host.addresses.push(address(4, "192.0.2.10/24"));
    host.links[2].mac = host.links[1].mac;
    for nic in ["192.0.2.0/24", "02:00:00:00:00:02"] {
        assert_eq!(expected(&[("nic", nic)], &host), None, "{nic}");
    }
}

#[test]
fn when_routes_are_needed() {
    let needed = |given: &[(&str, &str)]| needs_routes(&params(given));
    let (nic, prefix) = (("nic", "eth0"), ("cidr_netmask", "24"));
    assert!(needed(&[]) && needed(&[nic]) && needed(&[prefix]));
    assert!(!needed(&[nic, prefix]));
    assert!(needed(&[("ip", "2001:db8::10"), nic, ("cidr_netmask", "64")]));
}

#[test]
fn without_nic_loopback_is_not_expected_while_a_network_is_connected() {
    let mut host = host();
    host.addresses.push(address(1, "192.0.2.10/32"));
    assert_eq!(expected(&[], &host), Some("eth0".to_owned()));
    assert_eq!(expected(&[("nic", "lo")], &host), Some("lo".to_owned()));
    host.addresses.remove(0);
    host.routes.clear();
    assert_eq!(expected(&[], &host), Some("lo".to_owned()));
}

/// start would add the VIP where no other host reaches it, and monitor would say that it belongs elsewhere.
#[test]
fn without_nic_a_network_on_loopback_is_none() {
    let mut host = host();
    host.addresses = vec![address(1, "192.0.2.11/24")];
    host.routes = vec![connected(1, "192.0.2.0/24", Some("192.0.2.11"))];
    let chosen = |given: &[(&str, &str)], host: &Snapshot| {
        let given = [given, &[("ip", "192.0.2.10")]].concat();
        let chosen = choose(&params(&given), host);
        chosen.map(|target| target.link.name.to_string()).map_err(|error| error.to_string())
    };
    assert!(chosen(&[], &host).unwrap_err().contains("set nic and cidr_netmask"));
    assert!(chosen(&[("cidr_netmask", "24")], &host).unwrap_err().contains("set nic"));
    assert_eq!(chosen(&[("nic", "lo")], &host), Ok("lo".to_owned()));
}

#[test]
fn a_route_that_the_kernel_would_delete_keeps_the_vip_without_one() {
    let without = |addresses: &[Address], routes: &[Route]| {
        let host = Snapshot {
            links: vec![lo(), link(2, "eth0"), link(3, "eth1")],
            addresses: addresses.to_vec(),
            routes: routes.to_vec(),
            ..Snapshot::default()
        };
        let given = [("ip", "2001:db8::10"), ("nic", "eth0"), ("cidr_netmask", "64")];
        choose(&params(&given), &host).unwrap().address.noprefixroute
    };
    let route = || connected(2, "2001:db8::/64", None);
    let own = || address(2, "2001:db8::1/64");
    let with = |change: fn(&mut Address)| {
        let mut own = own();
        change(&mut own);
        own
    };
    // Nothing to protect, or protected by an address with its own route from the kernel.
    assert!(!without(&[], &[]) && !without(&[own()], &[route()]));
    assert!(!without(&[], &[connected(3, "2001:db8::/64", None)]));
    assert!(!without(&[], &[connected(2, "2001:db8::/48", None)]));
    assert!(without(&[], &[route()]) && without(&[address(2, "2001:db8::1/128")], &[route()]));
    assert!(without(&[with(|it| it.flags.noprefixroute = true)], &[route()]));
    assert!(without(&[with(|it| it.flags.permanent = false)], &[route()]));
    let ipv4 = choose(&params(&[]), &host()).unwrap();
    assert!(!ipv4.address.noprefixroute);
}

#[test]
fn a_link_that_hands_on_what_arrives_is_refused() {
    let mut host = host();
    host.links.push(link(4, "vmbr0"));
    let mut port = |kind: Option<&str>, controller_kind: Option<&str>| {
        host.links[1].kind = kind.map(str::to_owned);
        host.links[1].controller = controller_kind.and_then(|_| LinkIndex::new(4));
        host.links[1].controller_kind = controller_kind.map(str::to_owned);
        let named = found(&[("nic", "eth0"), ("cidr_netmask", "24")], &host);
        assert_eq!(found(&[], &host), named);
        named
    };
    let port_of = "eth0 is a port of vmbr0: set nic=vmbr0".to_owned();
    for kind in ["bridge", "bond", "team"] {
        assert_eq!(port(None, Some(kind)), Err(port_of.clone()), "{kind}");
    }
    let open = port(None, Some("openvswitch")).unwrap_err();
    assert!(open.contains("set nic to that bridge (ovs-vsctl iface-to-br eth0)"), "{open}");
    assert!(port(Some("macvtap"), None).unwrap_err().contains("a virtual machine"));
    for (kind, controller_kind) in [(None, Some("vrf")), (Some("macvlan"), None), (None, None)] {
        assert_eq!(port(kind, controller_kind), Ok(("eth0".to_owned(), 24)));
    }
}
