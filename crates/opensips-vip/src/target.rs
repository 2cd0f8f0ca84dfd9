//! Where the VIP belongs on this host: link, prefix, broadcast address, label. Pure.

use std::net::IpAddr;

use hostnet::{
    Address, Family, Link, LinkIndex, LinkName, Network, NewAddress, Prefix, Route, RouteProtocol,
    TABLE_MAIN, link_in_network, link_with_mac,
};

use crate::judge;
use crate::params::{LONGEST_LABEL, Nic, Nodad, Params};

/// The host's tables at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every link.
    pub links: Vec<Link>,
    /// Every address of the VIP's family, and of that of `nic`, where this is a network.
    pub addresses: Vec<Address>,
    /// The routes of the VIP's family in the main table; read only where [`needs_routes`] says so.
    pub routes: Vec<Route>,
}

impl Snapshot {
    /// The link that `nic` names; `None`: there is no such link.
    ///
    /// # Errors
    /// [`Refusal::AmbiguousNic`]
    pub fn link_of(&self, nic: &Nic, ip: IpAddr) -> Result<Option<&Link>, Refusal> {
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
    pub fn link(&self, index: LinkIndex) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The link on which the VIP is expected, as monitor sees it: that of `nic`, else that of the
    /// instance that is there. While the VIP is where it should be, a network or hardware address that
    /// fits other links, too, or a network of which the VIP is the last address, does not change that.
    pub fn expected_link(&self, params: &Params, instances: &[Address]) -> Option<&Link> {
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
    pub fn has_lost_network(&self, params: &Params) -> bool {
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
pub struct Target {
    /// The link.
    pub link: Link,
    /// The address as it is added.
    pub address: NewAddress,
}

/// Why the VIP can't be on this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
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
    #[error("iflabel={label}: {name}:{label} is longer than {LONGEST_LABEL} bytes")]
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
pub fn needs_routes(params: &Params) -> bool {
    params.nic.is_none() || params.prefix.is_none()
}

/// Where the VIP belongs, by the parameters and by what is connected to this host.
///
/// # Errors
/// It can't be on this host; nothing was judged that changes while the host runs, such as
/// carrier.
pub fn target(params: &Params, snapshot: &Snapshot) -> Result<Target, Refusal> {
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
                .filter(|full| full.len() <= LONGEST_LABEL)
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
mod tests {
    use super::*;
    use crate::sample::{address, connected, link, lo, params};
    use hostnet::Scope;
    use std::net::Ipv4Addr;

    fn host() -> Snapshot {
        Snapshot {
            links: vec![lo(), link(2, "eth0"), link(3, "eth1")],
            addresses: vec![address(2, "192.0.2.1/24"), address(3, "198.51.100.1/24")],
            routes: vec![
                connected(2, "192.0.2.0/24", Some("192.0.2.1")),
                connected(3, "198.51.100.0/24", Some("198.51.100.1")),
            ],
        }
    }

    fn found(given: &[(&str, &str)], host: &Snapshot) -> Result<(String, u8), String> {
        target(&params(given), host)
            .map(|target| (target.link.name.to_string(), target.address.prefix.length()))
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn from_the_connected_network() {
        let target = target(&params(&[]), &host()).unwrap();
        assert_eq!((target.link.name.as_str(), target.address.prefix.length()), ("eth0", 24));
        assert_eq!(target.address.broadcast, Some(Ipv4Addr::new(192, 0, 2, 255)));
        assert_eq!(target.address.label, None);
    }

    #[test]
    fn parameters_win() {
        let named = |nic| found(&[("nic", nic), ("cidr_netmask", "32")], &host());
        assert_eq!(named("eth1"), Ok(("eth1".to_owned(), 32)));
        assert_eq!(named("enp3s0"), Ok(("eth1".to_owned(), 32)));
        assert_eq!(named("lo"), Ok(("lo".to_owned(), 32)));
        assert_eq!(found(&[("cidr_netmask", "32")], &host()), Ok(("eth0".to_owned(), 32)));
        assert_eq!(found(&[("nic", "eth0")], &host()), Ok(("eth0".to_owned(), 24)));
    }

    #[test]
    fn the_most_specific_network_then_the_lowest_metric() {
        let mut host = host();
        host.routes.push(connected(3, "192.0.2.0/28", None));
        assert_eq!(found(&[], &host), Ok(("eth1".to_owned(), 28)));
        assert_eq!(found(&[("nic", "eth0")], &host), Ok(("eth0".to_owned(), 24)));
        host.routes.push(Route { metric: 100, ..connected(2, "192.0.2.0/28", None) });
        assert_eq!(found(&[], &host), Ok(("eth1".to_owned(), 28)));
    }

    #[test]
    fn equally_near_is_a_question() {
        let mut host = host();
        host.routes.push(connected(3, "192.0.2.0/24", None));
        assert_eq!(
            found(&[], &host),
            Err("192.0.2.0/24 is connected to eth0 and to eth1: give nic".to_owned())
        );
        assert_eq!(found(&[("nic", "eth1")], &host), Ok(("eth1".to_owned(), 24)));
        // Two addresses of the network on one link are no question.
        host.routes.pop();
        host.routes.push(connected(2, "192.0.2.0/24", Some("192.0.2.2")));
        assert_eq!(found(&[], &host), Ok(("eth0".to_owned(), 24)));
    }

    #[test]
    fn a_link_that_is_down_still_has_its_addresses() {
        let host = Snapshot { routes: Vec::new(), ..host() };
        assert_eq!(found(&[], &host), Ok(("eth0".to_owned(), 24)));
    }

    #[test]
    fn what_the_vip_itself_made_proves_nothing() {
        let host = Snapshot {
            addresses: vec![address(2, "192.0.2.10/24")],
            routes: vec![connected(2, "192.0.2.0/24", Some("192.0.2.10"))],
            ..host()
        };
        assert!(found(&[], &host).is_err());
    }

    #[test]
    fn nic_by_mac_and_by_network() {
        let named = |nic| found(&[("nic", nic)], &host());
        assert_eq!(named("02:00:00:00:00:02"), Ok(("eth0".to_owned(), 24)));
        assert_eq!(named("192.0.2.0/24"), Ok(("eth0".to_owned(), 24)));
        assert_eq!(
            found(&[("nic", "198.51.100.0/24"), ("cidr_netmask", "32")], &host()),
            Ok(("eth1".to_owned(), 32))
        );
        let missing = named("02:00:00:00:00:09").unwrap_err();
        assert_eq!(missing, "nic=02:00:00:00:00:09: there is no such interface on this node");
        let several = named("192.0.0.0/3").unwrap_err();
        assert!(several.contains("fits several interfaces: eth0, eth1"), "{several}");
        // Where the VIP is now says nothing about where it belongs.
        let mut host = host();
        host.addresses.push(address(3, "192.0.2.10/24"));
        assert_eq!(found(&[("nic", "192.0.2.0/24")], &host), Ok(("eth0".to_owned(), 24)));
    }

    #[test]
    fn ipv6_takes_the_prefix_of_its_network() {
        let route =
            |link, network| Route { scope: Scope::Universe, ..connected(link, network, None) };
        let host = Snapshot {
            links: vec![lo(), link(2, "eth0"), link(3, "eth1")],
            addresses: vec![address(2, "2001:db8::1/64"), address(2, "fe80::2/64")],
            routes: vec![
                route(2, "2001:db8::/64"),
                route(2, "fe80::/64"),
                route(3, "fe80::/64"),
                route(2, "2001:db8::1/128"),
            ],
        };
        let found = |given: &[(&str, &str)]| found(given, &host);
        assert_eq!(found(&[("ip", "2001:DB8:0::10")]), Ok(("eth0".to_owned(), 64)));
        assert_eq!(found(&[("ip", "fe80::10"), ("nic", "eth1")]), Ok(("eth1".to_owned(), 64)));
        assert!(found(&[("ip", "2001:db8:1::10")]).is_err());
        let target = target(&params(&[("ip", "2001:db8::10")]), &host).unwrap();
        assert_eq!((target.address.broadcast, target.address.nodad), (None, false));

        // A route that is there for the VIP alone.
        let alone = Snapshot {
            addresses: vec![address(2, "2001:db8::10/64"), address(2, "fe80::2/64")],
            ..host.clone()
        };
        assert!(super::target(&params(&[("ip", "2001:db8::10")]), &alone).is_err());
    }

    #[test]
    fn refusals() {
        let elsewhere = Snapshot {
            routes: vec![
                connected(2, "203.0.113.0/24", None),
                connected(2, "0.0.0.0/0", None),
                Route { gateway: "203.0.113.1".parse().ok(), ..connected(2, "192.0.2.0/24", None) },
                Route { table: 100, ..connected(2, "192.0.2.0/24", None) },
            ],
            addresses: vec![address(2, "203.0.113.7/24")],
            ..host()
        };
        let refused = |given: &[(&str, &str)], host: &Snapshot| found(given, host).unwrap_err();
        assert!(refused(&[], &elsewhere).starts_with("no connected network of this node contains"));
        assert!(refused(&[("nic", "eth0")], &elsewhere).contains("to eth0 contains 192.0.2.10"));
        assert_eq!(
            refused(&[("nic", "eth7")], &host()),
            "nic=eth7: there is no such interface on this node"
        );
        assert!(
            refused(&[("nic", "eth0"), ("iflabel", "eleven-byte")], &host())
                .ends_with("eth0:eleven-byte is longer than 15 bytes")
        );
        let mut host = host();
        host.routes.push(connected(2, "192.0.2.8/30", None));
        let broadcast = params(&[("ip", "192.0.2.11")]);
        assert!(matches!(target(&broadcast, &host), Err(Refusal::BroadcastAddress { .. })));
    }

    #[test]
    fn labels() {
        let target = target(&params(&[("iflabel", "sip"), ("nic", "enp2s0")]), &host()).unwrap();
        assert_eq!(target.address.label.as_deref(), Some("eth0:sip"));
    }

    fn expected(given: &[(&str, &str)], host: &Snapshot) -> Option<String> {
        let params = params(given);
        let instances = judge::instances(&params, &host.addresses);
        host.expected_link(&params, &instances).map(|link| link.name.to_string())
    }

    #[test]
    fn where_the_vip_is_it_stays_expected() {
        let mut host = host();
        let network = [("nic", "192.0.2.0/24")];
        let mac = [("nic", "02:00:00:00:00:02")];
        let eth0 = Some("eth0".to_owned());
        assert_eq!(
            (expected(&network, &host), expected(&mac, &host)),
            (eth0.clone(), eth0.clone())
        );
        host.addresses.push(address(2, "192.0.2.10/24"));
        // Another link of that network, and one with that hardware address, come up later.
        host.addresses.push(address(3, "192.0.2.3/24"));
        host.links[2].mac = host.links[1].mac;
        assert_eq!(
            (expected(&network, &host), expected(&mac, &host)),
            (eth0.clone(), eth0.clone())
        );
        // Where it has to be put first, that is a question.
        host.addresses.retain(|address| address.ip.to_string() != "192.0.2.10");
        assert_eq!((expected(&network, &host), expected(&mac, &host)), (None, None));
        assert!(found(&network, &host).unwrap_err().contains("eth0, eth1"));
        // The VIP is the last of its network.
        host.addresses = vec![address(2, "192.0.2.10/24"), address(3, "198.51.100.1/24")];
        assert_eq!(expected(&network, &host), eth0);
        assert!(host.has_lost_network(&params(&network)));
        assert!(!host.has_lost_network(&params(&[("nic", "198.51.100.0/24")])));
        assert!(!host.has_lost_network(&params(&[("nic", "eth0")])));
    }

    #[test]
    fn without_nic_nobody_means_loopback_while_there_is_a_network() {
        let mut host = host();
        host.addresses.push(address(1, "192.0.2.10/32"));
        assert_eq!(expected(&[], &host), Some("eth0".to_owned()));
        assert_eq!(expected(&[("nic", "lo")], &host), Some("lo".to_owned()));
        host.addresses.remove(0);
        host.routes.clear();
        assert_eq!(expected(&[], &host), Some("lo".to_owned()));
    }
}
