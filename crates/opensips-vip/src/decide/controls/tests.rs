use super::*;
use crate::testing::fixtures::{address, connected, link, params};

const STALE: NeighbourState = NeighbourState::Stale;
const REACHABLE: NeighbourState = NeighbourState::Reachable;

fn neighbour(ip: &str, state: NeighbourState) -> Neighbour {
    let mac = Some(MacAddress([2, 0, 0, 0, 1, 1]));
    Neighbour { link: index(2), ip: ip.parse().unwrap(), mac, state, router: false }
}

fn index(number: u32) -> LinkIndex {
    LinkIndex::new(number).unwrap()
}

fn snapshot(addresses: &[&str]) -> Snapshot {
    Snapshot {
        links: vec![link(2, "eth0"), link(3, "eth1")],
        addresses: addresses.iter().map(|text| address(2, text)).collect(),
        vips: vec!["192.0.2.11".parse().unwrap()],
        ..Snapshot::default()
    }
}

fn by(gateway: &str) -> Route {
    Route { gateway: Some(gateway.parse().unwrap()), ..connected(2, "0.0.0.0/0", None) }
}

/// The controls on eth0 as text, with the address that asks them.
fn chosen(
    given: &[(&str, &str)],
    snapshot: &Snapshot,
    neighbours: &[Neighbour],
    routes: &[Route],
) -> Vec<String> {
    let eth0 = &snapshot.links[0];
    let controls = choose(&params(given), eth0, snapshot, neighbours, routes);
    let text = |it: &Control| match it.asked_from {
        Some(own) => format!("{} from {own}", it.ip),
        None => it.ip.to_string(),
    };
    controls.iter().map(text).collect()
}

#[test]
fn routers_first_then_those_that_have_answered_lately() {
    let host = snapshot(&["192.0.2.11/24", "192.0.2.1/24"]);
    let neighbours = [
        neighbour("192.0.2.20", STALE),
        neighbour("192.0.2.21", NeighbourState::Failed),
        neighbour("192.0.2.22", REACHABLE),
        neighbour("192.0.2.254", STALE),
    ];
    let routes = [by("192.0.2.254"), connected(2, "192.0.2.0/24", None)];
    let expected =
        ["192.0.2.254 from 192.0.2.1", "192.0.2.22 from 192.0.2.1", "192.0.2.20 from 192.0.2.1"];
    assert_eq!(chosen(&[], &host, &neighbours, &routes), expected);
    let gateway = &[("gateway", "192.0.2.253")];
    let expected = ["192.0.2.253 from 192.0.2.1", expected[0], expected[1]];
    assert_eq!(chosen(gateway, &host, &neighbours, &routes), expected);
    // It was asked in vain.
    let failed = [neighbour("192.0.2.254", NeighbourState::Failed)];
    assert!(chosen(&[], &host, &failed, &routes).is_empty());
}

#[test]
fn neither_the_vip_nor_this_host_is_one() {
    let host = snapshot(&["192.0.2.1/24", "198.51.100.1/24"]);
    let own_mac = Neighbour { mac: link(3, "eth1").mac, ..neighbour("192.0.2.30", REACHABLE) };
    let elsewhere = Neighbour { link: index(3), ..neighbour("192.0.2.31", REACHABLE) };
    let neighbours = [
        neighbour("192.0.2.10", REACHABLE),
        neighbour("192.0.2.1", REACHABLE),
        neighbour("2001:db8::1", REACHABLE),
        own_mac,
        elsewhere,
    ];
    assert!(chosen(&[], &host, &neighbours, &[]).is_empty());
    let of_own_mac = [by("192.0.2.30")];
    assert!(chosen(&[], &host, &neighbours, &of_own_mac).is_empty());
}

#[test]
fn a_host_without_an_address_there_sends_a_probe() {
    let host = snapshot(&["192.0.2.11/24", "198.51.100.1/24"]);
    let neighbours = [neighbour("192.0.2.20", REACHABLE)];
    assert_eq!(chosen(&[], &host, &neighbours, &[]), ["192.0.2.20"]);
}

#[test]
fn ipv6_is_asked_from_a_link_local_address_if_there_is_one() {
    let ip = &[("ip", "2001:db8::10")];
    let neighbours = [neighbour("2001:db8::20", REACHABLE)];
    let own = snapshot(&["2001:db8::1/64", "fe80::1/64"]);
    assert_eq!(chosen(ip, &own, &neighbours, &[]), ["2001:db8::20 from 2001:db8::1"]);
    let own = snapshot(&["fe80::1/64"]);
    assert_eq!(chosen(ip, &own, &neighbours, &[]), ["2001:db8::20 from fe80::1"]);
    assert!(chosen(ip, &snapshot(&["2001:db8:1::1/64"]), &neighbours, &[]).is_empty());
}

#[test]
fn where_guests_share_the_link_only_routers_count() {
    let neighbours = [neighbour("192.0.2.20", REACHABLE)];
    let kind = |kind: &str| Some(kind.to_owned());
    let mut bridge = snapshot(&["192.0.2.1/24"]);
    bridge.links[0].kind = kind("bridge");
    let mut below_macvlan = snapshot(&["192.0.2.1/24"]);
    below_macvlan.links[1].kind = kind("macvlan");
    below_macvlan.links[1].lower = Some(index(2));
    let mut vlan = snapshot(&["192.0.2.1/24"]);
    vlan.links[0].kind = kind("vlan");
    vlan.links[0].lower = Some(index(3));
    vlan.links[1].kind = kind("bridge");
    for host in [bridge, below_macvlan, vlan] {
        assert!(chosen(&[], &host, &neighbours, &[]).is_empty());
        let routers = chosen(&[], &host, &neighbours, &[by("192.0.2.254")]);
        assert_eq!(routers, ["192.0.2.254 from 192.0.2.1"]);
    }
}

#[test]
fn the_surest_answer_first() {
    let rank = |state| rank(&neighbour("192.0.2.20", state));
    assert_eq!(rank(REACHABLE), Some(0));
    assert_eq!((rank(NeighbourState::Delay), rank(NeighbourState::Probe)), (Some(1), Some(1)));
    assert_eq!((rank(STALE), rank(NeighbourState::Permanent)), (Some(2), Some(3)));
    for state in [NeighbourState::Incomplete, NeighbourState::Failed, NeighbourState::NoArp] {
        assert_eq!(rank(state), None, "{state:?}");
    }
    assert_eq!(super::rank(&Neighbour { mac: None, ..neighbour("192.0.2.20", REACHABLE) }), None);
}

#[test]
fn hosts_count_where_guests_have_no_part_of_the_link() {
    let neighbours = [neighbour("192.0.2.20", REACHABLE)];
    let with = |kinds: [Option<&str>; 2], lower: [Option<u32>; 2]| {
        let mut host = snapshot(&["192.0.2.1/24"]);
        for ((link, kind), lower) in host.links.iter_mut().zip(kinds).zip(lower) {
            (link.kind, link.lower) = (kind.map(str::to_owned), lower.and_then(LinkIndex::new));
        }
        chosen(&[], &host, &neighbours, &[])
    };
    let counts = ["192.0.2.20 from 192.0.2.1"];
    // A macvlan of another link, a VLAN above this one.
    assert_eq!(with([None, Some("macvlan")], [None, Some(9)]), counts);
    assert_eq!(with([None, Some("vlan")], [None, Some(2)]), counts);
    // A VLAN of a link that is not shared, and another kind of link above a bridge.
    assert_eq!(with([Some("vlan"), None], [Some(3), None]), counts);
    assert_eq!(with([Some("veth"), Some("bridge")], [Some(3), None]), counts);
}

/// The others stay unknown to the caches of the neighbours: the answers would go elsewhere, or draw the VIP's packets.
#[test]
fn only_a_usable_address_of_this_host_asks() {
    let neighbours = [neighbour("192.0.2.20", REACHABLE)];
    let asks = |change: fn(&mut Address)| {
        let mut host = snapshot(&["192.0.2.1/24"]);
        change(&mut host.addresses[0]);
        chosen(&[], &host, &neighbours, &[])
    };
    assert_eq!(asks(|_| ()), ["192.0.2.20 from 192.0.2.1"]);
    let unfit: [fn(&mut Address); 5] = [
        |own| own.link = index(3),
        |own| own.peer = "192.0.2.2".parse().ok(),
        |own| own.flags.tentative = true,
        |own| own.ip = "192.0.2.10".parse().unwrap(),
        |own| own.ip = "192.0.2.11".parse().unwrap(),
    ];
    for change in unfit {
        assert_eq!(asks(change), ["192.0.2.20"]);
    }
}

#[test]
fn the_owner_asks_from_the_same_address_while_it_is_here() {
    let (ip, own, vip) = ("192.0.2.20", "192.0.2.1", "192.0.2.10");
    let from = |text: &str| text.parse::<IpAddr>().ok();
    let asked = |asked_from, addresses: &[Address]| {
        let control = Control { ip: ip.parse().unwrap(), asked_from };
        let asked = control.asked_by_owner(vip.parse().unwrap(), index(2), addresses);
        assert_eq!(asked.ip, control.ip);
        asked.asked_from
    };
    let here = [address(2, "192.0.2.3/24"), address(2, "192.0.2.1/24")];
    assert_eq!(asked(from(own), &here), from(own));
    let mut unusable = here[1].clone();
    unusable.flags.tentative = true;
    for elsewhere in
        [vec![], vec![address(3, "192.0.2.1/24")], vec![here[0].clone()], vec![unusable]]
    {
        assert_eq!(asked(from(own), &elsewhere), from(vip), "{elsewhere:?}");
    }
    assert_eq!(asked(None, &here), from(vip));
}
