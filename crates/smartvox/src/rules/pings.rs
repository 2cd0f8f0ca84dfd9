//! The hosts that are pinged to find out whether a node still has a network.

use std::net::IpAddr;

use super::addresses::address;
use super::{Found, Pair};
use crate::cib::Resource;

/// A resource that pings hosts.
struct Pings<'a> {
    resource: &'a Resource,
    /// The parameter that names them, and its value.
    parameter: &'static str,
    value: &'a str,
    /// The value with the blanks around it, which the agent gets as well.
    raw: &'a str,
    /// What has to be between them.
    separator: char,
    /// As the agent takes them, which may not be as they were meant.
    hosts: Vec<&'a str>,
}

/// What stands in a command for a host that is not known.
const GATEWAY: &str = "'<address of the gateway>'";

impl<'a> Pings<'a> {
    /// `None` for a resource that pings nothing.
    fn of(resource: &'a Resource) -> Option<Self> {
        let agent = (resource.class.as_str(), resource.agent.as_str());
        let (parameter, separator) = match agent {
            ("stonith", "fence_heuristics_ping") => ("ping_targets", ','),
            ("ocf", "ping") => ("host_list", ' '),
            _ => return None,
        };
        let raw = resource.parameter(parameter).unwrap_or_default();
        let value = raw.trim();
        // fence_heuristics_ping splits at commas alone, and asks an empty host as well; the shell of ping does neither.
        let hosts = match separator {
            ',' if !value.is_empty() => value.split(',').map(str::trim).collect(),
            _ => value.split_whitespace().collect(),
        };
        Some(Self { resource, parameter, value, raw, separator, hosts })
    }

    /// Those that decide whether a node is fenced.
    fn of_fencing(pair: &Pair<'a>) -> impl Iterator<Item = Self> {
        let all = pair.cib.resources.iter().filter_map(Self::of);
        all.filter(|pings| pings.resource.class == "stonith")
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
    fn replace(&self, hosts: &[String]) -> String {
        let value = match hosts {
            [] => GATEWAY.to_owned(),
            [one] => one.clone(),
            several => format!("\"{}\"", several.join(&self.separator.to_string())),
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

    /// Whether fence_heuristics_ping succeeds without any answer. It fails where nothing is set, whatever it allows.
    fn always_succeeds(&self) -> bool {
        !self.hosts.is_empty() && self.allowed() >= self.hosts.len()
    }

    /// A host whose prefix fence_heuristics_ping does not see, because a blank is before it (`target.startswith`).
    fn hidden_prefix(&self) -> Option<&'a str> {
        let mut entries = self.raw.split(',').filter(|_| self.separator == ',');
        let has_prefix = |host: &str| FAMILIES.iter().any(|family| host.starts_with(family));
        entries.find(|one| one.trim_start() != *one && has_prefix(one.trim_start())).map(str::trim)
    }

    /// The hosts that were meant. fence_heuristics_ping takes blanks after a prefix.
    fn meant(&self) -> Vec<String> {
        let mut hosts = Vec::new();
        let mut prefix = "";
        for word in self.value.split(|c: char| c.is_whitespace() || c == ',') {
            if self.separator == ',' && FAMILIES.contains(&word) {
                prefix = word;
            } else if !word.is_empty() {
                let host = format!("{}{word}", std::mem::take(&mut prefix));
                hosts.push(cut(&host).map_or(host.clone(), |(_, whole)| whole.to_owned()));
            }
        }
        hosts
    }

    /// Why one of the hosts, or all of them, never answer: the sentence.
    fn never_answers(&self) -> Option<String> {
        let (id, parameter, fences) = (&self.resource.id, self.parameter, self.separator == ',');
        let between = if fences { "commas" } else { "blanks" };
        let foreign = |host: &&&str| bare(host).contains(|c: char| c.is_whitespace() || c == ',');
        if self.meant().is_empty() {
            let then = if fences {
                if self.always_succeeds() {
                    "it always succeeds, and a node without a network fences the one that serves"
                } else {
                    "it always fails, and no node is ever fenced"
                }
            } else {
                "its attribute is 0 on every node, and an uplink that is lost moves nothing"
            };
            return Some(format!("{id} has no host to ping ({parameter} is empty): {then}"));
        }
        if let Some(joined) = self.hosts.iter().find(foreign) {
            return Some(format!(
                "{id} pings \"{joined}\" as one host, which never answers: {between} belong between the hosts of \
                 {parameter}"
            ));
        }
        if self.hosts.contains(&"") {
            return Some(format!(
                "{id} also pings a host without a name, which never answers: {parameter}={} has a comma too many",
                self.value
            ));
        }
        if let Some(one) = self.hidden_prefix() {
            return Some(format!(
                "{id} pings \"{one}\" with its prefix, which never answers: remove the blank before it in {parameter}"
            ));
        }
        let cut = self.hosts.iter().filter(|_| fences).find_map(|host| Some((host, cut(host)?.0)));
        cut.map(|(host, taken)| {
            format!(
                "{id} pings \"{taken}\" in place of {host}, which never answers: fence_heuristics_ping cuts a host \
                 at its second colon"
            )
        })
    }
}

/// What says the address family of a host of fence_heuristics_ping.
const FAMILIES: [&str; 2] = ["inet:", "inet6:"];

/// A host without its prefix.
fn bare(host: &str) -> &str {
    FAMILIES.iter().find_map(|family| host.strip_prefix(family)).map_or(host, str::trim_start)
}

/// What fence_heuristics_ping makes of an IPv6 address with `inet6:` before it (`target.split(':', 2)[1]`), and the
/// address, which it takes as it stands.
fn cut(host: &str) -> Option<(&str, &str)> {
    let whole = host.strip_prefix("inet6:")?.trim_start();
    Some((whole.split_once(':')?.0, whole))
}

/// Whether a host is one of the cluster: a virtual address, a node, this host.
fn is_inside(pair: &Pair<'_>, host: &str) -> bool {
    let host = bare(host);
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
        let (inside, others): (Vec<String>, Vec<String>) =
            pings.meant().into_iter().partition(|host| is_inside(pair, host));
        // Of fencing, fencing_ping reports it.
        let silent = pings.never_answers().filter(|_| pings.resource.class != "stonith");
        found.extend(silent.map(|it| Found::of(pings.resource, it, pings.replace(&pings.meant()))));
        for host in inside {
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
        if let Some(sentence) = pings.never_answers() {
            let command = pings.replace(&pings.meant());
            found.push(Found::of(pings.resource, sentence, command));
        } else if pings.always_succeeds() {
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
        pings.hosts.len() > 1 && pings.allowed() == 0 && pings.never_answers().is_none()
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
