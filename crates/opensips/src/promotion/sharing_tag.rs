//! Sharing tags of module clusterer: which node of a cluster works on what all of them know.
//!
//! A tag is `active` on one node and `backup` on the others. There is a command to make it active
//! here; it becomes backup when another node does that, and by a restart with `=backup` in the
//! configuration (`shtag_activate()`, `handle_shtag_active()` in modules/clusterer/sharing_tags.c).

use std::fmt;
use std::str::FromStr;

use deadline::Deadline;

use crate::mi::answers::ListedTag;
use crate::mi::{Client, Result};

/// A tag of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SharingTag {
    name: String,
    cluster: u32,
}

/// What a node is for a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagState {
    /// It does the work.
    Active,
    /// It stands by.
    Backup,
}

/// Why a text is no tag.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("give TAG/CLUSTER, like vip/1, with a cluster id from 1 on")]
pub struct ParseSharingTagError;

impl FromStr for SharingTag {
    type Err = ParseSharingTagError;

    fn from_str(text: &str) -> std::result::Result<Self, ParseSharingTagError> {
        let (name, cluster) = text.split_once('/').ok_or(ParseSharingTagError)?;
        let fits = |c: char| c.is_ascii_graphic() && !"/=,\"'".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(ParseSharingTagError);
        }
        // clusterer's ids are positive C ints.
        let id = cluster.parse().ok().filter(|id| (1..=2_147_483_647_u32).contains(id));
        Ok(Self { name: name.to_owned(), cluster: id.ok_or(ParseSharingTagError)? })
    }
}

impl SharingTag {
    /// The id of its cluster.
    pub fn cluster(&self) -> u32 {
        self.cluster
    }
}

impl fmt::Display for SharingTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.cluster)
    }
}

/// A list of tags, separated by commas or spaces, each once.
///
/// # Errors
/// [`ParseSharingTagError`]
pub fn parse_list(text: &str) -> std::result::Result<Vec<SharingTag>, ParseSharingTagError> {
    let mut tags: Vec<SharingTag> = Vec::new();
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        let tag = word.parse()?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    if tags.is_empty() { Err(ParseSharingTagError) } else { Ok(tags) }
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
    use proptest::prelude::*;

    #[test]
    fn texts() {
        let shown = |text: &str| -> Vec<String> {
            parse_list(text).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(shown("vip/1"), ["vip/1"]);
        assert_eq!(shown("vip/1, sip_2/20 vip/1"), ["vip/1", "sip_2/20"]);
        for text in ["", " ", "vip", "vip/", "/1", "vip/0", "vip/-1", "vip/x", "vip/1=active"] {
            assert!(parse_list(text).is_err(), "{text}");
        }
        for text in ["vip/4294967295", "a=b/1", "a\"/1", "a/b/1", "\u{e9}/1"] {
            assert!(parse_list(text).is_err(), "{text}");
        }
    }

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

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            if let Ok(tags) = parse_list(&text) {
                prop_assert!(!tags.is_empty());
            }
        }
    }
}
