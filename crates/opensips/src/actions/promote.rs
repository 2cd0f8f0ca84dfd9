//! promote: makes the standby the active node. No process is started and no address is needed: the
//! dialogs and registrations that were replicated to this node become its own.

use std::time::Instant;

use ocf::{Action, LogLine, Request, Verdict};

use crate::daemon::management::client;
use crate::error::Result;
use crate::instance::Instance;
use crate::instance::role::{Record, Role};
use crate::params::{Names, Params};
use crate::promotion::{Error, score, tags};

pub(crate) fn promote(request: &Request) -> Result<Verdict> {
    let started = Instant::now();
    let params = Params::read(&request.values, &request.instance)?;
    let instance = Instance::load(request, &Names::from(&params))?;
    let _lock = instance.lock(instance.deadline())?;
    let Some(main) = instance.main_process()? else {
        return Err(Error::NothingToPromote.into());
    };
    let mut record = instance.record_of(main.process);
    let tags = &params.sharing_tags;
    // Without tags there is nothing to activate, and module clusterer need not be loaded.
    if !tags.is_empty()
        && let Some(client) = client(&params, main.process)?
    {
        tags::hold(client, tags, instance.deadline())?;
    }
    // Only now: a promote that failed half way has promoted nothing, and is tried again.
    record.role = Role::Promoted;
    record.tag_astray = false;
    remember(&instance, &record);
    if score::publish(request, &mut record, score::of(Role::Promoted, true)) {
        remember(&instance, &record);
    }
    let line = LogLine::of(Action::Promote).field("pid", record.main.pid);
    log::info!("{}", line.field("took_ms", started.elapsed().as_millis()));
    Ok(Verdict::success())
}

/// Where no tag tells the role, the next monitor takes an instance without a record as unpromoted. That
/// is put right when /run has room again; a survivor that does not take over would serve no caller.
fn remember(instance: &Instance<'_>, record: &Record) {
    if let Err(error) = instance.remember_role(record) {
        log::warn!("{}", LogLine::of(Action::Promote).note(error));
    }
}
