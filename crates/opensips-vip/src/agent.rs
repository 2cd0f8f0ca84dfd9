//! The agent: each action to its file.

use ocf::{Action, Agent, Description, Diagnosis, Exit, Finding, Request, Verdict};

use crate::error::Error;
use crate::params::Params;
use crate::{description, diagnose, monitor, start, stop, validate};

/// ocf:smartvox:opensips-vip
#[derive(Clone, Copy, Debug)]
pub struct VirtualIp;

impl Agent for VirtualIp {
    type Error = Error;

    fn description(&self) -> &'static Description {
        &description::DESCRIPTION
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
            // Nothing is kept between actions: the next one reads the new values. The
            // announcements under way belong to the start that began them.
            Action::ReloadAgent => {
                Params::read(&request.values)?;
                Ok(Verdict::success())
            }
            // Not offered, or answered before an agent is asked.
            Action::Promote
            | Action::Demote
            | Action::Notify
            | Action::ValidateAll
            | Action::MetaData
            | Action::Diagnose => Ok(Verdict::failed(
                Exit::Unimplemented,
                format!("action {} is not implemented", request.action),
            )),
        }
    }
}
