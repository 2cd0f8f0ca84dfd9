//! monitor: judges the instance as it is. Executes no program except when a promotion score changes, and to
//! compare the routes of the nodes from level 10 on.
//!
//! A pipeline: find the main process, recall its role, observe it, judge it by its role, compare its routes with
//! those of the other nodes, remember what was found. Only the last two steps write and tell Pacemaker, so diagnose
//! does without them. Before the first one, from
//! level 10 on, routes are loaded that reload-agent was to load.

mod find;

use std::net::IpAddr;

use deadline::Deadline;
use hostproc::{Process, Stat};
use ocf::{Action, LogLine, Request, Verdict};

pub(super) use self::find::find;
use self::find::{find_or_recall, unseen};
use super::{budgets, reload};
use crate::async_monitor;
use crate::daemon::config_digest;
use crate::daemon::crash::Evidence;
use crate::daemon::launch::trim_output;
use crate::error::{Error, Result};
use crate::health::{self, Reach, Serving, progress};
use crate::instance::Instance;
use crate::instance::role::{Record, Role};
use crate::instance::state::{Comparison, Kept, LastCheck, State};
use crate::params::{Names, Params};
use crate::promotion::{self, Certainty, handover, routes, score};
use crate::sockets::expected::Expected;

/// From this check level on, the files of the configuration are read.
const CONFIGURATION_LEVEL: u32 = 10;

/// From this check level on, every listener has to answer.
const EVERY_LISTENER_LEVEL: u32 = 20;

pub(crate) fn monitor(request: &Request) -> Result<Verdict> {
    let params = Params::read(&request.values, &request.instance)?;
    // Pacemaker 2.1 leaves reload-agent out where it moves the role at the same moment.
    if request.check_level >= CONFIGURATION_LEVEL && !request.probe {
        reload::load_wanted(request, &params);
    }
    let observing = Request { deadline: budgets::for_observation(request), ..request.clone() };
    let instance = Instance::load(&observing, &Names::from(&params))?;
    let (found, blindness) = find_or_recall(&instance, &params);
    if found.is_err() && request.by_cluster && !request.probe {
        // Pacemaker learns of the death from this monitor, and one death counts once.
        async_monitor::kill(&instance);
    }
    let recalled = recall(&instance, &params, &found);
    let observed = observe(&instance, &params, found).and(blindness);
    let mut judged = judge_role(&instance, &params, recalled, observed);
    compare_routes(&instance, &params, &mut judged);
    remember(request, &instance, &params, &judged);
    if let Some(main) = judged.serving_main() {
        async_monitor::keep(request, &instance, &params, main);
    }
    if request.by_cluster && !request.probe && judged.has_failed_as_promoted() {
        handover::wait(request, &instance);
    }
    Ok(judged.verdict())
}

/// What monitor reports now, without its effects: nothing is remembered, and sharing tags and
/// promotion scores stay as they are.
pub(crate) fn verdict_now(instance: &Instance<'_>, params: &Params) -> Verdict {
    let (found, blindness) = find_or_recall(instance, params);
    match observe(instance, params, found).and(blindness) {
        Observed::NotRunning => Verdict::not_running(),
        Observed::Failed(error) => in_role(role_of(instance.record()), Err(error)),
        Observed::Found { main, serving } => {
            let role = instance.record_of(main.process).role;
            in_role(role, serving.map(|serving| serving.remarks))
        }
    }
}

/// The role as it is remembered, before the instance is observed: a promote that runs meanwhile
/// concerns the next monitor.
struct Recalled {
    /// The record as it was read; of any main process.
    known: Option<Record>,
    /// That of the main process, or `known` if there is none.
    record: Option<Record>,
    certainty: Certainty,
}

fn recall(instance: &Instance<'_>, params: &Params, found: &Result<Option<Stat>>) -> Recalled {
    let certainty = Certainty::Known;
    match found {
        Ok(None) => Recalled { known: None, record: None, certainty },
        Ok(Some(main)) => {
            let known = instance.record();
            let (record, certainty) = promotion::recall(instance, params, known, main.process);
            Recalled { known, record: Some(record), certainty }
        }
        Err(_) => {
            let known = instance.record();
            Recalled { known, record: known, certainty }
        }
    }
}

/// What is there of the instance.
enum Observed {
    /// Nothing, as after a stop.
    NotRunning,
    /// No main process, though something should be there, or something else is.
    Failed(Error),
    Found {
        main: Stat,
        serving: Result<Serving>,
    },
}

impl Observed {
    /// With another remark on an instance that serves.
    fn and(mut self, remark: Option<String>) -> Self {
        if let Self::Found { serving: Ok(serving), .. } = &mut self {
            serving.remarks.extend(remark);
        }
        self
    }
}

fn observe(instance: &Instance<'_>, params: &Params, found: Result<Option<Stat>>) -> Observed {
    match found {
        Ok(None) => Observed::NotRunning,
        Ok(Some(main)) => {
            let serving = observe_main(instance, params, &main);
            let serving = serving.map_err(|error| with_evidence(instance, error));
            Observed::Found { main, serving }
        }
        Err(error) => Observed::Failed(with_evidence(instance, error)),
    }
}

/// Judges processes, sockets and SIP; from level 20 on at every listener.
fn observe_main(instance: &Instance<'_>, params: &Params, main: &Stat) -> Result<Serving> {
    let deadline = instance.deadline();
    let deep = instance.request.check_level >= EVERY_LISTENER_LEVEL;
    let reach = if deep { Reach::Every } else { Reach::Groups };
    let (sockets, remarks, known) = match instance.state_of(main.process) {
        Some(state) => (state.listeners.clone(), state.remarks.clone(), Some(&state.listeners)),
        None => (health::open_sockets(&instance.proc, params, main, deadline)?, Vec::new(), None),
    };
    let judged = health::judge(instance, params, main, sockets, reach, deadline);
    let mut serving = match (judged.map_err(Error::from), known) {
        (Err(error), Some(sockets)) if error.is_blindness() => {
            let sockets = sockets.clone();
            let mut serving = health::answers(instance, params, main, sockets, reach, deadline)?;
            serving.remarks.push(unseen(&error));
            serving
        }
        (judged, _) => judged?,
    };
    serving.remarks.extend(remarks);
    serving.remarks.extend(blindness(instance.request.check_level, params));
    serving.remarks.extend(configuration(instance, params, main));
    Ok(serving)
}

/// Whoever asks for level 10 wants to know what the MI tells; level 20 is for the sockets, too.
fn blindness(check_level: u32, params: &Params) -> Option<String> {
    let wants_mi = (CONFIGURATION_LEVEL..EVERY_LISTENER_LEVEL).contains(&check_level);
    (wants_mi && params.mi.is_none()).then(|| {
        format!(
            "check level {check_level} without mi sees neither shared memory nor modules: set mi, or use check \
             level 0"
        )
    })
}

/// From level 10 on, whether the daemon runs with its configuration as it is now.
fn configuration(instance: &Instance<'_>, params: &Params, main: &Stat) -> Vec<String> {
    let Some(state) = instance.state_of(main.process) else { return Vec::new() };
    if instance.request.check_level < CONFIGURATION_LEVEL {
        return Vec::new();
    }
    let now = config_digest::digests(&params.config);
    health::configuration::remarks(params, main.process.pid, &state.kept.loaded, now)
}

/// What is known about the death of the instance that is remembered.
fn evidence(instance: &Instance<'_>, state: &State) -> Evidence {
    Evidence::of(state.main.pid, &instance.files.output_path())
}

/// Adds it to the error of an instance that has partly died.
pub(super) fn with_evidence(instance: &Instance<'_>, error: Error) -> Error {
    match (error, &instance.state) {
        (
            Error::Health(
                source @ (health::Error::Orphans { .. } | health::Error::DeadWorker { .. }),
            ),
            Some(state),
        ) => {
            let evidence = evidence(instance, state);
            health::Error::Crashed { source: Box::new(source), evidence }.into()
        }
        (error, _) => error,
    }
}

/// An instance that was judged by its role.
enum Judged {
    NotRunning,
    Running(Box<Findings>),
}

/// An instance that serves, or is not known to have failed.
struct Seen {
    main: Stat,
    sockets: Vec<Expected>,
    /// It does not answer OPTIONS.
    unanswered: bool,
    last_check: Option<LastCheck>,
    /// `None`: nothing was compared.
    comparison: Option<Comparison>,
}

/// What was found, and what of it is to be remembered.
struct Findings {
    serving: Option<Seen>,
    recalled: Recalled,
    score: i32,
    /// The remarks of an instance that is as its role demands.
    outcome: Result<Vec<String>>,
}

impl Judged {
    /// The main process of an instance that has not failed.
    fn serving_main(&self) -> Option<Process> {
        match self {
            Self::NotRunning => None,
            Self::Running(found) => found.serving.as_ref().map(|seen| seen.main.process),
        }
    }

    /// Whether a promoted instance has failed, as the monitor before did not find it.
    fn has_failed_as_promoted(&self) -> bool {
        let Self::Running(found) = self else { return false };
        let record = found.recalled.record.filter(|record| record.role == Role::Promoted);
        found.outcome.is_err() && record.is_some_and(|it| it.score != Some(score::FAILED))
    }

    /// A failure of a promoted instance has codes of its own.
    fn verdict(self) -> Verdict {
        match self {
            Self::NotRunning => Verdict::not_running(),
            Self::Running(found) => in_role(role_of(found.recalled.record), found.outcome),
        }
    }
}

fn judge_role(
    instance: &Instance<'_>,
    params: &Params,
    mut recalled: Recalled,
    observed: Observed,
) -> Judged {
    let (main, serving) = match observed {
        Observed::NotRunning => return Judged::NotRunning,
        Observed::Failed(error) => {
            let (serving, score, outcome) = (None, score::FAILED, Err(error));
            return Judged::Running(Box::new(Findings { serving, recalled, score, outcome }));
        }
        Observed::Found { main, serving } => (main, serving),
    };
    let (serving, score, outcome) = match serving {
        Ok(Serving { remarks, sockets, unanswered, last_check }) => {
            match judge_serving(instance, params, &mut recalled, main.process, remarks) {
                Ok((score, remarks)) => {
                    let role = role_of(recalled.record);
                    let score = if unanswered { score::while_silent(role, score) } else { score };
                    let comparison = None;
                    let seen = Seen { main, sockets, unanswered, last_check, comparison };
                    (Some(seen), score, Ok(remarks))
                }
                Err(error) => (None, score::FAILED, Err(error)),
            }
        }
        Err(error) => (None, score::FAILED, Err(error)),
    };
    Judged::Running(Box::new(Findings { serving, recalled, score, outcome }))
}

/// Judges an instance that serves. Returns its promotion score, and what an operator should look at.
fn judge_serving(
    instance: &Instance<'_>,
    params: &Params,
    recalled: &mut Recalled,
    main: Process,
    mut remarks: Vec<String>,
) -> Result<(i32, Vec<String>)> {
    let record = recalled.record.get_or_insert(Record::unpromoted(main));
    let fulfilled = promotion::judge(instance, params, record);
    if fulfilled.memory_is_short {
        health::refuse_exhausted(params, main, instance.deadline())?;
    }
    remarks.extend(fulfilled.remarks);
    Ok((fulfilled.score, remarks))
}

fn role_of(record: Option<Record>) -> Role {
    record.map_or(Role::Unpromoted, |record| record.role)
}

fn in_role(role: Role, outcome: Result<Vec<String>>) -> Verdict {
    let verdict = match outcome {
        Ok(remarks) if remarks.is_empty() => Verdict::success(),
        Ok(remarks) => Verdict::degraded(remarks.join("; ")),
        Err(error) => Verdict::from(error),
    };
    match role {
        Role::Promoted => verdict.of_promoted(),
        Role::Unpromoted => verdict,
    }
}

/// From level 10 on, whether the other nodes have the same routes: told of an instance that serves.
fn compare_routes(instance: &Instance<'_>, params: &Params, judged: &mut Judged) {
    let Judged::Running(found) = judged else { return };
    let Findings { serving: Some(seen), recalled, outcome: Ok(remarks), .. } = found.as_mut()
    else {
        return;
    };
    let role = role_of(recalled.record);
    if let Some((comparison, remark)) = routes::compare(instance, params, role, &seen.main) {
        seen.comparison = Some(comparison);
        remarks.extend(remark);
    }
}

/// The last step of monitor: what it keeps for the next one, and the promotion score.
fn remember(request: &Request, instance: &Instance<'_>, params: &Params, judged: &Judged) {
    let Judged::Running(found) = judged else { return };
    if let Some(seen) = &found.serving {
        remember_seen(instance, params, seen);
        trim_output(&instance.files.output_path());
    }
    remember_restart(instance, params, found);
    remember_role(request, instance, &found.recalled, found.score);
}

/// Remembers that a restart for a virtual address is asked for, until the address is served: a second one
/// would be in vain, too.
fn remember_restart(instance: &Instance<'_>, params: &Params, found: &Findings) {
    match (&found.outcome, &found.serving) {
        (Err(Error::Health(health::Error::VipUnserved { vip, .. })), _) => {
            instance.note_restart_for(Some(*vip));
        }
        (_, Some(seen)) if serves_every(&params.vips, &seen.sockets) => {
            instance.note_restart_for(None);
        }
        _ => {}
    }
}

/// Whether there is a socket at each of them; false if there are none.
fn serves_every(vips: &[IpAddr], sockets: &[Expected]) -> bool {
    let is_served = |vip: &IpAddr| sockets.iter().any(|(listener, _)| listener.local.ip() == *vip);
    !vips.is_empty() && vips.iter().all(is_served)
}

/// Remembers an instance that this agent has not started, whose state was lost, or of which more is
/// demanded than before, now that it serves: the next monitor is cheap again, and sees when one of its
/// sockets is closed. Also since when it does not answer.
fn remember_seen(instance: &Instance<'_>, params: &Params, seen: &Seen) {
    let Seen { main, sockets, unanswered, last_check, comparison } = seen;
    let state = instance.state_of(main.process);
    let kept = state.map(|state| state.kept.clone()).unwrap_or_default();
    let since = kept.unanswered_since;
    let is_known = state.is_some_and(|state| state.listeners == *sockets);
    let has_compared = comparison.as_ref().is_some_and(|now| *now != kept.comparison);
    if is_known && since.is_some() == *unanswered && last_check.is_none() && !has_compared {
        return;
    }
    let unanswered_since = unanswered.then(|| since.unwrap_or_else(progress::now));
    let last_check = last_check.clone().or(kept.last_check);
    // A start that is running knows better which sockets there will be.
    let Ok(_lock) = instance.lock(Deadline::now()) else { return };
    let remarks = state.map(|state| state.remarks.as_slice()).unwrap_or_default();
    let comparison = comparison.clone().unwrap_or_else(|| kept.comparison.clone());
    let kept = Kept { unanswered_since, last_check, comparison, ..kept };
    instance.remember(params, main, sockets, remarks, kept);
    if !is_known {
        let line = LogLine::of(Action::Monitor).field("pid", main.process.pid);
        log::info!("{}", line.field("sockets", sockets.len()).note("adopted"));
    }
}

/// Remembers the role, and tells Pacemaker the score. If a promote or demote is or was running
/// meanwhile, its record is the right one, and the next monitor looks again.
fn remember_role(request: &Request, instance: &Instance<'_>, recalled: &Recalled, score: i32) {
    let Recalled { known, record: Some(mut record), certainty } = *recalled else { return };
    let is_kept = certainty == Certainty::Guessed || known == Some(record);
    if is_kept && !score::is_news(request, &record, score) {
        return;
    }
    let Ok(_lock) = instance.lock(Deadline::now()) else { return };
    if instance.record() != known {
        return;
    }
    score::publish(request, &mut record, score);
    if certainty != Certainty::Guessed
        && known != Some(record)
        && let Err(error) = instance.remember_role(&record)
    {
        log::warn!("{}", LogLine::of(Action::Monitor).note(error));
    }
}
