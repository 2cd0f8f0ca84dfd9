//! A look at the VIP and its link before an announcement.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Address, Error, Family, Link, Netlink};

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
        let Announcement { ip, link, .. } = announcement;
        let addresses = match netlink.addresses(Family::of(*ip), Some(*link), until) {
            Ok(addresses) => addresses,
            Err(Error::NoSuchLink { .. }) => return Self::Gone,
            Err(_) => return Self::Unclear,
        };
        let Some(there) = announced(announcement, &addresses) else { return Self::Gone };
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

/// The address that is announced; `None` if it is not on its link any more. A duplicate is not announced: another
/// host has the address.
pub(super) fn announced<'a>(
    announcement: &Announcement,
    addresses: &'a [Address],
) -> Option<&'a Address> {
    let Announcement { ip, prefix, link, .. } = announcement;
    addresses.iter().find(|address| {
        (address.ip, address.prefix, address.link) == (*ip, *prefix, *link)
            && address.peer.is_none()
            && !address.flags.dadfailed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Form;
    use crate::testing::fixtures::address;
    use hostnet::{LinkIndex, Prefix};

    #[test]
    fn only_the_address_on_its_link_is_announced() {
        let announcement = Announcement {
            ip: "192.0.2.10".parse().unwrap(),
            prefix: Prefix::new(Family::V4, 24).unwrap(),
            targets: Vec::new(),
            link: LinkIndex::new(2).unwrap(),
            form: Form::Both,
        };
        let is_announced = |there| announced(&announcement, &[there]).is_some();
        assert!(is_announced(address(2, "192.0.2.10/24")));
        for other in [(3, "192.0.2.10/24"), (2, "192.0.2.10/32"), (2, "192.0.2.11/24")] {
            assert!(!is_announced(address(other.0, other.1)), "{other:?}");
        }
        let mut duplicate = address(2, "192.0.2.10/24");
        duplicate.flags.dadfailed = true;
        assert!(!is_announced(duplicate));
    }
}
