//! The asynchronous monitor: a background process that waits for the end of the main process, so that
//! Pacemaker learns of it at once and not by the next monitor.
//!
//! start leaves it running and stop ends it first of all. A recurring monitor starts it again where it is
//! missing. This room starts, finds and ends it; what it does is in `actions::async_monitor`. None of this
//! makes an action fail: without it, the recurring monitor notices the death, as before.

use std::ffi::{CStr, OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use hostproc::background::{self, Ended, Ending, StillRunning};
use hostproc::{Pid, PidFd, Process};
use ocf::{Action, LogLine, Request};

use crate::instance::Instance;
use crate::params::Params;

/// The first argument of the process. An action has no leading hyphens, and the agent has no option of that
/// name.
const ARGUMENT: &str = "--async-monitor";

/// How long an action waits for it to come up or to end: a moment, which a machine under load may stretch.
const PATIENCE: Duration = Duration::from_secs(2);

/// Its name, also in its first argument: scripts look for OpenSIPS by `pidof opensips`.
pub(crate) const NAME: &CStr = c"opensips-ocf";

/// What the process is told in its arguments; its parameters are in its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) main: Process,
    /// The lock file that it holds.
    pub(crate) lock: PathBuf,
}

impl Watch {
    fn to_arguments(&self) -> [OsString; 4] {
        let Process { pid, start_time } = self.main;
        let main = [pid.to_string().into(), start_time.to_string().into()];
        let [pid, start_time] = main;
        [ARGUMENT.into(), pid, start_time, self.lock.clone().into()]
    }

    /// By the arguments of this process; `None` if it has others.
    pub(crate) fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [argument, pid, start_time, lock] = arguments else { return None };
        let pid: Pid = pid.to_str()?.parse().ok()?;
        let start_time = start_time.to_str()?.parse().ok()?;
        let main = Process { pid, start_time };
        (argument == ARGUMENT).then(|| Self { main, lock: lock.into() })
    }
}

/// Whether this process was started as an asynchronous monitor.
pub(crate) fn is_meant(first_argument: Option<&OsStr>) -> bool {
    first_argument == Some(OsStr::new(ARGUMENT))
}

/// Starts the asynchronous monitor of a main process. A failure is logged.
pub(crate) fn begin(request: &Request, instance: &Instance<'_>, params: &Params, main: Process) {
    // Without the name of a resource, Pacemaker can't be told.
    if !params.async_monitor || !request.in_cluster {
        return;
    }
    // Everything in /run can be gone, except the daemon.
    if let Err(error) = instance.files.run().create() {
        log::debug!("{error}");
    }
    if !can_be_watched(request, instance, main) {
        return;
    }
    let watch = Watch { main, lock: instance.files.async_monitor_lock() };
    let mut command = background::command(&NAME.to_string_lossy(), watch.to_arguments());
    command.envs(request.variables());
    let started = background::start(&mut command, request.deadline.within(PATIENCE));
    match started {
        // Another monitor may have started one at the same moment.
        Err(_) if matches!(process(instance), Ok(Some(_))) => {}
        Err(error) => {
            let line = LogLine::of(request.action).field("pid", main.pid);
            log::warn!("{}", line.note(format!("no asynchronous monitor: it {error}")));
        }
        Ok(child) => {
            let line = LogLine::of(request.action).field("pid", main.pid);
            log::debug!("{}", line.field("async_monitor", child.id()));
        }
    }
}

/// Whether it could do its work: no recurring monitor executes a process that would only say that it can't.
/// start tells that it can't.
fn can_be_watched(request: &Request, instance: &Instance<'_>, main: Process) -> bool {
    match PidFd::open(&instance.proc, &main) {
        Ok(Some(handle)) if handle.sleeps() => true,
        Ok(Some(_)) => {
            if request.action == Action::Start {
                let line = LogLine::of(request.action).field("pid", main.pid);
                log::warn!("{}", line.note("no asynchronous monitor: this kernel has no pidfds"));
            }
            false
        }
        // It has ended; the next monitor says so.
        Ok(None) => false,
        Err(error) => {
            log::debug!("{error}");
            false
        }
    }
}

/// Starts it for a recurring monitor where it is missing. If it is there, that costs one look at its lock.
pub(crate) fn keep(request: &Request, instance: &Instance<'_>, params: &Params, main: Process) {
    if !request.probe && matches!(process(instance), Ok(None)) {
        begin(request, instance, params, main);
    }
}

/// Ends it, with the programs that it is running, for an action that Pacemaker learns more from, and for one
/// that waits for the action lock next. A failure is logged.
pub(crate) fn kill(instance: &Instance<'_>) {
    let deadline = instance.deadline().within(PATIENCE);
    let lock = instance.files.async_monitor_lock();
    if let Err(error) = background::kill(&lock, &[ARGUMENT], Ending::Tree, deadline) {
        may_run(instance, &error);
    }
}

/// The same for an action that has the action lock. As long as the proof is held, none can start. `None` if it
/// may still be running, which is no reason to fail: it is stuck in the kernel and executes nothing, or another
/// program holds its lock.
pub(crate) fn keep_away(instance: &Instance<'_>) -> Option<Ended> {
    let deadline = instance.deadline().within(PATIENCE);
    let lock = instance.files.async_monitor_lock();
    let ended = background::end(&lock, &[ARGUMENT], Ending::Tree, deadline);
    ended.map_err(|error| may_run(instance, &error)).ok()
}

fn may_run(instance: &Instance<'_>, error: &StillRunning) {
    let line = LogLine::of(instance.action());
    log::warn!("{}", line.note(format!("the asynchronous monitor may still run: {error}")));
}

/// Allows a new one, and leaves no lock file behind.
pub(crate) fn allow(ended: Option<Ended>) {
    if let Some(Err(error)) = ended.map(Ended::release) {
        log::debug!("{error}");
    }
}

/// The process that runs as the asynchronous monitor.
pub(crate) fn process(instance: &Instance<'_>) -> hostproc::Result<Option<Process>> {
    background::holder(&instance.files.async_monitor_lock())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_survives_the_command_line() {
        let main = Process { pid: Pid::new(4711).unwrap(), start_time: 123 };
        let watch = Watch { main, lock: "/run/smartvox/opensips-sip.async-monitor".into() };
        let arguments = watch.to_arguments();
        assert_eq!(Watch::from_arguments(&arguments), Some(watch));
        assert!(is_meant(arguments.first().map(OsString::as_os_str)));
        for missing in 0..arguments.len() {
            assert_eq!(Watch::from_arguments(&arguments[..missing]), None);
        }
    }

    #[test]
    fn no_action_is_an_asynchronous_monitor() {
        for other in [None, Some(OsStr::new("monitor")), Some(OsStr::new("async-monitor"))] {
            assert!(!is_meant(other));
        }
    }
}
