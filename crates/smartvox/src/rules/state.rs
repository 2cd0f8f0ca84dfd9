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
