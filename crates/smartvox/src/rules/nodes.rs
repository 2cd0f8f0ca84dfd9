//! What differs between the nodes.

use super::{Found, IGNORE, Pair};

/// How the other nodes are compared.
const THEN: &str = "smartvox check ran there";

pub(super) fn versions(pair: &Pair<'_>) -> Vec<Found> {
    let nodes = &pair.host.nodes;
    let here = &pair.host.node;
    let mut found = Vec::new();
    for (node, told) in &nodes.others {
        for (agent, own) in &nodes.own.versions {
            let Some(other) = told.versions.get(agent).filter(|other| *other != own) else {
                continue;
            };
            let sentence = format!(
                "ocf:smartvox:{agent} is {own} on {here}, and was {other} on {node} when {THEN}: a parameter can \
                 mean something else there, or be unknown"
            );
            let command = format!(
                "install the same version of resource-agents-smartvox on {here} and {node}, then on {node}: \
                 smartvox check"
            );
            found.push(Found::of_cluster(sentence, command));
        }
    }
    found
}

/// The command that also ignores a rule: it sets the whole list.
fn ignore_too(pair: &Pair<'_>, rule: &str) -> String {
    let former = pair.cib.property(IGNORE).unwrap_or_default().split([',', ' ']);
    let names: Vec<&str> = former.filter(|name| !name.is_empty()).chain([rule]).collect();
    let names = names.join(",");
    format!("crm_attribute --type crm_config --set-name smartvox --name {IGNORE} --update {names}")
}

pub(super) fn configurations(pair: &Pair<'_>) -> Vec<Found> {
    let nodes = &pair.host.nodes;
    let here = &pair.host.node;
    let ignore_it = ignore_too(pair, "configurations");
    let mut found = Vec::new();
    for daemon in pair.cib.of_agent("opensips") {
        let (id, config) = (&daemon.id, crate::nodes::config(daemon, &pair.host.agents));
        let config = config.unwrap_or_else(|| "its configuration".to_owned());
        let Some(own) = nodes.own.configs.get(id) else { continue };
        for (node, told) in &nodes.others {
            if told.configs.get(id).is_some_and(|other| other != own) {
                let sentence = format!(
                    "{config} of {id} is not the same on {here} as it was on {node} when {THEN} (files that it \
                     includes are not compared)"
                );
                let command = format!(
                    "sha256sum {config} (on {here} and {node}; copy the right one), then on {node}: smartvox check; \
                     where they differ on purpose: {ignore_it}"
                );
                found.push(Found::of(daemon, sentence, command));
            }
        }
    }
    found
}
