//! Source routing: which rule and which routes belong to the VIP. Pure.
//!
//! The routes of others are never changed. For `source_for`, a route gets a copy with the VIP as its
//! source, which the kernel prefers while it is there: for IPv4 it precedes the original, with the same
//! metric; for IPv6 it has a lower metric. All rules and routes carry the mark of this project
//! ([`RouteProtocol::OWN`]) and the VIP as their source, so that stop finds them in the kernel's own
//! tables even if the agent that added them was killed.

use std::net::IpAddr;

use hostnet::{
    Family, Lifetime, Link, LinkIndex, LinkName, Network, Prefix, Route, RouteKind, RouteProtocol,
    RouteRecord, Rule, RuleAction, Scope, TABLE_MAIN,
};

use super::names::LinkNames;
use super::target::Target;
use crate::params::{Params, is_link_local, is_no_host};

/// The priority of the rule for the VIP's own table, and one below it that for the main table: both before the
/// rule of the main table (32766).
const PRIORITY: u32 = 17_600;
/// The first table that the agent chooses; administrators use lower numbers.
const FIRST_TABLE: u32 = 1_000_000_000;
/// How many VIPs can have neighbouring numbers of tables, or metrics, before there is none left.
const MAX_NEIGHBOURS: u32 = 32;
/// IPv6: the metric of a route to a part of another route's destination is below this: the kernel's
/// default (1024) or lower.
const PART_BELOW: u32 = 1025;

/// The rules and routes of the VIP's family that source routing needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) rules: Vec<Rule>,
    /// The routes of the main table and of `route_table`, and those of this project in all tables.
    pub(crate) routes: Vec<RouteRecord>,
}

/// What has to be there for the VIP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(crate) struct Wanted {
    /// In the order in which they are added.
    pub(crate) routes: Vec<RouteRecord>,
    /// Added after the routes: until then packets use the main table.
    pub(crate) rules: Vec<Rule>,
}

/// Why the VIP can't have the routes that the parameters ask for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoute {
    #[error("source_for={destination} has no route in the main table: add that route")]
    Destination { destination: Network },
    #[error(
        "source_for={destination} needs a metric below {metric}, and none is free: raise the metric \
         of the route to it"
    )]
    Metric { destination: Network, metric: u32 },
    #[error("gateway={gateway} is in no network of {link}: set gateway to a router there")]
    Gateway { gateway: IpAddr, link: LinkName },
    #[error(
        "gateway={gateway} is the network or broadcast address of {network}: set gateway to a router there"
    )]
    NoHost { gateway: IpAddr, network: Network },
    /// Its routes are in a table of its own, and a rule of the kernel comes before those of the agent.
    #[error(
        "{link} is in a VRF, where gateway and source_for have no effect: remove them and set the routes of \
         the VRF"
    )]
    Vrf { link: LinkName },
    #[error("route_table={table} {user}: set an unused table number")]
    TableInUse { table: u32, user: String },
    /// The kernel does not accept a part of a multipath route.
    #[error(
        "source_for={destination} is part of the multipath route to {route}: set source_for={route}"
    )]
    Multipath { destination: Network, route: Network },
}

/// Returns true if the parameters ask for source routing.
pub(crate) fn is_asked_for(params: &Params) -> bool {
    params.gateway.is_some() || !params.source_for.is_empty()
}

/// The first choice of a table: numbered by the last 24 bits of the VIP, which differ within a network.
fn first_table(ip: IpAddr) -> u32 {
    let [.., a, b, c] = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    FIRST_TABLE + u32::from_be_bytes([0, a, b, c])
}

/// The table of the VIP's own routes: `route_table`, or the table of the rule that is there, or the
/// first one that is unused, according to `tables`.
///
/// # Errors
/// [`NoRoute::TableInUse`]
pub(crate) fn table(params: &Params, tables: &Tables) -> Result<u32, NoRoute> {
    let ip = params.ip;
    if let Some(table) = params.route_table {
        let is_current = |rule: &Rule| rule.action == RuleAction::Lookup(table);
        if own_rules(ip, tables).any(is_current) {
            // It stays the VIP's while another start that was given the same number finds that out.
            return Ok(table);
        }
        return match user_of(ip, table, tables) {
            Some(user) => Err(NoRoute::TableInUse { table, user }),
            None => Ok(table),
        };
    }
    let first = first_table(ip);
    let numbers = || first..first.saturating_add(MAX_NEIGHBOURS);
    let current = own_rules(ip, tables).find_map(|rule| match rule.action {
        RuleAction::Lookup(table) => Some(table).filter(|table| numbers().contains(table)),
        _ => None,
    });
    let is_free = |table: &u32| {
        let foreign_rule =
            |rule: &Rule| rule.action == RuleAction::Lookup(*table) && rule.from != Some(host(ip));
        user_of(ip, *table, tables).is_none() && !tables.rules.iter().any(foreign_rule)
    };
    current.or_else(|| numbers().find(is_free)).ok_or_else(|| NoRoute::TableInUse {
        table: first,
        user: format!("and the {} tables after it are in use", MAX_NEIGHBOURS - 1),
    })
}

/// What uses the table, if it is not the VIP.
fn user_of(ip: IpAddr, table: u32, tables: &Tables) -> Option<String> {
    let route = tables.routes.iter().map(RouteRecord::route).find(|route| {
        let ours = route.protocol == RouteProtocol::OWN
            && route.preferred_source.is_none_or(|source| source == ip);
        route.table == table && !ours
    });
    let rule = || {
        tables.rules.iter().find(|rule| {
            rule.protocol == RouteProtocol::OWN
                && rule.action == RuleAction::Lookup(table)
                && rule.from != Some(host(ip))
        })
    };
    match route {
        Some(Route { protocol: RouteProtocol::OWN, preferred_source: Some(other), .. }) => {
            Some(format!("is the table of the VIP {other}"))
        }
        Some(route) => {
            let maker = match route.protocol {
                RouteProtocol::Kernel => "the kernel".to_owned(),
                RouteProtocol::Boot | RouteProtocol::Static => "an administrator".to_owned(),
                RouteProtocol::Dhcp => "a DHCP client".to_owned(),
                RouteProtocol::RouterAdvertisement => "router advertisements".to_owned(),
                RouteProtocol::Other(number) => format!("routing protocol {number}"),
            };
            let via = route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
            Some(format!("has the route {}{via} of {maker}", route.destination))
        }
        None => rule().map(|rule| format!("is used by the rule of another VIP ({rule})")),
    }
}

/// The rules of a VIP with a gateway: the routes of the main table except its default routes (the connected
/// networks of the host and those behind other routers), then the VIP's own table.
fn rules(ip: IpAddr, table: u32) -> Vec<Rule> {
    let main = Rule::from_source(host(ip), TABLE_MAIN, PRIORITY - 1);
    vec![Rule { suppressed_prefix: Some(0), ..main }, Rule::from_source(host(ip), table, PRIORITY)]
}

/// What has to be there while the VIP is on that link with that prefix.
///
/// # Errors
/// The main table does not lead to a destination, or a table or metric is in use.
pub(crate) fn wanted(
    params: &Params,
    link: LinkIndex,
    prefix: Prefix,
    tables: &Tables,
) -> Result<Wanted, NoRoute> {
    let mut wanted = Wanted::default();
    if let Some(gateway) = params.gateway {
        let table = table(params, tables)?;
        let network = Network::of(params.ip, prefix);
        let family = params.family();
        let own = |destination, gateway, scope| Route {
            destination,
            link: Some(link),
            gateway,
            preferred_source: Some(params.ip),
            scope,
            table,
            protocol: RouteProtocol::OWN,
            kind: RouteKind::Unicast,
            metric: 0,
        };
        if prefix != Prefix::host(family) {
            wanted.routes.push(RouteRecord::new(&own(network, None, Scope::Link)));
        }
        let default = own(everywhere(family), Some(gateway), Scope::Universe);
        // onlink: the main table can lead to the gateway over another link.
        wanted.routes.push(RouteRecord::new(&default).onlink());
        wanted.rules = rules(params.ip, table);
    }
    for destination in &params.source_for {
        wanted.routes.extend(with_source(params.ip, *destination, tables)?);
    }
    Ok(wanted)
}

/// Checks before the address is added that its routes can be added. A route to the VIP's own network
/// comes with the address.
///
/// # Errors
/// Those of [`wanted`].
pub(crate) fn check(params: &Params, target: &Target, tables: &Tables) -> Result<(), NoRoute> {
    let Target { link, address } = target;
    if link.controller_kind.as_deref() == Some("vrf") {
        return Err(NoRoute::Vrf { link: link.name.clone() });
    }
    let own = Network::of(address.ip, address.prefix);
    if let Some(gateway) = params.gateway {
        check_gateway(gateway, link, own, tables)?;
        table(params, tables)?;
    }
    for destination in &params.source_for {
        match with_source(params.ip, *destination, tables) {
            Err(NoRoute::Destination { destination }) if own.contains(destination.base()) => {}
            found => {
                found?;
            }
        }
    }
    Ok(())
}

/// The route through the gateway is `onlink`, so that the kernel takes any address.
fn check_gateway(
    gateway: IpAddr,
    link: &Link,
    own: Network,
    tables: &Tables,
) -> Result<(), NoRoute> {
    let networks = || {
        let connected = foreign(tables)
            .map(RouteRecord::route)
            .filter(|route| route.is_connected() && route.link == Some(link.index));
        connected.map(|route| route.destination).chain([own])
    };
    if let Some(network) = networks().find(|network| is_no_host(gateway, *network)) {
        return Err(NoRoute::NoHost { gateway, network });
    }
    let is_in = |network: Network| network.prefix().length() > 0 && network.contains(gateway);
    // The router of a host whose address is alone in its network (`onlink`).
    let is_router = || {
        let mut routes = foreign(tables).map(RouteRecord::route);
        routes.any(|route| route.link == Some(link.index) && route.gateway == Some(gateway))
    };
    if is_link_local(gateway) || networks().any(is_in) || is_router() {
        Ok(())
    } else {
        Err(NoRoute::Gateway { gateway, link: link.name.clone() })
    }
}

/// The route to a destination with the VIP as its source; `None` if it already has that source.
fn with_source(
    ip: IpAddr,
    destination: Network,
    tables: &Tables,
) -> Result<Option<RouteRecord>, NoRoute> {
    let metric = |record: &&RouteRecord| record.route().metric;
    let exact = foreign(tables).filter(|record| record.route().destination == destination);
    if let Some(original) = exact.min_by_key(metric) {
        return if original.route().preferred_source == Some(ip) {
            Ok(None)
        } else {
            copy(original, ip, tables).map(Some)
        };
    }
    // A part of the destination of another route.
    let wider = foreign(tables).filter(|record| {
        let other = record.route().destination;
        other.prefix() < destination.prefix() && other.contains(destination.base())
    });
    let wider = wider
        .min_by_key(|record| {
            (u8::MAX - record.route().destination.prefix().length(), metric(record))
        })
        .ok_or(NoRoute::Destination { destination })?
        .route();
    if wider.link.is_none() {
        return Err(NoRoute::Multipath { destination, route: wider.destination });
    }
    let metric = if ip.is_ipv4() { 0 } else { free_metric(ip, destination, PART_BELOW, tables)? };
    Ok(Some(RouteRecord::new(&Route {
        destination,
        preferred_source: Some(ip),
        protocol: RouteProtocol::OWN,
        metric,
        ..wider.clone()
    })))
}

/// The unicast routes of the main table that are not of this project, and that the kernel uses for every
/// packet to their destination.
fn foreign(tables: &Tables) -> impl Iterator<Item = &RouteRecord> {
    tables.routes.iter().filter(|record| {
        let route = record.route();
        route.table == TABLE_MAIN
            && route.protocol != RouteProtocol::OWN
            && route.kind == RouteKind::Unicast
            && record.lifetime() != Lifetime::Seconds(0)
            && !record.is_selective()
    })
}

fn copy(original: &RouteRecord, ip: IpAddr, tables: &Tables) -> Result<RouteRecord, NoRoute> {
    let copy = original.clone().with_protocol(RouteProtocol::OWN).with_preferred_source(ip);
    if ip.is_ipv4() {
        return Ok(copy);
    }
    let Route { destination, metric, .. } = *original.route();
    Ok(copy.with_metric(free_metric(ip, destination, metric, tables)?))
}

/// The metrics below that one, the highest first.
fn lower(below: u32) -> impl Iterator<Item = u32> {
    (below.saturating_sub(MAX_NEIGHBOURS).max(1)..below).rev()
}

/// IPv6: the metric of the VIP's route to a destination, below that of the original. The kernel joins
/// two routes with the same metric into one multipath route, so those of other VIPs are avoided. A route
/// that is there keeps its metric, even if a higher one has become free since.
fn free_metric(
    ip: IpAddr,
    destination: Network,
    below: u32,
    tables: &Tables,
) -> Result<u32, NoRoute> {
    let there = || {
        let routes = tables.routes.iter().map(RouteRecord::route);
        routes.filter(|route| route.table == TABLE_MAIN && route.destination == destination)
    };
    let ours =
        |route: &&Route| route.protocol == RouteProtocol::OWN && route.preferred_source == Some(ip);
    let current = there().filter(ours).map(|route| route.metric);
    let free = |metric: &u32| !there().any(|route| route.metric == *metric);
    let mut current = current.filter(|metric| lower(below).any(|lower| lower == *metric));
    current
        .next()
        .or_else(|| lower(below).find(free))
        .ok_or(NoRoute::Metric { destination, metric: below })
}

/// The routes of this project that belong to the VIP, by their source. When an IPv6 address is deleted,
/// the kernel keeps its routes without their source (for IPv4 it deletes them): such an orphan counts
/// only in a table of the VIP, or if it is what `source_for` adds.
pub(crate) fn own_routes<'a>(
    ip: IpAddr,
    source_for: &'a [Network],
    tables: &'a Tables,
) -> impl Iterator<Item = &'a RouteRecord> {
    tables.routes.iter().filter(move |record| {
        let route = record.route();
        route.protocol == RouteProtocol::OWN
            && match route.preferred_source {
                Some(source) => source == ip,
                None if ip.is_ipv4() => false,
                None => {
                    is_own_table(ip, route.table, tables) || is_orphan(route, source_for, tables)
                }
            }
    })
}

/// Returns true if a rule of the VIP leads to the table, or if it is the VIP's first choice and no rule
/// leads to it.
fn is_own_table(ip: IpAddr, table: u32, tables: &Tables) -> bool {
    // To the main table leads a rule for routes of others.
    let leads_there =
        |rule: &&Rule| table != TABLE_MAIN && rule.action == RuleAction::Lookup(table);
    own_rules(ip, tables).any(|rule| leads_there(&rule))
        || table == first_table(ip) && !tables.rules.iter().any(|rule| leads_there(&rule))
}

/// Returns true if a route without a source is otherwise what [`with_source`] returns.
fn is_orphan(route: &Route, source_for: &[Network], tables: &Tables) -> bool {
    let is_copy_of = |original: &Route| {
        let next_hop = |route: &Route| (route.link, route.gateway);
        let below =
            if original.destination == route.destination { original.metric } else { PART_BELOW };
        original.destination.prefix() <= route.destination.prefix()
            && original.destination.contains(route.destination.base())
            && next_hop(original) == next_hop(route)
            && lower(below).any(|metric| metric == route.metric)
    };
    route.table == TABLE_MAIN
        && route.kind == RouteKind::Unicast
        && route.link.is_some()
        && source_for.contains(&route.destination)
        && foreign(tables).any(|record| is_copy_of(record.route()))
}

/// The rules of this project that belong to the VIP.
pub(crate) fn own_rules(ip: IpAddr, tables: &Tables) -> impl Iterator<Item = &Rule> {
    tables.rules.iter().filter(move |rule| {
        rule.protocol == RouteProtocol::OWN
            && rule.from == Some(host(ip))
            && matches!(rule.action, RuleAction::Lookup(_))
    })
}

impl Wanted {
    /// Compares next hops and metrics such as the MTU, too: a copy follows its original.
    pub(crate) fn has_route(&self, record: &RouteRecord) -> bool {
        self.routes.iter().any(|wanted| wanted.is_same_way(record))
    }

    pub(crate) fn missing_routes<'a>(
        &'a self,
        tables: &'a Tables,
    ) -> impl Iterator<Item = &'a RouteRecord> {
        self.routes
            .iter()
            .filter(|wanted| !tables.routes.iter().any(|there| there.is_same_way(wanted)))
    }

    pub(crate) fn missing_rules<'a>(
        &'a self,
        tables: &'a Tables,
    ) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(|rule| !tables.rules.contains(rule))
    }

    /// What is missing, in words.
    pub(crate) fn missing(&self, tables: &Tables, names: &LinkNames) -> Option<String> {
        let route = self.missing_routes(tables).next();
        route
            .map(|record| format!("route {}", names.route(record.route())))
            .or_else(|| self.missing_rules(tables).next().map(|rule| format!("rule {rule}")))
    }
}

fn host(ip: IpAddr) -> Network {
    Network::of(ip, Prefix::host(Family::of(ip)))
}

fn everywhere(family: Family) -> Network {
    let unspecified: IpAddr = match family {
        Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    Network::of(unspecified, Prefix::new(family, 0).unwrap_or(Prefix::host(family)))
}

#[cfg(test)]
mod tests;
