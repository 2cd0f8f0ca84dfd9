//! The connection to rtnetlink(7).

use rtnetlink::sys::protocols::NETLINK_ROUTE;

use super::connection::Connection;
use crate::error::{Capability, Error, Result};

/// A connection to the kernel's tables of links, addresses, neighbours, routes and rules, in the
/// network namespace of the thread that opened it: one socket and an event loop on the calling
/// thread, no other thread.
pub struct Netlink {
    pub(super) connection: Connection,
}

impl Netlink {
    /// Opens the connection. Needs no privilege.
    ///
    /// # Errors
    /// [`Error::Refused`] if the kernel gives no socket.
    pub fn open() -> Result<Self> {
        let mut connection = Connection::open(NETLINK_ROUTE).map_err(|source| {
            Error::refused("open a netlink socket", Capability::NetAdmin, source)
        })?;
        // Without the option the kernel ignores filters, which is why answers are filtered here
        // once more.
        if let Err(error) = connection.set_strict() {
            log::debug!("no strict checking of netlink requests: {error}");
        }
        Ok(Self { connection })
    }
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink").finish_non_exhaustive()
    }
}
