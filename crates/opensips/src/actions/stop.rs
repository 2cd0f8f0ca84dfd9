//! stop: ends the whole instance. Returns 0 whenever nothing of it is left, whatever else is wrong.

use std::time::{Duration, Instant};

use hostproc::{Acquisition, ActionLock, OwnActions, Signal, Stat};
use nix::unistd::Uid;
use ocf::{Action, LogLine, Request, Verdict};

use super::budgets;
use crate::async_monitor;
use crate::daemon::{account, fifo};
use crate::error::{Error, Result};
use crate::health;
use crate::health::stale::refuse_stale_sockets;
use crate::instance::{self, Instance, pid_file};
use crate::params::Names;
use crate::process::survey::{Pids, Survey};
use crate::process::terminate::{send, terminate};
use crate::promotion::score;
use crate::sockets::expected::Expected;

/// The pause between two looks at the processes that hold a socket.
const AGAIN: Duration = Duration::from_millis(100);

pub(crate) fn stop(request: &Request) -> Result<Verdict> {
    // Invalid parameters are no reason to leave an instance running, nor to fail where none is.
    let names = Names::read(&request.values, &request.instance);
    let former = Instance::load(request, &names)?;
    // First of all: what this stop ends is no death.
    async_monitor::kill(&former);
    let lock = take_lock(&former)?;
    let no_async_monitor = async_monitor::keep_away(&former);
    // Loaded once more: the former holder of the lock may have remembered another instance.
    let instance = Instance::load(request, &names)?;
    let started = Instant::now();
    let survey = instance.survey()?;
    if let Some(elsewhere) = &survey.elsewhere {
        let line = LogLine::of(Action::Stop).field("kept", elsewhere.pid);
        log::info!("{}", line.note(instance::Error::from(elsewhere.clone())));
    }
    if !survey.is_empty() {
        end(&instance, &names)?;
    }
    score::withdraw(request, instance.deadline());
    free_sockets(&instance, &names)?;
    clean_up(&instance, &names);
    if lock.is_none() {
        // The lock removes it otherwise.
        let _ = instance.files.run().remove(&instance.files.stop_mark());
    }
    if !survey.is_empty() {
        log_end(&survey, started);
    }
    async_monitor::allow(no_async_monitor);
    drop(lock);
    Ok(Verdict::success())
}

fn end(instance: &Instance<'_>, names: &Names) -> Result<()> {
    let longest = budgets::before_kill(instance.deadline());
    let grace = names.stop_grace.map_or(longest, |grace| longest.within(grace));
    let survey = || instance.identity.survey(&instance.proc);
    Ok(terminate(&instance.proc, survey, grace, instance.deadline())?)
}

/// Keeps every other action on the instance away. A start by hand that is still running is asked to
/// end, and killed after a third of the time: it would bring up what this stop reports as gone.
///
/// `None` if there is no lock to be had, which is no reason to fence a node: the run directory is on a
/// read-only file system; another program, or one that is not visible from here, holds it; or the killed
/// holder is stuck in the kernel (a dead NFS server), where it executes nothing any more.
///
/// # Errors
/// [`instance::Error::Locked`]: an action of this agent is running and can't be killed.
fn take_lock(instance: &Instance<'_>) -> Result<Option<ActionLock>> {
    let deadline = instance.deadline();
    let (files, own) = (instance.files.action_lock(), OwnActions::of_this_program("stop"));
    let patience = budgets::for_other_action(deadline);
    match ActionLock::take_over(&files, &own, patience, budgets::before_kill(deadline)) {
        Acquisition::Acquired(lock) => {
            if let Some(killed) = lock.killed() {
                let line = LogLine::of(Action::Stop).field("pid", killed.pid);
                log::warn!("{}", line.note("another action of this instance was killed"));
            }
            Ok(Some(lock))
        }
        Acquisition::Busy { holder } => {
            Err(instance::Error::Locked { holder: holder.map(|process| process.pid) }.into())
        }
        Acquisition::Unavailable(error) => {
            log::warn!("{}", LogLine::of(Action::Stop).field("lock", "none").note(error));
            Ok(None)
        }
        // Only for actions that are not a stop.
        Acquisition::Stopped => Ok(None),
    }
}

/// Ends the processes that still hold a socket of the instance, though no daemon of it is alive, and
/// belong to its session or its user. Other holders have some seconds to close it. What is remembered
/// stays then, for the next stop and for monitor: a next instance would share the socket, or find it in
/// use.
///
/// # Errors
/// [`health::Error::StaleSocket`]
fn free_sockets(instance: &Instance<'_>, names: &Names) -> Result<()> {
    let Some(state) = &instance.state else { return Ok(()) };
    let user = names.user.as_ref().and_then(|user| account::local_user(user).ok().flatten());
    let until = budgets::for_stale_sockets(instance.deadline());
    let mut killed = false;
    loop {
        let stale = match refuse_stale_sockets(instance, instance.deadline()) {
            Ok(()) => return Ok(()),
            Err(stale @ health::Error::StaleSocket { .. }) => stale,
            // What can't be listed proves nothing, and no process of the instance is alive.
            Err(error) => {
                log::warn!("{}", LogLine::of(Action::Stop).note(error));
                return Ok(());
            }
        };
        let holders = stale_holders(instance, &state.listeners, user)?;
        // The first SIGKILL is followed by one more look.
        if until.has_passed() && (killed || holders.is_empty()) {
            return Err(stale.into());
        }
        if !holders.is_empty() {
            let line = LogLine::of(Action::Stop).field("pids", Pids(&holders));
            log::warn!("{}", line.note("processes that hold a socket of the instance are killed"));
            send(&instance.proc, &holders, Signal::SIGKILL);
            killed = true;
        }
        std::thread::sleep(AGAIN);
    }
}

fn stale_holders(
    instance: &Instance<'_>,
    sockets: &[Expected],
    user: Option<Uid>,
) -> Result<Vec<Stat>> {
    Ok(instance.identity.remains(&instance.proc, sockets, user)?)
}

/// Removes the files of an instance that has ended. A file that stays is no reason to fence a node.
fn clean_up(instance: &Instance<'_>, names: &Names) {
    let (run, files) = (instance.files.run(), &instance.files);
    run.remove_unfinished(&[files.state(), files.role(), files.restarted_for()]);
    let mut results: Vec<Result<()>> = [files.state(), files.role(), files.output()]
        .iter()
        .chain(&files.states_by_number())
        .map(|name| run.remove(name).map_err(Error::from))
        .collect();
    if let Some(pidfile) = instance.identity.pidfile() {
        results.push(pid_file::remove(instance, pidfile).map_err(Error::from));
    }
    let fifo = fifo::remove_stale(names.mi.as_ref(), names.user.as_ref());
    results.push(fifo.map_err(Error::from));
    for error in results.into_iter().filter_map(Result::err) {
        log::warn!("{}", LogLine::of(Action::Stop).note(error));
    }
}

fn log_end(survey: &Survey, started: Instant) {
    let main = survey.main.map_or_else(|| "none".into(), |main| main.process.pid.to_string());
    let line = LogLine::of(Action::Stop)
        .field("processes", survey.members.len())
        .field("main", main)
        .field("took_ms", started.elapsed().as_millis());
    log::info!("{line}");
}
