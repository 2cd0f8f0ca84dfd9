//! Where the VIP belongs on this host: link, prefix, broadcast address, label. Pure.

use std::net::IpAddr;

use hostnet::{
    Address, Family, Link, LinkIndex, LinkName, Network, NewAddress, Prefix, Route, RouteProtocol,
    TABLE_MAIN, link_in_network, link_with_mac,
};

use super::judge;
use super::names::LinkNames;
use crate::params::{MAX_LABEL, Nic, Nodad, Params};

/// The host's tables at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) links: Vec<Link>,
    /// All addresses of the VIP's family and, if `nic` is a network, of that network's family.
    pub(crate) addresses: Vec<Address>,
    /// The routes of the VIP's family in the main table; read only if [`needs_routes`] is true.
    pub(crate) routes: Vec<Route>,
    /// The VIPs that are noted: each other address is the host's own.
    pub(crate) vips: Vec<IpAddr>,
}

impl Snapshot {
    /// The link that `nic` identifies; `None`: there is no such link.
    ///
    /// # Errors
    /// [`Refusal::AmbiguousNic`]
    pub(crate) fn link_of(&self, nic: &Nic, ip: IpAddr) -> Result<Option<&Link>, Refusal> {
        let found = match nic {
            Nic::Name(name) => Ok(self.links.iter().find(|link| link.is_called(name))),
            Nic::Mac(mac) => link_with_mac(*mac, &self.links),
            // The VIP's own address does not count: the VIP can be on the wrong link.
            Nic::Network(network) => {
                let others = self.addresses.iter().filter(|address| address.ip != ip);
                let others: Vec<_> = others.cloned().collect();
                link_in_network(*network, &self.links, &others)
            }
        };
        found.map_err(|error| Refusal::AmbiguousNic {
            nic: nic.clone(),
            links: match error {
                hostnet::Error::AmbiguousLink { links, .. } => {
                    links.iter().map(LinkName::as_str).collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            },
        })
    }

    pub(crate) fn link(&self, index: LinkIndex) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The link on which monitor expects the VIP: that of `nic`, or without `nic` that of the instance
    /// that is there. While the VIP is on a link that `nic` matches, it stays expected there, even if
    /// `nic` is a network or MAC address that other links match as well, or a network whose last address
    /// is the VIP.
    pub(crate) fn expected_link(&self, params: &Params, instances: &[Address]) -> Option<&Link> {
        let Some(nic) = &params.nic else {
            let likely = self.link(judge::most_likely(params, instances)?.link)?;
            // On `lo` no other host reaches it: it belongs on the link whose network contains it.
            return match choose(params, self) {
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
            (Err(_), _) => with_vip.find(|link| self.matches(nic, link, params.ip)),
        }
    }

    /// Returns true if `nic` is a network in which only the VIP has an address.
    pub(crate) fn has_lost_network(&self, params: &Params) -> bool {
        params.nic.as_ref().is_some_and(|nic| {
            matches!(nic, Nic::Network(_)) && matches!(self.link_of(nic, params.ip), Ok(None))
        })
    }

    /// Returns true if `nic` matches this link, even if it matches others too.
    fn matches(&self, nic: &Nic, link: &Link, ip: IpAddr) -> bool {
        match nic {
            Nic::Name(name) => link.is_called(name),
            Nic::Mac(mac) => link.mac == Some(*mac),
            Nic::Network(network) => self.addresses.iter().any(|address| {
                address.link == link.index && address.ip != ip && network.contains(address.ip)
            }),
        }
    }
}

/// Where the VIP is added, and with which attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) link: Link,
    pub(crate) address: NewAddress,
}

/// Why the VIP can't be on this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("nic={nic} does not exist on this node: set nic to a name that ip link lists")]
    NoSuchLink { nic: Nic },
    #[error("nic={nic} matches several interfaces ({links}): set nic to the name of one")]
    AmbiguousNic { nic: Nic, links: String },
    #[error("no connected network of this node contains {ip}: set nic and cidr_netmask")]
    NoNetwork { ip: IpAddr },
    #[error("no network connected to {nic} contains {ip}: set cidr_netmask")]
    NoNetworkOnLink { ip: IpAddr, nic: LinkName },
    #[error("{network} is connected to both {first} and {second}: set nic")]
    Ambiguous { network: Network, first: LinkName, second: LinkName },
    /// What arrives there is taken by something else.
    #[error("{0}")]
    NoHost(Unreachable),
    #[error("iflabel={label}: {name}:{label} is longer than {MAX_LABEL} bytes: shorten iflabel")]
    LabelTooLong { label: String, name: LinkName },
    /// With the prefix of the connected network, which the parameters do not tell.
    #[error("ip={ip} is the broadcast address of {network} on this node: use another address")]
    BroadcastAddress { ip: IpAddr, network: Network },
}

/// Why no other host reaches an address on a link; the message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreachable {
    #[error("{link} is a port of {controller}: set nic={controller}")]
    Port { link: LinkName, controller: String },
    /// The kernel knows the datapath of all bridges as the one that it is a port of.
    #[error(
        "{link} is a port of an Open vSwitch bridge: set nic to that bridge (ovs-vsctl iface-to-br {link})"
    )]
    OpenVswitchPort { link: LinkName },
    /// macvtap, ipvtap
    #[error("{link} hands what arrives to a virtual machine: set nic to another interface")]
    Tap { link: LinkName },
}

/// Why no other host reaches an address on the link; `None` if that is possible. The kernel gives what arrives
/// on a port to the bridge or bond (`rx_handler`); the links of a VRF keep it.
pub(crate) fn unreachable(link: &Link, names: &LinkNames) -> Option<Unreachable> {
    let name = || link.name.clone();
    if matches!(link.kind.as_deref(), Some("macvtap" | "ipvtap")) {
        return Some(Unreachable::Tap { link: name() });
    }
    let controller = link.controller.filter(|_| link.is_port())?;
    Some(match link.controller_kind.as_deref() {
        Some("openvswitch") => Unreachable::OpenVswitchPort { link: name() },
        _ => Unreachable::Port { link: name(), controller: names.link(controller) },
    })
}

/// Returns true if the interface or the prefix has to be derived from the routes, or if the kernel can
/// take a route of others for that of the VIP ([`has_foreign_route`]).
pub(crate) fn needs_routes(params: &Params) -> bool {
    params.nic.is_none() || params.prefix.is_none() || params.ip.is_ipv6()
}

/// Chooses where the VIP belongs, by the parameters and by the connected networks.
///
/// # Errors
/// The VIP can't be on this host. What changes while the host runs, such as carrier, does not count.
pub(crate) fn choose(params: &Params, snapshot: &Snapshot) -> Result<Target, Refusal> {
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
    require_reachable(link, snapshot)?;
    complete(params, link, prefix, snapshot)
}

/// # Errors
/// [`Refusal::NoHost`]
pub(crate) fn require_reachable(link: &Link, snapshot: &Snapshot) -> Result<(), Refusal> {
    unreachable(link, &LinkNames::of(&snapshot.links)).map_or(Ok(()), |it| Err(Refusal::NoHost(it)))
}

/// An instance of the VIP that stays: with what the parameters ask for, as far as that can be set.
pub(crate) fn adopted(params: &Params, link: &Link, exact: &Address) -> Target {
    let wanted = complete(params, link, exact.prefix, &Snapshot::default());
    let plain = || NewAddress::new(link.index, exact.ip, exact.prefix);
    let address = NewAddress {
        scope: exact.scope,
        noprefixroute: exact.flags.noprefixroute,
        nodad: exact.flags.nodad,
        ..wanted.map_or_else(|_| plain(), |target| target.address)
    };
    Target { link: link.clone(), address }
}

fn complete(
    params: &Params,
    link: &Link,
    prefix: Prefix,
    snapshot: &Snapshot,
) -> Result<Target, Refusal> {
    let ip = params.ip;
    let network = Network::of(ip, prefix);
    if network.broadcast().map(IpAddr::from) == Some(ip) {
        return Err(Refusal::BroadcastAddress { ip, network });
    }
    let label = params.label.as_ref().map(|label| {
        Some(format!("{}:{label}", link.name))
            .filter(|full| full.len() <= MAX_LABEL)
            .ok_or_else(|| Refusal::LabelTooLong { label: label.clone(), name: link.name.clone() })
    });
    let address = NewAddress {
        broadcast: match ip {
            IpAddr::V4(ip) => params.broadcast.of(ip, prefix),
            IpAddr::V6(_) => None,
        },
        label: label.transpose()?,
        noprefixroute: params.noprefixroute
            || ip.is_ipv6() && has_foreign_route(link.index, network, snapshot),
        nodad: ip.is_ipv6() && params.nodad == Nodad::Yes,
        preferred_lft: params.preferred_lft,
        ..NewAddress::new(link.index, ip, prefix)
    };
    Ok(Target { link: link.clone(), address })
}

/// Returns true if the connected network has a route on the link that the kernel has not added for an address:
/// by a router advertisement, an administrator or NetworkManager.
///
/// For an IPv6 address without `IFA_F_NOPREFIXROUTE` the kernel adds such a route, takes the lifetime from one
/// that is there instead, and when the address goes it deletes the first one that it finds, whatever has
/// added it (`cleanup_prefix_route`). With a permanent address of the same network that has its
/// route from the kernel it keeps them all.
fn has_foreign_route(link: LinkIndex, network: Network, snapshot: &Snapshot) -> bool {
    let has_route = snapshot.routes.iter().any(|route| {
        route.is_connected() && (route.link, route.destination) == (Some(link), network)
    });
    let keeps_routes = |address: &Address| {
        (address.link, address.network()) == (link, network)
            && address.flags.permanent
            && !address.flags.noprefixroute
    };
    has_route && !snapshot.addresses.iter().any(keeps_routes)
}

/// Returns true if the kernel has added the route for an instance of `ip`. IPv4 routes have their
/// address as source. For IPv6, several addresses can share one route: it counts as the VIP's only if
/// no other address does.
fn is_route_of(ip: IpAddr, route: &Route, snapshot: &Snapshot) -> bool {
    if route.preferred_source == Some(ip) {
        return true;
    }
    let shares_route = |address: &&Address| {
        Some(address.link) == route.link
            && address.network() == route.destination
            && !address.flags.noprefixroute
    };
    route.protocol == RouteProtocol::Kernel
        && Family::of(ip) == Family::V6
        && snapshot.addresses.iter().filter(shares_route).any(|address| address.ip == ip)
        && !snapshot.addresses.iter().filter(shares_route).any(|address| address.ip != ip)
}

/// A connected network.
#[derive(Clone, Copy)]
struct Connected<'a> {
    link: &'a Link,
    network: Network,
    metric: u32,
}

impl Connected<'_> {
    /// The kernel's own choice: the most specific network, then the lowest metric.
    fn rank(&self) -> (u8, u32) {
        (u8::MAX - self.network.prefix().length(), self.metric)
    }
}

/// The connected network that contains `ip`, on `named` or on any link.
fn connected<'a>(
    ip: IpAddr,
    named: Option<&Link>,
    snapshot: &'a Snapshot,
) -> Result<(&'a Link, Network), Refusal> {
    let candidates = candidates(ip, named, snapshot);
    let Some(best) = candidates.iter().min_by_key(|candidate| candidate.rank()) else {
        return Err(match named {
            Some(link) => Refusal::NoNetworkOnLink { ip, nic: link.name.clone() },
            None => Refusal::NoNetwork { ip },
        });
    };
    let tie = candidates
        .iter()
        .find(|other| other.rank() == best.rank() && other.link.index != best.link.index);
    match tie {
        Some(other) => Err(Refusal::Ambiguous {
            network: other.network,
            first: best.link.name.clone(),
            second: other.link.name.clone(),
        }),
        None => Ok((best.link, best.network)),
    }
}

/// The connected networks that contain `ip`: those of the routes or, if there is none, those of the
/// addresses, which stay while the link is down.
fn candidates<'a>(ip: IpAddr, named: Option<&Link>, snapshot: &'a Snapshot) -> Vec<Connected<'a>> {
    let candidate = |index: LinkIndex, network: Network, metric| {
        let link = snapshot.link(index)?;
        // No other host reaches an address on loopback: it is there only where nic says so.
        let counts = named.map_or(!link.loopback, |named| named.index == index)
            // A default route does not show that a host is on the link.
            && network.prefix().length() > 0
            && network.contains(ip);
        counts.then_some(Connected { link, network, metric })
    };
    // A route that was added for the VIP itself does not show where the VIP belongs.
    let by_routes: Vec<_> = snapshot
        .routes
        .iter()
        .filter(|route| route.table == TABLE_MAIN && route.is_connected())
        .filter(|route| !is_route_of(ip, route, snapshot))
        .filter_map(|route| candidate(route.link?, route.destination, route.metric))
        .collect();
    if !by_routes.is_empty() {
        return by_routes;
    }
    snapshot
        .addresses
        .iter()
        .filter(|address| address.ip != ip && address.peer.is_none())
        .filter_map(|address| candidate(address.link, address.network(), 0))
        .collect()
}

#[cfg(test)]
mod tests;
