//! The rules of `smartvox check`: pure functions from the configuration and the facts of this node to
//! findings.

mod addresses;
mod cluster;
mod constraints;
mod failures;
mod fencing;
mod forgotten;
mod node;
mod nodes;
mod operations;
mod pings;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::cib::{Cib, Resource};
use crate::host::Host;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The service ends, or both nodes serve, when one of the faults comes that the pair is there for; or it
    /// does not start at all.
    Error,
    /// A failover takes longer than it must, or a later fault is not survived.
    Warning,
    /// It could be better.
    Advice,
}

impl Severity {
    /// The word, for people and for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Advice => "advice",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) found: Found,
}

/// What a rule has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The resource; `None` for the cluster or the node.
    pub(crate) resource: Option<String>,
    /// What is wrong, with names and values, in one sentence.
    pub(crate) sentence: String,
    /// The command that ends it.
    pub(crate) command: String,
}

impl Found {
    fn of_cluster(sentence: impl Into<String>, command: impl Into<String>) -> Self {
        Self { resource: None, sentence: sentence.into(), command: command.into() }
    }

    fn of(resource: &Resource, sentence: impl Into<String>, command: impl Into<String>) -> Self {
        let resource = Some(resource.id.clone());
        Self { resource, sentence: sentence.into(), command: command.into() }
    }
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) cib: &'a Cib,
    pub(crate) host: &'a Host,
}

/// A rule. The table [`RULES`] is also that of the manual page.
pub struct Rule {
    /// Its name, for programs.
    pub name: &'static str,
    /// How much its findings matter.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub about: &'static str,
    find: fn(&Pair<'_>) -> Vec<Found>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.severity)
    }
}

const fn rule(
    name: &'static str,
    severity: Severity,
    find: fn(&Pair<'_>) -> Vec<Found>,
    about: &'static str,
) -> Rule {
    Rule { name, severity, about, find }
}

/// All rules, in the order of their findings.
pub static RULES: [Rule; 39] = {
    use Severity::{Advice, Error, Warning};
    [
        rule(
            "fencing",
            Error,
            fencing::fencing,
            "Fencing is off, or there is no fence device, or none that is not disabled. After a cut between the nodes both have \
             the address, and a stop that fails blocks the failover.",
        ),
        rule(
            "fencing-level",
            Error,
            fencing::fencing_level,
            "fence_heuristics_ping is alone on a level of the fencing, or on none: a node counts \
             as fenced that is on and has the address.",
        ),
        rule(
            "fencing-node",
            Error,
            fencing::fencing_node,
            "A node has no fence device, which a node that only counts for the quorum needs as well: \
             when it is lost, Pacemaker waits for its fencing and starts nothing elsewhere.",
        ),
        rule(
            "ping-hosts",
            Error,
            pings::ping_hosts,
            "fence_heuristics_ping or ocf:pacemaker:ping pings an address of this cluster in place \
             of a host outside: a virtual address, another node, this node. It also finds a host_list of \
             ocf:pacemaker:ping that names no host, or has commas between its hosts.",
        ),
        rule(
            "fencing-ping",
            Error,
            pings::fencing_ping,
            "The numbers or the hosts of fence_heuristics_ping (none, an empty one, a blank between them or \
             before inet:, an address that it cuts) make it fail always (no node is ever fenced) or never (a \
             node without a network fences the other one).",
        ),
        rule(
            "fencing-ping-host",
            Warning,
            pings::fencing_ping_host,
            "fence_heuristics_ping fails when one of its several hosts is silent: nothing fails over \
             from a dead node meanwhile.",
        ),
        rule(
            "fencing-delay",
            Warning,
            fencing::fencing_delay,
            "Both nodes have the same fencing delay, and none of it is random: after a cut between the nodes both \
             are powered off.",
        ),
        rule(
            "two-node",
            Error,
            cluster::two_node,
            "Corosync runs two nodes without two_node and without a quorum device: the survivor \
             of a power cut loses the quorum and stops the service.",
        ),
        rule(
            "wait-for-all",
            Warning,
            cluster::wait_for_all,
            "wait_for_all is off in a two-node cluster: a node that boots while the link between \
             the nodes is cut fences the other one.",
        ),
        rule(
            "token",
            Advice,
            cluster::token,
            "The token timeout of Corosync is below 1 s (a stall of the host looks like its \
             death) or above 10 s (each failover takes as much longer).",
        ),
        rule(
            "maintenance",
            Warning,
            forgotten::maintenance,
            "The cluster, a node or a resource is in maintenance mode or not managed: nothing is \
             failed over.",
        ),
        rule(
            "standby",
            Warning,
            forgotten::standby,
            "A node is in standby: it takes nothing over. In a pair there is no node to fail over to. \
             One on which the constraints let no resource run only counts for the quorum, and is left out.",
        ),
        rule(
            "offline",
            Warning,
            state::offline,
            "A node is not in the cluster: a further fault may not be survived.",
        ),
        rule(
            "link",
            Warning,
            state::link,
            "On a node, the interface of an address is missing, down or without a carrier.",
        ),
        rule(
            "degraded",
            Warning,
            state::degraded,
            "A resource serves with a fault that no restart and no move heals (OCF_DEGRADED).",
        ),
        rule(
            "servers",
            Error,
            state::servers,
            "The constraints let a resource run on one node alone, or on none: when that node is lost, the \
             service ends.",
        ),
        rule(
            "barred-everywhere",
            Error,
            state::barred_everywhere,
            "Failures bar a resource on every node that is in the cluster, is not in standby and may run it: \
             it runs nowhere.",
        ),
        rule(
            "barred",
            Warning,
            state::barred,
            "A failure bars a node for a resource, until failure-timeout is over or a cleanup: it can't take \
             the resource over.",
        ),
        rule(
            "disabled",
            Warning,
            forgotten::disabled,
            "A resource is disabled: it is started nowhere, or promoted nowhere. Or a fence device is: it \
             fences no node.",
        ),
        rule(
            "leftover-move",
            Warning,
            forgotten::leftover_move,
            "A constraint of \"pcs resource move\", \"ban\" or \"relocate run\", or of crmsh, is still \
             there. One whose lifetime is over is left out.",
        ),
        rule(
            "monitor-missing",
            Error,
            operations::monitor_missing,
            "A resource has no recurring monitor, or a promotable clone has none for one of its \
             roles: a failure is not noticed.",
        ),
        rule(
            "monitor-interval",
            Error,
            operations::monitor_interval,
            "Two monitors of a resource have the same interval: Pacemaker runs only one of them.",
        ),
        rule(
            "monitor-stopped",
            Warning,
            operations::monitor_stopped,
            "The address has no monitor with role=Stopped: its carrier is not published on the \
             other node, and it is not found where it must not be.",
        ),
        rule(
            "timeout",
            Warning,
            operations::timeout,
            "The timeout of an operation is shorter than that in the meta-data of the agent.",
        ),
        rule(
            "failure-timeout",
            Warning,
            failures::failure_timeout,
            "A resource has no failure-timeout: a node whose start has failed is barred until \
             a cleanup.",
        ),
        rule(
            "migration-threshold",
            Warning,
            failures::migration_threshold,
            "migration-threshold is 1 or 2: one or two failures bar a node that could serve.",
        ),
        rule(
            "stickiness-too-high",
            Warning,
            failures::stickiness_too_high,
            "resource-stickiness outweighs a promotion score, or the score of a rule for the \
             carrier or the gateway: the service stays where it fails.",
        ),
        rule(
            "stickiness-missing",
            Advice,
            failures::stickiness_missing,
            "In active/standby no resource-stickiness is set: the service can move back to a node \
             that returns, which is a second interruption.",
        ),
        rule(
            "colocation",
            Error,
            constraints::colocation,
            "Nothing keeps OpenSIPS and its address on one node.",
        ),
        rule(
            "order",
            Error,
            constraints::order,
            "Nothing starts the address before OpenSIPS; in a hot standby: OpenSIPS before the \
             address.",
        ),
        rule(
            "same-address",
            Error,
            addresses::same_address,
            "Another resource, such as IPaddr2, manages the same address.",
        ),
        rule(
            "vip-unmatched",
            Warning,
            addresses::vip_unmatched,
            "The parameter vip of OpenSIPS names an address that no resource manages.",
        ),
        rule("agent", Error, node::agent, "The agent of a resource can't be run on this node."),
        rule(
            "parameter",
            Warning,
            node::parameter,
            "The agent does not know a parameter that is set.",
        ),
        rule(
            "refused",
            Error,
            node::refused,
            "validate-all with check level 10 fails on this node: the sharing tag, the sockets, \
             opensips.service that is enabled, and all else that start looks at.",
        ),
        rule(
            "remarked",
            Warning,
            node::remarked,
            "validate-all with check level 10 logs a warning on this node, such as an address of \
             vip that no socket of the configuration serves.",
        ),
        rule(
            "nonlocal-bind",
            Error,
            node::nonlocal_bind,
            "In a hot standby, ip_nonlocal_bind is off on this node and nonlocal_bind is not \
             ensure: the standby can't open its sockets.",
        ),
        rule(
            "versions",
            Advice,
            nodes::versions,
            "An agent has another version on this node than on another one on which this command has \
             run since that node joined the cluster.",
        ),
        rule(
            "configurations",
            Advice,
            nodes::configurations,
            "The configuration file of OpenSIPS is not the same on this node as on another one on \
             which this command has run since that node joined the cluster. What differs on purpose \
             belongs in a file that it includes; else let smartvox-check-ignore name this rule.",
        ),
    ]
};

/// The findings of all rules that are not ignored.
pub(crate) fn findings(pair: &Pair<'_>, ignored: &Ignored) -> Vec<Finding> {
    let rules = RULES.iter().filter(|rule| !ignored.rules.contains(&rule.name));
    let all = rules.flat_map(|rule| {
        let found = (rule.find)(pair).into_iter();
        found.map(|found| Finding { rule: rule.name, severity: rule.severity, found })
    });
    let mut findings: Vec<Finding> = all.collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// The property of the cluster that names rules whose findings are left out. It holds for every node and for
/// whatever runs the command.
pub(crate) const IGNORE: &str = "smartvox-check-ignore";

/// The rules whose findings are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ignored {
    pub(crate) rules: Vec<&'static str>,
    /// What the property names and is no rule.
    pub(crate) unknown: Vec<String>,
}

impl Ignored {
    /// As the configuration has it: names with commas or blanks between them.
    pub(crate) fn of(cib: &Cib) -> Self {
        let mut ignored = Self::default();
        let names = cib.property(IGNORE).unwrap_or_default().split([',', ' ']);
        for name in names.filter(|name| !name.is_empty()) {
            match RULES.iter().find(|rule| rule.name == name) {
                Some(rule) => ignored.rules.push(rule.name),
                None => ignored.unknown.push(name.to_owned()),
            }
        }
        ignored
    }
}
