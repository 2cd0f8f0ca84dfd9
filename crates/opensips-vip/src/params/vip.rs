//! Which addresses can be a VIP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hostnet::Network;

/// Why a text is not the address of a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidVip {
    #[error("not an IP address: use one like 192.0.2.10 or 2001:db8::10")]
    Syntax,
    #[error("not an IP address: set the mask with cidr_netmask")]
    WithMask,
    #[error("not an IP address: set the interface with nic")]
    WithZone,
    /// `::ffff:192.0.2.10`
    #[error("an IPv4 address written as IPv6: use its IPv4 form")]
    Mapped,
    /// `0.0.0.0`, `::`
    #[error("the unspecified address can't be a VIP: use a unicast address")]
    Unspecified,
    /// 127.0.0.0/8, `::1`: its deletion on stop breaks the host.
    #[error("a loopback address can't be a VIP: use an address that other hosts can reach")]
    Loopback,
    /// 224.0.0.0/4, `ff00::/8`
    #[error("a multicast address can't be a VIP: use a unicast address")]
    Multicast,
    /// 255.255.255.255
    #[error("the broadcast address can't be a VIP: use a unicast address")]
    Broadcast,
}

/// Parses the address of a VIP.
///
/// # Errors
/// An address that no other host can reach, or that belongs to every host.
pub(crate) fn parse_vip(text: &str) -> Result<IpAddr, InvalidVip> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        let is_address = |part: Option<(&str, &str)>| {
            part.is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok())
        };
        return Err(if is_address(text.split_once('/')) {
            InvalidVip::WithMask
        } else if is_address(text.split_once('%')) {
            InvalidVip::WithZone
        } else {
            InvalidVip::Syntax
        });
    };
    if ip.is_unspecified() {
        Err(InvalidVip::Unspecified)
    } else if ip.is_loopback() {
        Err(InvalidVip::Loopback)
    } else if ip.is_multicast() {
        Err(InvalidVip::Multicast)
    } else if ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Err(InvalidVip::Broadcast)
    } else if matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()) {
        Err(InvalidVip::Mapped)
    } else {
        Ok(ip)
    }
}

/// Returns true for `fe80::/10`: on every link the same address is a different one (RFC 4007).
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if Ipv6Addr::is_unicast_link_local(&ip))
}

/// Returns true for the network address and the broadcast address of an IPv4 network (/31 has none, RFC 3021).
pub(crate) fn is_no_host(ip: IpAddr, network: Network) -> bool {
    let Some(broadcast) = network.broadcast() else { return false };
    ip == network.base() || ip == IpAddr::V4(broadcast)
}
