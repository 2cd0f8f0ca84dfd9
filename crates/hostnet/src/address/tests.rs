use super::*;
use proptest::prelude::*;

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

#[test]
fn prefixes_are_checked_for_the_family() {
    assert_eq!(Prefix::new(Family::V4, 32).unwrap().length(), 32);
    assert!(Prefix::new(Family::V4, 33).is_err());
    assert_eq!(Prefix::new(Family::V6, 128).unwrap().length(), 128);
    assert!(Prefix::new(Family::V6, 129).is_err());
    assert_eq!(Prefix::host(Family::V4).length(), 32);
}

#[test]
fn netmasks() {
    for (mask, length) in
        [("255.255.255.0", 24), ("0.0.0.0", 0), ("255.255.255.255", 32), ("255.255.254.0", 23)]
    {
        assert_eq!(Prefix::from_netmask(mask.parse().unwrap()).unwrap().length(), length);
    }
    for bad in ["255.0.255.0", "0.0.0.255", "255.255.255.1"] {
        assert!(Prefix::from_netmask(bad.parse().unwrap()).is_err(), "{bad}");
    }
}

#[test]
fn networks() {
    let net = network("192.0.2.77/24");
    assert_eq!(net.to_string(), "192.0.2.0/24");
    assert!(net.contains("192.0.2.255".parse().unwrap()));
    assert!(!net.contains("192.0.3.0".parse().unwrap()));
    assert!(!net.contains("::c000:200".parse().unwrap()));
    assert_eq!(net.broadcast(), Some("192.0.2.255".parse().unwrap()));
    assert_eq!(network("192.0.2.6/31").broadcast(), None);
    assert_eq!(network("192.0.2.6/32").broadcast(), None);
    assert_eq!(network("192.0.2.6/30").broadcast(), Some("192.0.2.7".parse().unwrap()));
    assert_eq!(network("0.0.0.0/0").broadcast(), Some(Ipv4Addr::BROADCAST));
    assert!(network("0.0.0.0/0").contains("203.0.113.1".parse().unwrap()));
    assert!(network("2001:db8::1/64").contains("2001:db8::ffff".parse().unwrap()));
    assert!(!network("2001:db8::1/128").contains("2001:db8::2".parse().unwrap()));
    assert_eq!(network("2001:db8::/64").broadcast(), None);
    for bad in [
        "192.0.2.0",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/+4",
        "x/24",
        "/24",
        "192.0.2.0/256",
        "::/129",
    ] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn an_address_is_in_its_network(bits: u32, length in 0u8..=32) {
        let ip = IpAddr::V4(Ipv4Addr::from_bits(bits));
        let net = Network::of(ip, Prefix::new(Family::V4, length).unwrap());
        prop_assert!(net.contains(ip));
        if let Some(broadcast) = net.broadcast() {
            prop_assert!(net.contains(broadcast.into()));
        }
    }

    #[test]
    fn masks_and_prefixes_agree(length in 0u8..=32) {
        let Some(mask) = Network::of(Ipv4Addr::BROADCAST.into(), Prefix(length)).base.to_string().parse().ok() else {
            return Ok(());
        };
        prop_assert_eq!(Prefix::from_netmask(mask).unwrap().length(), length);
    }

    #[test]
    fn any_text_is_parsed_without_a_panic(text: String) {
        let _ = text.parse::<Network>();
    }
}
