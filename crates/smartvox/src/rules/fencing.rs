//! Fencing.

use super::{Found, Pair};
use crate::cib::{Cib, Level, Resource};

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

/// Whether Pacemaker fences by a watchdog, without a device.
fn by_watchdog(cib: &Cib) -> bool {
    cib.property("stonith-watchdog-timeout").is_some_and(|it| it != "0")
}

pub(super) fn fencing(pair: &Pair<'_>) -> Vec<Found> {
    // Without a device Pacemaker starts nothing.
    let no_device = devices(pair.cib).is_empty() && !by_watchdog(pair.cib);
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

/// Whether a device is for a node. One without a list asks its hardware which nodes it switches.
fn is_for(device: &Resource, node: &str) -> bool {
    let listed = device.parameter("pcmk_host_list");
    let mapped = device.parameter("pcmk_host_map");
    let words = |list: &str| -> Vec<String> {
        let words = list.split([' ', ',', ';']).map(|word| word.split(':').next().unwrap_or(word));
        words.map(str::to_owned).collect()
    };
    let by_hardware = device.parameter("pcmk_host_check").is_some_and(|it| it != "static-list");
    let unlisted = listed.is_none() && mapped.is_none();
    let named = [listed, mapped].into_iter().flatten().flat_map(words).any(|name| name == node);
    by_hardware || unlisted || named
}

pub(super) fn fencing_node(pair: &Pair<'_>) -> Vec<Found> {
    let devices = devices(pair.cib);
    // Else no node is fenced, which is one finding.
    let Some(first) = devices.first() else { return Vec::new() };
    if by_watchdog(pair.cib) || pair.cib.flag("stonith-enabled") == Some(false) {
        return Vec::new();
    }
    let on_level = |node: &str| {
        let levels = pair.cib.levels.iter();
        let mut its = levels.filter(|one| one.target.as_ref().is_none_or(|name| name == node));
        its.any(|level| devices.iter().any(|device| level.devices.contains(&device.id)))
    };
    let nodes = pair.cib.voters().map(|node| &node.name);
    nodes
        .filter(|node| !devices.iter().any(|device| is_for(device, node)) && !on_level(node))
        .map(|node| {
            let sentence = format!(
                "no fence device is for {node}: when it is lost, Pacemaker waits for its fencing and starts \
                 nothing elsewhere"
            );
            let agent = &first.agent;
            let command =
                format!("pcs stonith create fence-{node} {agent} pcmk_host_list={node} …");
            Found::of_cluster(sentence, command)
        })
        .collect()
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
