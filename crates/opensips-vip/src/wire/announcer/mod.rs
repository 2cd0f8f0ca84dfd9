//! The announcer: a detached process of this program that sends the announcements after start has
//! returned. stop ends it before it removes the address.
//!
//! It has a session of its own and none of Pacemaker's open files, so that Pacemaker neither waits for it
//! nor kills it together with the action. It holds a lock, named after the address, as long as it lives:
//! no announcer runs while another process holds that lock. It has no environment and no log. Everything that
//! it needs is in its arguments, and everything that it could report is also seen by the next monitor.

mod end;
mod job;
mod watcher;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Netlink, PacketSocket};
use hostproc::{LockFile, Pid, ProcFs};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::burst;
use super::late_conflict::Listener;
use crate::host::namespace;
pub(crate) use end::{NoAnnouncer, end, holder};
pub(crate) use job::Job;
pub(crate) use watcher::{CarrierFailure, Watch};

/// The first argument of an announcer. An action has no leading hyphens, and the agent has no option of
/// that name.
pub(crate) const ARGUMENT: &str = "--announcer";

/// The first argument of a [`Watch`].
const WATCHER_ARGUMENT: &str = "--carrier-watcher";

/// What the announcer writes on its standard output when it holds the lock.
const READY: &str = "ready";

/// How long a new one waits for the lock. The previous announcer has been ended, so only a reader
/// can hold it for a moment.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Why there is no announcer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Directory(#[from] hostproc::Error),
    #[error("the announcer can't be started: {0}")]
    Spawn(#[source] io::Error),
    #[error("the announcer did not report in time")]
    NoReport,
    #[error("the announcer reported: {0}")]
    Failed(String),
}

/// Starts an announcer and waits until it holds its lock. The announcer listens on start's packet socket, if
/// there is one, and closes it, because that takes the kernel longer than start should take
/// ([`PacketSocket::into_descriptor`]).
pub(crate) fn spawn(
    job: &Job,
    socket: Option<PacketSocket>,
    until: Deadline,
) -> Result<Child, Error> {
    let stdin = socket.map_or_else(Stdio::null, |socket| socket.into_descriptor().into());
    spawn_detached(ARGUMENT, job.to_arguments(), stdin, until)
}

/// Returns true if a process holds the lock. It is not taken for that: a process that is about to take
/// it would fail.
pub(crate) fn is_held(lock: &Path) -> bool {
    lock.exists() && matches!(LockFile::holder(lock), Ok(Some(_)))
}

/// Starts a process that waits for the carrier on a node without the VIP.
pub(crate) fn spawn_watcher(watch: &Watch, until: Deadline) -> Result<Child, Error> {
    spawn_detached(WATCHER_ARGUMENT, watch.to_arguments(), Stdio::null(), until)
}

fn spawn_detached(
    argument: &str,
    arguments: Vec<OsString>,
    stdin: Stdio,
    until: Deadline,
) -> Result<Child, Error> {
    let mut child = Command::new("/proc/self/exe")
        .arg0(crate::description::DESCRIPTION.name)
        .arg(argument)
        .args(arguments)
        .env_clear()
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::Spawn)?;
    match read_report(&mut child, until) {
        Ok(report) if report == READY => Ok(child),
        report => {
            kill_child(&mut child);
            Err(match report {
                Ok(report) => Error::Failed(ocf::shown(report.as_bytes())),
                Err(error) => error,
            })
        }
    }
}

/// Kills an announcer that this process has started.
pub(crate) fn kill_child(child: &mut Child) {
    // It fails only for a process that has ended.
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads what the child writes until it closes its end.
fn read_report(child: &mut Child, until: Deadline) -> Result<String, Error> {
    let mut pipe = child.stdout.take().ok_or(Error::NoReport)?;
    let mut report = Vec::new();
    loop {
        let left = until.remaining();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, timeout) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(0) | Err(_) => return Err(Error::NoReport),
            Ok(_) => {}
        }
        let mut bytes = [0; 256];
        match pipe.read(&mut bytes) {
            Ok(0) => return Ok(String::from_utf8_lossy(&report).trim_end().to_owned()),
            Ok(count) => report.extend(bytes.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Spawn(error)),
        }
    }
}

/// Returns true for an announcer. An action of this agent has other arguments.
fn is_announcer(proc: &ProcFs, pid: Pid) -> Result<bool, hostproc::Error> {
    let words = proc.cmdline(pid)?.unwrap_or_default();
    Ok(is_meant(words.get(1).map(OsString::as_os_str)))
}

/// Returns true if nothing keeps the network namespace of the job alive but announcers and watchers.
pub(super) fn is_abandoned(job: &Job) -> bool {
    let proc = ProcFs::default();
    let is_own = |pid| {
        let words = proc.cmdline(pid).ok().flatten().unwrap_or_default();
        is_meant(words.get(1).map(OsString::as_os_str))
    };
    job.namespace.as_ref().is_some_and(|name| namespace::is_abandoned(name, is_own))
}

/// Returns true if this process was started as an announcer or as a watcher.
pub(crate) fn is_meant(first_argument: Option<&OsStr>) -> bool {
    [ARGUMENT, WATCHER_ARGUMENT].iter().any(|it| first_argument == Some(OsStr::new(it)))
}

/// Runs an announcer or a watcher with the arguments of this process.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let Some((argument, arguments)) = arguments.split_first() else { return ExitCode::FAILURE };
    let done = if argument == WATCHER_ARGUMENT {
        Watch::from_arguments(arguments).map(|watch| {
            let lock = watch.lock.clone();
            detached(&lock, |netlink, _| watcher::run(&watch, netlink))
        })
    } else {
        Job::from_arguments(arguments).map(|job| {
            detached(&job.lock, |netlink, socket| {
                let listener = Listener::of(&job, netlink, socket);
                burst::run(&job, netlink, listener, None);
            })
        })
    };
    done.unwrap_or_else(|| {
        eprintln!("{} is used only by the agent itself", ocf::shown(argument.as_bytes()));
        ExitCode::FAILURE
    })
}

/// Detaches from the action, reports to it, and does the work while it holds the lock. The work gets what
/// start has handed over as the standard input.
fn detached(lock: &Path, work: impl FnOnce(&Netlink, OwnedFd)) -> ExitCode {
    close_inherited();
    // Copies, because detaching replaces the streams. Start waits for the end of the report, and must
    // not wait longer because its socket is closed in between.
    let Ok(report) = io::stdout().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let mut report = std::fs::File::from(report);
    // For ps and top, which show "exe" otherwise.
    let _ = nix::sys::prctl::set_name(c"opensips-vip");
    match prepare(lock) {
        Ok((lock, netlink)) => {
            let _ = writeln!(report, "{READY}");
            drop(report);
            work(&netlink, socket);
            let _ = lock.remove();
            ExitCode::SUCCESS
        }
        Err(why) => {
            let _ = writeln!(report, "{why}");
            ExitCode::FAILURE
        }
    }
}

/// Detaches from the action and takes the lock.
fn prepare(lock: &Path) -> Result<(LockFile, Netlink), String> {
    hostproc::detach().map_err(|error| error.to_string())?;
    let lock = LockFile::acquire(lock, Deadline::after(LOCK_WAIT))
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "another one is running".to_owned())?;
    let netlink = Netlink::open().map_err(|error| error.to_string())?;
    Ok((lock, netlink))
}

/// Closes the files that start has inherited. Pacemaker leaves none open, but a shell script or a test
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_action_is_an_announcer() {
        assert!(is_meant(Some(OsStr::new("--announcer"))));
        for other in [None, Some(OsStr::new("start")), Some(OsStr::new("announcer"))] {
            assert!(!is_meant(other));
        }
    }
}
