//! A handle on one process that can't slip to a successor with the same number
//! (pidfd_open(2), Linux 5.3). Where there are no pidfds (an older kernel, a seccomp filter, no
//! descriptor left), the start time is compared before each signal instead: the number would have
//! to be used again within the microseconds in between.

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

/// How often a process is looked at that no pidfd tells of.
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
    /// Takes hold of exactly this process; `None` if it is gone or its number belongs to
    /// another one now. One that has ended and waits for its parent can still be held.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`]
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
            // Whatever refuses it: a stop must go on.
            Err(_) => None,
        };
        // After opening, not before: the process was there before (the caller saw it) and has
        // the number now, so it had it all the time, also when the handle was made.
        let now = proc.process(pid)?;
        Ok((now == Some(*process)).then(|| Self { process: *process, proc: proc.clone(), fd }))
    }

    /// Whom it holds.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process
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
            // A filter may know the one call and not the other. Who may not send the signal is told
            // so by kill(2) too.
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

    /// Waits until the process has ended, or until `until`; tells whether it has ended.
    /// Works for processes that are not our children.
    ///
    /// # Errors
    /// [`Error::Wait`], and those of [`ProcFs::stat`]
    pub fn wait_gone(&self, until: Deadline) -> Result<bool> {
        let Some(fd) = &self.fd else { return self.look_until_gone(until) };
        loop {
            let left = until.remaining();
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => {
                    return Err(Error::Wait { pid: self.process.pid, source: errno.into() });
                }
            }
        }
    }

    fn look_until_gone(&self, until: Deadline) -> Result<bool> {
        while self.proc.is_alive(&self.process)? {
            let left = until.remaining();
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
    use std::process::{Child, Command};

    fn sleeping() -> (Child, Process) {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = Pid::new(i32::try_from(child.id()).unwrap()).unwrap();
        (child, ProcFs::default().process(pid).unwrap().unwrap())
    }

    #[test]
    fn signals_and_waits() {
        let (child, process) = sleeping();
        let handle = PidFd::open(&ProcFs::default(), &process).unwrap().unwrap();
        assert!(handle.fd.is_some());
        is_signalled_and_waited_for(child, process, &handle);
    }

    #[test]
    fn without_pidfds_too() {
        let (child, process) = sleeping();
        let handle = PidFd { process, proc: ProcFs::default(), fd: None };
        is_signalled_and_waited_for(child, process, &handle);
        // The number is another one's now.
        let (mut child, process) = sleeping();
        let predecessor = Process { start_time: process.start_time - 1, ..process };
        let handle = PidFd { process: predecessor, proc: ProcFs::default(), fd: None };
        let sent = handle.signal(Signal::SIGKILL);
        let gone = handle.wait_gone(Deadline::now());
        let alive = ProcFs::default().is_alive(&process);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!sent.unwrap() && gone.unwrap() && alive.unwrap());
    }

    fn is_signalled_and_waited_for(mut child: Child, process: Process, handle: &PidFd) {
        assert!(!handle.wait_gone(Deadline::now()).unwrap());
        assert!(!handle.wait_gone(Deadline::after(Duration::from_millis(5))).unwrap());
        assert!(handle.signal(Signal::SIGTERM).unwrap());
        // Ended, though nobody has waited for it yet.
        assert!(handle.wait_gone(Deadline::after(Duration::from_secs(60))).unwrap());
        child.wait().unwrap();
        assert!(!handle.signal(Signal::SIGTERM).unwrap());
        assert!(handle.wait_gone(Deadline::now()).unwrap());
        assert!(PidFd::open(&ProcFs::default(), &process).unwrap().is_none());
    }

    #[test]
    fn a_used_again_number_is_not_taken() {
        let (mut child, process) = sleeping();
        let predecessor = Process { start_time: process.start_time - 1, ..process };
        let taken = PidFd::open(&ProcFs::default(), &predecessor).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(taken.is_none());
    }
}
