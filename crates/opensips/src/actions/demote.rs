//! demote: returns to standby. The process is not touched; an active sharing tag leaves when another
//! node activates it, because there is no command to give it up. With `demote=restart` the daemon, whose
//! configuration declares `=backup`, is restarted instead.

use hostproc::Process;
use ocf::{Action, LogLine, Request, Verdict};

use super::budgets;
use super::start::{self, Fit, require_fit};
use super::stop;
use crate::error::Result;
use crate::instance::Instance;
use crate::instance::role::{Record, Role};
use crate::params::{Demote, Names, Params};
use crate::promotion::{self, score};

pub(crate) fn demote(request: &Request) -> Result<Verdict> {
    let params = Params::read(&request.values, &request.instance)?;
    let instance = Instance::load(request, &Names::from(&params))?;
    let lock = instance.lock(instance.deadline())?;
    let Some(main) = instance.main_process()? else {
        // An instance that is not running is not promoted; monitor and stop do the rest.
        if let Some(record) = instance.record() {
            instance.remember_role(&Record { role: Role::Unpromoted, ..record })?;
        }
        return Ok(Verdict::success());
    };
    let restarts =
        params.demote == Demote::Restart && may_hold_a_tag(&instance, &params, main.process);
    if restarts {
        // An instance that can't be started again is not stopped: it remains promoted, and demote fails
        // with the reason. Pacemaker continues with a stop.
        let _: Fit = require_fit(request, &params, budgets::for_decision(request.deadline))?;
    }
    let mut record = instance.record_of(main.process);
    record.role = Role::Unpromoted;
    record.tag_astray = false;
    instance.remember_role(&record)?;
    if restarts {
        drop(lock);
        return restart(request);
    }
    let score = score::after_demote(record.score);
    if score::publish(request, &mut record, score) {
        instance.remember_role(&record)?;
    }
    log::info!("{}", LogLine::of(Action::Demote).field("pid", record.main.pid));
    Ok(Verdict::success())
}

/// Returns true when in doubt: `demote=restart` is for certainty.
fn may_hold_a_tag(instance: &Instance<'_>, params: &Params, main: Process) -> bool {
    let deadline = budgets::for_decision(instance.deadline());
    promotion::active_tags(params, main, deadline).map_or(true, |active| !active.is_empty())
}

fn restart(request: &Request) -> Result<Verdict> {
    let deadline = budgets::for_stop_of_restart(request.deadline);
    let stopping = Request { deadline, ..request.clone() };
    log::info!("{}", LogLine::of(Action::Demote).field("next", "restart"));
    let _: Verdict = stop::stop(&stopping)?;
    start::start(request)
}
