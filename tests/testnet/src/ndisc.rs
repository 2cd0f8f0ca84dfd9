//! Neighbor Discovery on the wire.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use etherparse::icmpv6::{Icmpv6PayloadSlice, NdpOptionSlice};
use etherparse::{Icmpv6Type, LinkSlice, NetSlice, SlicedPacket, TransportSlice};

use crate::capture::{Capture, CapturedFrame, Direction};

/// A Neighbor Advertisement or Solicitation, read by etherparse. What a receiver would refuse
/// is read, too: hop limit and checksum are told, not judged.
#[derive(Debug, Clone)]
pub struct NdiscFrame {
    /// When the kernel saw it.
    pub at: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// Ethernet source.
    pub source_mac: [u8; 6],
    /// Ethernet destination.
    pub destination_mac: [u8; 6],
    /// IPv6 source.
    pub source: Ipv6Addr,
    /// IPv6 destination.
    pub destination: Ipv6Addr,
    /// IPv6 hop limit; 255 in what is valid.
    pub hop_limit: u8,
    /// Whether the ICMPv6 checksum is right.
    pub checksum_valid: bool,
    /// An Advertisement; otherwise a Solicitation.
    pub is_advertisement: bool,
    /// Target address.
    pub target: Ipv6Addr,
    /// Advertisement: Router flag.
    pub router: bool,
    /// Advertisement: Solicited flag.
    pub solicited: bool,
    /// Advertisement: Override flag.
    pub overrides: bool,
    /// The address in the source or target link-layer address option.
    pub link_layer: Option<[u8; 6]>,
}

impl CapturedFrame {
    /// As a Neighbor Advertisement or Solicitation; `None` if it is something else.
    #[must_use]
    pub fn ndisc(&self) -> Option<NdiscFrame> {
        let packet = SlicedPacket::from_ethernet(&self.bytes).ok()?;
        let (
            Some(LinkSlice::Ethernet2(ethernet)),
            Some(NetSlice::Ipv6(ip)),
            Some(TransportSlice::Icmpv6(icmp)),
        ) = (packet.link, packet.net, packet.transport)
        else {
            return None;
        };
        let (target, options) = match icmp.payload_slice().ok()? {
            Icmpv6PayloadSlice::NeighborAdvertisement(payload) => {
                (payload.target_address(), payload.options_iterator())
            }
            Icmpv6PayloadSlice::NeighborSolicitation(payload) => {
                (payload.target_address(), payload.options_iterator())
            }
            _ => return None,
        };
        let flags = match icmp.icmp_type() {
            Icmpv6Type::NeighborAdvertisement(flags) => Some(flags),
            _ => None,
        };
        let link_layer = options.filter_map(Result::ok).find_map(|option| match option {
            NdpOptionSlice::SourceLinkLayerAddress(option) => {
                option.link_layer_address().try_into().ok()
            }
            NdpOptionSlice::TargetLinkLayerAddress(option) => {
                option.link_layer_address().try_into().ok()
            }
            _ => None,
        });
        let header = ip.header();
        Some(NdiscFrame {
            at: self.at,
            direction: self.direction,
            source_mac: ethernet.source(),
            destination_mac: ethernet.destination(),
            source: header.source_addr(),
            destination: header.destination_addr(),
            hop_limit: header.hop_limit(),
            checksum_valid: icmp.is_checksum_valid(header.source(), header.destination()),
            is_advertisement: flags.is_some(),
            target,
            router: flags.is_some_and(|flags| flags.router),
            solicited: flags.is_some_and(|flags| flags.solicited),
            overrides: flags.is_some_and(|flags| flags.r#override),
            link_layer,
        })
    }
}

impl Capture {
    /// The Neighbor Discovery frames up to now.
    ///
    /// # Panics
    /// If the capture has failed.
    #[must_use]
    pub fn ndisc_frames(&self) -> Vec<NdiscFrame> {
        self.frames().iter().filter_map(CapturedFrame::ndisc).collect()
    }

    /// The first Neighbor Discovery frame that `wanted` accepts, as soon as it is there.
    ///
    /// # Panics
    /// Naming `what`, if there is none `within` that time.
    pub fn wait_for_ndisc(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&NdiscFrame) -> bool,
    ) -> NdiscFrame {
        let frame =
            self.wait_for(what, within, |frame| frame.ndisc().is_some_and(|seen| wanted(&seen)));
        frame.ndisc().expect("it was Neighbor Discovery a moment ago")
    }
}
