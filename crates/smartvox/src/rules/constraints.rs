//! OpenSIPS and its address: on one node, in the right order.

use super::addresses::{address, is_spare};
use super::{Found, Pair};
use crate::cib::{Cib, Colocation, INFINITY, Order, Resource, Role};

/// The addresses in the parameter `vip`.
pub(super) fn vips(resource: &Resource) -> impl Iterator<Item = &str> {
    let text = resource.parameter("vip").unwrap_or_default();
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|vip| !vip.is_empty())
}

/// Each OpenSIPS with each of its addresses that a resource of ours manages; an address that two manage is
/// another finding. Without the parameter `vip` one OpenSIPS belongs to all addresses.
fn pairs<'a>(pair: &Pair<'a>) -> Vec<(&'a Resource, &'a Resource)> {
    let daemons: Vec<&Resource> = pair.cib.of_agent("opensips").collect();
    let mut found = Vec::new();
    for daemon in &daemons {
        let named = daemon.parameter("vip").is_some();
        for vip in pair.cib.of_agent("opensips-vip").filter(|vip| !is_spare(pair, vip)) {
            // One IPv6 address has several spellings.
            let ip = address(vip);
            let its = ip.is_some() && vips(daemon).any(|text| text.parse().ok() == ip);
            if its || (!named && daemons.len() == 1) {
                found.push((*daemon, vip));
            }
        }
    }
    found
}

fn in_one_group(one: &Resource, other: &Resource) -> bool {
    one.group.is_some() && one.group == other.group
}

/// Whether a resource runs on every node at a time: where the address is does not matter to a clone that is
/// not promotable.
fn is_everywhere(resource: &Resource) -> bool {
    resource.clone.is_some() && !resource.promotable()
}

/// Whether a constraint keeps the two on one node, where both run. Of a promotable clone, its promoted
/// instance is meant.
fn are_together(cib: &Cib, one: &Resource, other: &Resource) -> bool {
    let fits = |resource: &Resource, id: &str, role: Role| {
        resource.is_called(id)
            && !is_everywhere(resource)
            && (!resource.promotable() || role == Role::Promoted)
    };
    let holds = |colocation: &Colocation| {
        let Colocation { dependent, dependent_role, primary, primary_role, score } = colocation;
        let joins = |dependent_one: &Resource, primary_one: &Resource| {
            fits(dependent_one, dependent, *dependent_role)
                && fits(primary_one, primary, *primary_role)
        };
        *score >= INFINITY && (joins(one, other) || joins(other, one))
    };
    let grouped = in_one_group(one, other) && !one.promotable() && !other.promotable();
    grouped || cib.colocations.iter().any(holds)
}

pub(super) fn colocation(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (daemon, vip) in pairs(pair) {
        let hot = daemon.promotable();
        // Several addresses follow one of them, so that a fault of one does not end the service at the others.
        let together = || pair.cib.reached(daemon, |one, other| are_together(pair.cib, one, other));
        if is_everywhere(daemon) || together().iter().any(|one| one.id == vip.id) {
            continue;
        }
        let (id, vip) = (daemon.outer(), vip.outer());
        found.push(if hot {
            let sentence = format!("nothing keeps {vip} on the node where {id} is promoted");
            let command = format!("pcs constraint colocation add {vip} with Promoted {id}");
            Found::of(daemon, sentence, command)
        } else {
            let sentence = format!("nothing keeps {id} on the node that has {vip}");
            Found::of(daemon, sentence, format!("pcs constraint colocation add {id} with {vip}"))
        });
    }
    found
}

/// Whether a constraint, or a group, starts one before the other.
fn is_before(cib: &Cib, one: &Resource, other: &Resource) -> bool {
    let holds = |order: &Order| {
        let begins = matches!(order.first_action.as_str(), "start" | "promote");
        begins && one.is_called(&order.first) && other.is_called(&order.then)
    };
    let at = |id: &str| cib.resources.iter().position(|one| one.id == id);
    (in_one_group(one, other) && at(&one.id) < at(&other.id)) || cib.orders.iter().any(holds)
}

pub(super) fn order(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (daemon, vip) in pairs(pair) {
        if is_everywhere(daemon) {
            continue;
        }
        let hot = daemon.promotable();
        // Then its sockets need no address.
        if !hot && daemon.parameter("nonlocal_bind") == Some("ensure") {
            continue;
        }
        let (first, then) = if hot { (daemon, vip) } else { (vip, daemon) };
        let after = pair.cib.reached(first, |one, other| is_before(pair.cib, one, other));
        if after.iter().any(|one| one.id == then.id) {
            continue;
        }
        let (first, then) = (first.outer(), then.outer());
        let (why, options) = if hot {
            ("the address is on a node that does not answer yet", " symmetrical=false")
        } else {
            ("OpenSIPS can't open its sockets without the address, and its start fails", "")
        };
        let sentence = format!("nothing starts {first} before {then}: {why}");
        let command = format!("pcs constraint order start {first} then start {then}{options}");
        found.push(Found::of(daemon, sentence, command));
    }
    found
}
