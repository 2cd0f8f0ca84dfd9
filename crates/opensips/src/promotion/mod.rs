//! The promotable clone: which role an instance has, whether its sharing tags are as the role demands,
//! and the promotion score that follows.

mod error;
pub(crate) mod handover;
mod readiness;
pub(crate) mod routes;
pub(crate) mod score;
pub(crate) mod tags;

use std::time::Duration;

use deadline::Deadline;
use hostproc::Process;
use ocf::LogLine;

use crate::daemon::management::{clients, reach, share};
use crate::health::memory;
use crate::instance::Instance;
use crate::instance::role::{Record, Role};
use crate::mi;
use crate::mi::Client;
use crate::params::{Params, SharingTag};

pub(crate) use error::{Error, Result};

/// From this check level on the MI is asked whatever the role is.
const MI_LEVEL: u32 = 10;

/// Below that level, the sharing tags of a promoted instance are asked for in this time: the next monitor
/// waits for the end of this one, and a dead daemon is noticed no sooner.
const GLANCE: Duration = Duration::from_secs(2);

/// A node that has just started gets its data from the others; if there are none, it gives up after
/// some seconds (`seed_fallback_interval` of module clusterer).
const SYNC_TIME: Duration = Duration::from_secs(60);

/// How often an MI that can't be reached is tried again.
const MI_RETRY: Duration = Duration::from_millis(25);

/// How long an MI may be out of reach, for a reason that passes (no memory, no descriptor), and while the
/// daemon's last processes start. One that is configured elsewhere never comes, and callers wait meanwhile.
const UNREACHABLE: Duration = Duration::from_secs(1);

/// How certain a role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// By its record, or by the sharing tags.
    Known,
    /// Nothing tells: the next monitor has to ask again.
    Guessed,
}

/// The role of the main process. If its record is lost, Pacemaker tells, or else the sharing tags: demote
/// has not been remembered either.
pub(crate) fn recall(
    instance: &Instance<'_>,
    params: &Params,
    known: Option<Record>,
    main: Process,
) -> (Record, Certainty) {
    let record = Record::following(known, main);
    if known.is_none() && instance.request.expects_promoted {
        return (Record { role: Role::Promoted, ..record }, Certainty::Known);
    }
    if known.is_some() || params.sharing_tags.is_empty() || !instance.request.promotable {
        return (record, Certainty::Known);
    }
    let line = LogLine::of(instance.action());
    // Most of the time is for what monitor has to find out.
    match active_tags(params, main, instance.deadline().share(3)) {
        Ok(active) if active.len() == params.sharing_tags.len() => {
            let note = "no role is remembered, but every sharing tag is active";
            log::warn!("{}", line.field("role", "promoted").note(note));
            (Record { role: Role::Promoted, ..record }, Certainty::Known)
        }
        Ok(_) => (record, Certainty::Known),
        Err(error) => {
            log::warn!("{}", line.field("role", "unknown").note(error));
            (record, Certainty::Guessed)
        }
    }
}

/// Those of the sharing tags of the parameters that are active on this node.
///
/// # Errors
/// [`Error::NoClusterer`], [`Error::Mi`], [`Error::Daemon`]
pub(crate) fn active_tags(
    params: &Params,
    main: Process,
    deadline: Deadline,
) -> Result<Vec<&SharingTag>> {
    match reach(&clients(params, main)?, deadline)? {
        Some((client, _)) => tags::active(client, &params.sharing_tags, deadline),
        None => Ok(Vec::new()),
    }
}

/// What became of the role of an instance that serves. Nothing here is a failure: calls are served
/// without the MI and without a sharing tag, and a restart in place would end them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fulfilled {
    /// What an operator should look at.
    pub(crate) remarks: Vec<String>,
    /// The promotion score that it deserves.
    pub(crate) score: i32,
    /// Whether a second look at shared memory is needed ([`memory::Health::memory_is_short`]).
    pub(crate) memory_is_short: bool,
}

/// Judges an instance that serves by its role, and asks its MI from level 10 on.
pub(crate) fn judge(instance: &Instance<'_>, params: &Params, record: &mut Record) -> Fulfilled {
    let deep = instance.request.check_level >= MI_LEVEL;
    let has_tags = !params.sharing_tags.is_empty();
    let mut heard = Heard::default();
    let told = record.score;
    let answered = if deep || (has_tags && record.role == Role::Promoted) {
        let answered = ask(instance, params, record, deep, &mut heard);
        answered.map_err(|error| heard.remarks.push(error.to_string())).ok()
    } else {
        None
    };
    let score = score::deserved(record.role, answered, has_tags, deep, told);
    let Heard { mut remarks, memory_is_short } = heard;
    if deep && record.role == Role::Promoted {
        remarks.extend(undeclared(params));
    }
    Fulfilled { remarks, score, memory_is_short }
}

/// A sharing tag that the configuration does not declare, by its text, or for which that is not known: the daemon
/// creates it when it is activated, and lists it from then on as any other one, until the next start.
fn undeclared(params: &Params) -> Option<String> {
    Some(tags::refuse_undeclared(params).err()?.to_string())
}

/// What the MI has told, also if it does not answer the last question.
#[derive(Debug, Default)]
struct Heard {
    remarks: Vec<String>,
    memory_is_short: bool,
}

/// Asks the MI for what the role demands; from level 10 on also for the health of the instance.
/// Returns whether this node has the data that the nodes of the tags' clusters exchange, its link to them
/// and everything else that it needs, as far as was asked.
fn ask(
    instance: &Instance<'_>,
    params: &Params,
    record: &mut Record,
    deep: bool,
    heard: &mut Heard,
) -> Result<bool> {
    let mut clients = clients(params, record.main)?;
    let patience = if deep { instance.deadline().remaining() / 3 } else { GLANCE };
    share(&mut clients, patience);
    let found = reach(&clients, instance.deadline())?;
    let Some((client, silent)) = found else { return Ok(params.sharing_tags.is_empty()) };
    heard.remarks.extend(silent.map(|error| error.to_string()));
    let tags = &params.sharing_tags;
    let settled = !deep || judge_management(instance, params, client, heard)?;
    // First of all, because calls depend on them.
    if !tags.is_empty() {
        heard.remarks.extend(tags::judge(client, tags, record, instance.deadline())?);
    }
    let ready =
        !deep || readiness::is_ready(instance, params, client, settled, &mut heard.remarks)?;
    if !tags.is_empty() && deep && record.role == Role::Unpromoted {
        let synced = is_synced(instance, params, client, settled, &mut heard.remarks)?;
        return Ok(synced && ready && readiness::is_linked(instance, params, client)?);
    }
    Ok(tags.is_empty() && ready)
}

/// Activates the sharing tags of an instance that is being promoted.
///
/// # Errors
/// [`Error::TagLost`], [`Error::NoClusterer`], [`Error::Mi`], [`Error::Daemon`]
pub(crate) fn hold_tags(params: &Params, main: Process, deadline: Deadline) -> Result<()> {
    let tags = &params.sharing_tags;
    // Without tags there is nothing to activate, and module clusterer need not be loaded.
    if tags.is_empty() {
        return Ok(());
    }
    let mut clients = clients(params, main)?;
    clients.iter_mut().for_each(|client| client.patience = Duration::MAX);
    share(&mut clients, deadline.remaining());
    once_reachable(deadline.within(UNREACHABLE), || match reach(&clients, deadline)? {
        Some((client, _)) => tags::hold(client, tags, deadline),
        None => Ok(()),
    })
}

/// What a new instance should be, as soon as its MI answers.
///
/// # Errors
/// [`Error::TagActive`], which takes the tag from another node. The others are no obstacle to service:
/// [`Error::TagUndeclared`], [`Error::NoClusterer`], [`Error::Mi`], [`Error::Daemon`]
pub(crate) fn require_standby(params: &Params, main: Process, deadline: Deadline) -> Result<()> {
    let tags = &params.sharing_tags;
    if tags.is_empty() {
        return Ok(());
    }
    let clients = clients(params, main)?;
    once_reachable(deadline.within(UNREACHABLE), || match reach(&clients, deadline)? {
        Some((client, _)) => tags::require_standby(client, tags, deadline),
        None => Ok(()),
    })
}

/// Asks again while the MI can't be reached, until the deadline.
///
/// # Errors
/// Those of the last question.
fn once_reachable<T>(deadline: Deadline, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match ask() {
            Err(Error::Mi(mi::Error::Unreachable { .. })) if deadline.sleep(MI_RETRY) => {}
            answer => return answer,
        }
    }
}

/// Returns whether the daemon has been up for so long that it must have the data of the others.
fn judge_management(
    instance: &Instance<'_>,
    params: &Params,
    client: Client<'_>,
    heard: &mut Heard,
) -> mi::Result<bool> {
    let limits = (params.shm_limit, params.shm_fail);
    let health = memory::judge(client, limits, instance.deadline())?;
    heard.remarks.extend(health.remarks);
    heard.memory_is_short = health.memory_is_short;
    Ok(health.up.is_none_or(|up| up > SYNC_TIME))
}

/// Whether this node has the data that the nodes of the tags' clusters exchange.
fn is_synced(
    instance: &Instance<'_>,
    params: &Params,
    client: Client<'_>,
    settled: bool,
    remarks: &mut Vec<String>,
) -> mi::Result<bool> {
    match tags::first_not_synced(client, &params.sharing_tags, instance.deadline()) {
        // A version without that command refuses it.
        Ok(None) | Err(mi::Error::Refused { .. } | mi::Error::UnknownCommand { .. }) => Ok(true),
        Ok(Some(name)) if settled => {
            remarks.push(format!("{name} is not synchronised with the other nodes"));
            Ok(false)
        }
        Ok(Some(name)) => {
            let line = LogLine::of(instance.action()).field("capability", name);
            log::info!("{}", line.note("not yet synchronised with the other nodes"));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
