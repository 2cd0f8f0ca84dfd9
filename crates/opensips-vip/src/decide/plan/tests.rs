use super::*;
use crate::testing::fixtures::{address, connected, labelled, link, lo, params};

fn host(addresses: &[Address]) -> Snapshot {
    let own = [address(2, "192.0.2.1/24"), address(3, "198.51.100.1/24")];
    Snapshot {
        links: vec![lo(), link(2, "eth0"), link(3, "eth1")],
        addresses: own.iter().chain(addresses).cloned().collect(),
        routes: vec![connected(2, "192.0.2.0/24", None), connected(3, "198.51.100.0/24", None)],
        vips: vec!["192.0.2.11".parse().unwrap()],
    }
}

fn steps(given: &[(&str, &str)], host: &Snapshot) -> Vec<String> {
    let plan = start(&params(given), host).unwrap();
    plan.steps.iter().map(|step| plan.describe(step)).collect()
}

const CHECK: &str = "check for a duplicate address";
const ADD: &str = "add 192.0.2.10/24 to eth0";

#[test]
fn nothing_there() {
    assert_eq!(steps(&[], &host(&[])), [CHECK, ADD, "announce"]);
    assert_eq!(steps(&[("announce", "none")], &host(&[])), [CHECK, ADD]);
    assert_eq!(steps(&[("duplicate_check", "no")], &host(&[])), [ADD, "announce"]);
    let found = start(&params(&[]), &host(&[])).unwrap().found;
    assert_eq!((found, found.state()), (Found::Absent, "added"));
    assert_eq!((Found::Exact.state(), Found::Misplaced.state()), ("adopted", "moved"));
}

#[test]
fn exactly_there() {
    for given in [&[][..], &[("nic", "eth0")], &[("nic", "eth0"), ("cidr_netmask", "24")]] {
        let plan = start(&params(given), &host(&[address(2, "192.0.2.10/24")])).unwrap();
        assert_eq!((plan.found, plan.steps), (Found::Exact, vec![Step::Announce]));
    }
    // start accepts what monitor accepts: without nic and cidr_netmask any instance.
    let elsewhere = start(&params(&[]), &host(&[address(3, "192.0.2.10/32")])).unwrap();
    assert_eq!((elsewhere.found, elsewhere.target.link.name.as_str()), (Found::Exact, "eth1"));
}

#[test]
fn what_is_not_as_asked_for_is_corrected() {
    let corrected = |given: &[(&str, &str)], own: &[Address], vip: Address| {
        let host = host(&[own, &[vip]].concat());
        steps(given, &host)
    };
    let brd = |text: Option<&str>| Address {
        broadcast: text.map(|text| text.parse().unwrap()),
        ..labelled(2, "192.0.2.10/24", "eth0")
    };
    let again = ["add 192.0.2.10/24 again", "announce"];
    for (given, vip) in [
        (&[("iflabel", "sip")][..], brd(None)),
        (&[("broadcast", "-")], brd(None)),
        (&[], brd(Some("192.0.2.127"))),
    ] {
        assert_eq!(corrected(given, &[], vip), again, "{given:?}");
    }
    for vip in [brd(None), brd(Some("192.0.2.255"))] {
        assert_eq!(corrected(&[], &[], vip), ["announce"]);
    }
    let second = |text: &str| {
        let mut address = address(2, text);
        address.flags.secondary = true;
        address
    };
    assert_eq!(corrected(&[], &[second("192.0.2.2/24")], brd(None)), again);
    // Another VIP, and another network.
    assert_eq!(corrected(&[], &[second("192.0.2.11/24")], brd(None)), ["announce"]);
    assert_eq!(corrected(&[], &[second("198.51.100.2/24")], brd(None)), ["announce"]);
    let lifetimes = ["set the lifetimes of 192.0.2.10/24", "announce"];
    let leased = Address { valid_lft: Lifetime::Seconds(6), ..brd(None) };
    assert_eq!(corrected(&[], &[], leased), lifetimes);
}

#[test]
fn lifetimes_of_ipv6() {
    let given = [("ip", "2001:db8::10"), ("nic", "eth0"), ("cidr_netmask", "64")];
    let is_set = |preferred: &str, address: Address| {
        let given = [&given[..], &[("preferred_lft", preferred)]].concat();
        let steps = start(&params(&given), &host(&[address])).unwrap().steps;
        steps.iter().any(|step| matches!(step, Step::SetLifetimes(_)))
    };
    let with = |preferred_lft, valid_lft| Address {
        preferred_lft,
        valid_lft,
        ..address(2, "2001:db8::10/64")
    };
    let (forever, seconds) = (Lifetime::Forever, Lifetime::Seconds);
    for (preferred, address, expected) in [
        ("", with(forever, forever), true),
        ("", with(seconds(0), forever), false),
        ("", with(seconds(0), seconds(6)), true),
        ("0", with(seconds(7), forever), true),
        ("forever", with(forever, forever), false),
        ("forever", with(seconds(0), forever), true),
        ("300", with(seconds(7), forever), false),
        ("300", with(seconds(0), forever), true),
    ] {
        assert_eq!(is_set(preferred, address), expected, "{preferred}");
    }
}

#[test]
fn the_right_one_is_added_before_the_wrong_ones_are_deleted() {
    let given = [("nic", "eth0"), ("cidr_netmask", "24")];
    let wrong = [address(2, "192.0.2.10/32"), labelled(3, "192.0.2.10/24", "eth1")];
    assert_eq!(
        steps(&given, &host(&wrong)),
        [
            CHECK,
            ADD,
            "announce",
            "delete 192.0.2.10/32 on eth0, keep the others of its subnet",
            "delete 192.0.2.10/24 on eth1, keep the others of its subnet"
        ]
    );
    assert_eq!(start(&params(&given), &host(&wrong)).unwrap().found, Found::Misplaced);
    let both = [address(2, "192.0.2.10/24"), address(3, "192.0.2.10/24")];
    assert_eq!(
        steps(&given, &host(&both)),
        ["announce", "delete 192.0.2.10/24 on eth1, keep the others of its subnet"]
    );
}

#[test]
fn what_excludes_the_right_one_is_deleted_first() {
    let peer = Address { peer: "192.0.2.99".parse().ok(), ..address(2, "192.0.2.10/24") };
    let delete = "delete 192.0.2.10/24 on eth0, keep the others of its subnet";
    assert_eq!(steps(&[("nic", "eth0")], &host(&[peer])), [CHECK, delete, ADD, "announce"]);
}

#[test]
fn links() {
    let with = |change: fn(&mut Link)| {
        let mut host = host(&[]);
        host.links.iter_mut().filter(|link| link.index.get() == 2).for_each(change);
        host
    };
    let wait = "wait for carrier";
    let down = with(|link| (link.admin_up, link.carrier) = (false, false));
    assert_eq!(steps(&[], &down), ["bring eth0 up", wait, CHECK, ADD, "announce"]);
    let no_carrier = with(|link| link.carrier = false);
    assert_eq!(steps(&[], &no_carrier), [wait, CHECK, ADD, "announce"]);
    let check = |word| [("check_link_status", word)];
    assert_eq!(steps(&check("no"), &no_carrier), [CHECK, ADD, "announce"]);
    let optional = "wait for carrier, not required";
    assert_eq!(steps(&check("degraded"), &no_carrier), [optional, CHECK, ADD, "announce"]);
    for without_arp in [
        with(|link| link.noarp = true),
        with(|link| link.ethernet = false),
        with(|link| link.mac = None),
        with(|link| link.mac = Some(MacAddress::ZERO)),
    ] {
        assert_eq!(steps(&[], &without_arp), [ADD]);
    }
}

#[test]
fn ipv6() {
    let add = "add 2001:db8::10/64 to eth0";
    let dad = "wait for duplicate address detection";
    let mut host = host(&[address(2, "2001:db8::1/64")]);
    let given = [("ip", "2001:db8::10"), ("nic", "eth0"), ("cidr_netmask", "64")];
    let with = |name, value| [&given[..], &[(name, value)]].concat();
    let nodad = |given: &[(&str, &str)], host: &Snapshot| {
        let plan = start(&params(given), host).unwrap();
        assert!(plan.steps.contains(&Step::Add));
        plan.target.address.nodad
    };
    assert_eq!(steps(&given, &host), [CHECK, add, dad, "announce"]);
    assert!(nodad(&given, &host));
    assert!(!nodad(&with("nodad", "no"), &host));
    let unchecked = with("duplicate_check", "no");
    assert!(!nodad(&unchecked, &host));
    assert!(nodad(&[&unchecked[..], &[("nodad", "true")]].concat(), &host));
    // Another prefix on the same link excludes ours; an address with dadfailed is added again.
    host.addresses.push(address(2, "2001:db8::10/128"));
    let delete = "delete 2001:db8::10/128 on eth0";
    assert_eq!(steps(&given, &host), [CHECK, delete, add, dad, "announce"]);
    host.addresses.pop();
    host.addresses.push(address(2, "2001:db8::10/64"));
    let set = "set the lifetimes of 2001:db8::10/64";
    assert_eq!(steps(&given, &host), [set, dad, "announce"]);
    host.addresses.last_mut().unwrap().flags.dadfailed = true;
    let delete = "delete 2001:db8::10/64 on eth0";
    assert_eq!(steps(&given, &host), [CHECK, delete, add, dad, "announce"]);
    // The kernel takes no route with a tentative source, which stays so without a carrier.
    let flags = &mut host.addresses.last_mut().unwrap().flags;
    (flags.dadfailed, flags.tentative) = (false, true);
    let routed = with("gateway", "2001:db8::98");
    let routes = "add source routing";
    assert_eq!(steps(&routed, &host), [set, dad, routes, "announce"]);
    host.links.iter_mut().for_each(|link| link.carrier = false);
    let wait = "wait for carrier";
    assert_eq!(steps(&given, &host), [wait, set, dad, "announce"]);
    assert_eq!(steps(&routed, &host), [wait, CHECK, delete, add, dad, routes, "announce"]);
}

#[test]
fn loopback_is_neither_waited_for_nor_announced_on() {
    let given = [("nic", "lo"), ("cidr_netmask", "32")];
    assert_eq!(steps(&given, &host(&[])), ["add 192.0.2.10/32 to lo"]);
}

#[test]
fn stop_deletes_every_instance_and_keeps_its_siblings() {
    let ip = "192.0.2.10".parse().unwrap();
    let host = host(&[
        address(2, "192.0.2.10/24"),
        address(2, "192.0.2.10/32"),
        labelled(3, "192.0.2.10/24", "eth1:sip"),
    ]);
    let names = LinkNames::of(&host.links);
    let plan: Vec<_> =
        stop(ip, &host.addresses).iter().map(|deletion| deletion.describe(&names)).collect();
    assert_eq!(
        plan,
        [
            "delete 192.0.2.10/24 on eth0, keep the others of its subnet",
            "delete 192.0.2.10/32 on eth0, keep the others of its subnet",
            "delete 192.0.2.10/24 on eth1, keep the others of its subnet"
        ]
    );
    assert!(stop("192.0.2.77".parse().unwrap(), &host.addresses).is_empty());
}

#[test]
fn source_routing_follows_the_address() {
    let routed = [CHECK, ADD, "add source routing", "announce"];
    assert_eq!(steps(&[("gateway", "192.0.2.254")], &host(&[])), routed);
    assert_eq!(steps(&[("source_for", "203.0.113.0/24")], &host(&[])), routed);
}

#[test]
fn neighbours_by_the_kind_of_link() {
    let usual = || link(2, "eth0");
    assert!(has_neighbours(&usual()) && !has_non_ethernet_neighbours(&usual()));
    let infiniband = Link { ethernet: false, ..usual() };
    assert!(!has_neighbours(&infiniband) && has_non_ethernet_neighbours(&infiniband));
    for none in [
        Link { loopback: true, ..infiniband.clone() },
        Link { noarp: true, ..infiniband.clone() },
        Link { point_to_point: true, ..infiniband },
        Link { noarp: true, ..usual() },
        Link { loopback: true, ..usual() },
    ] {
        assert!(!has_neighbours(&none) && !has_non_ethernet_neighbours(&none), "{none:?}");
    }
    for mac in [None, Some(MacAddress::ZERO)] {
        assert!(!has_neighbours(&Link { mac, ..usual() }));
    }
}
