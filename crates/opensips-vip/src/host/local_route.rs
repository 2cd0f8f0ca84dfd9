//! The kernel's own route of the VIP, `local VIP dev LINK table local`: by it the host accepts packets for
//! the VIP as its own.
//!
//! Without it nothing arrives for the VIP any more and, for IPv4, ARP is not answered, while sockets that are
//! bound to the VIP go on sending from it (seen with Linux 6.18, IPv4 and IPv6). stop uses that, and where it
//! is missing otherwise the VIP does not serve.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{
    Address, Family, Link, Netlink, Network, Prefix, Result, RouteKind, RouteProtocol, RouteRecord,
    SockDiag,
};

use super::deletion::{self, Deadlines};
use super::run_files::RunFiles;
use crate::decide::plan;
use crate::log_line::{failure, line};

/// Pause between two looks at the queues.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the queues have to be empty: what a program has read last it still has to answer or to
/// forward.
const PROCESSING: Duration = Duration::from_millis(5);
/// Pause between two looks for a route that can still come.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Returns true if the kernel certainly accepts no packets for the VIP.
fn is_missing(netlink: &Netlink, ip: IpAddr, until: Deadline) -> bool {
    // In a VRF it is in the table of the VRF, and a rule can send the host's own packets to the VIP elsewhere.
    let missing = match netlink.route_kind(ip, until) {
        Ok(Some(RouteKind::Local)) => return false,
        Ok(_) => netlink
            .route_records(Family::of(ip), None, until)
            .map(|routes| !routes.iter().any(|record| is_local_route(record, ip))),
        Err(error) => Err(error),
    };
    missing.unwrap_or_else(|error| {
        log::warn!("{}", failure(&error).note("the local route of the VIP can't be looked up"));
        false
    })
}

/// Why a VIP without that route fails.
pub(crate) fn reason(ip: IpAddr) -> String {
    format!(
        "{ip} is on this node, but the kernel accepts no packets for it because its route in table local is \
         missing: restart the resource, which adds the route again"
    )
}

/// The same for as long as `patience` lasts. The kernel adds the route of an IPv6 address with `nodad` in a
/// work queue that waits for the lock of the whole network configuration (`addrconf_dad_work()`), and a link
/// that was set down and up, or an address that another program replaces, lacks it for a moment.
pub(crate) fn stays_missing(
    netlink: &Netlink,
    ip: IpAddr,
    patience: Deadline,
    until: Deadline,
) -> bool {
    loop {
        if !is_missing(netlink, ip, until) {
            return false;
        }
        if !patience.sleep(LOOK_AGAIN) {
            return true;
        }
    }
}

fn is_local_route(record: &RouteRecord, ip: IpAddr) -> bool {
    let host = Network::of(ip, Prefix::host(Family::of(ip)));
    record.route().kind == RouteKind::Local && record.route().destination == host
}

/// The result of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// No socket is bound to the VIP, or the host does not receive for it anyway.
    Nothing,
    /// All that was received was read.
    Empty,
    /// This many bytes were still unread when the time was over.
    Unread(u64),
}

/// Makes the host accept no more packets for the VIP, and waits, for `limit` at most, until the sockets that are
/// bound to it have been empty for a moment. Then the caller deletes the VIP.
pub(crate) fn drain(
    netlink: &Netlink,
    ip: IpAddr,
    limit: Duration,
    until: Deadline,
) -> Result<Drained> {
    let sockets = SockDiag::open()?;
    if sockets.unread(ip, until)?.is_none() {
        return Ok(Drained::Nothing);
    }
    // One that an administrator has added (AnyIP, a transparent proxy) stays, because nothing would add it
    // again.
    let mut routes = netlink.route_records_of(Family::of(ip), RouteProtocol::Kernel, until)?;
    routes.retain(|record| is_local_route(record, ip));
    if routes.is_empty() {
        return Ok(Drained::Nothing);
    }
    for route in &routes {
        netlink.delete_route(route, until)?;
    }
    let end = until.within(limit);
    let mut empty_since = None;
    loop {
        let unread = sockets.unread(ip, until)?.unwrap_or(0);
        if unread > 0 {
            empty_since = None;
        } else if empty_since.get_or_insert_with(Instant::now).elapsed() >= PROCESSING {
            return Ok(Drained::Empty);
        }
        if !end.sleep(PAUSE) {
            return Ok(if unread > 0 { Drained::Unread(unread) } else { Drained::Empty });
        }
    }
}

/// Deletes instances of the VIP that are there without that route, so that start adds them again; returns true
/// if there were any. A stop that was killed leaves such an instance.
pub(crate) fn delete_unserved(
    netlink: &Netlink,
    files: &RunFiles,
    instances: &[Address],
    links: &[Link],
    patience: Deadline,
    deadlines: Deadlines,
) -> bool {
    // Without a link that is up there is no route in any case, and without a finished detection none yet.
    let is_settled = |address: &&Address| {
        let link = links.iter().find(|link| link.index == address.link);
        link.is_some_and(Link::usable) && !address.flags.tentative && !address.flags.dadfailed
    };
    let Some(ip) = instances.iter().find(is_settled).map(|address| address.ip) else {
        return false;
    };
    if !stays_missing(netlink, ip, patience, deadlines.end) {
        return false;
    }
    log::warn!("{}", line().note("the VIP is here without its local route: adding it again"));
    let mut deleted = false;
    for deletion in plan::stop(ip, instances) {
        match deletion::delete(netlink, files, &deletion, deadlines) {
            Ok(_) => deleted = true,
            Err(error) => log::warn!("{}", failure(&error).note("going on with the VIP as it is")),
        }
    }
    deleted
}
