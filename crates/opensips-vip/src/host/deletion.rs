//! Deletes an address without harm to the other addresses of its subnet.
//!
//! With the primary address of a subnet the kernel deletes its secondary ones, unless
//! `promote_secondaries` is set for the link (`__inet_del_ifa`).

use deadline::Deadline;
use hostnet::{
    Address, Error, Family, Link, LinkIndex, LinkName, Netlink, NewAddress, Result, RouteProtocol,
    RouteRecord, Sysctl,
};
use hostproc::LockFile;

use super::run_files::{RunFiles, release};
use super::{prefix_route, settled};
use crate::decide::plan::Deletion;
use crate::log_line::{failure, line};

/// The deadlines of a deletion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// For the lock of `promote_secondaries`.
    pub(crate) lock: Deadline,
    /// For all of it.
    pub(crate) end: Deadline,
}

/// Deletes one instance of the VIP; the others of its subnet stay. Returns false if it was not there
/// any more.
pub(crate) fn delete(
    netlink: &Netlink,
    files: &RunFiles,
    deletion: &Deletion,
    deadlines: Deadlines,
) -> Result<bool> {
    let Deadlines { lock, end } = deadlines;
    let address = &deletion.address;
    if !deletion.keep_siblings {
        return prefix_route::delete(netlink, address, end);
    }
    // Its name, for the path below /proc/sys. If the link is gone, so is the address.
    let Some(link) = netlink.link_by_index(address.link, end)? else { return Ok(false) };
    let lock = lock_link(files, link.index, lock);
    let deleted = match PromoteSecondaries::set(files, &link) {
        Ok(setting) => {
            let deleted = netlink.delete_address(address, end);
            setting.restore();
            deleted
        }
        Err(error) => delete_and_restore_siblings(netlink, address, &error, end),
    };
    release(lock);
    deleted
}

/// Locks the link of an address that is added, so that a deletion on it does not take the address along:
/// without `promote_secondaries`, a deletion restores only the siblings that it has seen before.
pub(crate) fn lock_for_addition(
    files: &RunFiles,
    new: &NewAddress,
    until: Deadline,
) -> Option<LockFile> {
    new.ip.is_ipv4().then(|| lock_link(files, new.link, until)).flatten()
}

/// Locks `promote_secondaries` and the IPv4 addresses of a link. Without the lock, a second stop would
/// take the value that the first one has set for a moment for the administrator's.
fn lock_link(files: &RunFiles, link: LinkIndex, until: Deadline) -> Option<LockFile> {
    let path = files.promote_secondaries_lock(link);
    let lock = files.create_directory().and_then(|()| LockFile::acquire(&path, until));
    // The action goes on without the lock: a conflict is rare, and an address that stays on two nodes or
    // on none is worse.
    match lock {
        Ok(Some(lock)) => return Some(lock),
        Ok(None) => {
            let note = "the addresses of the link are locked by another action: going on without the \
                        lock";
            log::warn!("{}", line().field("lock", path.display()).note(note));
        }
        Err(error) => {
            let note = "the addresses of the link can't be locked: going on without the lock";
            log::warn!("{}", failure(&error).note(note));
        }
    }
    None
}

/// Restores `promote_secondaries` where a stop that was killed has left it set. `lock_until` gives the
/// deadline for each lock.
pub(crate) fn restore_promote_secondaries(
    netlink: &Netlink,
    files: &RunFiles,
    until: Deadline,
    lock_until: impl Fn() -> Deadline,
) {
    for index in files.marked_promote_secondaries() {
        // The holder of the lock is in the middle of its deletion and restores the setting itself.
        let Some(lock) = lock_link(files, index, lock_until()) else { continue };
        // Its holder can have restored it just before.
        if files.is_promote_secondaries_marked(index) {
            match netlink.link_by_index(index, until) {
                Ok(Some(link)) => PromoteSecondaries::left(files, &link).restore(),
                // The settings of a link are gone with it.
                _ => files.forget_promote_secondaries(index),
            }
        }
        release(Some(lock));
    }
}

/// The setting `promote_secondaries` of a link while it is on.
struct PromoteSecondaries<'a> {
    files: &'a RunFiles,
    link: LinkIndex,
    name: LinkName,
    /// It was off, and a mark records that.
    is_temporary: bool,
}

impl<'a> PromoteSecondaries<'a> {
    fn set(files: &'a RunFiles, link: &Link) -> Result<Self> {
        let sysctl = Sysctl::default();
        let temporary = Self::left(files, link);
        // With a mark, it is on because a stop was killed.
        let was_on = sysctl.promote_secondaries(&link.name)?
            && !files.is_promote_secondaries_marked(link.index);
        if was_on {
            return Ok(Self { is_temporary: false, ..temporary });
        }
        files.mark_promote_secondaries(link.index);
        sysctl
            .set_promote_secondaries(&link.name, true)
            .inspect_err(|_| files.forget_promote_secondaries(link.index))?;
        Ok(temporary)
    }

    /// The setting that a killed stop has left on.
    fn left(files: &'a RunFiles, link: &Link) -> Self {
        Self { files, link: link.index, name: link.name.clone(), is_temporary: true }
    }

    fn restore(self) {
        if !self.is_temporary {
            return;
        }
        match Sysctl::default().set_promote_secondaries(&self.name, false) {
            Ok(()) => self.files.forget_promote_secondaries(self.link),
            Err(error) => {
                let line = line().field("link", self.name).field("error", ocf::cause(&error));
                log::warn!("{}", line.note("promote_secondaries is still set"));
            }
        }
    }
}

/// Deletes an address where `promote_secondaries` can't be set (a read-only `/proc/sys`): lets the kernel
/// delete the siblings, adds them again at once, and then the routes that went with them.
fn delete_and_restore_siblings(
    netlink: &Netlink,
    address: &Address,
    why: &Error,
    until: Deadline,
) -> Result<bool> {
    let on_link = || settled(until, || netlink.addresses(Family::V4, Some(address.link), until));
    let all_routes = || settled(until, || netlink.route_records(Family::V4, None, until));
    let addresses_before = on_link()?;
    if lost_siblings(address, &addresses_before, &[]).is_empty() {
        return netlink.delete_address(address, until);
    }
    let note = "can't set promote_secondaries: other addresses of the subnet are added again if the \
                kernel deletes them";
    log::warn!("{}", failure(why).note(note));
    let routes_before = all_routes()?;
    let deleted = netlink.delete_address(address, until)?;
    let addresses = on_link()?;
    for lost in lost_siblings(address, &addresses_before, &addresses) {
        match netlink.add_address(&lost, until) {
            Ok(()) | Err(Error::AddressExists { .. }) => {}
            Err(error) => log_lost(&error),
        }
    }
    // With the last address of a link the kernel deletes all of its routes.
    let routes = all_routes()?;
    for lost in lost_routes(address, &routes_before, &routes) {
        if let Err(error) = netlink.add_route(lost, until) {
            log_lost(&error);
        }
    }
    Ok(deleted)
}

/// The other addresses of the subnet that were there before and are not there now.
fn lost_siblings(address: &Address, before: &[Address], now: &[Address]) -> Vec<NewAddress> {
    let is_there = |sibling: &Address| {
        now.iter().any(|there| (there.ip, there.prefix) == (sibling.ip, sibling.prefix))
    };
    before
        .iter()
        .filter(|other| {
            other.ip != address.ip && other.peer.is_none() && other.network() == address.network()
        })
        .filter(|sibling| !is_there(sibling))
        .map(|lost| NewAddress {
            broadcast: lost.broadcast,
            label: lost.label.clone(),
            scope: lost.scope,
            noprefixroute: lost.flags.noprefixroute,
            preferred_lft: lost.preferred_lft,
            valid_lft: lost.valid_lft,
            ..NewAddress::new(lost.link, lost.ip, lost.prefix)
        })
        .collect()
}

/// The routes that were there before and are not there now. The kernel adds its own together with their
/// addresses, and those of the VIP are meant to go with it.
fn lost_routes<'a>(
    address: &Address,
    before: &'a [RouteRecord],
    now: &[RouteRecord],
) -> impl Iterator<Item = &'a RouteRecord> {
    before.iter().filter(|record| {
        let route = record.route();
        route.protocol != RouteProtocol::Kernel
            && route.preferred_source != Some(address.ip)
            && !now.contains(record)
    })
}

fn log_lost(error: &Error) {
    let note =
        "an address or route of another owner was deleted with the VIP and can't be restored";
    log::error!("{}", failure(error).note(note));
}
