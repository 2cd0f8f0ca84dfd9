//! The promotion score: how much Pacemaker prefers this instance as the promoted one.
//!
//! It is a transient node attribute, written by `crm_attribute --promotion` (Pacemaker Administration,
//! "Promotable clone resource agents"). That is a process, so it is executed only when the score
//! changes, and by a probe: a restart of Pacemaker under a running instance removes the attribute, and
//! the agent remembers it still.

use deadline::Deadline;
use hostproc::{ProcFs, Process};
use ocf::{Action, LogLine, Membership, Request, UNCERTAIN};

use crate::cluster;
use crate::instance::role::{Record, Role};

// The scores are far above any stickiness that an administrator sets (100 is usual), which Pacemaker adds
// to the score of the instance that is promoted: with smaller ones, a promoted instance that fails would
// be promoted again and again although a healthy standby is ready.

/// The promoted instance remains promoted: the return of a node is no reason for an interruption.
const PROMOTED: i32 = 10_000;
/// It has all the data of the promoted one.
const STANDBY: i32 = 9_000;
/// It lacks data of the others, or that is not known.
const NOT_SYNCED: i32 = 5_000;
/// It has just started and nothing more is known: a tie with one that lacks data would let a daemon that
/// crashes again and again keep the role.
const STARTED: i32 = 4_000;
/// It lives and does not answer. Not the score of one that has just started, which stays until it is known
/// better.
const SILENT: i32 = 3_000;
/// It does not serve. Pacemaker promotes any other instance rather than restart this one in place. Not
/// less than 1: if all have failed, one of them must be promoted.
pub(crate) const FAILED: i32 = 1;

/// The score of an instance that serves.
fn of(role: Role, synced: bool) -> i32 {
    match (role, synced) {
        (Role::Promoted, _) => PROMOTED,
        (Role::Unpromoted, true) => STANDBY,
        (Role::Unpromoted, false) => NOT_SYNCED,
    }
}

/// The score of an instance that serves, by the answer of its MI: whether it has the data of the others. `None`: there was no
/// answer, or it was not asked, as below level 10 (`deep`) an unpromoted one is not.
pub(super) fn deserved(
    role: Role,
    answered: Option<bool>,
    has_tags: bool,
    deep: bool,
    told: Option<i32>,
) -> i32 {
    match (role, answered) {
        (Role::Promoted, None) if has_tags => unanswered(told),
        (Role::Promoted, _) => PROMOTED,
        (Role::Unpromoted, Some(synced)) => of(Role::Unpromoted, synced),
        // Without tags there is no data to exchange.
        (Role::Unpromoted, None) => {
            let found = of(Role::Unpromoted, !has_tags);
            if deep { found } else { unless_failed(told).unwrap_or(found) }
        }
    }
}

/// The score of an instance that has just been started; without sharing tags there is no data to wait for.
pub(crate) fn after_start(has_no_tags: bool) -> i32 {
    if has_no_tags { STANDBY } else { STARTED }
}

/// The score that Pacemaker has, unless it is that of a failure or of a silence, which are over.
fn unless_failed(told: Option<i32>) -> Option<i32> {
    told.filter(|score| ![FAILED, SILENT].contains(score))
}

/// The score of an instance that lives and does not answer: an unpromoted one is the last to be promoted but for
/// those that have failed. A promoted one keeps it until its silence is a failure: it may be busy with calls.
pub(crate) fn while_silent(role: Role, score: i32) -> i32 {
    match role {
        Role::Promoted => score,
        Role::Unpromoted => score.min(SILENT),
    }
}

/// The score of a promoted instance whose MI does not answer, by the score that Pacemaker has: it
/// serves, and what it deserved before is no reason to move it.
fn unanswered(told: Option<i32>) -> i32 {
    if told == Some(NOT_SYNCED) { NOT_SYNCED } else { PROMOTED }
}

/// The score of an instance that is promoted: one that could not activate its sharing tags gives way to
/// a standby that is ready.
pub(crate) fn after_promote(holds_tags: bool) -> i32 {
    if holds_tags { PROMOTED } else { NOT_SYNCED }
}

/// The score of an instance that has just been demoted, by the score that Pacemaker has. A demote does
/// not end a failure: with a better score the same instance would be promoted again. Nor does it make
/// one that lacked something complete.
pub(crate) fn after_demote(told: Option<i32>) -> i32 {
    match told {
        Some(score @ (FAILED | SILENT | NOT_SYNCED | STARTED)) => score,
        _ => STANDBY,
    }
}

/// From this check level on, a monitor looks whether what was told is still known.
const DAEMON_LEVEL: u32 = 10;

/// Whether Pacemaker has to be told a score, by what it was told.
pub(crate) fn is_news(request: &Request, record: &Record, score: i32) -> bool {
    request.promotable
        && (record.score != Some(score) || request.probe || has_forgotten(request, record))
}

/// Whether the score that was told may be lost by now, and then no instance is promoted. Where the process of
/// Pacemaker that was told it was killed, the scores of all nodes may be lost with it. Where nodes lose sight of
/// each other and meet again without fencing, the controller of each deletes what the CIB has of the other one, perhaps
/// after it was written again.
fn has_forgotten(request: &Request, record: &Record) -> bool {
    request.check_level >= DAEMON_LEVEL
        && attribute_daemon().is_some_and(|now| is_lost(record, now, Membership::now()))
}

/// The same by what is there now.
fn is_lost(record: &Record, daemon: Process, membership: Membership) -> bool {
    let lost = |told| told != daemon || membership.has_changed(record.membership);
    record.told.is_some_and(lost)
}

/// Tells Pacemaker a score that differs from the record, and notes it in the record. Returns whether
/// the record has changed.
pub(crate) fn publish(request: &Request, record: &mut Record, score: i32) -> bool {
    if !is_news(request, record, score) {
        return false;
    }
    // What changes meanwhile has changed for the next monitor.
    let (daemon, membership) = (attribute_daemon(), Membership::now().noted());
    let told = run(request, &format!("--update={score}"), request.deadline);
    // Who moves the role does not wait for that.
    let looks = || request.action == Action::Monitor && has_arrived(request, score);
    let arrived = told && (!may_be_no_news(record, daemon, score) || looks());
    let after = noted(record, (told, arrived), daemon, membership, score);
    let changed = *record != after;
    *record = after;
    changed
}

/// Whether the attribute daemon may have this score already, and does not write it again.
fn may_be_no_news(record: &Record, daemon: Option<Process>, score: i32) -> bool {
    let has_it = daemon.is_some() && (record.score, record.told) == (Some(score), daemon);
    has_it || record.membership == Some(UNCERTAIN)
}

/// The record after a score was told. What has not arrived for certain is told again when a monitor compares.
fn noted(
    record: &Record,
    (told, arrived): (bool, bool),
    daemon: Option<Process>,
    membership: Option<u64>,
    score: i32,
) -> Record {
    Record {
        score: told.then_some(score),
        told: daemon.filter(|_| told),
        membership: if arrived { membership } else { membership.map(|_| UNCERTAIN) },
        ..*record
    }
}

/// Looks whether the scheduler knows the score, and has it written again if not. That ends the `dampen` of all
/// attributes early, so it is asked for only then.
fn has_arrived(request: &Request, score: i32) -> bool {
    let Some(node) = &request.node else { return true };
    let deadline = request.deadline;
    let there = match cluster::is_score_in_cib(&request.instance, node, score, deadline) {
        Ok(true) => Ok(()),
        Ok(false) => cluster::refresh_attributes(deadline),
        Err(error) => Err(error),
    };
    if let Err(error) = &there {
        log::warn!("{}", LogLine::of(request.action).note(error));
    }
    there.is_ok()
}

/// The file names of Pacemaker's attribute daemon, and of what starts it.
const ATTRIBUTE_DAEMON: &str = "pacemaker-attrd";
const MANAGER: &str = "pacemakerd";

/// That daemon, of the same manager as the executor that has started this process; `None` where a person has.
pub(super) fn attribute_daemon() -> Option<Process> {
    ProcFs::default().daemon_beside_parent(MANAGER, ATTRIBUTE_DAEMON)
}

/// Deletes the score, whether or not one is remembered: a score that stays promises an instance that
/// is not running. Deleting a score that does not exist is no error.
pub(crate) fn withdraw(request: &Request, deadline: Deadline) {
    if request.promotable {
        run(request, "--delete", deadline);
    }
}

/// Returns whether Pacemaker has accepted it. A late score is no reason to fail.
fn run(request: &Request, what: &str, deadline: Deadline) -> bool {
    let line = LogLine::of(request.action).field("promotion_score", what);
    match cluster::set_promotion_score(&request.instance, what, deadline) {
        Ok(()) => {
            log::info!("{line}");
            true
        }
        Err(error) => {
            log::warn!("{}", line.note(error));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_forgotten_when_it_is_over() {
        assert_eq!(unless_failed(Some(FAILED)), None);
        assert_eq!(unless_failed(Some(STANDBY)), Some(STANDBY));
        assert_eq!(unless_failed(Some(SILENT)), None);
        assert_eq!(unless_failed(None), None);
        // It is not over with a demote.
        assert_eq!(after_demote(Some(FAILED)), FAILED);
        assert_eq!(after_demote(Some(PROMOTED)), STANDBY);
        assert_eq!(after_demote(Some(NOT_SYNCED)), NOT_SYNCED);
        assert_eq!(after_demote(None), STANDBY);
        // Nor does it give what was lacking.
        assert_eq!(after_demote(Some(SILENT)), SILENT);
        assert_eq!(after_demote(Some(STARTED)), STARTED);
    }

    #[test]
    fn a_promoted_instance_keeps_the_role_unless_it_lacks_its_tags() {
        assert_eq!((after_promote(true), after_promote(false)), (PROMOTED, NOT_SYNCED));
        assert_eq!(unanswered(Some(NOT_SYNCED)), NOT_SYNCED);
        for told in [None, Some(FAILED), Some(STARTED), Some(STANDBY), Some(PROMOTED)] {
            assert_eq!(unanswered(told), PROMOTED);
        }
    }

    /// The table in docs/development.md.
    #[test]
    fn what_a_monitor_finds_is_deserved() {
        let all_told =
            [None, Some(FAILED), Some(SILENT), Some(STARTED), Some(NOT_SYNCED), Some(STANDBY)];
        for told in all_told {
            for deep in [false, true] {
                let promoted =
                    |answered, has_tags| deserved(Role::Promoted, answered, has_tags, deep, told);
                for answered in [Some(true), Some(false)] {
                    assert_eq!(
                        (promoted(answered, true), promoted(answered, false)),
                        (PROMOTED, PROMOTED)
                    );
                }
                assert_eq!(promoted(None, false), PROMOTED);
                assert_eq!(promoted(None, true), unanswered(told));
                for has_tags in [false, true] {
                    let standby =
                        |answered| deserved(Role::Unpromoted, answered, has_tags, deep, told);
                    let scores = (standby(Some(true)), standby(Some(false)));
                    assert_eq!(scores, (STANDBY, NOT_SYNCED));
                }
            }
            let silent = |has_tags, deep| deserved(Role::Unpromoted, None, has_tags, deep, told);
            assert_eq!((silent(true, true), silent(false, true)), (NOT_SYNCED, STANDBY));
            // Not asked: what was told stays, but for a failure and a silence, which are over.
            let kept = told.filter(|score| *score > SILENT);
            assert_eq!(silent(true, false), kept.unwrap_or(NOT_SYNCED));
            assert_eq!(silent(false, false), kept.unwrap_or(STANDBY));
        }
    }

    /// Each of them is a process, and a recurring monitor is to execute none.
    #[test]
    fn pacemaker_is_told_once() {
        let deadline = Deadline::now();
        let request = Request {
            action: Action::Monitor,
            instance: ocf::InstanceName::new("sip".as_ref()),
            values: ocf::Values::default(),
            deadline,
            timeout: std::time::Duration::ZERO,
            probe: false,
            interval: std::time::Duration::from_secs(2),
            in_cluster: true,
            node: None,
            expects_stopped: false,
            expects_promoted: false,
            by_cluster: true,
            promotable: true,
            check_level: DAEMON_LEVEL,
        };
        let main = Process { pid: hostproc::Pid::own(), start_time: 1 };
        let record = Record { score: Some(STANDBY), ..Record::unpromoted(main) };
        assert!(is_news(&request, &record, PROMOTED) && !is_news(&request, &record, STANDBY));
        assert!(is_news(&request, &Record::unpromoted(main), STANDBY));
        // No attribute daemon is a sibling of this test's parent.
        assert!(!is_news(&request, &Record { told: Some(main), ..record }, STANDBY));
        assert!(is_news(&Request { probe: true, ..request.clone() }, &record, STANDBY));
        assert!(!is_news(&Request { promotable: false, ..request }, &record, PROMOTED));
    }

    #[test]
    fn what_may_be_lost_is_told_again_until_it_has_arrived() {
        let process = |pid| Process { pid: hostproc::Pid::new(pid).unwrap(), start_time: 1 };
        let (daemon, since) = (process(7), Some(5));
        let fresh = Record::unpromoted(process(1));
        let told = noted(&fresh, (true, true), Some(daemon), since, STANDBY);
        let lost = |record, membership| is_lost(record, daemon, membership);
        assert!(!lost(&told, Membership::Since(5)) && !lost(&told, Membership::Changing));
        assert!(
            lost(&told, Membership::Since(6)) && is_lost(&told, process(8), Membership::Unknown)
        );
        // A record of an older version, and one of a moment of change.
        let older = Record { membership: None, ..told };
        assert!(lost(&older, Membership::Since(5)));
        let amid = noted(&fresh, (true, true), Some(daemon), Some(UNCERTAIN), STANDBY);
        assert!(lost(&amid, Membership::Since(5)));
        // Nobody was told.
        assert!(!lost(&fresh, Membership::Since(5)));
        let may = |record, score| may_be_no_news(record, Some(daemon), score);
        assert!(may(&told, STANDBY) && !may(&told, PROMOTED) && !may(&fresh, STANDBY));
        // After an attempt that has failed, the next one looks, too.
        let failed = noted(&told, (false, false), Some(daemon), since, STANDBY);
        assert!(failed.score.is_none() && may(&failed, STANDBY));
        let doubtful = noted(&failed, (true, false), Some(daemon), since, STANDBY);
        assert!(lost(&doubtful, Membership::Since(5)) && may(&doubtful, STANDBY));
        // Without Corosync nothing is uncertain.
        assert_eq!(noted(&told, (false, false), Some(daemon), None, STANDBY).membership, None);
    }

    #[test]
    fn who_is_promoted_stays_and_who_lacks_data_waits() {
        assert!(of(Role::Promoted, false) > of(Role::Unpromoted, true));
        assert!(of(Role::Unpromoted, true) > of(Role::Unpromoted, false));
        assert!(of(Role::Unpromoted, false) > after_start(false));
        let silent = while_silent(Role::Unpromoted, STANDBY);
        assert!(after_start(false) > silent && silent > FAILED);
        assert_eq!(while_silent(Role::Promoted, PROMOTED), PROMOTED);
        assert_eq!(while_silent(Role::Unpromoted, FAILED), FAILED);
        // Nothing or less would mean: never.
        const { assert!(FAILED > 0) }
    }

    /// Pacemaker adds the stickiness of the clone, and of what is colocated with it, to the score of the
    /// promoted instance.
    #[test]
    fn a_standby_that_serves_is_promoted_in_spite_of_any_usual_stickiness() {
        const STICKINESS: i32 = 1_000;
        assert!(of(Role::Unpromoted, false) > FAILED + 4 * STICKINESS);
        // Nor does a node that has just come back take the role.
        assert!(of(Role::Promoted, true) >= of(Role::Unpromoted, true) + STICKINESS);
    }
}
