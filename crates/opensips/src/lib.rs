//! `ocf:smartvox:opensips`: OpenSIPS under Pacemaker.
//!
//! Parameters and decisions are values ([`params`], [`plan`], [`listener`], [`sip`],
//! [`command_line`]); the other modules look at the host and act on it.

pub mod addresses;
pub mod command_line;
mod config;
mod context;
mod declared_tags;
mod demote;
pub mod description;
mod environment;
pub mod error;
mod files;
mod health;
mod host;
pub mod instance;
mod launch;
pub mod listener;
pub mod mi;
mod mi_health;
mod monitor;
pub mod nonlocal_bind;
pub mod params;
mod paths;
pub mod plan;
mod promote;
mod promotion_score;
mod reload;
pub mod role;
pub mod sharing_tag;
pub mod sip;
pub mod sip_probe;
pub mod sockets;
mod standby;
mod start;
mod startup;
pub mod state;
mod stop;
pub mod survey;
mod systemd_unit;
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
            Action::Promote => promote::promote(request),
            Action::Demote => demote::demote(request),
            Action::ReloadAgent => reload::reload(request),
            action => Err(Error::NotOffered { action }),
        }
    }
}
