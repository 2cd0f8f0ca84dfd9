//! `ocf:smartvox:opensips`: OpenSIPS under Pacemaker.
//!
//! Imports point down: `actions`; `promotion`, which asks `health`; `async_monitor`; `daemon`; `instance`; the
//! leaf rooms `cluster`, `process`, `sockets`, `sip`, `mi`, which know neither parameters nor the instance.
//! `params` and `description` are at the side. Each room has errors of its own, which `error` wraps
//! and gives an exit code.
#![allow(missing_docs)]

use std::ffi::OsString;
use std::process::ExitCode;

mod actions;
mod agent;
mod async_monitor;
mod cluster;
mod daemon;
mod description;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod health;
mod instance;
mod mi;
mod params;
mod process;
mod promotion;
mod sip;
mod sockets;

pub use description::DESCRIPTION;

/// Runs the program: an action of the agent, or the asynchronous monitor that start leaves running.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if async_monitor::is_meant(arguments.first().map(OsString::as_os_str)) {
        actions::async_monitor::run(&arguments)
    } else {
        ocf::run(&agent::OpenSips)
    }
}
