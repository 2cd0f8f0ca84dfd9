//! What the agents and the kernel of this node say.

use super::constraints::vips;
use super::{Found, Pair};
use crate::cib::Resource;
use crate::host::Complaint;

pub(super) fn agent(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (agent, meta_data) in &pair.host.agents {
        if let Err(why) = meta_data {
            let sentence =
                format!("ocf:smartvox:{agent} can't be run on {}: {why}", pair.host.node);
            let command = format!("crm_resource --show-metadata ocf:smartvox:{agent}");
            found.push(Found::of_cluster(sentence, command));
        }
    }
    found
}

pub(super) fn parameter(pair: &Pair<'_>) -> Vec<Found> {
    // crmsh sets them for any agent.
    let traced = |name: &str| name == "trace_ra" || name == "trace_dir";
    let mut found = Vec::new();
    for resource in pair.cib.ours() {
        let Some(Ok(meta_data)) = pair.host.agents.get(&resource.agent) else { continue };
        for name in resource.parameters.keys() {
            if !meta_data.parameters.contains(name) && !traced(name) {
                let id = &resource.id;
                let sentence =
                    format!("{} does not know the parameter {name} of {id}", resource.agent);
                let command = format!("pcs resource update {id} {name}= --force");
                found.push(Found::of(resource, sentence, command));
            }
        }
    }
    found
}

pub(super) fn refused(pair: &Pair<'_>) -> Vec<Found> {
    validated(pair, true)
}

pub(super) fn remarked(pair: &Pair<'_>) -> Vec<Found> {
    validated(pair, false)
}

/// The sentence has the way out; the command tells whether it was the right one.
fn validated(pair: &Pair<'_>, refuses: bool) -> Vec<Found> {
    let complaint = |resource: &Resource, complaint: &Complaint| {
        let command = format!("OCF_CHECK_LEVEL=10 crm_resource --validate -r {}", resource.id);
        let sentence = format!("{}: {}", resource.id, complaint.sentence);
        Found::of(resource, sentence, command)
    };
    let all = pair.cib.ours().flat_map(|resource| {
        let complaints = pair.host.validated.get(&resource.id).into_iter().flatten();
        let fitting = complaints.filter(|complaint| complaint.refuses == refuses);
        fitting.map(move |one| complaint(resource, one))
    });
    all.collect()
}

pub(super) fn nonlocal_bind(pair: &Pair<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    let here = |daemon: &&Resource| pair.cib.may_run(daemon, &pair.host.node);
    for daemon in pair.cib.of_agent("opensips").filter(|one| one.promotable()).filter(here) {
        if daemon.parameter("nonlocal_bind") == Some("ensure") {
            continue;
        }
        let families = [("ipv4", false), ("ipv6", true)];
        for ((family, v6), allowed) in families.into_iter().zip(pair.host.nonlocal_bind) {
            if vips(daemon).any(|vip| vip.contains(':') == v6) && allowed == Some(false) {
                let sentence = format!(
                    "net.{family}.ip_nonlocal_bind is 0 on {}: {} can't open its sockets there \
                     while it is the standby",
                    pair.host.node, daemon.id
                );
                let command = format!("pcs resource update {} nonlocal_bind=ensure", daemon.id);
                found.push(Found::of(daemon, sentence, command));
            }
        }
    }
    found
}
