//! Ends the announcer of a VIP.

use std::path::Path;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{LockFile, PidFd, ProcFs, Process, Signal};

use super::is_announcer;
use crate::host::run_files::release;
use crate::log_line::line;

/// Proof that no announcer of the VIP runs; none can start while this is held.
#[derive(Debug)]
#[must_use]
pub(crate) struct NoAnnouncer(Option<LockFile>);

impl NoAnnouncer {
    /// Allows a new announcer, and leaves no lock file behind.
    pub(crate) fn release(self) {
        release(self.0);
    }
}

/// Why an announcer can still be running.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StillRunning {
    #[error("announcer (pid {pid}) was killed and does not end")]
    Stuck { pid: i32 },
    #[error("the announcer's lock is held by an unknown process")]
    Locked,
    #[error(transparent)]
    Process(#[from] hostproc::Error),
}

/// Kills the announcer that holds this lock, if there is one, and waits for its end.
///
/// # Errors
/// It can still be running.
pub(crate) fn end(lock: &Path, until: Deadline) -> Result<NoAnnouncer, StillRunning> {
    // The usual case, and then no file is created.
    if !lock.try_exists().unwrap_or(true) {
        return Ok(NoAnnouncer(None));
    }
    let proc = ProcFs::default();
    loop {
        // Another stop holds the lock in the same way. It is waited for, because a stop that is killed
        // has failed.
        if let Some(process) = holder(lock)?
            && let Some(handle) = PidFd::open(&proc, &process)?
            && is_announcer(&proc, process.pid)?
        {
            log::debug!("{}", line().field("announcer_pid", process.pid).note("killing it"));
            // SIGTERM could arrive late, and nothing in an announcer needs an orderly end.
            handle.signal(Signal::SIGKILL)?;
            if !handle.wait_gone(until)? {
                return Err(StillRunning::Stuck { pid: process.pid.get() });
            }
        }
        // Only the lock is a proof: its holder can have left no record yet.
        if let Some(lock) = LockFile::try_acquire(lock)? {
            return Ok(NoAnnouncer(Some(lock)));
        }
        if until.has_passed() {
            return Err(StillRunning::Locked);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The process that holds the announcer's lock: by the record that it has left in it or, if the file
/// system was too full for one, by the kernel's list.
pub(crate) fn holder(lock: &Path) -> Result<Option<Process>, hostproc::Error> {
    match LockFile::holder(lock)? {
        None => LockFile::holder_by_kernel(lock),
        recorded => Ok(recorded),
    }
}
