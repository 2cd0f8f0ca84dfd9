//! `ocf:smartvox:opensips`: OpenSIPS under Pacemaker.
//!
//! Each action has a file of its own name. What they share: decisions as values ([`params`],
//! [`plan`]); the daemon's [`process`]es and [`sockets`], what is asked of it ([`sip`], [`mi`]), and
//! the roles of a clone ([`promotion`]).

#![allow(missing_docs, reason = "an agent is a program: nothing outside calls it")]

mod context;
mod daemon;
mod demote;
pub mod description;
mod diagnose;
pub mod error;
mod health;
mod host;
pub mod instance;
pub mod mi;
mod monitor;
pub mod params;
pub mod plan;
pub mod process;
mod promote;
pub mod promotion;
mod reload;
pub mod sip;
pub mod sockets;
mod start;
mod stop;
mod validate;

use ocf::{Action, Agent, Description, Diagnosis, Finding, Request, Verdict};

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

    fn diagnose(&self, request: &Request) -> Diagnosis {
        diagnose::diagnose(request)
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
