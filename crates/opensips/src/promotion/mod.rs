//! The promotable clone: which role an instance has, whether its sharing tags are as the role demands,
//! and the promotion score that follows.

mod error;
pub(crate) mod score;
pub(crate) mod tags;

use std::time::Duration;

use hostproc::Process;
use ocf::LogLine;

use crate::daemon::management::client;
use crate::health::memory;
use crate::instance::Instance;
use crate::instance::role::{Record, Role};
use crate::mi;
use crate::mi::Client;
use crate::params::Params;

pub(crate) use error::{Error, Result};

/// From this check level on the MI is asked whatever the role is.
const MI_LEVEL: u32 = 10;

/// A node that has just started gets its data from the others; if there are none, it gives up after
/// some seconds (`seed_fallback_interval` of module clusterer).
const SYNC_TIME: Duration = Duration::from_secs(60);

/// How certain a role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// By its record, or by the sharing tags.
    Known,
    /// Nothing tells: the next monitor has to ask again.
    Guessed,
}

/// The role of the main process. If its record is lost, the sharing tags tell: demote has not been
/// remembered either.
pub(crate) fn recall(
    instance: &Instance<'_>,
    params: &Params,
    known: Option<Record>,
    main: Process,
) -> (Record, Certainty) {
    let record = Record::following(known, main);
    if known.is_some() || params.sharing_tags.is_empty() || !instance.request.promotable {
        return (record, Certainty::Known);
    }
    let line = LogLine::of(instance.action());
    match every_tag_is_active(instance, params, main) {
        Ok(true) => {
            let note = "no role is remembered, but every sharing tag is active";
            log::warn!("{}", line.field("role", "promoted").note(note));
            (Record { role: Role::Promoted, ..record }, Certainty::Known)
        }
        Ok(false) => (record, Certainty::Known),
        Err(error) => {
            log::warn!("{}", line.field("role", "unknown").note(error));
            (record, Certainty::Guessed)
        }
    }
}

fn every_tag_is_active(instance: &Instance<'_>, params: &Params, main: Process) -> Result<bool> {
    let Some(client) = client(params, main)? else { return Ok(false) };
    let active = tags::active(client, &params.sharing_tags, instance.deadline())?;
    Ok(active.len() == params.sharing_tags.len())
}

/// An instance that is as its role demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fulfilled {
    /// What an operator should look at.
    pub(crate) remarks: Vec<String>,
    /// The promotion score that it deserves.
    pub(crate) score: i32,
}

/// Judges an instance that serves by its role, and asks its MI from level 10 on.
///
/// # Errors
/// [`Error::Mi`], [`Error::TagLost`]
pub(crate) fn judge(
    instance: &Instance<'_>,
    params: &Params,
    record: &mut Record,
) -> Result<Fulfilled> {
    let (tags, deep) = (&params.sharing_tags, instance.request.check_level >= MI_LEVEL);
    let mut remarks = Vec::new();
    let client = if deep || (!tags.is_empty() && record.role == Role::Promoted) {
        match client(params, record.main) {
            // As with an MI that does not answer.
            Err(error) if !deep => {
                remarks.push(error.to_string());
                None
            }
            client => client?,
        }
    } else {
        None
    };
    // Without tags there is no data to exchange.
    let mut synced = tags.is_empty();
    if let Some(client) = client {
        let settled = !deep || judge_management(instance, params, client, &mut remarks)?;
        if !tags.is_empty() {
            match tags::judge(client, tags, record, instance.deadline()) {
                Ok(remark) => remarks.extend(remark),
                // Calls are served without the MI; level 10 demands more.
                Err(error @ (Error::Mi(_) | Error::NoClusterer { .. })) if !deep => {
                    remarks.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        if !tags.is_empty() && deep && record.role == Role::Unpromoted {
            synced = is_synced(instance, params, client, settled, &mut remarks)?;
        }
    }
    let found = score::of(record.role, synced);
    let score = if deep { found } else { score::unless_failed(record.score).unwrap_or(found) };
    Ok(Fulfilled { remarks, score })
}

/// Returns whether the daemon has been up for so long that it must have the data of the others.
fn judge_management(
    instance: &Instance<'_>,
    params: &Params,
    client: Client<'_>,
    remarks: &mut Vec<String>,
) -> Result<bool> {
    let health = memory::judge(client, params.shm_limit, instance.deadline())?;
    remarks.extend(health.remarks);
    Ok(health.up.is_none_or(|up| up > SYNC_TIME))
}

/// Whether this node has the data that the nodes of the tags' clusters exchange.
fn is_synced(
    instance: &Instance<'_>,
    params: &Params,
    client: Client<'_>,
    settled: bool,
    remarks: &mut Vec<String>,
) -> Result<bool> {
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
        Err(error) => Err(error.into()),
    }
}
