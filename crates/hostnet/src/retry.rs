//! Repeats what failed for a reason that passes by itself ([`crate::Error::is_transient`]).
//!
//! A stop that fails fences its node, and a monitor that fails moves the service: neither may follow
//! from one system call for which the kernel had no memory or no descriptor left.

use std::time::Duration;

use deadline::Deadline;

use crate::error::Result;

/// The pause after the first attempt. It doubles with each further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long calls without a deadline repeat their attempts.
pub(crate) const WITHOUT_DEADLINE: Duration = Duration::from_secs(2);

/// Calls `attempt` until it succeeds or fails for good, or until half of the time to the deadline
/// has passed: the other half is the caller's, for another way.
///
/// `attempt` is told whether an earlier one may have been carried out ([`crate::Error::may_have_happened`]),
/// so that it can judge answers such as "exists already".
pub(crate) fn retry<T>(until: Deadline, attempt: impl FnMut(bool) -> Result<T>) -> Result<T> {
    repeat(until.share(2), attempt)
}

/// The same for `within`, for calls without a deadline.
pub(crate) fn retry_within<T>(
    within: Duration,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    repeat(Deadline::after(within), |_| attempt())
}

fn repeat<T>(give_up: Deadline, mut attempt: impl FnMut(bool) -> Result<T>) -> Result<T> {
    let mut pause = FIRST_PAUSE;
    let mut unanswered = None;
    loop {
        let failed = match attempt(unanswered.is_some()) {
            Err(error) if error.is_transient() => error,
            ended => return ended,
        };
        if !give_up.sleep(pause) {
            // The caller has to know that an earlier attempt may have been carried out.
            return Err(unanswered.unwrap_or(failed));
        }
        log::debug!("{failed}: trying again");
        if failed.may_have_happened() {
            unanswered = Some(failed);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Capability, Error};
    use nix::libc;
    use std::io;

    /// Longer than a busy machine takes for a few attempts.
    const LONG: Duration = Duration::from_secs(120);

    fn refused(errno: i32) -> Error {
        let source = io::Error::from_raw_os_error(errno);
        Error::refused("add a route", Capability::NetAdmin, source)
    }

    fn unanswered() -> Error {
        Error::NotAcknowledged { operation: "add a route".to_owned() }
    }

    #[test]
    fn a_shortage_is_waited_for_and_a_refusal_is_not() {
        let mut attempts = 0;
        let done = retry(Deadline::after(LONG), |_| {
            attempts += 1;
            if attempts < 4 { Err(refused(libc::ENOBUFS)) } else { Ok(attempts) }
        });
        assert_eq!(done.unwrap(), 4);
        let mut attempts = 0;
        let ended = retry_within(LONG, || {
            attempts += 1;
            Err::<(), _>(refused(libc::EPERM))
        });
        assert!(matches!(ended, Err(Error::PermissionDenied { .. })));
        assert_eq!(attempts, 1);
    }

    #[test]
    fn a_shortage_that_lasts_ends_before_the_deadline() {
        let until = Deadline::after(LONG);
        let short = Deadline::after(Duration::from_millis(40));
        let mut attempts = 0;
        let ended = retry(short, |_| {
            attempts += 1;
            Err::<(), _>(refused(libc::EMFILE))
        });
        assert_eq!(ended.unwrap_err().errno(), Some(libc::EMFILE));
        assert!(attempts > 0 && !until.has_passed());
        // One attempt, also without any time.
        assert!(retry(Deadline::now(), |_| Err::<(), _>(refused(libc::EMFILE))).is_err());
    }

    #[test]
    fn an_attempt_is_told_of_an_earlier_one_without_an_answer() {
        let mut told = Vec::new();
        let done = retry(Deadline::after(LONG), |may_be_done| {
            told.push(may_be_done);
            match told.len() {
                2 => Err(unanswered()),
                1 | 3 => Err(refused(libc::ENOMEM)),
                _ => Ok(()),
            }
        });
        done.unwrap();
        assert_eq!(told, [false, false, true, true]);
        // The last failure says nothing about the attempt before it.
        let ended = retry(Deadline::after(Duration::from_millis(100)), |may_be_done| {
            Err::<(), _>(if may_be_done { refused(libc::EMFILE) } else { unanswered() })
        });
        assert!(ended.unwrap_err().may_have_happened());
    }
}
