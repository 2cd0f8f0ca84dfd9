//! The promotion score: how much Pacemaker should like this instance as the promoted one.
//!
//! A transient node attribute, written by Pacemaker's own `crm_attribute --promotion` (Pacemaker
//! Administration, "Promotable clone resource agents"). That is a process, so it is run only where
//! the score changes, and by a probe: after Pacemaker was restarted beneath a running instance, the
//! attribute is gone and our memory of it is not.

use std::process::{Command, Stdio};
use std::time::Duration;

use deadline::Deadline;
use ocf::Request;

use crate::daemon::config::{Memory, wait};
use crate::promotion::role::{Record, Role};

/// What is promoted should stay so: a repaired node is no reason for another interruption.
const PROMOTED: i32 = 100;
/// It has everything that the promoted one has.
const STANDBY: i32 = 10;
/// It would do, and lacks data of the others, or it is not known whether it does.
const NOT_SYNCED: i32 = 5;
/// It does not serve. Any other instance is the better one, which Pacemaker then promotes rather
/// than to restart this one in place; and not less than 1: where all have failed, one is promoted
/// all the same.
pub(crate) const FAILED: i32 = 1;

/// How long Pacemaker's attribute daemon may take. A score that comes late is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where Pacemaker's tools are.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// The score of an instance that is well.
pub(crate) fn of(role: Role, synced: bool) -> i32 {
    match (role, synced) {
        (Role::Promoted, _) => PROMOTED,
        (Role::Unpromoted, true) => STANDBY,
        (Role::Unpromoted, false) => NOT_SYNCED,
    }
}

/// A score that was told, of an instance that was well then.
pub(crate) fn unless_failed(told: Option<i32>) -> Option<i32> {
    told.filter(|score| *score != FAILED)
}

/// The score of an instance that has just been demoted, by what was told last. One that has failed is
/// not well because it was demoted: it would be promoted again, rather than another.
pub(crate) fn after_demote(told: Option<i32>) -> i32 {
    if told == Some(FAILED) { FAILED } else { STANDBY }
}

/// Whether there is something to tell, by what was told last.
pub(crate) fn is_news(request: &Request, told: Option<i32>, score: i32) -> bool {
    request.promotable && (told != Some(score) || request.probe)
}

/// Tells Pacemaker, where the record says otherwise, and notes in the record what was told.
/// Whether the record has changed.
pub(crate) fn publish(request: &Request, record: &mut Record, score: i32) -> bool {
    if !is_news(request, record.score, score) {
        return false;
    }
    let told = run(request, &format!("--update={score}"), request.deadline);
    let now = told.then_some(score);
    let changed = record.score != now;
    record.score = now;
    changed
}

/// Takes the score back, whether or not one is remembered: with the memory gone, it would say that
/// an instance is well that is not here. To take back what is not there is no error.
pub(crate) fn withdraw(request: &Request, deadline: Deadline) {
    if request.promotable {
        run(request, "--delete", deadline);
    }
}

/// Whether Pacemaker has taken it.
fn run(request: &Request, what: &str, deadline: Deadline) -> bool {
    let instance = request.instance.as_str();
    let outcome = (|| {
        let output = Memory::new()?;
        let child = Command::new("crm_attribute")
            .arg(format!("--promotion={instance}"))
            .args(["--lifetime=reboot", what])
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output.for_child()?)
            .spawn()?;
        Ok::<_, std::io::Error>((wait(child, deadline.within(PATIENCE))?, output.text()))
    })();
    let trouble = match outcome {
        Ok((Some(status), _)) if status.success() => {
            log::info!("promotion_score {what}");
            return true;
        }
        Ok((Some(status), said)) => format!("{status}: {}", ocf::shown(said.trim().as_bytes())),
        Ok((None, _)) => "no end".to_owned(),
        Err(error) => error.to_string(),
    };
    log::warn!("crm_attribute --promotion={instance} {what}: {trouble}");
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_forgotten_when_it_is_over() {
        assert_eq!(unless_failed(Some(FAILED)), None);
        assert_eq!(unless_failed(Some(STANDBY)), Some(STANDBY));
        assert_eq!(unless_failed(None), None);
        // It is not over with a demote.
        assert_eq!(after_demote(Some(FAILED)), FAILED);
        assert_eq!(after_demote(Some(PROMOTED)), STANDBY);
        assert_eq!(after_demote(None), STANDBY);
    }

    #[test]
    fn who_is_promoted_stays_and_who_lacks_data_waits() {
        assert!(of(Role::Promoted, false) > of(Role::Unpromoted, true));
        assert!(of(Role::Unpromoted, true) > of(Role::Unpromoted, false));
        assert!(of(Role::Unpromoted, false) > FAILED);
        // Nothing or less would mean: never.
        const { assert!(FAILED > 0) }
    }
}
