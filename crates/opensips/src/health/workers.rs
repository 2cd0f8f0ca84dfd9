//! The processes below a main process, and what it means that one of them has ended.
//!
//! Mostly that the main process is about to end the whole instance. But auto-scaling (3.0 and newer)
//! retires workers: one ends itself with status 0, and the main process, which then sleeps, reaps it
//! up to `auto_scaling_cycle` later, a second by default (`handle_sigs()` in signals.c, main.c).

use std::time::Duration;

use deadline::Deadline;
use hostproc::{Pid, PidFd, ProcFs, Process, Stat, State};

use crate::error::Result;
use crate::plan;

/// When a death is looked at again: the main process has reaped the dead one by then, auto-scaling
/// or not, and ends the others, or does not.
pub(crate) const SECOND_LOOK: Duration = Duration::from_secs(2);

/// As much of what is left must stay for the rest of the verdict.
const REST: u32 = 2;

/// The children of a main process; dead ones included, but for those that have retired.
///
/// # Errors
/// [`Error::Process`](crate::Error::Process)
pub(crate) fn workers_of(proc: &ProcFs, main: Pid) -> Result<Vec<Stat>> {
    // The main process has one thread. The file needs CONFIG_PROC_CHILDREN, which distributions
    // have; where it is missing, the whole of /proc is looked at.
    let Ok(children) = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children")) else {
        return Ok(proc.snapshot()?.children(main).copied().collect());
    };
    let mut workers = Vec::new();
    for pid in children.split_ascii_whitespace().filter_map(|word| word.parse().ok()) {
        // One that is reaped between two reads was never there.
        workers.extend(proc.stat(pid)?.filter(|stat| {
            let is_child = stat.parent == Some(main);
            is_child && !(stat.state == State::Ended && has_retired(main, stat.process))
        }));
    }
    Ok(workers)
}

/// The living ones. Where one has died, that takes a second look: of [`SECOND_LOOK`] later, or as
/// late as the deadline allows.
///
/// # Errors
/// [`Error::DeadWorker`](crate::Error::DeadWorker), [`Error::Process`](crate::Error::Process)
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
        let until = deadline.within(SECOND_LOOK.min(deadline.remaining() / REST));
        // With the main process gone, nobody is left at its second look.
        let ended = match PidFd::open(proc, &main)? {
            Some(handle) => handle.wait_gone(until)?,
            None => true,
        };
        workers = if ended { Vec::new() } else { workers_of(proc, main.pid)? };
        plan::judge_death(main.pid, dead, &living, &workers)?;
        // Others that have died since are the next look's.
        workers.retain(|stat| !is_dead(stat));
    }
    Ok(workers)
}

/// Whether a child has ended by itself, with status 0, and was not reaped yet. A worker that fails
/// has another status, or a signal.
pub(crate) fn has_retired(main: Pid, child: Process) -> bool {
    let stat_of = |pid: Pid| std::fs::read(format!("/proc/{pid}/stat")).ok();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (Some(child_says), Some(main_says)) =
        (stat_of(child.pid).map(text), stat_of(main).map(text))
    else {
        return false;
    };
    shows_addresses(&main_says) && ended_well(&child_says, child.start_time)
}

/// State `Z` (field 3), still the same process (22), exit status 0 (52).
fn ended_well(stat: &str, start_time: u64) -> bool {
    field(stat, 3) == Some("Z")
        && field(stat, 22).and_then(|text| text.parse().ok()) == Some(start_time)
        && field(stat, 52) == Some("0")
}

/// Who may not trace a process (a container without CAP_SYS_PTRACE) sees 0 for every exit status, and
/// 1 for the address of every living one's code (field 26; proc_pid_stat(5), `do_task_stat()`).
fn shows_addresses(stat_of_living: &str) -> bool {
    field(stat_of_living, 26).is_some_and(|address| address != "1")
}

/// A field of `/proc/PID/stat` behind the second, the name, which may hold anything.
fn field(stat: &str, number: usize) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A line of `/proc/PID/stat` with these fields.
    fn stat(fields: &[(usize, &str)]) -> String {
        let value = |number: usize| {
            fields.iter().find(|(known, _)| *known == number).map_or("7", |(_, text)| text)
        };
        let rest: Vec<&str> = (3..=52).map(value).collect();
        format!("42 (a) Z 0) {}\n", rest.join(" "))
    }

    #[test]
    fn a_retired_worker_by_its_status() {
        let retired = stat(&[(3, "Z"), (22, "99"), (52, "0")]);
        assert!(ended_well(&retired, 99));
        assert!(!ended_well(&retired, 98));
        assert!(!ended_well(&stat(&[(3, "Z"), (22, "99"), (52, "9")]), 99));
        assert!(!ended_well(&stat(&[(3, "Z"), (22, "99"), (52, "256")]), 99));
        assert!(!ended_well(&stat(&[(3, "S"), (22, "99"), (52, "0")]), 99));
        assert!(!ended_well("", 99) && !ended_well("42 (a) Z", 99));
        assert!(shows_addresses(&stat(&[(26, "94000000")])));
        assert!(!shows_addresses(&stat(&[(26, "1")])));
        assert!(!shows_addresses(""));
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
            assert_eq!(has_retired(Pid::own(), process), retired, "{script}");
            child.wait().unwrap();
            assert!(!has_retired(Pid::own(), process), "{script}: reaped");
        }
    }
}
