//! monitor: judges the instance as it is. Starts no process.

use ocf::{Request, Verdict};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::health;
use crate::launch::trim_output;
use crate::params::{Names, Params};
use crate::plan;
use crate::sockets::{Owner, SocketTable};

pub(crate) fn monitor(request: &Request) -> Result<Verdict> {
    let params = Params::read(&request.values, &request.instance)?;
    let context = Context::new(request, &Names::from(&params))?;
    let Some(main) = context.identity.main_process(&context.proc)? else {
        return without_pidfile(&context, &params);
    };
    judge(&context, &params, &main)
}

/// The quick way, by pid file and memory, has found no main process.
fn without_pidfile(context: &Context<'_>, params: &Params) -> Result<Verdict> {
    let survey = context.identity.survey(&context.proc)?;
    if let Some(main) = survey.main {
        log::debug!("pid={} note=\"not named by {}\"", main.process.pid, params.pidfile.display());
        return judge(context, params, &main);
    }
    plan::judge_leftovers(&survey)?;
    refuse_leftover_sockets(context)?;
    Ok(Verdict::not_running())
}

fn judge(context: &Context<'_>, params: &Params, main: &hostproc::Stat) -> Result<Verdict> {
    // What was remembered of another main process says nothing about this one.
    let remembered = context.state.as_ref().filter(|state| state.main == main.process);
    let expected = remembered.map_or(&[][..], |state| &state.listeners);
    let remark = health::judge(&context.proc, params, main, expected, context.deadline())?;
    trim_output(&context.paths.output());
    Ok(remark.map_or_else(Verdict::success, Verdict::degraded))
}

/// A socket of the instance that outlived it is held by somebody: "not running" would be wrong.
fn refuse_leftover_sockets(context: &Context<'_>) -> Result<()> {
    let Some(state) = &context.state else { return Ok(()) };
    let listeners: Vec<_> = state.listeners.iter().map(|(listener, _)| listener.clone()).collect();
    let table = SocketTable::of(&listeners, context.deadline().instant())?;
    for (listener, inode) in &state.listeners {
        if let Some(socket) = table.at(listener).find(|socket| socket.inode == *inode) {
            let owner = Owner::of(&context.proc, socket);
            return Err(Error::SocketLeft { listener: listener.clone(), owner });
        }
    }
    Ok(())
}
