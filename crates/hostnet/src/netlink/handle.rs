//! The connection to rtnetlink(7).

use rtnetlink::sys::protocols::NETLINK_ROUTE;

use super::connection::{Connection, NetlinkProtocol};
use crate::error::Result;

/// A connection to the kernel's tables of links, addresses, neighbours, routes and rules, in the
/// network namespace of the thread that opened it: one socket and an event loop on the calling
/// thread, no other thread.
pub struct Netlink {
    pub(super) connection: Connection,
}

impl Netlink {
    /// Opens the connection. Needs no privilege.
    ///
    /// Where the kernel has no memory or no descriptor left, the first request opens it, until half
    /// of the time to its deadline has passed. Likewise a request replaces a connection that has
    /// failed. So a thread that moves to another namespace has to open a new one.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] if the kernel gives no socket.
    pub fn open() -> Result<Self> {
        let protocol =
            NetlinkProtocol { number: NETLINK_ROUTE, open: "open a netlink socket", strict: true };
        Ok(Self { connection: Connection::open(protocol)? })
    }
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").finish_non_exhaustive()
    }
}
