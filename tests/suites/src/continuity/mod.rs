//! Does the service go on? Each sequence that a telephone service meets is played on a real cluster
//! with our agents, and in the same run with ocf:heartbeat:IPaddr2 and OpenSIPS as a service, while
//! a client asks OPTIONS at the virtual IP address.
//!
//! A sequence is data ([`sequence::Sequence`]): what happens, how long, in which configurations.
//! There is one file per family of sequences; [`run`] plays any of them.

pub mod outcome;
pub mod run;
pub mod sequence;
pub mod table;

mod carrier;
mod daemon;
mod defined;
mod freeze;
mod management;
mod network;
mod planned;
mod rival;
mod two_addresses;

use sequence::Sequence;

/// All sequences, family by family.
pub const FAMILIES: [&[Sequence]; 9] = [
    planned::SEQUENCES,
    carrier::SEQUENCES,
    rival::SEQUENCES,
    daemon::SEQUENCES,
    defined::SEQUENCES,
    management::SEQUENCES,
    network::SEQUENCES,
    freeze::SEQUENCES,
    two_addresses::SEQUENCES,
];

/// The sequence of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Sequence> {
    FAMILIES.into_iter().flatten().find(|sequence| sequence.name == name)
}
