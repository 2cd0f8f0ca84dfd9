//! Where the VIP belongs on this host: link, prefix, broadcast address, label. Pure.

use std::net::IpAddr;

use hostnet::{
    Address, Family, Link, LinkIndex, LinkName, Network, NewAddress, Prefix, Route, RouteProtocol,
    TABLE_MAIN, link_in_network, link_with_mac,
};

use crate::decide::judge;
use crate::params::{MAX_LABEL, Nic, Nodad, Params};

/// The host's tables at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Every link.
    pub(crate) links: Vec<Link>,
    /// Every address of the VIP's family, and of that of `nic`, where this is a network.
    pub(crate) addresses: Vec<Address>,
    /// The routes of the VIP's family in the main table; read only where [`needs_routes`] says so.
    pub(crate) routes: Vec<Route>,
}

impl Snapshot {
    /// The link that `nic` names; `None`: there is no such link.
    ///
    /// # Errors
    /// [`Refusal::AmbiguousNic`]
    pub(crate) fn link_of(&self, nic: &Nic, ip: IpAddr) -> Result<Option<&Link>, Refusal> {
        let found = match nic {
            Nic::Name(name) => Ok(self.links.iter().find(|link| link.is_called(name))),
            Nic::Mac(mac) => link_with_mac(*mac, &self.links),
            // Where the VIP itself is says nothing about where it belongs.
            Nic::Network(network) => {
                let others = self.addresses.iter().filter(|address| address.ip != ip);
                let others: Vec<_> = others.cloned().collect();
                link_in_network(*network, &self.links, &others)
            }
        };
        found.map_err(|error| Refusal::AmbiguousNic { nic: nic.clone(), why: error.to_string() })
    }

    /// The link with that index.
    pub(crate) fn link(&self, index: LinkIndex) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The link on which the VIP is expected, as monitor sees it: that of `nic`, else that of the
    /// instance that is there. While the VIP is where it should be, a network or hardware address that
    /// fits other links, too, or a network of which the VIP is the last address, does not change that.
    pub(crate) fn expected_link(&self, params: &Params, instances: &[Address]) -> Option<&Link> {
        let Some(nic) = &params.nic else {
            let likely = self.link(judge::most_likely(params, instances)?.link)?;
            // On `lo` nobody sees it: where another link's network contains it, that one is meant.
            return match target(params, self) {
                Ok(target) if likely.loopback => self.link(target.link.index),
                _ => Some(likely),
            };
        };
        let mut with_vip = self
            .links
            .iter()
            .filter(|link| !link.loopback && judge::exact(params, instances, link).is_some());
        match (self.link_of(nic, params.ip), nic) {
            (Ok(None), Nic::Network(_)) => with_vip.next(),
            (Ok(link), _) => link,
            (Err(_), _) => with_vip.find(|link| self.fits(nic, link, params.ip)),
        }
    }

    /// Whether no link has an address in the network that `nic` is, but for the VIP itself.
    pub(crate) fn has_lost_network(&self, params: &Params) -> bool {
        params.nic.as_ref().is_some_and(|nic| {
            matches!(nic, Nic::Network(_)) && matches!(self.link_of(nic, params.ip), Ok(None))
        })
    }

    /// Whether `nic` fits this link, be it alone or not.
    fn fits(&self, nic: &Nic, link: &Link, ip: IpAddr) -> bool {
        match nic {
            Nic::Name(name) => link.is_called(name),
            Nic::Mac(mac) => link.mac == Some(*mac),
            Nic::Network(network) => self.addresses.iter().any(|address| {
                address.link == link.index && address.ip != ip && network.contains(address.ip)
            }),
        }
    }
}

/// Where and how the VIP is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The link.
    pub(crate) link: Link,
    /// The address as it is added.
    pub(crate) address: NewAddress,
}

/// Why the VIP can't be on this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// `nic` names no link.
    #[error("nic={nic}: there is no such interface on this node")]
    NoSuchLink {
        /// As given.
        nic: Nic,
    },
    /// `nic` names several links.
    #[error("nic={nic}: {why}")]
    AmbiguousNic {
        /// As given.
        nic: Nic,
        /// Which.
        why: String,
    },
    /// No connected network contains the VIP.
    #[error("no connected network of this node contains {ip}: give nic and cidr_netmask")]
    NoNetwork {
        /// The VIP.
        ip: IpAddr,
    },
    /// No network connected to `nic` contains the VIP.
    #[error("no network connected to {nic} contains {ip}: give cidr_netmask")]
    NoNetworkOnLink {
        /// The VIP.
        ip: IpAddr,
        /// The link.
        nic: LinkName,
    },
    /// Several links are equally near.
    #[error("{network} is connected to {first} and to {second}: give nic")]
    Ambiguous {
        /// The network.
        network: Network,
        /// One link.
        first: LinkName,
        /// Another one.
        second: LinkName,
    },
    /// The label is too long with this link's name.
    #[error("iflabel={label}: {name}:{label} is longer than {MAX_LABEL} bytes")]
    LabelTooLong {
        /// The part behind the colon.
        label: String,
        /// The link's name.
        name: LinkName,
    },
    /// With the prefix of the connected network the VIP is no host's address.
    #[error("ip={ip}: it is the broadcast address of {network} on this node")]
    BroadcastAddress {
        /// The VIP.
        ip: IpAddr,
        /// The network.
        network: Network,
    },
}

/// Whether interface or prefix must be found in the routes.
pub(crate) fn needs_routes(params: &Params) -> bool {
    params.nic.is_none() || params.prefix.is_none()
}

/// Where the VIP belongs, by the parameters and by what is connected to this host.
///
/// # Errors
/// It can't be on this host; nothing was judged that changes while the host runs, such as
/// carrier.
pub(crate) fn target(params: &Params, snapshot: &Snapshot) -> Result<Target, Refusal> {
    let ip = params.ip;
    let named = match &params.nic {
        Some(nic) => Some(
            snapshot.link_of(nic, ip)?.ok_or_else(|| Refusal::NoSuchLink { nic: nic.clone() })?,
        ),
        None => None,
    };
    let (link, prefix) = match (named, params.prefix) {
        (Some(link), Some(prefix)) => (link, prefix),
        (named, prefix) => {
            let (link, network) = connected(ip, named, snapshot)?;
            (link, prefix.unwrap_or(network.prefix()))
        }
    };
    complete(params, link, prefix)
}

/// The address on that link with that prefix.
pub(crate) fn complete(params: &Params, link: &Link, prefix: Prefix) -> Result<Target, Refusal> {
    let ip = params.ip;
    let network = Network::of(ip, prefix);
    if network.broadcast().map(IpAddr::from) == Some(ip) {
        return Err(Refusal::BroadcastAddress { ip, network });
    }
    let label = match &params.label {
        None => None,
        Some(label) => Some(
            Some(format!("{}:{label}", link.name))
                .filter(|full| full.len() <= MAX_LABEL)
                .ok_or_else(|| Refusal::LabelTooLong {
                    label: label.clone(),
                    name: link.name.clone(),
                })?,
        ),
    };
    let address = NewAddress {
        broadcast: match ip {
            IpAddr::V4(ip) => params.broadcast.of(ip, prefix),
            IpAddr::V6(_) => None,
        },
        label,
        noprefixroute: params.noprefixroute,
        nodad: ip.is_ipv6() && params.nodad == Nodad::Yes,
        preferred_lft: params.preferred_lft,
        ..NewAddress::new(link.index, ip, prefix)
    };
    Ok(Target { link: link.clone(), address })
}

/// Whether the kernel has made the route for an instance of `ip`. IPv4 routes have their address as
/// the source; with IPv6 several addresses may be behind one route, and only the VIP's own counts.
fn is_of(ip: IpAddr, route: &Route, snapshot: &Snapshot) -> bool {
    if route.preferred_source == Some(ip) {
        return true;
    }
    let behind = |address: &&Address| {
        Some(address.link) == route.link && address.network() == route.destination
    };
    route.protocol == RouteProtocol::Kernel
        && Family::of(ip) == Family::V6
        && snapshot.addresses.iter().filter(behind).any(|address| address.ip == ip)
        && !snapshot.addresses.iter().filter(behind).any(|address| address.ip != ip)
}

/// The connected network that contains `ip`, on `named` or on any link.
fn connected<'a>(
    ip: IpAddr,
    named: Option<&Link>,
    snapshot: &'a Snapshot,
) -> Result<(&'a Link, Network), Refusal> {
    let candidates = |networks: Vec<(LinkIndex, Network, u32)>| {
        networks.into_iter().filter_map(|(index, network, metric)| {
            let link = snapshot.link(index)?;
            let counts = named.is_none_or(|named| named.index == index)
                // A default route says nothing about the network it leads through.
                && network.prefix().length() > 0
                && network.contains(ip);
            counts.then_some((link, network, metric))
        })
    };
    // The route that the VIP itself made, where it is already on the host, proves nothing.
    let routes = snapshot
        .routes
        .iter()
        .filter(|route| route.table == TABLE_MAIN && route.is_connected())
        .filter(|route| !is_of(ip, route, snapshot))
        .filter_map(|route| Some((route.link?, route.destination, route.metric)));
    // The routes of a link that is down have gone; the addresses stay.
    let addresses = snapshot
        .addresses
        .iter()
        .filter(|address| address.ip != ip && address.peer.is_none())
        .map(|address| (address.link, address.network(), 0));
    let mut found: Vec<_> = candidates(routes.collect()).collect();
    if found.is_empty() {
        found = candidates(addresses.collect()).collect();
    }
    // As the kernel itself chooses: the most specific, then the lowest metric.
    let rank = |(_, network, metric): &(&Link, Network, u32)| {
        (u8::MAX - network.prefix().length(), *metric)
    };
    let Some(best) = found.iter().copied().min_by_key(rank) else {
        return Err(match named {
            Some(link) => Refusal::NoNetworkOnLink { ip, nic: link.name.clone() },
            None => Refusal::NoNetwork { ip },
        });
    };
    let rival =
        found.iter().find(|other| rank(other) == rank(&best) && other.0.index != best.0.index);
    match rival {
        Some((other, network, _)) => Err(Refusal::Ambiguous {
            network: *network,
            first: best.0.name.clone(),
            second: other.name.clone(),
        }),
        None => Ok((best.0, best.1)),
    }
}

#[cfg(test)]
mod tests;
