//! What an administrator does, at a moment that nobody has chosen.

use std::time::Duration;

use super::fault::{Allowed, Case, Fault, MOVED, NOTICED, Role, between};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "move",
        what: "pcs resource move away from",
        why: "3 s",
        roles: &[Role::Serving],
        lasts: between(1_000, 6_000),
        strike: |case| {
            let to = case.other.as_str();
            case.administrator(&[&["crm_resource", "--move", "-N", to], moved(case)].concat())
        },
        mend: |case| case.administrator(&[&["crm_resource", "--clear"], moved(case)].concat()),
        allowed: |_| Allowed::silent(MOVED),
        ..Fault::DEFAULT
    },
    Fault {
        name: "standby",
        what: "pcs node standby for",
        why: "serving node: 3 s",
        lasts: between(500, 10_000),
        strike: |case| standby(case, "on"),
        mend: |case| standby(case, "off"),
        allowed: |it| Allowed::silent(it.if_serving(MOVED)),
        ..Fault::DEFAULT
    },
    Fault {
        name: "standby-all",
        what: "pcs node standby for all:",
        why: "as long as it lasts, and 12 s: all is stopped, then all is started",
        roles: &[Role::All],
        lasts: between(500, 6_000),
        strike: |case| standby(case, "on"),
        mend: |case| standby(case, "off"),
        // All stops, then all starts.
        allowed: |it| Allowed::silent(it.lasts + NOTICED + Duration::from_secs(6)),
        ..Fault::DEFAULT
    },
    Fault {
        name: "restart",
        what: "pcs resource restart opensips, which serves on",
        why: "12 s: crm_resource looks every 2 s for the end of the stop before it asks for the start",
        roles: &[Role::Serving],
        strike: |case| {
            case.administrator(&["crm_resource", "--restart", "-r", daemon(case), "--timeout=60"])
        },
        // crm_resource waits for the end of the stop before it asks for the start, in steps of 2 s.
        allowed: |_| Allowed::silent(NOTICED + Duration::from_secs(6)),
        ..Fault::DEFAULT
    },
    Fault {
        name: "restart-address",
        what: "pcs resource restart vip, which is on",
        why: "as restart",
        roles: &[Role::Serving],
        strike: |case| {
            case.administrator(&["crm_resource", "--restart", "-r", "vip", "--timeout=60"])
        },
        allowed: |_| Allowed::silent(NOTICED + Duration::from_secs(6)),
        ..Fault::DEFAULT
    },
    Fault {
        name: "disable",
        what: "pcs resource disable and enable of opensips, which serves on",
        why: "as long as it lasts, and 6 s",
        roles: &[Role::Serving],
        lasts: between(300, 6_000),
        strike: |case| target_role(case, "Stopped"),
        mend: |case| target_role(case, "Started"),
        allowed: |it| Allowed::silent(it.lasts + NOTICED),
        ..Fault::DEFAULT
    },
    Fault {
        name: "cleanup",
        what: "pcs resource cleanup, serving:",
        why: "none",
        roles: &[Role::Serving],
        strike: |case| case.administrator(&["crm_resource", "--cleanup"]),
        ..Fault::DEFAULT
    },
    Fault {
        name: "refresh",
        what: "pcs resource refresh, serving:",
        why: "none",
        roles: &[Role::Serving],
        strike: |case| case.administrator(&["crm_resource", "--refresh"]),
        ..Fault::DEFAULT
    },
    Fault {
        name: "maintenance",
        what: "maintenance mode on and off, serving:",
        why: "none",
        roles: &[Role::Serving],
        lasts: between(500, 6_000),
        strike: |case| maintenance(case, "true"),
        mend: |case| maintenance(case, "false"),
        ..Fault::DEFAULT
    },
    Fault {
        name: "node-stop",
        what: "pcs cluster stop and start of",
        why: "serving node: 6 s: the daemon is stopped, then the service moves",
        lasts: between(500, 8_000),
        strike: |case| case.on_victims("pcs cluster stop --force"),
        mend: |case| case.on_victims("pcs cluster start"),
        least: Duration::from_secs(10),
        // Stop of the daemon, then a move.
        allowed: |it| Allowed::silent(it.if_serving(NOTICED)),
        ..Fault::DEFAULT
    },
    Fault {
        name: "force-check",
        what: "crm_resource --force-check beside the cluster on",
        why: "none",
        strike: |case| by_hand(case, "--force-check"),
        ..Fault::DEFAULT
    },
    Fault {
        name: "force-start",
        what: "crm_resource --force-start beside the cluster on",
        why: "none: where the address is, there is nothing to do; elsewhere it is refused, because the owner answers",
        // On a node without the address it has to refuse: the owner answers.
        strike: |case| by_hand(case, "--force-start"),
        least: Duration::from_secs(8),
        ..Fault::DEFAULT
    },
    Fault {
        name: "force-stop",
        what: "crm_resource --force-stop beside the cluster on",
        why: "serving node: 6 s",
        strike: |case| by_hand(case, "--force-stop"),
        least: Duration::from_secs(12),
        allowed: |it| Allowed::silent(it.if_serving(NOTICED)),
        ..Fault::DEFAULT
    },
];

/// What is moved: the address, or what it follows.
fn moved(case: &Case<'_>) -> &'static [&'static str] {
    if case.circumstances.hot { &["-r", "opensips-clone", "--promoted"] } else { &["-r", "vip"] }
}

fn daemon(case: &Case<'_>) -> &'static str {
    if case.circumstances.hot { "opensips-clone" } else { "opensips" }
}

fn standby(case: &Case<'_>, value: &str) -> Result<(), String> {
    case.victims
        .iter()
        .try_for_each(|node| case.administrator(&["crm_standby", "-N", node, "-v", value]))
}

fn target_role(case: &Case<'_>, role: &str) -> Result<(), String> {
    let command = ["crm_resource", "--resource", daemon(case), "--meta", "--set-parameter"];
    case.administrator(&[&command[..], &["target-role", "--parameter-value", role]].concat())
}

fn maintenance(case: &Case<'_>, value: &str) -> Result<(), String> {
    case.administrator(&["crm_attribute", "--name", "maintenance-mode", "--update", value])
}

/// Of the address or of OpenSIPS; Pacemaker refuses some of it for a clone, and so may the agent.
fn by_hand(case: &Case<'_>, action: &str) -> Result<(), String> {
    let resource = *case.dice.borrow_mut().choice(&["vip", "opensips"]).unwrap_or(&"vip");
    case.on_victims(&format!("crm_resource {action} -r {resource} >/dev/null 2>&1 || true"))
}
