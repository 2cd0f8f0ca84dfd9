//! The announcer: a detached process of this program that sends the announcements after start has
//! returned. stop ends it before it removes the address.
//!
//! It is a background process ([`hostproc::background`]): it holds a lock, named after the address, as long as
//! it lives, and no announcer runs while another process holds that lock. It has no environment and no log.
//! Everything that it needs is in its arguments, and everything that it could report is also seen by the next
//! monitor.

mod end;
mod job;
mod watcher;

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Netlink, PacketSocket};
use hostproc::{ProcFs, background};

use super::burst;
use super::late_conflict::Listener;
use crate::host::namespace;
pub(crate) use end::{NoAnnouncer, end};
pub(crate) use hostproc::background::{holder, is_held, kill_child};
pub(crate) use job::{Job, LinkState};
pub(crate) use watcher::{CarrierFailure, Watch};

/// The first argument of an announcer. An action has no leading hyphens, and the agent has no option of
/// that name.
pub(crate) const ARGUMENT: &str = "--announcer";

/// The first argument of a [`Watch`].
const WATCHER_ARGUMENT: &str = "--carrier-watcher";

/// How long a new one waits for the lock. The previous announcer has been ended, so only a reader
/// can hold it for a moment.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Why there is no announcer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Directory(#[from] hostproc::Error),
    #[error("the announcer {0}")]
    Start(#[from] background::StartError),
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
    let arguments = std::iter::once(argument.into()).chain(arguments);
    let mut command = background::command(crate::description::DESCRIPTION.name, arguments);
    Ok(background::start(command.stdin(stdin), until)?)
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

/// What an announcer or a watcher makes of its arguments, as a target of a fuzzer (tests/fuzz).
#[cfg(any(test, fuzzing))]
pub(crate) fn decode(arguments: &[OsString]) {
    if let Some(job) = Job::from_arguments(arguments) {
        assert_eq!(Job::from_arguments(&job.to_arguments()), Some(job));
    }
    if let Some(watch) = Watch::from_arguments(arguments) {
        assert_eq!(Watch::from_arguments(&watch.to_arguments()), Some(watch));
    }
}

/// Detaches from the action, reports to it, and does the work while it holds the lock. The work gets what
/// start has handed over as the standard input.
fn detached(lock: &Path, work: impl FnOnce(&Netlink, OwnedFd)) -> ExitCode {
    let open = || Netlink::open().map_err(|error| error.to_string());
    background::run(c"opensips-vip", lock, LOCK_WAIT, open, |netlink, socket| {
        work(&netlink, socket);
    })
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
