//! The settings of Corosync.

use super::{Found, Pair};

/// Corosync's default is 3000 ms; below a second, a virtual machine that is migrated looks dead.
const SHORTEST_TOKEN_MS: u64 = 1000;
const LONGEST_TOKEN_MS: u64 = 10_000;
/// What Corosync adds to the token timeout for each node beyond two (`token_coefficient`, corosync.conf(5)).
const FOR_EACH_NODE_MS: u64 = 650;

/// The settings of quorum go to every node, by `corosync.conf`.
const EDIT: &str = "in the section quorum of /etc/corosync/corosync.conf, on both nodes, then: \
                    corosync-cfgtool -R";

pub(super) fn two_node(pair: &Pair<'_>) -> Vec<Found> {
    let corosync = pair.host.corosync;
    let two = pair.cib.voters().count() == 2;
    // Then the lost quorum stops nothing.
    let goes_on = pair.cib.property("no-quorum-policy") == Some("ignore");
    if !two || !corosync.known || corosync.two_node || corosync.device || goes_on {
        return Vec::new();
    }
    let sentence = "Corosync runs without two_node: the node that is left after a power cut has no \
                    quorum and stops the service";
    vec![Found::of_cluster(sentence, format!("two_node: 1 {EDIT}"))]
}

pub(super) fn wait_for_all(pair: &Pair<'_>) -> Vec<Found> {
    let corosync = pair.host.corosync;
    if !corosync.two_node || corosync.wait_for_all != Some(false) {
        return Vec::new();
    }
    let sentence = "wait_for_all is off: a node that boots while the link between the nodes is cut \
                    fences the node that serves";
    vec![Found::of_cluster(sentence, format!("wait_for_all: 1 {EDIT}"))]
}

pub(super) fn token(pair: &Pair<'_>) -> Vec<Found> {
    let Some(token) = pair.host.corosync.token_ms else { return Vec::new() };
    let beyond_two = pair.cib.voters().skip(2).count();
    let added = u64::try_from(beyond_two).map_or(0, |nodes| nodes.saturating_mul(FOR_EACH_NODE_MS));
    let why = if token < SHORTEST_TOKEN_MS {
        "a host that stalls for as long is fenced"
    } else if token > LONGEST_TOKEN_MS.saturating_add(added) {
        "a failover from a node that died takes more than twice as long"
    } else {
        return Vec::new();
    };
    let sentence = format!("the token timeout of Corosync is {token} ms: {why}");
    vec![Found::of_cluster(sentence, "pcs cluster config update totem token=3000")]
}
