//! The time since boot, which no clock of a time server sets.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The time since boot, with that in which the host was suspended. A clock that can't be read never shows
/// a pause.
pub(crate) fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}
