//! The deadline of an action.

use std::time::{Duration, Instant};

use deadline::Deadline;

/// The deadline of an action that began at `started` and that Pacemaker kills `timeout` later: a
/// tenth of the timeout earlier, but at least 100 ms and at most 2 s earlier, and never more than
/// half of a very short timeout.
///
/// Pacemaker sends SIGKILL to the action's whole process group at its timeout
/// (`OCF_RESKEY_CRM_meta_timeout`). An agent that ends before that can roll back and give an exit
/// reason.
pub fn action_deadline(started: Instant, timeout: Duration) -> Deadline {
    // An absurd timeout (years) must not overflow the clock: a day is as good as for ever.
    let usable = (timeout - action_margin(timeout)).min(Duration::from_secs(86_400));
    Deadline::at(started + usable)
}

/// The time between the deadline of an action and its death.
pub fn action_margin(timeout: Duration) -> Duration {
    (timeout / 10).clamp(Duration::from_millis(100), Duration::from_secs(2)).min(timeout / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_before_pacemaker_kills() {
        let started = Instant::now();
        let left = |timeout| action_deadline(started, timeout).instant() - started;
        assert_eq!(left(Duration::from_secs(20)), Duration::from_secs(18));
        assert_eq!(left(Duration::from_secs(60)), Duration::from_secs(58));
        assert_eq!(left(Duration::from_millis(500)), Duration::from_millis(400));
        assert_eq!(left(Duration::from_millis(50)), Duration::from_millis(25));
        assert_eq!(left(Duration::ZERO), Duration::ZERO);
        assert_eq!(left(Duration::MAX), Duration::from_secs(86_400));
    }
}
