//! One start or stop of a VIP at a time, and a start that learns that a stop came meanwhile.
//!
//! Pacemaker never runs both at once, but people do: a start by hand that waits for another owner to
//! let go must not add the address after a stop has said that it is gone. So start holds a lock as
//! long as it works. A stop that finds it held leaves a mark, waits for a part of its time, and then
//! removes whatever is there. Start looks at the mark right before it adds the address, and before it
//! announces it, under a second lock, which the stop has while it makes the mark: either start sees
//! the mark, or the stop sees the address, and the frame has left before.
//!
//! Without a run directory to write in, both go on as if they were alone.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use deadline::Deadline;
use hostproc::LockFile;

use crate::error::Error;
use crate::run_directory::RunDirectory;

/// How long a stop waits for a start that is just adding the address.
const ADDING: Duration = Duration::from_secs(2);

/// A start's turn.
#[derive(Debug)]
pub(crate) struct Starting {
    ip: IpAddr,
    lock: Option<LockFile>,
    adding: PathBuf,
    mark: PathBuf,
    /// The mark of a stop before this start, if one was left.
    before: Option<Vec<u8>>,
    /// The second lock, while it is held.
    alone: Option<LockFile>,
}

impl Starting {
    /// Waits for its turn.
    ///
    /// # Errors
    /// [`Error::Busy`]
    pub(crate) fn begin(run: &RunDirectory, ip: IpAddr, until: Deadline) -> Result<Self, Error> {
        let mark = run.stop_mark(ip);
        let before = std::fs::read(&mark).ok();
        let lock = run.create().map_err(|error| error.to_string()).and_then(|()| {
            LockFile::acquire(&run.action_lock(ip), until).map_err(|error| error.to_string())
        });
        let lock = match lock {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Err(Error::Busy { ip }),
            Err(error) => {
                log::warn!("vip={ip} no lock in {}: {error}", run.path().display());
                None
            }
        };
        Ok(Self { ip, lock, adding: run.adding_lock(ip), mark, before, alone: None })
    }

    /// Whether a stop came since.
    pub(crate) fn was_stopped(&self) -> bool {
        let mark = std::fs::read(&self.mark).ok();
        mark.is_some() && mark != self.before
    }

    /// Sees that no stop has come, and keeps one from coming until [`Starting::let_stops_in`].
    ///
    /// # Errors
    /// [`Error::Stopped`]
    pub(crate) fn keep_stops_out(&mut self, until: Deadline) -> Result<(), Error> {
        // Without the first lock there are none.
        if self.alone.is_none() && self.lock.is_some() {
            self.alone = LockFile::acquire(&self.adding, until).unwrap_or_default();
        }
        // Also where it was held all the time: a stop does not wait for ever.
        if self.was_stopped() { Err(Error::Stopped { ip: self.ip }) } else { Ok(()) }
    }

    /// A stop may come again: before every wait.
    pub(crate) fn let_stops_in(&mut self) {
        remove(self.alone.take());
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.let_stops_in();
        remove(self.lock.take());
    }
}

/// A stop's turn.
#[derive(Debug)]
pub(crate) struct Stopping {
    lock: Option<LockFile>,
    mark: PathBuf,
}

impl Stopping {
    /// Tells a start that is under way, and waits for its end until then.
    pub(crate) fn begin(run: &RunDirectory, ip: IpAddr, until: Deadline) -> Self {
        let path = run.action_lock(ip);
        let mark = run.stop_mark(ip);
        let lock = match LockFile::try_acquire(&path) {
            Ok(None) => {
                leave_mark(run, ip, until);
                LockFile::acquire(&path, until)
            }
            tried => tried,
        };
        let lock = lock.unwrap_or_else(|error| {
            log::debug!("{error}");
            None
        });
        if lock.is_none() && path.exists() {
            log::warn!(
                "vip={ip} a start or stop is under way and does not end: a start will not add it"
            );
        }
        Self { lock, mark }
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        // Nobody is left who has to see it; else it stays for the start that goes on.
        if self.lock.is_some() {
            let _ = std::fs::remove_file(&self.mark);
        }
        remove(self.lock.take());
    }
}

fn leave_mark(run: &RunDirectory, ip: IpAddr, until: Deadline) {
    let until = until.within(ADDING);
    let lock = LockFile::acquire(&run.adding_lock(ip), until).unwrap_or_default();
    // Another one for each stop.
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let text = format!("{} {}\n", std::process::id(), time.as_nanos());
    if let Err(error) = std::fs::write(run.stop_mark(ip), text) {
        log::warn!("{}: {error}", run.stop_mark(ip).display());
    }
    remove(lock);
}

fn remove(lock: Option<LockFile>) {
    if let Some(lock) = lock
        && let Err(error) = lock.remove()
    {
        log::debug!("{error}");
    }
}
