//! A look at the VIP and its link before an announcement.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Error, Family, Link, Netlink};

use super::announcement::Announcement;
use crate::decide::judge;

/// How long the kernel has to answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// Whether the next announcement can be sent.
pub(super) enum Look {
    Ready(Box<Link>),
    /// The address is there, but nothing can be sent yet.
    NotYet,
    /// The address is not there any more.
    Gone,
    /// The kernel gave no clear answer.
    Unclear,
}

impl Look {
    pub(super) fn take(announcement: &Announcement, netlink: &Netlink) -> Self {
        // A deadline of its own: the burst goes on if the kernel does not answer.
        let until = Deadline::after(PATIENCE);
        let Announcement { ip, prefix, link, .. } = announcement;
        let addresses = match netlink.addresses(Family::of(*ip), Some(*link), until) {
            Ok(addresses) => addresses,
            Err(Error::NoSuchLink { .. }) => return Self::Gone,
            Err(_) => return Self::Unclear,
        };
        let there = addresses.iter().find(|address| {
            address.ip == *ip && address.prefix == *prefix && address.peer.is_none()
        });
        // A duplicate is not announced: another host has the address.
        let Some(there) = there.filter(|address| !address.flags.dadfailed) else {
            return Self::Gone;
        };
        match netlink.link_by_index(*link, until) {
            // Not before duplicate address detection has ended (RFC 4862 section 5.4).
            Ok(Some(link)) if link.usable() && judge::is_unusable(there) => Self::NotYet,
            Ok(Some(link)) if link.usable() => Self::Ready(Box::new(link)),
            Ok(Some(_)) => Self::NotYet,
            Ok(None) => Self::Gone,
            Err(_) => Self::Unclear,
        }
    }
}
