//! Reading the host's tables.

use std::net::IpAddr;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Address, Error, Family, Link, Netlink, Result};
use hostnet::{LinkIndex, TABLE_MAIN, condition};

use crate::decide::judge::{self, Observation};
use crate::decide::names::LinkNames;
use crate::decide::target::{Snapshot, needs_routes};
use crate::host::run_directory::RunDirectory;
use crate::params::{Nic, Params, is_link_local};

/// Pause before a table that kept changing is read again.
const REREAD: Duration = Duration::from_millis(5);

/// Every address of a family. A table that keeps changing while it is read is read again until the
/// deadline: an incomplete one proves nothing.
pub(crate) fn addresses(
    netlink: &Netlink,
    family: Family,
    until: Deadline,
) -> Result<Vec<Address>> {
    settled(until, || netlink.addresses(family, None, until))
}

/// What start decides by.
pub(crate) fn snapshot(netlink: &Netlink, params: &Params, until: Deadline) -> Result<Snapshot> {
    Ok(Snapshot {
        links: settled(until, || netlink.links(until))?,
        addresses: addresses_that_count(netlink, params, until)?,
        routes: if needs_routes(params) {
            settled(until, || netlink.routes(params.family(), TABLE_MAIN, until))?
        } else {
            Vec::new()
        },
    })
}

/// Those of the VIP's family, and of that of `nic`, where this is a network.
fn addresses_that_count(
    netlink: &Netlink,
    params: &Params,
    until: Deadline,
) -> Result<Vec<Address>> {
    let mut found = addresses(netlink, params.family(), until)?;
    if let Some(Nic::Network(network)) = &params.nic
        && Family::of(network.base()) != params.family()
    {
        found.extend(addresses(netlink, Family::of(network.base()), until)?);
    }
    if let Some(link) = own_link(netlink, params.ip, params.nic.as_ref(), until)? {
        let link = link.map(|link| link.index);
        found.retain(|address| address.ip != params.ip || Some(address.link) == link);
    }
    Ok(found)
}

/// The link of a link-local VIP: on any other one the same address is another one. `None`: the VIP is
/// not link-local. `Some(None)`: the link is not there.
pub(crate) fn own_link(
    netlink: &Netlink,
    ip: IpAddr,
    nic: Option<&Nic>,
    until: Deadline,
) -> Result<Option<Option<Link>>> {
    if !is_link_local(ip) {
        return Ok(None);
    }
    // By anything else it would not be known where it is when that has changed.
    let Some(Nic::Name(name)) = nic else { return Ok(Some(None)) };
    settled(until, || netlink.link_by_name(name, until)).map(Some)
}

/// The run directory for a VIP.
pub(crate) fn run_directory(
    netlink: &Netlink,
    params: &Params,
    until: Deadline,
) -> Result<RunDirectory> {
    let link = own_link(netlink, params.ip, params.nic.as_ref(), until)?.flatten();
    Ok(RunDirectory::new().on(link.as_ref().map(|link| &link.name)))
}

/// What monitor judges: the instances of the VIP, and the link on which it is expected. One
/// address dump; of links one, and only if there is an instance; all where `nic` is no name, or
/// the link stands on others.
pub(crate) fn observe(netlink: &Netlink, params: &Params, until: Deadline) -> Result<Observation> {
    let addresses = addresses_that_count(netlink, params, until)?;
    let instances = judge::instances(params, &addresses);
    let Some(likely) = judge::most_likely(params, &instances).map(|address| address.link) else {
        return Ok(Observation::default());
    };
    let mut lost_network = false;
    let links = || settled(until, || netlink.links(until));
    let (link, links) = match &params.nic {
        Some(Nic::Name(name)) => {
            let link = settled(until, || netlink.link_by_name(name, until))?;
            let all = link.as_ref().filter(|link| is_stacked(link)).map(|_| links()).transpose()?;
            (link, all)
        }
        Some(_) => {
            let snapshot = Snapshot { links: links()?, addresses, ..Snapshot::default() };
            lost_network = snapshot.has_lost_network(params);
            let link = snapshot.expected_link(params, &instances).cloned();
            (link, Some(snapshot.links))
        }
        // On `lo`: perhaps it belongs elsewhere, which takes a look at everything.
        None if likely.get() == judge::LOOPBACK => {
            let snapshot = snapshot(netlink, params, until)?;
            let link = snapshot.expected_link(params, &instances).cloned();
            (link, Some(snapshot.links))
        }
        None => {
            let link = netlink.link_by_index(likely, until)?;
            let all = link.as_ref().filter(|link| is_stacked(link)).map(|_| links()).transpose()?;
            (link, all)
        }
    };
    let stack = link.as_ref().zip(links).map(|(link, links)| condition(link, &links));
    let names = LinkNames::of(&link);
    Ok(Observation { instances, link, stack, lost_network, names })
}

/// Whether a link may stand on others, so that it can work although one of them does not.
fn is_stacked(link: &Link) -> bool {
    matches!(link.kind.as_deref(), Some("bond" | "team" | "bridge" | "vlan" | "macvlan" | "ipvlan"))
}

/// The gateway of the network that the VIP is in: `gateway`, or that of the default route on its
/// link. One of the other family (RFC 8950: an IPv4 route through an IPv6 next hop) says nothing
/// about how the VIP's own is resolved.
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

pub(crate) fn settled<T>(until: Deadline, read: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match read() {
            Err(Error::DumpInterrupted { .. }) if Deadline::after(REREAD) < until => {
                std::thread::sleep(REREAD);
            }
            read => return read,
        }
    }
}
