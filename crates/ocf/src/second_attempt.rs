//! A second attempt of an action: of a stop that failed, and of any action after a fault of the agent itself (a panic).
//!
//! A failed stop gets the node fenced, and a failed monitor ends a service that may be well. So the action is made
//! once more, as long as there is time: by a new process, which has new descriptors and sockets, and shares no state
//! with what failed. A monitor that has found something is not made again: its verdict would come late.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{Action, LogLine, Request};

/// The time in milliseconds that is left for the second attempt, and so that it is the last one. A variable of its
/// own, because the option `--timeout`, which is handed on, wins over that of Pacemaker.
pub(crate) const TIME_LEFT: &str = "OCF_SMARTVOX_SECOND_ATTEMPT";

/// The chance of an action to be made again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecondAttempt {
    action: Action,
    started: Instant,
    timeout: Duration,
}

impl SecondAttempt {
    /// `None` for a call that is the second attempt.
    pub(crate) fn of(request: &Request, started: Instant) -> Option<Self> {
        let Request { action, timeout, .. } = *request;
        std::env::var_os(TIME_LEFT).is_none().then_some(Self { action, started, timeout })
    }

    /// Makes a stop that failed once more, as [`Self::make`] does.
    pub(crate) fn make_stop(self, why: &str) {
        if self.action == Action::Stop {
            self.make(why);
        }
    }

    /// Executes the agent in place of this process, with what is left of the time. Returns if that is less than
    /// half of it, or if there is no way: then the failure stands.
    pub(crate) fn make(self, why: &str) {
        let Some(left) = left(self.timeout, self.started.elapsed()) else { return };
        let note = |sentence: &str, why: &dyn std::fmt::Display| {
            log::warn!("{}", LogLine::of(self.action).note(format_args!("{sentence}: {why}")));
        };
        note("failed and is made once more", &why);
        let mut words = std::env::args_os();
        let mut again = Command::new("/proc/self/exe");
        if let Some(name) = words.next() {
            again.arg0(name);
        }
        again.args(words).env(TIME_LEFT, left.as_millis().to_string());
        let error = again.exec();
        note("can't be made once more", &error);
    }
}

/// What is left of the time, if it is half of it.
fn left(timeout: Duration, elapsed: Duration) -> Option<Duration> {
    let left = timeout.checked_sub(elapsed)?;
    (left >= timeout / 2 && !left.is_zero()).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_time_has_to_be_left() {
        let seconds = Duration::from_secs;
        assert_eq!(left(seconds(20), seconds(3)), Some(seconds(17)));
        assert_eq!(left(seconds(20), seconds(10)), Some(seconds(10)));
        assert_eq!(left(seconds(20), seconds(11)), None);
        assert_eq!(left(seconds(20), seconds(21)), None);
        assert_eq!(left(Duration::ZERO, Duration::ZERO), None);
    }
}
