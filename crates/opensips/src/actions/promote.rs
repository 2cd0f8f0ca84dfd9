//! promote: makes the standby the active node. No process is started and no address is needed: the
//! dialogs and registrations that were replicated to this node become its own.

use std::time::Instant;

use hostproc::Process;
use ocf::{Action, LogLine, Request, Verdict};

use super::budgets;
use crate::async_monitor;
use crate::error::Result;
use crate::instance::Instance;
use crate::instance::role::{Record, Role};
use crate::params::{Names, Params};
use crate::promotion::{self, Error, score};

pub(crate) fn promote(request: &Request) -> Result<Verdict> {
    let started = Instant::now();
    let params = Params::read(&request.values, &request.instance)?;
    let instance = Instance::load(request, &Names::from(&params))?;
    let _lock = instance.lock(instance.deadline())?;
    let Some(main) = instance.main_process()? else {
        // Pacemaker learns of the death from this action.
        async_monitor::kill(&instance);
        return Err(Error::NothingToPromote.into());
    };
    let mut record = instance.record_of(main.process);
    let holds_tags = hold_tags(&instance, &params, main.process);
    record.role = Role::Promoted;
    record.tag_astray = false;
    remember(&instance, &record);
    if score::publish(request, &mut record, score::after_promote(holds_tags)) {
        remember(&instance, &record);
    }
    let line = LogLine::of(Action::Promote).field("pid", record.main.pid);
    log::info!("{}", line.field("took_ms", started.elapsed().as_millis()));
    Ok(Verdict::success())
}

/// Returns whether the sharing tags are active. An instance that could not activate them serves callers
/// all the same: a failure would restart it, and where no other one is ready nobody would serve. Its
/// lower score lets Pacemaker promote one that is ready, and monitor tells the reason and tries again.
fn hold_tags(instance: &Instance<'_>, params: &Params, main: Process) -> bool {
    let deadline = budgets::for_sharing_tags(instance.deadline());
    match promotion::hold_tags(params, main, deadline) {
        Ok(()) => true,
        Err(error) => {
            let line = LogLine::of(Action::Promote).field("pid", main.pid);
            log::error!("{}", line.note(format!("promoted without its sharing tags: {error}")));
            false
        }
    }
}

/// Where no tag tells the role, the next monitor takes an instance without a record as unpromoted. That
/// is put right when /run has room again; a survivor that does not take over would serve no caller.
fn remember(instance: &Instance<'_>, record: &Record) {
    if let Err(error) = instance.remember_role(record) {
        log::warn!("{}", LogLine::of(Action::Promote).note(error));
    }
}
