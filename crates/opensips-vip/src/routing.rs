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

/// What source routing needs of the host's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// The rules of the VIP's family.
    pub rules: Vec<Rule>,
    /// The routes of the VIP's family in the main table, and those of this project in all.
    pub routes: Vec<RouteRecord>,
}

/// What there has to be for the VIP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Wanted {
    /// In this order.
    pub routes: Vec<RouteRecord>,
    /// After the routes: until there are some, the main table serves.
    pub rule: Option<Rule>,
}

/// Why there can't be the routes that the parameters ask for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
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
pub fn is_asked_for(params: &Params) -> bool {
    params.gateway.is_some() || !params.source_for.is_empty()
}

/// The table of the VIP's own routes: `route_table`, or a number made of the VIP's last 24 bits, which
/// differ within a network.
pub fn table(params: &Params) -> u32 {
    let [.., a, b, c] = match params.ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    params.route_table.unwrap_or(TABLES + u32::from_be_bytes([0, a, b, c]))
}

/// What there has to be while the VIP is on that link with that prefix.
///
/// # Errors
/// The main table does not say how.
pub fn wanted(
    params: &Params,
    link: LinkIndex,
    prefix: Prefix,
    tables: &Tables,
) -> Result<Wanted, NoRoute> {
    let mut wanted = Wanted::default();
    if let Some(gateway) = params.gateway {
        let table = table(params);
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
    let foreign = || {
        tables.routes.iter().filter(|record| {
            let route = record.route();
            route.table == TABLE_MAIN
                && route.protocol != RouteProtocol::OWN
                && route.kind == RouteKind::Unicast
        })
    };
    let metric = |record: &&RouteRecord| record.route().metric;
    let exact = foreign().filter(|record| record.route().destination == destination);
    if let Some(original) = exact.min_by_key(metric) {
        return if original.route().preferred_source == Some(ip) {
            Ok(None)
        } else {
            copy(original, ip, destination).map(Some)
        };
    }
    // A part of another one.
    let wider = foreign().filter(|record| {
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
    Ok(Some(RouteRecord::new(&Route {
        destination,
        preferred_source: Some(ip),
        protocol: RouteProtocol::OWN,
        metric: 0,
        ..wider.clone()
    })))
}

fn copy(original: &RouteRecord, ip: IpAddr, destination: Network) -> Result<RouteRecord, NoRoute> {
    let copy = original.clone().with_protocol(RouteProtocol::OWN).with_preferred_source(ip);
    if ip.is_ipv4() {
        return Ok(copy);
    }
    // For IPv6 two routes with the same metric would be two next hops of one.
    match original.route().metric {
        metric @ 0..=1 => Err(NoRoute::Metric { destination, metric }),
        metric => Ok(copy.with_metric(metric - 1)),
    }
}

/// The routes of this project that are there for the VIP. Without a source they are orphans of an
/// IPv6 address that has been deleted: the kernel takes the source from the route then, and leaves it.
pub fn own_routes(ip: IpAddr, tables: &Tables) -> impl Iterator<Item = &RouteRecord> {
    tables.routes.iter().filter(move |record| {
        let route = record.route();
        route.protocol == RouteProtocol::OWN
            && route.preferred_source.is_none_or(|source| source == ip)
    })
}

/// The rules of this project that are there for the VIP.
pub fn own_rules(ip: IpAddr, tables: &Tables) -> impl Iterator<Item = &Rule> {
    tables.rules.iter().filter(move |rule| {
        rule.protocol == RouteProtocol::OWN
            && rule.from == Some(host(ip))
            && matches!(rule.action, RuleAction::Lookup(_))
    })
}

impl Wanted {
    /// Whether it contains that route.
    pub fn has_route(&self, record: &RouteRecord) -> bool {
        self.routes.iter().any(|wanted| wanted.route() == record.route())
    }

    /// The routes that are not there.
    pub fn missing_routes<'a>(
        &'a self,
        tables: &'a Tables,
    ) -> impl Iterator<Item = &'a RouteRecord> {
        self.routes
            .iter()
            .filter(|wanted| !tables.routes.iter().any(|there| there.route() == wanted.route()))
    }

    /// The rule, if it is not there.
    pub fn missing_rule(&self, tables: &Tables) -> Option<&Rule> {
        self.rule.as_ref().filter(|rule| !tables.rules.contains(rule))
    }

    /// What is missing, in words.
    pub fn missing(&self, tables: &Tables) -> Option<String> {
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
mod tests {
    use super::*;
    use crate::sample::{connected, params};

    fn via(destination: &str, gateway: &str, metric: u32) -> Route {
        Route {
            gateway: gateway.parse().ok(),
            scope: Scope::Universe,
            protocol: RouteProtocol::Static,
            metric,
            ..connected(2, destination, None)
        }
    }

    fn shown(given: &[(&str, &str)], routes: &[Route], prefix: u8) -> Result<Vec<String>, String> {
        let params = params(given);
        let tables =
            Tables { routes: routes.iter().map(RouteRecord::new).collect(), rules: Vec::new() };
        let prefix = Prefix::new(params.family(), prefix).unwrap();
        let link = LinkIndex::new(2).unwrap();
        let wanted = wanted(&params, link, prefix, &tables).map_err(|error| error.to_string())?;
        assert_eq!(wanted.missing(&tables).is_none(), wanted == Wanted::default());
        let routes = wanted.routes.iter().map(|record| record.route().to_string());
        Ok(routes.chain(wanted.rule.iter().map(ToString::to_string)).collect())
    }

    #[test]
    fn a_table_of_its_own() {
        let given = [("gateway", "192.0.2.254"), ("route_table", "100")];
        let default = "0.0.0.0/0 via 192.0.2.254 dev 2 table 100 src 192.0.2.10";
        let rule = "17600: from 192.0.2.10/32 lookup 100";
        let network = "192.0.2.0/24 dev 2 table 100 src 192.0.2.10";
        assert_eq!(shown(&given, &[], 24).unwrap(), [network, default, rule]);
        assert_eq!(shown(&given, &[], 32).unwrap(), [default, rule]);
        let chosen = |ip| table(&params(&[("ip", ip), ("nic", "eth0")]));
        assert_eq!(chosen("192.0.2.10"), TABLES + 0x02_0a);
        assert_eq!(chosen("2001:db8::ab:cdef"), TABLES + 0x00ab_cdef);
    }

    #[test]
    fn the_source_of_a_route() {
        let given = |destination| [("source_for", destination)];
        let routes = [
            via("0.0.0.0/0", "192.0.2.254", 100),
            via("0.0.0.0/0", "192.0.2.253", 50),
            via("203.0.113.0/24", "192.0.2.99", 7),
        ];
        let default = "0.0.0.0/0 via 192.0.2.253 dev 2 table 254 src 192.0.2.10 metric 50";
        assert_eq!(shown(&given("0.0.0.0/0"), &routes, 24).unwrap(), [default]);
        let part = "203.0.113.128/25 via 192.0.2.99 dev 2 table 254 src 192.0.2.10";
        assert_eq!(shown(&given("203.0.113.128/25"), &routes, 24).unwrap(), [part]);
        let none = shown(&given("203.0.113.0/24"), &[], 24).unwrap_err();
        assert!(none.contains("no route of the main table leads there"), "{none}");
        // It has the source already, by an administrator.
        let source = "192.0.2.10".parse().ok();
        let by_hand = Route { preferred_source: source, ..via("0.0.0.0/0", "192.0.2.254", 0) };
        assert_eq!(shown(&given("0.0.0.0/0"), &[by_hand], 24).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn ipv6_goes_before_by_its_metric() {
        let given = [("ip", "2001:db8::10"), ("source_for", "::/0")];
        let routes = |metric| [via("::/0", "fe80::1", metric)];
        assert_eq!(
            shown(&given, &routes(1024), 64).unwrap(),
            ["::/0 via fe80::1 dev 2 table 254 src 2001:db8::10 metric 1023"]
        );
        assert!(shown(&given, &routes(1), 64).unwrap_err().contains("no lower one is left"));
    }

    #[test]
    fn whose_they_are() {
        let ip: IpAddr = "192.0.2.10".parse().unwrap();
        let own = |source: Option<&str>, protocol| {
            let source = source.and_then(|source| source.parse().ok());
            let route = via("0.0.0.0/0", "192.0.2.254", 0);
            RouteRecord::new(&Route { preferred_source: source, protocol, ..route })
        };
        let tables = Tables {
            routes: vec![
                own(Some("192.0.2.10"), RouteProtocol::OWN),
                own(None, RouteProtocol::OWN),
                own(Some("192.0.2.11"), RouteProtocol::OWN),
                own(Some("192.0.2.10"), RouteProtocol::Static),
            ],
            rules: vec![
                Rule::from_source(host(ip), 100, PRIORITY),
                Rule::from_source(host("192.0.2.11".parse().unwrap()), 100, PRIORITY),
                Rule {
                    protocol: RouteProtocol::Static,
                    ..Rule::from_source(host(ip), 100, PRIORITY)
                },
            ],
        };
        assert_eq!(own_routes(ip, &tables).count(), 2);
        assert_eq!(own_rules(ip, &tables).count(), 1);
    }
}
