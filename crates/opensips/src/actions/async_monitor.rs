//! What the asynchronous monitor does: waits for the end of the main process, looks again, and tells
//! Pacemaker.
//!
//! start and stop end this process before they do anything else, with the programs that it runs. So
//! Pacemaker is told nothing about an instance that they have ended, and nothing that arrives when a new one
//! serves.

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{PidFd, ProcFs, Process, background};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use ocf::{Action, LogLine, Request};

use super::monitor;
use crate::async_monitor::{self, Watch};
use crate::cluster::{self, Status};
use crate::description::DESCRIPTION;
use crate::error::{self, Error};
use crate::health;
use crate::instance::Instance;
use crate::params::{Names, Params};
use crate::promotion::{handover, score};

/// How long it waits for its lock: a moment, because only a process that looks can hold it.
const LOCK_WAIT: Duration = Duration::from_millis(200);
/// A daemon that dies sooner is left to the recurring monitor. That looks every 2 s in the examples and
/// every 3 s with the operations of the meta-data, so one that crashes again and again is restarted no more
/// often than without this process.
const YOUNG: Duration = Duration::from_secs(5);
/// By then Pacemaker has been told, or never is: the recurring monitor has noticed the death long before.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long another action may have the lock.
const LOCKED: Duration = Duration::from_secs(1);
/// The longest single wait; then it waits again.
const DAY: Duration = Duration::from_secs(86_400);

/// How long Pacemaker may take until another instance is promoted.
const MOVE_ENDS: Duration = Duration::from_secs(3);
/// How long what follows the promotion has to be started, such as the virtual address.
const FOLLOWERS: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Runs the asynchronous monitor with the arguments of this process.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let Some(watch) = Watch::from_arguments(arguments) else {
        eprintln!("this option is used only by the agent itself");
        return ExitCode::FAILURE;
    };
    let open = || match PidFd::open(&ProcFs::default(), &watch.main) {
        Ok(Some(main)) if main.sleeps() => Ok(main),
        Ok(Some(_)) => Err("this kernel has no pidfds".to_owned()),
        Ok(None) => Err("the main process has ended".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    ocf::in_background(&DESCRIPTION, |request| {
        background::run(async_monitor::NAME, &watch.lock, LOCK_WAIT, open, |main, _| {
            follow(&request, &main);
        })
    })
}

/// Waits for the end of the main process, and logs what came of it.
fn follow(request: &Request, main: &PidFd) {
    loop {
        match main.wait_gone(Deadline::after(DAY)) {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => {
                log::warn!("{}", LogLine::of(Action::Monitor).note(error));
                return;
            }
        }
    }
    let request = Request { deadline: Deadline::after(PATIENCE), ..request.clone() };
    let line = LogLine::of(Action::Monitor).field("pid", main.process().pid);
    match report(&request, main.process()) {
        Ok(Report::Told(death)) => {
            log::error!("{}", line.field("asyncmon", "failed").note(death));
        }
        Ok(Report::Left(why)) => {
            let note = format!("the end of OpenSIPS is left to the next monitor: {why}");
            log::info!("{}", line.note(note));
        }
        Err(error) => {
            let note = format!("Pacemaker was not told of the end of OpenSIPS: {error}");
            log::warn!("{}", line.note(note));
        }
    }
}

/// What came of the end of the main process.
enum Report {
    /// Pacemaker knows.
    Told(Error),
    /// The recurring monitor judges it.
    Left(Reason),
}

/// Why Pacemaker is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Young,
    NotHere,
    Unmanaged,
    Known,
    CountsTwice,
    OtherOnFail,
    NoDeath,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Young => "it has lived for less than 5 s",
            Self::NotHere => "to Pacemaker the resource is not running on this node",
            Self::Unmanaged => "the resource is unmanaged, in maintenance mode or blocked",
            Self::Known => "Pacemaker knows of a failure or executes an action",
            Self::CountsTwice => {
                "there is a migration-threshold, and this version of Pacemaker counts twice"
            }
            Self::OtherOnFail => "a monitor has an on-fail other than restart",
            Self::NoDeath => "it was stopped, or runs again",
        })
    }
}

/// What keeps the asynchronous monitor from telling Pacemaker.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    #[error(transparent)]
    Agent(#[from] Error),
}

fn report(request: &Request, main: Process) -> Result<Report, Trouble> {
    if age(main).is_none_or(|age| age < YOUNG) {
        return Ok(Report::Left(Reason::Young));
    }
    let deadline = request.deadline;
    let node = match &request.node {
        Some(node) => node.clone(),
        None => cluster::node_name(deadline)?,
    };
    let status = cluster::status(&request.instance, deadline)?;
    if let Some(reason) = reason_to_leave(request, &status, &node)? {
        return Ok(Report::Left(reason));
    }
    let Some(death) = judge_death(request, deadline.within(LOCKED))? else {
        return Ok(Report::Left(Reason::NoDeath));
    };
    await_move(request, &status, &node);
    // Meanwhile a person may have started another daemon, which Pacemaker would restart.
    if judge_death(request, deadline.within(LOCKED))?.is_none() {
        return Ok(Report::Left(Reason::NoDeath));
    }
    cluster::fail(&request.instance, &node, deadline)?;
    Ok(Report::Told(death))
}

/// How long a process has existed; `None` if that can't be known.
fn age(process: Process) -> Option<Duration> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    let ticks = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let started = Duration::from_millis(process.start_time.checked_mul(1000)?.checked_div(ticks)?);
    Some(now.saturating_sub(started))
}

/// What an administrator has decided otherwise, and what Pacemaker knows already.
fn reason_to_leave(
    request: &Request,
    status: &Status,
    node: &str,
) -> cluster::Result<Option<Reason>> {
    let Some(here) = status.on(node) else { return Ok(Some(Reason::NotHere)) };
    if !here.managed {
        return Ok(Some(Reason::Unmanaged));
    }
    if here.failed || here.pending {
        return Ok(Some(Reason::Known));
    }
    let resource = request.instance.without_clone_number();
    if cluster::is_configured(&other_on_fail(resource.as_str()), request.deadline)? {
        return Ok(Some(Reason::OtherOnFail));
    }
    if !status.counts_once()
        && cluster::is_configured(&threshold(resource.as_str()), request.deadline)?
    {
        return Ok(Some(Reason::CountsTwice));
    }
    Ok(None)
}

/// A monitor that does something else than to restart the resource: Pacemaker does not apply that to
/// `asyncmon`. A template may be that of any resource.
fn other_on_fail(resource: &str) -> String {
    let monitor = "op[@name='monitor' and @on-fail and @on-fail!='restart']";
    let value = "nvpair[@name='on-fail' and @value!='restart']";
    format!(
        "//primitive[@id='{resource}']//{monitor}|//primitive[@id='{resource}']//op//{value}\
         |//template//{monitor}|//template//op//{value}|//op_defaults//{value}"
    )
}

/// A migration-threshold of the resource, of what contains it, of a template or of all resources.
fn threshold(resource: &str) -> String {
    let value = "nvpair[@name='migration-threshold' and @value!='INFINITY' and @value!='0']";
    format!(
        "//primitive[@id='{resource}']/ancestor-or-self::*/meta_attributes//{value}\
         |//template//{value}|//rsc_defaults//{value}"
    )
}

/// Judges an instance whose main process has ended, as a recurring monitor does, and publishes the
/// promotion score of a failure. `None` if it has not failed: it was stopped, or another main process is
/// there, which the recurring monitor judges.
///
/// # Errors
/// Another action is at work, or what is there can't be determined.
fn judge_death(request: &Request, patience: Deadline) -> error::Result<Option<Error>> {
    let params = Params::read(&request.values, &request.instance)?;
    let names = Names::from(&params);
    // A monitor may have the lock for a moment; every other action has a result of its own.
    let _lock = Instance::load(request, &names)?.lock(patience)?;
    let instance = Instance::load(request, &names)?;
    let Some(death) = find_death(&instance, &params)? else { return Ok(None) };
    let death = monitor::with_evidence(&instance, death);
    if let Some(mut record) = instance.record()
        && score::publish(request, &mut record, score::FAILED)
        && let Err(error) = instance.remember_role(&record)
    {
        log::warn!("{}", LogLine::of(Action::Monitor).note(error));
    }
    Ok(Some(death))
}

/// `None` if a main process is there, or if none should be.
fn find_death(instance: &Instance<'_>, params: &Params) -> error::Result<Option<Error>> {
    match monitor::find(instance, params) {
        Ok(Some(_) | None) => Ok(None),
        Err(Error::Health(
            death @ (health::Error::Gone { .. }
            | health::Error::Orphans { .. }
            | health::Error::StaleSocket { .. }),
        )) => Ok(Some(death.into())),
        Err(error) => Err(error),
    }
}

/// Waits until Pacemaker has moved the promoted role to another instance, because of the promotion score of
/// the failure, if there is one that may get it.
fn await_move(request: &Request, status: &Status, node: &str) {
    let names = Names::read(&request.values, &request.instance);
    let begins = || Instance::load(request, &names).is_ok_and(|it| handover::begins(&it));
    if !handover::has_successor(status, node) || !begins() {
        return;
    }
    let ends = request.deadline.within(MOVE_ENDS);
    let is_promoted = |status: Status| status.elsewhere(node).any(|other| other.promoted);
    while cluster::status(&request.instance, ends).is_ok_and(|status| !is_promoted(status)) {
        if !ends.sleep(LOOK_AGAIN) {
            return;
        }
    }
    request.deadline.sleep(FOLLOWERS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_young() {
        let own = ProcFs::default().own().unwrap();
        assert!(age(own).unwrap() < Duration::from_secs(3600));
        let first = Process { start_time: 0, ..own };
        assert!(age(first).unwrap() >= age(own).unwrap());
        let absurd = Process { start_time: u64::MAX, ..own };
        assert_eq!(age(absurd), None);
    }
}
