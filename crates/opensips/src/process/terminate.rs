//! Ending every process of an instance.

use std::time::Duration;

use deadline::Deadline;
use hostproc::{PidFd, ProcFs, Signal, Stat, State};

use crate::process::survey::{Pids, Survey};
use crate::process::{Error, Result};

/// The daemon loses a SIGTERM that arrives between two instructions of its main loop
/// (`handle_sigs(); pause();` in main.c), and ignores one that arrives earlier.
const TERM_INTERVAL: Duration = Duration::from_secs(1);
/// After SIGKILL a process is gone as soon as the kernel schedules it; then the processes are
/// surveyed again.
const KILL_INTERVAL: Duration = Duration::from_millis(500);
/// The pause where the kernel refuses to wait for a process.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The next step of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum StopStep {
    Done,
    /// Send SIGTERM to the main process.
    Ask {
        main: Stat,
    },
    Kill,
}

/// Chooses it; `in_grace` while the daemon may still shut itself down.
fn stop_step(survey: &Survey, in_grace: bool) -> StopStep {
    match survey.main {
        _ if survey.is_empty() => StopStep::Done,
        Some(main) if in_grace && !survey.initialising => StopStep::Ask { main },
        // SIGTERM is ignored until the main loop is reached. Without a main process no process
        // obeys it: workers do so only after the main process has marked the shutdown in shared
        // memory (signals.c).
        _ => StopStep::Kill,
    }
}

/// Lets the daemon shut itself down until `grace` has passed, then kills. Orphans are killed at
/// once, because they ignore SIGTERM. Returns when `survey` finds nothing alive.
///
/// # Errors
/// [`Error::StillAlive`], [`Error::Processes`]
pub(crate) fn terminate(
    proc: &ProcFs,
    survey: impl Fn() -> hostproc::Result<Survey>,
    grace: Deadline,
    deadline: Deadline,
) -> Result<()> {
    let mut killed = false;
    loop {
        let found = survey()?;
        let until = match stop_step(&found, !grace.has_passed()) {
            StopStep::Done => return Ok(()),
            StopStep::Ask { main } => {
                log::debug!("signal=SIGTERM pid={}", main.process.pid);
                send(proc, &[main], Signal::SIGTERM);
                grace.within(TERM_INTERVAL)
            }
            StopStep::Kill => {
                // The last SIGKILL is followed by one more survey.
                if killed && deadline.has_passed() {
                    return Err(Error::StillAlive { pids: described(&found.members) });
                }
                log::info!("signal=SIGKILL pids=\"{}\"", Pids(&found.members));
                send(proc, &found.members, Signal::SIGKILL);
                killed = true;
                Deadline::after(KILL_INTERVAL)
            }
        };
        if !killed {
            // A process that is stopped (SIGSTOP) sees neither SIGTERM nor the shutdown that the
            // main process has marked.
            let stopped = found.members.iter().filter(|member| member.state == State::Stopped);
            send(proc, &stopped.copied().collect::<Vec<Stat>>(), Signal::SIGCONT);
        }
        wait_for_all(proc, &found.members, until);
    }
}

/// Kills everything at once.
///
/// # Errors
/// As [`terminate`].
pub(crate) fn kill_all(
    proc: &ProcFs,
    survey: impl Fn() -> hostproc::Result<Survey>,
    deadline: Deadline,
) -> Result<()> {
    terminate(proc, survey, Deadline::now(), deadline)
}

/// Sends a signal to each of them. A refusal is logged and does not keep the others from getting
/// it; the next survey shows whether the process is still alive.
pub(crate) fn send(proc: &ProcFs, members: &[Stat], signal: Signal) {
    for member in members {
        let sent = PidFd::open(proc, &member.process)
            .and_then(|handle| handle.map_or(Ok(false), |handle| handle.signal(signal)));
        if let Err(error) = sent {
            log::warn!("{error}");
        }
    }
}

/// Waits until all of them have ended, at most until `until`. The next survey shows a process that
/// can't be waited for.
fn wait_for_all(proc: &ProcFs, members: &[Stat], until: Deadline) {
    for member in members {
        let gone = PidFd::open(proc, &member.process)
            .and_then(|handle| handle.map_or(Ok(true), |handle| handle.wait_gone(until)));
        match gone {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                log::warn!("{error}");
                std::thread::sleep(RETRY_INTERVAL);
            }
        }
    }
}

/// Pids, and what keeps them from dying.
fn described(members: &[Stat]) -> String {
    let blocked = members.iter().any(|stat| stat.state == State::Uninterruptible);
    let why = if blocked { ", blocked in the kernel" } else { "" };
    format!("{}{why}", Pids(members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::{Pid, Process};

    fn stat(pid: i32, state: State) -> Stat {
        let process = Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
        Stat { process, state, parent: Pid::new(1), group: 1, session: 1 }
    }

    #[test]
    fn only_a_listening_main_process_is_asked() {
        let (main, worker) = (stat(11, State::Alive), stat(12, State::Alive));
        let running = Survey { main: Some(main), members: vec![main, worker], ..Survey::default() };
        let orphans = Survey { members: vec![worker], ..Survey::default() };
        assert_eq!(stop_step(&Survey::default(), true), StopStep::Done);
        assert_eq!(stop_step(&Survey::default(), false), StopStep::Done);
        assert_eq!(stop_step(&running, true), StopStep::Ask { main });
        assert_eq!(stop_step(&running, false), StopStep::Kill);
        assert_eq!(stop_step(&orphans, true), StopStep::Kill);
        let initialising = Survey { initialising: true, ..running };
        assert_eq!(stop_step(&initialising, true), StopStep::Kill);
    }

    #[test]
    fn what_survives_sigkill_is_named() {
        // No process has this pid and start time, so that no signal is sent.
        let process = Process { pid: Pid::own(), start_time: 0 };
        let blocked = Stat { process, ..stat(1, State::Uninterruptible) };
        let survey = || Ok(Survey { members: vec![blocked], ..Survey::default() });
        let error = kill_all(&ProcFs::default(), survey, Deadline::now()).unwrap_err();
        let expected = format!(
            "OpenSIPS is still alive after SIGKILL (pid {}, blocked in the kernel): see \
             journalctl -k",
            Pid::own()
        );
        assert_eq!(error.to_string(), expected);
    }
}
