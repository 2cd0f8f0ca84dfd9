use super::*;
use crate::route::{RouteKind, TABLE_MAIN};
use proptest::prelude::*;

fn default_route() -> Route {
    Route {
        destination: "0.0.0.0/0".parse().unwrap(),
        link: LinkIndex::new(3),
        gateway: Some("192.0.2.1".parse().unwrap()),
        preferred_source: None,
        scope: Scope::Universe,
        table: TABLE_MAIN,
        protocol: RouteProtocol::Dhcp,
        kind: RouteKind::Unicast,
        metric: 100,
    }
}

#[test]
fn fields_and_bytes_agree() {
    let v6 = Route {
        destination: "2001:db8::/64".parse().unwrap(),
        gateway: Some("fe80::1".parse().unwrap()),
        preferred_source: Some("2001:db8::10".parse().unwrap()),
        table: 1000,
        ..default_route()
    };
    let through_ipv6 = Route { gateway: Some("fe80::1".parse().unwrap()), ..default_route() };
    let blackhole =
        Route { kind: RouteKind::Other(6), link: None, gateway: None, ..default_route() };
    for route in [default_route(), v6, through_ipv6, blackhole] {
        let record = RouteRecord::new(&route);
        assert_eq!(*record.route(), route);
        assert_eq!(RouteRecord::read(&record.request()).unwrap(), Some(record));
    }
}

#[test]
fn changes_reach_the_bytes() {
    let source: IpAddr = "192.0.2.10".parse().unwrap();
    let changed = RouteRecord::new(&default_route())
        .with_preferred_source("192.0.2.9".parse().unwrap())
        .with_preferred_source(source)
        .with_metric(50)
        .with_protocol(RouteProtocol::OWN)
        .onlink();
    let expected = Route {
        preferred_source: Some(source),
        metric: 50,
        protocol: RouteProtocol::OWN,
        ..default_route()
    };
    assert_eq!(*changed.route(), expected);
    let read = RouteRecord::read(&changed.request()).unwrap().unwrap();
    assert_eq!((read.route(), &read), (&expected, &changed));
    assert_eq!(changed.request()[FLAGS], RTNH_F_ONLINK);
}

#[test]
fn states_and_counters_are_left_out() {
    let record = RouteRecord::new(&default_route()).onlink();
    let mut dumped = record.request();
    dumped[FLAGS] |= 0x11; // dead, linkdown
    Attribute::new(libc::RTA_CACHEINFO, &[7; 32]).push_to(&mut dumped);
    assert_eq!(RouteRecord::read(&dumped).unwrap(), Some(record.clone()));
    // A nexthop object replaces the next hops.
    Attribute::new(RTA_NH_ID, &7_u32.to_ne_bytes()).push_to(&mut dumped);
    let by_object = RouteRecord::read(&dumped).unwrap().unwrap();
    let kept: Vec<u16> =
        attributes(&by_object.request()[HEADER_LENGTH..]).map(|a| a.unwrap().kind).collect();
    assert_eq!(kept, [libc::RTA_PRIORITY, libc::RTA_TABLE, RTA_NH_ID]);
    assert_eq!(by_object.request()[FLAGS], 0);
    assert_eq!(by_object.route(), record.route());
    // Two next hops: linkdown and onlink; the second has nothing but its header.
    let hops = [&[12, 0, 0x14, 0, 3, 0, 0, 0, 4, 0, 99, 0][..], &[8, 0, 1, 9, 4, 0, 0, 0]];
    let clean = [&[12, 0, 0x04, 0, 3, 0, 0, 0, 4, 0, 99, 0][..], &[8, 0, 0, 9, 4, 0, 0, 0]];
    assert_eq!(next_hops(&hops.concat()).unwrap(), clean.concat());
    for bad in [&[7, 0, 0, 0, 1, 0, 0][..], &[16, 0, 0, 0, 1, 0, 0, 0], &[0, 0, 0, 0]] {
        assert!(next_hops(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_is_left_of_the_lifetime_is_restored_and_not_compared() {
    let route =
        Route { destination: "2001:db8::/64".parse().unwrap(), gateway: None, ..default_route() };
    let record = RouteRecord::new(&route);
    let read = |ticks: i32| {
        let mut dumped = record.request();
        let counters = [&[0; 8][..], &ticks.to_ne_bytes(), &[0; 20]].concat();
        Attribute::new(libc::RTA_CACHEINFO, &counters).push_to(&mut dumped);
        RouteRecord::read(&dumped).unwrap().unwrap()
    };
    for (ticks, left) in [(0, None), (300_000, Some(3000)), (99, Some(1)), (-7, Some(0))] {
        let read = read(ticks);
        assert_eq!(
            (&read, read.lifetime()),
            (&record, left.map_or(Lifetime::Forever, Lifetime::Seconds))
        );
        let expires = |record: &RouteRecord| {
            let request = record.request();
            let found =
                attributes(&request[HEADER_LENGTH..]).flatten().find(|it| it.kind == RTA_EXPIRES);
            found.map(|it| parse_u32(it.value).unwrap())
        };
        assert_eq!(expires(&read), left);
        // A copy is this project's, and stays until it is deleted.
        assert_eq!(expires(&read.with_metric(5)), None);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(family in prop::sample::select(vec![2_u8, 10]), rest: Vec<u8>) {
        let bytes = [&[family][..], &rest].concat();
        if let Ok(Some(record)) = RouteRecord::read(&bytes) {
            // A record that was read can be changed and read again.
            let changed = record.with_metric(7);
            prop_assert_eq!(RouteRecord::read(&changed.message).unwrap(), Some(changed));
        }
    }
}
