//! Which process is the main one of the instance, if any.

use hostproc::{Stat, State};
use ocf::LogLine;

use crate::error::{Error, Result};
use crate::health;
use crate::health::stale::{refuse_orphans, refuse_stale_sockets};
use crate::instance::{self, Instance};
use crate::params::Params;

/// A failed look in one line of a degraded verdict.
pub(super) fn unseen(error: &Error) -> String {
    format!("{error}: see journalctl -k")
}

/// Where the processes can't be looked at, the main process that is remembered, if it lives, and what is wrong.
pub(super) fn find_or_recall(
    instance: &Instance<'_>,
    params: &Params,
) -> (Result<Option<Stat>>, Option<String>) {
    let error = match find(instance, params) {
        Err(error) if error.is_blindness() && !instance.request.probe => error,
        found => return (found, None),
    };
    let remembered = instance.state.as_ref().map(|state| state.main);
    let stat = remembered.and_then(|main| instance.proc.stat(main.pid).ok().flatten());
    match stat.filter(|stat| Some(stat.process) == remembered && stat.state != State::Ended) {
        Some(main) => (Ok(Some(main)), Some(unseen(&error))),
        None => (Err(error), None),
    }
}

/// The main process, by pid file and state, or else among all processes.
pub(in crate::actions) fn find(instance: &Instance<'_>, params: &Params) -> Result<Option<Stat>> {
    if let Some(main) = instance.identity.main_process(&instance.proc)? {
        return unless_of_a_person(instance, main);
    }
    let survey = instance.survey()?;
    if let Some(main) = survey.main {
        if unless_of_a_person(instance, main)?.is_none() {
            return Ok(None);
        }
        let line = LogLine::of(instance.action()).field("pid", main.process.pid);
        log::debug!("{}", line.field("pidfile", params.pidfile.display()).note("does not name it"));
        return Ok(Some(main));
    }
    refuse_orphans(&survey)?;
    let held = refuse_stale_sockets(instance, instance.deadline()).map_err(Error::from);
    let tells_no_more = held.as_ref().err().is_none_or(Error::is_blindness);
    match &instance.state {
        // It was started and not stopped: a failure, of which Pacemaker shows the reason.
        Some(state) if !instance.request.probe && tells_no_more => {
            let (main, evidence) = (state.main.pid, super::evidence(instance, state));
            Err(health::Error::Gone { main, evidence }.into())
        }
        _ => {
            held?;
            if let Some(elsewhere) = survey.elsewhere {
                let line = LogLine::of(instance.action()).field("ignored", elsewhere.pid);
                log::debug!("{}", line.note(instance::Error::from(elsewhere)));
            }
            Ok(None)
        }
    }
}

/// A daemon that a person has started is not the resource's for a probe: Pacemaker stops what a probe finds
/// where the resource must not run, and merely defining one must end no service. start adopts it, and
/// recurring monitors run only where Pacemaker knows that the resource is started.
fn unless_of_a_person(instance: &Instance<'_>, main: Stat) -> Result<Option<Stat>> {
    let is_of_a_person =
        instance.request.probe && instance.identity.is_unclaimed(&instance.proc, &main)?;
    if is_of_a_person {
        let line = LogLine::of(instance.action()).field("ignored", main.process.pid);
        log::info!("{}", line.note("OpenSIPS was started past the cluster: start adopts it"));
    }
    Ok(Some(main).filter(|_| !is_of_a_person))
}
