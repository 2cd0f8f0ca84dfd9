//! Tests of reading parameters.

use super::vip::InvalidVip;
use super::*;
use proptest::prelude::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

fn read(pairs: &[(&str, &str)]) -> Result<Params, String> {
    Params::read(&pairs.iter().copied().collect()).map_err(|findings| findings.to_string())
}

fn finding(name: &str, value: &str) -> String {
    let mut values: Values = [("ip", "192.0.2.10")].into_iter().collect();
    values.set(name, value);
    let findings = Params::read(&values).expect_err(value);
    assert!(findings.iter().all(|finding| finding.exit == ocf::Exit::Configured), "{findings}");
    findings.to_string()
}

#[test]
fn the_defaults() {
    let params = read(&[("ip", "192.0.2.10"), ("nic", "")]).unwrap();
    assert_eq!(params.ip, Ipv4Addr::new(192, 0, 2, 10));
    assert!(!params.noprefixroute && params.in_background && params.remarks.is_empty());
    assert_eq!((params.preferred_lft, params.nodad), (Lifetime::Forever, Nodad::Auto));
    let ipv6 = read(&[("ip", "2001:db8::10")]).unwrap();
    assert_eq!(ipv6.preferred_lft, Lifetime::Seconds(0));
    let preferred = read(&[("ip", "2001:db8::10"), ("preferred_lft", "forever")]).unwrap();
    assert_eq!(preferred.preferred_lft, Lifetime::Forever);
    assert_eq!((params.refresh, params.namespace, params.targets), (0, None, Vec::new()));
    let check = DuplicateCheck {
        timeout: Duration::from_millis(50),
        silence: SilenceOf::Neighbours,
        wait: Duration::from_secs(2),
        action: DuplicateAction::Defend,
    };
    assert_eq!(params.duplicates, Some(check));
    assert_eq!((params.nic, params.prefix, params.label), (None, None, None));
    assert_eq!(params.broadcast, Broadcast::Ones);
    assert_eq!(params.link_check, LinkCheck::Fail);
    assert_eq!(params.link_wait, Duration::from_secs(3));
    assert_eq!(params.announce, Some(Form::Request));
    assert_eq!(params.schedule.to_string(), "0,50,250,1000,2000,5000");
}

#[test]
fn everything_given() {
    let params = read(&[
        ("ip", "192.0.2.10"),
        ("nic", "bond0.100"),
        ("cidr_netmask", "255.255.255.0"),
        ("broadcast", "-"),
        ("iflabel", "sip"),
        ("check_link_status", "degraded"),
        ("link_wait", "500ms"),
        ("announce", "both"),
        ("announce_schedule", "0,100"),
    ])
    .unwrap();
    assert_eq!(params.nic, Some(Nic::Name("bond0.100".parse().unwrap())));
    assert_eq!(params.prefix.map(Prefix::length), Some(24));
    assert_eq!(params.broadcast, Broadcast::Zeros);
    assert_eq!(params.label.as_deref(), Some("sip"));
    assert_eq!(params.link_check, LinkCheck::Degrade);
    assert_eq!(params.announce, Some(Form::Both));
    assert_eq!(read(&[("ip", "192.0.2.10"), ("announce", "none")]).map(|p| p.announce), Ok(None));
    for (word, check) in [("true", LinkCheck::Fail), ("FALSE", LinkCheck::Ignore)] {
        let given = read(&[("ip", "192.0.2.10"), ("check_link_status", word)]).unwrap();
        assert_eq!(given.link_check, check);
    }
}

#[test]
fn addresses_that_are_no_vip() {
    for (text, why) in [
        ("192.0.2", InvalidVip::Syntax),
        ("192.0.2.256", InvalidVip::Syntax),
        ("192.0.2.010", InvalidVip::Syntax),
        (" 192.0.2.10", InvalidVip::Syntax),
        ("192.0.2.10;reboot", InvalidVip::Syntax),
        ("$(reboot)", InvalidVip::Syntax),
        ("192.0.2.10/24", InvalidVip::WithMask),
        ("2001:db8::10/64", InvalidVip::WithMask),
        ("fe80::10%eth0", InvalidVip::WithZone),
        ("::ffff:192.0.2.10", InvalidVip::Mapped),
        ("::", InvalidVip::Unspecified),
        ("::1", InvalidVip::Loopback),
        ("ff02::1", InvalidVip::Multicast),
        ("0.0.0.0", InvalidVip::Unspecified),
        ("127.0.0.1", InvalidVip::Loopback),
        ("224.0.0.1", InvalidVip::Multicast),
        ("255.255.255.255", InvalidVip::Broadcast),
    ] {
        assert_eq!(parse_vip(text), Err(why), "{text}");
    }
}

#[test]
fn each_finding_names_its_parameter() {
    for (name, value) in [
        ("ip", "sip.example.net"),
        ("nic", "eth 0"),
        ("nic", "eth0:a b"),
        ("nic", "0.0.0.0/0"),
        ("nic", "ff:ff:ff:ff:ff:ff"),
        ("nic", "192.0.2.0/33"),
        ("nic", "../eth0"),
        ("cidr_netmask", "0"),
        ("cidr_netmask", "33"),
        ("cidr_netmask", "-24"),
        ("cidr_netmask", "+24"),
        ("cidr_netmask", "255.0.255.0"),
        ("cidr_netmask", "0.0.0.0"),
        ("cidr_netmask", "ffffff00"),
        ("broadcast", "all"),
        ("iflabel", "fourteen-bytes"),
        ("iflabel", "a b"),
        ("iflabel", "a:b"),
        ("iflabel", "é"),
        ("check_link_status", "perhaps"),
        ("link_wait", "-1"),
        ("link_wait", "61s"),
        ("announce", "shout"),
        ("noprefixroute", "perhaps"),
        ("preferred_lft", "-1"),
        ("preferred_lft", "4294967295"),
        ("nodad", "never"),
        ("network_namespace", "a/b"),
        ("duplicate_check", "perhaps"),
        ("duplicate_timeout", "1ms"),
        ("duplicate_wait", "61s"),
        ("announce_targets", "192.0.2.1,sbc"),
        ("announce_targets", "2001:db8::1"),
        ("gateway", "2001:db8::1"),
        ("gateway", "0.0.0.0"),
        ("route_table", "254"),
        ("route_table", "100"),
        ("source_for", "203.0.113.5"),
        ("source_for", "::/0"),
        ("close_connections", "perhaps"),
        ("arp_count", "0"),
        ("arp_interval", "0"),
        ("arp_count_refresh", "101"),
        ("arp_sender", "arping"),
        ("lvs_support", "true"),
        ("mac", "01:00:5e:00:00:01"),
        ("unique_clone_address", "yes"),
        ("clusterip_hash", "sourceip"),
        ("clusterip_firewall", "nft"),
        ("announce_schedule", "0,-50"),
    ] {
        let finding = finding(name, value);
        assert!(finding.starts_with(&format!("{name}={value}: ")), "{finding}");
    }
}

#[test]
fn all_of_them_are_told() {
    let error = read(&[("cidr_netmask", "33"), ("announce", "shout")]).unwrap_err();
    assert!(error.starts_with("ip is missing: "), "{error}");
    assert!(error.contains("cidr_netmask=33: ") && error.contains("announce=shout: "));
}

#[test]
fn the_broadcast_address_of_its_network_is_no_vip() {
    let error = read(&[("ip", "192.0.2.255"), ("cidr_netmask", "24")]).unwrap_err();
    assert_eq!(error, "ip=192.0.2.255: the broadcast address of 192.0.2.0/24: use another address");
    assert!(read(&[("ip", "192.0.2.255"), ("cidr_netmask", "16")]).is_ok());
    assert!(read(&[("ip", "192.0.2.1"), ("cidr_netmask", "31")]).is_ok());
}

#[test]
fn a_value_of_a_megabyte_gets_one_short_line() {
    let long = "9".repeat(1 << 20);
    for parameter in table::DESCRIPTION.parameters {
        let finding = finding(parameter.name, &long);
        assert!(finding.len() < 300, "{finding}");
        assert!(finding.contains("(1048576 bytes)"), "{finding}");
    }
}

#[test]
fn bytes_that_are_no_text_get_a_finding() {
    for parameter in table::DESCRIPTION.parameters {
        let mut values: Values = [("ip", "192.0.2.10")].into_iter().collect();
        values.set(parameter.name, OsString::from_vec(b"\xff\xfe".to_vec()));
        let findings = Params::read(&values).unwrap_err().to_string();
        assert_eq!(findings, format!("{}=\\xff\\xfe: not valid UTF-8", parameter.name));
    }
}

#[test]
fn broadcast_addresses() {
    let ip = Ipv4Addr::new(192, 0, 2, 10);
    let of =
        |broadcast: Broadcast, length| broadcast.of(ip, Prefix::new(Family::V4, length).unwrap());
    assert_eq!(of(Broadcast::Ones, 24), Some(Ipv4Addr::new(192, 0, 2, 255)));
    assert_eq!(of(Broadcast::Zeros, 24), Some(Ipv4Addr::new(192, 0, 2, 0)));
    assert_eq!(of(Broadcast::Ones, 32), None);
    assert_eq!(of(Broadcast::Zeros, 31), None);
    assert_eq!(of(Broadcast::Given(ip), 32), Some(ip));
}

proptest! {
    #[test]
    fn any_text_is_judged_in_one_line(which in 0..table::DESCRIPTION.parameters.len(), value in ".*") {
        let mut values: Values = [("ip", "192.0.2.10")].into_iter().collect();
        values.set(table::DESCRIPTION.parameters[which].name, value);
        if let Err(findings) = Params::read(&values) {
            prop_assert!(!findings.to_string().chars().any(char::is_control));
        }
    }
}

#[test]
fn addresses_are_addresses() {
    let ip = |text: &str| read(&[("ip", text)]).map(|params| params.ip.to_string());
    for text in ["2001:db8::100", "2001:DB8:0:0::100", "2001:0db8:0000:0000:0000:0000:0000:0100"] {
        assert_eq!(ip(text), Ok("2001:db8::100".to_owned()));
    }
    assert!(ip("fe80::10").unwrap_err().contains("also needs nic"));
    assert!(read(&[("ip", "fe80::10"), ("nic", "eth0")]).is_ok());
    for (name, value) in [("nic", "fe80::/64"), ("nic", "02:00:00:00:00:01")] {
        let refused = read(&[("ip", "fe80::10"), (name, value)]).unwrap_err();
        assert!(refused.contains("set nic to the name of an interface"), "{refused}");
    }
    for (name, value) in [("gateway", "fe80::1"), ("source_for", "::/0")] {
        assert!(read(&[("ip", "fe80::10"), ("nic", "eth0"), (name, value)]).is_err(), "{name}");
    }
    let v6 = |name, value| read(&[("ip", "2001:db8::10"), (name, value)]);
    assert_eq!(v6("cidr_netmask", "64").unwrap().prefix.unwrap().length(), 64);
    for (name, value) in [
        ("cidr_netmask", "129"),
        ("cidr_netmask", "255.255.255.0"),
        ("broadcast", "+"),
        ("iflabel", "sip"),
        ("announce_targets", "192.0.2.1"),
    ] {
        assert!(v6(name, value).unwrap_err().starts_with(&format!("{name}={value}: ")));
    }
}

#[test]
fn what_nic_may_be() {
    let nic = |text: &str| read(&[("ip", "192.0.2.10"), ("nic", text)]).unwrap();
    assert_eq!(nic("eth0").nic, Some(Nic::Name("eth0".parse().unwrap())));
    assert_eq!(nic("02:00:00:aa:BB:cc").nic.unwrap().to_string(), "02:00:00:aa:bb:cc");
    assert_eq!(nic("192.0.2.7/24").nic, Some(Nic::Network("192.0.2.0/24".parse().unwrap())));
    assert_eq!(nic("2001:db8::/64").nic, Some(Nic::Network("2001:db8::/64".parse().unwrap())));
    let labelled = nic("eth0:sip");
    assert_eq!(labelled.nic, Some(Nic::Name("eth0".parse().unwrap())));
    assert_eq!(labelled.label.as_deref(), Some("sip"));
    let both = |label| read(&[("ip", "192.0.2.10"), ("nic", "eth0:sip"), ("iflabel", label)]);
    assert!(both("sip").is_ok() && both("other").is_err());
}

#[test]
fn a_schedule_as_ipaddr2_has_it() {
    let schedule = |given: &[(&str, &str)]| {
        let given = [&[("ip", "192.0.2.10")], given].concat();
        read(&given).map(|params| params.schedule.to_string())
    };
    assert_eq!(schedule(&[("arp_count", "2")]), Ok("0,200".to_owned()));
    assert_eq!(schedule(&[("arp_interval", "1000")]), Ok("0,1000,2000,3000,4000".to_owned()));
    assert_eq!(schedule(&[("arp_count", "1"), ("arp_interval", "60000")]), Ok("0".to_owned()));
    let both = schedule(&[("arp_count", "2"), ("announce_schedule", "0,50")]).unwrap_err();
    assert!(both.starts_with("announce_schedule=0,50: "), "{both}");
    let long = schedule(&[("arp_count", "1000"), ("arp_interval", "60000")]).unwrap_err();
    assert!(long.starts_with("arp_count=1000: "), "{long}");
}

#[test]
fn a_resource_of_ipaddr2_moves_over() {
    // Its defaults, and words that do nothing here.
    let given = [
        ("ip", "192.0.2.10"),
        ("nic", "eth0"),
        ("cidr_netmask", "24"),
        ("lvs_support", "false"),
        ("lvs_ipv6_addrlabel", "true"),
        ("lvs_ipv6_addrlabel_value", "99"),
        ("unique_clone_address", "false"),
        ("clusterip_hash", "sourceip-sourceport"),
        ("arp_interval", "200"),
        ("arp_count", "5"),
        ("arp_count_refresh", "0"),
        ("arp_bg", "true"),
        ("arp_sender", "send_arp"),
        ("send_arp_opts", "-A"),
        ("flush_routes", "true"),
        ("run_arping", "true"),
        ("nodad", "false"),
        ("noprefixroute", "false"),
        ("preferred_lft", "forever"),
        ("check_link_status", "true"),
    ];
    let params = read(&given).unwrap();
    let told: Vec<_> =
        params.remarks.iter().filter_map(|remark| remark.split_once('=')).map(|it| it.0).collect();
    assert_eq!(
        told,
        [
            "arp_sender",
            "send_arp_opts",
            "flush_routes",
            "lvs_ipv6_addrlabel",
            "lvs_ipv6_addrlabel_value"
        ]
    );
    assert!(params.duplicates.is_some() && params.nodad == Nodad::No);
    let contradiction =
        read(&[("ip", "192.0.2.10"), ("run_arping", "yes"), ("duplicate_check", "no")]);
    assert!(contradiction.unwrap_err().starts_with("run_arping=yes: "));
    let shared = finding("unique_clone_address", "true");
    assert!(shared.contains("use ocf:heartbeat:IPaddr2"), "{shared}");
}

#[test]
fn the_silence_of_a_duplicate_check() {
    let silence = |word| {
        let params = read(&[("ip", "192.0.2.10"), ("duplicate_check", word)]).unwrap();
        params.duplicates.map(|check| check.silence)
    };
    assert_eq!(silence("calibrated"), Some(SilenceOf::Neighbours));
    for word in ["yes", "true", "On", "1"] {
        assert_eq!(silence(word), Some(SilenceOf::Timeout), "{word}");
    }
    for word in ["no", "false", "Off", "0"] {
        assert_eq!(silence(word), None, "{word}");
    }
}

#[test]
fn routing() {
    let given = [
        ("ip", "192.0.2.10"),
        ("gateway", "192.0.2.254"),
        ("route_table", "100"),
        ("source_for", "0.0.0.0/0, 203.0.113.7/24 0.0.0.0/0"),
    ];
    let params = read(&given).unwrap();
    assert_eq!(params.gateway, "192.0.2.254".parse().ok());
    assert_eq!(params.route_table, Some(100));
    let networks: Vec<_> = params.source_for.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["0.0.0.0/0", "203.0.113.0/24"]);
}

#[test]
fn a_gateway_is_another_host() {
    let with = |prefix: &str, gateway: &str| {
        read(&[("ip", "192.0.2.10"), ("cidr_netmask", prefix), ("gateway", gateway)])
    };
    assert!(with("24", "192.0.2.254").is_ok() && with("31", "192.0.2.11").is_ok());
    assert!(with("24", "192.0.2.10").unwrap_err().contains("the VIP itself: set gateway"));
    for gateway in ["192.0.2.0", "192.0.2.255"] {
        let reason = with("24", gateway).unwrap_err();
        assert!(reason.contains("network or broadcast address of 192.0.2.0/24"), "{reason}");
    }
}
