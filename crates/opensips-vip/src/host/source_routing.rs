//! Source routing in the kernel: adds what is wanted, deletes what is ours and not wanted.

use std::net::IpAddr;

use deadline::Deadline;
use hostnet::TABLE_MAIN;
use hostnet::{
    Family, LinkIndex, Netlink, Network, Prefix, Result, RouteProtocol, RouteRecord, Rule,
};
use nix::libc;

use super::settled;
use super::tables::link_names;
use crate::decide::judge::Observation;
use crate::decide::names::LinkNames;
use crate::decide::routing::{self, NoRoute, Tables, Wanted};
use crate::log_line::{failure, line};
use crate::params::Params;

/// Why there is no source routing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    #[error(transparent)]
    Network(#[from] hostnet::Error),
}

/// A rule or route that was added.
#[derive(Debug)]
pub(crate) enum Added {
    Route(RouteRecord),
    Rule(Rule),
}

impl Added {
    /// Deletes it again. Returns false if it was not there any more.
    pub(crate) fn roll_back(&self, netlink: &Netlink, until: Deadline) -> Result<bool> {
        match self {
            Self::Route(record) => netlink.delete_route(record, until),
            Self::Rule(rule) => netlink.delete_rule(rule, until),
        }
    }
}

/// The rules of a family and the routes of this project in all tables, and on demand those of the main
/// table.
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
        Err(error) if is_unsupported(&error) => Ok(Vec::new()),
        rules => rules,
    }
}

/// Returns true if the kernel has no policy routing, or not this family.
fn is_unsupported(error: &hostnet::Error) -> bool {
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

/// What start decides by: [`tables`], and the routes of others in the table that the VIP gets.
///
/// # Errors
/// [`NoRoute::TableInUse`], and those of reading.
pub(crate) fn tables_of(
    netlink: &Netlink,
    params: &Params,
    until: Deadline,
) -> std::result::Result<Tables, Error> {
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

/// How often [`apply`] chooses a table or metric. Of several starts that choose the same one at the same
/// moment one gets it, so that none has to choose more often than there are VIPs with its first choice.
const CHOICES: u32 = 64;

/// Adds what the parameters ask for, and deletes what an earlier start has added for other parameters.
/// `added` gets every change, even if this fails.
///
/// # Errors
/// Those of the parameters against the main table, and of the kernel.
pub(crate) fn apply(
    netlink: &Netlink,
    params: &Params,
    place: (LinkIndex, Prefix),
    added: &mut Vec<Added>,
    until: Deadline,
) -> std::result::Result<(), Error> {
    use hostnet::Error::{RouteExists, RuleExists};
    for _ in 1..CHOICES {
        match apply_once(netlink, params, place, added, until) {
            // Another VIP was faster with the same choice. What was added for it is not wanted any more.
            Err(Error::Network(error @ (RouteExists { .. } | RuleExists { .. }))) => {
                log::debug!("{}", failure(&error).note("choosing again"));
            }
            result => return result,
        }
    }
    apply_once(netlink, params, place, added, until)
}

fn apply_once(
    netlink: &Netlink,
    params: &Params,
    (link, prefix): (LinkIndex, Prefix),
    added: &mut Vec<Added>,
    until: Deadline,
) -> std::result::Result<(), Error> {
    let family = params.family();
    let found = tables_of(netlink, params, until)?;
    let wanted = routing::wanted(params, link, prefix, &found)?;
    remove_unwanted(netlink, (params.ip, &params.source_for), &found, &wanted, until)?;
    for record in wanted.missing_routes(&found) {
        log_step("add route", &record.route());
        // For IPv6 the metric decides which route the kernel prefers, and in another table than the
        // main one there are no others.
        let result = if family == Family::V4 && record.route().table == TABLE_MAIN {
            netlink.prepend_route(record, until)
        } else {
            netlink.add_route(record, until)
        };
        record_change(&result, added, || Added::Route(record.clone()));
        result?;
    }
    for rule in wanted.missing_rules(&found) {
        log_step("add rule", rule);
        let result = netlink.add_rule(rule, until);
        record_change(&result, added, || Added::Rule(rule.clone()));
        result?;
    }
    Ok(())
}

/// Records a change that was made, or that may have been made.
fn record_change(result: &Result<()>, added: &mut Vec<Added>, change: impl FnOnce() -> Added) {
    if result.as_ref().map_or_else(hostnet::Error::may_have_happened, |()| true) {
        added.push(change());
    }
}

fn log_step(step: &str, what: &impl std::fmt::Display) {
    log::debug!("{}", line().field("step", format_args!("{step} {what}")));
}

/// Why rules or routes of the VIP can still be there.
#[derive(Debug)]
pub(crate) enum Leftover {
    /// They were seen and could not be deleted.
    Seen(hostnet::Error),
    /// The tables could not be read completely; what was seen has been deleted.
    Unknown(hostnet::Error),
}

/// Deletes every rule and route of the VIP. Without `source_for`, IPv6 orphans in the main table are not
/// recognised. Returns how many it has deleted.
///
/// # Errors
/// What could be deleted has been. The connection can be unusable afterwards.
pub(crate) fn remove(
    netlink: &Netlink,
    ip: IpAddr,
    source_for: &[Network],
    until: Deadline,
) -> std::result::Result<usize, Leftover> {
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
    let removed = remove_unwanted(netlink, (ip, source_for), &found, &Wanted::default(), until)
        .map_err(Leftover::Seen)?;
    unread.map_or(Ok(removed), |error| Err(Leftover::Unknown(error)))
}

fn remove_unwanted(
    netlink: &Netlink,
    (ip, source_for): (IpAddr, &[Network]),
    found: &Tables,
    wanted: &Wanted,
    until: Deadline,
) -> Result<usize> {
    let mut removed = 0;
    let mut refused = None;
    let mut count = |result: Result<bool>| match result {
        Ok(true) => removed += 1,
        Ok(false) => {}
        Err(error) => refused = Some(error),
    };
    // The rule first: without its routes it leads to an empty table.
    for rule in routing::own_rules(ip, found).filter(|rule| !wanted.rules.contains(rule)) {
        log_step("delete rule", rule);
        count(netlink.delete_rule(rule, until));
    }
    let routes = routing::own_routes(ip, source_for, found);
    for record in routes.filter(|record| !wanted.has_route(record)) {
        log_step("delete route", &record.route());
        count(netlink.delete_route(record, until));
    }
    refused.map_or(Ok(removed), Err)
}

/// The reason why the source routing of a VIP that is as it should be is not; `None` if it is complete,
/// or not asked for.
///
/// # Errors
/// Those of reading the tables.
pub(crate) fn fault(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    until: Deadline,
) -> Result<Option<String>> {
    let Some((exact, link)) = observation.exact(params).zip(observation.link.as_ref()) else {
        return Ok(None);
    };
    if !routing::is_asked_for(params) {
        return Ok(None);
    }
    let found = tables(netlink, params.family(), true, until)?;
    let wanted = match routing::wanted(params, exact.link, exact.prefix, &found) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(Some(error.to_string())),
    };
    if wanted.missing(&found, &LinkNames::default()).is_none() {
        return Ok(None);
    }
    let missing = wanted.missing(&found, &link_names(netlink, until));
    Ok(missing
        .map(|missing| format!("{} is on {}, but its {missing} is missing", params.ip, link.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unsupported_rules_count_as_none() {
        let refused = |errno| hostnet::Error::Refused {
            operation: "list the routing rules".to_owned(),
            source: std::io::Error::from_raw_os_error(errno),
        };
        for (errno, unsupported) in [
            (libc::EAFNOSUPPORT, true),
            (libc::EOPNOTSUPP, true),
            (libc::ENOBUFS, false),
            (libc::ENOMEM, false),
            (libc::EBUSY, false),
        ] {
            assert_eq!(is_unsupported(&refused(errno)), unsupported, "{errno}");
        }
    }
}
