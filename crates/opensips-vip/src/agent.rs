//! Each action to its file.

use ocf::{Action, Agent, Description, Diagnosis, Exit, Finding, Request, Verdict};

use crate::actions::{diagnose, monitor, reload, start, stop, validate};
use crate::description::DESCRIPTION;
use crate::error::Error;
use crate::log_line;

/// What concerns the whole process.
fn begin(request: &Request) {
    log_line::begin(request);
    hostfs::retry_no_longer_than(request.deadline);
}

/// ocf:smartvox:opensips-vip
#[derive(Clone, Copy, Debug)]
pub(crate) struct VirtualIp;

impl Agent for VirtualIp {
    type Error = Error;

    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn validate(&self, request: &Request) -> Vec<Finding> {
        begin(request);
        validate::validate(request)
    }

    fn diagnose(&self, request: &Request) -> Diagnosis {
        begin(request);
        diagnose::diagnose(request)
    }

    fn perform(&self, request: &Request) -> Result<Verdict, Error> {
        begin(request);
        match request.action {
            Action::Start => start::start(request),
            Action::Stop => stop::stop(request),
            Action::Monitor => monitor::monitor(request),
            Action::ReloadAgent => reload::reload(request),
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
