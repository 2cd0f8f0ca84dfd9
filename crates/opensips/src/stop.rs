//! stop: ends the whole instance. 0 whenever nothing of it is left, whatever else is wrong.

use std::path::Path;
use std::time::{Duration, Instant};

use hostproc::{LockFile, Pid, Signal, kill_tree};
use ocf::{Request, Verdict};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::host;
use crate::host::fifo;
use crate::instance::identity::Identity;
use crate::monitor::refuse_leftover_sockets;
use crate::params::{Account, Names};
use crate::plan;
use crate::process::survey::{PidFile, Pids};
use crate::process::terminate::{send, terminate};
use crate::promotion::score::withdraw;

/// Left for SIGKILL and the last look, where stop_grace is not given.
const KILL_RESERVE: Duration = Duration::from_secs(5);
/// Between two looks at who stands in the way.
const AGAIN: Duration = Duration::from_millis(100);

pub(crate) fn stop(request: &Request) -> Result<Verdict> {
    // Wrong parameters are no reason to leave something running, nor to fail where nothing is.
    let names = Names::read(&request.values, &request.instance);
    let context = Context::new(request, &names)?;
    let deadline = context.deadline();

    let lock = take_lock(&context)?;
    // Whoever had the lock may have left other things to remember.
    let context = Context::new(request, &names)?;
    let survey = context.identity.survey(&context.proc)?;
    let started = Instant::now();
    if let Err(error) = plan::refuse_elsewhere(&survey) {
        log::warn!("action=stop found=\"{error}\" next=end");
    }
    if !survey.is_empty() {
        let reserve = KILL_RESERVE.min(deadline.remaining() / 2);
        let longest = deadline.less(reserve);
        let grace = names.stop_grace.map_or(longest, |grace| longest.within(grace));
        let again = || context.identity.survey(&context.proc);
        terminate(&context.proc, again, grace, deadline)?;
    }
    withdraw(request, deadline);
    free_sockets(&context, names.user.as_ref())?;
    clean_up(&context, &names);
    if !survey.is_empty() {
        log::info!(
            "action=stop processes={} main={} took_ms={}",
            survey.members.len(),
            survey.main.map_or_else(|| "none".into(), |main| main.process.pid.to_string()),
            started.elapsed().as_millis()
        );
    }
    if let Some(lock) = lock {
        let _ = lock.remove();
    }
    Ok(Verdict::success())
}

/// Keeps every other action on the instance away. One that is at work, a start by hand, has a third of
/// the time to end; then it is ended: left alone, it would bring up what this stop says is not there.
///
/// `None` where no lock can be had: on a read-only file system; because another program, or one that
/// can't be seen from here, sits on it; because the killed one waits in the kernel (a dead NFS server):
/// it will execute nothing any more, and is no reason to fence a node.
///
/// # Errors
/// [`Error::Locked`]: an action of this agent is at work and can't be killed.
fn take_lock(context: &Context<'_>) -> Result<Option<LockFile>> {
    let deadline = context.deadline();
    let longest = deadline.less(KILL_RESERVE.min(deadline.remaining() / 2));
    let mut until = deadline.within(deadline.remaining() / 3);
    let mut killed = false;
    loop {
        match context.lock(until) {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Ok(None) => {}
            Err(error) => {
                log::warn!("{error}");
                return Ok(None);
            }
        }
        let holder = context.lock_holder().filter(|holder| holder.pid != Pid::own());
        match holder {
            Some(holder) if context.is_this_agent(holder) => {
                log::warn!("action=stop lock_holder={} next=kill", holder.pid);
                let sent = kill_tree(&context.proc, &holder);
                killed = sent.is_ok();
                if let Err(error) = sent {
                    log::warn!("{error}");
                }
            }
            Some(holder) => {
                log::warn!("action=stop lock_holder={} note=\"not this agent\"", holder.pid);
                return Ok(None);
            }
            // It has just ended.
            None => {}
        }
        if longest.has_passed() && (killed || holder.is_none()) {
            log::warn!("action=stop lock=none note=\"who holds it executes nothing any more\"");
            return Ok(None);
        }
        if longest.has_passed() {
            return Err(Error::Locked { holder: holder.map(|process| process.pid) });
        }
        until = longest.within(AGAIN);
    }
}

/// Ends who still holds a socket of the instance, though no daemon of it is alive, and belongs to its
/// session or its user. Others are told, and what is remembered stays, for the next stop and for monitor: a next
/// instance would share the socket, or find it taken. They have some seconds to let go of it.
///
/// # Errors
/// [`Error::SocketLeft`]
fn free_sockets(context: &Context<'_>, user: Option<&Account>) -> Result<()> {
    let Some(state) = &context.state else { return Ok(()) };
    let user = user.and_then(|user| host::local_user(user).ok().flatten());
    let until = context.deadline().within(KILL_RESERVE);
    let mut killed = false;
    loop {
        let left = match refuse_leftover_sockets(context) {
            Ok(()) => return Ok(()),
            Err(left @ Error::SocketLeft { .. }) => left,
            // What can't be listed proves nothing, and no process of the instance is alive.
            Err(error) => {
                log::warn!("{error}");
                return Ok(());
            }
        };
        let remains = context.identity.remains(&context.proc, &state.listeners, user)?;
        // After the first SIGKILL one more look must be possible.
        if until.has_passed() && (killed || remains.is_empty()) {
            return Err(left);
        }
        if !remains.is_empty() {
            log::warn!("action=stop socket_holders=\"{}\" next=kill", Pids(&remains));
            send(&context.proc, &remains, Signal::SIGKILL);
            killed = true;
        }
        std::thread::sleep(AGAIN);
    }
}

/// Removes the files of an instance that is gone. A file that stays is no reason to fence a node.
fn clean_up(context: &Context<'_>, names: &Names) {
    let paths = [context.paths.state(), context.paths.role(), context.paths.output()];
    let mut results: Vec<Result<()>> = paths.iter().map(|path| host::remove(path)).collect();
    if let Some(pidfile) = context.identity.pidfile() {
        results.push(remove_pidfile(&context.proc, &context.identity, pidfile));
    }
    results.push(fifo::remove_left(names.mi.as_ref(), names.user.as_ref()));
    for error in results.into_iter().filter_map(Result::err) {
        log::warn!("{error}");
    }
}

/// Removes the pid file, unless another instance of the daemon, alive, says that it is its own.
/// Nothing of this instance may be alive.
pub(crate) fn remove_pidfile(
    proc: &hostproc::ProcFs,
    identity: &Identity,
    pidfile: &Path,
) -> Result<()> {
    match claimed_by_another(proc, identity, pidfile)? {
        Some(pid) => {
            log::warn!("pidfile={} kept=yes owner={pid}", pidfile.display());
            Ok(())
        }
        None => host::remove(pidfile),
    }
}

/// The pid of another instance that runs with this very pid file.
pub(crate) fn claimed_by_another(
    proc: &hostproc::ProcFs,
    identity: &Identity,
    pidfile: &Path,
) -> Result<Option<Pid>> {
    let PidFile::Names(pid) = PidFile::read(pidfile) else { return Ok(None) };
    if !identity.may_be_the_daemon(proc, pid)? {
        return Ok(None);
    }
    Ok(identity.has_pidfile(proc, pid, pidfile)?.then_some(pid))
}
