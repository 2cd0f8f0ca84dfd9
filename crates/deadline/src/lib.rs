//! One deadline for a whole action, and shares of what is left of it.
//!
//! Every call that can wait takes a [`Deadline`]. A step that must leave time for the next one gets
//! a deadline of its own, made from the action's ([`Deadline::within`], [`Deadline::less`],
//! [`Deadline::share`]); the names of these budgets are in the crate that spends them.

use std::time::{Duration, Instant};

/// The instant by which something must have ended.
///
/// The clock is `CLOCK_MONOTONIC`: a jump of the wall clock changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// Longer than any action: an absurd timeout (years) must not overflow the clock.
const FOREVER: Duration = Duration::from_secs(86_400);

impl Deadline {
    /// A deadline at `instant`.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// A deadline `duration` from now, at most a day.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration.min(FOREVER))
    }

    /// A deadline that has passed: for a single attempt that does not wait.
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// The instant itself, for foreign interfaces that take one.
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// The time that is left; zero when the deadline has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// The earlier one of this deadline and `duration` from now.
    #[must_use]
    pub fn within(self, duration: Duration) -> Self {
        Self(self.0.min(Self::after(duration).0))
    }

    /// The later one of this deadline and `duration` from now: for a last step that must have
    /// some time even when the deadline has passed.
    #[must_use]
    pub fn but_at_least(self, duration: Duration) -> Self {
        Self(self.0.max(Self::after(duration).0))
    }

    /// This deadline, `reserve` earlier, for a step that must leave time for the next one.
    #[must_use]
    pub fn less(self, reserve: Duration) -> Self {
        Self(self.0.checked_sub(reserve).unwrap_or(self.0))
    }

    /// The end of the first of `parts` equal parts of the time that is left.
    #[must_use]
    pub fn share(self, parts: u32) -> Self {
        self.within(self.remaining() / parts.max(1))
    }

    /// Sleeps for `duration`, but not beyond the deadline. Returns false when the deadline has
    /// passed: there is no time for another attempt.
    pub fn sleep(self, duration: Duration) -> bool {
        std::thread::sleep(duration.min(self.remaining()));
        !self.has_passed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_never_outlives_the_action() {
        let soon = Deadline::after(Duration::from_millis(10));
        assert_eq!(soon.within(Duration::from_secs(5)), soon);
        assert!(soon.within(Duration::ZERO) < soon);
        assert_eq!(soon.within(Duration::MAX), soon);
        assert!(soon.share(3) < soon);
        assert!(soon.less(Duration::from_millis(1)) < soon);
    }

    #[test]
    fn a_last_step_has_some_time() {
        let passed = Deadline::now();
        assert!(passed.has_passed() && passed.share(2).has_passed());
        assert!(!passed.but_at_least(Duration::from_secs(60)).has_passed());
        let late = Deadline::after(Duration::from_secs(600));
        assert_eq!(late.but_at_least(Duration::from_secs(60)), late);
    }

    #[test]
    fn an_absurd_duration_does_not_overflow() {
        assert!(Deadline::after(Duration::MAX).remaining() > Duration::from_secs(3600));
    }

    #[test]
    fn sleep_ends_with_the_deadline() {
        assert!(!Deadline::now().sleep(Duration::from_secs(600)));
        assert!(Deadline::after(Duration::from_secs(600)).sleep(Duration::from_millis(1)));
    }
}
