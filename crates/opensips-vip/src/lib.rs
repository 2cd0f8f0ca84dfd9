//! ocf:smartvox:opensips-vip, the virtual IP address of a SIP cluster.
//!
//! An action reads the parameters ([`params`]), looks at the host's tables ([`target::Snapshot`]),
//! decides as a value what to do ([`plan`]), does it, looks again and judges what it sees as monitor
//! would ([`judge`]).

pub mod description;
pub mod judge;
pub mod params;
pub mod plan;
pub mod schedule;
pub mod target;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod simulation;
