//! Which neighbours are asked together with the owner of the VIP, to learn how long an answer takes on the
//! link. Pure.

use std::net::IpAddr;

use hostnet::{
    Address, Family, Link, LinkIndex, MacAddress, Neighbour, NeighbourState, Network, Route,
};

use super::judge;
use super::target::Snapshot;
use crate::params::{Params, is_link_local};

/// How many are asked at most: one of them can be off, and each costs a broadcast, of which a switch with
/// Dynamic ARP Inspection allows 15 in a second.
const MOST: usize = 3;
/// How many of them are routers. The others are hosts with which this one has spoken lately.
const ROUTERS: usize = 2;

/// The kinds of link that guests of this host share. A guest answers without a frame on the wire.
const SHARED: [&str; 5] = ["bridge", "macvlan", "macvtap", "ipvlan", "openvswitch"];
/// Those of a link that is stacked on the one of the VIP and can belong to a guest.
const OF_GUESTS: [&str; 3] = ["macvlan", "macvtap", "ipvlan"];

/// A neighbour that is known to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) ip: IpAddr,
    /// The address of this host that asks it: an ordinary request with the true MAC address of this host, so
    /// that no cache learns anything wrong. `None`: an ARP probe, because this host has no address there.
    pub(crate) asked_from: Option<IpAddr>,
}

/// The controls for the VIP on a link, the best first.
///
/// `routes` are those of the link in the main table.
pub(crate) fn choose(
    params: &Params,
    link: &Link,
    snapshot: &Snapshot,
    neighbours: &[Neighbour],
    routes: &[Route],
) -> Vec<Control> {
    let macs: Vec<MacAddress> = snapshot.links.iter().filter_map(|link| link.mac).collect();
    let state_of = |ip: IpAddr| {
        let entry = neighbours.iter().find(|it| it.link == link.index && it.ip == ip)?;
        // Another interface of this host answers without a frame on the wire.
        Some(rank(entry).filter(|_| entry.mac.is_none_or(|mac| !macs.contains(&mac))))
    };
    // One without an entry in the cache was not asked lately.
    let mut routers = routers(params, link.index, routes);
    routers.retain(|ip| state_of(*ip).is_none_or(|state| state.is_some()));
    routers.truncate(ROUTERS);
    let mut hosts: Vec<(u8, IpAddr)> = Vec::new();
    if !is_shared_with_guests(link, &snapshot.links) {
        hosts.extend(neighbours.iter().filter_map(|it| Some((state_of(it.ip)??, it.ip))));
    }
    hosts.sort();
    let mut found: Vec<Control> = Vec::new();
    for ip in routers.into_iter().chain(hosts.into_iter().map(|(_, ip)| ip)) {
        if let Some(control) = control(params, link.index, snapshot, ip)
            && !found.iter().any(|known| known.ip == ip)
        {
            found.push(control);
        }
    }
    found.truncate(MOST);
    found
}

impl Control {
    /// The same control for the owner of the VIP, asked a while later. The address that asked it may have
    /// moved to another host, whose packets a request would draw to this one, and a probe makes a host that
    /// is just checking its own address (RFC 5227 section 2.1.1) give it up: then the VIP asks.
    pub(crate) fn asked_by_owner(
        self,
        vip: IpAddr,
        link: LinkIndex,
        addresses: &[Address],
    ) -> Self {
        let is_here = |own: &IpAddr| {
            let instance = addresses.iter().find(|it| it.ip == *own && it.link == link);
            instance.is_some_and(|it| !judge::is_unusable(it))
        };
        Self { asked_from: self.asked_from.filter(is_here).or(Some(vip)), ..self }
    }
}

/// How surely a neighbour answers, the lower the better; `None`: it has not answered lately, or never does.
fn rank(neighbour: &Neighbour) -> Option<u8> {
    neighbour.mac?;
    match neighbour.state {
        NeighbourState::Reachable => Some(0),
        NeighbourState::Delay | NeighbourState::Probe => Some(1),
        NeighbourState::Stale => Some(2),
        NeighbourState::Permanent => Some(3),
        _ => None,
    }
}

/// The routers of the link: `gateway`, then the next hops of its routes, those of the widest networks first.
fn routers(params: &Params, link: LinkIndex, routes: &[Route]) -> Vec<IpAddr> {
    let mut hops: Vec<(u8, u32, IpAddr)> = routes
        .iter()
        .filter(|route| route.link == Some(link))
        .filter_map(|route| {
            Some((route.destination.prefix().length(), route.metric, route.gateway?))
        })
        .collect();
    hops.sort();
    let mut routers: Vec<IpAddr> = params.gateway.into_iter().collect();
    for (_, _, hop) in hops {
        if !routers.contains(&hop) {
            routers.push(hop);
        }
    }
    routers
}

fn is_shared_with_guests(link: &Link, links: &[Link]) -> bool {
    let is_above = |other: &Link| other.lower == Some(link.index) && is_one_of(other, &OF_GUESTS);
    is_one_of(link, &SHARED) || is_vlan_on_shared(link, links) || links.iter().any(is_above)
}

/// A VLAN of a bridge: guests on a port of the bridge can be members of it.
fn is_vlan_on_shared(link: &Link, links: &[Link]) -> bool {
    let lower = links.iter().find(|other| Some(other.index) == link.lower);
    is_one_of(link, &["vlan"]) && lower.is_some_and(|lower| is_one_of(lower, &SHARED))
}

fn is_one_of(link: &Link, kinds: &[&str]) -> bool {
    link.kind.as_deref().is_some_and(|kind| kinds.contains(&kind))
}

/// How to ask a neighbour; `None`: it can't be a control.
fn control(params: &Params, link: LinkIndex, snapshot: &Snapshot, ip: IpAddr) -> Option<Control> {
    let is_of_family = Family::of(ip) == params.family();
    if !is_of_family || ip == params.ip || snapshot.addresses.iter().any(|own| own.ip == ip) {
        return None;
    }
    let is_usable = |own: &&Address| {
        own.link == link
            && own.peer.is_none()
            && !judge::is_unusable(own)
            && own.ip != params.ip
            && !snapshot.vips.contains(&own.ip)
    };
    let mut own = snapshot.addresses.iter().filter(is_usable);
    let asked_from = own.find(|own| {
        is_link_local(own.ip) && ip.is_ipv6() || Network::of(own.ip, own.prefix).contains(ip)
    });
    let asked_from = asked_from.map(|own| own.ip);
    // A Neighbor Solicitation without an address asks whether the neighbour may have its own one
    // (RFC 4862 section 5.4.3).
    (asked_from.is_some() || ip.is_ipv4()).then_some(Control { ip, asked_from })
}

#[cfg(test)]
mod tests;
