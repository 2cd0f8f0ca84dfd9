//! Ending every process of the instance, until none is left.

use std::time::{Duration, Instant};

use hostproc::{PidFd, ProcFs, Signal, Stat, State};
use ocf::Deadline;

use crate::error::{Error, Result};
use crate::plan::{self, StopStep};
use crate::process::instance::Identity;
use crate::process::survey::Pids;

/// A SIGTERM between two instructions of the daemon's main loop is lost (`handle_sigs(); pause();`
/// in main.c), and one before it is ignored.
const TERM_AGAIN: Duration = Duration::from_secs(1);
/// After SIGKILL a process is gone as soon as the kernel gets to it; then it is looked again.
const KILL_AGAIN: Duration = Duration::from_millis(500);

/// Lets the daemon shut itself down until `grace` is over, then kills. Orphans are killed at once:
/// they ignore SIGTERM. Ends when nothing is left.
///
/// # Errors
/// [`Error::StillAlive`], [`Error::Processes`]
pub(crate) fn terminate(
    proc: &ProcFs,
    identity: &Identity,
    grace: Instant,
    deadline: Deadline,
) -> Result<()> {
    let mut killed = false;
    loop {
        let survey = identity.survey(proc)?;
        let step = plan::stop_step(&survey, Instant::now() < grace);
        let (members, until) = match step {
            StopStep::Done => return Ok(()),
            StopStep::Ask { main } => {
                log::debug!("signal=SIGTERM pid={}", main.process.pid);
                send(proc, &main, Signal::SIGTERM)?;
                (survey.members, grace.min(Instant::now() + TERM_AGAIN))
            }
            StopStep::Kill => {
                // After the last SIGKILL one more look must be possible.
                if killed && deadline.has_passed() {
                    let pids = described(&survey.members);
                    return Err(Error::StillAlive { pids });
                }
                log::info!("signal=SIGKILL pids=\"{}\"", Pids(&survey.members));
                for member in &survey.members {
                    send(proc, member, Signal::SIGKILL)?;
                }
                killed = true;
                (survey.members, Instant::now() + KILL_AGAIN)
            }
        };
        if !killed {
            // Whoever is stopped (SIGSTOP) would never see a SIGTERM, nor end when told to by
            // the main process.
            for member in members.iter().filter(|member| member.state == State::Stopped) {
                send(proc, member, Signal::SIGCONT)?;
            }
        }
        wait_for_all(proc, &members, until)?;
    }
}

/// Kills everything at once.
///
/// # Errors
/// As [`terminate`].
pub(crate) fn kill_all(proc: &ProcFs, identity: &Identity, deadline: Deadline) -> Result<()> {
    terminate(proc, identity, Instant::now(), deadline)
}

fn send(proc: &ProcFs, stat: &Stat, signal: Signal) -> Result<()> {
    if let Some(handle) = PidFd::open(proc, &stat.process)? {
        handle.signal(signal)?;
    }
    Ok(())
}

/// Until all of them have ended, or until `until`.
fn wait_for_all(proc: &ProcFs, members: &[Stat], until: Instant) -> Result<()> {
    for member in members {
        let Some(handle) = PidFd::open(proc, &member.process)? else { continue };
        if !handle.wait_gone(until)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Pids, and what keeps them from dying.
fn described(members: &[Stat]) -> String {
    let blocked = members.iter().any(|stat| stat.state == State::Uninterruptible);
    let why = if blocked { " (blocked in the kernel)" } else { "" };
    format!("{}{why}", Pids(members))
}
