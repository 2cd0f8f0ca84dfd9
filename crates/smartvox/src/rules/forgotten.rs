//! What a person has changed for a while and forgotten.

use super::{Found, Pair};
use crate::cib::{Node, Resource, is_true};

/// The command that ends a meta attribute where it is set.
fn unset(resource: &Resource, name: &str) -> String {
    match resource.meta_from.get(name) {
        Some(id) => format!("pcs resource meta {id} {name}="),
        None => format!("pcs resource defaults update {name}="),
    }
}

fn is_in_maintenance(node: &Node) -> bool {
    node.attributes.get("maintenance").is_some_and(|value| is_true(value))
}

/// Whether the cluster leaves a resource on a node as it is, and may run no monitor of it.
pub(super) fn is_left_alone(pair: &Pair<'_>, resource: &Resource, node: &Node) -> bool {
    pair.cib.flag("maintenance-mode") == Some(true)
        || resource.flag("maintenance") == Some(true)
        || resource.flag("is-managed") == Some(false)
        || is_in_maintenance(node)
}

pub(super) fn maintenance(pair: &Pair<'_>) -> Vec<Found> {
    if pair.cib.flag("maintenance-mode") == Some(true) {
        let sentence = "the cluster is in maintenance mode: nothing is monitored or failed over";
        return vec![Found::of_cluster(sentence, "pcs property set maintenance-mode=false")];
    }
    let mut found = Vec::new();
    for node in pair.cib.voters() {
        if is_in_maintenance(node) {
            let name = &node.name;
            let sentence = format!("{name} is in maintenance mode: nothing on it is failed over");
            found.push(Found::of_cluster(sentence, format!("pcs node unmaintenance {name}")));
        }
    }
    for resource in pair.cib.ours() {
        let id = &resource.id;
        let (what, command) = if resource.flag("maintenance") == Some(true) {
            ("in maintenance mode", unset(resource, "maintenance"))
        } else if resource.flag("is-managed") == Some(false) {
            // pcs sets it on the resource and on what it is in, and switches monitors off as well.
            let by_default = !resource.meta_from.contains_key("is-managed");
            let manage = || format!("pcs resource manage {id} --monitor");
            ("not managed", if by_default { unset(resource, "is-managed") } else { manage() })
        } else {
            continue;
        };
        let sentence = format!("{id} is {what}: a failure of it is not recovered");
        found.push(Found::of(resource, sentence, command));
    }
    found
}

pub(super) fn disabled(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    let devices = pair.cib.resources.iter().filter(|resource| resource.class == "stonith");
    for resource in pair.cib.ours().chain(devices) {
        let Some(role) = resource.meta.get("target-role") else { continue };
        let is = |name: &str| role.eq_ignore_ascii_case(name);
        let why = if resource.is_disabled() {
            if resource.is_ours() { "it runs on no node" } else { "it fences no node" }
        } else if resource.promotable() && (is("Unpromoted") || is("Slave")) {
            "no instance is promoted"
        } else {
            continue;
        };
        let id = &resource.id;
        // pcs enables what a resource is in only by the name of that.
        let command = match resource.meta_from.get("target-role") {
            None => unset(resource, "target-role"),
            Some(at) if resource.is_ours() => format!("pcs resource enable {at}"),
            Some(at) => format!("pcs stonith enable {at}"),
        };
        let sentence = format!("{id} is disabled (target-role={role}): {why}");
        found.push(Found::of(resource, sentence, command));
    }
    found
}

fn is_on(value: Option<&String>) -> bool {
    value.is_some_and(|value| is_true(value))
}

/// What holds until the node leaves counts before what is permanent (`add_node_attrs` of Pacemaker).
pub(super) fn is_standby(node: &Node) -> bool {
    is_on(node.transient.get("standby").or(node.attributes.get("standby")))
}

pub(super) fn standby(pair: &Pair<'_>) -> Vec<Found> {
    let command = |node: &Node| {
        let name = &node.name;
        let permanent = is_on(node.attributes.get("standby"));
        let permanent = permanent.then(|| format!("pcs node unstandby {name}"));
        let transient = is_on(node.transient.get("standby"));
        let transient =
            transient.then(|| format!("crm_standby --delete --node {name} --lifetime reboot"));
        permanent.into_iter().chain(transient).collect::<Vec<String>>().join(" && ")
    };
    // One that only counts for the quorum takes nothing over anyway.
    let serving = || pair.cib.voters().filter(|node| pair.cib.serves(&node.name));
    let left = serving().filter(|node| !is_standby(node)).count();
    let why = if left < 2 { "there is no node to fail over to" } else { "it takes nothing over" };
    serving()
        .filter(|node| is_standby(node))
        .map(|node| {
            let sentence = format!("{} is in standby: {why}", node.name);
            Found::of_cluster(sentence, command(node))
        })
        .collect()
}

pub(super) fn leftover_move(pair: &Pair<'_>) -> Vec<Found> {
    let ours = |id: &str| pair.cib.ours().any(|resource| resource.is_called(id));
    pair.cib
        .locations
        .iter()
        .filter(|location| location.is_by_command() && ours(&location.resource))
        // Its lifetime is over where it is about no node any more.
        .filter(|location| location.nodes.as_ref().is_none_or(|nodes| !nodes.is_empty()))
        .map(|location| {
            let (id, resource) = (&location.id, &location.resource);
            let relocated = id.starts_with("pcs-relocate-");
            let (by, command) = if relocated {
                ("relocate run", "pcs resource relocate clear".to_owned())
            } else {
                ("move\" or \"ban", format!("pcs resource clear {resource}"))
            };
            let sentence = format!(
                "{id} is left from \"pcs resource {by}\": it binds {resource} to a node, or bars one"
            );
            Found { resource: Some(resource.clone()), sentence, command }
        })
        .collect()
}
