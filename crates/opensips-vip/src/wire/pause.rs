//! The waits of an announcer, and pauses that it did not plan.

use std::time::Duration;

use deadline::Deadline;
use hostnet::Events;

use crate::host::boot_time::since_boot;

/// Waits until `due`, or until a link has changed, and calls `look` from time to time. Returns true, at once, if
/// this process was paused meanwhile.
pub(super) fn wait(
    mut events: Option<&mut Events>,
    due: Deadline,
    clock: &mut PauseClock,
    mut look: impl FnMut(),
) -> bool {
    loop {
        // In slices, so that a pause in the middle of a long wait is noticed, too.
        let slice = due.within(PAUSE);
        let planned = slice.remaining();
        let changed = match events.as_mut() {
            Some(events) => events.wait(slice),
            None => Ok(false),
        };
        // A subscription that fails must not turn the burst into a busy loop.
        if !matches!(changed, Ok(true)) {
            std::thread::sleep(slice.remaining());
        }
        // What was lost in a pause is seen by the look that follows.
        if clock.has_paused(planned) {
            return true;
        }
        let changed = matches!(changed, Ok(true));
        if !changed {
            look();
        }
        if due.has_passed() || changed {
            return false;
        }
    }
}

/// A gap in the work of this process that counts as a pause: the process or the host was stopped.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Notices pauses, also those in which the host was suspended (`CLOCK_BOOTTIME`).
pub(super) struct PauseClock(pub(super) Duration);

impl PauseClock {
    /// Returns true if much more time has passed since the last call than was planned.
    pub(super) fn has_paused(&mut self, planned: Duration) -> bool {
        let before = std::mem::replace(self, Self(since_boot()));
        self.0.saturating_sub(before.0) > planned + PAUSE
    }
}
