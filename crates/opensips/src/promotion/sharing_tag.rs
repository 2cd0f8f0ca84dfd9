//! Sharing tags of module clusterer: which node of a cluster works on what all of them know.
//!
//! A tag is `active` on one node and `backup` on the others. There is a command to make it active
//! here; it becomes backup when another node does that, and by a restart with `=backup` in the
//! configuration (`shtag_activate()`, `handle_shtag_active()` in modules/clusterer/sharing_tags.c).

use deadline::Deadline;
use serde_json::Value;

use crate::mi::command::{ACTIVATE_SHARING_TAG, LIST_SHARING_TAGS};
use crate::mi::{Client, MiError, Result};
use crate::params::SharingTag;

/// What a node is for a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagState {
    /// It does the work.
    Active,
    /// It stands by.
    Backup,
}

/// What the daemon's list says of one tag; one that is not in it is on backup: the daemon makes
/// it, as backup, when it is first named.
///
/// # Errors
/// The list is none.
pub(crate) fn state_in(
    list: &Value,
    tag: &SharingTag,
) -> std::result::Result<TagState, &'static str> {
    let list = list.as_array().ok_or("the list of sharing tags is none")?;
    let found = list.iter().find(|entry| {
        entry.get("Tag").and_then(Value::as_str) == Some(&tag.name)
            && entry.get("Cluster").and_then(Value::as_u64) == Some(tag.cluster.into())
    });
    match found.map(|entry| entry.get("State").and_then(Value::as_str)) {
        None | Some(Some("backup")) => Ok(TagState::Backup),
        Some(Some("active")) => Ok(TagState::Active),
        Some(_) => Err("the state of a sharing tag is neither active nor backup"),
    }
}

/// Those of the tags that are in this state on this node, by the daemon's word.
///
/// # Errors
/// [`MiError`]
pub(crate) fn in_state<'t>(
    client: Client<'_>,
    tags: &'t [SharingTag],
    state: TagState,
    deadline: Deadline,
) -> Result<Vec<&'t SharingTag>> {
    let list = client.call(LIST_SHARING_TAGS, &[], deadline)?;
    let mut found = Vec::new();
    for tag in tags {
        let theirs = state_in(&list, tag).map_err(|what| MiError::Garbled {
            endpoint: client.endpoint.clone(),
            what: what.to_owned(),
        })?;
        if theirs == state {
            found.push(tag);
        }
    }
    Ok(found)
}

/// Makes a tag active here.
///
/// # Errors
/// [`MiError`]
pub(crate) fn activate(client: Client<'_>, tag: &SharingTag, deadline: Deadline) -> Result<()> {
    client.call(ACTIVATE_SHARING_TAG, &[tag.to_string().into()], deadline).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states() {
        let tag: SharingTag = "vip/1".parse().unwrap();
        let list = json!([
            {"Tag": "vip", "Cluster": 2, "State": "active"},
            {"Tag": "other", "Cluster": 1, "State": "active"},
        ]);
        assert_eq!(state_in(&list, &tag), Ok(TagState::Backup));
        let with = |state: &str| json!([{"Tag": "vip", "Cluster": 1, "State": state}]);
        assert_eq!(state_in(&with("active"), &tag), Ok(TagState::Active));
        assert_eq!(state_in(&with("backup"), &tag), Ok(TagState::Backup));
        assert!(state_in(&with("perhaps"), &tag).is_err());
        assert!(state_in(&json!("OK"), &tag).is_err());
    }
}
