//! What monitor asks through the Management Interface: whether it answers, shared memory, the sharing
//! tags and the data that nodes exchange.

use std::time::Duration;

use deadline::Deadline;
use hostproc::Process;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::host;
use crate::mi::command::{GET_STATISTICS, LIST_CAPABILITIES, UPTIME};
use crate::mi::{Client, MiError};
use crate::params::Params;
use crate::params::SharingTag;
use crate::promotion::role::{Record, Role};
use crate::promotion::sharing_tag::{TagState, activate, in_state};

/// Whom to ask, if anybody; of the instance with this main process.
///
/// # Errors
/// [`Error::NoSuchAccount`], [`Error::AccountLookup`]: whose FIFO may be trusted is not known.
pub(crate) fn client(params: &Params, main: Process) -> Result<Option<Client<'_>>> {
    let Some(endpoint) = &params.mi else { return Ok(None) };
    let daemon = host::daemon_user(&params.user, main.pid)?;
    Ok(Some(Client { endpoint, reply_directory: &params.mi_reply_dir, daemon }))
}

/// What the MI says about the instance as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// What an operator should look at.
    pub(crate) remarks: Vec<String>,
    /// How long it has been up, where it says so.
    pub(crate) up: Option<Duration>,
}

/// The MI answers, and shared memory is within its limit.
///
/// # Errors
/// [`Error::Mi`]
pub(crate) fn judge(client: Client<'_>, params: &Params, deadline: Deadline) -> Result<Health> {
    let uptime = client.call(UPTIME, &[], deadline)?;
    let statistics = client.call(GET_STATISTICS, &[Value::from(["shmem:"])], deadline)?;
    let remarks = Vec::from_iter(memory_remark(&statistics, params.shm_limit));
    Ok(Health { remarks, up: up_time(&uptime) })
}

/// `21 [sec]`
pub(crate) fn up_time(uptime: &Value) -> Option<Duration> {
    let text = uptime.get("Up time")?.as_str()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_secs)
}

/// `shared memory: 61 of 64 MB used, over shm_limit=90%`
fn memory_remark(statistics: &Value, limit: u32) -> Option<String> {
    let number = |name| statistics.get(name).and_then(Value::as_u64);
    let used = number("shmem:real_used_size")?;
    let total = number("shmem:total_size").filter(|total| *total > 0)?;
    // Bytes of a host's memory, times a hundred, are far from the end of u128.
    let over = u128::from(used) * 100 > u128::from(total) * u128::from(limit);
    let mega = |bytes: u64| bytes.div_ceil(1024 * 1024);
    over.then(|| {
        format!("shared memory: {} of {} MB used, over shm_limit={limit}%", mega(used), mega(total))
    })
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

/// What this node still lacks of the data that the nodes of the tags' clusters exchange.
///
/// # Errors
/// [`MiError`]
pub(crate) fn not_synced(
    client: Client<'_>,
    tags: &[SharingTag],
    deadline: Deadline,
) -> std::result::Result<Option<String>, MiError> {
    let list = client.call(LIST_CAPABILITIES, &[], deadline)?;
    Ok(first_not_synced(&list, tags))
}

fn first_not_synced(list: &Value, tags: &[SharingTag]) -> Option<String> {
    let clusters = list.get("Clusters")?.as_array()?;
    let ours = clusters.iter().filter(|cluster| {
        let id = cluster.get("cluster_id").and_then(Value::as_u64);
        tags.iter().any(|tag| id == Some(tag.cluster.into()))
    });
    let mut capabilities = ours
        .filter_map(|cluster| cluster.get("Capabilities")?.as_array())
        .flatten()
        .filter(|one| one.get("state").and_then(Value::as_str) != Some("Ok"));
    let name = capabilities.next()?.get("name")?.as_str()?;
    Some(ocf::shown(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn memory() {
        let remark = |used: u64, total: u64| {
            memory_remark(&json!({"shmem:real_used_size": used, "shmem:total_size": total}), 90)
        };
        assert_eq!(remark(90, 100), None);
        assert_eq!(
            remark(62 << 20, 64 << 20).unwrap(),
            "shared memory: 62 of 64 MB used, over shm_limit=90%"
        );
        assert_eq!(remark(1, 0), None);
        assert!(remark(u64::MAX, u64::MAX).is_some());
        assert_eq!(memory_remark(&json!({}), 90), None);
    }

    #[test]
    fn up_times() {
        let up = |text: &str| up_time(&json!({"Up time": text}));
        assert_eq!(up("21 [sec]"), Some(Duration::from_secs(21)));
        assert_eq!(up("soon"), None);
        assert_eq!(up_time(&json!("OK")), None);
    }

    #[test]
    fn capabilities() {
        let tags = ["vip/1".parse().unwrap()];
        let list = |cluster: u32, state: &str| {
            json!({"Clusters": [{"cluster_id": cluster, "Capabilities": [
                {"name": "usrloc-contact-repl", "state": "Ok", "enabled": "yes"},
                {"name": "dialog-dlg-repl", "state": state, "enabled": "yes"},
            ]}]})
        };
        assert_eq!(first_not_synced(&list(1, "Ok"), &tags), None);
        assert_eq!(first_not_synced(&list(2, "not synced"), &tags), None);
        assert_eq!(first_not_synced(&list(1, "not synced"), &tags).unwrap(), "dialog-dlg-repl");
        assert_eq!(first_not_synced(&json!("OK"), &tags), None);
    }
}
