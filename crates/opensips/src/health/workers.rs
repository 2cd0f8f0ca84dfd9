//! The children of a main process, and what it means that one of them has died.
//!
//! Usually the main process is about to end the whole instance. But auto-scaling (3.0 and newer)
//! retires workers: one ends itself with status 0, and the main process, which then sleeps, reaps it
//! up to `auto_scaling_cycle` later, a second by default (`handle_sigs()` in signals.c, main.c).

use std::time::Duration;

use deadline::Deadline;
use hostproc::{Pid, PidFd, ProcFs, Process, Stat, State};

use super::{Error, Result};
use crate::process::survey::Pids;

/// When the children are looked at again after a death: by then the main process has reaped the dead
/// one, and has ended the others or goes on.
pub(crate) const SECOND_LOOK: Duration = Duration::from_secs(2);

/// The children of a main process; dead ones included, but for those that have retired.
///
/// # Errors
/// [`Error::Processes`]
pub(crate) fn workers_of(proc: &ProcFs, main: Pid) -> Result<Vec<Stat>> {
    // The main process has one thread. Without CONFIG_PROC_CHILDREN, which distributions have, the
    // whole of /proc is read.
    let Ok(Some(children)) = proc.children(main) else {
        return Ok(proc.snapshot()?.children(main).copied().collect());
    };
    let mut workers = Vec::new();
    for pid in children {
        // A child that is reaped between two reads counts as retired.
        workers.extend(proc.stat(pid)?.filter(|stat| {
            let is_child = stat.parent == Some(main);
            is_child && !(stat.state == State::Ended && has_retired(proc, main, &stat.process))
        }));
    }
    Ok(workers)
}

/// The children that are alive. If one has died, that takes a second look after [`SECOND_LOOK`], or
/// earlier where the deadline is near.
///
/// # Errors
/// [`Error::DeadWorker`], [`Error::Processes`]
pub(crate) fn living_workers(
    proc: &ProcFs,
    main: Process,
    deadline: Deadline,
) -> Result<Vec<Stat>> {
    let mut workers = workers_of(proc, main.pid)?;
    let is_dead = |stat: &Stat| stat.state == State::Ended;
    if let Some(dead) = workers.iter().find(|stat| is_dead(stat)).map(|stat| stat.process) {
        let living: Vec<Process> =
            workers.iter().filter(|stat| !is_dead(stat)).map(|stat| stat.process).collect();
        // Half of the time is for the rest of the verdict.
        let until = deadline.share(2).within(SECOND_LOOK);
        let ended = match PidFd::open(proc, &main)? {
            Some(handle) => handle.wait_gone(until)?,
            None => true,
        };
        workers = if ended { Vec::new() } else { workers_of(proc, main.pid)? };
        judge_death(main.pid, dead, &living, &workers)?;
        // The next look sees those that have died since.
        workers.retain(|stat| !is_dead(stat));
    }
    Ok(workers)
}

/// Whether a child has ended by itself with status 0 and is not reaped yet. A worker that fails has
/// another status, or ends by a signal.
pub(crate) fn has_retired(proc: &ProcFs, main: Pid, child: &Process) -> bool {
    let ended_well =
        || proc.exit_status(child).ok().flatten().is_some_and(|status| status.success());
    // A process that may not be traced shows 0 whatever its status is.
    proc.may_trace(main).ok().flatten() == Some(true) && ended_well()
}

/// Judges an instance of which a child has died, by a second look at its children: the dead one is
/// not reaped, or the main process follows it and ends the others. That takes them all along in
/// milliseconds (5 s for those that are stuck), so at most half of them are left. After the death of a
/// child that was no worker, or of one that auto-scaling has retired, more are left.
///
/// # Errors
/// [`Error::DeadWorker`]
pub(crate) fn judge_death(
    main: Pid,
    dead: Process,
    living: &[Process],
    second: &[Stat],
) -> Result<()> {
    let remains = second.iter().any(|stat| stat.process == dead);
    let lives = |one: &&Process| {
        second.iter().any(|stat| stat.process == **one && stat.state != State::Ended)
    };
    let left = living.iter().filter(lives).count();
    if remains || left * 2 <= living.len() {
        return Err(Error::DeadWorker { main, worker: dead.pid });
    }
    Ok(())
}

/// Judges the living children of a main process. Returns what an operator should look at, though the
/// instance serves.
///
/// # Errors
/// [`Error::NoWorkers`]
pub(crate) fn judge_processes(main: &Stat, workers: &[Stat]) -> Result<Option<String>> {
    let pid = main.process.pid;
    if workers.is_empty() {
        return Err(Error::NoWorkers { main: pid });
    }
    if main.state == State::Stopped {
        return Ok(Some(format!(
            "the main process of OpenSIPS is stopped (SIGSTOP): run kill -CONT {pid}"
        )));
    }
    let stopped: Vec<Stat> =
        workers.iter().filter(|worker| worker.state == State::Stopped).copied().collect();
    if stopped.is_empty() {
        return Ok(None);
    }
    let (count, all) = (stopped.len(), workers.len());
    Ok(Some(format!(
        "{count} of {all} workers of OpenSIPS (pid {pid}) are stopped (SIGSTOP): send SIGCONT to pid {}",
        Pids(&stopped)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    fn stat(pid: i32, state: State) -> Stat {
        let process = Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
        Stat { process, state, parent: Pid::new(1), group: 1, session: 1 }
    }

    const ALIVE: State = State::Alive;

    #[test]
    fn processes() {
        let main = stat(11, ALIVE);
        let judge = |main: &Stat, workers: &[Stat]| {
            judge_processes(main, workers).map_err(|error| error.to_string())
        };
        assert_eq!(judge(&main, &[stat(12, ALIVE), stat(13, State::Uninterruptible)]), Ok(None));
        assert_eq!(judge(&main, &[]), Err("OpenSIPS (pid 11) has no workers".into()));
        let stopped = judge(&main, &[stat(12, ALIVE), stat(13, State::Stopped)]).unwrap().unwrap();
        assert!(stopped.contains("1 of 2 workers of OpenSIPS (pid 11) are stopped"), "{stopped}");
        assert!(stopped.ends_with("SIGCONT to pid 13"), "{stopped}");
        let stopped = judge(&stat(11, State::Stopped), &[stat(12, ALIVE)]).unwrap().unwrap();
        assert!(stopped.ends_with("is stopped (SIGSTOP): run kill -CONT 11"), "{stopped}");
    }

    #[test]
    fn a_death_by_a_second_look() {
        let process = |pid| stat(pid, ALIVE).process;
        let judge = |second: &[Stat]| {
            let living = [process(12), process(13), process(14), process(15)];
            judge_death(process(11).pid, process(16), &living, second)
                .map_err(|error| error.to_string())
        };
        let dead = Err("worker 16 of OpenSIPS (pid 11) died".to_owned());
        let others: Vec<Stat> = (12..=15).map(|pid| stat(pid, ALIVE)).collect();
        assert_eq!(judge(&others), Ok(()));
        // Auto-scaling goes on: another one has retired, and a new one was forked.
        assert_eq!(judge(&[others[0], others[1], others[2], stat(17, ALIVE)]), Ok(()));
        // It is not reaped.
        assert_eq!(judge(&[&others[..], &[stat(16, State::Ended)]].concat()), dead);
        // The instance ends; the stuck workers are the last.
        assert_eq!(judge(&others[..2]), dead);
        assert_eq!(judge(&[others[0], stat(13, State::Ended), stat(14, State::Ended)]), dead);
        assert_eq!(judge(&[]), dead);
        let reused = Stat { process: Process { start_time: 2, ..process(16) }, ..others[0] };
        assert_eq!(judge(&[&others[..], &[reused]].concat()), Ok(()));
        assert!(judge_death(process(11).pid, process(16), &[], &[]).is_err());
    }

    #[test]
    fn children_that_have_ended() {
        let proc = ProcFs::default();
        for (script, retired) in [("exit 0", true), ("exit 1", false), ("kill -9 $$", false)] {
            let mut child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
            let pid = Pid::new(i32::try_from(child.id()).unwrap()).unwrap();
            let process = proc.process(pid).unwrap().unwrap();
            while proc.is_alive(&process).unwrap() {
                std::thread::yield_now();
            }
            assert_eq!(has_retired(&proc, Pid::own(), &process), retired, "{script}");
            child.wait().unwrap();
            assert!(!has_retired(&proc, Pid::own(), &process), "{script}: reaped");
        }
    }

    /// A main process with three workers and a child that has ended with this status. It is stopped: the child is not
    /// reaped.
    struct Main(std::process::Child);

    impl Main {
        fn new(status: &str) -> Self {
            let script = "sleep 600 & sleep 600 & sleep 600 & sh -c \"sleep 0.2; exit $0\" & kill -STOP $$; wait";
            let mut shell = Command::new("/bin/sh");
            let main = Self(shell.args(["-c", script, status]).process_group(0).spawn().unwrap());
            let (proc, pid) = (ProcFs::default(), main.pid());
            let state_of = |pid| proc.stat(pid).unwrap().map(|stat| stat.state);
            let has_ended = |pid: &Pid| state_of(*pid) == Some(State::Ended);
            let until = Deadline::after(Duration::from_secs(60));
            while state_of(pid) != Some(State::Stopped)
                || !proc.children(pid).unwrap().unwrap().iter().any(has_ended)
            {
                assert!(until.sleep(Duration::from_millis(1)), "the shell has no child to reap");
            }
            main
        }

        fn pid(&self) -> Pid {
            Pid::new(i32::try_from(self.0.id()).unwrap()).unwrap()
        }

        fn signal(&self, signal: &str, whom: &str) {
            let pid = format!("{whom}{}", self.0.id());
            Command::new("/bin/kill").args([signal, "--", &pid]).status().unwrap();
        }
    }

    impl Drop for Main {
        fn drop(&mut self) {
            // Its workers, too.
            self.signal("-KILL", "-");
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_child_that_has_retired_is_no_worker() {
        let main = Main::new("0");
        let workers = workers_of(&ProcFs::default(), main.pid()).unwrap();
        assert_eq!(workers.len(), 3);
        assert!(workers.iter().all(|stat| stat.state != State::Ended));
    }

    #[test]
    fn a_main_process_that_reaps_a_dead_child_has_the_others() {
        let proc = &ProcFs::default();
        let survives = || {
            let main = Main::new("3");
            let process = proc.process(main.pid()).unwrap().unwrap();
            assert_eq!(workers_of(proc, main.pid()).unwrap().len(), 4);
            let living = std::thread::scope(|scope| {
                let deadline = Deadline::after(Duration::from_secs(60));
                let looking = scope.spawn(move || living_workers(proc, process, deadline));
                // Its first look finds the dead one.
                std::thread::sleep(SECOND_LOOK / 10);
                main.signal("-CONT", "");
                looking.join().unwrap()
            });
            living.is_ok_and(|living| living.len() == 3)
        };
        // A machine that stands still for seconds shows nothing.
        assert!((0..5).any(|_| survives()));
    }
}
