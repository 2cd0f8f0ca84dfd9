//! monitor: judges the instance as it is. Starts no process, but where a promotion score changes.

use std::time::Duration;

use ocf::{Request, Verdict};

use crate::context::Context;
use crate::daemon::crash::Evidence;
use crate::daemon::launch::trim_output;
use crate::error::{Error, Result};
use crate::health;
use crate::host::systemd_unit;
use crate::instance::state::State;
use crate::params::{Names, Params};
use crate::plan::{self, Reach};
use crate::promotion::role::{Record, Role};
use crate::promotion::score;
use crate::promotion::standby::{self, Recalled};
use crate::sockets::expected::Expected;
use crate::sockets::owner::Owner;
use crate::sockets::table::SocketTable;

/// From this level on, every listener has to answer.
const EVERY_LISTENER_LEVEL: u32 = 20;

/// Kept back for telling Pacemaker of a failure that took all the time there was.
const SCORE_RESERVE: Duration = Duration::from_secs(2);

pub(crate) fn monitor(request: &Request) -> Result<Verdict> {
    let params = Params::read(&request.values, &request.instance)?;
    let mut looking = request.clone();
    if request.promotable {
        let tenth = request.deadline.remaining() / 10;
        looking.deadline = request.deadline.less(SCORE_RESERVE.min(tenth));
    }
    let context = Context::new(&looking, &Names::from(&params))?;
    let found = find(&context, &params, |main| judge(request, &context, &params, main));
    Ok(found.unwrap_or_else(|error| {
        let known = context.record();
        if let Some(record) = known {
            keep(request, &context, known, record, Recalled::Known, score::FAILED);
        }
        of_record(known, error)
    }))
}

/// What monitor would say now, without what it does beside: nothing is remembered, and sharing tags
/// and promotion scores are left alone.
pub(crate) fn glance(context: &Context<'_>, params: &Params) -> Verdict {
    let found = find(context, params, |main| {
        let record = context.record_of(main.process);
        let judged = look(context, params, main).map(|(remarks, _)| remarks);
        in_role(record.role, judged.map_err(|error| with_evidence(context, error)))
    });
    found.unwrap_or_else(|error| of_record(context.record(), error))
}

/// Finds the instance, and has a living one judged.
fn find(
    context: &Context<'_>,
    params: &Params,
    judge: impl Fn(&hostproc::Stat) -> Verdict,
) -> Result<Verdict> {
    match context.identity.main_process(&context.proc)? {
        Some(main) => Ok(judge(&main)),
        None => without_pidfile(context, params, judge),
    }
}

/// The verdict on an instance of which no main process is found.
fn of_record(record: Option<Record>, error: Error) -> Verdict {
    in_role(record.map_or(Role::Unpromoted, |record| record.role), Err(error))
}

/// The quick way, by pid file and memory, has found no main process.
fn without_pidfile(
    context: &Context<'_>,
    params: &Params,
    judge: impl Fn(&hostproc::Stat) -> Verdict,
) -> Result<Verdict> {
    let survey = context.identity.survey(&context.proc)?;
    plan::refuse_elsewhere(&survey)?;
    if let Some(main) = survey.main {
        log::debug!("pid={} note=\"not named by {}\"", main.process.pid, params.pidfile.display());
        return Ok(judge(&main));
    }
    plan::judge_leftovers(&survey).map_err(|error| with_evidence(context, error))?;
    refuse_leftover_sockets(context)?;
    match &context.state {
        // It was started and not stopped: a fault, of which Pacemaker shows the reason.
        Some(state) if !context.request.probe => {
            Err(Error::Gone { main: state.main.pid, evidence: evidence(context, state) })
        }
        _ => Ok(Verdict::not_running()),
    }
}

/// What is known about the death of the instance that is remembered.
fn evidence(context: &Context<'_>, state: &State) -> Evidence {
    Evidence::of(state.main.pid, &context.paths.output())
}

/// The same, where a part of it is left.
fn with_evidence(context: &Context<'_>, error: Error) -> Error {
    match (&error, &context.state) {
        (Error::Orphans { .. } | Error::DeadWorker { .. }, Some(state)) => {
            let evidence = evidence(context, state);
            Error::Crashed { source: Box::new(error), evidence }
        }
        _ => error,
    }
}

/// Judges a living instance by its role; a fault of a promoted one has codes of its own.
fn judge(
    request: &Request,
    context: &Context<'_>,
    params: &Params,
    main: &hostproc::Stat,
) -> Verdict {
    let known = context.record();
    let (mut record, recalled) = standby::recall(context, params, known, main.process);
    let judged = serves(context, params, main).map_err(|error| with_evidence(context, error));
    let judged = judged.and_then(|mut remarks| {
        let found = standby::judge(context, params, &mut record)?;
        remarks.extend(found.remarks);
        Ok((remarks, found.score))
    });
    let score = judged.as_ref().map_or(score::FAILED, |(_, score)| *score);
    keep(request, context, known, record, recalled, score);
    in_role(record.role, judged.map(|(remarks, _)| remarks))
}

/// Keeps what was found of the role, and tells Pacemaker the score. Where a promote or demote is or
/// was at work meanwhile, that one knows better, and the next monitor looks anew.
fn keep(
    request: &Request,
    context: &Context<'_>,
    known: Option<Record>,
    mut found: Record,
    recalled: Recalled,
    score: i32,
) {
    let is_kept = recalled == Recalled::Guessed || known == Some(found);
    if is_kept && !score::is_news(request, found.score, score) {
        return;
    }
    let lock = context.lock(context.deadline().within(Duration::ZERO));
    let Ok(Some(_lock)) = lock else { return };
    if context.record() != known {
        return;
    }
    score::publish(request, &mut found, score);
    if recalled != Recalled::Guessed
        && known != Some(found)
        && let Err(error) = context.remember_role(&found)
    {
        log::warn!("{error}");
    }
}

fn in_role(role: Role, judged: Result<Vec<String>>) -> Verdict {
    let verdict = match judged {
        Ok(remarks) if remarks.is_empty() => Verdict::success(),
        Ok(remarks) => Verdict::degraded(remarks.join("; ")),
        Err(error) => Verdict::from(error),
    };
    match role {
        Role::Promoted => verdict.of_promoted(),
        Role::Unpromoted => verdict,
    }
}

/// [`look`], and what follows from it for the next monitor.
fn serves(context: &Context<'_>, params: &Params, main: &hostproc::Stat) -> Result<Vec<String>> {
    let (remarks, expected) = look(context, params, main)?;
    if remembered(context, main).is_none_or(|state| state.listeners != expected) {
        adopt(context, params, main, &expected);
    }
    trim_output(&context.paths.output());
    Ok(remarks)
}

/// Processes, sockets and SIP; from level 20 on at every listener. Gives what an operator should
/// look at, and the sockets of the instance.
fn look(
    context: &Context<'_>,
    params: &Params,
    main: &hostproc::Stat,
) -> Result<(Vec<String>, Vec<Expected>)> {
    let (proc, deadline) = (&context.proc, context.deadline());
    let deep = context.request.check_level >= EVERY_LISTENER_LEVEL;
    let reach = if deep { Reach::Every } else { Reach::One };
    let mut expected = match remembered(context, main) {
        Some(state) => state.listeners.clone(),
        None => health::opened(proc, params, main, deadline)?,
    };
    let mut remarks = health::judge(context, params, main, &mut expected, reach, deadline)?;
    remarks.extend(systemd_unit::remark(params, main.process.pid));
    Ok((remarks, expected))
}

/// What was remembered of another main process says nothing about this one.
fn remembered<'a>(context: &'a Context<'_>, main: &hostproc::Stat) -> Option<&'a State> {
    context.state.as_ref().filter(|state| state.main == main.process)
}

/// Remembers an instance that this agent has not started, or whose memory was lost, or of which more
/// is demanded than before, now that it is known to serve: the next monitor is cheap again, and sees
/// when one of its sockets closes.
fn adopt(context: &Context<'_>, params: &Params, main: &hostproc::Stat, opened: &[Expected]) {
    // A start at work knows better than its processes what it will open.
    if let Ok(Some(_lock)) = context.lock(context.deadline().within(Duration::ZERO)) {
        context.remember(params, main, opened);
        log::info!("action=monitor pid={} adopted=yes sockets={}", main.process.pid, opened.len());
    }
}

/// A socket of the instance that outlived it is held by somebody: "not running" would be wrong.
pub(crate) fn refuse_leftover_sockets(context: &Context<'_>) -> Result<()> {
    let Some(state) = &context.state else { return Ok(()) };
    let listeners: Vec<_> = state.listeners.iter().map(|(listener, _)| listener.clone()).collect();
    let table = SocketTable::of(&listeners, context.deadline())?;
    for (listener, inode) in &state.listeners {
        if let Some(socket) = table.at(listener).find(|socket| socket.inode == *inode) {
            let owner = Owner::of(&context.proc, socket);
            return Err(Error::SocketLeft { listener: listener.clone(), owner });
        }
    }
    Ok(())
}
