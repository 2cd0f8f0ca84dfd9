//! Reading the host's tables.

use std::net::IpAddr;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Address, Error, Family, Link, Netlink, Result};
use hostnet::{LinkIndex, NamespaceName, NetworkNamespace, Sysctl, TABLE_MAIN, condition};

use crate::judge::{self, Sight};
use crate::params::{Nic, Params, is_link_local};
use crate::run_directory::RunDirectory;
use crate::target::{Snapshot, needs_routes};

/// Pause before a table that kept changing is read again.
const REREAD: Duration = Duration::from_millis(5);

/// Moves this process into the network namespace of the resource, before it opens anything.
///
/// # Errors
/// [`Error::NoSuchNamespace`] if there is none of that name, and those of entering it.
pub(crate) fn enter(namespace: Option<&NamespaceName>) -> Result<()> {
    namespace.map_or(Ok(()), |name| NetworkNamespace::open(name)?.enter())
}

/// Moves this process into the network namespace in which start has put the VIP: that of the name, or,
/// where somebody has deleted the name since, the one that lives on with what runs in it.
///
/// # Errors
/// As [`enter`].
pub(crate) fn enter_where_started(namespace: Option<&NamespaceName>, ip: IpAddr) -> Result<()> {
    let Some(name) = namespace else { return Ok(()) };
    let named = NetworkNamespace::open(name);
    let noted = RunDirectory::new().noted_namespace(ip, name);
    let is_named =
        |number| named.as_ref().is_ok_and(|named| named.number().is_ok_and(|it| it == number));
    if let Some(number) = noted.filter(|number| !is_named(*number))
        && let Some(alive) = NetworkNamespace::of_number(number)
    {
        log::warn!("vip={ip} the namespace that was {name} lives on without its name");
        return alive.enter();
    }
    named?.enter()
}

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

/// Whether the link has IPv6, for a VIP that needs it.
///
/// # Errors
/// [`NoIpv6`](crate::error::Error::NoIpv6): the kernel would only say "permission denied".
pub(crate) fn require_ipv6(link: &Link) -> std::result::Result<(), crate::error::Error> {
    let setting = format!("net/ipv6/conf/{}/disable_ipv6", link.name);
    match Sysctl::default().read(setting) {
        Ok(value) if value == "0" => Ok(()),
        Ok(_) | Err(Error::SysctlMissing { .. }) => {
            Err(crate::error::Error::NoIpv6 { link: link.name.clone() })
        }
        // Without /proc/sys the kernel decides.
        Err(_) => Ok(()),
    }
}

/// What monitor judges: the instances of the VIP, and the link on which it is expected. One
/// address dump; of links one, and only if there is an instance; all where `nic` is no name, or
/// the link stands on others.
pub(crate) fn sight(netlink: &Netlink, params: &Params, until: Deadline) -> Result<Sight> {
    let addresses = addresses_that_count(netlink, params, until)?;
    let instances = judge::instances(params, &addresses);
    let Some(likely) = judge::most_likely(params, &instances).map(|address| address.link) else {
        return Ok(Sight::default());
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
    Ok(Sight { instances, link, stack, lost_network })
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
