//! Who manages an address.

use std::net::IpAddr;

use super::constraints::vips;
use super::{Found, Pair};
use crate::cib::Resource;

/// Agents that manage an address by a parameter `ip` or `ipv6addr`.
const OTHER_AGENTS: [&str; 3] = ["IPaddr2", "IPaddr", "IPv6addr"];

/// The address of a resource, in one spelling.
pub(super) fn address(resource: &Resource) -> Option<IpAddr> {
    let ours = resource.is_ours() && resource.agent == "opensips-vip";
    let theirs = OTHER_AGENTS.contains(&resource.agent.as_str());
    let text = resource.parameter("ip").or_else(|| resource.parameter("ipaddress"));
    let text = text.or_else(|| resource.parameter("ipv6addr"))?;
    let text = text.split(['/', '%']).next().unwrap_or(text);
    text.parse().ok().filter(|_| ours || theirs)
}

/// Whether both could have the address, in the same network namespace. One that is disabled has none: while
/// an address goes from one agent to the other, both are defined.
fn same_place(one: &Resource, other: &Resource) -> bool {
    !one.is_disabled()
        && !other.is_disabled()
        && one.parameter("network_namespace") == other.parameter("network_namespace")
}

pub(super) fn same_address(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (at, vip) in pair.cib.resources.iter().enumerate() {
        if !vip.is_ours() {
            continue;
        }
        let Some(ip) = address(vip) else { continue };
        for (other_at, other) in pair.cib.resources.iter().enumerate() {
            // Two of ours are one finding.
            let counts = !other.is_ours() || other_at > at;
            if counts && at != other_at && address(other) == Some(ip) && same_place(vip, other) {
                found.push(twins(pair, ip, vip, other));
            }
        }
    }
    found
}

/// Whether it belongs to other resources: by a group, or by a constraint that names it.
fn is_named(pair: &Pair<'_>, resource: &Resource) -> bool {
    let colocated = pair.cib.colocations.iter().flat_map(|one| [&one.dependent, &one.primary]);
    let ordered = pair.cib.orders.iter().flat_map(|one| [&one.first, &one.then]);
    resource.group.is_some() || colocated.chain(ordered).any(|id| resource.is_called(id))
}

/// Whether an address is there once more than it should be: a constraint or a group names another resource that has it.
pub(super) fn is_spare(pair: &Pair<'_>, vip: &Resource) -> bool {
    let twin = |other: &Resource| {
        other.id != vip.id
            && address(other).is_some()
            && address(other) == address(vip)
            && same_place(vip, other)
    };
    !is_named(pair, vip)
        && pair.cib.resources.iter().any(|other| twin(other) && is_named(pair, other))
}

/// The one to delete is that which no constraint or group names; else the other agent's, or the later one.
fn twins(pair: &Pair<'_>, ip: IpAddr, vip: &Resource, other: &Resource) -> Found {
    let (kept, deleted) = if is_spare(pair, vip) { (other, vip) } else { (vip, other) };
    let why = if is_spare(pair, deleted) { ", which a constraint or a group names" } else { "" };
    let (id, agent) = (&deleted.id, &deleted.agent);
    let sentence = format!("{id} ({agent}) manages {ip} as well as {}{why}", kept.id);
    Found::of(vip, sentence, format!("pcs resource delete {id}"))
}

pub(super) fn vip_unmatched(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for daemon in pair.cib.of_agent("opensips") {
        for vip in vips(daemon) {
            let Ok(ip) = vip.parse::<IpAddr>() else { continue };
            let managed = pair.cib.resources.iter().any(|one| address(one) == Some(ip));
            if !managed {
                let id = &daemon.id;
                let sentence = format!("vip={vip} of {id} is an address that no resource manages");
                let name = vip.replace(['.', ':'], "-");
                let command =
                    format!("pcs resource create vip-{name} ocf:smartvox:opensips-vip ip={vip}");
                found.push(Found::of(daemon, sentence, command));
            }
        }
    }
    found
}
