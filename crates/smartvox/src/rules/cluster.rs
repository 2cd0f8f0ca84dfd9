//! Fencing, quorum, and what a person has left behind.

use super::{Found, Pair};
use crate::cib::{Cib, Level, Node, Resource, is_true};

/// Corosync's default is 3000 ms; below a second, a virtual machine that is migrated looks dead.
const SHORTEST_TOKEN_MS: u64 = 1000;
const LONGEST_TOKEN_MS: u64 = 10_000;
/// What Corosync adds to the token timeout for each node beyond two (`token_coefficient`, corosync.conf(5)).
const FOR_EACH_NODE_MS: u64 = 650;

/// The fence devices, also those that only ask.
fn all_devices(cib: &Cib) -> Vec<&Resource> {
    cib.resources.iter().filter(|resource| resource.class == "stonith").collect()
}

/// The fence devices that switch a node off.
fn devices(cib: &Cib) -> Vec<&Resource> {
    all_devices(cib).into_iter().filter(|device| !only_asks(device)).collect()
}

/// Whether a device asks something and switches nothing, such as fence_heuristics_ping.
fn only_asks(device: &Resource) -> bool {
    device.agent.starts_with("fence_heuristics")
}

pub(super) fn fencing(pair: &Pair<'_>) -> Vec<Found> {
    // Without a device Pacemaker starts nothing, unless it fences by a watchdog.
    let watchdog = pair.cib.property("stonith-watchdog-timeout").is_some_and(|it| it != "0");
    let no_device = devices(pair.cib).is_empty() && !watchdog;
    let create = "pcs stonith create fence-NODE AGENT pcmk_host_list=NODE …";
    if pair.cib.flag("stonith-enabled") == Some(false) {
        let enable = "pcs property set stonith-enabled=true";
        // Enabled before there is a device, it would end every failover.
        let command =
            if no_device { format!("{create}, then {enable}") } else { enable.to_owned() };
        let sentence = "fencing is off (stonith-enabled=false): after a cut between the nodes both \
                        have the address";
        return vec![Found::of_cluster(sentence, command)];
    }
    if no_device {
        let sentence = "there is no fence device: Pacemaker starts no resource";
        return vec![Found::of_cluster(sentence, create)];
    }
    Vec::new()
}

/// Whether a device is for a node: each one is, without a list.
fn is_for(device: &Resource, node: &str) -> bool {
    let list = device.parameter("pcmk_host_list");
    list.is_none_or(|list| list.split([' ', ',', ';']).any(|name| name == node))
}

pub(super) fn fencing_level(pair: &Pair<'_>) -> Vec<Found> {
    let devices = all_devices(pair.cib);
    let mut found = Vec::new();
    for asks in devices.iter().filter(|device| only_asks(device)) {
        for node in pair.cib.voters().filter(|node| is_for(asks, &node.name)) {
            let (asks, node) = (&asks.id, &node.name);
            let by_name = |level: &&Level| level.target.as_ref().is_none_or(|name| name == node);
            let mut levels = pair.cib.levels.iter().filter(by_name).peekable();
            let has_levels = levels.peek().is_some();
            let switches = |id: &String| !devices.iter().any(|one| one.id == *id && only_asks(one));
            let alone = levels.find(|level| !level.devices.iter().any(switches));
            if has_levels && alone.is_none() {
                continue;
            }
            let device = devices.iter().find(|device| !only_asks(device) && is_for(device, node));
            let device = device.map_or("DEVICE", |device| device.id.as_str());
            let index = alone.map_or("1", |level| level.index.as_str());
            let add = format!("pcs stonith level add {index} {node} {asks} {device}");
            let command = match alone {
                Some(_) => format!("pcs stonith level delete {index} target {node} && {add}"),
                None => add,
            };
            let sentence = format!(
                "{asks} switches nothing, and no other device is behind it on a level of {node}: \
                 {node} counts as fenced while it has the address"
            );
            found.push(Found::of_cluster(sentence, command));
        }
    }
    found
}

pub(super) fn fencing_delay(pair: &Pair<'_>) -> Vec<Found> {
    let devices = devices(pair.cib);
    let two = pair.cib.voters().count() == 2;
    let by_priority = pair.cib.property("priority-fencing-delay").is_some_and(|it| it != "0");
    if !two || devices.is_empty() || by_priority || pair.host.corosync.device {
        return Vec::new();
    }
    let none = |value: &str| value.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0";
    let delay = |device: &Resource, name: &str| {
        device.parameter(name).filter(|value| !none(value)).map(str::to_owned)
    };
    // A random delay differs, and so does a list of nodes with a delay each.
    let differs = |device: &&Resource| {
        delay(device, "pcmk_delay_max").is_some()
            || delay(device, "pcmk_delay_base").is_some_and(|value| value.contains(':'))
    };
    if devices.iter().any(differs) {
        return Vec::new();
    }
    let fixed: Vec<Option<String>> = devices
        .iter()
        .map(|device| delay(device, "pcmk_delay_base").or(delay(device, "delay")))
        .collect();
    let same = fixed.iter().all(|one| Some(one) == fixed.first());
    let Some(device) = devices.first().filter(|_| same) else { return Vec::new() };
    let command = format!("pcs stonith update {} pcmk_delay_base=5s", device.id);
    let sentence = match fixed.first().and_then(Option::as_deref) {
        Some(delay) => format!(
            "every fence device waits for {delay}: after a cut between the nodes both fence each \
             other, and both are off"
        ),
        None => {
            "no fence device has a delay: after a cut between the nodes both fence each other, \
                 and both are off"
                .to_owned()
        }
    };
    vec![Found::of_cluster(sentence, command)]
}

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

pub(super) fn maintenance(pair: &Pair<'_>) -> Vec<Found> {
    if pair.cib.flag("maintenance-mode") == Some(true) {
        let sentence = "the cluster is in maintenance mode: nothing is monitored or failed over";
        return vec![Found::of_cluster(sentence, "pcs property set maintenance-mode=false")];
    }
    let mut found = Vec::new();
    for node in pair.cib.voters() {
        if node.attributes.get("maintenance").is_some_and(|value| is_true(value)) {
            let name = &node.name;
            let sentence = format!("{name} is in maintenance mode: nothing on it is failed over");
            found.push(Found::of_cluster(sentence, format!("pcs node unmaintenance {name}")));
        }
    }
    for resource in pair.cib.ours() {
        let id = &resource.id;
        let (what, command) = if resource.flag("maintenance") == Some(true) {
            let name = resource.outer();
            ("in maintenance mode", format!("pcs resource meta {name} maintenance=false"))
        } else if resource.flag("is-managed") == Some(false) {
            ("not managed", format!("pcs resource manage {id} --monitor"))
        } else {
            continue;
        };
        let sentence = format!("{id} is {what}: a failure of it is not recovered");
        found.push(Found::of(resource, sentence, command));
    }
    found
}

pub(super) fn standby(pair: &Pair<'_>) -> Vec<Found> {
    let is_standby = |node: &&Node| {
        let set = node.attributes.get("standby").or(node.transient.get("standby"));
        set.is_some_and(|value| is_true(value))
    };
    let left = pair.cib.voters().filter(|node| !is_standby(node)).count();
    let why = if left < 2 { "there is no node to fail over to" } else { "it takes nothing over" };
    pair.cib
        .voters()
        .filter(is_standby)
        .map(|node| {
            let name = &node.name;
            let sentence = format!("{name} is in standby: {why}");
            Found::of_cluster(sentence, format!("pcs node unstandby {name}"))
        })
        .collect()
}

pub(super) fn leftover_move(pair: &Pair<'_>) -> Vec<Found> {
    let by_command = |id: &str| id.starts_with("cli-ban-") || id.starts_with("cli-prefer-");
    let ours = |id: &str| pair.cib.ours().any(|resource| resource.is_called(id));
    pair.cib
        .locations
        .iter()
        .filter(|location| by_command(&location.id) && ours(&location.resource))
        .map(|location| {
            let (id, resource) = (&location.id, &location.resource);
            let sentence = format!(
                "{id} is left from \"pcs resource move\" or \"ban\": it binds {resource} to a node, \
                 or bars one"
            );
            Found {
                resource: Some(resource.clone()),
                sentence,
                command: format!("pcs resource clear {resource}"),
            }
        })
        .collect()
}
