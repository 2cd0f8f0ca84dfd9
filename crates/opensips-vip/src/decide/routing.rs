//! Source routing: which rule and routes the VIP has beside it. Pure.
//!
//! Nothing that others have made is changed. A route whose source becomes the VIP gets a copy with
//! that source, which the kernel uses as long as it is there: for IPv4 before the original, with the
//! same metric; for IPv6 with a lower one. All of it carries the mark of this project
//! ([`RouteProtocol::OWN`]) and the VIP as its source, so that stop finds it in the kernel's own
//! tables, whatever became of the agent that made it, and without it they are as they were.

use std::net::IpAddr;

use hostnet::{
    Family, LinkIndex, Network, Prefix, Route, RouteKind, RouteProtocol, RouteRecord, Rule,
    RuleAction, Scope, TABLE_MAIN,
};

use crate::params::Params;

/// The place of the rules: before those of the main table (32766).
const PRIORITY: u32 = 17_600;
/// Where the tables begin that are chosen here; far beyond the numbers that people give.
const TABLES: u32 = 1_000_000_000;
/// How many VIPs find a place at once where their numbers or metrics are the same.
const PLACES: u32 = 32;
/// IPv6: a route to a part of a route's destination has the kernel's usual metric (1024) or a lower
/// one.
const PART_BELOW: u32 = 1025;

/// What source routing needs of the host's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// The rules of the VIP's family.
    pub(crate) rules: Vec<Rule>,
    /// The routes of the VIP's family in the main table and in `route_table`, and those of this
    /// project in all.
    pub(crate) routes: Vec<RouteRecord>,
}

/// What there has to be for the VIP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(crate) struct Wanted {
    /// In this order.
    pub(crate) routes: Vec<RouteRecord>,
    /// After the routes: until there are some, the main table serves.
    pub(crate) rule: Option<Rule>,
}

/// Why there can't be the routes that the parameters ask for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoute {
    /// Nothing leads there.
    #[error("source_for={destination}: no route of the main table leads there")]
    Destination {
        /// As given.
        destination: Network,
    },
    /// The route has no place before it.
    #[error(
        "source_for={destination}: the metric of its route is {metric}, and no lower one is left"
    )]
    Metric {
        /// As given.
        destination: Network,
        /// Of the route.
        metric: u32,
    },
    /// The table is not the VIP's alone.
    #[error("route_table={table}: {user}: give a number that nobody else uses")]
    TableInUse {
        /// Its number.
        table: u32,
        /// Who has it, in words.
        user: String,
    },
    /// The route leads over several next hops, and only a part of it is wanted.
    #[error("source_for={destination}: {route} has several next hops: give its destination")]
    Multipath {
        /// As given.
        destination: Network,
        /// The route.
        route: String,
    },
}

/// Whether the parameters ask for any.
pub(crate) fn is_asked_for(params: &Params) -> bool {
    params.gateway.is_some() || !params.source_for.is_empty()
}

/// The first choice of a table for a VIP, made of its last 24 bits, which differ within a network.
fn first_table(ip: IpAddr) -> u32 {
    let [.., a, b, c] = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    TABLES + u32::from_be_bytes([0, a, b, c])
}

/// The table of the VIP's own routes: `route_table`, or that which its rule leads to, or the first
/// number that nobody uses, as far as `tables` tell.
///
/// # Errors
/// [`NoRoute::TableInUse`]
pub(crate) fn table(params: &Params, tables: &Tables) -> Result<u32, NoRoute> {
    let ip = params.ip;
    if let Some(table) = params.route_table {
        return match user_of(ip, table, tables) {
            Some(user) => Err(NoRoute::TableInUse { table, user }),
            None => Ok(table),
        };
    }
    let first = first_table(ip);
    let numbers = || first..first.saturating_add(PLACES);
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
        user: "others have it and all that follow".to_owned(),
    })
}

/// Whose the table is, if not the VIP's.
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
            Some(format!("it is the table of the VIP {other}"))
        }
        Some(route) => {
            let maker = match route.protocol {
                RouteProtocol::Kernel => "the kernel's".to_owned(),
                RouteProtocol::Boot | RouteProtocol::Static => "an administrator's".to_owned(),
                RouteProtocol::Dhcp => "a DHCP client's".to_owned(),
                RouteProtocol::RouterAdvertisement => "a router advertisement's".to_owned(),
                RouteProtocol::Other(number) => format!("of protocol {number}"),
            };
            Some(format!("the route {route} is in it and not ours ({maker})"))
        }
        None => rule().map(|rule| format!("another VIP's rule leads there ({rule})")),
    }
}

/// What there has to be while the VIP is on that link with that prefix.
///
/// # Errors
/// The main table does not say how.
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
        // Also if no route of the main table says that the gateway is on this link.
        wanted.routes.push(RouteRecord::new(&default).onlink());
        wanted.rule = Some(Rule::from_source(host(params.ip), table, PRIORITY));
    }
    for destination in &params.source_for {
        wanted.routes.extend(with_source(params.ip, *destination, tables)?);
    }
    Ok(wanted)
}

/// The route to a destination with the VIP as its source; `None` if it has that already.
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
    // A part of another one.
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
        return Err(NoRoute::Multipath { destination, route: wider.to_string() });
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

/// The routes of the main table that are not of this project.
fn foreign(tables: &Tables) -> impl Iterator<Item = &RouteRecord> {
    tables.routes.iter().filter(|record| {
        let route = record.route();
        route.table == TABLE_MAIN
            && route.protocol != RouteProtocol::OWN
            && route.kind == RouteKind::Unicast
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

/// Metrics below that one, the highest first.
fn lower(below: u32) -> impl Iterator<Item = u32> {
    (below.saturating_sub(PLACES).max(1)..below).rev()
}

/// IPv6: the metric of the VIP's route to a destination, below that of the original. Two routes with
/// the same metric would be two next hops of one, so other VIPs' are left out. The one that is there
/// stays, whatever has become free since.
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

/// The routes of this project that are there for the VIP: by their source. Without one they may be
/// orphans of an IPv6 address that has been deleted (the kernel takes the source from the route then,
/// and leaves it) or anybody's: they count only in a table of the VIP's own, and where they are what
/// `source_for` would make. IPv4 routes go with their source.
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

/// Whether a rule for the VIP leads to the table, or its number is the VIP's and nobody uses it.
fn is_own_table(ip: IpAddr, table: u32, tables: &Tables) -> bool {
    let leads_there = |rule: &&Rule| rule.action == RuleAction::Lookup(table);
    own_rules(ip, tables).any(|rule| leads_there(&rule))
        || table == first_table(ip) && !tables.rules.iter().any(|rule| leads_there(&rule))
}

/// Whether a route without a source is what [`with_source`] makes, but for that.
fn is_orphan(route: &Route, source_for: &[Network], tables: &Tables) -> bool {
    let is_like = |original: &Route| {
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
        && foreign(tables).any(|record| is_like(record.route()))
}

/// The rules of this project that are there for the VIP.
pub(crate) fn own_rules(ip: IpAddr, tables: &Tables) -> impl Iterator<Item = &Rule> {
    tables.rules.iter().filter(move |rule| {
        rule.protocol == RouteProtocol::OWN
            && rule.from == Some(host(ip))
            && matches!(rule.action, RuleAction::Lookup(_))
    })
}

impl Wanted {
    /// Whether it contains that route.
    pub(crate) fn has_route(&self, record: &RouteRecord) -> bool {
        self.routes.iter().any(|wanted| wanted.route() == record.route())
    }

    /// The routes that are not there.
    pub(crate) fn missing_routes<'a>(
        &'a self,
        tables: &'a Tables,
    ) -> impl Iterator<Item = &'a RouteRecord> {
        self.routes
            .iter()
            .filter(|wanted| !tables.routes.iter().any(|there| there.route() == wanted.route()))
    }

    /// The rule, if it is not there.
    pub(crate) fn missing_rule(&self, tables: &Tables) -> Option<&Rule> {
        self.rule.as_ref().filter(|rule| !tables.rules.contains(rule))
    }

    /// What is missing, in words.
    pub(crate) fn missing(&self, tables: &Tables) -> Option<String> {
        let route = self.missing_routes(tables).next();
        route
            .map(|record| format!("the route {}", record.route()))
            .or_else(|| self.missing_rule(tables).map(|rule| format!("the rule {rule}")))
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
