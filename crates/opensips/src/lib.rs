//! `ocf:smartvox:opensips`: OpenSIPS under Pacemaker.
#![allow(missing_docs)]

use std::process::ExitCode;

mod agent;
mod context;
mod daemon;
mod demote;
mod description;
mod diagnose;
mod error;
mod health;
mod host;
mod instance;
mod mi;
mod monitor;
mod params;
mod plan;
mod process;
mod promote;
mod promotion;
mod reload;
mod sip;
mod sockets;
mod start;
mod stop;
mod validate;

pub use description::DESCRIPTION;

/// The program that Pacemaker executes.
pub fn main() -> ExitCode {
    ocf::run(&agent::OpenSips)
}
