//! Source routing on the host: what is wanted is added, what is ours and not wanted goes.

use std::net::IpAddr;

use deadline::Deadline;
use hostnet::TABLE_MAIN;
use hostnet::{
    Error, Family, LinkIndex, Netlink, Network, Prefix, Result, RouteProtocol, RouteRecord, Rule,
};
use nix::libc;

use crate::host::settled;
use crate::judge::Sight;
use crate::params::Params;
use crate::routing::{self, Tables, Wanted};

/// A change that was made, to be taken back.
#[derive(Debug)]
pub(crate) enum Made {
    Route(RouteRecord),
    Rule(Rule),
}

impl Made {
    /// Takes it back; gone already is as good.
    pub(crate) fn take_back(&self, netlink: &Netlink, until: Deadline) -> Result<bool> {
        match self {
            Self::Route(record) => netlink.delete_route(record, until),
            Self::Rule(rule) => netlink.delete_rule(rule, until),
        }
    }
}

/// The rules of a family and the routes of this project in all tables, with those of the main table
/// where they count.
pub(crate) fn tables(
    netlink: &Netlink,
    family: Family,
    with_main: bool,
    until: Deadline,
) -> Result<Tables> {
    Ok(Tables {
        rules: rules(netlink, family, until)?,
        routes: routes(netlink, family, with_main, until)?,
    })
}

fn rules(netlink: &Netlink, family: Family, until: Deadline) -> Result<Vec<Rule>> {
    match settled(until, || netlink.rules(family, until)) {
        Err(error) if has_none(&error) => Ok(Vec::new()),
        rules => rules,
    }
}

/// Whether a kernel says by this that it has no policy routing, or not this family.
fn has_none(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP))
}

fn routes(
    netlink: &Netlink,
    family: Family,
    with_main: bool,
    until: Deadline,
) -> Result<Vec<RouteRecord>> {
    let own = RouteProtocol::OWN;
    let mut routes = settled(until, || netlink.route_records_of(family, own, until))?;
    if with_main {
        routes.extend(others_in(netlink, family, TABLE_MAIN, until)?);
    }
    Ok(routes)
}

/// The routes of a table that are not of this project.
fn others_in(
    netlink: &Netlink,
    family: Family,
    table: u32,
    until: Deadline,
) -> Result<Vec<RouteRecord>> {
    let mut found = settled(until, || netlink.route_records(family, Some(table), until))?;
    found.retain(|record| record.route().protocol != RouteProtocol::OWN);
    Ok(found)
}

/// What start decides by: as [`tables`], and what others have in the table that is to be the VIP's.
///
/// # Errors
/// Those of reading, and [`routing::NoRoute::TableInUse`].
pub(crate) fn tables_of(
    netlink: &Netlink,
    params: &Params,
    until: Deadline,
) -> std::result::Result<Tables, crate::error::Error> {
    let family = params.family();
    let mut found = tables(netlink, family, true, until)?;
    let mut last = None;
    while params.gateway.is_some() {
        let table = routing::table(params, &found)?;
        if last == Some(table) {
            break;
        }
        last = Some(table);
        found.routes.extend(others_in(netlink, family, table, until)?);
    }
    Ok(found)
}

/// Makes what the parameters ask for; what was there of an earlier start and is asked for no more
/// goes. `made` has every change, also if this fails.
///
/// # Errors
/// Those of the parameters against the main table, and of the kernel.
pub(crate) fn apply(
    netlink: &Netlink,
    params: &Params,
    (link, prefix): (LinkIndex, Prefix),
    made: &mut Vec<Made>,
    until: Deadline,
) -> std::result::Result<(), crate::error::Error> {
    let family = params.family();
    let found = tables_of(netlink, params, until)?;
    let wanted = routing::wanted(params, link, prefix, &found)?;
    remove_but(netlink, (params.ip, &params.source_for), &found, &wanted, until)?;
    for record in wanted.missing_routes(&found) {
        log::debug!("step: add the route {}", record.route());
        // IPv6 goes before others by its metric; in a table of its own there are none.
        let added = if family == Family::V4 && record.route().table == TABLE_MAIN {
            netlink.prepend_route(record, until)
        } else {
            netlink.add_route(record, until)
        };
        note(&added, made, || Made::Route(record.clone()));
        added?;
    }
    if let Some(rule) = wanted.missing_rule(&found) {
        log::debug!("step: add the rule {rule}");
        let added = netlink.add_rule(rule, until);
        note(&added, made, || Made::Rule(rule.clone()));
        added?;
    }
    Ok(())
}

/// Notes a change that was made, and one of which that can't be known.
fn note(result: &Result<()>, made: &mut Vec<Made>, change: impl FnOnce() -> Made) {
    if result.as_ref().map_or_else(Error::may_have_happened, |()| true) {
        made.push(change());
    }
}

/// Why rules or routes of ours may still be there.
#[derive(Debug)]
pub(crate) enum Left {
    /// They are: seen, and not removed.
    Seen(Error),
    /// The tables could not be read to the end; what was seen has been removed.
    Unknown(Error),
}

/// Removes every rule and route of ours for the VIP. Without `source_for` IPv6 routes whose address
/// has been deleted are not known for ours in the main table.
///
/// # Errors
/// What could be removed has been. The connection may have failed with it.
pub(crate) fn remove(
    netlink: &Netlink,
    ip: IpAddr,
    source_for: &[Network],
    until: Deadline,
) -> std::result::Result<usize, Left> {
    let family = Family::of(ip);
    let with_main = family == Family::V6 && !source_for.is_empty();
    let mut unread = None;
    let mut found = Tables::default();
    match rules(netlink, family, until) {
        Ok(rules) => found.rules = rules,
        Err(error) => unread = Some(error),
    }
    match routes(netlink, family, with_main, until) {
        Ok(routes) => found.routes = routes,
        Err(error) => unread = Some(error),
    }
    let removed = remove_but(netlink, (ip, source_for), &found, &Wanted::default(), until)
        .map_err(Left::Seen)?;
    unread.map_or(Ok(removed), |error| Err(Left::Unknown(error)))
}

fn remove_but(
    netlink: &Netlink,
    (ip, source_for): (IpAddr, &[Network]),
    found: &Tables,
    wanted: &Wanted,
    until: Deadline,
) -> Result<usize> {
    let mut removed = 0;
    let mut refused = None;
    let mut note = |result: Result<bool>| match result {
        Ok(true) => removed += 1,
        Ok(false) => {}
        Err(error) => refused = Some(error),
    };
    // The rule first: without its routes it would lead nowhere.
    for rule in routing::own_rules(ip, found).filter(|rule| wanted.rule.as_ref() != Some(rule)) {
        log::debug!("step: delete the rule {rule}");
        note(netlink.delete_rule(rule, until));
    }
    let routes = routing::own_routes(ip, source_for, found);
    for record in routes.filter(|record| !wanted.has_route(record)) {
        log::debug!("step: delete the route {}", record.route());
        note(netlink.delete_route(record, until));
    }
    refused.map_or(Ok(removed), Err)
}

/// What is missing of what the parameters ask for, in words; only where the VIP is as it should be.
///
/// # Errors
/// Those of reading the tables.
pub(crate) fn missing(
    netlink: &Netlink,
    params: &Params,
    sight: &Sight,
    until: Deadline,
) -> Result<Option<String>> {
    let Some(exact) = sight.exact(params).filter(|_| routing::is_asked_for(params)) else {
        return Ok(None);
    };
    let found = tables(netlink, params.family(), true, until)?;
    Ok(match routing::wanted(params, exact.link, exact.prefix, &found) {
        Ok(wanted) => wanted.missing(&found).map(|what| format!("{what} is missing")),
        Err(error) => Some(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kernel_that_says_so_has_no_rules() {
        let refused = |errno| Error::Refused {
            operation: "list the routing rules".to_owned(),
            source: std::io::Error::from_raw_os_error(errno),
        };
        for (errno, none) in [
            (libc::EAFNOSUPPORT, true),
            (libc::EOPNOTSUPP, true),
            (libc::ENOBUFS, false),
            (libc::ENOMEM, false),
            (libc::EBUSY, false),
        ] {
            assert_eq!(has_none(&refused(errno)), none, "{errno}");
        }
    }
}
