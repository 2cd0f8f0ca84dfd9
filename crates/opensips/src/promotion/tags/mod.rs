//! Sharing tags of module clusterer: which node of a cluster works on the data that all of them have.
//!
//! A tag is `active` on one node and `backup` on the others. There is a command that makes it active
//! on this node; it becomes backup when another node does that, and by a restart with `=backup` in the
//! configuration (`shtag_activate()`, `handle_shtag_active()` in modules/clusterer/sharing_tags.c).

mod declared;

use deadline::Deadline;

use super::{Error, Result};
use crate::instance::role::{Record, Role};
use crate::mi::answers::{Capability, ListedTag};
use crate::mi::{self, Client};
use crate::params::SharingTag;

pub(crate) use declared::refuse_declared_active;

/// The state of a tag on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagState {
    Active,
    Backup,
}

/// The state of a tag in the daemon's list. A tag that is not in the list is on backup: the daemon
/// creates it, as backup, when it is first named.
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

/// Those of the tags that are active on this node.
///
/// # Errors
/// [`Error::NoClusterer`], [`Error::Mi`]
pub(crate) fn active<'t>(
    client: Client<'_>,
    tags: &'t [SharingTag],
    deadline: Deadline,
) -> Result<Vec<&'t SharingTag>> {
    in_state(client, tags, TagState::Active, deadline)
}

fn in_state<'t>(
    client: Client<'_>,
    tags: &'t [SharingTag],
    state: TagState,
    deadline: Deadline,
) -> Result<Vec<&'t SharingTag>> {
    let list = client.sharing_tags(deadline).map_err(|error| named(error, tags))?;
    let mut found = Vec::new();
    for tag in tags {
        if state_in(&list, tag).map_err(|what| client.garbled(what))? == state {
            found.push(tag);
        }
    }
    Ok(found)
}

/// A daemon that does not know the commands of module clusterer has not loaded it.
fn named(error: mi::Error, tags: &[SharingTag]) -> Error {
    match (error, tags.first()) {
        (mi::Error::UnknownCommand { .. }, Some(tag)) => Error::NoClusterer { tag: tag.clone() },
        (error, _) => error.into(),
    }
}

/// Judges whether the tags are as the role demands. A promoted instance that has lost one activates
/// it again, once: after a split brain in which both nodes were promoted, the daemons may agree that
/// neither is active. Returns what an operator should look at.
///
/// # Errors
/// [`Error::TagLost`], [`Error::NoClusterer`], [`Error::Mi`]
pub(crate) fn judge(
    client: Client<'_>,
    tags: &[SharingTag],
    record: &mut Record,
    deadline: Deadline,
) -> Result<Option<String>> {
    if record.role == Role::Unpromoted {
        let active = active(client, tags, deadline)?;
        // In a planned move, the other node activates it a moment after demote.
        let lasting = std::mem::replace(&mut record.tag_astray, !active.is_empty());
        return Ok(active.first().filter(|_| lasting).map(|tag| {
            format!("sharing tag {tag} is active on an unpromoted instance: promote a node")
        }));
    }
    let lost = in_state(client, tags, TagState::Backup, deadline)?;
    let Some(first) = lost.first().copied() else {
        record.tag_astray = false;
        return Ok(None);
    };
    if record.tag_astray {
        return Err(Error::TagLost { tag: first.clone() });
    }
    hold(client, tags, deadline)?;
    record.tag_astray = true;
    Ok(Some(format!("sharing tag {first} was on backup and has been activated again")))
}

/// Activates the tags, and reads back that they are active.
///
/// # Errors
/// [`Error::TagLost`], [`Error::NoClusterer`], [`Error::Mi`]
pub(crate) fn hold(client: Client<'_>, tags: &[SharingTag], deadline: Deadline) -> Result<()> {
    for tag in in_state(client, tags, TagState::Backup, deadline)? {
        client
            .activate_sharing_tag(&tag.to_string(), deadline)
            .map_err(|error| named(error, tags))?;
    }
    match in_state(client, tags, TagState::Backup, deadline)?.first() {
        None => Ok(()),
        Some(tag) => Err(Error::TagLost { tag: (*tag).clone() }),
    }
}

/// The first capability of the tags' clusters whose data this node has not received from the others.
///
/// # Errors
/// Those of the MI.
pub(crate) fn first_not_synced(
    client: Client<'_>,
    tags: &[SharingTag],
    deadline: Deadline,
) -> mi::Result<Option<String>> {
    Ok(first_lacking(client.capabilities(deadline)?, tags))
}

fn first_lacking(capabilities: Vec<Capability>, tags: &[SharingTag]) -> Option<String> {
    let is_ours = |id| tags.iter().any(|tag| id == u64::from(tag.cluster));
    let mut lacking =
        capabilities.into_iter().filter(|one| is_ours(one.cluster) && one.state != "Ok");
    lacking.next().map(|one| one.name)
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

    #[test]
    fn capabilities() {
        let tags = ["vip/1".parse().unwrap()];
        let first = |cluster, state: &str| {
            let one = |name: &str, state: &str| Capability {
                cluster,
                name: name.to_owned(),
                state: state.to_owned(),
            };
            let all = vec![one("usrloc-contact-repl", "Ok"), one("dialog-dlg-repl", state)];
            first_lacking(all, &tags)
        };
        assert_eq!(first(1, "Ok"), None);
        assert_eq!(first(2, "not synced"), None);
        assert_eq!(first(1, "not synced").unwrap(), "dialog-dlg-repl");
    }
}
