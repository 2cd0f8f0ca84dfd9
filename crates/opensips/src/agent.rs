//! The agent: each action to its file.

use ocf::{Action, Agent, Description, Diagnosis, Finding, Request, Verdict};

use crate::actions::{demote, diagnose, monitor, promote, reload, start, stop, validate};
use crate::description;
use crate::error::Error;

/// `ocf:smartvox:opensips`
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenSips;

impl Agent for OpenSips {
    type Error = Error;

    fn description(&self) -> &'static Description {
        &description::DESCRIPTION
    }

    fn validate(&self, request: &Request) -> Vec<Finding> {
        hostfs::retry_no_longer_than(request.deadline);
        validate::validate(request)
    }

    fn diagnose(&self, request: &Request) -> Diagnosis {
        hostfs::retry_no_longer_than(request.deadline);
        diagnose::diagnose(request)
    }

    fn perform(&self, request: &Request) -> Result<Verdict, Error> {
        hostfs::retry_no_longer_than(request.deadline);
        match request.action {
            Action::Start => start::start(request),
            Action::Stop => stop::stop(request),
            Action::Monitor => monitor::monitor(request),
            Action::Promote => promote::promote(request),
            Action::Demote => demote::demote(request),
            Action::ReloadAgent => reload::reload(request),
            action => Err(Error::NotImplemented(action)),
        }
    }
}
