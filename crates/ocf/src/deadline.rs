//! What is left of the action's time.

use std::time::{Duration, Instant};

/// The instant by which an action must have ended by itself.
///
/// Pacemaker sends SIGKILL to the action's whole process group at its timeout
/// (`OCF_RESKEY_CRM_meta_timeout`); an agent that ends before keeps its word about rolling back
/// and about the exit reason. The clock is CLOCK_MONOTONIC: a jump of the wall clock changes
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline of an action that began at `started` and is killed `timeout` later: a tenth
    /// of the timeout earlier, at least 100 ms, at most 2 s and half of a very short timeout.
    pub fn of_action(started: Instant, timeout: Duration) -> Self {
        let margin = (timeout / 10)
            .clamp(Duration::from_millis(100), Duration::from_secs(2))
            .min(timeout / 2);
        // An absurd timeout (years) must not overflow the clock: a day is as good as for ever.
        let usable = (timeout - margin).min(Duration::from_secs(86_400));
        Self(started + usable)
    }

    /// A deadline at that instant.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The instant itself, for waits that take one.
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// What is left, zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// The earlier one of this deadline and `duration` from now.
    #[must_use]
    pub fn or_within(self, duration: Duration) -> Self {
        Instant::now().checked_add(duration).map_or(self, |end| Self(self.0.min(end)))
    }

    /// This deadline, `reserve` earlier, for a step that must leave time for the next.
    #[must_use]
    pub fn less(self, reserve: Duration) -> Self {
        Self(self.0.checked_sub(reserve).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_before_pacemaker_kills() {
        let started = Instant::now();
        let left = |timeout| Deadline::of_action(started, timeout).instant() - started;
        assert_eq!(left(Duration::from_secs(20)), Duration::from_secs(18));
        assert_eq!(left(Duration::from_secs(60)), Duration::from_secs(58));
        assert_eq!(left(Duration::from_millis(500)), Duration::from_millis(400));
        assert_eq!(left(Duration::from_millis(50)), Duration::from_millis(25));
        assert_eq!(left(Duration::ZERO), Duration::ZERO);
        assert_eq!(left(Duration::MAX), Duration::from_secs(86_400));
    }

    #[test]
    fn a_step_never_outlives_the_action() {
        let soon = Deadline::at(Instant::now() + Duration::from_millis(10));
        assert_eq!(soon.or_within(Duration::from_secs(5)), soon);
        assert!(soon.or_within(Duration::ZERO) < soon);
        assert_eq!(soon.or_within(Duration::MAX), soon);
    }
}
