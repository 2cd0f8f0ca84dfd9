//! What the nodes have reported: which of them are in the cluster, and where a failure bars a resource.

use super::forgotten::{is_left_alone, is_standby};
use super::{Found, Pair};
use crate::cib::{INFINITY, Node, Resource, Score, score};

pub(super) fn offline(pair: &Pair<'_>) -> Vec<Found> {
    // A configuration from a file can lack what the nodes have reported.
    if !pair.cib.voters().any(|node| node.online) {
        return Vec::new();
    }
    let away = pair.cib.voters().filter(|node| !node.online);
    away.map(|node| {
        let name = &node.name;
        let why =
            if pair.cib.serves(name) { "it takes nothing over" } else { "its vote is missing" };
        let sentence = format!("{name} is not in the cluster: {why}");
        Found::of_cluster(sentence, format!("pcs cluster start {name}"))
    })
    .collect()
}

/// The resources that no second node may take over.
pub(super) fn servers(pair: &Pair<'_>) -> Vec<Found> {
    // A cluster of one node is not a mistake of its constraints.
    if pair.cib.nodes.len() < 2 {
        return Vec::new();
    }
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let may_run = |node: &&Node| pair.cib.may_run(resource, &node.name);
        let (able, barred): (Vec<&Node>, Vec<&Node>) = pair.cib.nodes.iter().partition(may_run);
        let id = &resource.id;
        let sentence = match able.as_slice() {
            [] => format!("{id} may run on no node: it is not started"),
            [one] => {
                format!("{id} may run on {} alone: when that is lost, the service ends", one.name)
            }
            _ => continue,
        };
        let ways = barred.iter().map(|node| {
            let name = &node.name;
            let barring = pair.cib.barring(resource, name);
            if barring.is_empty() {
                return format!("pcs constraint location {} prefers {name}=0", resource.outer());
            }
            let ids: Vec<&str> = barring.iter().map(|one| one.id.as_str()).collect();
            // Which of several nodes is meant is not known.
            let which = if barred.len() > 1 { format!(" (for {name})") } else { String::new() };
            format!("pcs constraint delete {}{which}", ids.join(" "))
        });
        found.push(Found::of(resource, sentence, ways.collect::<Vec<String>>().join(", or: ")));
    }
    found
}

/// The failures of a resource on a node since the last cleanup or `failure-timeout`, as the attributes
/// `fail-count-RESOURCE#OPERATION_INTERVAL` of the node have them.
fn failures(node: &Node, resource: &Resource) -> Score {
    let prefix = format!("fail-count-{}#", resource.id);
    let counts = node.transient.iter().filter(|(name, _)| name.starts_with(&prefix));
    let counts = counts.filter_map(|(_, count)| score(count));
    counts.fold(0, Score::saturating_add).min(INFINITY)
}

/// The nodes in the cluster that may run a resource: those on which a failure bars it, and the others. A node in
/// standby runs nothing.
fn partition<'a>(pair: &Pair<'a>, resource: &Resource) -> (Vec<&'a Node>, Vec<&'a Node>) {
    // A start that fails counts as INFINITY; so does a threshold that is none, or less than 0.
    let threshold = resource.score("migration-threshold").filter(|threshold| *threshold >= 0);
    let threshold = threshold.unwrap_or(INFINITY);
    // With 0 no number of failures bars a node (`pcmk__threshold_reached` of Pacemaker).
    let is_barred = |node: &&Node| threshold != 0 && failures(node, resource) >= threshold;
    let able =
        |node: &&Node| node.online && !is_standby(node) && pair.cib.may_run(resource, &node.name);
    pair.cib.voters().filter(able).partition(is_barred)
}

/// Which command shows why, and what has to follow it.
fn end_of_bar(cleanup: &str) -> String {
    format!(
        "crm_mon -1 --include=none,failures (the reason; end it first), then: crm_resource --cleanup -r {cleanup}"
    )
}

pub(super) fn barred_everywhere(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let (barred, others) = partition(pair, resource);
        if barred.is_empty() || !others.is_empty() {
            continue;
        }
        // What runs, or is not meant to run, is no outage. Without its monitors, as in maintenance mode, nothing
        // says whether it runs.
        let runs = pair.cib.active.iter().any(|one| one.resource == resource.id);
        let left_alone = barred.iter().any(|node| is_left_alone(pair, resource, node));
        if runs || resource.is_disabled() || left_alone {
            continue;
        }
        let names: Vec<&str> = barred.iter().map(|node| node.name.as_str()).collect();
        let sentence = format!(
            "{} is barred on every node that could run it ({}): it runs nowhere until failure-timeout is over or \
             a cleanup",
            resource.id,
            names.join(", ")
        );
        found.push(Found::of(resource, sentence, end_of_bar(&resource.id)));
    }
    found
}

pub(super) fn barred(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let (barred, others) = partition(pair, resource);
        // Else it is one finding for all of them.
        for node in barred.iter().filter(|_| !others.is_empty()) {
            let (id, node) = (&resource.id, &node.name);
            let sentence = format!(
                "{node} is barred for {id} after a failure there, until failure-timeout is over or a cleanup"
            );
            found.push(Found::of(resource, sentence, end_of_bar(&format!("{id} --node {node}"))));
        }
    }
    found
}

/// By the node attribute that the monitors of the agent publish.
pub(super) fn link(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for vip in pair.cib.of_agent("opensips-vip").filter(|vip| vip.publishes_link()) {
        let name = vip.link_attribute();
        let may_run = |node: &&Node| node.online && pair.cib.may_run(vip, &node.name);
        for node in pair.cib.voters().filter(may_run) {
            if !pair.host.saved && node.transient.get(&name).is_some_and(|value| value == "0") {
                let (id, node) = (&vip.id, &node.name);
                let sentence = format!(
                    "{id} can't be reached on {node}: its interface is missing, down or without a carrier \
                     ({name}=0)"
                );
                let command = format!("ip -br link (on {node}; then its cable and the switch)");
                found.push(Found::of(vip, sentence, command));
            }
        }
    }
    found
}

/// By the last results of the monitors.
pub(super) fn degraded(pair: &Pair<'_>) -> Vec<Found> {
    let degraded = pair.cib.active.iter().filter(|one| one.degraded && !pair.host.saved);
    degraded
        .map(|one| Found {
            resource: Some(one.resource.clone()),
            sentence: format!(
                "{} serves with a fault on {} (OCF_DEGRADED)",
                one.resource, one.node
            ),
            command: "crm_mon -1 --include=none,failures (the reason, and what to do)".to_owned(),
        })
        .collect()
}
