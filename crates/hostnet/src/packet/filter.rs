//! The frames that a packet socket receives, as a program that the kernel executes for each frame
//! (classic BPF, linux/filter.h).
//!
//! The program passes only frames about given addresses, the subjects of the socket. In a storm of
//! other frames the one answer would be lost in a full buffer, and the receiver would be kept busy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use socket2::SockFilter;

use super::EtherType;
use super::arp::Arp;
use super::ndisc::NeighborMessage;

/// The most subjects for which there is a program: with more, all frames of the protocol pass.
/// The kernel charges programs to a small budget of the socket (`net.core.optmem_max`).
const MOST_SUBJECTS: usize = 16;

// linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_LD|BPF_B|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K.
// Offsets count from the Ethernet header, jumps from the next instruction. A frame that is too short
// for a load does not pass.
const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// linux/filter.h: `SKF_AD_OFF + SKF_AD_PKTTYPE`, no byte of the frame.
const PACKET_TYPE: u32 = 0xffff_f004;
/// linux/if_packet.h
const PACKET_OTHERHOST: u32 = 3;

const ARP_SENDER: u32 = 14 + 14;
const ARP_TARGET: u32 = 14 + 24;
const IPV6_NEXT_HEADER: u32 = 14 + 6;
const IPV6_SOURCE: u32 = 14 + 8;
const ICMPV6_TYPE: u32 = 14 + 40;
const ND_TARGET: u32 = 14 + 48;
const ICMPV6: u32 = 58;
const NEIGHBOR_SOLICITATION: u32 = 135;
const NEIGHBOR_ADVERTISEMENT: u32 = 136;

/// The addresses that a frame is about: whose answers, claims and probes the sender of the frame
/// wants to receive.
pub(super) fn subjects_of(frame: &[u8]) -> impl Iterator<Item = IpAddr> {
    let arp = Arp::parse(frame).map(|arp| [arp.sender_ip.into(), arp.target_ip.into()]);
    let named = arp.or_else(|| {
        NeighborMessage::parse(frame).map(|message| [message.source.into(), message.target.into()])
    });
    named.into_iter().flatten().filter(|ip: &IpAddr| !ip.is_unspecified())
}

/// The program for these subjects: frames that claim one of them or probe for it
/// ([`Arp::claims`], [`Arp::probes`]).
pub(super) fn program(protocol: EtherType, subjects: &[IpAddr]) -> Vec<SockFilter> {
    // The kernel marks a frame of a VLAN that has no link here as one for another host, also a broadcast
    // (__netif_receive_skb_core()), and ignores it, as it does those for another host in promiscuous mode.
    let mut program = vec![load(LOAD_BYTE, PACKET_TYPE), jump_if_equal(PACKET_OTHERHOST, 0, 1)];
    drop_frame(&mut program);
    match protocol {
        EtherType::Arp => {
            let subjects: Vec<Ipv4Addr> = subjects.iter().filter_map(v4).collect();
            about_v4(&mut program, &subjects);
        }
        EtherType::Ipv6 => {
            let subjects: Vec<Ipv6Addr> = subjects.iter().filter_map(v6).collect();
            about_v6(&mut program, &subjects);
        }
    }
    program
}

fn about_v4(program: &mut Vec<SockFilter>, subjects: &[Ipv4Addr]) {
    if subjects.len() > MOST_SUBJECTS {
        return pass(program);
    }
    let pass_if_one_of = |program: &mut Vec<SockFilter>| {
        for ip in subjects {
            program.push(jump_if_equal(ip.to_bits(), 0, 1));
            pass(program);
        }
    };
    program.push(load(LOAD_WORD, ARP_SENDER));
    pass_if_one_of(program);
    // A probe has no sender (RFC 5227 section 2.1.1).
    program.push(jump_if_equal(0, 1, 0));
    drop_frame(program);
    program.push(load(LOAD_WORD, ARP_TARGET));
    pass_if_one_of(program);
    drop_frame(program);
}

fn about_v6(program: &mut Vec<SockFilter>, subjects: &[Ipv6Addr]) {
    program.push(load(LOAD_BYTE, IPV6_NEXT_HEADER));
    program.push(jump_if_equal(ICMPV6, 1, 0));
    drop_frame(program);
    program.push(load(LOAD_BYTE, ICMPV6_TYPE));
    program.push(jump_if_equal(NEIGHBOR_SOLICITATION, 2, 0));
    program.push(jump_if_equal(NEIGHBOR_ADVERTISEMENT, 1, 0));
    drop_frame(program);
    if subjects.len() > MOST_SUBJECTS {
        return pass(program);
    }
    for ip in subjects {
        pass_if_at(program, ND_TARGET, *ip);
        pass_if_at(program, IPV6_SOURCE, *ip);
    }
    drop_frame(program);
}

/// Passes a frame that has `ip` at this offset.
fn pass_if_at(program: &mut Vec<SockFilter>, offset: u32, ip: Ipv6Addr) {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let words = [(a, b), (c, d), (e, f), (g, h)];
    // What is left of this comparison after each word, for a frame that differs there.
    for ((high, low), (place, rest)) in words.into_iter().zip([(0, 7), (4, 5), (8, 3), (12, 1)]) {
        program.push(load(LOAD_WORD, offset + place));
        program.push(jump_if_equal(u32::from(high) << 16 | u32::from(low), 0, rest));
    }
    pass(program);
}

fn load(code: u16, offset: u32) -> SockFilter {
    SockFilter::new(code, 0, 0, offset)
}

fn jump_if_equal(value: u32, then: u8, otherwise: u8) -> SockFilter {
    SockFilter::new(JUMP_IF_EQUAL, then, otherwise, value)
}

fn pass(program: &mut Vec<SockFilter>) {
    program.push(SockFilter::new(RETURN, 0, 0, u32::MAX));
}

fn drop_frame(program: &mut Vec<SockFilter>) {
    program.push(SockFilter::new(RETURN, 0, 0, 0));
}

fn v4(ip: &IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    }
}

fn v6(ip: &IpAddr) -> Option<Ipv6Addr> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => Some(*ip),
    }
}
