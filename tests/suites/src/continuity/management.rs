//! The Management Interface does not answer, beside a SIP server that does.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::sequence::{Configuration, Sequence, Setup};
use super::site::{NODES, Site};

const BOTH: &[Setup] =
    &[Setup::fenced(Configuration::ActiveStandby), Setup::fenced(Configuration::HotStandby)];

/// Where both examples have it.
const FIFO: &str = "/run/opensips/opensips_fifo";

pub(super) const SEQUENCES: &[Sequence] = &[
    Sequence {
        name: "mi-mistyped",
        what: "an administrator gives the parameter mi with a typing error",
        setups: &[Setup::fenced(Configuration::ActiveStandby)],
        strike: mistype,
        lasts: Duration::from_secs(60),
        ends: false,
        // The new value may cost one restart.
        noise: Duration::from_secs(2),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "mi-fifo-removed",
        what: "a cleaner of temporary files removes the FIFO of the active OpenSIPS",
        setups: BOTH,
        prepare: with_management,
        strike: remove_fifo,
        lasts: Duration::from_secs(60),
        ends: false,
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "mi-busy-5",
        what: "the process of the Management Interface is busy for 5 s of each 12, four times, on both nodes",
        setups: BOTH,
        prepare: with_management,
        meanwhile: |site| {
            busy(site);
            Ok(())
        },
        lasts: Duration::from_secs(45),
        ..Sequence::DEFAULT
    },
];

/// The hot standby has it already; the other example gets it, with monitors of level 10.
fn with_management(site: &Site) -> Result<(), String> {
    if !site.is_ours() || site.is_hot() {
        return Ok(());
    }
    update(site, &format!("mi=fifo:{FIFO} op monitor interval=10s timeout=20s OCF_CHECK_LEVEL=10"))
}

fn mistype(site: &Site) -> Result<(), String> {
    if site.is_ours() { update(site, "mi=fifo:/run/opensips/opensips_fif0") } else { Ok(()) }
}

fn update(site: &Site, words: &str) -> Result<(), String> {
    site.shell(site.idle(), &format!("pcs resource update opensips {words}")).map(drop)
}

fn remove_fifo(site: &Site) -> Result<(), String> {
    site.run(&site.active(), &["rm", "-f", FIFO]).map(drop)
}

/// 5 s of a round of 12 s.
fn busy(site: &Site) {
    signal_management(site, Signal::SIGSTOP);
    sleep(Duration::from_secs(5));
    signal_management(site, Signal::SIGCONT);
    sleep(Duration::from_secs(7));
}

/// The process that reads the FIFO: it has it open, and is not the main process, which may have it
/// open too.
fn signal_management(site: &Site, signal: Signal) {
    for node in NODES {
        let Ok(main) = site.main_process(node) else { continue };
        let readers = site.daemon(node).into_iter().filter(|process| process.pid != main.pid);
        for reader in readers.filter(|process| process.has_open(FIFO)) {
            reader.signal(signal);
        }
    }
}
