//! Reads the kernel's tables of links, addresses and routes.

use std::net::IpAddr;

use deadline::Deadline;
use hostnet::{Address, Family, Link, LinkIndex, Netlink, Result, TABLE_MAIN, condition};

use super::run_files::RunFiles;
use super::settled;
use super::zone::Zone;
use crate::decide::controls::{self, Control};
use crate::decide::judge::{self, Observation};
use crate::decide::names::LinkNames;
use crate::decide::target::{self, Snapshot, needs_routes};
use crate::log_line::failure;
use crate::params::{Nic, Params};

/// All addresses of a family.
pub(crate) fn addresses(
    netlink: &Netlink,
    family: Family,
    until: Deadline,
) -> Result<Vec<Address>> {
    settled(until, || netlink.addresses(family, None, until))
}

/// All links.
pub(crate) fn links(netlink: &Netlink, until: Deadline) -> Result<Vec<Link>> {
    settled(until, || netlink.links(until))
}

/// The names of all links, for a text: none if they can't be read.
pub(crate) fn link_names(netlink: &Netlink, until: Deadline) -> LinkNames {
    links(netlink, until).map(|links| LinkNames::of(&links)).unwrap_or_default()
}

/// What start decides by.
pub(crate) fn snapshot(netlink: &Netlink, params: &Params, until: Deadline) -> Result<Snapshot> {
    Ok(Snapshot {
        links: links(netlink, until)?,
        addresses: relevant_addresses(netlink, params, &zone_of(netlink, params, until)?, until)?,
        routes: if needs_routes(params) {
            settled(until, || netlink.routes(params.family(), TABLE_MAIN, until))?
        } else {
            Vec::new()
        },
        vips: RunFiles::of(params.ip, None).noted_vips(),
    })
}

/// The addresses of the VIP's family and, if `nic` is a network, of that network's family, without
/// those that equal a link-local VIP on other links.
fn relevant_addresses(
    netlink: &Netlink,
    params: &Params,
    zone: &Zone,
    until: Deadline,
) -> Result<Vec<Address>> {
    let mut found = addresses(netlink, params.family(), until)?;
    if let Some(Nic::Network(network)) = &params.nic
        && Family::of(network.base()) != params.family()
    {
        found.extend(addresses(netlink, Family::of(network.base()), until)?);
    }
    found.retain(|address| address.ip != params.ip || zone.contains(address));
    Ok(found)
}

fn zone_of(netlink: &Netlink, params: &Params, until: Deadline) -> Result<Zone> {
    Zone::of(netlink, params.ip, params.nic.as_ref(), until)
}

/// What monitor judges. The usual case costs one dump of the addresses and one query for the link; no
/// instance costs no query, and only the rare cases a dump of all links: `nic` is not a name, the link
/// has links below it, or the VIP is not as it should be.
pub(crate) fn observe(netlink: &Netlink, params: &Params, until: Deadline) -> Result<Observation> {
    let zone = zone_of(netlink, params, until)?;
    let addresses = relevant_addresses(netlink, params, &zone, until)?;
    let zone = zone.link();
    let instances = judge::instances(params, &addresses);
    let Some(likely) = judge::most_likely(params, &instances).map(|address| address.link) else {
        return Ok(Observation { zone, ..Observation::default() });
    };
    let followed: Vec<(Address, Vec<IpAddr>)> = instances
        .iter()
        .map(|instance| (instance.clone(), judge::followers(instance, &addresses).collect()))
        .filter(|(_, followers): &(_, Vec<IpAddr>)| !followers.is_empty())
        .collect();
    let mut lost_network = false;
    let (link, links) = match &params.nic {
        Some(Nic::Name(name)) => {
            let link = settled(until, || netlink.link_by_name(name, until))?;
            let links = links_below(netlink, link.as_ref(), until)?;
            (link, links)
        }
        Some(_) => {
            let links = links(netlink, until)?;
            let snapshot = Snapshot { links, addresses, ..Snapshot::default() };
            lost_network = snapshot.has_lost_network(params);
            let link = snapshot.expected_link(params, &instances).cloned();
            (link, Some(snapshot.links))
        }
        // On `lo` it can belong elsewhere, which only a complete snapshot shows.
        None if likely.get() == judge::LOOPBACK => {
            let snapshot = snapshot(netlink, params, until)?;
            let link = snapshot.expected_link(params, &instances).cloned();
            (link, Some(snapshot.links))
        }
        None => {
            let link = netlink.link_by_index(likely, until)?;
            let links = links_below(netlink, link.as_ref(), until)?;
            (link, links)
        }
    };
    let stack = link.as_ref().zip(links.as_deref()).map(|(link, links)| condition(link, links));
    let names = LinkNames::of(links.iter().flatten().chain(&link));
    let mut observation =
        Observation { instances, link, zone, stack, lost_network, names, ..Observation::default() };
    observation.precedes = precedes(params, &observation, &followed);
    let as_wanted = observation.exact(params).is_some() && observation.instances.len() == 1;
    let is_port = observation.link.as_ref().is_some_and(Link::is_port);
    if links.is_none() && (is_port || !as_wanted) {
        observation.names = link_names(netlink, until);
    }
    Ok(observation)
}

/// The host's own address that comes after the VIP.
fn precedes(
    params: &Params,
    observation: &Observation,
    followed: &[(Address, Vec<IpAddr>)],
) -> Option<IpAddr> {
    let exact = observation.exact(params)?;
    let (_, followers) = followed.iter().find(|(instance, _)| instance == exact)?;
    // The other VIPs of this agent have no order.
    let vips = RunFiles::of(params.ip, None).noted_vips();
    followers.iter().find(|ip| !vips.contains(ip)).copied()
}

/// The link on which the VIP belongs on a node that does not have it; `None` if there is none.
pub(crate) fn link_without_vip(
    netlink: &Netlink,
    params: &Params,
    until: Deadline,
) -> Result<Option<Link>> {
    if let Some(Nic::Name(name)) = &params.nic {
        return settled(until, || netlink.link_by_name(name, until));
    }
    let snapshot = snapshot(netlink, params, until)?;
    Ok(target::choose(params, &snapshot).ok().map(|target| target.link))
}

/// All links, if the link can work although one of those below it does not.
fn links_below(
    netlink: &Netlink,
    link: Option<&Link>,
    until: Deadline,
) -> Result<Option<Vec<Link>>> {
    const STACKED: [&str; 6] = ["bond", "team", "bridge", "vlan", "macvlan", "ipvlan"];
    let kind = link.and_then(|link| link.kind.as_deref());
    if kind.is_some_and(|kind| STACKED.contains(&kind)) {
        links(netlink, until).map(Some)
    } else {
        Ok(None)
    }
}

/// The gateway of the VIP's network: the parameter `gateway`, or that of the default route on the VIP's
/// link. One of the other family (RFC 8950: an IPv4 route through an IPv6 next hop) is not reached
/// from the VIP.
pub(crate) fn gateway(
    netlink: &Netlink,
    params: &Params,
    link: LinkIndex,
    until: Deadline,
) -> Result<Option<IpAddr>> {
    if params.gateway.is_some() {
        return Ok(params.gateway);
    }
    let routes = settled(until, || netlink.routes(params.family(), TABLE_MAIN, until))?;
    let defaults = routes
        .iter()
        .filter(|route| route.destination.prefix().length() == 0 && route.link == Some(link));
    let gateway = defaults.min_by_key(|route| route.metric).and_then(|route| route.gateway);
    Ok(gateway.filter(|gateway| Family::of(*gateway) == params.family()))
}

/// The neighbours that are asked together with the owner of the VIP. What can't be read in this time shortens
/// nothing: a cache of thousands of neighbours takes longer than the check without a control.
pub(crate) fn controls(
    netlink: &Netlink,
    params: &Params,
    link: &Link,
    snapshot: &Snapshot,
    until: Deadline,
) -> Vec<Control> {
    let read = || {
        let neighbours = netlink.neighbours_on(params.family(), link.index, until)?;
        let routes = if needs_routes(params) {
            snapshot.routes.clone()
        } else {
            netlink.routes_by(params.family(), TABLE_MAIN, link.index, until)?
        };
        Ok((neighbours, routes))
    };
    match read() {
        Ok((neighbours, routes)) => controls::choose(params, link, snapshot, &neighbours, &routes),
        Err::<_, hostnet::Error>(error) => {
            log::debug!("{}", failure(&error).note("the neighbours can't be read: none is asked"));
            Vec::new()
        }
    }
}
