//! The lock between real processes: this test program once more, as a start or as a stop.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdout, Command, Stdio};

use tempfile::TempDir;
use testnet::wait_until;

use super::*;
use crate::testing::{LONG, Spawned, first_line, spawn};
use crate::{PidFd, Signal};

/// What the child does: see [`child`].
const ROLE: &str = "HOSTPROC_TEST_ACTION";
/// The run directory.
const RUN: &str = "HOSTPROC_TEST_RUN";
fn long() -> Deadline {
    Deadline::after(LONG)
}

fn files_in(directory: &Path) -> ActionLockFiles {
    ActionLockFiles::new(&RunDirectory::at(directory), "x.lock", "x.stopped")
}

fn own() -> OwnActions {
    OwnActions::of_this_program("stop")
}

fn take_over(files: &ActionLockFiles, patience: Deadline, deadline: Deadline) -> Acquisition {
    ActionLock::take_over(files, &own(), patience, deadline)
}

fn acquired(acquisition: Acquisition) -> ActionLock {
    match acquisition {
        Acquisition::Acquired(lock) => lock,
        other => panic!("{other:?}"),
    }
}

/// Run by the tests below in a process of its own: `start` ends when a stop requests it or when its
/// input ends, `deaf` when its input ends, `stop` when its input ends.
#[test]
fn child() {
    let (Some(role), Some(run)) = (std::env::var_os(ROLE), std::env::var_os(RUN)) else { return };
    let files = files_in(Path::new(&run));
    println!("\n@waits");
    let lock = if role == "stop" {
        take_over(&files, long(), long())
    } else {
        ActionLock::acquire(&files, long())
    };
    let lock = match lock {
        Acquisition::Acquired(lock) => lock,
        Acquisition::Stopped => return println!("\n@stopped before"),
        other => panic!("{other:?}"),
    };
    println!("\n@has the lock");
    if role == "start" {
        let deadline = long();
        while !lock.stop_requested() && deadline.sleep(RETRY) {}
        drop(lock);
        return println!("\n@stopped at work");
    }
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Another process of this program.
struct Action {
    child: Spawned,
    output: BufReader<ChildStdout>,
    process: Process,
}

impl Action {
    fn start(run: &TempDir, role: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        // The role is a filter that fits no test, and an argument by which a stop is recognised.
        command.args(["--exact", "action_lock::tests::child", "--nocapture", role]);
        command.env(ROLE, role).env(RUN, run.path());
        let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let output = BufReader::new(child.stdout.take().unwrap());
        let process = ProcFs::default().process(Pid::of(&child)).unwrap().unwrap();
        Self { child, output, process }
    }

    /// Reads on until it reports this.
    fn reports(&mut self, report: &str) {
        for line in (&mut self.output).lines() {
            if line.unwrap().strip_prefix('@') == Some(report) {
                return;
            }
        }
        panic!("{:?} has ended and not reported {report:?}", self.process);
    }

    fn signal(&self, signal: Signal) {
        let handle = PidFd::open(&ProcFs::default(), &self.process).unwrap().unwrap();
        assert!(handle.signal(signal).unwrap());
    }

    /// Until it has tried several times to get the lock: each pause between two attempts is a
    /// voluntary switch (`/proc/PID/status`).
    fn is_waiting(&mut self) {
        self.reports("waits");
        let before = self.switches();
        wait_until("it tries to get the lock", LONG, || self.switches() > before + 10);
    }

    fn switches(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.pid)).unwrap();
        let count = |status: &str| -> Option<u64> {
            let line =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            line.trim().parse().ok()
        };
        let status =
            |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("status"));
        tasks.flatten().filter_map(|entry| count(&status(entry).ok()?)).sum()
    }

    /// Ends its input, on which it waits.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

fn nothing_is_left(run: &TempDir) {
    let left: Vec<_> = std::fs::read_dir(run.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_starts_work_one_after_the_other() {
    let run = tempfile::tempdir().unwrap();
    let files = files_in(run.path());
    let mut first = Action::start(&run, "deaf");
    first.reports("has the lock");
    let mut second = Action::start(&run, "deaf");
    second.is_waiting();
    let Acquisition::Busy { holder } = ActionLock::acquire(&files, Deadline::now()) else {
        panic!("two have the lock")
    };
    assert_eq!(holder, Some(first.process));
    first.end();
    second.reports("has the lock");
    second.end();
    nothing_is_left(&run);
}

#[test]
fn a_start_at_work_learns_of_a_stop_and_ends_by_itself() {
    let run = tempfile::tempdir().unwrap();
    let files = files_in(run.path());
    let mut start = Action::start(&run, "start");
    start.reports("has the lock");
    let lock = acquired(take_over(&files, long(), long()));
    assert_eq!(lock.killed(), None);
    assert!(!lock.stop_requested());
    start.reports("stopped at work");
    start.end();
    drop(lock);
    nothing_is_left(&run);
}

#[test]
fn a_start_that_waits_learns_of_a_stop() {
    let run = tempfile::tempdir().unwrap();
    let files = files_in(run.path());
    let mut at_work = Action::start(&run, "deaf");
    at_work.reports("has the lock");
    let mut waiting = Action::start(&run, "start");
    waiting.is_waiting();
    let mut stop = Action::start(&run, "stop");
    waiting.reports("stopped before");
    waiting.end();
    // One that comes after the stop waits for it.
    let late = ActionLock::acquire(&files, Deadline::now());
    assert!(matches!(late, Acquisition::Busy { .. }), "{late:?}");
    at_work.end();
    stop.reports("has the lock");
    let late = ActionLock::acquire(&files, Deadline::now());
    assert!(matches!(late, Acquisition::Busy { .. }), "{late:?}");
    stop.end();
    drop(acquired(ActionLock::acquire(&files, long())));
    nothing_is_left(&run);
}

#[test]
fn a_start_that_does_not_end_is_killed() {
    let run = tempfile::tempdir().unwrap();
    let files = files_in(run.path());
    let mut start = Action::start(&run, "start");
    start.reports("has the lock");
    start.signal(Signal::SIGSTOP);
    let lock = acquired(take_over(&files, Deadline::now(), long()));
    assert_eq!(lock.killed(), Some(start.process));
    assert_eq!(start.child.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    drop(lock);
    nothing_is_left(&run);
}

#[test]
fn a_holder_without_a_record_is_killed_by_its_executable() {
    let run = tempfile::tempdir().unwrap();
    let files = files_in(run.path());
    let mut start = Action::start(&run, "deaf");
    start.reports("has the lock");
    std::fs::write(&files.lock, "").unwrap();
    let lock = acquired(take_over(&files, Deadline::now(), long()));
    assert_eq!(lock.killed(), Some(start.process));
}

#[test]
fn a_stop_waits_for_another_stop() {
    let run = tempfile::tempdir().unwrap();
    let files = files_in(run.path());
    let mut first = Action::start(&run, "stop");
    first.reports("has the lock");
    let second = take_over(&files, Deadline::now(), Deadline::now());
    let Acquisition::Busy { holder } = second else { panic!("{second:?}") };
    assert_eq!(holder, Some(first.process));
    let mut second = Action::start(&run, "stop");
    second.is_waiting();
    assert!(ProcFs::default().is_alive(&first.process).unwrap());
    first.end();
    second.reports("has the lock");
    second.end();
    drop(acquired(ActionLock::acquire(&files, long())));
    nothing_is_left(&run);
}

#[test]
fn two_stops_that_wait_get_it_one_after_the_other() {
    let run = tempfile::tempdir().unwrap();
    let mut start = Action::start(&run, "deaf");
    start.reports("has the lock");
    let mut stops = [Action::start(&run, "stop"), Action::start(&run, "stop")];
    stops.iter_mut().for_each(Action::is_waiting);
    start.end();
    let files = files_in(run.path());
    let [one, other] = stops;
    wait_until("a stop has the lock", LONG, || files.holder().is_some());
    let one_is_first = files.holder() == Some(one.process);
    let (mut first, mut second) = if one_is_first { (one, other) } else { (other, one) };
    first.reports("has the lock");
    first.end();
    second.reports("has the lock");
    second.end();
    nothing_is_left(&run);
}

#[test]
fn a_directory_that_cannot_be_written() {
    let run = tempfile::tempdir().unwrap();
    let file = run.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (missing, wrong) = (run.path().join("a/b"), file.join("run"));
    drop(acquired(ActionLock::acquire(&files_in(&missing), Deadline::now())));
    drop(acquired(take_over(&files_in(&missing), Deadline::now(), Deadline::now())));
    for outcome in [
        ActionLock::acquire(&files_in(&wrong), long()),
        take_over(&files_in(&wrong), long(), long()),
    ] {
        let Acquisition::Unavailable(error) = outcome else { panic!("{outcome:?}") };
        assert!(error.to_string().ends_with(": Not a directory"), "{error}");
    }
}

#[test]
fn another_program_on_the_lock() {
    let run = tempfile::tempdir().unwrap();
    let files = files_in(run.path());
    let mut command = Command::new("flock");
    command.arg(&files.lock).args(["-c", "echo locked; read end"]);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut flock) = spawned else {
        return testnet::skipped("action_lock::another_program_on_the_lock", "needs flock(1)");
    };
    assert_eq!(first_line(&mut flock), "locked");
    let busy = ActionLock::acquire(&files, Deadline::now());
    let outcome = take_over(&files, Deadline::now(), long());
    drop(flock.stdin.take());
    flock.wait().unwrap();
    let pid = Pid::of(&flock);
    let Acquisition::Busy { holder: Some(holder) } = busy else { panic!("{busy:?}") };
    assert_eq!(holder.pid, pid);
    let Acquisition::Unavailable(error) = outcome else { panic!("{outcome:?}") };
    let path = files.lock.display();
    let message = format!("lock file {path} is held by another program (pid {pid})");
    assert_eq!(error.to_string(), message);
    // The mark of a stop that has gone on without the lock is no concern of the next start.
    drop(acquired(ActionLock::acquire(&files, long())));
    nothing_is_left(&run);
}

#[test]
fn a_mark_that_no_stop_holds() {
    let run = tempfile::tempdir().unwrap();
    let files = files_in(run.path());
    std::fs::write(&files.mark, "").unwrap();
    let lock = acquired(ActionLock::acquire(&files, Deadline::now()));
    assert!(!lock.stop_requested());
    // A stop of an earlier release does not lock its mark.
    std::fs::write(&files.mark, "7 1\n").unwrap();
    assert!(lock.stop_requested());
    drop(lock);
    nothing_is_left(&run);
}

#[test]
fn why_a_stop_goes_on_without_the_lock() {
    let files = files_in(Path::new("/run/x"));
    let process = |pid| Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
    let why = |holder, killed| match files.given_up(holder, killed) {
        Acquisition::Unavailable(error) => error.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(
        why(Some(process(7)), Some(process(7))),
        "lock file /run/x/x.lock is held by process 7, which is killed and stuck in the kernel"
    );
    assert_eq!(
        why(None, Some(process(7))),
        "lock file /run/x/x.lock is held by a process that is not visible from here"
    );
    assert!(why(Some(process(8)), Some(process(7))).starts_with("Busy"));
    assert!(why(Some(process(8)), None).starts_with("Busy"));
}
