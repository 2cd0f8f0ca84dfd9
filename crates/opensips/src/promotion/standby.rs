//! What monitor does about roles: whose role is remembered, tags as the role demands, and the
//! promotion score that follows from what was found.

use std::time::Duration;

use hostproc::Process;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::health::memory;
use crate::mi;
use crate::params::Params;
use crate::promotion::role::{Record, Role};
use crate::promotion::score;
use crate::promotion::sharing_tag::{TagState, in_state};
use crate::promotion::tags::{client, judge_tags, not_synced};

/// From this level on the MI is asked whatever the role is.
const MI_LEVEL: u32 = 10;

/// A node that has just started gets its data from the others; one that finds nobody gives up after
/// some seconds (`seed_fallback_interval` of module clusterer).
const SYNC_TIME: Duration = Duration::from_secs(60);

/// How sure a role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recalled {
    /// By its record, or by the sharing tags.
    Known,
    /// Nobody could say: the next monitor has to ask again.
    Guessed,
}

/// The role of the main process. Where its record is lost, and demote has therefore left no word
/// either, the sharing tags tell.
pub(crate) fn recall(
    context: &Context<'_>,
    params: &Params,
    known: Option<Record>,
    main: Process,
) -> (Record, Recalled) {
    let record = Record::following(known, main);
    if known.is_some() || params.sharing_tags.is_empty() || !context.request.promotable {
        return (record, Recalled::Known);
    }
    let asked = match client(params, main) {
        Ok(Some(client)) => {
            in_state(client, &params.sharing_tags, TagState::Active, context.deadline())
                .map_err(Error::from)
        }
        Ok(None) => return (record, Recalled::Known),
        Err(error) => Err(error),
    };
    match asked {
        Ok(active) if active.len() == params.sharing_tags.len() => {
            log::warn!(
                "role=promoted note=\"remembered by nobody, but every sharing tag is active\""
            );
            (Record { role: Role::Promoted, ..record }, Recalled::Known)
        }
        Ok(_) => (record, Recalled::Known),
        Err(error) => {
            log::warn!("role=unknown taken_as=unpromoted reason=\"{error}\"");
            (record, Recalled::Guessed)
        }
    }
}

/// An instance that is as its role demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// What an operator should look at.
    pub(crate) remarks: Vec<String>,
    /// The promotion score that it deserves.
    pub(crate) score: i32,
}

/// Judges an instance that serves by its role, and asks its MI from level 10 on.
///
/// # Errors
/// [`Error::Mi`], [`Error::TagLost`]
pub(crate) fn judge(context: &Context<'_>, params: &Params, record: &mut Record) -> Result<Found> {
    let deadline = context.deadline();
    let (tags, deep) = (&params.sharing_tags, context.request.check_level >= MI_LEVEL);
    let mut remarks = Vec::new();
    // Without tags there is nothing to exchange.
    let mut synced = tags.is_empty();
    let asked = deep || (!tags.is_empty() && record.role == Role::Promoted);
    let client = match asked.then(|| client(params, record.main)).transpose() {
        Ok(client) => client.flatten(),
        // As with an MI that does not answer.
        Err(error) if !deep => {
            remarks.push(error.to_string());
            None
        }
        Err(error) => return Err(error),
    };
    if let Some(client) = client {
        let mut settled = true;
        if deep {
            let health = memory::judge(client, params.shm_limit, deadline)?;
            remarks.extend(health.remarks);
            settled = health.up.is_none_or(|up| up > SYNC_TIME);
        }
        if !tags.is_empty() {
            match judge_tags(client, tags, record, deadline) {
                Ok(remark) => remarks.extend(remark),
                // Calls are served as long as the MI is not needed; level 10 asks for more.
                Err(Error::Mi(source)) if !deep => remarks.push(source.to_string()),
                Err(error) => return Err(error),
            }
        }
        if !tags.is_empty() && deep && record.role == Role::Unpromoted {
            match not_synced(client, tags, deadline) {
                Ok(Some(name)) if settled => remarks.push(format!("{name} is not synchronised")),
                Ok(Some(name)) => log::info!("synchronised=no capability={name}"),
                // Refused: a version without that command.
                Ok(None) | Err(mi::Error::UnknownCommand { .. } | mi::Error::Refused { .. }) => {
                    synced = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    let found = score::of(record.role, synced);
    let score = if deep { found } else { score::unless_failed(record.score).unwrap_or(found) };
    Ok(Found { remarks, score })
}
