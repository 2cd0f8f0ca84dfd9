//! Deleting an address without harm to the others of its subnet.

use std::path::PathBuf;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{
    Address, Error, Family, Link, LinkIndex, LinkName, Netlink, NewAddress, Result, RouteProtocol,
    Sysctl,
};
use hostproc::LockFile;

use crate::host::settled;
use crate::plan::Deletion;
use crate::run_directory::RunDirectory;

/// Longest wait for another stop that has `promote_secondaries` set for its own deletion.
const PROMOTION_WAIT: Duration = Duration::from_secs(2);

/// Deletes one instance of the VIP; `false` if it was gone already. The others of its subnet stay.
pub(crate) fn delete(
    netlink: &Netlink,
    run: &RunDirectory,
    deletion: &Deletion,
    until: Deadline,
) -> Result<bool> {
    let address = &deletion.address;
    if !deletion.keep_siblings {
        return netlink.delete_address(address, until);
    }
    // The name, for the path under /proc/sys; with the link its addresses have gone.
    let Some(link) = netlink.link_by_index(address.link, until)? else { return Ok(false) };
    let lock = one_at_a_time(run, link.index, until);
    let deleted = match promote_secondaries(run, &link) {
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
fn one_at_a_time(run: &RunDirectory, link: LinkIndex, until: Deadline) -> Option<LockFile> {
    // Of a short time, most is for the deletion.
    let third = until.remaining() / 3;
    let until = Deadline::after(PROMOTION_WAIT.min(third));
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

/// Puts back what a stop that was killed had set for a moment.
pub(crate) fn end_interrupted(netlink: &Netlink, run: &RunDirectory, until: Deadline) {
    for index in run.promotion_marks() {
        // Whoever has it is in the middle of its deletion, and puts it back itself.
        let Some(lock) = one_at_a_time(run, index, until) else { continue };
        let mark = run.promotion_mark(index);
        // Who has set it may just have ended well.
        if mark.exists() {
            // With the link its settings have gone.
            if let Ok(Some(link)) = netlink.link_by_index(index, until) {
                let promotion =
                    Promotion { sysctl: Sysctl::default(), link: &link.name, mark: Some(mark) };
                promotion.put_back();
            } else {
                let _ = std::fs::remove_file(mark);
            }
        }
        if let Err(error) = lock.remove() {
            log::debug!("{error}");
        }
    }
}

/// The setting `promote_secondaries` of a link while it is on.
struct Promotion<'a> {
    sysctl: Sysctl,
    link: &'a LinkName,
    /// There if it has to be put back.
    mark: Option<PathBuf>,
}

fn promote_secondaries<'a>(run: &RunDirectory, link: &'a Link) -> Result<Promotion<'a>> {
    let sysctl = Sysctl::default();
    let mark = run.promotion_mark(link.index);
    // A mark is of one who was killed: it was off before.
    let was_on = sysctl.promote_secondaries(&link.name)? && !mark.exists();
    if was_on {
        return Ok(Promotion { sysctl, link: &link.name, mark: None });
    }
    if let Err(error) = std::fs::write(&mark, "") {
        log::debug!("{}: {error}", mark.display());
    }
    sysctl.set_promote_secondaries(&link.name, true).inspect_err(|_| {
        let _ = std::fs::remove_file(&mark);
    })?;
    Ok(Promotion { sysctl, link: &link.name, mark: Some(mark) })
}

impl Promotion<'_> {
    fn put_back(self) {
        let Some(mark) = self.mark else { return };
        match self.sysctl.set_promote_secondaries(self.link, false) {
            Ok(()) => {
                let _ = std::fs::remove_file(mark);
            }
            Err(error) => log::warn!("promote_secondaries of {} stays on: {error}", self.link),
        }
    }
}

/// Where `promote_secondaries` can't be set (a read-only `/proc/sys`): lets the kernel delete the
/// others, and adds again at once those that went with the VIP, and then the routes that went with
/// them: with the last address of a link the kernel takes all its routes.
fn delete_and_add_again(netlink: &Netlink, address: &Address, until: Deadline) -> Result<bool> {
    let on_link = || settled(until, || netlink.addresses(Family::V4, Some(address.link), until));
    let all_routes = || settled(until, || netlink.route_records(Family::V4, None, until));
    let before = on_link()?;
    let routes_before = all_routes()?;
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
    let after = all_routes()?;
    let lost = routes_before.iter().filter(|record| {
        let route = record.route();
        // Those of the kernel come with their addresses; those of the VIP go with it.
        route.protocol != RouteProtocol::Kernel
            && route.preferred_source != Some(address.ip)
            && !after.contains(record)
    });
    for record in lost {
        if let Err(error) = netlink.add_route(record, until) {
            log::error!("lost with the VIP: {error}");
        }
    }
    Ok(deleted)
}
