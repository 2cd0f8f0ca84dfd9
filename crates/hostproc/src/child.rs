//! Waits for a child, and ends one that takes too long.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use deadline::Deadline;
use hostfs::retry_briefly;
use nix::sys::signal::Signal;

use crate::error::Result;
use crate::pidfd::PidFd;
use crate::process::{Pid, Process};
use crate::procfs::ProcFs;

/// Pause between two looks at a child without a pidfd.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long to wait for a child that was killed. In an uninterruptible sleep (a dead NFS server, a
/// frozen cgroup) it ends when the kernel lets it, and init reaps it: its status is not needed.
const REAP: Duration = Duration::from_millis(500);
/// How often to look for processes that the tree forked before it was stopped. Two looks are enough
/// except for a fork bomb.
const ROUNDS: u32 = 10;

/// Waits for a child to end. At the deadline the child is killed with all that it has started
/// ([`kill_tree`]), and `None` is given.
///
/// # Errors
/// Those of waitpid(2).
pub fn wait(mut child: Child, deadline: Deadline) -> io::Result<Option<ExitStatus>> {
    let proc = ProcFs::default();
    // The number is its own until it is reaped, which only this function does.
    let process = proc.process(Pid::of(&child)).ok().flatten();
    let handle = process.and_then(|process| PidFd::open(&proc, &process).ok().flatten());
    if let Some(status) = reap(&mut child, handle.as_ref(), deadline)? {
        return Ok(Some(status));
    }
    if process.is_none_or(|process| kill_tree(&proc, &process).is_err()) {
        // Without /proc at least the child itself. If that fails, nothing else is left to try.
        let _ = child.kill();
    }
    reap(&mut child, handle.as_ref(), Deadline::after(REAP))?;
    Ok(None)
}

/// Never calls a waitpid(2) that blocks: a process that has ended, as the handle tells, cannot be
/// reaped before its tracer, if it has one, has seen that.
fn reap(
    child: &mut Child,
    handle: Option<&PidFd>,
    deadline: Deadline,
) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = retry_briefly(|| child.try_wait())? {
            return Ok(Some(status));
        }
        let left = deadline.remaining();
        if left.is_zero() {
            return Ok(None);
        }
        if let Some(Ok(true)) = handle.map(|handle| handle.wait_gone(deadline))
            && let Some(status) = retry_briefly(|| child.try_wait())?
        {
            return Ok(Some(status));
        }
        std::thread::sleep(left.min(LOOK_AGAIN));
    }
}

/// Kills a process and all its descendants by SIGKILL. They are stopped first, so that none of them
/// forks meanwhile.
///
/// The descendants are found by their parents. A process group of their own would be simpler, but
/// Pacemaker kills the process group of an action at its timeout, and children in another group would
/// live on. A daemon, whose parent is init after a double fork, is not a descendant.
///
/// Does not wait until they have ended.
///
/// # Errors
/// Those of [`ProcFs::snapshot`]; the first signal that was refused, after all others were sent.
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

/// Sends a signal to every one of them. Gives the first refusal.
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
    use crate::testing::{LONG, first_line};
    use std::process::{Command, Stdio};
    use testnet::wait_until;

    fn long() -> Deadline {
        Deadline::after(LONG)
    }

    #[test]
    fn a_child_ends_before_the_deadline() {
        let child = Command::new("/bin/sh").args(["-c", "sleep 0.3; exit 3"]).spawn().unwrap();
        assert_eq!(wait(child, long()).unwrap().unwrap().code(), Some(3));
        // Likewise without a handle.
        let mut child = Command::new("/bin/sh").args(["-c", "sleep 0.3; exit 4"]).spawn().unwrap();
        assert_eq!(reap(&mut child, None, long()).unwrap().unwrap().code(), Some(4));
    }

    #[test]
    fn the_descendants_of_a_child_are_killed_with_it() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "(sleep 600 & echo $!; wait) & wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let proc = ProcFs::default();
        let grandchild = proc.process(first_line(&mut child).parse().unwrap()).unwrap().unwrap();
        assert!(proc.is_alive(&grandchild).unwrap());
        assert_eq!(wait(child, Deadline::now()).unwrap(), None);
        wait_until("the grandchild has ended", LONG, || !proc.is_alive(&grandchild).unwrap());
    }

    /// A killed child cannot be reaped before its tracer has seen that it has ended, just as one in an
    /// uninterruptible sleep cannot.
    #[test]
    fn a_killed_child_that_does_not_end_is_left() {
        // PTRACE_SEIZE; then the tracer waits for the end of its input and for no process.
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
        if first_line(&mut tracer) != "traced" {
            drop(tracer.stdin.take());
            tracer.wait().unwrap();
            wait(child, Deadline::now()).unwrap();
            return testnet::skipped("child::a_killed_child_that_does_not_end", "needs ptrace");
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(wait(child, Deadline::now()).unwrap()));
        let waited = receiver.recv_timeout(LONG);
        drop(tracer.stdin.take());
        tracer.wait().unwrap();
        assert_eq!(waited, Ok(None), "the child was waited for");
    }
}
