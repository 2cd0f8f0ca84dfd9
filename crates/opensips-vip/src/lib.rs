//! ocf:smartvox:opensips-vip, the virtual IP address of a SIP cluster.
//!
//! An action reads the parameters ([`params`]), looks at the host's tables ([`target::Snapshot`]),
//! decides as a value what to do ([`plan`]), does it, looks again and judges what it sees as monitor
//! would ([`judge`]). Those modules are pure; the effects are in the files named after the actions.

use std::ffi::OsString;
use std::process::ExitCode;

mod agent;
mod announce;
mod announcer;
mod deleting;
pub mod description;
mod diagnose;
mod error;
mod host;
pub mod judge;
mod managers;
mod monitor;
mod neighbours;
pub mod params;
pub mod plan;
mod question;
pub mod routing;
mod run_directory;
pub mod schedule;
mod source_routing;
mod start;
mod stop;
pub mod target;
mod turn;
mod validate;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod simulation;

pub use agent::VirtualIp;
pub use error::Error;

/// The program: an action of the agent, or the announcer that its start leaves behind.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if announcer::is_meant(arguments.next().as_deref()) {
        announcer::run(&arguments.collect::<Vec<OsString>>())
    } else {
        ocf::run(&VirtualIp)
    }
}
