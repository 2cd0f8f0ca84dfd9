//! Which link is meant, and what it stands on: judged on complete dumps; no effect in here.

use crate::address::{Address, Network};
use crate::error::{Error, Result};
use crate::link::{Link, LinkIndex, LinkName, MacAddress};

/// The link with this hardware address, `None` if there is none.
///
/// What is stacked on a link usually has its address: of a bond and its ports the bond is
/// meant, of a link and the VLANs on it the link.
///
/// # Errors
/// [`Error::AmbiguousLink`] if there are several all the same.
pub fn link_with_mac(mac: MacAddress, links: &[Link]) -> Result<Option<&Link>> {
    let having: Vec<&Link> = links.iter().filter(|link| link.mac == Some(mac)).collect();
    let has = |index: Option<LinkIndex>| having.iter().any(|link| Some(link.index) == index);
    let meant = having.iter().copied().filter(|link| {
        // A port whose bond has another address (fail_over_mac) is a port all the same, and
        // still the one that was named.
        !has(link.controller) && !has(lower_of(link))
    });
    one(&mac.to_string(), meant)
}

/// The link that has an address in `network`, `None` if there is none. `addresses` are those
/// that count: without the one that is looked for a place for, which may be in the wrong one.
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

/// Whether frames can leave and arrive, with all that a link stands on taken into account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCondition {
    /// All of it.
    Usable,
    /// The link itself, but of what it stands on these are down: ports of a bond, the way out
    /// of a bridge.
    Degraded(Vec<LinkName>),
    /// Not usable. The names are those of the lowest links to blame, its own if nothing below
    /// it is.
    Unusable(Vec<LinkName>),
}

/// The condition of `link`, judged by the links of one dump.
///
/// A bond or team stands on its ports, a VLAN or macvlan on its parent, a bridge on those of its
/// ports that lead out of the host. The kernel gives a bridge a carrier as soon as any port has
/// one, also if that is a virtual machine while the cable is out.
#[must_use]
pub fn condition(link: &Link, links: &[Link]) -> LinkCondition {
    let mut down = Vec::new();
    blame(link, links, &mut vec![link.index], &mut down);
    let names: Vec<LinkName> = down.iter().map(|link| link.name.clone()).collect();
    if !link.usable() {
        LinkCondition::Unusable(if names.is_empty() { vec![link.name.clone()] } else { names })
    } else if names.is_empty() {
        LinkCondition::Usable
    } else {
        LinkCondition::Degraded(names)
    }
}

/// Adds to `down` the lowest links below `link` that are not usable. `seen` keeps this from
/// going round in circles, should a dump have any.
fn blame<'a>(link: &Link, links: &'a [Link], seen: &mut Vec<LinkIndex>, down: &mut Vec<&'a Link>) {
    for lower in links.iter().filter(|lower| stands_on(link, lower)) {
        if seen.contains(&lower.index) {
            continue;
        }
        seen.push(lower.index);
        let before = down.len();
        blame(lower, links, seen, down);
        if !lower.usable() && down.len() == before {
            down.push(lower);
        }
    }
}

fn stands_on(link: &Link, lower: &Link) -> bool {
    if lower.controller == Some(link.index) {
        return link.kind.as_deref() != Some("bridge") || leads_out(lower);
    }
    lower_of(link) == Some(lower.index)
}

/// Whether the port of a bridge is more than the cable of a guest or container.
fn leads_out(port: &Link) -> bool {
    !matches!(port.kind.as_deref(), Some("veth" | "tun" | "dummy" | "ifb"))
}

/// The link below; that of a veth is its peer, which is beside it.
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
    fn of_those_that_share_a_hardware_address_the_base_is_meant() {
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
    fn the_link_that_has_an_address_in_the_network() {
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
    fn a_bond_lives_on_one_port() {
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
    fn a_vlan_stands_on_a_bond_stands_on_ports() {
        let dead = |link: Link| Link { operstate: OperationalState::LowerLayerDown, ..down(link) };
        let links = [
            down(port_of(2, link(1, "eth0", ""))),
            down(link(2, "bond0", "bond")),
            dead(on(2, link(3, "bond0.5", "vlan"))),
        ];
        assert_eq!(condition(&links[2], &links), LinkCondition::Unusable(names(&["eth0"])));
        // Taken down by an administrator: nothing below is to blame.
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
        // A guest that is not running harms nobody.
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
