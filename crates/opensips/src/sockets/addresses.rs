//! Which addresses are on this host now.

use std::net::IpAddr;

use deadline::Deadline;
use hostnet::{Address, Family, Netlink};

use crate::sockets::Result;

/// The addresses of this host, of the families that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalAddresses(Vec<Address>);

/// Whether an address can be used on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Usable,
    /// On this host, but duplicate address detection has not finished.
    Tentative,
    /// Not on this host, or found to be a duplicate of another host's.
    Absent,
}

impl LocalAddresses {
    /// Reads all addresses of the families of the wanted ones. Loopback addresses need no query, so
    /// the kernel is not asked where only those are wanted.
    ///
    /// # Errors
    /// The kernel does not return a complete list before the deadline.
    pub(crate) fn read(wanted: impl IntoIterator<Item = IpAddr>, until: Deadline) -> Result<Self> {
        let mut families = [(Family::V4, false), (Family::V6, false)];
        for ip in wanted.into_iter().filter(|ip| !ip.is_loopback()) {
            for (family, needed) in &mut families {
                *needed |= *family == Family::of(ip);
            }
        }
        let mut netlink = None;
        let mut addresses = Vec::new();
        for (family, _) in families.into_iter().filter(|(_, needed)| *needed) {
            let connection = match netlink.take() {
                Some(connection) => connection,
                None => Netlink::open()?,
            };
            addresses.extend(connection.addresses(family, None, until)?);
            netlink = Some(connection);
        }
        Ok(Self(addresses))
    }

    /// Whether an address of a family that was read is on this host.
    pub(crate) fn presence(&self, ip: IpAddr) -> Presence {
        // All of 127.0.0.0/8 is local, though only 127.0.0.1 is an address of `lo`.
        if ip.is_loopback() || ip.is_unspecified() {
            return Presence::Usable;
        }
        let found = self.0.iter().filter(|address| address.ip == ip);
        found.fold(Presence::Absent, |best, address| {
            let flags = address.flags;
            if best == Presence::Usable || flags.dadfailed {
                best
            } else if flags.tentative && !flags.optimistic {
                Presence::Tentative
            } else {
                Presence::Usable
            }
        })
    }
}

impl FromIterator<Address> for LocalAddresses {
    fn from_iter<I: IntoIterator<Item = Address>>(addresses: I) -> Self {
        Self(addresses.into_iter().collect())
    }
}
