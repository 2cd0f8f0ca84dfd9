//! A handle on one process that never refers to a successor with the same number (pidfd_open(2),
//! Linux 5.3).
//!
//! Where there are no pidfds (an older kernel, a seccomp filter, no descriptor left), the start time
//! is compared before each signal instead: the kernel would have to use the number again within the
//! microseconds in between.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use deadline::Deadline;
use nix::sys::signal::{Signal, kill};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::error::{Error, Result};
use crate::process::Process;
use crate::procfs::ProcFs;

/// Pause between two looks at a process without a pidfd.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A handle on one process.
#[derive(Debug)]
pub struct PidFd {
    process: Process,
    proc: ProcFs,
    /// `None` where there are no pidfds.
    fd: Option<OwnedFd>,
}

impl PidFd {
    /// Opens a handle on exactly this process; `None` if it is gone or another one has its number now.
    /// A process that has ended and waits for its parent can still be opened.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn open(proc: &ProcFs, process: &Process) -> Result<Option<Self>> {
        let pid = process.pid;
        let number = rustix::process::Pid::from_raw(pid.get());
        let opened = match number {
            Some(number) => pidfd_open(number, PidfdFlags::empty()),
            None => return Ok(None),
        };
        let fd = match opened {
            Ok(fd) => Some(fd),
            Err(Errno::SRCH) => return Ok(None),
            // For whatever reason: a stop must go on without pidfds.
            Err(_) => None,
        };
        // After the handle was opened, not before: the process had the number when the caller saw it
        // and has it now, so it had it when the handle was opened.
        let now = proc.process(pid)?;
        Ok((now == Some(*process)).then(|| Self { process: *process, proc: proc.clone(), fd }))
    }

    /// The process that the handle refers to.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process
    }

    /// Whether [`PidFd::wait_gone`] sleeps until the process has ended. Without a pidfd it looks again and
    /// again.
    #[must_use]
    pub fn sleeps(&self) -> bool {
        self.fd.is_some()
    }

    /// Sends a signal; `false` if the process is gone.
    ///
    /// # Errors
    /// [`Error::Signal`]
    pub fn signal(&self, signal: Signal) -> Result<bool> {
        let refused = |source: io::Error| Error::Signal { pid: self.process.pid, signal, source };
        let named = rustix::process::Signal::from_named_raw(signal as i32)
            .ok_or_else(|| refused(io::ErrorKind::InvalidInput.into()))?;
        match self.fd.as_ref().map(|fd| pidfd_send_signal(fd, named)) {
            Some(Ok(())) => return Ok(true),
            Some(Err(Errno::SRCH)) => return Ok(false),
            // A seccomp filter may allow the one call and not the other. Where the signal itself is
            // not permitted, kill(2) reports that too.
            Some(Err(_)) | None => {}
        }
        if self.proc.process(self.process.pid)? != Some(self.process) {
            return Ok(false);
        }
        match kill(nix::unistd::Pid::from_raw(self.process.pid.get()), signal) {
            Ok(()) => Ok(true),
            Err(nix::errno::Errno::ESRCH) => Ok(false),
            Err(errno) => Err(refused(errno.into())),
        }
    }

    /// Waits for the process to end, at most until the deadline. Returns whether it has ended. Works
    /// for processes that are not children of the caller.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn wait_gone(&self, deadline: Deadline) -> Result<bool> {
        let Some(fd) = &self.fd else { return self.look_until_gone(deadline) };
        loop {
            let left = deadline.remaining();
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                // The kernel has no memory: a wait that fails must not end a start.
                Err(_) => return self.look_until_gone(deadline),
            }
        }
    }

    fn look_until_gone(&self, deadline: Deadline) -> Result<bool> {
        while self.proc.is_alive(&self.process)? {
            let left = deadline.remaining();
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(left.min(LOOK_AGAIN));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Pid;
    use crate::testing::{LONG, Spawned, spawn};
    use std::process::Command;

    fn sleeping() -> (Spawned, Process) {
        let child = spawn(Command::new("sleep").arg("600"));
        let process = ProcFs::default().process(Pid::of(&child)).unwrap().unwrap();
        (child, process)
    }

    #[test]
    fn a_process_is_signalled_and_waited_for() {
        let (child, process) = sleeping();
        let handle = PidFd::open(&ProcFs::default(), &process).unwrap().unwrap();
        assert!(handle.fd.is_some());
        signal_and_wait(child, process, &handle);
    }

    #[test]
    fn without_pidfds_too() {
        let (child, process) = sleeping();
        let handle = PidFd { process, proc: ProcFs::default(), fd: None };
        signal_and_wait(child, process, &handle);
        // Another process has the number now.
        let (_child, process) = sleeping();
        let predecessor = Process { start_time: process.start_time - 1, ..process };
        let handle = PidFd { process: predecessor, proc: ProcFs::default(), fd: None };
        let sent = handle.signal(Signal::SIGKILL);
        let gone = handle.wait_gone(Deadline::now());
        let alive = ProcFs::default().is_alive(&process);
        assert!(!sent.unwrap() && gone.unwrap() && alive.unwrap());
    }

    fn signal_and_wait(mut child: Spawned, process: Process, handle: &PidFd) {
        assert!(!handle.wait_gone(Deadline::now()).unwrap());
        assert!(!handle.wait_gone(Deadline::after(Duration::from_millis(5))).unwrap());
        assert!(handle.signal(Signal::SIGTERM).unwrap());
        // It has ended, though it has not been reaped yet.
        assert!(handle.wait_gone(Deadline::after(LONG)).unwrap());
        child.wait().unwrap();
        assert!(!handle.signal(Signal::SIGTERM).unwrap());
        assert!(handle.wait_gone(Deadline::now()).unwrap());
        assert!(PidFd::open(&ProcFs::default(), &process).unwrap().is_none());
    }

    #[test]
    fn a_successor_with_the_same_number_is_not_opened() {
        let (_child, process) = sleeping();
        let predecessor = Process { start_time: process.start_time - 1, ..process };
        assert!(PidFd::open(&ProcFs::default(), &predecessor).unwrap().is_none());
    }
}
