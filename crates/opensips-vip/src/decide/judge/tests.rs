use super::*;
use crate::testing::fixtures::{address, labelled, link, params};

fn judged(
    given: &[(&str, &str)],
    instances: &[Address],
    link: Option<&Link>,
) -> (Exit, Option<String>) {
    let observation = Observation {
        instances: instances.to_vec(),
        link: link.cloned(),
        names: LinkNames::of([&crate::testing::fixtures::link(3, "eth1")]),
        ..Observation::default()
    };
    let verdict = observation.judge(&params(given));
    (verdict.exit, verdict.reason)
}

#[test]
fn absent_is_7_with_any_parameters() {
    for given in [&[][..], &[("nic", "eth0")], &[("cidr_netmask", "24"), ("nic", "gone")]] {
        assert_eq!(judged(given, &[], None), (Exit::NotRunning, None));
        assert_eq!(judged(given, &[], Some(&link(2, "eth0"))), (Exit::NotRunning, None));
    }
}

#[test]
fn exact_is_0() {
    let there = [address(2, "192.0.2.10/24")];
    let eth0 = link(2, "eth0");
    for given in [
        &[][..],
        &[("nic", "eth0")],
        &[("nic", "eth0"), ("cidr_netmask", "24")],
        &[("nic", "enp2s0"), ("cidr_netmask", "24")],
    ] {
        assert_eq!(judged(given, &there, Some(&eth0)), (Exit::Success, None));
    }
}

#[test]
fn misplaced_is_1_and_the_reason_tells_where_it_is() {
    let eth0 = link(2, "eth0");
    let given = [("nic", "eth0"), ("cidr_netmask", "24")];
    let (exit, reason) = judged(&given, &[labelled(2, "192.0.2.10/32", "eth0")], Some(&eth0));
    assert_eq!(exit, Exit::Generic);
    assert_eq!(
        reason.unwrap(),
        "192.0.2.10 belongs on eth0 with /24, but this node has 192.0.2.10/32 on eth0"
    );
    let (exit, reason) = judged(&given, &[address(3, "192.0.2.10/24")], Some(&eth0));
    assert_eq!(exit, Exit::Generic);
    assert!(reason.unwrap().ends_with("192.0.2.10/24 on eth1"));
    let (exit, reason) = judged(&given, &[labelled(3, "192.0.2.10/24", "eth1:sip")], None);
    assert_eq!(exit, Exit::Generic);
    assert!(reason.unwrap().contains("interface eth0, which does not exist"));
    let with_peer =
        Address { peer: Some("198.51.100.1".parse().unwrap()), ..address(2, "192.0.2.10/24") };
    assert_eq!(judged(&given, &[with_peer], Some(&eth0)).0, Exit::Generic);
}

#[test]
fn a_second_instance_is_degraded() {
    let there = [labelled(3, "192.0.2.10/32", "eth1"), address(2, "192.0.2.10/24")];
    let (exit, reason) = judged(&[("nic", "eth0")], &there, Some(&link(2, "eth0")));
    assert_eq!(exit, Exit::Degraded);
    assert_eq!(
        reason.unwrap(),
        "192.0.2.10 is on this node more than once: remove 192.0.2.10/32 on eth1"
    );
}

#[test]
fn carrier_counts_as_the_parameter_says() {
    let there = [address(2, "192.0.2.10/24")];
    let no_carrier = Link { carrier: false, ..link(2, "eth0") };
    let down = Link { admin_up: false, ..no_carrier.clone() };
    let lower = Link { operstate: hostnet::OperationalState::LowerLayerDown, ..link(2, "eth0") };
    let on = |moving| Elsewhere::On { nodes: vec!["node2".to_owned()], moving };
    for (state, fault, remedy) in [
        (&no_carrier, "eth0 has no carrier", ": check the cable and the switch port"),
        (&lower, "eth0 is LOWERLAYERDOWN", ": check its lower interfaces"),
    ] {
        let judged = |check, elsewhere: &Elsewhere| {
            let observation = Observation {
                instances: there.to_vec(),
                link: Some(state.clone()),
                elsewhere: elsewhere.clone(),
                ..Observation::default()
            };
            let verdict = observation.judge(&params(&[("check_link_status", check)]));
            (verdict.exit, verdict.reason.unwrap_or_default())
        };
        let text = |text: &str| format!("192.0.2.10 is on eth0, but {fault}{text}");
        for (elsewhere, exit, reason) in [
            (on(false), Exit::Generic, remedy),
            (on(true), Exit::Degraded, ": wait for the cluster to move it to node2"),
            (
                Elsewhere::Nowhere,
                Exit::Degraded,
                ", and no other node has a carrier: check the switch",
            ),
            (
                Elsewhere::Unknown,
                Exit::Degraded,
                ", and whether another node has one is unknown: check the cable and the switch \
                 port",
            ),
        ] {
            assert_eq!(judged("yes", &elsewhere), (exit, text(reason)));
            assert_eq!(judged("degraded", &elsewhere), (Exit::Degraded, text(remedy)));
            assert_eq!(judged("no", &elsewhere), (Exit::Success, String::new()));
        }
    }
    // A restart brings it up.
    let (exit, reason) = judged(&[], &there, Some(&down));
    assert_eq!(exit, Exit::Generic);
    assert!(reason.unwrap().ends_with("but eth0 is administratively down: set it up"));
    let lo = Link { loopback: true, carrier: false, ..link(1, "lo") };
    assert_eq!(judged(&[], &[address(1, "192.0.2.10/32")], Some(&lo)).0, Exit::Success);
}

#[test]
fn a_vip_that_is_not_announced_is_degraded() {
    let observation = Observation {
        instances: vec![address(2, "192.0.2.10/24")],
        link: Some(link(2, "eth0")),
        unannounced: link(9, "other").mac.map(Unannounced::Conflict),
        ..Observation::default()
    };
    let verdict = observation.judge(&params(&[]));
    assert_eq!(verdict.exit, Exit::Degraded);
    assert_eq!(
        verdict.reason.unwrap(),
        "192.0.2.10 is in use by 02:00:00:00:00:09 on eth0, and is not announced: remove it \
         from that host"
    );
    let unsent = Observation { unannounced: Some(Unannounced::NotSent), ..observation.clone() };
    let verdict = unsent.judge(&params(&[]));
    assert_eq!(verdict.exit, Exit::Degraded);
    assert_eq!(
        verdict.reason.unwrap(),
        "192.0.2.10 is not announced: eth0 refuses to send: check its queue (tc -s qdisc show dev \
         eth0) and packet filters"
    );
    let alone = Observation { unannounced: Some(Unannounced::NoAnnouncer), ..observation };
    let verdict = alone.judge(&params(&[]));
    assert_eq!(verdict.exit, Exit::Degraded);
    assert_eq!(
        verdict.reason.unwrap(),
        "192.0.2.10 is not announced: its announcer could not be started: check the load and the memory \
         of this node"
    );
}

#[test]
fn ipv6_is_usable_when_its_duplicate_address_detection_is_done() {
    let given = [("ip", "2001:db8::10"), ("nic", "eth0")];
    let with = |change: fn(&mut Address)| {
        let mut address = address(2, "2001:db8::10/64");
        change(&mut address);
        // The state of another address does not count.
        let mut sibling = crate::testing::fixtures::address(2, "2001:db8::11/64");
        sibling.flags.dadfailed = true;
        instances(&params(&given), &[sibling, address])
    };
    let eth0 = link(2, "eth0");
    let judged = |there: &[Address]| judged(&given, there, Some(&eth0));
    assert_eq!(judged(&with(|_| ())), (Exit::Success, None));
    let (exit, reason) =
        judged(&with(|it| (it.flags.tentative, it.flags.dadfailed) = (true, true)));
    assert_eq!(exit, Exit::Generic);
    assert!(reason.unwrap().contains("in use by another host on eth0"));
    let tentative = with(|it| it.flags.tentative = true);
    let (exit, reason) = judged(&tentative);
    assert_eq!(exit, Exit::Generic);
    assert!(reason.unwrap().contains("is still tentative"));
    let optimistic = with(|it| (it.flags.tentative, it.flags.optimistic) = (true, true));
    assert_eq!(judged(&optimistic), (Exit::Success, None));
    // Without carrier it can't end.
    let unplugged = Link { carrier: false, ..link(2, "eth0") };
    let ignoring = params(&[given[0], given[1], ("check_link_status", "no")]);
    let observation =
        Observation { instances: tentative, link: Some(unplugged), ..Observation::default() };
    assert_eq!(observation.judge(&ignoring).exit, Exit::Success);
}

/// monitor waits for its end, and not for what does not end.
#[test]
fn detection_is_waited_for_while_it_runs() {
    let given = params(&[("ip", "2001:db8::10"), ("nic", "eth0")]);
    let is_tentative = |link: &Link, change: fn(&mut Address)| {
        let mut address = address(2, "2001:db8::10/64");
        change(&mut address);
        let (instances, link) = (vec![address], Some(link.clone()));
        Observation { instances, link, ..Observation::default() }.is_tentative(&given)
    };
    let eth0 = link(2, "eth0");
    assert!(is_tentative(&eth0, |it| it.flags.tentative = true));
    assert!(!is_tentative(&eth0, |_| ()));
    assert!(!is_tentative(&eth0, |it| (it.flags.tentative, it.flags.dadfailed) = (true, true)));
    let unplugged = Link { carrier: false, ..eth0 };
    assert!(!is_tentative(&unplugged, |it| it.flags.tentative = true));
}

/// None of them is healed by a restart, and where several are there the first one is told.
#[test]
fn what_else_is_degraded() {
    let well = Observation {
        instances: vec![address(2, "192.0.2.10/24")],
        link: Some(link(2, "eth0")),
        ..Observation::default()
    };
    let judged = |observation: &Observation, given: &[(&str, &str)]| {
        let verdict = observation.judge(&params(given));
        (verdict.exit, verdict.reason.unwrap_or_default())
    };
    let network = [("nic", "192.0.2.0/24")];
    assert_eq!(judged(&well, &network).0, Exit::Success);
    let lost = Observation { lost_network: true, ..well.clone() };
    let (exit, reason) = judged(&lost, &network);
    assert_eq!(exit, Exit::Degraded);
    assert!(reason.contains("no interface has another address in nic=192.0.2.0/24: "), "{reason}");
    let precedes = Observation { precedes: "192.0.2.1".parse().ok(), ..lost };
    let (exit, reason) = judged(&precedes, &network);
    assert_eq!(exit, Exit::Degraded);
    assert!(reason.contains("comes before this node's own address 192.0.2.1 on eth0"), "{reason}");
    let mut port = link(2, "eth0");
    (port.controller, port.controller_kind) = (LinkIndex::new(3), Some("bridge".to_owned()));
    let (exit, reason) = judged(&Observation { link: Some(port), ..precedes }, &network);
    assert_eq!(exit, Exit::Degraded);
    assert!(reason.starts_with("192.0.2.10 can be unreachable: "), "{reason}");
}

#[test]
fn a_port_of_a_bond_that_is_down_is_degraded() {
    let given = |check| params(&[("nic", "bond0"), ("check_link_status", check)]);
    let observation = Observation {
        instances: vec![address(2, "192.0.2.10/24")],
        link: Some(link(2, "bond0")),
        stack: Some(LinkCondition::Degraded(vec!["eth1".parse().unwrap()])),
        ..Observation::default()
    };
    for check in ["yes", "degraded"] {
        let verdict = observation.judge(&given(check));
        assert_eq!(verdict.exit, Exit::Degraded);
        assert_eq!(
            verdict.reason.unwrap(),
            "192.0.2.10 is on bond0, but its lower interface eth1 is down: check the cable and the \
             switch port"
        );
    }
    assert_eq!(observation.judge(&given("no")).exit, Exit::Success);
}

#[test]
fn without_nic_a_real_link_counts_before_loopback() {
    let there = [address(1, "192.0.2.10/32"), address(4, "192.0.2.10/24")];
    let link = |given: &[(&str, &str)]| most_likely(&params(given), &there).unwrap().link.get();
    assert_eq!(link(&[]), 4);
    assert_eq!(link(&[("cidr_netmask", "32")]), 1);
}
