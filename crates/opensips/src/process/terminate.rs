//! Ending every process of the instance, until none is left.

use std::time::Duration;

use deadline::Deadline;
use hostproc::{PidFd, ProcFs, Signal, Stat, State};

use crate::error::{Error, Result};
use crate::instance::identity::Identity;
use crate::plan::{self, StopStep};
use crate::process::survey::Pids;

/// A SIGTERM between two instructions of the daemon's main loop is lost (`handle_sigs(); pause();`
/// in main.c), and one before it is ignored.
const TERM_AGAIN: Duration = Duration::from_secs(1);
/// After SIGKILL a process is gone as soon as the kernel gets to it; then it is looked again.
const KILL_AGAIN: Duration = Duration::from_millis(500);
/// Where waiting is refused.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Lets the daemon shut itself down until `grace` is over, then kills. Orphans are killed at once:
/// they ignore SIGTERM. Ends when nothing is left.
///
/// # Errors
/// [`Error::StillAlive`], [`Error::Processes`]
pub(crate) fn terminate(
    proc: &ProcFs,
    identity: &Identity,
    grace: Deadline,
    deadline: Deadline,
) -> Result<()> {
    let mut killed = false;
    loop {
        let survey = identity.survey(proc)?;
        let step = plan::stop_step(&survey, !grace.has_passed());
        let (members, until) = match step {
            StopStep::Done => return Ok(()),
            StopStep::Ask { main } => {
                log::debug!("signal=SIGTERM pid={}", main.process.pid);
                send(proc, &[main], Signal::SIGTERM);
                (survey.members, grace.within(TERM_AGAIN))
            }
            StopStep::Kill => {
                // After the last SIGKILL one more look must be possible.
                if killed && deadline.has_passed() {
                    let pids = described(&survey.members);
                    return Err(Error::StillAlive { pids });
                }
                log::info!("signal=SIGKILL pids=\"{}\"", Pids(&survey.members));
                send(proc, &survey.members, Signal::SIGKILL);
                killed = true;
                (survey.members, Deadline::after(KILL_AGAIN))
            }
        };
        if !killed {
            // Whoever is stopped (SIGSTOP) would never see a SIGTERM, nor end when told to by
            // the main process.
            let stopped = members.iter().filter(|member| member.state == State::Stopped);
            send(proc, &stopped.copied().collect::<Vec<Stat>>(), Signal::SIGCONT);
        }
        wait_for_all(proc, &members, until);
    }
}

/// Kills everything at once.
///
/// # Errors
/// As [`terminate`].
pub(crate) fn kill_all(proc: &ProcFs, identity: &Identity, deadline: Deadline) -> Result<()> {
    terminate(proc, identity, Deadline::now(), deadline)
}

/// Sends a signal to each of them. One that refuses it keeps nobody else from getting it; whether it
/// lives on is seen by the next look.
pub(crate) fn send(proc: &ProcFs, members: &[Stat], signal: Signal) {
    for member in members {
        let sent = PidFd::open(proc, &member.process)
            .and_then(|handle| handle.map_or(Ok(false), |handle| handle.signal(signal)));
        if let Err(error) = sent {
            log::warn!("{error}");
        }
    }
}

/// Until all of them have ended, or until `until`. Who can't be waited for is seen by the next look.
fn wait_for_all(proc: &ProcFs, members: &[Stat], until: Deadline) {
    for member in members {
        let gone = PidFd::open(proc, &member.process)
            .and_then(|handle| handle.map_or(Ok(true), |handle| handle.wait_gone(until)));
        match gone {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                log::warn!("{error}");
                std::thread::sleep(LOOK_AGAIN);
            }
        }
    }
}

/// Pids, and what keeps them from dying.
fn described(members: &[Stat]) -> String {
    let blocked = members.iter().any(|stat| stat.state == State::Uninterruptible);
    let why = if blocked { " (blocked in the kernel)" } else { "" };
    format!("{}{why}", Pids(members))
}
