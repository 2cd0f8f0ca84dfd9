//! Who manages an address.

use std::net::IpAddr;

use super::constraints::vips;
use super::{Found, Pair};
use crate::cib::Resource;

/// Agents that manage an address by a parameter `ip` or `ipv6addr`.
const OTHER_AGENTS: [&str; 3] = ["IPaddr2", "IPaddr", "IPv6addr"];

/// The address of a resource, in one spelling.
fn address(resource: &Resource) -> Option<IpAddr> {
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
    let disabled = |resource: &Resource| {
        resource.meta.get("target-role").is_some_and(|role| role.eq_ignore_ascii_case("Stopped"))
    };
    !disabled(one)
        && !disabled(other)
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
                let (id, agent) = (&other.id, &other.agent);
                let sentence = format!("{id} ({agent}) manages {ip} as well as {}", vip.id);
                let command = format!("pcs resource delete {id}");
                found.push(Found::of(vip, sentence, command));
            }
        }
    }
    found
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
