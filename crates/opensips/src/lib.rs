//! `ocf:smartvox:opensips`: OpenSIPS under Pacemaker.
//!
//! Parameters and decisions are values ([`params`], [`plan`], [`listener`], [`sip`],
//! [`command_line`]); the other modules look at the host and act on it.

pub mod addresses;
pub mod command_line;
mod config;
mod context;
pub mod description;
mod environment;
pub mod error;
mod health;
mod host;
pub mod instance;
mod launch;
pub mod listener;
mod monitor;
pub mod nonlocal_bind;
pub mod params;
mod paths;
pub mod plan;
mod reload;
pub mod sip;
pub mod sip_probe;
pub mod sockets;
mod start;
mod startup;
pub mod state;
mod stop;
pub mod survey;
mod terminate;
mod validate;
pub mod words;

use ocf::{Action, Agent, Description, Finding, Request, Verdict};

pub use description::DESCRIPTION;
pub use error::Error;

/// The agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenSips;

impl Agent for OpenSips {
    type Error = Error;

    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn validate(&self, request: &Request) -> Vec<Finding> {
        validate::validate(request)
    }

    fn perform(&self, request: &Request) -> Result<Verdict, Error> {
        match request.action {
            Action::Start => start::start(request),
            Action::Stop => stop::stop(request),
            Action::Monitor => monitor::monitor(request),
            Action::ReloadAgent => reload::reload(request),
            action => Err(Error::NotOffered { action }),
        }
    }
}
