//! Corosync's and Pacemaker's own processes that die or stand still.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::fault::{Allowed, Case, Circumstances, Fault, MOVED, NONE, NOTICED, Role, between};
use crate::site::Process;

const KILLED: Fault = Fault { least: Duration::from_secs(12), ..Fault::DEFAULT };

const STOPPED: Fault = Fault {
    lasts: between(500, 8_000),
    mend: |case| {
        case.go_on();
        Ok(())
    },
    least: Duration::from_secs(10),
    ..Fault::DEFAULT
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "kill-corosync",
        what: "kill -9 of corosync on",
        why: "serving node: failover. A node without Corosync is no member: Pacemaker has it fenced",
        strike: |case| kill(case, "corosync"),
        // Without it a node is no member: the others have it fenced.
        allowed: node_fenced,
        ..KILLED
    },
    Fault {
        name: "stop-corosync",
        what: "SIGSTOP of corosync on",
        why: "shorter than the token less 1 s: none. Longer: as freeze",
        strike: |case| stop(case, "corosync"),
        allowed: |it| {
            if it.outlasts_token() {
                Allowed::silent(it.if_serving(it.loss_of_contact()))
                    .fenced()
                    .unless_fenced(it.if_serving(it.failover()))
            } else {
                Allowed::silent(NONE)
            }
        },
        ..STOPPED
    },
    Fault {
        name: "kill-pacemakerd",
        what: "kill -9 of pacemakerd, which is started again, on",
        why: "none: systemd starts it again (Restart=on-failure; here: the lab), and it adopts its daemons",
        strike: |case| kill(case, "pacemakerd"),
        lasts: between(100, 1_500),
        // As systemd does (Restart=on-failure); the daemons under it go on meanwhile.
        mend: |case| case.on_victims("systemctl start pacemaker"),
        ..KILLED
    },
    Fault {
        name: "stop-pacemakerd",
        what: "SIGSTOP of pacemakerd on",
        why: "none",
        strike: |case| stop(case, "pacemakerd"),
        ..STOPPED
    },
    Fault {
        name: "kill-controld",
        what: "kill -9 of pacemaker-controld on",
        why: "serving node: failover. Pacemaker has a node fenced whose controller goes (\"peer process is no longer available\")",
        strike: |case| kill(case, "pacemaker-contr"),
        // "peer process is no longer available": Pacemaker has a node fenced whose controller goes.
        allowed: node_fenced,
        ..KILLED
    },
    Fault {
        name: "stop-controld",
        what: "SIGSTOP of pacemaker-controld on",
        why: "none",
        strike: |case| stop(case, "pacemaker-contr"),
        ..STOPPED
    },
    Fault {
        name: "kill-execd",
        what: "kill -9 of pacemaker-execd on",
        why: "serving node: failover. The controller ends itself with its executor",
        strike: |case| kill(case, "pacemaker-execd"),
        // The controller ends itself with its executor.
        allowed: node_fenced,
        ..KILLED
    },
    Fault {
        name: "stop-execd",
        what: "SIGSTOP of pacemaker-execd on",
        why: "none",
        strike: |case| stop(case, "pacemaker-execd"),
        ..STOPPED
    },
    Fault {
        name: "kill-based",
        what: "kill -9 of pacemaker-based on",
        why: "serving node: failover. The controller ends itself with the daemon of the configuration",
        strike: |case| kill(case, "pacemaker-based"),
        // The controller ends itself with the configuration's daemon.
        allowed: node_fenced,
        ..KILLED
    },
    Fault {
        name: "stop-based",
        what: "SIGSTOP of pacemaker-based on",
        why: "none",
        strike: |case| stop(case, "pacemaker-based"),
        ..STOPPED
    },
    Fault {
        name: "kill-attrd",
        what: "kill -9 of pacemaker-attrd on",
        why: "6 s; in a hot standby 10 s more: the promotion scores go with it, until a monitor of level 10 tells them again",
        strike: |case| kill(case, "pacemaker-attrd"),
        allowed: attributes_lost,
        // Scores are told again by a monitor of level 10.
        least: Duration::from_secs(15),
        ..KILLED
    },
    Fault {
        name: "stop-attrd",
        what: "SIGSTOP of pacemaker-attrd on",
        why: "none",
        strike: |case| stop(case, "pacemaker-attrd"),
        ..STOPPED
    },
    Fault {
        name: "kill-schedulerd",
        what: "kill -9 of pacemaker-schedulerd on",
        why: "3 s: the controller of the DC ends itself with its scheduler; until it has joined again the attributes of its node are gone, so that the service may move. If the other node decides within that second, it has the node fenced, as with kill-controld: then failover",
        strike: |case| kill(case, "pacemaker-sched"),
        allowed: |it| match it.role {
            Role::Standby => Allowed::silent(MOVED).fenced(),
            _ => node_fenced(it).unless_fenced(MOVED),
        },
        ..KILLED
    },
    Fault {
        name: "stop-schedulerd",
        what: "SIGSTOP of pacemaker-schedulerd on",
        why: "none",
        strike: |case| stop(case, "pacemaker-sched"),
        ..STOPPED
    },
    Fault {
        name: "kill-fenced",
        what: "kill -9 of pacemaker-fenced on",
        why: "none",
        strike: |case| kill(case, "pacemaker-fence"),
        ..KILLED
    },
    Fault {
        name: "stop-fenced",
        what: "SIGSTOP of pacemaker-fenced on",
        why: "none",
        strike: |case| stop(case, "pacemaker-fence"),
        ..STOPPED
    },
];

fn node_fenced(it: &Circumstances) -> Allowed {
    Allowed::silent(it.if_serving(it.failover())).fenced()
}

/// In a hot standby the daemon takes the promotion scores along. A monitor of level 10 tells them again,
/// within 10 s, and the role may move.
fn attributes_lost(it: &Circumstances) -> Allowed {
    let told_again = if it.hot { Duration::from_secs(10) } else { Duration::ZERO };
    Allowed::silent(told_again + NOTICED)
}

/// By name, of which the kernel keeps 15 characters.
fn named(case: &Case<'_>, name: &str) -> Result<Vec<Process>, String> {
    let of_node = |node: &String| {
        let all = case.site.processes(node);
        all.into_iter().filter(|process| process.name == name).collect::<Vec<_>>()
    };
    let found: Vec<_> = case.victims.iter().flat_map(of_node).collect();
    if found.is_empty() { Err(format!("no {name} on {}", case.victim_words())) } else { Ok(found) }
}

fn kill(case: &Case<'_>, name: &str) -> Result<(), String> {
    named(case, name)?.iter().for_each(|process| process.signal(Signal::SIGKILL));
    Ok(())
}

fn stop(case: &Case<'_>, name: &str) -> Result<(), String> {
    case.stop(named(case, name)?);
    Ok(())
}
