//! The sharing tags of an instance, kept as its role demands.

use deadline::Deadline;
use hostproc::Process;

use crate::error::{Error, Result};
use crate::host;
use crate::mi::answers::Capability;
use crate::mi::{self, Client};
use crate::params::Params;
use crate::params::SharingTag;
use crate::promotion::role::{Record, Role};
use crate::promotion::sharing_tag::{TagState, activate, in_state};

/// The MI of the instance with this main process, if the parameters name one.
///
/// # Errors
/// [`Error::NoSuchAccount`], [`Error::AccountLookup`]: it is unknown which user's FIFO to trust.
pub(crate) fn client(params: &Params, main: Process) -> Result<Option<Client<'_>>> {
    let Some(endpoint) = &params.mi else { return Ok(None) };
    let daemon = host::daemon_user(&params.user, main.pid)?;
    Ok(Some(Client { endpoint, reply_directory: &params.mi_reply_dir, daemon }))
}

/// The tags are as the role demands. A promoted instance that has lost one takes it back, once:
/// after a split in which both nodes were promoted, the daemons may agree that neither is active.
/// Gives what an operator should look at.
///
/// # Errors
/// [`Error::TagLost`], [`Error::Mi`]
pub(crate) fn judge_tags(
    client: Client<'_>,
    tags: &[SharingTag],
    record: &mut Record,
    deadline: Deadline,
) -> Result<Option<String>> {
    if record.role == Role::Unpromoted {
        let active = in_state(client, tags, TagState::Active, deadline)?;
        // In a move, the other node takes it a moment after demote.
        let lasting = std::mem::replace(&mut record.tag_astray, !active.is_empty());
        return Ok(active.first().filter(|_| lasting).map(|tag| {
            format!("sharing tag {tag} is active on an unpromoted instance until another takes it")
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
    Ok(Some(format!("sharing tag {first} was on backup: made active again")))
}

/// Makes the tags active and reads back that they are.
///
/// # Errors
/// [`Error::TagLost`], [`Error::Mi`]
pub(crate) fn hold(client: Client<'_>, tags: &[SharingTag], deadline: Deadline) -> Result<()> {
    for tag in in_state(client, tags, TagState::Backup, deadline)? {
        activate(client, tag, deadline)?;
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
pub(crate) fn not_synced(
    client: Client<'_>,
    tags: &[SharingTag],
    deadline: Deadline,
) -> mi::Result<Option<String>> {
    Ok(first_not_synced(client.capabilities(deadline)?, tags))
}

fn first_not_synced(capabilities: Vec<Capability>, tags: &[SharingTag]) -> Option<String> {
    let is_ours = |id| tags.iter().any(|tag| id == u64::from(tag.cluster));
    let mut lacking =
        capabilities.into_iter().filter(|one| is_ours(one.cluster) && one.state != "Ok");
    lacking.next().map(|one| one.name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            first_not_synced(all, &tags)
        };
        assert_eq!(first(1, "Ok"), None);
        assert_eq!(first(2, "not synced"), None);
        assert_eq!(first(1, "not synced").unwrap(), "dialog-dlg-repl");
    }
}
