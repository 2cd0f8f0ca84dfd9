//! From the text of each parameter to its value.

use std::net::{IpAddr, Ipv4Addr};

use hostnet::{Family, Lifetime, LinkName, MacAddress, Network, Prefix};

use super::{AnnounceTarget, Broadcast, LinkCheck, MAX_LABEL, Nic, Nodad, SilenceOf};

/// Parses `nic`; the second value is the label of `eth0:label`.
pub(crate) fn parse_nic(text: &str) -> Result<(Nic, Option<String>), String> {
    if text.contains('/') {
        let network: Network =
            text.parse().map_err(|error: hostnet::InvalidNetwork| error.to_string())?;
        if network.prefix().length() == 0 {
            return Err("it contains every address: use a smaller network".to_owned());
        }
        return Ok((Nic::Network(network), None));
    }
    if let Ok(mac) = text.parse::<MacAddress>() {
        if mac.is_multicast() || mac == MacAddress::ZERO {
            return Err("not the MAC address of an interface: use a unicast MAC address".to_owned());
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
            "not an IPv4 netmask: use a prefix length from 1 to 32 or a mask like 255.255.255.0"
        }
        Family::V6 => "not an IPv6 prefix length: use a number from 1 to 128",
    };
    let prefix = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().and_then(|length| Prefix::new(family, length).ok())
    } else if family == Family::V4 {
        text.parse::<Ipv4Addr>().ok().and_then(|mask| Prefix::from_netmask(mask).ok())
    } else {
        None
    };
    // With /0 the kernel looks for every host of the Internet on the link.
    prefix.filter(|prefix| prefix.length() > 0).ok_or(wrong)
}

pub(super) fn parse_broadcast(text: &str) -> Result<Broadcast, &'static str> {
    match text {
        "+" => Ok(Broadcast::Ones),
        "-" => Ok(Broadcast::Zeros),
        address => address
            .parse()
            .map(Broadcast::Given)
            .map_err(|_| "not a broadcast address: use an IPv4 address, + or -"),
    }
}

pub(super) fn parse_label(text: &str) -> Result<String, String> {
    // At least one character of the interface's name and the colon precede the label. The full
    // length is only known on the node: `nic` can be an altname, and the kernel's label contains the
    // name of the interface.
    let max = MAX_LABEL - 2;
    if text.len() > max {
        Err(format!(
            "too long: interface name, colon and label have at most {MAX_LABEL} bytes together"
        ))
    } else if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':') {
        Ok(text.to_owned())
    } else {
        Err("not a label: use letters, digits and punctuation except / and :".to_owned())
    }
}

/// Parses `check_link_status`; IPaddr2 has booleans here.
pub(super) fn parse_link_check(text: &str) -> Result<LinkCheck, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" | "y" => Ok(LinkCheck::Fail),
        "degraded" => Ok(LinkCheck::Degrade),
        "no" | "false" | "off" | "0" | "n" => Ok(LinkCheck::Ignore),
        _ => Err("unknown: use yes, degraded or no"),
    }
}

/// Parses `duplicate_check`; `None`: there is none. Booleans as in other parameters.
pub(super) fn parse_duplicate_check(text: &str) -> Result<Option<SilenceOf>, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "calibrated" => Ok(Some(SilenceOf::Neighbours)),
        "yes" | "true" | "on" | "1" | "y" => Ok(Some(SilenceOf::Timeout)),
        "no" | "false" | "off" | "0" | "n" => Ok(None),
        _ => Err("unknown: use calibrated, yes or no"),
    }
}

/// Limit of the lists of addresses and networks.
const MAX_ENTRIES: usize = 64;

/// Parses `announce_targets`: addresses of the VIP's family, or `gateway`.
pub(super) fn parse_targets(text: &str, family: Family) -> Result<Vec<AnnounceTarget>, String> {
    let mut targets = Vec::new();
    for word in words(text) {
        let target = match word.parse::<IpAddr>() {
            _ if word == "gateway" => AnnounceTarget::Gateway,
            Ok(ip) if Family::of(ip) != family => {
                return Err(format!(
                    "{ip} is not {family}: use addresses of the same family as ip"
                ));
            }
            Ok(ip) if !ip.is_unspecified() && !ip.is_multicast() => AnnounceTarget::Host(ip),
            _ => {
                let word = ocf::shown(word.as_bytes());
                return Err(format!(
                    "{word} is not the address of a host: use addresses or gateway"
                ));
            }
        };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    at_most_max_entries(targets)
}

pub(super) fn parse_gateway(text: &str, family: Family) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(ip) if Family::of(ip) != family => {
            Err(format!("not {family}: use an address of the same family as ip"))
        }
        Ok(ip) if !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback() => Ok(ip),
        _ => Err("not the address of a gateway: use a unicast address".to_owned()),
    }
}

/// Parses `route_table`. 253 to 255 are the kernel's default, main and local table
/// (linux/rtnetlink.h).
pub(super) fn parse_table(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .ok()
        .filter(|table| *table > 0 && !(253..=255).contains(table))
        .ok_or("not the number of a table: use 1 to 4294967295, except 253 to 255")
}

/// Parses `source_for`: networks of the VIP's family.
pub(super) fn parse_destinations(text: &str, family: Family) -> Result<Vec<Network>, String> {
    let mut networks = Vec::new();
    for word in words(text) {
        let shown = || ocf::shown(word.as_bytes());
        let network = word.parse::<Network>().map_err(|_| {
            format!("{} is not a network: use networks like 203.0.113.0/24, or 0.0.0.0/0", shown())
        })?;
        if Family::of(network.base()) != family {
            return Err(format!(
                "{} is not {family}: use networks of the same family as ip",
                shown()
            ));
        }
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    at_most_max_entries(networks)
}

fn at_most_max_entries<T>(list: Vec<T>) -> Result<Vec<T>, String> {
    if list.len() > MAX_ENTRIES {
        Err(format!("too many entries: use at most {MAX_ENTRIES}"))
    } else {
        Ok(list)
    }
}

/// The entries of a list that is separated by commas or spaces.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

/// Parses `preferred_lft` as ip-address(8) does.
pub(super) fn parse_lifetime(text: &str) -> Result<Lifetime, &'static str> {
    if text == "forever" {
        return Ok(Lifetime::Forever);
    }
    let seconds =
        if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    // The kernel takes all ones (INFINITY_LIFE_TIME) for forever.
    seconds
        .filter(|seconds: &u32| *seconds < u32::MAX)
        .map(Lifetime::Seconds)
        .ok_or("not a lifetime: use forever or a number of seconds")
}

/// Parses `nodad`; IPaddr2 has booleans here.
pub(super) fn parse_nodad(text: &str) -> Result<Nodad, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(Nodad::Auto),
        "yes" | "true" | "on" | "1" | "y" => Ok(Nodad::Yes),
        "no" | "false" | "off" | "0" | "n" => Ok(Nodad::No),
        _ => Err("unknown: use auto, yes or no"),
    }
}
