//! Source routing on the host: what is wanted is added, what is ours and not wanted goes.

use std::net::IpAddr;
use std::time::Instant;

use hostnet::TABLE_MAIN;
use hostnet::{
    Error, Family, LinkIndex, Netlink, Prefix, Result, RouteProtocol, RouteRecord, Rule,
};

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
    pub(crate) fn take_back(&self, netlink: &Netlink, until: Instant) -> Result<bool> {
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
    until: Instant,
) -> Result<Tables> {
    let rules = match settled(until, || netlink.rules(family, until)) {
        // A kernel without policy routing has none.
        Err(Error::Refused { .. } | Error::NotSupported { .. }) => Vec::new(),
        rules => rules?,
    };
    let own = RouteProtocol::OWN;
    let mut routes = settled(until, || netlink.route_records_of(family, own, until))?;
    if with_main {
        let main = settled(until, || netlink.route_records(family, Some(TABLE_MAIN), until))?;
        routes.extend(main.into_iter().filter(|record| record.route().protocol != own));
    }
    Ok(Tables { rules, routes })
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
    until: Instant,
) -> std::result::Result<(), crate::error::Error> {
    let family = params.family();
    let found = tables(netlink, family, true, until)?;
    let wanted = routing::wanted(params, link, prefix, &found)?;
    remove_but(netlink, params.ip, &found, &wanted, until)?;
    for record in wanted.missing_routes(&found) {
        log::debug!("step: add the route {}", record.route());
        // IPv6 goes before others by its metric; in a table of its own there are none.
        if family == Family::V4 && record.route().table == TABLE_MAIN {
            netlink.prepend_route(record, until)?;
        } else {
            netlink.add_route(record, until)?;
        }
        made.push(Made::Route(record.clone()));
    }
    if let Some(rule) = wanted.missing_rule(&found) {
        log::debug!("step: add the rule {rule}");
        netlink.add_rule(rule, until)?;
        made.push(Made::Rule(rule.clone()));
    }
    Ok(())
}

/// Removes every rule and route of ours for the VIP; how many there were.
///
/// # Errors
/// The kernel did not; what could be removed has been.
pub(crate) fn remove(netlink: &Netlink, ip: IpAddr, until: Instant) -> Result<usize> {
    let found = tables(netlink, Family::of(ip), false, until)?;
    remove_but(netlink, ip, &found, &Wanted::default(), until)
}

fn remove_but(
    netlink: &Netlink,
    ip: IpAddr,
    found: &Tables,
    wanted: &Wanted,
    until: Instant,
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
    for record in routing::own_routes(ip, found).filter(|record| !wanted.has_route(record)) {
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
    until: Instant,
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
