//! What monitor does about roles: whose role is remembered, tags as the role demands, and the
//! promotion score that follows from what was found.

use std::time::Duration;

use hostproc::Process;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::mi::MiError;
use crate::mi::health::{self, client, judge_tags, not_synced};
use crate::params::Params;
use crate::promotion::role::{Record, Role};
use crate::promotion::score;
use crate::promotion::sharing_tag::{TagState, in_state};

/// From this level on the MI is asked whatever the role is.
const MI_LEVEL: u32 = 10;

/// A node that has just started gets its data from the others; one that finds nobody gives up after
/// some seconds (`seed_fallback_interval` of module clusterer).
const SYNC_TIME: Duration = Duration::from_secs(60);

/// The role of the main process. Where its record is lost, and demote has therefore left no word
/// either, the sharing tags tell.
pub(crate) fn recall(
    context: &Context<'_>,
    params: &Params,
    known: Option<Record>,
    main: Process,
) -> Record {
    let record = Record::following(known, main);
    if known.is_some() || params.sharing_tags.is_empty() || !context.request.promotable {
        return record;
    }
    let Ok(Some(client)) = client(params, main) else { return record };
    match in_state(client, &params.sharing_tags, TagState::Active, context.deadline()) {
        Ok(active) if active.len() == params.sharing_tags.len() => {
            log::warn!(
                "role=promoted note=\"remembered by nobody, but every sharing tag is active\""
            );
            Record { role: Role::Promoted, ..record }
        }
        Ok(_) => record,
        Err(error) => {
            log::warn!("role=unknown taken_as=unpromoted reason=\"{error}\"");
            record
        }
    }
}

/// Judges an instance that serves by its role, and asks its MI from level 10 on. Gives what an
/// operator should look at.
///
/// # Errors
/// [`Error::Mi`], [`Error::TagLost`]
pub(crate) fn judge(
    context: &Context<'_>,
    params: &Params,
    record: &mut Record,
) -> Result<Vec<String>> {
    let (request, deadline) = (context.request, context.deadline());
    let (tags, deep) = (&params.sharing_tags, request.check_level >= MI_LEVEL);
    let mut remarks = Vec::new();
    // Without tags there is nothing to exchange.
    let mut synced = tags.is_empty();
    if let Some(client) = client(params, record.main)? {
        let mut settled = true;
        if deep {
            let health = health::judge(client, params, deadline)?;
            remarks.extend(health.remarks);
            settled = health.up.is_none_or(|up| up > SYNC_TIME);
        }
        if !tags.is_empty() && (deep || record.role == Role::Promoted) {
            match judge_tags(client, tags, record, deadline) {
                Ok(remark) => remarks.extend(remark),
                // Calls are served as long as the MI is not needed; level 10 asks for more.
                Err(Error::Mi { source }) if !deep => remarks.push(source.to_string()),
                Err(error) => return Err(error),
            }
        }
        if !tags.is_empty() && deep && record.role == Role::Unpromoted {
            match not_synced(client, tags, deadline) {
                Ok(Some(name)) if settled => remarks.push(format!("{name} is not synchronised")),
                Ok(Some(name)) => log::info!("synchronised=no capability={name}"),
                // Refused: a version without that command.
                Ok(None) | Err(MiError::Refused { .. }) => synced = true,
                Err(error) => return Err(error.into()),
            }
        }
    }
    let found = score::of(record.role, synced);
    let score = if deep { found } else { record.score.unwrap_or(found) };
    score::publish(request, record, score);
    Ok(remarks)
}
