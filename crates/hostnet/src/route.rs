//! Routes as values; no effect in here.

use std::fmt;
use std::net::IpAddr;

use crate::address::{Network, Scope};
use crate::link::LinkIndex;

/// The number of the `main` table, which holds the connected networks (`RT_TABLE_MAIN`).
pub const TABLE_MAIN: u32 = 254;

/// What the kernel does with a packet that matches a route (`RTN_*`, linux/rtnetlink.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteKind {
    /// Sends it, through a gateway or directly.
    Unicast,
    /// Takes it as addressed to this host.
    Local,
    /// Takes or sends it as a broadcast.
    Broadcast,
    /// Anything else: blackhole, unreachable, prohibit, multicast, ...
    Other(u8),
}

impl From<u8> for RouteKind {
    fn from(value: u8) -> Self {
        match value {
            1 => Self::Unicast,
            2 => Self::Local,
            3 => Self::Broadcast,
            other => Self::Other(other),
        }
    }
}

impl From<RouteKind> for u8 {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Unicast => 1,
            RouteKind::Local => 2,
            RouteKind::Broadcast => 3,
            RouteKind::Other(other) => other,
        }
    }
}

impl fmt::Display for RouteKind {
    /// As `ip route` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unicast => f.write_str("unicast"),
            Self::Local => f.write_str("local"),
            Self::Broadcast => f.write_str("broadcast"),
            Self::Other(6) => f.write_str("blackhole"),
            Self::Other(7) => f.write_str("unreachable"),
            Self::Other(8) => f.write_str("prohibit"),
            Self::Other(other) => other.fmt(f),
        }
    }
}

/// What made a route (`RTPROT_*`, linux/rtnetlink.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteProtocol {
    /// The kernel: a connected network.
    Kernel,
    /// An administrator, at boot (`ip route` without a protocol).
    Boot,
    /// An administrator, statically.
    Static,
    /// A DHCP client.
    Dhcp,
    /// A router advertisement.
    RouterAdvertisement,
    /// Anything else, such as a routing daemon.
    Other(u8),
}

impl RouteProtocol {
    /// Marks the routes and rules that programs with this crate make: 176. The kernel gives no
    /// meaning to numbers above 4, and neither iproute2 (`rt_protos`: up to 18, 42, 84, 99,
    /// 186 to 192) nor FRR (up to 198) uses this one.
    pub const OWN: Self = Self::Other(176);
}

impl From<RouteProtocol> for u8 {
    fn from(protocol: RouteProtocol) -> Self {
        match protocol {
            RouteProtocol::Kernel => 2,
            RouteProtocol::Boot => 3,
            RouteProtocol::Static => 4,
            RouteProtocol::RouterAdvertisement => 9,
            RouteProtocol::Dhcp => 16,
            RouteProtocol::Other(other) => other,
        }
    }
}

impl From<u8> for RouteProtocol {
    fn from(value: u8) -> Self {
        match value {
            2 => Self::Kernel,
            3 => Self::Boot,
            4 => Self::Static,
            9 => Self::RouterAdvertisement,
            16 => Self::Dhcp,
            other => Self::Other(other),
        }
    }
}

/// One route, as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its destination; `0.0.0.0/0` or `::/0` for a default route.
    pub destination: Network,
    /// The link that packets leave by; `None` for blackholes and multipath routes.
    pub link: Option<LinkIndex>,
    /// The next router; `None` if the destination is reached directly.
    pub gateway: Option<IpAddr>,
    /// The source address it prefers.
    pub preferred_source: Option<IpAddr>,
    /// How far away the destination is.
    pub scope: Scope,
    /// The table it is in.
    pub table: u32,
    /// What made it.
    pub protocol: RouteProtocol,
    /// What the kernel does with matching packets.
    pub kind: RouteKind,
    /// Its metric; the lowest wins. 0 if the kernel reports none.
    pub metric: u32,
}

impl Route {
    /// Whether its destination is on the link itself: unicast, no gateway.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.kind == RouteKind::Unicast && self.gateway.is_none() && self.link.is_some()
    }

    /// Writes the route; `link` is what its link is called.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, link: Option<&str>) -> fmt::Result {
        if self.kind != RouteKind::Unicast {
            write!(f, "{} ", self.kind)?;
        }
        write!(f, "{}", self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(link) = link {
            write!(f, " dev {link}")?;
        }
        if self.table != TABLE_MAIN {
            write!(f, " table {}", self.table)?;
        }
        if let Some(source) = self.preferred_source {
            write!(f, " src {source}")?;
        }
        if self.metric != 0 {
            write!(f, " metric {}", self.metric)?;
        }
        Ok(())
    }
}

impl fmt::Display for Route {
    /// As `ip route` writes it, with numbers instead of names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.link.map(|link| link.to_string()).as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(destination: &str, link: u32, metric: u32) -> Route {
        Route {
            destination: destination.parse().unwrap(),
            link: LinkIndex::new(link),
            gateway: None,
            preferred_source: None,
            scope: Scope::Link,
            table: TABLE_MAIN,
            protocol: RouteProtocol::Kernel,
            kind: RouteKind::Unicast,
            metric,
        }
    }

    #[test]
    fn display_resembles_ip_route() {
        let route = Route {
            gateway: Some("192.0.2.1".parse().unwrap()),
            preferred_source: Some("192.0.2.10".parse().unwrap()),
            ..connected("0.0.0.0/0", 3, 100)
        };
        let text = "0.0.0.0/0 via 192.0.2.1 dev 3 src 192.0.2.10 metric 100";
        assert_eq!(route.to_string(), text);
        let other = Route { table: 100, ..connected("192.0.2.0/24", 3, 0) };
        assert_eq!(other.to_string(), "192.0.2.0/24 dev 3 table 100");
        let blackhole =
            Route { kind: RouteKind::Other(6), link: None, ..connected("192.0.2.0/25", 3, 0) };
        assert_eq!(blackhole.to_string(), "blackhole 192.0.2.0/25");
    }

    #[test]
    fn numbers_of_kinds_and_protocols() {
        for number in 0..=u8::MAX {
            assert_eq!(u8::from(RouteKind::from(number)), number);
            assert_eq!(u8::from(RouteProtocol::from(number)), number);
        }
    }

    #[test]
    fn connected_routes_need_no_gateway() {
        let route = connected("192.0.2.0/24", 3, 0);
        assert!(route.is_connected());
        assert!(!Route { gateway: "192.0.2.1".parse().ok(), ..route.clone() }.is_connected());
        assert!(!Route { kind: RouteKind::Local, ..route.clone() }.is_connected());
        assert!(!Route { link: None, ..route }.is_connected());
    }
}
