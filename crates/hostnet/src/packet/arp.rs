//! ARP over Ethernet (RFC 826, RFC 5227): frames are built and parsed; no effect in here.

use std::net::Ipv4Addr;

use pnet::packet::Packet;
use pnet::packet::arp::{
    ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket,
};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::util::MacAddr;

use crate::link::MacAddress;

/// An Ethernet header (14 bytes) and an ARP packet for IPv4 (28 bytes). Drivers pad to the
/// Ethernet minimum of 60.
const FRAME_LENGTH: usize = 42;

const ETHERNET_HEADER_LENGTH: usize = 14;

/// One ARP frame, ready for the wire: destination and source MAC (6 + 6), EtherType 0x0806;
/// hardware type 1, protocol type 0x0800, lengths 6 and 4, operation, sender MAC and IP,
/// target MAC and IP.
pub type Frame = [u8; FRAME_LENGTH];

/// An ARP announcement as a *request* (RFC 5227 section 2.3) to every host: `mac` has `ip`.
///
/// Sender and target protocol address are both `ip`. Every stack updates its cache from a request,
/// while some ignore unsolicited replies (RFC 5227 section 3). Receivers ignore the target hardware
/// address; it is the broadcast address, as keepalived and ocf:heartbeat:IPaddr2 send it, because
/// some filters pass only the frames that they know.
#[must_use]
pub fn announcement_request(mac: MacAddress, ip: Ipv4Addr) -> Frame {
    frame(MacAddress::BROADCAST, ArpOperations::Request, (mac, ip), (MacAddress::BROADCAST, ip))
}

/// An ARP announcement as a *reply*, for switches and firewalls that accept nothing else
/// (resource-agents pull request 977).
///
/// It goes to one host, or to every host if `to` is [`MacAddress::BROADCAST`]. The target hardware
/// address is the receiver's, as in the reply to a request; the target protocol address is `ip`.
#[must_use]
pub fn announcement_reply(mac: MacAddress, ip: Ipv4Addr, to: MacAddress) -> Frame {
    frame(to, ArpOperations::Reply, (mac, ip), (to, ip))
}

/// An ARP probe (RFC 5227 section 2.1.1): asks whether a host has `ip`, without a claim to it. The
/// sender protocol address is 0.0.0.0, so that no cache learns from it.
#[must_use]
pub fn probe(mac: MacAddress, ip: Ipv4Addr) -> Frame {
    let sender = (mac, Ipv4Addr::UNSPECIFIED);
    frame(MacAddress::BROADCAST, ArpOperations::Request, sender, (MacAddress::ZERO, ip))
}

/// An ordinary ARP request from `ip` at `mac` for the hardware address of `target`.
#[must_use]
pub fn request(mac: MacAddress, ip: Ipv4Addr, target: Ipv4Addr) -> Frame {
    frame(MacAddress::BROADCAST, ArpOperations::Request, (mac, ip), (MacAddress::ZERO, target))
}

fn frame(
    to: MacAddress,
    operation: ArpOperation,
    (sender_mac, sender_ip): (MacAddress, Ipv4Addr),
    (target_mac, target_ip): (MacAddress, Ipv4Addr),
) -> Frame {
    let mut bytes = [0; FRAME_LENGTH];
    let (header, payload) = bytes.split_at_mut(ETHERNET_HEADER_LENGTH);
    // Both buffers have exactly the minimum size, so that both packets exist.
    if let Some(mut ethernet) = MutableEthernetPacket::new(header) {
        ethernet.set_destination(to_pnet(to));
        ethernet.set_source(to_pnet(sender_mac));
        ethernet.set_ethertype(EtherTypes::Arp);
    }
    if let Some(mut arp) = MutableArpPacket::new(payload) {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(operation);
        arp.set_sender_hw_addr(to_pnet(sender_mac));
        arp.set_sender_proto_addr(sender_ip);
        arp.set_target_hw_addr(to_pnet(target_mac));
        arp.set_target_proto_addr(target_ip);
    }
    bytes
}

/// The content of an ARP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Whether it is a reply (operation 2), and not a request (1).
    pub is_reply: bool,
    /// The hardware address of the sender.
    pub sender_mac: MacAddress,
    /// The address that the sender claims; 0.0.0.0 in a probe.
    pub sender_ip: Ipv4Addr,
    /// The hardware address of the receiver; without meaning in a request.
    pub target_mac: MacAddress,
    /// The address of the receiver, or the one that a request asks for.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Reads an Ethernet frame; `None` if it is not ARP for IPv4 over Ethernet, or too short,
    /// or neither request nor reply. Trailing padding is ignored.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ethernet = EthernetPacket::new(frame)?;
        if ethernet.get_ethertype() != EtherTypes::Arp {
            return None;
        }
        let arp = ArpPacket::new(ethernet.payload())?;
        let well_formed = arp.get_hardware_type() == ArpHardwareTypes::Ethernet
            && arp.get_protocol_type() == EtherTypes::Ipv4
            && arp.get_hw_addr_len() == 6
            && arp.get_proto_addr_len() == 4;
        let is_reply = match arp.get_operation() {
            ArpOperations::Request => false,
            ArpOperations::Reply => true,
            _ => return None,
        };
        well_formed.then(|| Self {
            is_reply,
            sender_mac: of_pnet(arp.get_sender_hw_addr()),
            sender_ip: arp.get_sender_proto_addr(),
            target_mac: of_pnet(arp.get_target_hw_addr()),
            target_ip: arp.get_target_proto_addr(),
        })
    }

    /// The hardware address that claims `ip` with this packet: the sender of any ARP packet,
    /// request or reply, whose sender protocol address is `ip` (RFC 5227 section 2.1.1). The caller
    /// compares it with its own.
    #[must_use]
    pub fn claims(&self, ip: Ipv4Addr) -> Option<MacAddress> {
        (self.sender_ip == ip).then_some(self.sender_mac)
    }

    /// The hardware address that is about to use `ip`: the sender of a probe for it, which RFC 5227
    /// section 2.1.1 counts as a conflict, too.
    #[must_use]
    pub fn probes(&self, ip: Ipv4Addr) -> Option<MacAddress> {
        let is_probe = !self.is_reply && self.sender_ip.is_unspecified() && self.target_ip == ip;
        is_probe.then_some(self.sender_mac)
    }
}

fn to_pnet(mac: MacAddress) -> MacAddr {
    MacAddr::from(mac.0)
}

fn of_pnet(mac: MacAddr) -> MacAddress {
    MacAddress(mac.octets())
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{
        ArpEthIpv4Packet, ArpHardwareId, ArpOperation as Operation, NetSlice, SlicedPacket,
    };
    use proptest::prelude::*;

    const MAC: MacAddress = MacAddress([0x02, 0, 0, 0xaa, 0xbb, 0xcc]);
    const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

    /// As another implementation reads it: Ethernet source, destination, ARP packet.
    fn read(frame: &[u8]) -> ([u8; 6], [u8; 6], ArpEthIpv4Packet) {
        let packet = SlicedPacket::from_ethernet(frame).unwrap();
        let Some(etherparse::LinkSlice::Ethernet2(ethernet)) = packet.link else {
            panic!("no Ethernet")
        };
        let Some(NetSlice::Arp(arp)) = packet.net else { panic!("no ARP") };
        assert_eq!(arp.hw_addr_type(), ArpHardwareId::ETHERNET);
        let arp = ArpEthIpv4Packet::try_from(arp.to_packet()).unwrap();
        (ethernet.source(), ethernet.destination(), arp)
    }

    #[test]
    fn an_announcement_byte_for_byte() {
        #[rustfmt::skip]
        let expected: Frame = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0xaa, 0xbb, 0xcc, 0x08, 0x06,
            0, 1, 0x08, 0, 6, 4, 0, 1,
            0x02, 0, 0, 0xaa, 0xbb, 0xcc, 192, 0, 2, 10,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 192, 0, 2, 10,
        ];
        assert_eq!(announcement_request(MAC, VIP), expected);
    }

    #[test]
    fn frames_as_etherparse_reads_them() {
        let broadcast = MacAddress::BROADCAST.0;
        let (source, destination, arp) = read(&announcement_request(MAC, VIP));
        assert_eq!((source, destination), (MAC.0, broadcast));
        assert_eq!(arp.operation, Operation::REQUEST);
        assert_eq!((arp.sender_mac, arp.sender_ipv4), (MAC.0, VIP.octets()));
        assert_eq!((arp.target_mac, arp.target_ipv4), (broadcast, VIP.octets()));

        let neighbour = MacAddress([2, 0, 0, 0, 0, 9]);
        let (source, destination, arp) = read(&announcement_reply(MAC, VIP, neighbour));
        assert_eq!((source, destination), (MAC.0, neighbour.0));
        assert_eq!(arp.operation, Operation::REPLY);
        assert_eq!((arp.sender_mac, arp.sender_ipv4), (MAC.0, VIP.octets()));
        assert_eq!((arp.target_mac, arp.target_ipv4), (neighbour.0, VIP.octets()));

        let (_, destination, arp) = read(&probe(MAC, VIP));
        assert_eq!((destination, arp.operation), (broadcast, Operation::REQUEST));
        assert_eq!((arp.sender_mac, arp.sender_ipv4), (MAC.0, [0; 4]));
        assert_eq!((arp.target_mac, arp.target_ipv4), ([0; 6], VIP.octets()));

        let gateway = Ipv4Addr::new(192, 0, 2, 1);
        let (_, destination, arp) = read(&request(MAC, VIP, gateway));
        assert_eq!((destination, arp.operation), (broadcast, Operation::REQUEST));
        assert_eq!(arp.sender_ipv4, VIP.octets());
        assert_eq!((arp.target_mac, arp.target_ipv4), ([0; 6], gateway.octets()));
    }

    #[test]
    fn claims_and_probes() {
        let claim = Arp::parse(&announcement_request(MAC, VIP)).unwrap();
        assert_eq!(claim.claims(VIP), Some(MAC));
        assert_eq!(claim.probes(VIP), None);
        let reply = Arp::parse(&announcement_reply(MAC, VIP, MacAddress::BROADCAST)).unwrap();
        assert!(reply.is_reply);
        assert_eq!(reply.claims(VIP), Some(MAC));
        let probe = Arp::parse(&probe(MAC, VIP)).unwrap();
        assert_eq!(probe.claims(VIP), None);
        assert_eq!(probe.probes(VIP), Some(MAC));
        // A request claims the address of its sender, not the one that it asks for.
        let other = Ipv4Addr::new(192, 0, 2, 77);
        let question = Arp::parse(&request(MAC, other, VIP)).unwrap();
        assert_eq!(question.claims(VIP), None);
        assert_eq!(question.probes(VIP), None);
    }

    #[test]
    fn padding_is_ignored_and_other_frames_are_not_arp() {
        let frame = announcement_request(MAC, VIP);
        let mut padded = frame.to_vec();
        padded.resize(60, 0x5a);
        assert_eq!(Arp::parse(&padded), Arp::parse(&frame));
        for length in 0..FRAME_LENGTH {
            assert_eq!(Arp::parse(&frame[..length]), None, "{length} bytes");
        }
        // EtherType, hardware type, protocol type, both lengths, operation.
        for position in [12, 13, 14, 15, 16, 17, 18, 19, 20, 21] {
            let mut other = frame;
            other[position] ^= 0x10;
            assert_eq!(Arp::parse(&other), None, "byte {position}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(bytes: Vec<u8>) {
            let _ = Arp::parse(&bytes);
        }

        #[test]
        fn any_payload_is_parsed_without_a_panic(payload: Vec<u8>) {
            let mut bytes = announcement_request(MAC, VIP)[..20].to_vec();
            bytes.extend(payload);
            let _ = Arp::parse(&bytes);
        }

        #[test]
        fn a_frame_is_parsed_as_it_was_built(mac: [u8; 6], to: [u8; 6], ip: [u8; 4]) {
            let (mac, to, ip) = (MacAddress(mac), MacAddress(to), Ipv4Addr::from(ip));
            let arp = Arp::parse(&announcement_reply(mac, ip, to)).unwrap();
            prop_assert_eq!(arp, Arp {
                is_reply: true, sender_mac: mac, sender_ip: ip, target_mac: to, target_ip: ip,
            });
        }
    }
}
