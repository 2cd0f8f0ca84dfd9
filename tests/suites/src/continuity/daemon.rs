//! OpenSIPS dies, or answers nothing for a time.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::sequence::Sequence;
use crate::site::setup::{Configuration, Setup};
use crate::site::{NODES, Site};

const SETUPS: &[Setup] = &[
    Setup::unfenced(Configuration::QuickStart),
    Setup::fenced(Configuration::ActiveStandby),
    Setup::fenced(Configuration::HotStandby),
];

pub(super) const SEQUENCES: &[Sequence] = &[
    Sequence {
        name: "kill",
        what: "kill -9 of the main process of OpenSIPS, both nodes in service",
        setups: SETUPS,
        strike: kill_main,
        // Until the next monitor the children answer.
        least: Duration::from_secs(25),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "kill-peer-in-standby",
        what: "the same while the other node is in standby",
        setups: SETUPS,
        prepare: peer_in_standby,
        strike: kill_main,
        least: Duration::from_secs(25),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "crash-follows",
        what: "a request crashes a worker; it is sent again, and crashes one of the node that serves then",
        setups: SETUPS,
        strike: |site| {
            kill_worker(site, &site.active());
            Ok(())
        },
        lasts: Duration::from_secs(15),
        mend: |site| {
            if let Some(node) = site.lab.resource_location("vip") {
                kill_worker(site, &node);
            }
            Ok(())
        },
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "database-stall-45",
        what: "the database that both share stalls: no OpenSIPS on either node gets on for 45 s",
        setups: SETUPS,
        meanwhile: |site| {
            signal_all(site, Signal::SIGSTOP);
            Ok(())
        },
        lasts: Duration::from_secs(45),
        mend: |site| {
            signal_all(site, Signal::SIGCONT);
            Ok(())
        },
        ..Sequence::DEFAULT
    },
];

fn kill_main(site: &Site) -> Result<(), String> {
    site.main_process(&site.active())?.signal(Signal::SIGKILL);
    Ok(())
}

/// One dead worker ends the instance. On a node where none is left, there is nothing to crash.
fn kill_worker(site: &Site, node: &str) {
    let Ok(main) = site.main_process(node) else { return };
    let mut workers = site.daemon(node).into_iter();
    if let Some(worker) = workers.rfind(|process| process.parent == main.pid) {
        worker.signal(Signal::SIGKILL);
    }
}

fn peer_in_standby(site: &Site) -> Result<(), String> {
    site.run(&site.active(), &["crm_standby", "-N", site.idle(), "-v", "on"]).map(drop)
}

/// Those that are started meanwhile get no further than the others.
fn signal_all(site: &Site, signal: Signal) {
    for process in NODES.iter().flat_map(|node| site.daemon(node)) {
        process.signal(signal);
    }
}
