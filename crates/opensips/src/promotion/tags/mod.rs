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

pub(crate) use declared::{refuse_declared_active, refuse_undeclared};

/// The state of a tag on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagState {
    Active,
    Backup,
}

/// The state of a tag in the daemon's list, if it is there.
///
/// # Errors
/// The state is neither.
pub(crate) fn state_in(
    list: &[ListedTag],
    tag: &SharingTag,
) -> std::result::Result<Option<TagState>, &'static str> {
    let is_it =
        |listed: &&ListedTag| listed.name == tag.name && listed.cluster == u64::from(tag.cluster);
    match list.iter().find(is_it).map(|listed| listed.state.as_str()) {
        None => Ok(None),
        Some("backup") => Ok(Some(TagState::Backup)),
        Some("active") => Ok(Some(TagState::Active)),
        Some(_) => Err("the state of a sharing tag is neither active nor backup"),
    }
}

/// The tags with the states that the daemon lists.
struct Listed<'t>(Vec<(&'t SharingTag, Option<TagState>)>);

impl<'t> Listed<'t> {
    fn ask(client: Client<'_>, tags: &'t [SharingTag], deadline: Deadline) -> Result<Self> {
        let list = client.sharing_tags(deadline).map_err(|error| named(error, tags))?;
        let state = |tag| Ok((tag, state_in(&list, tag).map_err(|what| client.garbled(what))?));
        tags.iter().map(state).collect::<Result<_>>().map(Self)
    }

    fn of_state(&self, state: TagState) -> impl Iterator<Item = &'t SharingTag> {
        self.0.iter().filter(move |(_, known)| *known == Some(state)).map(|(tag, _)| *tag)
    }

    /// Those that can be activated: the daemon creates a tag when it is first named, if it knows the
    /// cluster.
    fn not_active(&self) -> impl Iterator<Item = &'t SharingTag> {
        self.0.iter().filter(|(_, known)| *known != Some(TagState::Active)).map(|(tag, _)| *tag)
    }

    /// The first one that no configuration has declared.
    fn undeclared(&self) -> Option<&'t SharingTag> {
        self.0.iter().find(|(_, known)| known.is_none()).map(|(tag, _)| *tag)
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
    let listed = Listed::ask(client, tags, deadline)?;
    Ok(listed.of_state(TagState::Active).collect())
}

/// What no standby may have: a tag that is active, or that its configuration does not declare.
///
/// # Errors
/// [`Error::TagActive`], [`Error::TagUndeclared`], [`Error::NoClusterer`], [`Error::Mi`]
pub(crate) fn require_standby(
    client: Client<'_>,
    tags: &[SharingTag],
    deadline: Deadline,
) -> Result<()> {
    let listed = Listed::ask(client, tags, deadline)?;
    if let Some(tag) = listed.undeclared() {
        return Err(Error::TagUndeclared { tag: tag.clone() });
    }
    match listed.of_state(TagState::Active).next() {
        Some(tag) => Err(Error::TagActive { tag: tag.clone() }),
        None => Ok(()),
    }
}

/// A daemon that does not know the commands of module clusterer has not loaded it.
fn named(error: mi::Error, tags: &[SharingTag]) -> Error {
    match (error, tags.first()) {
        (mi::Error::UnknownCommand { .. }, Some(tag)) => Error::NoClusterer { tag: tag.clone() },
        (error, _) => error.into(),
    }
}

/// Judges whether the tags are as the role demands. A promoted instance that has lost one activates
/// it again: after a split brain in which both nodes were promoted, the daemons may agree that neither
/// is active. Returns what an operator should look at.
///
/// # Errors
/// [`Error::TagLost`], [`Error::TagUndeclared`], [`Error::NoClusterer`], [`Error::Mi`]
pub(crate) fn judge(
    client: Client<'_>,
    tags: &[SharingTag],
    record: &mut Record,
    deadline: Deadline,
) -> Result<Option<String>> {
    let listed = Listed::ask(client, tags, deadline)?;
    if record.role == Role::Promoted {
        let Some(first) = listed.not_active().next() else { return Ok(None) };
        hold(client, tags, deadline)?;
        return Ok(Some(format!("sharing tag {first} was on backup and has been activated again")));
    }
    if let Some(tag) = listed.undeclared() {
        return Err(Error::TagUndeclared { tag: tag.clone() });
    }
    let active = listed.of_state(TagState::Active).next();
    // In a planned move, the other node activates it a moment after demote.
    let lasting = std::mem::replace(&mut record.tag_astray, active.is_some());
    Ok(active.filter(|_| lasting).map(|tag| {
        format!("sharing tag {tag} is active on an unpromoted instance: promote a node")
    }))
}

/// Activates the tags, and reads back that they are active.
///
/// # Errors
/// [`Error::TagLost`], [`Error::NoClusterer`], [`Error::Mi`]
pub(crate) fn hold(client: Client<'_>, tags: &[SharingTag], deadline: Deadline) -> Result<()> {
    for tag in Listed::ask(client, tags, deadline)?.not_active() {
        client
            .activate_sharing_tag(&tag.to_string(), deadline)
            .map_err(|error| named(error, tags))?;
    }
    match Listed::ask(client, tags, deadline)?.not_active().next() {
        None => Ok(()),
        Some(tag) => Err(Error::TagLost { tag: tag.clone() }),
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
        assert_eq!(state_in(&list, &tag), Ok(None));
        let with = |state: &str| [listed("vip", 1, state)];
        assert_eq!(state_in(&with("active"), &tag), Ok(Some(TagState::Active)));
        assert_eq!(state_in(&with("backup"), &tag), Ok(Some(TagState::Backup)));
        assert!(state_in(&with("perhaps"), &tag).is_err());
        assert!(state_in(&with(""), &tag).is_err());
    }

    #[test]
    fn what_is_listed() {
        let tags: Vec<SharingTag> =
            ["vip/1", "vip/2", "vip/3"].iter().map(|tag| tag.parse().unwrap()).collect();
        let states = [Some(TagState::Active), Some(TagState::Backup), None];
        let listed = Listed(tags.iter().zip(states).collect());
        let names = |tags: &mut dyn Iterator<Item = &SharingTag>| {
            tags.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&mut listed.of_state(TagState::Active)), ["vip/1"]);
        assert_eq!(names(&mut listed.of_state(TagState::Backup)), ["vip/2"]);
        // One that the daemon does not list can be activated.
        assert_eq!(names(&mut listed.not_active()), ["vip/2", "vip/3"]);
        assert_eq!(listed.undeclared(), Some(&tags[2]));
        assert_eq!(Listed(vec![(&tags[0], Some(TagState::Backup))]).undeclared(), None);
    }

    #[test]
    fn without_the_module_the_first_tag_is_named() {
        let tags = ["vip/1".parse().unwrap()];
        let unknown = || mi::Error::UnknownCommand { command: "x", module: "clusterer" };
        assert!(matches!(named(unknown(), &tags), Error::NoClusterer { tag } if tag == tags[0]));
        assert!(matches!(named(unknown(), &[]), Error::Mi(_)));
        let refused = mi::Error::Refused { command: "x", code: 404, message: String::new() };
        assert!(matches!(named(refused, &tags), Error::Mi(_)));
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
