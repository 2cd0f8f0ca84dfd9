//! Repeats a system call for which the kernel had no memory or no descriptor left. A stop that fails
//! fences its node, which must not follow from a shortage that passes.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use deadline::Deadline;
use nix::libc;

/// What passes by itself: an interrupted call, a full table, a lack of memory or of descriptors.
const TRANSIENT: [i32; 6] =
    [libc::EINTR, libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM, libc::EMFILE, libc::ENFILE];
/// The pause after the first attempt. It doubles with each further one, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How long a call without a deadline is repeated.
const WITHOUT_DEADLINE: Duration = Duration::from_secs(2);
/// How long a call is repeated at least, also when the deadline has passed: the last look of a stop must not fail
/// because one call was interrupted.
const AT_LEAST: Duration = Duration::from_millis(100);
/// Of the time that is left to the process, one call is repeated for this part: what follows it needs the rest.
const PART: u32 = 3;

static OF_THIS_PROCESS: OnceLock<Deadline> = OnceLock::new();

/// Sets when this process must have ended, for the calls that have no deadline of their own: [`retry`], and with it all
/// that opens a file or reads /proc. Each of them is repeated for a third of what is left until then: none goes on for
/// more than 100 ms after it, and a process that has minutes does not give up after seconds. Only the first call of this
/// function counts.
pub fn retry_no_longer_than(deadline: Deadline) {
    let _ = OF_THIS_PROCESS.set(deadline);
}

/// Calls `attempt` until it succeeds or fails for another reason than a shortage: for a third of the time that is left to
/// this process ([`retry_no_longer_than`]), or for two seconds where that is not set.
///
/// # Errors
/// That of the last attempt.
pub fn retry<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    retry_until(patience(OF_THIS_PROCESS.get().copied()), attempt)
}

fn patience(of_this_process: Option<Deadline>) -> Deadline {
    let part = |deadline: Deadline| deadline.share(PART);
    of_this_process.map_or_else(|| Deadline::after(WITHOUT_DEADLINE), part)
}

/// The same for 100 ms alone: for what an action can do without (a lock, a note, the removal of a file). Its time is for
/// the rest, above all where every such call fails.
///
/// # Errors
/// That of the last attempt.
pub fn retry_briefly<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    retry_until(Deadline::now(), attempt)
}

/// The same until `give_up`, and for 100 ms at least.
///
/// # Errors
/// That of the last attempt.
pub fn retry_until<T>(
    give_up: Deadline,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let passes =
        |error: &io::Error| error.raw_os_error().is_some_and(|errno| TRANSIENT.contains(&errno));
    let give_up = give_up.but_at_least(AT_LEAST);
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt() {
            Err(error) if passes(&error) && give_up.sleep(pause) => {}
            ended => return ended,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_waited_for_and_a_refusal_is_not() {
        let long = || Deadline::after(Duration::from_secs(120));
        for errno in TRANSIENT {
            let mut attempts = 0;
            let done = retry_until(long(), || {
                attempts += 1;
                if attempts < 4 { Err(io::Error::from_raw_os_error(errno)) } else { Ok(attempts) }
            });
            assert_eq!(done.unwrap(), 4);
        }
        for errno in [libc::ENOENT, libc::EACCES, libc::ENOSPC, libc::ELOOP] {
            let mut attempts = 0;
            let ended = retry_until(long(), || {
                attempts += 1;
                Err::<(), _>(io::Error::from_raw_os_error(errno))
            });
            assert_eq!((ended.unwrap_err().raw_os_error(), attempts), (Some(errno), 1));
        }
    }

    #[test]
    fn a_last_look_is_repeated_though_the_deadline_has_passed() {
        for errno in TRANSIENT {
            let mut attempts = 0;
            let done = retry_until(Deadline::now(), || {
                attempts += 1;
                if attempts < 2 { Err(io::Error::from_raw_os_error(errno)) } else { Ok(attempts) }
            });
            assert_eq!(done.unwrap(), 2);
        }
    }

    /// Whatever time the process has: five pauses of 5 to 80 ms are longer than 100 ms.
    #[test]
    fn what_an_action_can_do_without_is_given_up_soon() {
        let mut attempts = 0;
        let result = retry_briefly(|| {
            attempts += 1;
            Err::<(), _>(io::Error::from_raw_os_error(libc::ENOMEM))
        });
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ENOMEM));
        assert!((2..=6).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_shortage_that_lasts_is_an_error() {
        let refused = || Err::<(), _>(io::Error::from_raw_os_error(libc::EMFILE));
        let ended = retry_until(Deadline::now(), refused).unwrap_err();
        assert_eq!(ended.raw_os_error(), Some(libc::EMFILE));
    }
}
