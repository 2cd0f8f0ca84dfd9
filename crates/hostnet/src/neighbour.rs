//! The host's caches of neighbours (ARP and Neighbor Discovery) as values.

use std::fmt;
use std::net::IpAddr;

use crate::link::{LinkIndex, MacAddress};

/// The state of an entry of the cache (`NUD_*`, linux/neighbour.h; RFC 4861 section 7.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighbourState {
    /// Nothing is known, and no request has been sent yet.
    None,
    /// A request has been sent and not yet answered.
    Incomplete,
    /// Recently confirmed.
    Reachable,
    /// Confirmed once, but not recently.
    Stale,
    /// Stale and in use; a request follows soon.
    Delay,
    /// Stale and in use; requests are being sent.
    Probe,
    /// Requests were not answered.
    Failed,
    /// Needs no resolution: multicast, loopback.
    NoArp,
    /// Set by an administrator.
    Permanent,
    /// A value newer than this crate.
    Other(u16),
}

impl From<u16> for NeighbourState {
    fn from(value: u16) -> Self {
        match value {
            0x00 => Self::None,
            0x01 => Self::Incomplete,
            0x02 => Self::Reachable,
            0x04 => Self::Stale,
            0x08 => Self::Delay,
            0x10 => Self::Probe,
            0x20 => Self::Failed,
            0x40 => Self::NoArp,
            0x80 => Self::Permanent,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for NeighbourState {
    /// As `ip neigh` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("NONE"),
            Self::Incomplete => f.write_str("INCOMPLETE"),
            Self::Reachable => f.write_str("REACHABLE"),
            Self::Stale => f.write_str("STALE"),
            Self::Delay => f.write_str("DELAY"),
            Self::Probe => f.write_str("PROBE"),
            Self::Failed => f.write_str("FAILED"),
            Self::NoArp => f.write_str("NOARP"),
            Self::Permanent => f.write_str("PERMANENT"),
            Self::Other(value) => write!(f, "{value:#x}"),
        }
    }
}

/// One entry of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The link it is behind.
    pub link: LinkIndex,
    /// Its address.
    pub ip: IpAddr,
    /// Its hardware address; `None` while it is unknown, or if it is not six bytes long.
    pub mac: Option<MacAddress>,
    /// Its state.
    pub state: NeighbourState,
    /// It is a router (IPv6).
    pub router: bool,
}
