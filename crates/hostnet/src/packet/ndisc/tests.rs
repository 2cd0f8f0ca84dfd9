use super::*;
use etherparse::icmpv6::{Icmpv6PayloadSlice, NdpOptionSlice};
use etherparse::{LinkSlice, NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

const MAC: MacAddress = MacAddress([0x02, 0, 0, 0xaa, 0xbb, 0xcc]);
const OTHER: MacAddress = MacAddress([0x02, 0, 0, 0, 0, 9]);

fn vip() -> Ipv6Addr {
    "2001:db8::12:3456".parse().unwrap()
}

fn other_ip() -> Ipv6Addr {
    "2001:db8::99".parse().unwrap()
}

/// A frame as another implementation reads it.
struct Read {
    macs: ([u8; 6], [u8; 6]),
    ips: (Ipv6Addr, Ipv6Addr),
    hop_limit: u8,
    target: Ipv6Addr,
    /// Router, solicited, override; `None` for a solicitation.
    flags: Option<(bool, bool, bool)>,
    source_option: Option<Vec<u8>>,
    target_option: Option<Vec<u8>>,
}

fn read(frame: &[u8]) -> Read {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(LinkSlice::Ethernet2(ethernet)) = packet.link else { panic!("no Ethernet") };
    let Some(NetSlice::Ipv6(ip)) = packet.net else { panic!("no IPv6") };
    let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!("no ICMPv6") };
    let header = ip.header();
    assert!(icmp.is_checksum_valid(header.source(), header.destination()));
    assert_eq!(usize::from(header.payload_length()), icmp.slice().len());
    let (target, flags, options) = match icmp.payload_slice().unwrap() {
        Icmpv6PayloadSlice::NeighborAdvertisement(payload) => {
            let etherparse::Icmpv6Type::NeighborAdvertisement(flags) = icmp.icmp_type() else {
                panic!("no advertisement")
            };
            let flags = (flags.router, flags.solicited, flags.r#override);
            (payload.target_address(), Some(flags), payload.options_iterator())
        }
        Icmpv6PayloadSlice::NeighborSolicitation(payload) => {
            (payload.target_address(), None, payload.options_iterator())
        }
        _ => panic!("no Neighbor Discovery"),
    };
    let (mut source_option, mut target_option) = (None, None);
    for option in options {
        match option.unwrap() {
            NdpOptionSlice::SourceLinkLayerAddress(option) => {
                source_option = Some(option.link_layer_address().to_vec());
            }
            NdpOptionSlice::TargetLinkLayerAddress(option) => {
                target_option = Some(option.link_layer_address().to_vec());
            }
            _ => panic!("another option"),
        }
    }
    Read {
        macs: (ethernet.source(), ethernet.destination()),
        ips: (header.source_addr(), header.destination_addr()),
        hop_limit: header.hop_limit(),
        target,
        flags,
        source_option,
        target_option,
    }
}

#[test]
fn an_announcement_byte_for_byte() {
    let mut expected = vec![0x33, 0x33, 0, 0, 0, 1, 0x02, 0, 0, 0xaa, 0xbb, 0xcc, 0x86, 0xdd];
    expected.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    expected.extend(vip().octets());
    expected.extend(ALL_NODES.octets());
    // Type, code, checksum, flags: override and router.
    expected.extend([136, 0, 0, 0, 0xa0, 0, 0, 0]);
    expected.extend(vip().octets());
    expected.extend([2, 1, 0x02, 0, 0, 0xaa, 0xbb, 0xcc]);
    let mut frame = announcement(MAC, vip(), true);
    assert_ne!(frame[56..58], [0, 0]);
    frame[56..58].copy_from_slice(&[0, 0]);
    assert_eq!(frame, expected);
}

#[test]
fn frames_as_etherparse_reads_them() {
    for router in [false, true] {
        let seen = read(&announcement(MAC, vip(), router));
        assert_eq!(seen.macs, (MAC.0, [0x33, 0x33, 0, 0, 0, 1]));
        assert_eq!(seen.ips, (vip(), ALL_NODES));
        assert_eq!((seen.hop_limit, seen.target), (255, vip()));
        assert_eq!(seen.flags, Some((router, false, true)));
        assert_eq!(seen.target_option.as_deref(), Some(&MAC.0[..]));
        assert_eq!(seen.source_option, None);
    }
    let seen = read(&announcement_to(MAC, vip(), false, (OTHER, other_ip())));
    assert_eq!(seen.macs, (MAC.0, OTHER.0));
    assert_eq!(seen.ips, (vip(), other_ip()));
    assert_eq!(seen.flags, Some((false, false, true)));

    let group: Ipv6Addr = "ff02::1:ff12:3456".parse().unwrap();
    let seen = read(&probe(MAC, vip()));
    assert_eq!(seen.macs, (MAC.0, [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]));
    assert_eq!(seen.ips, (Ipv6Addr::UNSPECIFIED, group));
    assert_eq!((seen.hop_limit, seen.target, seen.flags), (255, vip(), None));
    assert_eq!((seen.source_option, seen.target_option), (None, None));

    let seen = read(&request(MAC, other_ip(), vip()));
    assert_eq!(seen.macs, (MAC.0, [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]));
    assert_eq!(seen.ips, (other_ip(), group));
    assert_eq!((seen.hop_limit, seen.target, seen.flags), (255, vip(), None));
    assert_eq!(seen.source_option.as_deref(), Some(&MAC.0[..]));
}

#[test]
fn claims_and_probes() {
    let claim = NeighborMessage::parse(&announcement(MAC, vip(), false)).unwrap();
    assert_eq!((claim.claims(vip()), claim.claims(other_ip())), (Some(MAC), None));
    assert_eq!(claim.probes(vip()), None);
    let probe = NeighborMessage::parse(&probe(MAC, vip())).unwrap();
    assert_eq!((probe.claims(vip()), probe.probes(vip())), (None, Some(MAC)));
    assert_eq!(probe.claims(Ipv6Addr::UNSPECIFIED), None);
    // A solicitation claims the address of its sender, not the one that it asks for.
    let question = NeighborMessage::parse(&request(MAC, other_ip(), vip())).unwrap();
    assert_eq!((question.claims(vip()), question.claims(other_ip())), (None, Some(MAC)));
    assert_eq!(question.probes(vip()), None);
}

/// The frame after a change, with its checksum corrected.
fn changed(frame: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = frame.to_vec();
    change(&mut frame);
    let length = u16::try_from(frame.len() - 54).unwrap();
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    let ip = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap());
    let sum = checksum(&Icmpv6Packet::new(&frame[54..]).unwrap(), &ip(22), &ip(38));
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn invalid_frames_are_not_parsed() {
    let claim = announcement(MAC, vip(), false);
    assert!(NeighborMessage::parse(&changed(&claim, |_| {})).is_some());
    let refused = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        assert_eq!(NeighborMessage::parse(&changed(&claim, |frame| change(frame))), None, "{what}");
    };
    refused("EtherType", &|frame| frame[13] = 0);
    refused("IP version", &|frame| frame[14] = 0x40);
    refused("next header", &|frame| frame[20] = 17);
    refused("hop limit", &|frame| frame[21] = 254);
    refused("multicast source", &|frame| frame[22] = 0xff);
    refused("type", &|frame| frame[54] = 134);
    refused("code", &|frame| frame[55] = 1);
    refused("solicited, to all", &|frame| frame[58] |= 0x40);
    refused("multicast target", &|frame| frame[62] = 0xff);
    refused("no room for the target", &|frame| frame.truncate(77));
    refused("option of length 0", &|frame| frame[79] = 0);
    refused("option beyond the end", &|frame| frame[79] = 2);
    refused("option of 32 units", &|frame| frame[79] = 32);
    refused("another address length", &|frame| {
        frame[79] = 2;
        frame.extend([0; 8]);
    });
    refused("half an option", &|frame| frame.push(1));
    let bad_checksum = |at: usize| {
        let mut frame = claim.clone();
        frame[at] ^= 1;
        NeighborMessage::parse(&frame)
    };
    assert!((54..claim.len()).all(|at| bad_checksum(at).is_none()));
    assert!((0..claim.len()).all(|length| NeighborMessage::parse(&claim[..length]).is_none()));

    let probe = probe(MAC, vip());
    let with_source = changed(&probe, |frame| frame.extend(link_layer_option(1, MAC)));
    assert_eq!(NeighborMessage::parse(&with_source), None);
    let to_all = changed(&probe, |frame| frame[38..54].copy_from_slice(&ALL_NODES.octets()));
    assert_eq!(NeighborMessage::parse(&to_all), None);
}

#[test]
fn other_options_and_padding_are_skipped() {
    // A nonce (RFC 3971), as the kernel sends it in its own probes (RFC 7527).
    let nonce = changed(&probe(MAC, vip()), |frame| frame.extend([14, 1, 1, 2, 3, 4, 5, 6]));
    assert_eq!(NeighborMessage::parse(&nonce).unwrap().probes(vip()), Some(MAC));
    // Without the option only the sender of an advertisement is known.
    let bare = changed(&announcement(MAC, vip(), false), |frame| frame.truncate(78));
    let bare = NeighborMessage::parse(&bare).unwrap();
    assert_eq!((bare.link_layer, bare.claims(vip())), (None, Some(MAC)));
    // Sent by a proxy for another host: the option counts.
    let proxied =
        changed(&announcement(MAC, vip(), false), |frame| frame[80..].copy_from_slice(&OTHER.0));
    assert_eq!(NeighborMessage::parse(&proxied).unwrap().claims(vip()), Some(OTHER));
    let mut padded = announcement(MAC, vip(), false);
    padded.extend([0x5a; 7]);
    assert!(NeighborMessage::parse(&padded).is_some());
}

#[test]
fn solicited_node_groups() {
    assert_eq!(solicited_node(vip()).to_string(), "ff02::1:ff12:3456");
    assert_eq!(solicited_node("fe80::1".parse().unwrap()).to_string(), "ff02::1:ff00:1");
}

/// An address that a host can have.
fn unicast() -> impl Strategy<Value = Ipv6Addr> {
    any::<[u8; 16]>().prop_map(|mut bytes| {
        bytes[0] &= 0x7f;
        bytes[15] |= 1;
        bytes.into()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_a_panic(bytes: Vec<u8>) {
        let _ = NeighborMessage::parse(&bytes);
    }

    #[test]
    fn any_message_in_a_valid_packet_is_parsed_without_a_panic(kind in 133_u8..138, message: Vec<u8>) {
        let frame = changed(&announcement(MAC, vip(), false), |frame| {
            frame.truncate(54);
            frame.extend([kind, 0, 0, 0]);
            frame.extend(message);
        });
        let _ = NeighborMessage::parse(&frame);
    }

    #[test]
    fn any_options_are_parsed_without_a_panic(options: Vec<u8>) {
        let frame = changed(&announcement(MAC, vip(), false), |frame| {
            frame.truncate(78);
            frame.extend(options);
        });
        let _ = NeighborMessage::parse(&frame);
    }

    #[test]
    fn a_frame_is_parsed_as_it_was_built(
        mac: [u8; 6], to: [u8; 6], ip in unicast(), to_ip in unicast(), router: bool,
    ) {
        let (mac, to) = (MacAddress(mac), MacAddress(to));
        let frame = announcement_to(mac, ip, router, (to, to_ip));
        let expected = NeighborMessage {
            is_advertisement: true, sender_mac: mac, source: ip, destination: to_ip, target: ip,
            link_layer: Some(mac), router, solicited: false, overrides: true,
        };
        prop_assert_eq!(NeighborMessage::parse(&frame), Some(expected));
        let seen = read(&frame);
        prop_assert_eq!((seen.ips, seen.target), ((ip, to_ip), ip));

        let frame = request(mac, ip, to_ip);
        let expected = NeighborMessage {
            is_advertisement: false, sender_mac: mac, source: ip, destination: solicited_node(to_ip),
            target: to_ip, link_layer: Some(mac), router: false, solicited: false, overrides: false,
        };
        prop_assert_eq!(NeighborMessage::parse(&frame), Some(expected));
        let frame = probe(mac, ip);
        let expected = NeighborMessage {
            is_advertisement: false, sender_mac: mac, source: Ipv6Addr::UNSPECIFIED,
            destination: solicited_node(ip), target: ip, link_layer: None, router: false,
            solicited: false, overrides: false,
        };
        prop_assert_eq!(NeighborMessage::parse(&frame), Some(expected));
        prop_assert_eq!(read(&frame).target, ip);
    }
}
