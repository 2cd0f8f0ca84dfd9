//! Neighbor Discovery over Ethernet (RFC 4861, RFC 4862): frames are built and parsed; no effect in
//! here.
//!
//! Options are parsed here and not by pnet, which computes the length of an option in eight bits,
//! too few for 256 bytes and more.

use std::net::Ipv6Addr;

use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{
    MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOptionTypes, NeighborAdvertFlags,
    NeighborAdvertPacket, NeighborSolicitPacket,
};
use pnet::packet::icmpv6::{Icmpv6Code, Icmpv6Packet, Icmpv6Type, Icmpv6Types, checksum};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet::util::MacAddr;

use crate::link::MacAddress;

/// `ff02::1`: every node on the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const ETHERNET_HEADER_LENGTH: usize = 14;
const IPV6_HEADER_LENGTH: usize = 40;
/// ICMPv6 type, code, checksum (4), flags or reserved (4), target address (16); options follow.
const MESSAGE_LENGTH: usize = 24;
/// A link-layer address option for Ethernet: type, length in units of eight bytes, MAC address.
const OPTION_LENGTH: usize = 8;
/// No router has forwarded it (RFC 4861 sections 4.3 and 4.4).
const HOP_LIMIT: u8 = 255;

/// An unsolicited Neighbor Advertisement (RFC 4861 sections 4.4 and 7.2.6) to every node on the
/// link: `ip` is at `mac` now.
///
/// Override is set, so that caches that have another hardware address for `ip` change it; Solicited
/// is clear. `router` must be true if this host forwards on the link: an advertisement without it
/// makes the neighbours drop routes through a host that they know as a router (section 7.2.5). The
/// source is `ip` itself, as in the kernel's own, also while `ip` is optimistic (RFC 4429).
#[must_use]
pub fn announcement(mac: MacAddress, ip: Ipv6Addr, router: bool) -> Vec<u8> {
    advertisement(mac, ip, router, (multicast_mac(ALL_NODES), ALL_NODES))
}

/// The same to one host, given by its hardware address and an IPv6 address of it.
///
/// Solicited stays clear: the host did not ask, and this does not confirm reachability.
#[must_use]
pub fn announcement_to(
    mac: MacAddress,
    ip: Ipv6Addr,
    router: bool,
    to: (MacAddress, Ipv6Addr),
) -> Vec<u8> {
    advertisement(mac, ip, router, to)
}

/// The Neighbor Solicitation of duplicate address detection (RFC 4862 section 5.4.2), which asks
/// whether a host has `ip`: from the unspecified address to the solicited-node group, without
/// options. No cache learns from it. A host that has the address answers to [`ALL_NODES`]; a host
/// that is detecting duplicates of it itself gives it up.
#[must_use]
pub fn probe(mac: MacAddress, ip: Ipv6Addr) -> Vec<u8> {
    solicitation(mac, Ipv6Addr::UNSPECIFIED, ip)
}

/// An ordinary Neighbor Solicitation (RFC 4861 section 4.3) from `ip` at `mac` for the hardware
/// address of `target`. The answer goes to `ip`, which must be an address of this host.
#[must_use]
pub fn request(mac: MacAddress, ip: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    solicitation(mac, ip, target)
}

/// The solicited-node multicast address of `ip`: `ff02::1:ff00:0/104` and its last 24 bits
/// (RFC 4291 section 2.7.1).
pub(super) fn solicited_node(ip: Ipv6Addr) -> Ipv6Addr {
    const PREFIX: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0);
    Ipv6Addr::from_bits(PREFIX.to_bits() | ip.to_bits() & 0x00ff_ffff)
}

/// The Ethernet address of an IPv6 multicast group: 33:33 and its last 32 bits (RFC 2464
/// section 7).
fn multicast_mac(group: Ipv6Addr) -> MacAddress {
    let [.., a, b, c, d] = group.octets();
    MacAddress([0x33, 0x33, a, b, c, d])
}

fn advertisement(
    mac: MacAddress,
    ip: Ipv6Addr,
    router: bool,
    (to_mac, to): (MacAddress, Ipv6Addr),
) -> Vec<u8> {
    let mut message = [0; MESSAGE_LENGTH];
    // The buffer has exactly the minimum size, so that the packet exists.
    if let Some(mut packet) = MutableNeighborAdvertPacket::new(&mut message) {
        packet.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        let router = if router { NeighborAdvertFlags::Router } else { 0 };
        packet.set_flags(router | NeighborAdvertFlags::Override);
        packet.set_target_addr(ip);
    }
    let option = link_layer_option(NdpOptionTypes::TargetLLAddr.0, mac);
    frame((mac, to_mac), (ip, to), &[&message[..], &option].concat())
}

fn solicitation(mac: MacAddress, source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let mut message = [0; MESSAGE_LENGTH];
    if let Some(mut packet) = MutableNeighborSolicitPacket::new(&mut message) {
        packet.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        packet.set_target_addr(target);
    }
    let mut message = message.to_vec();
    // The option is forbidden with the unspecified source (RFC 4861 section 4.3).
    if !source.is_unspecified() {
        message.extend(link_layer_option(NdpOptionTypes::SourceLLAddr.0, mac));
    }
    let group = solicited_node(target);
    frame((mac, multicast_mac(group)), (source, group), &message)
}

fn link_layer_option(kind: u8, mac: MacAddress) -> [u8; OPTION_LENGTH] {
    let [a, b, c, d, e, f] = mac.0;
    [kind, 1, a, b, c, d, e, f]
}

/// Ethernet header (destination, source, EtherType 0x86dd), IPv6 header, ICMPv6 message, whose
/// checksum is computed here.
fn frame(
    (from_mac, to_mac): (MacAddress, MacAddress),
    (from, to): (Ipv6Addr, Ipv6Addr),
    message: &[u8],
) -> Vec<u8> {
    let mut message = message.to_vec();
    let sum = Icmpv6Packet::new(&message).map_or(0, |packet| checksum(&packet, &from, &to));
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    let mut bytes = vec![0; ETHERNET_HEADER_LENGTH + IPV6_HEADER_LENGTH];
    let (ethernet, ip) = bytes.split_at_mut(ETHERNET_HEADER_LENGTH);
    if let Some(mut ethernet) = MutableEthernetPacket::new(ethernet) {
        ethernet.set_destination(MacAddr::from(to_mac.0));
        ethernet.set_source(MacAddr::from(from_mac.0));
        ethernet.set_ethertype(EtherTypes::Ipv6);
    }
    if let Some(mut ip) = MutableIpv6Packet::new(ip) {
        ip.set_version(6);
        // Messages made here are 24 or 32 bytes long.
        ip.set_payload_length(u16::try_from(message.len()).unwrap_or_default());
        ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
        ip.set_hop_limit(HOP_LIMIT);
        ip.set_source(from);
        ip.set_destination(to);
    }
    bytes.extend(message);
    bytes
}

/// The content of a Neighbor Advertisement or Solicitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborMessage {
    /// Whether it is an Advertisement, and not a Solicitation.
    pub is_advertisement: bool,
    /// The hardware address that sent the frame.
    pub sender_mac: MacAddress,
    /// The IPv6 source address; `::` in a probe.
    pub source: Ipv6Addr,
    /// The IPv6 destination address.
    pub destination: Ipv6Addr,
    /// The address that is advertised or asked for.
    pub target: Ipv6Addr,
    /// The hardware address of the target (Advertisement) or source (Solicitation), if the message
    /// has that option.
    pub link_layer: Option<MacAddress>,
    /// Advertisement: the sender is a router.
    pub router: bool,
    /// Advertisement: it answers a Solicitation of its destination.
    pub solicited: bool,
    /// Advertisement: caches are to replace what they have (the flag Override).
    pub overrides: bool,
}

impl NeighborMessage {
    /// Reads an Ethernet frame; `None` if it is anything else, or not valid by RFC 4861 sections
    /// 7.1.1 and 7.1.2: hop limit 255, right checksum, code 0, no option of length 0 or
    /// beyond the end, no multicast target, a Solicitation from `::` to a solicited-node group
    /// and without source option, an Advertisement to a group not marked as solicited. A message
    /// after extension headers is not parsed: hosts don't send such messages, and fragments are
    /// forbidden (RFC 6980). Bytes after the IPv6 packet are padding.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ethernet = EthernetPacket::new(frame)?;
        if ethernet.get_ethertype() != EtherTypes::Ipv6 {
            return None;
        }
        let ip = Ipv6Packet::new(ethernet.payload())?;
        let plausible = ip.get_version() == 6
            && ip.get_next_header() == IpNextHeaderProtocols::Icmpv6
            && ip.get_hop_limit() == HOP_LIMIT;
        // The payload of pnet is shorter, without an error, if the packet was truncated.
        let length = usize::from(ip.get_payload_length());
        let message = ip.packet().get(IPV6_HEADER_LENGTH..)?.get(..length)?;
        let icmp = Icmpv6Packet::new(message).filter(|_| plausible)?;
        let (source, destination) = (ip.get_source(), ip.get_destination());
        if icmp.get_icmpv6_code() != Icmpv6Code(0)
            || icmp.get_checksum() != checksum(&icmp, &source, &destination)
        {
            return None;
        }
        let sender_mac = MacAddress(ethernet.get_source().octets());
        let message = Self::read(icmp.get_icmpv6_type(), message)?;
        let message = Self { sender_mac, source, destination, ..message };
        message.is_valid().then_some(message)
    }

    /// The ICMPv6 message alone.
    fn read(kind: Icmpv6Type, message: &[u8]) -> Option<Self> {
        let (target, flags, wanted) = match kind {
            Icmpv6Types::NeighborAdvert => {
                let packet = NeighborAdvertPacket::new(message)?;
                (packet.get_target_addr(), packet.get_flags(), NdpOptionTypes::TargetLLAddr)
            }
            Icmpv6Types::NeighborSolicit => {
                let packet = NeighborSolicitPacket::new(message)?;
                (packet.get_target_addr(), 0, NdpOptionTypes::SourceLLAddr)
            }
            _ => return None,
        };
        Some(Self {
            is_advertisement: kind == Icmpv6Types::NeighborAdvert,
            sender_mac: MacAddress::ZERO,
            source: Ipv6Addr::UNSPECIFIED,
            destination: Ipv6Addr::UNSPECIFIED,
            target,
            link_layer: read_option(wanted.0, message.get(MESSAGE_LENGTH..)?)?,
            router: flags & NeighborAdvertFlags::Router != 0,
            solicited: flags & NeighborAdvertFlags::Solicited != 0,
            overrides: flags & NeighborAdvertFlags::Override != 0,
        })
    }

    fn is_valid(&self) -> bool {
        let possible = if self.is_advertisement {
            !(self.solicited && self.destination.is_multicast())
        } else {
            !self.source.is_unspecified()
                || self.link_layer.is_none() && self.destination == solicited_node(self.target)
        };
        possible && !self.target.is_multicast() && !self.source.is_multicast()
    }

    /// The hardware address that claims `ip` with this message: of a host that advertises it, or
    /// that solicits from it. The caller compares it with its own.
    #[must_use]
    pub fn claims(&self, ip: Ipv6Addr) -> Option<MacAddress> {
        let claimed = if self.is_advertisement { self.target } else { self.source };
        (claimed == ip && !ip.is_unspecified()).then(|| self.link_layer.unwrap_or(self.sender_mac))
    }

    /// The hardware address that is about to use `ip`: of a host that solicits it from the
    /// unspecified address (RFC 4862 section 5.4.3).
    #[must_use]
    pub fn probes(&self, ip: Ipv6Addr) -> Option<MacAddress> {
        let is_probe = !self.is_advertisement && self.source.is_unspecified() && self.target == ip;
        is_probe.then_some(self.sender_mac)
    }
}

/// The link-layer address in the option of type `wanted`; the outer `None` if the options are
/// malformed.
fn read_option(wanted: u8, mut options: &[u8]) -> Option<Option<MacAddress>> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * OPTION_LENGTH;
        let (option, rest) = options.split_at_checked(length).filter(|_| length > 0)?;
        if kind == wanted {
            // Ethernet addresses have this length only.
            found = Some(MacAddress::from_slice(option.get(2..)?)?);
        }
        options = rest;
    }
    // A single byte that is left is an option that was cut off.
    options.is_empty().then_some(found)
}

#[cfg(test)]
mod tests;
