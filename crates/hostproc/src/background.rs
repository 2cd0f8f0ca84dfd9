//! Background processes of an agent: each outlives the action that starts it, and a later action ends it.
//!
//! A background process is this same program with other arguments. It has a session of its own and none
//! of its caller's open files, so that Pacemaker neither waits for it nor kills it together with the action.
//! It holds a lock as long as it lives: the lock tells whether it runs, which process it is, and keeps a
//! second one away.

use std::ffi::{CStr, OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use deadline::Deadline;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::child::kill_tree;
use crate::detach::detach;
use crate::error::{Error, Result};
use crate::lock::LockFile;
use crate::pidfd::PidFd;
use crate::process::{Pid, Process};
use crate::procfs::ProcFs;

/// What a background process writes on its standard output when it holds the lock.
const READY: &str = "ready";
/// The longest report of one that does not get so far, in bytes.
const REPORT_LIMIT: usize = 4096;
/// The pause between two attempts to take the lock of one that is being ended.
const RETRY: Duration = Duration::from_millis(1);

/// Why there is no background process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The program can't be executed.
    #[error("cannot be started: {}", hostfs::cause(.0))]
    Spawn(#[source] io::Error),
    /// It did not get as far as its lock by the deadline.
    #[error("did not report in time")]
    NoReport,
    /// It has ended with this message.
    #[error("reported: {0}")]
    Failed(String),
}

/// Why a background process can still be running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StillRunning {
    /// It waits in a system call that no signal interrupts.
    #[error("process {pid} was killed and does not end")]
    Stuck {
        /// The process.
        pid: Pid,
    },
    /// The holder of the lock is no such process, or is not visible.
    #[error("its lock is held by an unknown process")]
    Locked,
    /// What is known about processes can't be read, or a signal was refused.
    #[error(transparent)]
    Process(#[from] Error),
}

/// What [`end`] kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The process alone: it starts no other.
    Process,
    /// The process with all that it has started.
    Tree,
}

/// Proof that no background process with a certain lock runs; none can start while this is held.
#[derive(Debug)]
#[must_use]
pub struct Ended(Option<LockFile>);

impl Ended {
    /// Allows a new one, and leaves no lock file behind.
    ///
    /// # Errors
    /// [`Error::Lock`]: the file stays, and is not locked.
    pub fn release(self) -> Result<()> {
        self.0.map_or(Ok(()), LockFile::remove)
    }
}

/// This program once more, as `name` in the list of processes, with these arguments and without an
/// environment. The first argument tells a background process from an action.
pub fn command(name: &str, arguments: impl IntoIterator<Item = OsString>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name).args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Starts a background process, and waits until it holds its lock.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub fn start(command: &mut Command, deadline: Deadline) -> std::result::Result<Child, StartError> {
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(StartError::Spawn)?;
    match read_report(&mut child, deadline) {
        Ok(report) if report == READY => Ok(child),
        report => {
            kill_child(&mut child);
            Err(report.map_or_else(|error| error, StartError::Failed))
        }
    }
}

/// Kills a background process that the calling process has started.
pub fn kill_child(child: &mut Child) {
    // It fails only for a process that has ended.
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads what the child writes until it closes its end.
fn read_report(child: &mut Child, deadline: Deadline) -> std::result::Result<String, StartError> {
    let mut pipe = child.stdout.take().ok_or(StartError::NoReport)?;
    let mut report = Vec::new();
    loop {
        let timeout = PollTimeout::try_from(deadline.remaining()).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, timeout) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(0) | Err(_) => return Err(StartError::NoReport),
            Ok(_) => {}
        }
        let mut bytes = [0; 256];
        match pipe.read(&mut bytes) {
            Ok(0) => return Ok(String::from_utf8_lossy(&report).trim_end().to_owned()),
            Ok(_) if report.len() > REPORT_LIMIT => return Err(StartError::NoReport),
            Ok(count) => report.extend(bytes.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StartError::Spawn(error)),
        }
    }
}

/// The whole of a background process: detaches from the action, prepares its work, takes the lock,
/// reports that to the action, and does the work while it holds the lock. `name` is what ps and top show.
///
/// `prepare` runs before the lock is taken; its error is reported to the action. The work gets the standard
/// input, too: the action can have handed over a descriptor there.
pub fn run<T>(
    name: &CStr,
    lock: &Path,
    patience: Duration,
    prepare: impl FnOnce() -> std::result::Result<T, String>,
    work: impl FnOnce(T, OwnedFd),
) -> ExitCode {
    close_inherited();
    // Copies, because detaching replaces the streams. The action waits for the end of the report.
    let Ok(report) = io::stdout().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let Ok(input) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let mut report = std::fs::File::from(report);
    // ps and top show "exe" otherwise.
    let _ = nix::sys::prctl::set_name(name);
    match settle(lock, patience, prepare) {
        Ok((lock, prepared)) => {
            let _ = writeln!(report, "{READY}");
            drop(report);
            work(prepared, input);
            let _ = lock.remove();
            ExitCode::SUCCESS
        }
        Err(why) => {
            let _ = writeln!(report, "{why}");
            ExitCode::FAILURE
        }
    }
}

fn settle<T>(
    lock: &Path,
    patience: Duration,
    prepare: impl FnOnce() -> std::result::Result<T, String>,
) -> std::result::Result<(LockFile, T), String> {
    detach().map_err(|error| error.to_string())?;
    let prepared = prepare()?;
    let lock = LockFile::acquire(lock, Deadline::after(patience))
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "another one is running".to_owned())?;
    Ok((lock, prepared))
}

/// Closes the files that the action has inherited. Pacemaker leaves none open, but a shell script or a test
/// can wait for the end of a pipe that this process keeps open.
fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // This process has opened nothing itself yet.
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = nix::unistd::close(descriptor);
    }
}

/// Kills the background process that holds this lock, if there is one, and waits for its end.
/// `arguments` are the possible first arguments of such a process: another holder is left alone.
///
/// # Errors
/// It can still be running.
pub fn end(
    lock: &Path,
    arguments: &[&str],
    ending: Ending,
    deadline: Deadline,
) -> std::result::Result<Ended, StillRunning> {
    // The usual case, and then no file is created.
    if !lock.try_exists().unwrap_or(true) {
        return Ok(Ended(None));
    }
    loop {
        // Another action can hold the lock in the same way. It is waited for, because a stop that is killed
        // has failed.
        kill(lock, arguments, ending, deadline)?;
        // Only the lock is a proof: its holder can have left no record yet.
        if let Some(lock) = LockFile::try_acquire(lock)? {
            return Ok(Ended(Some(lock)));
        }
        if deadline.has_passed() {
            return Err(StillRunning::Locked);
        }
        std::thread::sleep(RETRY);
    }
}

/// Kills the background process that holds this lock, if there is one, and waits for its end. Does not wait
/// for another holder, and a new one can start at once.
///
/// # Errors
/// [`StillRunning::Stuck`], [`StillRunning::Process`]
pub fn kill(
    lock: &Path,
    arguments: &[&str],
    ending: Ending,
    deadline: Deadline,
) -> std::result::Result<(), StillRunning> {
    let proc = ProcFs::default();
    if let Some(process) = holder(lock)?
        && let Some(handle) = PidFd::open(&proc, &process)?
        && is_one(&proc, process.pid, arguments)?
    {
        signal(&proc, &handle, ending)?;
        if !handle.wait_gone(deadline)? {
            return Err(StillRunning::Stuck { pid: process.pid });
        }
    }
    Ok(())
}

/// SIGTERM could arrive late, and nothing in a background process needs an orderly end.
fn signal(proc: &ProcFs, handle: &PidFd, ending: Ending) -> Result<()> {
    if ending == Ending::Tree && kill_tree(proc, &handle.process()).is_ok() {
        return Ok(());
    }
    handle.signal(Signal::SIGKILL).map(|_| ())
}

fn is_one(proc: &ProcFs, pid: Pid, arguments: &[&str]) -> Result<bool> {
    let words = proc.cmdline(pid)?.unwrap_or_default();
    let first = words.get(1).map(OsString::as_os_str);
    Ok(arguments.iter().any(|argument| first == Some(OsStr::new(argument))))
}

/// The process that holds the lock: by the record that it has left in it or, if the file system was too
/// full for one, by the list of the kernel.
///
/// # Errors
/// Those of [`LockFile::holder`] and [`LockFile::holder_by_kernel`].
pub fn holder(lock: &Path) -> Result<Option<Process>> {
    match LockFile::holder(lock)? {
        None => LockFile::holder_by_kernel(lock),
        recorded => Ok(recorded),
    }
}

/// Returns true if a process holds the lock and has left its record. The lock is not taken for that: a
/// process that is about to take it would fail.
#[must_use]
pub fn is_held(lock: &Path) -> bool {
    matches!(LockFile::holder(lock), Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LONG, spawn};

    #[test]
    fn another_holder_of_the_lock_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let end = |until| end(&path, &["--work"], Ending::Tree, until);
        // Nothing was ever started, and no file is made.
        end(Deadline::now()).unwrap().release().unwrap();
        assert!(!path.exists() && !is_held(&path));
        let lock = LockFile::acquire(&path, Deadline::after(LONG)).unwrap().unwrap();
        assert_eq!(holder(&path).unwrap().unwrap().pid, Pid::own());
        assert!(is_held(&path));
        assert!(matches!(end(Deadline::now()), Err(StillRunning::Locked)));
        kill(&path, &["--work"], Ending::Tree, Deadline::now()).unwrap();
        drop(lock);
        // A lock that nothing holds is a stale file.
        let ended = end(Deadline::after(LONG)).unwrap();
        assert!(LockFile::try_acquire(&path).unwrap().is_none(), "none can start now");
        ended.release().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn one_is_known_by_its_first_argument() {
        let child = spawn(Command::new("sleep").arg("600"));
        let is_one = |arguments| is_one(&ProcFs::default(), Pid::of(&child), arguments).unwrap();
        // exec(2) lets the parent go on before the arguments can be read.
        testnet::wait_until("it has its arguments", LONG, || is_one(&["--other", "600"]));
        assert!(!is_one(&["--other", "sleep"]));
    }

    #[test]
    fn what_reports_no_lock_is_killed() {
        let shell = |script: &str| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            start(&mut command, Deadline::after(LONG))
        };
        let mut child = shell("echo ready; exec >&-; exec sleep 600").unwrap();
        kill_child(&mut child);
        let failed = shell("echo no memory").unwrap_err();
        assert_eq!(failed.to_string(), "reported: no memory");
        let mut silent = Command::new("sleep");
        let late = start(silent.arg("600"), Deadline::now()).unwrap_err();
        assert_eq!(late.to_string(), "did not report in time");
    }
}
