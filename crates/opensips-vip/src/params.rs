//! The parameters: what an administrator wrote, as typed values. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hostnet::{Family, LinkName, Network, Prefix};
use ocf::{Findings, Reader, Values, parse_duration};

use crate::description as table;
use crate::schedule::Schedule;

/// Longest address label: `IFNAMSIZ` less the terminating zero (linux/if.h). It consists of the
/// link's name, a colon and `iflabel`.
pub const LONGEST_LABEL: usize = 15;

/// The parameters of one virtual IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// `ip`
    pub ip: Ipv4Addr,
    /// `nic`; `None`: where the connected network is.
    pub nic: Option<LinkName>,
    /// `cidr_netmask`; `None`: that of the connected network.
    pub prefix: Option<Prefix>,
    /// `broadcast`
    pub broadcast: Broadcast,
    /// `iflabel`, the part behind the colon.
    pub label: Option<String>,
    /// `check_link_status`
    pub link_check: LinkCheck,
    /// `link_wait`
    pub link_wait: Duration,
    /// `announce`; `None`: neighbours are not told.
    pub announce: Option<Form>,
    /// `announce_schedule`
    pub schedule: Schedule,
}

/// The broadcast address that the VIP gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// All host bits one, the usual form; none for /31 and /32 (RFC 3021). `+`
    Ones,
    /// All host bits zero, as old BSD hosts want it. `-`
    Zeros,
    /// This one.
    Given(Ipv4Addr),
}

impl Broadcast {
    /// The broadcast address for `ip`/`prefix`.
    pub fn of(self, ip: Ipv4Addr, prefix: Prefix) -> Option<Ipv4Addr> {
        let network = Network::of(ip.into(), prefix);
        match (self, network.base()) {
            (Self::Given(broadcast), _) => Some(broadcast),
            (Self::Ones, _) => network.broadcast(),
            (Self::Zeros, IpAddr::V4(base)) if prefix.length() < 31 => Some(base),
            (Self::Zeros, _) => None,
        }
    }
}

/// What a link without carrier means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkCheck {
    /// The VIP does not work: monitor 1.
    Fail,
    /// An operator should look: monitor 190.
    Degrade,
    /// Nothing.
    Ignore,
}

/// The form of an announcement (RFC 5227 section 3 on why requests are the default).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// ARP request, sender = target = VIP.
    Request,
    /// ARP reply nobody asked for.
    Reply,
    /// Both, request first.
    Both,
}

impl Form {
    /// The word of the parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Both => "both",
        }
    }

    /// The form of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Request, Self::Reply, Self::Both].into_iter().find(|form| form.name() == name)
    }
}

/// Why a text is no address for a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVip {
    /// No address at all.
    #[error("not an IPv4 address: give four decimal numbers, like 192.0.2.10")]
    Syntax,
    /// An address with a mask.
    #[error("not an IPv4 address: give the mask as cidr_netmask")]
    WithMask,
    /// An IPv6 address.
    #[error("IPv6 is not supported by this version: give an IPv4 address")]
    Ipv6,
    /// 0.0.0.0
    #[error("the unspecified address can't be a VIP")]
    Unspecified,
    /// 127.0.0.0/8: deleting it on stop would break the host.
    #[error("a loopback address never leaves its host: it can't be a VIP")]
    Loopback,
    /// 224.0.0.0/4
    #[error("a multicast address belongs to no host: it can't be a VIP")]
    Multicast,
    /// 255.255.255.255
    #[error("the broadcast address belongs to no host: it can't be a VIP")]
    Broadcast,
}

/// The address of a VIP.
///
/// # Errors
/// Anything that no neighbour could reach, or that belongs to every host.
pub fn parse_vip(text: &str) -> Result<Ipv4Addr, InvalidVip> {
    let Ok(ip) = text.parse::<Ipv4Addr>() else {
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(InvalidVip::Ipv6);
        }
        let address = text.split_once('/').map(|(address, _)| address);
        return Err(match address.map(str::parse::<IpAddr>) {
            Some(Ok(IpAddr::V4(_))) => InvalidVip::WithMask,
            Some(Ok(IpAddr::V6(_))) => InvalidVip::Ipv6,
            _ => InvalidVip::Syntax,
        });
    };
    if ip.is_unspecified() {
        Err(InvalidVip::Unspecified)
    } else if ip.is_loopback() {
        Err(InvalidVip::Loopback)
    } else if ip.is_multicast() {
        Err(InvalidVip::Multicast)
    } else if ip.is_broadcast() {
        Err(InvalidVip::Broadcast)
    } else {
        Ok(ip)
    }
}

impl Params {
    /// Reads and judges all of them.
    ///
    /// # Errors
    /// Every finding, in the order of the table.
    pub fn read(values: &Values) -> Result<Self, Findings> {
        let mut reader = Reader::new(values);
        let ip = reader.parsed(&table::IP, parse_vip);
        let nic = reader.parsed(&table::NIC, parse_nic);
        let prefix = reader.parsed(&table::CIDR_NETMASK, parse_prefix);
        let broadcast = reader.parsed(&table::BROADCAST, parse_broadcast);
        let label = reader.parsed(&table::IFLABEL, parse_label);
        let link_check = reader.parsed(&table::CHECK_LINK_STATUS, parse_link_check);
        let link_wait = reader.parsed(&table::LINK_WAIT, parse_link_wait);
        let announce = reader.select(&table::ANNOUNCE);
        let schedule = reader.parsed(&table::ANNOUNCE_SCHEDULE, str::parse::<Schedule>);
        if let (Some(ip), Some(prefix)) = (ip, prefix) {
            let network = Network::of(ip.into(), prefix);
            if network.broadcast() == Some(ip) {
                reader.reject(&table::IP, format!("it is the broadcast address of {network}"));
            }
        }
        let complete = || {
            Some(Self {
                ip: ip?,
                nic,
                prefix,
                broadcast: broadcast.unwrap_or(Broadcast::Ones),
                label,
                link_check: link_check?,
                link_wait: link_wait?,
                announce: announce.and_then(Form::from_name),
                schedule: schedule?,
            })
        };
        let complete = complete();
        reader.finish(complete)
    }
}

fn parse_nic(text: &str) -> Result<LinkName, String> {
    if let Some((name, label)) = text.split_once(':')
        && name.parse::<LinkName>().is_ok()
        && parse_label(label).is_ok()
    {
        return Err("an interface has no ':' in its name: give the label as iflabel".to_owned());
    }
    text.parse::<LinkName>().map_err(|error| match error {
        hostnet::Error::InvalidLinkName { why, .. } => format!("not an interface name: {why}"),
        other => other.to_string(),
    })
}

fn parse_prefix(text: &str) -> Result<Prefix, &'static str> {
    const WRONG: &str = "not an IPv4 mask: give a prefix length from 1 to 32, or a mask like \
                         255.255.255.0";
    let prefix = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().and_then(|length| Prefix::new(Family::V4, length).ok())
    } else {
        text.parse().ok().and_then(|mask| Prefix::from_netmask(mask).ok())
    };
    // /0 would make the whole Internet a neighbour.
    prefix.filter(|prefix| prefix.length() > 0).ok_or(WRONG)
}

fn parse_broadcast(text: &str) -> Result<Broadcast, &'static str> {
    match text {
        "+" => Ok(Broadcast::Ones),
        "-" => Ok(Broadcast::Zeros),
        address => address
            .parse()
            .map(Broadcast::Given)
            .map_err(|_| "not a broadcast address: give an IPv4 address, + or -"),
    }
}

fn parse_label(text: &str) -> Result<String, String> {
    // At least one character of the interface's name and the colon come before it. The full
    // length is known only where the interface is: `nic` may be an altname, and the label
    // is made with the name.
    let longest = LONGEST_LABEL - 2;
    if text.len() > longest {
        Err(format!(
            "too long: with the interface's name and a colon a label has {LONGEST_LABEL} bytes at \
             most"
        ))
    } else if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':') {
        Ok(text.to_owned())
    } else {
        Err("not a label: letters, digits and punctuation other than / and : only".to_owned())
    }
}

/// IPaddr2's booleans are accepted beside the words.
fn parse_link_check(text: &str) -> Result<LinkCheck, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" | "y" => Ok(LinkCheck::Fail),
        "degraded" => Ok(LinkCheck::Degrade),
        "no" | "false" | "off" | "0" | "n" => Ok(LinkCheck::Ignore),
        _ => Err("unknown: give one of yes, degraded, no"),
    }
}

fn parse_link_wait(text: &str) -> Result<Duration, String> {
    let wait = parse_duration(text).map_err(|error| error.to_string())?;
    if wait <= Duration::from_secs(60) { Ok(wait) } else { Err("give 60s at most".to_owned()) }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(params.nic, Some("bond0.100".parse().unwrap()));
        assert_eq!(params.prefix.map(Prefix::length), Some(24));
        assert_eq!(params.broadcast, Broadcast::Zeros);
        assert_eq!(params.label.as_deref(), Some("sip"));
        assert_eq!(params.link_check, LinkCheck::Degrade);
        assert_eq!(params.announce, Some(Form::Both));
        assert_eq!(
            read(&[("ip", "192.0.2.10"), ("announce", "none")]).map(|p| p.announce),
            Ok(None)
        );
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
            ("2001:db8::10", InvalidVip::Ipv6),
            ("2001:db8::10/64", InvalidVip::Ipv6),
            ("::ffff:192.0.2.10", InvalidVip::Ipv6),
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
            ("nic", "eth0:sip"),
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
            ("announce_schedule", "0,-50"),
        ] {
            let finding = finding(name, value);
            assert!(finding.starts_with(&format!("{name}={value}: ")), "{finding}");
        }
        assert!(finding("nic", "eth0:sip").ends_with("give the label as iflabel"));
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
        assert_eq!(error, "ip=192.0.2.255: it is the broadcast address of 192.0.2.0/24");
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
        let of = |broadcast: Broadcast, length| {
            broadcast.of(ip, Prefix::new(Family::V4, length).unwrap())
        };
        assert_eq!(of(Broadcast::Ones, 24), Some(Ipv4Addr::new(192, 0, 2, 255)));
        assert_eq!(of(Broadcast::Zeros, 24), Some(Ipv4Addr::new(192, 0, 2, 0)));
        assert_eq!(of(Broadcast::Ones, 32), None);
        assert_eq!(of(Broadcast::Zeros, 31), None);
        assert_eq!(of(Broadcast::Given(ip), 32), Some(ip));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_in_one_line(which in 0usize..9, value in ".*") {
            let mut values: Values = [("ip", "192.0.2.10")].into_iter().collect();
            values.set(table::DESCRIPTION.parameters[which].name, value);
            if let Err(findings) = Params::read(&values) {
                prop_assert!(!findings.to_string().chars().any(char::is_control));
            }
        }
    }
}
