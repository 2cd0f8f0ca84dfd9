//! Notifications of the kernel that links, addresses, routes or rules have changed.
//!
//! An event means that a table has changed and must be read again. Its content is not read, so that
//! an event that was lost because too many came at once (`ENOBUFS`: the buffer of the socket
//! overran) counts like any other. This takes a socket, not a connection that reads messages.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use deadline::Deadline;
use nix::libc;
use rtnetlink::MulticastGroup;
use rtnetlink::sys::{Socket, protocols::NETLINK_ROUTE};

use crate::address::Family;
use crate::error::{Capability, Error, Result};
use crate::readiness::wait_readable;
use crate::retry::{WITHOUT_DEADLINE, retry_within};

/// How many events are read at most before [`Events::wait`] returns, on a host whose tables never
/// stop changing.
const DRAIN: usize = 4096;

const OPERATION: &str = "listen for changes of the network";

/// A table of which changes are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventGroup {
    /// Links: made, deleted, up, down, carrier, hardware address, name (`RTNLGRP_LINK`).
    Link,
    /// Addresses of a family: added, deleted, flags and lifetimes changed, such as at the end of
    /// duplicate address detection (`RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV6_IFADDR`).
    Address(Family),
    /// Routes of a family (`RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV6_ROUTE`). Many where a routing
    /// daemon runs.
    Route(Family),
    /// Policy routing rules of a family (`RTNLGRP_IPV4_RULE`, `RTNLGRP_IPV6_RULE`).
    Rule(Family),
}

impl EventGroup {
    fn multicast_group(self) -> MulticastGroup {
        match self {
            Self::Link => MulticastGroup::Link,
            Self::Address(Family::V4) => MulticastGroup::Ipv4Ifaddr,
            Self::Address(Family::V6) => MulticastGroup::Ipv6Ifaddr,
            Self::Route(Family::V4) => MulticastGroup::Ipv4Route,
            Self::Route(Family::V6) => MulticastGroup::Ipv6Route,
            Self::Rule(Family::V4) => MulticastGroup::Ipv4Rule,
            Self::Rule(Family::V6) => MulticastGroup::Ipv6Rule,
        }
    }
}

/// A subscription in the network namespace of the thread that made it. Needs no privilege.
///
/// Its descriptor is readable when an event is waiting, for programs that also wait for other
/// things.
pub struct Events {
    socket: Socket,
}

impl Events {
    /// Subscribes: every later change is reported. While the kernel has no memory or no descriptor
    /// left this tries again, for up to two seconds.
    ///
    /// # Errors
    /// [`Error::Refused`] if the kernel gives no socket.
    pub fn subscribe(groups: &[EventGroup]) -> Result<Self> {
        let subscribed = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            for group in groups {
                socket.add_membership(group.multicast_group() as u32)?;
            }
            Ok(socket)
        };
        let socket = retry_within(WITHOUT_DEADLINE, || subscribed().map_err(refused))?;
        Ok(Self { socket })
    }

    /// Waits until something has changed since the last call, or since the subscription; `false`
    /// if nothing has changed by the deadline. Several changes count as one. A change that was not
    /// waited for is reported after the deadline, too.
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

    /// Calls `look` until it finds something: at once, and then after every change. `Ok(None)` if
    /// it has found nothing by the deadline.
    ///
    /// `look` must read the tables again each time. Where it runs out of time itself
    /// ([`Error::DeadlinePassed`]) it has found nothing; the first look fails then.
    ///
    /// # Errors
    /// [`Error::Refused`], and those of `look`.
    pub fn wait_until<T>(
        &mut self,
        until: Deadline,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let mut found = look()?;
        // On a host whose tables never stop changing there always is a change to report.
        while found.is_none() && !until.has_passed() && self.wait(until)? {
            found = match look() {
                Err(Error::DeadlinePassed { .. }) => None,
                looked => looked?,
            };
        }
        Ok(found)
    }

    /// Takes the events that are waiting; returns whether there were any.
    fn drain(&mut self) -> Result<bool> {
        let mut any = false;
        // The content does not matter: the kernel drops the part that does not fit.
        let mut start = Vec::with_capacity(16);
        for _ in 0..DRAIN {
            start.clear();
            match self.socket.recv(&mut start, libc::MSG_DONTWAIT) {
                Ok(_) => any = true,
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOBUFS | libc::ENOMEM) => any = true,
                    Some(libc::EAGAIN) => break,
                    Some(libc::EINTR) => {}
                    _ => return Err(refused(error)),
                },
            }
        }
        Ok(any)
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
