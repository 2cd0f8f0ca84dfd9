//! Events: the kernel's word that links or addresses have changed.
//!
//! A doorbell, no messenger: what has changed is read anew from the table. So nothing depends
//! on the content of an event, and one that was lost because too many came at once (the
//! socket's buffer overran, `ENOBUFS`) rings the bell like any other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use deadline::Deadline;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::libc;

use crate::address::Family;
use crate::error::{Capability, Error, Result};
use crate::readiness::wait_readable;

/// Events read in one go at most: a host whose tables never stop changing is looked at now
/// and then all the same.
const DRAIN: usize = 4096;

const OPERATION: &str = "listen for changes of the network";

/// What to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventGroup {
    /// Links: made, gone, up, down, carrier, hardware address, name (`RTNLGRP_LINK`).
    Link,
    /// Addresses of a family: added, gone, flags and lifetimes changed, such as the end of
    /// duplicate address detection (`RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV6_IFADDR`).
    Address(Family),
    /// Routes of a family (`RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV6_ROUTE`). Many where a routing
    /// daemon runs.
    Route(Family),
    /// Policy routing rules of a family (`RTNLGRP_IPV4_RULE`, `RTNLGRP_IPV6_RULE`).
    Rule(Family),
}

impl EventGroup {
    fn number(self) -> u32 {
        match self {
            Self::Link => libc::RTNLGRP_LINK,
            Self::Address(Family::V4) => libc::RTNLGRP_IPV4_IFADDR,
            Self::Address(Family::V6) => libc::RTNLGRP_IPV6_IFADDR,
            Self::Route(Family::V4) => libc::RTNLGRP_IPV4_ROUTE,
            Self::Route(Family::V6) => libc::RTNLGRP_IPV6_ROUTE,
            Self::Rule(Family::V4) => libc::RTNLGRP_IPV4_RULE,
            Self::Rule(Family::V6) => libc::RTNLGRP_IPV6_RULE,
        }
    }
}

/// A subscription in the network namespace of the thread that made it. Needs no privilege.
///
/// Its descriptor is readable when an event is waiting, for programs that wait for other
/// things, too.
pub struct Events {
    socket: Socket,
}

impl Events {
    /// Subscribes: every change after the return rings.
    ///
    /// # Errors
    /// [`Error::Refused`] if the kernel gives no socket.
    pub fn subscribe(groups: &[EventGroup]) -> Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(refused)?;
        socket.bind_auto().map_err(refused)?;
        for group in groups {
            socket.add_membership(group.number()).map_err(refused)?;
        }
        Ok(Self { socket })
    }

    /// Waits until something has changed since the last call, or the subscription; `false`
    /// if nothing has until `until`. Several changes are one.
    ///
    /// # Errors
    /// [`Error::Refused`]
    pub fn wait(&mut self, until: Deadline) -> Result<bool> {
        loop {
            if !wait_readable(&self.socket, until).map_err(refused)? {
                return Ok(false);
            }
            if self.drain()? {
                return Ok(true);
            }
        }
    }

    /// Calls `look` until it has found what is waited for: at once, and then after every
    /// change. `Ok(None)` if it has not until `until`.
    ///
    /// `look` reads what it judges anew each time. That it runs out of time itself
    /// ([`Error::DeadlinePassed`]) counts as not found, but for the first look.
    ///
    /// # Errors
    /// [`Error::Refused`], and those of `look`.
    pub fn wait_until<T>(
        &mut self,
        until: Deadline,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let mut found = look()?;
        while found.is_none() && self.wait(until)? {
            found = match look() {
                Err(Error::DeadlinePassed { .. }) => None,
                looked => looked?,
            };
        }
        Ok(found)
    }

    /// Takes what is waiting; whether there was anything.
    fn drain(&mut self) -> Result<bool> {
        let mut rang = false;
        // The content does not matter: the kernel drops what does not fit.
        let mut start = Vec::with_capacity(16);
        for _ in 0..DRAIN {
            start.clear();
            match self.socket.recv(&mut start, libc::MSG_DONTWAIT) {
                Ok(_) => rang = true,
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOBUFS) => rang = true,
                    Some(libc::EAGAIN) => break,
                    Some(libc::EINTR) => {}
                    _ => return Err(refused(error)),
                },
            }
        }
        Ok(rang)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

fn refused(source: io::Error) -> Error {
    Error::refused(OPERATION, Capability::NetAdmin, source)
}
