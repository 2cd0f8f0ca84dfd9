//! `ocf:smartvox:opensips`: OpenSIPS under Pacemaker.
//!
//! Imports point down: `actions`; `promotion`, which asks `health`; `daemon`; `instance`; the
//! leaf rooms `process`, `sockets`, `sip`, `mi`, which know neither parameters nor the instance.
//! `params` and `description` are at the side. Each room has errors of its own, which `error` wraps
//! and gives an exit code.
#![allow(missing_docs)]

use std::process::ExitCode;

mod actions;
mod agent;
mod daemon;
mod description;
mod error;
mod health;
mod instance;
mod mi;
mod params;
mod process;
mod promotion;
mod sip;
mod sockets;

pub use description::DESCRIPTION;

/// The program that Pacemaker executes.
pub fn main() -> ExitCode {
    ocf::run(&agent::OpenSips)
}
