//! Reading the host's tables, and deleting addresses without harm to others.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hostnet::{Address, Error, Family, Link, LinkName, Netlink, NewAddress, Result, Sysctl};
use hostnet::{LinkIndex, NamespaceName, NetworkNamespace, TABLE_MAIN, condition};
use hostproc::LockFile;

use crate::judge::{self, Sight};
use crate::params::{Nic, Params};
use crate::plan::Deletion;
use crate::run_directory::RunDirectory;
use crate::target::{Snapshot, needs_routes};

/// Pause before a table that kept changing is read again.
const REREAD: Duration = Duration::from_millis(5);
/// Longest wait for another stop that has `promote_secondaries` set for its own deletion.
const PROMOTION_WAIT: Duration = Duration::from_secs(2);

/// Moves this process into the network namespace of the resource, before it opens anything.
///
/// # Errors
/// [`Error::NoSuchNamespace`] if there is none of that name, and those of entering it.
pub(crate) fn enter(namespace: Option<&NamespaceName>) -> Result<()> {
    namespace.map_or(Ok(()), |name| NetworkNamespace::open(name)?.enter())
}

/// Every address of a family. A table that keeps changing while it is read is read again until the
/// deadline: an incomplete one proves nothing.
pub(crate) fn addresses(netlink: &Netlink, family: Family, until: Instant) -> Result<Vec<Address>> {
    settled(until, || netlink.addresses(family, None, until))
}

/// What start decides by.
pub(crate) fn snapshot(netlink: &Netlink, params: &Params, until: Instant) -> Result<Snapshot> {
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
    until: Instant,
) -> Result<Vec<Address>> {
    let mut found = addresses(netlink, params.family(), until)?;
    if let Some(Nic::Network(network)) = &params.nic
        && Family::of(network.base()) != params.family()
    {
        found.extend(addresses(netlink, Family::of(network.base()), until)?);
    }
    Ok(found)
}

/// What monitor judges: the instances of the VIP, and the link on which it is expected. One
/// address dump; of links one, and only if there is an instance; all where `nic` is no name, or
/// the link stands on others.
pub(crate) fn sight(netlink: &Netlink, params: &Params, until: Instant) -> Result<Sight> {
    let addresses = addresses_that_count(netlink, params, until)?;
    let instances = judge::instances(params, &addresses);
    let Some(likely) = judge::most_likely(params, &instances).map(|address| address.link) else {
        return Ok(Sight::default());
    };
    let links = || settled(until, || netlink.links(until));
    let (link, links) = match &params.nic {
        Some(Nic::Name(name)) => {
            let link = settled(until, || netlink.link_by_name(name, until))?;
            let all = link.as_ref().filter(|link| is_stacked(link)).map(|_| links()).transpose()?;
            (link, all)
        }
        Some(nic) => {
            let snapshot = Snapshot { links: links()?, addresses, ..Snapshot::default() };
            // That it fits several is for start to say; here there is none it surely names.
            let link = snapshot.link_of(nic, params.ip).ok().flatten().cloned();
            (link, Some(snapshot.links))
        }
        None => {
            let link = netlink.link_by_index(likely, until)?;
            let all = link.as_ref().filter(|link| is_stacked(link)).map(|_| links()).transpose()?;
            (link, all)
        }
    };
    let stack = link.as_ref().zip(links).map(|(link, links)| condition(link, &links));
    Ok(Sight { instances, link, stack })
}

/// Whether a link may stand on others, so that it can work although one of them does not.
fn is_stacked(link: &Link) -> bool {
    matches!(link.kind.as_deref(), Some("bond" | "team" | "bridge" | "vlan" | "macvlan" | "ipvlan"))
}

/// The gateway of the network that the VIP is in: `gateway`, or that of the default route on its
/// link.
pub(crate) fn gateway(
    netlink: &Netlink,
    params: &Params,
    link: LinkIndex,
    until: Instant,
) -> Result<Option<IpAddr>> {
    if params.gateway.is_some() {
        return Ok(params.gateway);
    }
    let routes = settled(until, || netlink.routes(params.family(), TABLE_MAIN, until))?;
    let defaults = routes
        .iter()
        .filter(|route| route.destination.prefix().length() == 0 && route.link == Some(link));
    Ok(defaults.min_by_key(|route| route.metric).and_then(|route| route.gateway))
}

pub(crate) fn settled<T>(until: Instant, read: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match read() {
            Err(Error::DumpInterrupted { .. }) if Instant::now() + REREAD < until => {
                std::thread::sleep(REREAD);
            }
            read => return read,
        }
    }
}

/// Deletes one instance of the VIP; `false` if it was gone already. The others of its subnet stay.
pub(crate) fn delete(
    netlink: &Netlink,
    run: &RunDirectory,
    deletion: &Deletion,
    until: Instant,
) -> Result<bool> {
    let address = &deletion.address;
    if !deletion.keep_siblings {
        return netlink.delete_address(address, until);
    }
    // The name, for the path under /proc/sys; with the link its addresses have gone.
    let Some(link) = netlink.link_by_index(address.link, until)? else { return Ok(false) };
    let lock = one_at_a_time(run, link.index, until);
    let deleted = match promote_secondaries(&link.name) {
        Ok(promotion) => {
            let deleted = netlink.delete_address(address, until);
            promotion.put_back();
            deleted
        }
        Err(error) => {
            log::warn!("{error}: the other addresses of the subnet are added again if they go");
            delete_and_add_again(netlink, address, until)
        }
    };
    if let Some(lock) = lock
        && let Err(error) = lock.remove()
    {
        log::debug!("{error}");
    }
    deleted
}

/// Two stops on one link: the second would read the value the first one has set for a moment, leave
/// it alone, and lose it when the first one puts it back.
fn one_at_a_time(run: &RunDirectory, link: LinkIndex, until: Instant) -> Option<LockFile> {
    let until = until.min(Instant::now() + PROMOTION_WAIT);
    let lock = run.create().map_err(|error| error.to_string()).and_then(|()| {
        LockFile::acquire(&run.promotion_lock(link), until).map_err(|error| error.to_string())
    });
    // Without the lock the deletion goes on: the danger is small, an address that stays is not.
    match lock {
        Ok(None) => log::warn!("promote_secondaries of interface {link} is in use for long"),
        Err(error) => log::warn!("no lock in {}: {error}", run.path().display()),
        Ok(lock @ Some(_)) => return lock,
    }
    None
}

/// The setting `promote_secondaries` of a link while it is on.
struct Promotion<'a> {
    sysctl: Sysctl,
    link: &'a LinkName,
    was_on: bool,
}

fn promote_secondaries(link: &LinkName) -> Result<Promotion<'_>> {
    let sysctl = Sysctl::default();
    let was_on = sysctl.promote_secondaries(link)?;
    if !was_on {
        sysctl.set_promote_secondaries(link, true)?;
    }
    Ok(Promotion { sysctl, link, was_on })
}

impl Promotion<'_> {
    fn put_back(self) {
        if !self.was_on
            && let Err(error) = self.sysctl.set_promote_secondaries(self.link, false)
        {
            log::warn!("promote_secondaries of {} stays on: {error}", self.link);
        }
    }
}

/// Where `promote_secondaries` can't be set (a read-only `/proc/sys`): lets the kernel delete the
/// others, and adds again at once those that went with the VIP.
fn delete_and_add_again(netlink: &Netlink, address: &Address, until: Instant) -> Result<bool> {
    let on_link = || settled(until, || netlink.addresses(Family::V4, Some(address.link), until));
    let before = on_link()?;
    let deleted = netlink.delete_address(address, until)?;
    let after = on_link()?;
    let siblings = before.iter().filter(|other| {
        other.ip != address.ip && other.peer.is_none() && other.network() == address.network()
    });
    for lost in siblings.filter(|sibling| {
        !after.iter().any(|there| (there.ip, there.prefix) == (sibling.ip, sibling.prefix))
    }) {
        let again = NewAddress {
            broadcast: lost.broadcast,
            label: lost.label.clone(),
            scope: lost.scope,
            noprefixroute: lost.flags.noprefixroute,
            preferred_lft: lost.preferred_lft,
            ..NewAddress::new(lost.link, lost.ip, lost.prefix)
        };
        match netlink.add_address(&again, until) {
            Ok(()) | Err(Error::AddressExists { .. }) => {}
            Err(error) => log::error!("lost with the VIP: {error}"),
        }
    }
    Ok(deleted)
}
