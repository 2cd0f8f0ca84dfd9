//! OpenSIPS and its address: on one node, in the right order.

use super::{Found, Pair};
use crate::cib::{Colocation, INFINITY, Order, Resource, Role};

/// The addresses in the parameter `vip`.
pub(super) fn vips(resource: &Resource) -> impl Iterator<Item = &str> {
    let text = resource.parameter("vip").unwrap_or_default();
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|vip| !vip.is_empty())
}

/// Each OpenSIPS with each of its addresses that a resource of ours manages. Without the parameter `vip`
/// one OpenSIPS belongs to all addresses.
fn pairs<'a>(pair: &Pair<'a>) -> Vec<(&'a Resource, &'a Resource)> {
    let daemons: Vec<&Resource> = pair.cib.of_agent("opensips").collect();
    let mut found = Vec::new();
    for daemon in &daemons {
        let named = daemon.parameter("vip").is_some();
        for vip in pair.cib.of_agent("opensips-vip") {
            let its = vips(daemon).any(|ip| Some(ip) == vip.parameter("ip"));
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

/// Whether OpenSIPS runs on every node at a time: where the address is does not matter to a clone that is
/// not promotable.
fn is_everywhere(daemon: &Resource) -> bool {
    daemon.clone.is_some() && !daemon.promotable()
}

pub(super) fn colocation(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (daemon, vip) in pairs(pair) {
        let hot = daemon.promotable();
        let holds = |colocation: &Colocation| {
            let Colocation { dependent, dependent_role, primary, primary_role, score } = colocation;
            let forth = daemon.is_called(dependent) && vip.is_called(primary);
            let back = vip.is_called(dependent) && daemon.is_called(primary);
            let promoted = |role: Role| !hot || role == Role::Promoted;
            *score >= INFINITY
                && ((forth && promoted(*dependent_role)) || (back && promoted(*primary_role)))
        };
        let held = (in_one_group(daemon, vip) && !hot)
            || is_everywhere(daemon)
            || pair.cib.colocations.iter().any(holds);
        if held {
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

pub(super) fn order(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (daemon, vip) in pairs(pair) {
        if is_everywhere(daemon) {
            continue;
        }
        let hot = daemon.promotable();
        let (first, then) = if hot { (daemon, vip) } else { (vip, daemon) };
        let holds = |order: &Order| {
            let begins = matches!(order.first_action.as_str(), "start" | "promote");
            begins && first.is_called(&order.first) && then.is_called(&order.then)
        };
        let before = |one: &Resource, other: &Resource| {
            let at = |id: &str| pair.cib.resources.iter().position(|one| one.id == id);
            in_one_group(one, other) && at(&one.id) < at(&other.id)
        };
        if before(first, then) || pair.cib.orders.iter().any(holds) {
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
