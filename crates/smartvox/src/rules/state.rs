//! What the nodes have reported: which of them are in the cluster, and where a failure bars a resource.

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

pub(super) fn barred(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        // A start that fails counts as INFINITY; so does a threshold that is none, or less than 0.
        let threshold = resource.score("migration-threshold").filter(|threshold| *threshold >= 0);
        let threshold = threshold.unwrap_or(INFINITY);
        // With 0 no number of failures bars a node (`pcmk__threshold_reached` of Pacemaker).
        if threshold == 0 {
            continue;
        }
        let able = pair.cib.voters().filter(|node| pair.cib.may_run(resource, &node.name));
        for node in able.filter(|node| failures(node, resource) >= threshold) {
            let (id, node) = (&resource.id, &node.name);
            let sentence = format!(
                "{node} is barred for {id} after a failure there, until failure-timeout is over or a cleanup"
            );
            let command = format!(
                "crm_mon -1 --include=none,failures (the reason; end it first), then: crm_resource --cleanup -r \
                 {id} --node {node}"
            );
            found.push(Found::of(resource, sentence, command));
        }
    }
    found
}
