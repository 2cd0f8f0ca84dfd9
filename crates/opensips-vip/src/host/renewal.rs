//! Adds an IPv4 address that is there again, with other attributes or behind the other addresses of its network.
//!
//! The kernel changes neither in place. Meanwhile the same address with another prefix length stands in
//! for it, so that the host has the address at each moment and the routes with it as their source stay
//! (`fib_del_ifaddr`).

use hostnet::{
    Address, AddressFlags, Error, Family, Lifetime, LinkName, Netlink, NewAddress, Prefix, Result,
    Scope, Sysctl,
};

use super::deletion::{self, Deadlines, delete};
use super::run_files::{RunFiles, release};
use super::settled;
use crate::decide::plan::Deletion;
use crate::log_line::failure;

/// Whether an address of the link can be deleted without a moment in which the others of its network are gone,
/// too: `promote_secondaries` is on or can be set.
pub(crate) fn keeps_siblings(link: &LinkName) -> bool {
    if Sysctl::default().promote_secondaries(link).is_ok_and(|is_on| is_on) {
        return true;
    }
    let path = format!("/proc/sys/net/ipv4/conf/{link}/promote_secondaries");
    std::fs::OpenOptions::new().write(true).open(path).is_ok()
}

/// Replaces `old` by `new`, which differ in what the kernel does not compare. Returns false if `old` is not
/// there any more, and then nothing is added.
///
/// # Errors
/// Those of the kernel. The VIP is still there, if need be with another prefix length.
pub(crate) fn add_again(
    netlink: &Netlink,
    files: &RunFiles,
    old: &Address,
    new: &NewAddress,
    deadlines: Deadlines,
) -> Result<bool> {
    let until = deadlines.end;
    let there = settled(until, || netlink.addresses(Family::V4, Some(old.link), until))?;
    let is_old = |it: &Address| (it.ip, it.prefix, it.peer) == (old.ip, old.prefix, old.peer);
    let Some(prefix) = free_prefix(new, &there).filter(|_| there.iter().any(is_old)) else {
        return Ok(false);
    };
    let stand_in =
        NewAddress { label: None, broadcast: None, noprefixroute: true, prefix, ..new.clone() };
    add(netlink, files, &stand_in, deadlines)?;
    let remove = |address: Address| {
        delete(netlink, files, &Deletion { address, keep_siblings: true }, deadlines)
    };
    if let Err(error) = remove(old.clone()) {
        if let Err(error) = remove(as_dumped(&stand_in)) {
            log::warn!("{}", failure(&error).note("the VIP is there twice"));
        }
        return Err(error);
    }
    add(netlink, files, new, deadlines)?;
    remove(as_dumped(&stand_in))?;
    Ok(true)
}

fn add(netlink: &Netlink, files: &RunFiles, new: &NewAddress, deadlines: Deadlines) -> Result<()> {
    let lock = deletion::lock_for_addition(files, new, deadlines.lock);
    let added = netlink.add_address(new, deadlines.end);
    release(lock);
    match added {
        Err(Error::AddressExists { .. }) => Ok(()),
        added => added,
    }
}

/// The longest prefix with which the address is not there.
fn free_prefix(new: &NewAddress, there: &[Address]) -> Option<Prefix> {
    let is_free = |prefix: &Prefix| {
        *prefix != new.prefix && !there.iter().any(|it| it.ip == new.ip && it.prefix == *prefix)
    };
    (1..=32).rev().filter_map(|length| Prefix::new(Family::V4, length).ok()).find(is_free)
}

/// The address as the kernel reports it, as far as it is needed to delete it.
fn as_dumped(new: &NewAddress) -> Address {
    Address {
        link: new.link,
        ip: new.ip,
        prefix: new.prefix,
        peer: None,
        broadcast: None,
        label: None,
        scope: Scope::Universe,
        flags: AddressFlags::default(),
        preferred_lft: Lifetime::Forever,
        valid_lft: Lifetime::Forever,
    }
}
