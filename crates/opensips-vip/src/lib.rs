//! ocf:smartvox:opensips-vip, the virtual IP address of a SIP cluster.
//!
//! An action reads the parameters (`params`), takes a snapshot of the host's tables (`host`), decides as
//! a value what to do (`decide`), does it in the kernel (`host`) and on the link (`wire`), takes a new
//! snapshot and judges it as monitor does. Imports point down: `actions`, `wire`, `host`, `decide`,
//! `params`, `description`. The one `error` of the crate wraps those of the rooms; only `actions` use it.

use std::ffi::OsString;
use std::process::ExitCode;

mod actions;
mod agent;
mod decide;
mod description;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod host;
mod log_line;
mod params;
mod wire;

#[cfg(test)]
mod testing;

pub use description::DESCRIPTION;

/// Runs the program: an action of the agent, or the announcer that start leaves running.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if wire::announcer::is_meant(arguments.first().map(OsString::as_os_str)) {
        wire::announcer::run(&arguments)
    } else {
        ocf::run(&agent::VirtualIp)
    }
}
