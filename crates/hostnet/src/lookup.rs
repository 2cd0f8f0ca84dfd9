//! Finds a link by what it has, and judges it by the links below it; on complete dumps, no effect in
//! here.

use crate::address::{Address, Network};
use crate::error::{Error, Result};
use crate::link::{Link, LinkIndex, LinkName, MacAddress};

/// The link with this hardware address, `None` if there is none.
///
/// Stacked links usually share one address: of a bond and its ports it is the bond, of a link and
/// its VLANs the link.
///
/// # Errors
/// [`Error::AmbiguousLink`] if several unrelated links have it.
pub fn link_with_mac(mac: MacAddress, links: &[Link]) -> Result<Option<&Link>> {
    let having: Vec<&Link> = links.iter().filter(|link| link.mac == Some(mac)).collect();
    let has = |index: Option<LinkIndex>| having.iter().any(|link| Some(link.index) == index);
    let meant = having.iter().copied().filter(|link| {
        // A port whose bond has another address (fail_over_mac) is the link that has this one.
        !has(link.controller) && !has(lower_of(link))
    });
    one(&mac.to_string(), meant)
}

/// The link that has an address in `network`, `None` if there is none. `addresses` must not contain
/// the address that a link is looked for: it may be on a wrong one.
///
/// # Errors
/// [`Error::AmbiguousLink`] if several have.
pub fn link_in_network<'a>(
    network: Network,
    links: &'a [Link],
    addresses: &[Address],
) -> Result<Option<&'a Link>> {
    let has_address = |link: &&Link| {
        let mut there = addresses.iter().filter(|address| address.link == link.index);
        there.any(|address| network.contains(address.ip))
    };
    one(&network.to_string(), links.iter().filter(has_address))
}

fn one<'a>(what: &str, mut meant: impl Iterator<Item = &'a Link>) -> Result<Option<&'a Link>> {
    let Some(first) = meant.next() else { return Ok(None) };
    let others: Vec<LinkName> = meant.map(|link| link.name.clone()).collect();
    if others.is_empty() {
        return Ok(Some(first));
    }
    let links = [vec![first.name.clone()], others].concat();
    Err(Error::AmbiguousLink { what: what.to_owned(), links })
}

/// Whether frames can leave and arrive, judged by the link and all links below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCondition {
    /// The link and all links below it.
    Usable,
    /// The link itself is usable, but these links below it are down: ports of a bond, the uplink of
    /// a bridge.
    Degraded(Vec<LinkName>),
    /// It is not usable. These are the lowest links that are down; the link itself if all links
    /// below it are up.
    Unusable(Vec<LinkName>),
}

/// The condition of `link`, judged by the links of one dump.
///
/// Below a bond or team are its ports, below a VLAN or macvlan its parent, below a bridge those of
/// its ports that lead out of the host. The kernel gives a bridge a carrier as soon as any port has
/// one, even if that is the port of a virtual machine and the cable is unplugged.
#[must_use]
pub fn condition(link: &Link, links: &[Link]) -> LinkCondition {
    let mut down = Vec::new();
    collect_down(link, links, &mut vec![link.index], &mut down);
    let names: Vec<LinkName> = down.iter().map(|link| link.name.clone()).collect();
    if !link.usable() {
        LinkCondition::Unusable(if names.is_empty() { vec![link.name.clone()] } else { names })
    } else if names.is_empty() {
        LinkCondition::Usable
    } else {
        LinkCondition::Degraded(names)
    }
}

/// Adds to `down` the lowest links below `link` that are not usable. `seen` ends this if the links
/// of a dump form a circle.
fn collect_down<'a>(
    link: &Link,
    links: &'a [Link],
    seen: &mut Vec<LinkIndex>,
    down: &mut Vec<&'a Link>,
) {
    for lower in links.iter().filter(|lower| is_below(lower, link)) {
        if seen.contains(&lower.index) {
            continue;
        }
        seen.push(lower.index);
        let before = down.len();
        collect_down(lower, links, seen, down);
        if !lower.usable() && down.len() == before {
            down.push(lower);
        }
    }
}

fn is_below(lower: &Link, link: &Link) -> bool {
    if lower.controller == Some(link.index) {
        return link.kind.as_deref() != Some("bridge") || is_uplink(lower);
    }
    lower_of(link) == Some(lower.index)
}

/// Whether a port of a bridge leads out of the host, and not to a virtual machine or container.
fn is_uplink(port: &Link) -> bool {
    !matches!(port.kind.as_deref(), Some("veth" | "tun" | "dummy" | "ifb"))
}

/// The link below. The one of a veth is its peer, which is not below it.
fn lower_of(link: &Link) -> Option<LinkIndex> {
    link.lower.filter(|_| link.kind.as_deref() != Some("veth"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{AddressFlags, Lifetime, Prefix, Scope};
    use crate::link::OperationalState;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

    /// Hardware, unless `kind` is something.
    fn link(index: u32, name: &str, kind: &str) -> Link {
        Link {
            index: LinkIndex::new(index).unwrap(),
            name: name.parse().unwrap(),
            altnames: Vec::new(),
            mac: Some(MAC),
            broadcast: Some(MacAddress::BROADCAST),
            ethernet: true,
            admin_up: true,
            carrier: true,
            carrier_losses: 0,
            operstate: OperationalState::Up,
            loopback: false,
            noarp: false,
            point_to_point: false,
            kind: (!kind.is_empty()).then(|| kind.to_owned()),
            lower: None,
            controller: None,
            controller_kind: None,
            mtu: 1500,
        }
    }

    fn on(lower: u32, link: Link) -> Link {
        Link { lower: LinkIndex::new(lower), ..link }
    }

    fn port_of(controller: u32, link: Link) -> Link {
        Link { controller: LinkIndex::new(controller), ..link }
    }

    fn down(link: Link) -> Link {
        Link { carrier: false, operstate: OperationalState::Down, ..link }
    }

    fn names(names: &[&str]) -> Vec<LinkName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn the_base_of_links_that_share_a_hardware_address_is_found() {
        let found = |links: &[Link]| {
            link_with_mac(MAC, links).map(|link| link.map(|link| link.name.to_string()))
        };
        let ports = [port_of(3, link(1, "eth0", "")), port_of(3, link(2, "eth1", ""))];
        let bond = [&ports[..], &[link(3, "bond0", "bond"), on(3, link(4, "vlan5", "vlan"))]];
        assert_eq!(found(&bond.concat()).unwrap().as_deref(), Some("bond0"));
        // A bond that has another address than its port.
        let other = Link { mac: Some(MacAddress([2, 0, 0, 0, 0, 9])), ..link(3, "bond0", "bond") };
        assert_eq!(found(&[ports[0].clone(), other.clone()]).unwrap().as_deref(), Some("eth0"));
        assert_eq!(found(&[other]).unwrap(), None);
        let twice = [link(1, "eth0", ""), link(2, "eth1", "")];
        let Err(Error::AmbiguousLink { what, links }) = found(&twice) else { panic!() };
        assert_eq!((what.as_str(), links), ("02:00:00:00:00:01", names(&["eth0", "eth1"])));
    }

    #[test]
    fn the_link_that_has_an_address_in_the_network_is_found() {
        let address = |link: u32, ip: &str| Address {
            link: LinkIndex::new(link).unwrap(),
            ip: ip.parse().unwrap(),
            prefix: Prefix::host(crate::Family::of(ip.parse().unwrap())),
            peer: None,
            broadcast: None,
            label: None,
            scope: Scope::Universe,
            flags: AddressFlags::default(),
            preferred_lft: Lifetime::Forever,
            valid_lft: Lifetime::Forever,
        };
        let links = [link(1, "eth0", ""), link(2, "eth1", ""), link(3, "eth2", "")];
        let addresses = [
            address(1, "192.0.2.1"),
            address(1, "192.0.2.10"),
            address(2, "198.51.100.1"),
            address(3, "198.51.100.2"),
            address(2, "2001:db8::1"),
        ];
        let found = |network: &str| {
            link_in_network(network.parse().unwrap(), &links, &addresses)
                .map(|link| link.map(|link| link.name.to_string()))
        };
        assert_eq!(found("192.0.2.0/24").unwrap().as_deref(), Some("eth0"));
        assert_eq!(found("2001:db8::/64").unwrap().as_deref(), Some("eth1"));
        assert_eq!(found("198.51.100.0/31").unwrap().as_deref(), Some("eth1"));
        assert_eq!(found("203.0.113.0/24").unwrap(), None);
        assert!(matches!(found("198.51.100.0/24"), Err(Error::AmbiguousLink { .. })));
    }

    #[test]
    fn a_bond_with_one_port_down_is_degraded() {
        let bond = link(3, "bond0", "bond");
        let (eth0, eth1) = (port_of(3, link(1, "eth0", "")), port_of(3, link(2, "eth1", "")));
        let judged = |links: &[Link]| condition(&bond, links);
        assert_eq!(judged(&[eth0.clone(), eth1.clone(), bond.clone()]), LinkCondition::Usable);
        let one = [eth0.clone(), down(eth1.clone()), bond.clone()];
        assert_eq!(judged(&one), LinkCondition::Degraded(names(&["eth1"])));
        let none = [down(eth0), down(eth1), down(bond.clone())];
        assert_eq!(condition(&none[2], &none), LinkCondition::Unusable(names(&["eth0", "eth1"])));
    }

    #[test]
    fn the_ports_of_a_bond_below_a_vlan_are_named() {
        let dead = |link: Link| Link { operstate: OperationalState::LowerLayerDown, ..down(link) };
        let links = [
            down(port_of(2, link(1, "eth0", ""))),
            down(link(2, "bond0", "bond")),
            dead(on(2, link(3, "bond0.5", "vlan"))),
        ];
        assert_eq!(condition(&links[2], &links), LinkCondition::Unusable(names(&["eth0"])));
        // Administratively down: all links below it are up.
        let vlan = Link { admin_up: false, ..on(2, link(3, "bond0.5", "vlan")) };
        let links = [port_of(2, link(1, "eth0", "")), link(2, "bond0", "bond"), vlan];
        assert_eq!(condition(&links[2], &links), LinkCondition::Unusable(names(&["bond0.5"])));
    }

    #[test]
    fn a_bridge_that_only_guests_keep_up_is_degraded() {
        let bridge = link(5, "br0", "bridge");
        let guest = port_of(5, link(6, "tap0", "tun"));
        let uplink = port_of(5, link(1, "eth0", ""));
        let links = [down(uplink.clone()), guest.clone(), bridge.clone()];
        assert_eq!(condition(&bridge, &links), LinkCondition::Degraded(names(&["eth0"])));
        // A guest that does not run has no effect.
        let links = [uplink, down(guest), bridge.clone()];
        assert_eq!(condition(&bridge, &links), LinkCondition::Usable);
    }

    #[test]
    fn circles_end() {
        let veths = [on(2, link(1, "a", "veth")), on(1, down(link(2, "b", "veth")))];
        assert_eq!(condition(&veths[0], &veths), LinkCondition::Usable);
        let links = [on(2, link(1, "a", "vlan")), on(1, down(link(2, "b", "vlan")))];
        assert_eq!(condition(&links[0], &links), LinkCondition::Degraded(names(&["b"])));
    }
}
