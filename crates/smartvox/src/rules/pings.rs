//! The hosts that are pinged to find out whether a node still has a network.

use std::net::IpAddr;

use super::addresses::address;
use super::{Found, Pair};
use crate::cib::Resource;

/// A resource that pings hosts.
struct Pings<'a> {
    resource: &'a Resource,
    /// The parameter that names them.
    parameter: &'static str,
    separator: &'static str,
    /// As the agent takes them.
    hosts: Vec<&'a str>,
}

/// What stands in a command for a host that is not known.
const GATEWAY: &str = "'<address of the gateway>'";

impl<'a> Pings<'a> {
    /// `None` for a resource that pings nothing.
    fn of(resource: &'a Resource) -> Option<Self> {
        let agent = (resource.class.as_str(), resource.agent.as_str());
        // fence_heuristics_ping splits at commas alone.
        let (parameter, separator, ends): (_, _, &[char]) = match agent {
            ("stonith", "fence_heuristics_ping") => ("ping_targets", ",", &[',']),
            ("ocf", "ping") => ("host_list", " ", &[' ', ',']),
            _ => return None,
        };
        let hosts = resource.parameter(parameter)?.split(ends).map(str::trim);
        let hosts = hosts.filter(|host| !host.is_empty()).collect();
        Some(Self { resource, parameter, separator, hosts })
    }

    /// Those that decide whether a node is fenced.
    fn of_fencing(pair: &Pair<'a>) -> impl Iterator<Item = Self> {
        let all = pair.cib.resources.iter().filter_map(Self::of);
        all.filter(|pings| pings.resource.class == "stonith" && !pings.hosts.is_empty())
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.resource.parameter(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    fn update(&self, name: &str, value: &str) -> String {
        let what = if self.resource.class == "stonith" { "stonith" } else { "resource" };
        format!("pcs {what} update {} {name}={value}", self.resource.id)
    }

    /// The command that names these hosts in place of the former ones. A device that may miss as many hosts as it
    /// has would never fail.
    fn replace(&self, hosts: &[&str]) -> String {
        let value = match hosts {
            [] => GATEWAY.to_owned(),
            [one] => (*one).to_owned(),
            several => format!("\"{}\"", several.join(self.separator)),
        };
        let command = self.update(self.parameter, &value);
        let missed = hosts.len().saturating_sub(1);
        if self.resource.class == "stonith" && self.allowed() > missed {
            return format!("{command} ping_maxfail={missed}");
        }
        command
    }

    /// How many hosts may be silent.
    fn allowed(&self) -> usize {
        self.number("ping_maxfail", 0)
    }

    /// A host with a blank in it, which a comma was meant for.
    fn joined(&self) -> Option<&'a str> {
        self.hosts.iter().copied().find(|host| host.contains(char::is_whitespace))
    }
}

/// Whether a host is one of the cluster: a virtual address, a node, this host.
fn is_inside(pair: &Pair<'_>, host: &str) -> bool {
    let host = host.strip_prefix("inet:").or(host.strip_prefix("inet6:")).unwrap_or(host);
    let ip: Option<IpAddr> = host.parse().ok();
    let managed = ip.is_some() && pair.cib.resources.iter().any(|one| address(one) == ip);
    let own = pair.host.addresses.iter();
    managed
        || ip.is_some_and(|ip| ip.is_loopback())
        || host == "localhost"
        || pair.cib.nodes.iter().any(|node| node.name == host)
        || own.clone().any(|one| one == host)
        || (ip.is_some() && own.filter_map(|one| one.parse().ok()).any(|one| Some(one) == ip))
}

pub(super) fn ping_hosts(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for pings in pair.cib.resources.iter().filter_map(Pings::of) {
        let is_other = |host: &&&str| !is_inside(pair, host);
        let others: Vec<&str> = pings.hosts.iter().filter(is_other).copied().collect();
        for host in pings.hosts.iter().filter(|host| is_inside(pair, host)) {
            let sentence = format!(
                "{} pings {host}, an address of this cluster: a node without a network can get an answer, and \
                 a dead node gives none",
                pings.resource.id
            );
            found.push(Found::of(pings.resource, sentence, pings.replace(&others)));
        }
    }
    found
}

/// The defaults are those of fence_heuristics_ping(8).
pub(super) fn fencing_ping(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for pings in Pings::of_fencing(pair) {
        let (id, hosts) = (&pings.resource.id, pings.hosts.len());
        let (count, wanted) = (pings.number("ping_count", 10), pings.number("ping_good_count", 8));
        if wanted > count {
            let sentence = format!(
                "{id} wants {wanted} answers (ping_good_count) and sends fewer pings (ping_count={count}): no node \
                 is ever fenced"
            );
            let command = pings.update("ping_good_count", &count.to_string());
            found.push(Found::of(pings.resource, sentence, command));
        }
        let allowed = pings.allowed();
        if let Some(joined) = pings.joined() {
            let sentence = format!(
                "{id} pings \"{joined}\" as one host, which never answers: commas belong between the hosts of \
                 ping_targets"
            );
            let words = pings.hosts.iter().flat_map(|host| host.split_whitespace());
            let command = pings.replace(&words.collect::<Vec<&str>>());
            found.push(Found::of(pings.resource, sentence, command));
        } else if allowed >= hosts {
            let sentence = format!(
                "{id} also succeeds where none of its hosts answers (ping_maxfail={allowed}): a node without \
                 a network fences the one that serves"
            );
            let command = pings.update("ping_maxfail", &(hosts - 1).to_string());
            found.push(Found::of(pings.resource, sentence, command));
        }
    }
    found
}

pub(super) fn fencing_ping_host(pair: &Pair<'_>) -> Vec<Found> {
    let strict = |pings: &Pings<'_>| {
        pings.hosts.len() > 1 && pings.allowed() == 0 && pings.joined().is_none()
    };
    Pings::of_fencing(pair)
        .filter(strict)
        .map(|pings| {
            let (id, hosts) = (&pings.resource.id, pings.hosts.len());
            let sentence = format!(
                "{id} fails when one of its {hosts} hosts is silent (ping_maxfail=0): then a dead node is not \
                 fenced, and nothing fails over"
            );
            let command = pings.update("ping_maxfail", &(hosts - 1).to_string());
            Found::of(pings.resource, sentence, command)
        })
        .collect()
}
