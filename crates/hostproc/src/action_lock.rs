//! One lock that keeps the actions on one resource apart, and a stop that takes it over.
//!
//! Pacemaker never runs two actions on one resource at once, but people do: an action by hand that
//! is still at work must not bring up what a stop has just reported as gone. So every action that
//! changes something holds the lock while it works ([`ActionLock::acquire`]). A stop takes the lock
//! over ([`ActionLock::take_over`]):
//!
//! 1. It leaves a mark at once. An action polls [`ActionLock::stop_requested`] while it waits and
//!    right before each effect, and ends when it sees the mark.
//! 2. It waits for the lock. The holder that has not ended after a share of the stop's time, because
//!    it is stopped (SIGSTOP) or waits for something else, is killed with all that it has started.
//! 3. The kernel releases the lock of a killed process only after its system calls have ended. So
//!    when the stop has the lock, no effect of the former holder is still to come.
//!
//! The mark is a lock file, too, which the stop holds: a mark that is not held was left by a stop
//! that was killed or that went on without the lock, and is discarded by the next action.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deadline::Deadline;

use crate::child::kill_tree;
use crate::error::{Error, Result};
use crate::lock::LockFile;
use crate::process::{Pid, Process};
use crate::procfs::ProcFs;
use crate::run_directory::RunDirectory;

/// flock(2) has no timeout: a lock that is held is tried again after this pause.
const RETRY: Duration = Duration::from_millis(5);
/// How long a killed holder may take to end before the stop looks again: another action may have the
/// lock by then.
const KILL_AGAIN: Duration = Duration::from_millis(100);

/// The files of one action lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionLockFiles {
    run: RunDirectory,
    lock: PathBuf,
    mark: PathBuf,
}

impl ActionLockFiles {
    /// The lock file and the mark of a stop, by their names in the run directory. The names belong
    /// to the resource that the actions change.
    #[must_use]
    pub fn new(run: &RunDirectory, lock: &str, mark: &str) -> Self {
        Self { run: run.clone(), lock: run.file(lock), mark: run.file(mark) }
    }

    /// Creates the run directory where it is missing.
    fn try_lock(&self) -> Result<Option<LockFile>> {
        match LockFile::try_acquire(&self.lock) {
            Err(Error::Lock { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.run.create()?;
                LockFile::try_acquire(&self.lock)
            }
            tried => tried,
        }
    }

    /// The process that holds the lock: by its record in the file or, where the file system was too
    /// full for one, by the list of the kernel. `None` where that cannot be known, and where the lock
    /// is free.
    fn holder(&self) -> Option<Process> {
        let recorded = LockFile::holder(&self.lock).ok().flatten();
        recorded
            .or_else(|| LockFile::holder_by_kernel(&self.lock).ok().flatten())
            .filter(|holder| holder.pid != Pid::own())
    }

    fn is_marked(&self) -> bool {
        self.mark.symlink_metadata().is_ok()
    }

    /// Removes a mark that no stop holds. Returns false if one does.
    fn discard_stale_mark(&self) -> Result<bool> {
        if !self.is_marked() {
            return Ok(true);
        }
        match LockFile::try_acquire(&self.mark)? {
            Some(mark) => mark.remove().map(|()| true),
            None => Ok(false),
        }
    }

    /// Why a stop does not get the lock, by the process that has it at the deadline.
    fn given_up(&self, holder: Option<Process>, killed: Option<Process>) -> Acquisition {
        let path = self.lock.clone();
        match holder {
            None => Acquisition::Unavailable(Error::HolderHidden { path }),
            Some(Process { pid, .. }) if holder == killed => {
                Acquisition::Unavailable(Error::HolderStuck { path, pid })
            }
            Some(_) => Acquisition::Busy { holder },
        }
    }
}

/// How the actions of the calling program are recognised among the processes of the host: they have
/// its executable, and a stop has a certain word among its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnActions {
    executable: PathBuf,
    stop: &'static str,
}

/// What holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// An action that a stop may kill.
    Action,
    /// Another stop, which is waited for: killed, it would be a stop that failed.
    Stop,
    /// Another program.
    Foreign,
}

/// What was done with the holder of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Foreign {
        pid: Pid,
    },
    Killed {
        holder: Process,
    },
    /// It is a stop or cannot be killed; `None` where it is not visible or has just ended.
    Alive {
        holder: Option<Process>,
    },
}

impl OwnActions {
    /// Those with the executable of the calling process; `stop` is the argument that makes one a stop. Where
    /// `/proc` does not show the executable, only a holder that has left its record in the lock file is recognised.
    #[must_use]
    pub fn of_this_program(stop: &'static str) -> Self {
        let executable = ProcFs::default().exe(Pid::own()).ok().flatten();
        Self { executable: executable.map(|found| found.path).unwrap_or_default(), stop }
    }

    /// Kills the holder of the lock if it is an action, with all that it has started.
    fn kill_holder(&self, files: &ActionLockFiles) -> Held {
        let proc = ProcFs::default();
        let Some(holder) = files.holder() else { return Held::Alive { holder: None } };
        match self.role_of(&proc, holder, &files.lock) {
            Role::Foreign => Held::Foreign { pid: holder.pid },
            Role::Action if kill_tree(&proc, &holder).is_ok() => Held::Killed { holder },
            Role::Action | Role::Stop => Held::Alive { holder: Some(holder) },
        }
    }

    /// What a process that holds the lock is. One that cannot be looked at is foreign.
    fn role_of(&self, proc: &ProcFs, holder: Process, lock: &Path) -> Role {
        // Only an agent leaves a record in the file; its executable may have been moved since.
        let recorded = LockFile::holder(lock).is_ok_and(|recorded| recorded == Some(holder));
        let same = || proc.exe(holder.pid).ok().flatten().map(|found| found.path);
        if !recorded && same().as_deref() != Some(&self.executable) {
            return Role::Foreign;
        }
        // Not the second word alone: people write options before the action.
        let words = proc.cmdline(holder.pid).ok().flatten().unwrap_or_default();
        if words.iter().skip(1).any(|word| word == OsStr::new(self.stop)) {
            Role::Stop
        } else {
            Role::Action
        }
    }
}

/// What came of the attempt to get the lock.
#[derive(Debug)]
#[must_use]
pub enum Acquisition {
    /// The caller has it.
    Acquired(ActionLock),
    /// A stop came while the caller waited: it must end without any effect.
    Stopped,
    /// Another process still has it at the deadline. For [`ActionLock::take_over`] that is another
    /// stop, or an action that cannot be killed.
    Busy {
        /// That process; `None` where it cannot be known, as in another pid namespace.
        holder: Option<Process>,
    },
    /// There is no lock to be had, for a reason that waiting does not change:
    /// [`Error::File`] or [`Error::Lock`] (the run directory cannot be written),
    /// [`Error::ForeignHolder`], [`Error::HolderStuck`], [`Error::HolderHidden`].
    Unavailable(Error),
}

/// The lock, held until it is dropped or its process ends, however that ends. Dropped, it removes
/// its files.
#[derive(Debug)]
pub struct ActionLock {
    files: ActionLockFiles,
    /// `None` after it was removed.
    lock: Option<LockFile>,
    /// Of a stop that had to wait.
    mark: Option<LockFile>,
    killed: Option<Process>,
}

impl ActionLock {
    /// Waits for the lock until the deadline; one that has passed makes a single attempt. For every
    /// action that is not a stop. A stop that waits already goes first, and one that comes later ends
    /// the wait ([`Acquisition::Stopped`]).
    pub fn acquire(files: &ActionLockFiles, deadline: Deadline) -> Acquisition {
        loop {
            match files.discard_stale_mark() {
                Ok(true) => break,
                Ok(false) if deadline.sleep(RETRY) => {}
                Ok(false) => return Acquisition::Busy { holder: files.holder() },
                Err(error) => return Acquisition::Unavailable(error),
            }
        }
        // A mark from here on is that of a stop that came later than this action.
        loop {
            if files.is_marked() {
                return Acquisition::Stopped;
            }
            match files.try_lock() {
                Ok(Some(lock)) => {
                    let (files, lock) = (files.clone(), Some(lock));
                    return Acquisition::Acquired(Self { files, lock, mark: None, killed: None });
                }
                Ok(None) if deadline.sleep(RETRY) => {}
                Ok(None) => return Acquisition::Busy { holder: files.holder() },
                Err(error) => return Acquisition::Unavailable(error),
            }
        }
    }

    /// Takes the lock over for a stop. If another process has it, leaves the mark and waits until
    /// `patience` for the holder to end, then kills it if it is one of `own` and not another stop, and
    /// waits until `deadline`. Never gives [`Acquisition::Stopped`].
    ///
    /// May take a moment (0.1 s) longer than `deadline`, so that a holder that is killed at the
    /// deadline has time to end.
    pub fn take_over(
        files: &ActionLockFiles,
        own: &OwnActions,
        patience: Deadline,
        deadline: Deadline,
    ) -> Acquisition {
        let (mut mark, mut killed) = (None, None);
        let mut next_look = patience.min(deadline);
        loop {
            match files.try_lock() {
                Ok(Some(lock)) => {
                    let (files, lock) = (files.clone(), Some(lock));
                    return Acquisition::Acquired(Self { files, lock, mark, killed });
                }
                Ok(None) => {}
                Err(error) => return Acquisition::Unavailable(error),
            }
            // Another stop may have the mark: then it is there. Where none can be left, the holder
            // does not learn of this stop, and is killed.
            if mark.is_none() {
                mark = LockFile::try_acquire(&files.mark).unwrap_or_default();
            }
            if next_look.has_passed() {
                next_look = Deadline::after(KILL_AGAIN);
                let was_killed = killed.is_some();
                let holder = match own.kill_holder(files) {
                    Held::Foreign { pid } => {
                        let path = files.lock.clone();
                        return Acquisition::Unavailable(Error::ForeignHolder { path, pid });
                    }
                    Held::Killed { holder } => {
                        killed = Some(holder);
                        Some(holder)
                    }
                    Held::Alive { holder } => holder,
                };
                // A holder that was killed just now has the time until the next look.
                if deadline.has_passed() && (was_killed || killed.is_none()) {
                    return files.given_up(holder, killed);
                }
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Whether a stop waits for the end of the action that has this lock: it must undo what it has
    /// done and end. Costs one system call.
    #[must_use]
    pub fn stop_requested(&self) -> bool {
        self.mark.is_none() && self.files.is_marked()
    }

    /// The action that was killed for this stop, for the log.
    #[must_use]
    pub fn killed(&self) -> Option<Process> {
        self.killed
    }
}

impl Drop for ActionLock {
    /// A file that cannot be removed does no harm: it is not locked.
    fn drop(&mut self) {
        let _ = match self.mark.take() {
            Some(mark) => mark.remove().map(|()| true),
            None => self.files.discard_stale_mark(),
        };
        let _ = self.lock.take().map(LockFile::remove);
    }
}

#[cfg(test)]
mod tests;
