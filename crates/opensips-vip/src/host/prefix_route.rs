//! Deletes an IPv6 address without harm to the routes of its network.
//!
//! With an address that has its connected route from the kernel, the kernel deletes the first route of that
//! network on the link, or none if another address of the network has `IFA_F_NOPREFIXROUTE`
//! (`check_cleanup_prefix_route`). start avoids both; an address that was adopted, or that was here before its
//! network had another route, does not.

use deadline::Deadline;
use hostnet::{Address, Family, Lifetime, Netlink, Result, RouteProtocol, RouteRecord, TABLE_MAIN};

use super::settled;
use crate::log_line::failure;

/// The metric of the route that the kernel adds with an address (`IP6_RT_PRIO_ADDRCONF`).
const METRIC: u32 = 256;

/// Deletes the address and the route that came with it. Returns false if it was not there any more.
pub(super) fn delete(netlink: &Netlink, address: &Address, until: Deadline) -> Result<bool> {
    if address.flags.noprefixroute {
        return netlink.delete_address(address, until);
    }
    let before = match routes(netlink, address, until) {
        Ok(routes) => routes,
        // The address has to go in any case.
        Err(error) => {
            log::warn!("{}", failure(&error).note("the routes of its network are not compared"));
            Vec::new()
        }
    };
    let deleted = netlink.delete_address(address, until)?;
    if let Err(error) = restore(netlink, address, &before, until) {
        let note = "the routes of the network can't be restored: check ip -6 route";
        log::error!("{}", failure(&error).note(note));
    }
    Ok(deleted)
}

/// The routes of the address's network on its link.
fn routes(netlink: &Netlink, address: &Address, until: Deadline) -> Result<Vec<RouteRecord>> {
    let mut found = settled(until, || netlink.route_records(Family::V6, Some(TABLE_MAIN), until))?;
    found.retain(|record| {
        let route = record.route();
        route.is_connected()
            && (route.link, route.destination) == (Some(address.link), address.network())
    });
    Ok(found)
}

/// Adds what the kernel has deleted with the address and was not the address's, and deletes what was.
fn restore(
    netlink: &Netlink,
    address: &Address,
    before: &[RouteRecord],
    until: Deadline,
) -> Result<()> {
    if before.is_empty() {
        return Ok(());
    }
    let now = routes(netlink, address, until)?;
    let shares_route = |other: &Address| {
        other.network() == address.network() && other.ip != address.ip && !other.flags.noprefixroute
    };
    let addresses = settled(until, || netlink.addresses(Family::V6, Some(address.link), until))?;
    let is_shared = addresses.iter().any(shares_route);
    for record in before {
        match (is_of_address(record) && !is_shared, now.contains(record)) {
            (true, true) => netlink.delete_route(record, until).map(|_| ())?,
            (false, false) if record.lifetime() != Lifetime::Seconds(0) => {
                netlink.add_route(record, until)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns true for a route that the kernel adds with an address. One of a router advertisement has a lifetime.
fn is_of_address(record: &RouteRecord) -> bool {
    let route = record.route();
    (route.protocol, route.metric) == (RouteProtocol::Kernel, METRIC)
        && record.lifetime() == Lifetime::Forever
}
