//! promote: makes the standby the one that works. No process is started and no address is needed:
//! the data of dialogs and registrations is here, and becomes this node's own.

use std::time::Instant;

use ocf::{Request, Verdict};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::params::{Names, Params};
use crate::promotion::role::Role;
use crate::promotion::score;
use crate::promotion::tags::{client, hold};

pub(crate) fn promote(request: &Request) -> Result<Verdict> {
    let started = Instant::now();
    let params = Params::read(&request.values, &request.instance)?;
    let context = Context::new(request, &Names::from(&params))?;
    let _lock = context.lock_or_fail(context.deadline())?;
    let Some(main) = context.main_process()? else {
        return Err(Error::NothingToPromote);
    };
    let mut record = context.record_of(main.process);
    let tags = &params.sharing_tags;
    // Without tags nothing is to be held, nor is module clusterer there to be asked.
    if let Some(client) = client(&params, main.process)?.filter(|_| !tags.is_empty()) {
        hold(client, tags, context.deadline())?;
    }
    // Only now: a promote that failed half way has promoted nothing, and is asked for again.
    record.role = Role::Promoted;
    record.tag_astray = false;
    // What can't be remembered, where no tag tells it, is unpromoted to the next monitor. That is put
    // right when /run has room again; a survivor that does not take over serves nobody.
    if let Err(error) = context.remember_role(&record) {
        log::warn!("action=promote {error}");
    }
    if score::publish(request, &mut record, score::of(Role::Promoted, true))
        && let Err(error) = context.remember_role(&record)
    {
        log::warn!("action=promote {error}");
    }
    log::info!("action=promote pid={} took_ms={}", record.main.pid, started.elapsed().as_millis());
    Ok(Verdict::success())
}
