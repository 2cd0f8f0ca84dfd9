//! Neighbor Discovery over Ethernet (RFC 4861, RFC 4862): frames as bytes, built and matched;
//! no effect here.
//!
//! Options are read by hand: pnet computes the length of an option of 256 bytes and more in
//! eight bits.

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

/// An unsolicited Neighbor Advertisement (RFC 4861 sections 4.4 and 7.2.6): "`ip` is at `mac`
/// now", to every node on the link.
///
/// Override is set, so that caches that have another address for `ip` change it; Solicited is
/// clear. `router` must say whether this host forwards on the link: an advertisement without
/// it makes the neighbours drop routes through a host they know as a router (7.2.5). The
/// source is `ip` itself, as it is for the kernel. Also right while `ip` is optimistic here.
#[must_use]
pub fn announcement(mac: MacAddress, ip: Ipv6Addr, router: bool) -> Vec<u8> {
    advertisement(mac, ip, router, (multicast_mac(ALL_NODES), ALL_NODES))
}

/// The same to one host only: its hardware address and an IPv6 address of it.
///
/// Solicited stays clear: the host did not ask, and reachability is not confirmed by this.
#[must_use]
pub fn announcement_to(
    mac: MacAddress,
    ip: Ipv6Addr,
    router: bool,
    to: (MacAddress, Ipv6Addr),
) -> Vec<u8> {
    advertisement(mac, ip, router, to)
}

/// The Neighbor Solicitation of duplicate address detection (RFC 4862 section 5.4.2): "has
/// anybody `ip`?", from the unspecified address to the solicited-node group, without options. No
/// cache learns from it. Who has the address answers to [`ALL_NODES`]; who is about to take it
/// into use, and detects duplicates itself, gives it up.
#[must_use]
pub fn probe(mac: MacAddress, ip: Ipv6Addr) -> Vec<u8> {
    solicitation(mac, Ipv6Addr::UNSPECIFIED, ip)
}

/// An ordinary Neighbor Solicitation (RFC 4861 section 4.3): who has `target`? Tell `ip` at
/// `mac`. The answer comes to `ip`, which must be an address of this host.
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
    // The buffer has just the minimum size, so the packet always exists.
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
    // Without a source there is nobody to answer to (RFC 4861 section 4.3).
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
        // Our messages are 24 or 32 bytes long.
        ip.set_payload_length(u16::try_from(message.len()).unwrap_or_default());
        ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
        ip.set_hop_limit(HOP_LIMIT);
        ip.set_source(from);
        ip.set_destination(to);
    }
    bytes.extend(message);
    bytes
}

/// What a Neighbor Advertisement or Solicitation says, whatever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborMessage {
    /// An Advertisement; otherwise a Solicitation.
    pub is_advertisement: bool,
    /// The hardware address that sent the frame.
    pub sender_mac: MacAddress,
    /// The IPv6 address it is from; `::` in a probe.
    pub source: Ipv6Addr,
    /// The IPv6 address it is to.
    pub destination: Ipv6Addr,
    /// The address it is about.
    pub target: Ipv6Addr,
    /// The target's (Advertisement) or source's (Solicitation) hardware address, where its
    /// option is there.
    pub link_layer: Option<MacAddress>,
    /// Advertisement: the sender is a router.
    pub router: bool,
    /// Advertisement: the answer to a Solicitation to this host.
    pub solicited: bool,
    /// Advertisement: caches are to be changed.
    pub overrides: bool,
}

impl NeighborMessage {
    /// Reads an Ethernet frame; `None` if it is anything else, or not valid by RFC 4861 sections
    /// 7.1.1 and 7.1.2: hop limit 255, right checksum, code 0, no option of length 0 or
    /// beyond the end, no multicast target, a Solicitation from `::` to a solicited-node group
    /// and without source, an Advertisement to a group not marked as solicited. Extension
    /// headers are not looked behind: nobody sends them here, and fragments are forbidden
    /// (RFC 6980). What trails the IPv6 packet is padding.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ethernet = EthernetPacket::new(frame)?;
        if ethernet.get_ethertype() != EtherTypes::Ipv6 {
            return None;
        }
        let ip = Ipv6Packet::new(ethernet.payload())?;
        let neighbourly = ip.get_version() == 6
            && ip.get_next_header() == IpNextHeaderProtocols::Icmpv6
            && ip.get_hop_limit() == HOP_LIMIT;
        // All of it: pnet's own payload ends quietly where a truncated packet does.
        let length = usize::from(ip.get_payload_length());
        let message = ip.packet().get(IPV6_HEADER_LENGTH..)?.get(..length)?;
        let icmp = Icmpv6Packet::new(message).filter(|_| neighbourly)?;
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

    /// Who claims to have `ip` by this message: who advertises it, or solicits from it. The
    /// caller compares the answer with its own hardware address.
    #[must_use]
    pub fn claims(&self, ip: Ipv6Addr) -> Option<MacAddress> {
        let claimed = if self.is_advertisement { self.target } else { self.source };
        (claimed == ip && !ip.is_unspecified()).then(|| self.link_layer.unwrap_or(self.sender_mac))
    }

    /// Who is about to take `ip` into use as we are: who solicits it from the unspecified
    /// address (RFC 4862 section 5.4.3).
    #[must_use]
    pub fn probes(&self, ip: Ipv6Addr) -> Option<MacAddress> {
        let is_probe = !self.is_advertisement && self.source.is_unspecified() && self.target == ip;
        is_probe.then_some(self.sender_mac)
    }
}

/// The link-layer address in the options, of which only the type `wanted` is looked at;
/// `None` if the options are malformed.
fn read_option(wanted: u8, mut options: &[u8]) -> Option<Option<MacAddress>> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        let length = usize::from(units) * OPTION_LENGTH;
        let (option, rest) = options.split_at_checked(length).filter(|_| length > 0)?;
        if kind == wanted {
            // Another length is not Ethernet's.
            found = Some(MacAddress::from_slice(option.get(2..)?)?);
        }
        options = rest;
    }
    // A single byte is left of an option that was cut off.
    options.is_empty().then_some(found)
}

#[cfg(test)]
mod tests;
