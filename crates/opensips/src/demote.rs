//! demote: back to standby. The process is not touched; the sharing tag goes when another node
//! activates it, for there is no command to give it up. `demote=restart` restarts the daemon
//! instead, whose configuration says `=backup`.

use hostproc::Process;
use ocf::{Request, Verdict};

use crate::context::Context;
use crate::error::Result;
use crate::params::{Demote, Names, Params};
use crate::promotion::role::{Record, Role};
use crate::promotion::score;
use crate::promotion::sharing_tag::{TagState, in_state};
use crate::promotion::tags::client;
use crate::start::{self, Fit, fit};
use crate::stop;

pub(crate) fn demote(request: &Request) -> Result<Verdict> {
    let params = Params::read(&request.values, &request.instance)?;
    let context = Context::new(request, &Names::from(&params))?;
    let lock = context.lock_or_fail(context.deadline())?;
    let Some(main) = context.main_process()? else {
        // What does not run is not promoted; monitor and stop see to the rest.
        if let Some(record) = context.record() {
            context.remember_role(&Record { role: Role::Unpromoted, ..record })?;
        }
        return Ok(Verdict::success());
    };
    let restarts = params.demote == Demote::Restart && holds_a_tag(&context, &params, main.process);
    if restarts {
        // What can't be started again is not stopped: it is still promoted, and a failed demote says
        // why. Pacemaker goes on with a stop.
        let third = request.deadline.within(request.deadline.remaining() / 3);
        let _: Fit = fit(&params, request.promotable, third)?;
    }
    let mut record = context.record_of(main.process);
    record.role = Role::Unpromoted;
    record.tag_astray = false;
    context.remember_role(&record)?;
    if restarts {
        drop(lock);
        return restart(request);
    }
    let score = score::after_demote(record.score);
    if score::publish(request, &mut record, score) {
        context.remember_role(&record)?;
    }
    log::info!("action=demote pid={}", record.main.pid);
    Ok(Verdict::success())
}

/// In doubt yes: whoever asks for a restart wants to be sure.
fn holds_a_tag(context: &Context<'_>, params: &Params, main: Process) -> bool {
    let third = context.deadline().within(context.deadline().remaining() / 3);
    match client(params, main) {
        Ok(Some(client)) => in_state(client, &params.sharing_tags, TagState::Active, third)
            .map_or(true, |active| !active.is_empty()),
        Ok(None) | Err(_) => true,
    }
}

fn restart(request: &Request) -> Result<Verdict> {
    let half = request.deadline.remaining() / 2;
    let stopping = Request { deadline: request.deadline.within(half), ..request.clone() };
    log::info!("action=demote next=restart");
    let _: Verdict = stop::stop(&stopping)?;
    start::start(request)
}
