//! From the text of a parameter to its value.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hostnet::{Family, Lifetime, LinkName, MacAddress, Network, Prefix};
use ocf::parse_duration;

use super::{AnnounceTarget, Broadcast, LONGEST_LABEL, LinkCheck, Nic, Nodad};

/// What `nic` names, and the label of `eth0:label`.
pub(crate) fn parse_nic(text: &str) -> Result<(Nic, Option<String>), String> {
    if text.contains('/') {
        let network: Network =
            text.parse().map_err(|error: hostnet::InvalidNetwork| error.to_string())?;
        if network.prefix().length() == 0 {
            return Err("every address is in this network: give a smaller one".to_owned());
        }
        return Ok((Nic::Network(network), None));
    }
    if let Ok(mac) = text.parse::<MacAddress>() {
        if mac.is_multicast() || mac == MacAddress::ZERO {
            return Err("no interface has this MAC address".to_owned());
        }
        return Ok((Nic::Mac(mac), None));
    }
    let (name, label) = match text.split_once(':') {
        Some((name, label)) => (name, Some(parse_label(label)?)),
        None => (text, None),
    };
    match name.parse::<LinkName>() {
        Ok(name) => Ok((Nic::Name(name), label)),
        Err(error) => Err(format!("not an interface name: {}", error.why)),
    }
}

pub(super) fn parse_prefix(text: &str, family: Family) -> Result<Prefix, &'static str> {
    let wrong = match family {
        Family::V4 => {
            "not an IPv4 mask: give a prefix length from 1 to 32, or a mask like 255.255.255.0"
        }
        Family::V6 => "not an IPv6 prefix length: give a number from 1 to 128",
    };
    let prefix = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().and_then(|length| Prefix::new(family, length).ok())
    } else if family == Family::V4 {
        text.parse::<Ipv4Addr>().ok().and_then(|mask| Prefix::from_netmask(mask).ok())
    } else {
        None
    };
    // /0 would make the whole Internet a neighbour.
    prefix.filter(|prefix| prefix.length() > 0).ok_or(wrong)
}

pub(super) fn parse_broadcast(text: &str) -> Result<Broadcast, &'static str> {
    match text {
        "+" => Ok(Broadcast::Ones),
        "-" => Ok(Broadcast::Zeros),
        address => address
            .parse()
            .map(Broadcast::Given)
            .map_err(|_| "not a broadcast address: give an IPv4 address, + or -"),
    }
}

pub(super) fn parse_label(text: &str) -> Result<String, String> {
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
pub(super) fn parse_link_check(text: &str) -> Result<LinkCheck, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" | "y" => Ok(LinkCheck::Fail),
        "degraded" => Ok(LinkCheck::Degrade),
        "no" | "false" | "off" | "0" | "n" => Ok(LinkCheck::Ignore),
        _ => Err("unknown: give one of yes, degraded, no"),
    }
}

pub(super) fn parse_link_wait(text: &str) -> Result<Duration, String> {
    let wait = parse_duration(text).map_err(|error| error.to_string())?;
    if wait <= Duration::from_secs(60) { Ok(wait) } else { Err("give 60s at most".to_owned()) }
}

/// Addresses of the VIP's family, or `gateway`, separated by commas or blanks.
pub(super) fn parse_targets(text: &str, family: Family) -> Result<Vec<AnnounceTarget>, String> {
    const MOST: usize = 64;
    let mut targets = Vec::new();
    for word in words(text) {
        let target = match word.parse::<IpAddr>() {
            _ if word == "gateway" => AnnounceTarget::Gateway,
            Ok(ip) if Family::of(ip) != family => {
                return Err(format!("{ip} is not {family} like ip"));
            }
            Ok(ip) if !ip.is_unspecified() && !ip.is_multicast() => AnnounceTarget::Host(ip),
            _ => {
                let word = ocf::shown(word.as_bytes());
                return Err(format!("{word} is no address of a host: give addresses, or gateway"));
            }
        };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    if targets.len() > MOST { Err(format!("too many: {MOST} at most")) } else { Ok(targets) }
}

pub(super) fn parse_gateway(text: &str, family: Family) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(ip) if Family::of(ip) != family => Err(format!("it is not {family} like ip")),
        Ok(ip) if !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback() => Ok(ip),
        _ => Err("not the address of a gateway".to_owned()),
    }
}

/// Not the kernel's own: default, main, local (linux/rtnetlink.h).
pub(super) fn parse_table(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .ok()
        .filter(|table| *table > 0 && !(253..=255).contains(table))
        .ok_or("not a table of its own: give a number from 1 to 4294967295, not 253 to 255")
}

/// Networks of the VIP's family, separated by commas or blanks.
pub(super) fn parse_destinations(text: &str, family: Family) -> Result<Vec<Network>, String> {
    const MOST: usize = 64;
    let mut networks = Vec::new();
    for word in words(text) {
        let shown = || ocf::shown(word.as_bytes());
        let network = word.parse::<Network>().map_err(|_| {
            format!("{} is no network: give networks like 203.0.113.0/24, or 0.0.0.0/0", shown())
        })?;
        if Family::of(network.base()) != family {
            return Err(format!("{} is not {family} like ip", shown()));
        }
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    if networks.len() > MOST { Err(format!("too many: {MOST} at most")) } else { Ok(networks) }
}

/// The entries of a list.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

/// `forever`, as ip-address(8) has it, or seconds.
pub(super) fn parse_lifetime(text: &str) -> Result<Lifetime, &'static str> {
    if text == "forever" {
        return Ok(Lifetime::Forever);
    }
    let seconds =
        if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    // All ones is for ever to the kernel.
    seconds
        .filter(|seconds: &u32| *seconds < u32::MAX)
        .map(Lifetime::Seconds)
        .ok_or("not a lifetime: give forever, or a number of seconds")
}

/// IPaddr2's booleans are accepted beside the words.
pub(super) fn parse_nodad(text: &str) -> Result<Nodad, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(Nodad::Auto),
        "yes" | "true" | "on" | "1" | "y" => Ok(Nodad::Yes),
        "no" | "false" | "off" | "0" | "n" => Ok(Nodad::No),
        _ => Err("unknown: give one of auto, yes, no"),
    }
}
