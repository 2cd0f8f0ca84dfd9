//! Random faults at random moments on a real cluster, as the examples configure it. A seed says
//! everything: which fault, whom, when, for how long. A client asks OPTIONS and ARP all the time; after
//! each round the invariants are looked at ([`inspect`]).
//!
//! A fault is data ([`fault::Fault`]). There is one file per family of faults; [`round`] plays any of
//! them, [`run`] many after one another.

pub mod draw;
pub mod fault;
pub mod inspect;
pub mod journal;
pub mod owners;
pub mod record;
pub mod report;
pub mod round;
pub mod run;

mod address;
mod cluster;
mod daemon;
mod host;
mod network;
mod operator;
mod power;

use fault::Fault;

/// All faults, family by family.
pub const FAMILIES: [&[Fault]; 7] = [
    power::FAULTS,
    daemon::FAULTS,
    cluster::FAULTS,
    network::FAULTS,
    address::FAULTS,
    operator::FAULTS,
    host::FAULTS,
];

/// Those that can strike in a hot standby or in active/standby.
#[must_use]
pub fn faults(hot: bool) -> Vec<&'static Fault> {
    FAMILIES.into_iter().flatten().filter(|fault| !fault.victims(hot).is_empty()).collect()
}
