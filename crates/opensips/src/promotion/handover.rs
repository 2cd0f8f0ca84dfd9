//! The promoted role leaves an instance that has failed: by its promotion score alone, before Pacemaker learns
//! of the failure.
//!
//! Pacemaker promotes another instance of the clone only when it has restarted the one that has failed (0.6 s and
//! more, because start waits until it serves), and what follows the promotion waits for that, too, such as the
//! virtual address. A score alone moves the role in some 0.2 s, because nothing is to be restarted.

use std::time::Duration;

use ocf::Request;

use crate::cluster::{self, Status};
use crate::instance::Instance;
use crate::instance::role::Role;

/// How long Pacemaker may take to begin moving the role away. So much longer a failure takes where it
/// does not.
const BEGINS: Duration = Duration::from_millis(500);
/// How long Pacemaker may take to say whether there is a successor: the failure must not wait for a cluster that
/// does not answer.
const ANSWERS: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Whether this node's instance is promoted, and another one may become so.
pub(crate) fn has_successor(status: &Status, node: &str) -> bool {
    status.on(node).is_some_and(|here| here.promoted)
        && status.elsewhere(node).any(|other| other.managed && !other.failed)
}

/// Waits until Pacemaker demotes this node's instance, which demote notes in its record. Returns whether it does.
pub(crate) fn begins(instance: &Instance<'_>) -> bool {
    let until = instance.deadline().within(BEGINS);
    loop {
        match instance.record() {
            Some(record) if record.role == Role::Promoted => {}
            Some(_) => return true,
            None => return false,
        }
        if !until.sleep(LOOK_AGAIN) {
            return false;
        }
    }
}

/// Gives Pacemaker the time to demote an instance whose score of a failure has just been published, if there is
/// a successor. Pacemaker ends a monitor that is running when it demotes (`services_action_cancel()` in
/// lib/services): then the monitor of the unpromoted instance reports the failure.
pub(crate) fn wait(request: &Request, instance: &Instance<'_>) {
    let Some(node) = &request.node else { return };
    let status = cluster::status(&request.instance, instance.deadline().within(ANSWERS));
    if status.is_ok_and(|status| has_successor(&status, node)) {
        begins(instance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;

    /// One instance of each of these kinds on a node of its own, the first on node1.
    fn successor(instances: &[(&str, &str)]) -> bool {
        let mut xml = "<pacemaker-result>".to_owned();
        for (at, (role, more)) in instances.iter().enumerate() {
            xml += &format!(
                "<resource id=\"sip\" resource_agent=\"ocf:smartvox:opensips\" role=\"{role}\" active=\"true\" \
                 orphaned=\"false\" blocked=\"false\" {more}><node name=\"node{}\"/></resource>",
                at + 1
            );
        }
        let status = Status::parse(&xml, &InstanceName::new("sip".as_ref())).unwrap();
        has_successor(&status, "node1")
    }

    #[test]
    fn who_could_follow() {
        const WELL: &str = "managed=\"true\" failed=\"false\"";
        const FAILED: &str = "managed=\"true\" failed=\"true\"";
        const UNMANAGED: &str = "managed=\"false\" failed=\"false\"";
        let (promoted, standby) = (("Promoted", FAILED), ("Unpromoted", WELL));
        assert!(successor(&[promoted, standby]));
        assert!(successor(&[promoted, ("Unpromoted", FAILED), standby]));
        // Nobody is promoted here, or nobody could follow.
        assert!(!successor(&[standby, standby]));
        assert!(!successor(&[promoted]) && !successor(&[]));
        assert!(!successor(&[promoted, ("Unpromoted", FAILED)]));
        assert!(!successor(&[promoted, ("Unpromoted", UNMANAGED)]));
    }
}
