//! The link: announcements of the VIP, and probes for duplicates of it.

use std::net::IpAddr;

use hostnet::arp::Arp;
use hostnet::ndisc::NeighborMessage;
use hostnet::{EtherType, Link, MacAddress, PacketSocket, Result};

pub(crate) mod announcement;
pub(crate) mod announcer;
pub(crate) mod burst;
pub(crate) mod conflict_probe;
pub(crate) mod forwarding;
pub(crate) mod late_conflict;
mod look;
pub(crate) mod neighbours;
pub(crate) mod own_links;
mod pause;
mod resolve;

/// Opens a socket for announcements of `ip` and probes for it.
pub(crate) fn open_socket(link: &Link, ip: IpAddr) -> Result<PacketSocket> {
    let protocol = if ip.is_ipv4() { EtherType::Arp } else { EtherType::Ipv6 };
    PacketSocket::open(link, protocol)
}

/// The host that has `ip`, according to a frame.
fn claimed_by(frame: &[u8], ip: IpAddr) -> Option<MacAddress> {
    match ip {
        IpAddr::V4(ip) => Arp::parse(frame)?.claims(ip),
        IpAddr::V6(ip) => NeighborMessage::parse(frame)?.claims(ip),
    }
}
