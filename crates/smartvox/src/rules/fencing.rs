//! Fencing.

use super::{Found, Pair};
use crate::cib::{Cib, Level, Resource, duration};

/// The fence devices, also those that only ask.
fn all_devices(cib: &Cib) -> Vec<&Resource> {
    cib.resources.iter().filter(|resource| resource.class == "stonith").collect()
}

/// The fence devices that switch a node off: those that work, and those that are disabled. Where a default
/// disables them, it disables the service as well, and there is nothing to fence for.
fn devices(cib: &Cib) -> (Vec<&Resource>, Vec<&Resource>) {
    let works =
        |device: &&Resource| !device.is_disabled() || !device.meta_from.contains_key("target-role");
    all_devices(cib).into_iter().filter(|device| !only_asks(device)).partition(works)
}

/// The command that ends that they are disabled.
fn enable(devices: &[&Resource]) -> String {
    let ids: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
    format!("pcs stonith enable {}", ids.join(" "))
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
    let (working, disabled) = devices(pair.cib);
    let no_device = working.is_empty() && !by_watchdog(pair.cib);
    let create = if disabled.is_empty() {
        "pcs stonith create fence-NODE AGENT pcmk_host_list=NODE …".to_owned()
    } else {
        enable(&disabled)
    };
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
        // Without a device Pacemaker starts nothing; one that is disabled counts.
        let sentence = if disabled.is_empty() {
            "there is no fence device: Pacemaker starts no resource"
        } else {
            "every fence device is disabled: when a node is lost, Pacemaker waits for its fencing and \
             starts nothing elsewhere"
        };
        return vec![Found::of_cluster(sentence, create)];
    }
    Vec::new()
}

/// The nodes in the list of a device, and in its map, which has `NAME:PORT` or `NAME=PORT` (`stonith__parse_targets`
/// and `build_port_aliases` of Pacemaker).
fn names(device: &Resource) -> Vec<&str> {
    let listed = device.parameter("pcmk_host_list").unwrap_or_default();
    let listed = listed.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    let mapped = device.parameter("pcmk_host_map").unwrap_or_default();
    let mapped = mapped.split(|c: char| c.is_whitespace() || c == ';');
    let mapped = mapped.filter_map(|pair| pair.split([':', '=']).next());
    listed.chain(mapped).filter(|name| !name.is_empty()).collect()
}

/// Whether a device is for a node, as Pacemaker has it (`can_fence_host_with_device`; a level does not count). One
/// without a list asks its hardware which nodes it switches.
fn is_for(device: &Resource, node: &str) -> bool {
    let by_hardware = device.parameter("pcmk_host_check").is_some_and(|it| it != "static-list");
    let names = names(device);
    by_hardware || names.is_empty() || names.iter().any(|name| name.eq_ignore_ascii_case(node))
}

/// Whether the list of a device was meant for a node: it names no node at all, and the name of the device or a
/// level says which one. A remote node may not be known.
fn is_misspelt(cib: &Cib, device: &Resource, node: &str) -> bool {
    let is_node = |name: &&str| cib.nodes.iter().any(|node| node.name.eq_ignore_ascii_case(name));
    let on_level =
        |level: &Level| level.target.as_deref() == Some(node) && level.devices.contains(&device.id);
    device.parameter("pcmk_host_list").is_some()
        && !names(device).iter().any(is_node)
        && (device.id.ends_with(node) || cib.levels.iter().any(on_level))
}

pub(super) fn fencing_node(pair: &Pair<'_>) -> Vec<Found> {
    let (working, disabled) = devices(pair.cib);
    // Else no node is fenced, which is one finding.
    let Some(first) = working.first() else { return Vec::new() };
    if by_watchdog(pair.cib) || pair.cib.flag("stonith-enabled") == Some(false) {
        return Vec::new();
    }
    let nodes = pair.cib.voters().map(|node| &node.name);
    let without = nodes.filter(|node| !working.iter().any(|device| is_for(device, node)));
    without
        .map(|node| {
            let its = disabled.iter().find(|device| is_for(device, node));
            let what = match its {
                Some(device) => format!("{}, the fence device for {node}, is disabled", device.id),
                None => format!("no fence device is for {node}"),
            };
            let misspelt = working.iter().find(|device| is_misspelt(pair.cib, device, node));
            let command = match (its, misspelt) {
                (Some(device), _) => enable(&[*device]),
                (None, Some(device)) => {
                    format!("pcs stonith update {} pcmk_host_list={node}", device.id)
                }
                (None, None) => {
                    let agent = &first.agent;
                    format!("pcs stonith create fence-{node} {agent} pcmk_host_list={node} …")
                }
            };
            let sentence = format!(
                "{what}: when the node is lost, Pacemaker waits for its fencing and starts nothing elsewhere"
            );
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

/// A parameter that delays; none for 0.
fn delay<'a>(device: &'a Resource, name: &str) -> Option<&'a str> {
    let none = |value: &str| value.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0";
    device.parameter(name).filter(|value| !none(value))
}

/// For how many seconds a device waits each time, in whole seconds and with the base limited by the maximum, as Pacemaker
/// has it (`schedule_stonith_command`). `None` where that is random, differs between the nodes, or is not known.
fn fixed_delay(device: &Resource) -> Option<u64> {
    let seconds = |name| device.parameter(name).map_or(Some(0), |it| Some(duration(it)?.as_secs()));
    let (base, max) = (seconds("pcmk_delay_base")?, seconds("pcmk_delay_max")?);
    // The random part is `rand() % (max - base)`: with a difference of one second it is always 0.
    if max > base.saturating_add(1) {
        return None;
    }
    let by_pacemaker = if max == 0 { base } else { base.min(max) };
    Some(by_pacemaker.saturating_add(seconds("delay")?))
}

/// The command after which the delays of the devices differ. All of them wait for as long now, or not at all.
fn delay_one(devices: &[&Resource], seconds: u64) -> Option<String> {
    let update = |device: &Resource, what: &[&str]| {
        format!("pcs stonith update {} {}", device.id, what.join(" "))
    };
    let (first, last) = (devices.first()?, devices.last()?);
    let zero = |device: &Resource, names: &[(&str, &'static str)]| {
        let set = names.iter().filter(|(name, _)| delay(device, name).is_some());
        set.map(|(_, zero)| *zero).collect::<Vec<&str>>()
    };
    let (base, max) =
        (("pcmk_delay_base", "pcmk_delay_base=0s"), ("pcmk_delay_max", "pcmk_delay_max=0s"));
    Some(if devices.len() == 1 {
        // A longer fixed one would be all that counts, and the other node waits for as long.
        update(first, &[zero(first, &[base]), vec!["pcmk_delay_max=10s"]].concat())
    } else if seconds > 0 {
        update(last, &zero(last, &[base, max, ("delay", "delay=0")]))
    } else {
        update(first, &[vec!["pcmk_delay_base=5s"], zero(first, &[max])].concat())
    })
}

pub(super) fn fencing_delay(pair: &Pair<'_>) -> Vec<Found> {
    let (mut devices, disabled) = devices(pair.cib);
    devices.extend(disabled);
    let two = pair.cib.voters().count() == 2;
    let by_priority = pair.cib.property("priority-fencing-delay").is_some_and(|it| it != "0");
    if !two || by_priority || pair.host.corosync.device {
        return Vec::new();
    }
    let fixed: Option<Vec<u64>> = devices.iter().map(|device| fixed_delay(device)).collect();
    let Some([seconds, others @ ..]) = fixed.as_deref() else { return Vec::new() };
    if others.iter().any(|other| other != seconds) {
        return Vec::new();
    }
    let Some(command) = delay_one(&devices, *seconds) else { return Vec::new() };
    let what = match seconds {
        0 => "no fence device has a delay".to_owned(),
        seconds => format!("every fence device waits for {seconds}s"),
    };
    let meant_random = devices.iter().any(|device| delay(device, "pcmk_delay_max").is_some());
    let why = if meant_random {
        " (the delay is random only if pcmk_delay_max exceeds pcmk_delay_base by 2s or more)"
    } else {
        ""
    };
    let sentence = format!(
        "{what}{why}: after a cut between the nodes both fence each other, and both are off"
    );
    vec![Found::of_cluster(sentence, command)]
}
