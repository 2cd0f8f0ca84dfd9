//! Nodes that lose power or stand still as a whole.

use std::time::Duration;

use super::fault::{Allowed, Case, Fault, Role, between};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "power-cut",
        what: "power cut of",
        why: "serving node: failover. Fencing is what the cluster owes a node that is silent",
        strike: cut,
        // Fencing gives the node its power back.
        least: Duration::from_secs(12),
        allowed: |it| Allowed::silent(it.if_serving(it.failover())).fenced(),
        ..Fault::DEFAULT
    },
    Fault {
        name: "power-cut-all",
        what: "power cut of",
        why: "the time without power, then a boot, an election, fencing of a node that is not seen yet, and all starts: a failover and 20 s",
        roles: &[Role::All],
        lasts: between(500, 8_000),
        strike: cut,
        mend: boot,
        // A boot, an election, a node that does not see the other one yet, and all starts.
        allowed: |it| Allowed::silent(it.lasts + it.failover() + Duration::from_secs(20)).fenced(),
        ..Fault::DEFAULT
    },
    Fault {
        name: "freeze",
        what: "all of it stands still:",
        why: "shorter than the token less 1 s: as long as it lasts, and 2 s. Longer: failover, and the node is fenced; two failovers if it goes on in the moment before the shot",
        lasts: between(300, 16_000),
        strike: |case| case.victims.iter().try_for_each(|node| case.site.freeze(node)),
        mend: |case| case.victims.iter().try_for_each(|node| case.site.thaw(node)),
        least: Duration::from_secs(12),
        allowed: |it| {
            if it.outlasts_token() {
                Allowed::silent(it.if_serving(it.loss_of_contact() + Duration::from_secs(1)))
                    .fenced()
                    .unless_fenced(it.if_serving(it.failover() + Duration::from_secs(1)))
            } else {
                Allowed::silent(it.if_serving(it.lasts + Duration::from_secs(2)))
            }
        },
        ..Fault::DEFAULT
    },
];

fn cut(case: &Case<'_>) -> Result<(), String> {
    let cut = |node: &String| case.site.lab.kill(node).map_err(|error| error.to_string());
    case.victims.iter().try_for_each(cut)
}

/// Those that fencing has not switched on meanwhile, at the same time, as where the power comes back.
fn boot(case: &Case<'_>) -> Result<(), String> {
    let lab = &case.site.lab;
    std::thread::scope(|scope| {
        let dark = case.victims.iter().filter(|node| lab.node_pid(node).is_err());
        let boots: Vec<_> = dark.map(|node| (node, scope.spawn(|| lab.boot(node)))).collect();
        boots.into_iter().try_for_each(|(node, boot)| match boot.join() {
            Ok(Err(error)) if lab.node_pid(node).is_err() => Err(error.to_string()),
            // One that fencing was quicker with is on.
            _ => Ok(()),
        })
    })
}
