//! Waiting for a child, and giving one up.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use deadline::Deadline;
use nix::sys::signal::Signal;

use crate::error::Result;
use crate::pidfd::PidFd;
use crate::process::{Pid, Process};
use crate::procfs::ProcFs;

/// How often a child is looked at that no handle tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long a killed child is waited for. One in an uninterruptible sleep (a dead NFS server, a
/// frozen cgroup) ends when the kernel lets it, and is init's then: nobody needs its status.
const REAP: Duration = Duration::from_millis(500);
/// Looks at what a stopped tree had forked meanwhile. Two are enough but for a fork bomb.
const ROUNDS: u32 = 10;

/// Waits for the end of a child. If it does not come until `until`, gives `None`, and the child is
/// killed with all that it has started ([`kill_tree`]).
///
/// # Errors
/// Those of waitpid(2).
pub fn wait(mut child: Child, until: Deadline) -> io::Result<Option<ExitStatus>> {
    let proc = ProcFs::default();
    // It can't be gone and its number used again: it is our child and not waited for.
    let process = i32::try_from(child.id())
        .ok()
        .and_then(Pid::new)
        .and_then(|pid| proc.process(pid).ok().flatten());
    let handle = process.and_then(|process| PidFd::open(&proc, &process).ok().flatten());
    if let Some(status) = reap(&mut child, handle.as_ref(), until)? {
        return Ok(Some(status));
    }
    if process.is_none_or(|process| kill_tree(&proc, &process).is_err()) {
        // Its number is still its own. What can't be killed can't be helped.
        let _ = child.kill();
    }
    reap(&mut child, handle.as_ref(), Deadline::after(REAP))?;
    Ok(None)
}

/// Never by a waitpid(2) that blocks: a process that has ended, which the handle tells, stays
/// unreapable while a tracer of its own has not taken note of it.
fn reap(
    child: &mut Child,
    handle: Option<&PidFd>,
    until: Deadline,
) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = until.remaining();
        if left.is_zero() {
            return Ok(None);
        }
        if let Some(Ok(true)) = handle.map(|handle| handle.wait_gone(until))
            && let Some(status) = child.try_wait()?
        {
            return Ok(Some(status));
        }
        std::thread::sleep(left.min(LOOK_AGAIN));
    }
}

/// Kills a process and everything below it, by SIGKILL. All are stopped first, so that none of
/// them forks meanwhile.
///
/// By parentage and not by a process group of its own: Pacemaker kills the group of an action at
/// its timeout, and whatever had left that group would live on, with nobody to end it. What has
/// gone to init by a double fork is a daemon, and found as one.
///
/// # Errors
/// [`crate::Error::Unreadable`] and the like, if nothing can be found; the first signal that was
/// refused, after all others were sent.
pub fn kill_tree(proc: &ProcFs, root: &Process) -> Result<()> {
    let mut tree = vec![*root];
    let mut refused = send_each(proc, &tree, Signal::SIGSTOP);
    for _ in 0..ROUNDS {
        let snapshot = proc.snapshot()?;
        if snapshot.get(root.pid).is_none_or(|stat| stat.process != *root) {
            break;
        }
        let below = snapshot.descendants(root.pid).into_iter().map(|stat| stat.process);
        let new: Vec<Process> = below.filter(|process| !tree.contains(process)).collect();
        if new.is_empty() {
            break;
        }
        refused = refused.and(send_each(proc, &new, Signal::SIGSTOP));
        tree.extend(new);
    }
    refused.and(send_each(proc, &tree, Signal::SIGKILL))
}

/// To every one of them, whoever refuses; gives the first refusal.
fn send_each(proc: &ProcFs, processes: &[Process], signal: Signal) -> Result<()> {
    let mut refused = Ok(());
    for process in processes {
        let sent = PidFd::open(proc, process)
            .and_then(|handle| handle.map_or(Ok(false), |handle| handle.signal(signal)));
        refused = refused.and(sent.map(|_| ()));
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    fn long() -> Deadline {
        Deadline::after(Duration::from_secs(600))
    }

    #[test]
    fn a_child_has_its_time() {
        let child = Command::new("/bin/sh").args(["-c", "sleep 0.3; exit 3"]).spawn().unwrap();
        assert_eq!(wait(child, long()).unwrap().unwrap().code(), Some(3));
        // Without a handle too.
        let mut child = Command::new("/bin/sh").args(["-c", "sleep 0.3; exit 4"]).spawn().unwrap();
        assert_eq!(reap(&mut child, None, long()).unwrap().unwrap().code(), Some(4));
    }

    #[test]
    fn what_a_child_has_started_goes_with_it() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "(sleep 600 & echo $!; wait) & wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let proc = ProcFs::default();
        let grandchild = proc.process(line.trim().parse().unwrap()).unwrap().unwrap();
        assert!(proc.is_alive(&grandchild).unwrap());
        assert_eq!(wait(child, Deadline::now()).unwrap(), None);
        let until = long();
        while proc.is_alive(&grandchild).unwrap() {
            assert!(!until.has_passed(), "{grandchild:?} lives on");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// A tracer that takes no note of its end keeps a killed child unreapable, as the kernel does one
    /// in an uninterruptible sleep.
    #[test]
    fn a_killed_child_that_does_not_end_is_left() {
        // PTRACE_SEIZE; then it waits for the end of its input, and for no process.
        const TRACER: &str = "import ctypes, sys\n\
            done = ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0)\n\
            print('traced' if done == 0 else 'refused', flush=True)\n\
            sys.stdin.read()\n";
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let mut tracer = Command::new("python3");
        tracer.args(["-c", TRACER, &child.id().to_string()]);
        let Ok(mut tracer) = tracer.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
            wait(child, Deadline::now()).unwrap();
            return testnet::skipped("child::a_killed_child_that_does_not_end", "needs python3");
        };
        let mut line = String::new();
        BufReader::new(tracer.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.trim() != "traced" {
            drop(tracer.stdin.take());
            tracer.wait().unwrap();
            wait(child, Deadline::now()).unwrap();
            return testnet::skipped("child::a_killed_child_that_does_not_end", "needs ptrace");
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(wait(child, Deadline::now()).unwrap()));
        let waited = receiver.recv_timeout(Duration::from_secs(60));
        drop(tracer.stdin.take());
        tracer.wait().unwrap();
        assert_eq!(waited, Ok(None), "it is waited for");
    }
}
