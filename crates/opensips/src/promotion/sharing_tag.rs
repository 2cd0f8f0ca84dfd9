//! Sharing tags of module clusterer: which node of a cluster works on what all of them know.
//!
//! A tag is `active` on one node and `backup` on the others. There is a command to make it active
//! here; it becomes backup when another node does that, and by a restart with `=backup` in the
//! configuration (`shtag_activate()`, `handle_shtag_active()` in modules/clusterer/sharing_tags.c).

use deadline::Deadline;

use crate::mi::answers::ListedTag;
use crate::mi::{Client, Result};
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
/// The state is neither.
pub(crate) fn state_in(
    list: &[ListedTag],
    tag: &SharingTag,
) -> std::result::Result<TagState, &'static str> {
    let is_it =
        |listed: &&ListedTag| listed.name == tag.name && listed.cluster == u64::from(tag.cluster);
    match list.iter().find(is_it).map(|listed| listed.state.as_str()) {
        None | Some("backup") => Ok(TagState::Backup),
        Some("active") => Ok(TagState::Active),
        Some(_) => Err("the state of a sharing tag is neither active nor backup"),
    }
}

/// Those of the tags that are in this state on this node, by the daemon's word.
///
/// # Errors
/// Those of the MI.
pub(crate) fn in_state<'t>(
    client: Client<'_>,
    tags: &'t [SharingTag],
    state: TagState,
    deadline: Deadline,
) -> Result<Vec<&'t SharingTag>> {
    let list = client.sharing_tags(deadline)?;
    let mut found = Vec::new();
    for tag in tags {
        let theirs = state_in(&list, tag).map_err(|what| client.garbled(what))?;
        if theirs == state {
            found.push(tag);
        }
    }
    Ok(found)
}

/// Makes a tag active here.
///
/// # Errors
/// Those of the MI.
pub(crate) fn activate(client: Client<'_>, tag: &SharingTag, deadline: Deadline) -> Result<()> {
    client.activate_sharing_tag(&tag.to_string(), deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let tag: SharingTag = "vip/1".parse().unwrap();
        let listed = |name: &str, cluster, state: &str| ListedTag {
            name: name.to_owned(),
            cluster,
            state: state.to_owned(),
        };
        let list = [listed("vip", 2, "active"), listed("other", 1, "active")];
        assert_eq!(state_in(&list, &tag), Ok(TagState::Backup));
        let with = |state: &str| [listed("vip", 1, state)];
        assert_eq!(state_in(&with("active"), &tag), Ok(TagState::Active));
        assert_eq!(state_in(&with("backup"), &tag), Ok(TagState::Backup));
        assert!(state_in(&with("perhaps"), &tag).is_err());
        assert!(state_in(&with(""), &tag).is_err());
    }
}
