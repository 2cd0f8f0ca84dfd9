//! A node that stands still for a time, as a virtual machine does whose host is busy or that is moved.

use std::time::Duration;

use lab::Network;
use nix::sys::signal::Signal;

use super::sequence::{Configuration, Sequence, Setup};
use super::site::Site;

pub(super) const SEQUENCES: &[Sequence] = &[Sequence {
    name: "frozen-10",
    what: "the active node stands still for 10 s, and goes on as if nothing had been",
    setups: &[
        Setup::unfenced(Configuration::QuickStart),
        Setup::unfenced(Configuration::ActiveStandby),
        Setup::fenced(Configuration::ActiveStandby),
        Setup::fenced(Configuration::HotStandby),
    ],
    strike: freeze,
    lasts: Duration::from_secs(10),
    mend: thaw,
    least: Duration::from_secs(40),
    noise: Duration::from_secs(3),
    ..Sequence::DEFAULT
}];

/// Its processes are stopped, and what its kernel would still answer does not reach anybody: the
/// carrier stays.
fn freeze(site: &Site) -> Result<(), String> {
    let node = site.active();
    for network in [Network::Public, Network::Lan] {
        site.lab.partition([&node], network).map_err(|error| error.to_string())?;
    }
    for process in site.processes(&node) {
        process.signal(Signal::SIGSTOP);
    }
    Ok(())
}

/// Where it was fenced meanwhile, nothing is left to go on.
fn thaw(site: &Site) -> Result<(), String> {
    site.lab.heal().map_err(|error| error.to_string())?;
    for process in site.processes(&site.active()) {
        process.signal(Signal::SIGCONT);
    }
    Ok(())
}
