//! Processes of OpenSIPS that die or stand still.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::fault::{Allowed, Case, Circumstances, Fault, NONE, NOTICED, Role, STALLED, between};
use crate::site::Process;

const DEFAULT: Fault = Fault {
    needs_daemon: true,
    // The instance of a standby is looked at every 10 s.
    least: Duration::from_secs(12),
    allowed: |it| Allowed::silent(it.if_serving(NOTICED)),
    ..Fault::DEFAULT
};

const STOPPED: Fault = Fault {
    lasts: between(500, 25_000),
    mend: |case| {
        case.go_on();
        Ok(())
    },
    allowed: |it| Allowed::silent(it.if_serving(stalled(it))),
    ..DEFAULT
};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "kill-main",
        what: "kill -9 of the main process of OpenSIPS (attendant) on",
        why: "serving node: 6 s",
        strike: |case| kill(case, &main_processes(case)),
        ..DEFAULT
    },
    Fault {
        name: "kill-worker",
        what: "kill -9 of a worker of OpenSIPS on",
        why: "serving node: 6 s",
        strike: |case| kill(case, &some_worker(case)),
        ..DEFAULT
    },
    Fault {
        name: "kill-all",
        what: "kill -9 of every process of OpenSIPS on",
        why: "serving node: 6 s",
        strike: |case| kill(case, &all_processes(case)),
        ..DEFAULT
    },
    Fault {
        name: "stop-main",
        what: "SIGSTOP of the main process of OpenSIPS (attendant) on",
        why: "none: this process handles no message",
        strike: |case| stop(case, main_processes(case)),
        // It handles no message.
        allowed: |_| Allowed::silent(NONE),
        ..STOPPED
    },
    Fault {
        name: "stop-worker",
        what: "SIGSTOP of a worker of OpenSIPS on",
        why: "serving node: as long as it lasts, at most 18 s: it may hold a lock that the other workers need",
        strike: |case| stop(case, some_worker(case)),
        ..STOPPED
    },
    Fault {
        name: "stop-all",
        what: "SIGSTOP of every process of OpenSIPS on",
        why: "serving node: as long as it lasts, at most 18 s",
        strike: |case| stop(case, all_processes(case)),
        ..STOPPED
    },
    Fault {
        name: "mi-hung",
        what: "SIGSTOP of the process that reads the FIFO of the Management Interface on",
        why: "none: callers do not need it",
        strike: |case| stop(case, fifo_readers(case)),
        allowed: |_| Allowed::silent(NONE),
        ..STOPPED
    },
    Fault {
        name: "database-stall",
        what: "the database of all stalls, no OpenSIPS gets on, not even a new one, on",
        why: "as long as it lasts, and 6 s: what is started meanwhile gets no further",
        roles: &[Role::All],
        lasts: between(500, 25_000),
        strike: |case| stop(case, all_processes(case)),
        // Those that are started meanwhile wait for the same database.
        meanwhile: |case| {
            std::thread::sleep(Duration::from_millis(50));
            case.stop(all_processes(case));
            Ok(())
        },
        allowed: |it| Allowed::silent(it.lasts + NOTICED),
        needs_daemon: false,
        ..STOPPED
    },
    Fault {
        name: "config-spoilt",
        what: "kill -9 of the main process of OpenSIPS, whose configuration is spoilt, on",
        why: "6 s and 4 s: the restart in place fails, then the service moves",
        roles: &[Role::Serving],
        lasts: between(2_000, 12_000),
        strike: spoil,
        mend: |case| case.on_victims(&format!("umount {CONFIG}")),
        // The restart fails, then the service moves.
        allowed: |_| Allowed::silent(NOTICED + Duration::from_secs(4)),
        ..DEFAULT
    },
];

/// Where the examples have it; a bind mount of a file of the repository.
const CONFIG: &str = "/etc/opensips/opensips.cfg";

/// What stands still is silent for as long, or until it is restarted.
fn stalled(it: &Circumstances) -> Duration {
    (it.lasts + NONE).min(STALLED)
}

fn kill(case: &Case<'_>, processes: &[Process]) -> Result<(), String> {
    if processes.is_empty() {
        return Err(format!("no such process on {}", case.victim_words()));
    }
    processes.iter().for_each(|process| process.signal(Signal::SIGKILL));
    Ok(())
}

fn stop(case: &Case<'_>, processes: Vec<Process>) -> Result<(), String> {
    if processes.is_empty() {
        return Err(format!("no such process on {}", case.victim_words()));
    }
    case.stop(processes);
    Ok(())
}

fn main_processes(case: &Case<'_>) -> Vec<Process> {
    case.victims.iter().filter_map(|node| case.site.main_process(node).ok()).collect()
}

fn all_processes(case: &Case<'_>) -> Vec<Process> {
    case.victims.iter().flat_map(|node| case.site.daemon(node)).collect()
}

fn some_worker(case: &Case<'_>) -> Vec<Process> {
    let of_node = |node: &String| {
        let main = case.site.main_process(node).ok()?;
        let mut all = case.site.daemon(node);
        all.retain(|process| process.pid != main.pid);
        // In the order of their start, so that the same number is the same worker in every run.
        all.sort_by_key(|process| process.pid);
        case.dice.borrow_mut().choice(&all).cloned()
    };
    case.victims.iter().filter_map(of_node).collect()
}

/// The processes that have the FIFO open for reading.
fn fifo_readers(case: &Case<'_>) -> Vec<Process> {
    let mut all = all_processes(case);
    all.retain(|process| {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", process.pid));
        entries.into_iter().flatten().flatten().any(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|file| file.ends_with("opensips_fifo"))
        })
    });
    all
}

/// A mount, not a change: the file is the repository's.
fn spoil(case: &Case<'_>) -> Result<(), String> {
    case.on_victims(&format!(
        "{{ cat {CONFIG}; echo 'loadmodule \"no_such_module.so\" }}'; }} > /tmp/spoilt.cfg; \
         mount --bind /tmp/spoilt.cfg {CONFIG}; rm /tmp/spoilt.cfg"
    ))?;
    kill(case, &main_processes(case))
}
