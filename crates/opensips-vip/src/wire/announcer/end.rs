//! Ends the announcer of a VIP.

use std::path::Path;

use deadline::Deadline;
use hostproc::background::{self, Ended, Ending, StillRunning};

use super::{ARGUMENT, WATCHER_ARGUMENT};
use crate::log_line::line;

/// Proof that no announcer of the VIP runs; none can start while this is held.
#[derive(Debug)]
#[must_use]
pub(crate) struct NoAnnouncer(Ended);

impl NoAnnouncer {
    /// Allows a new announcer, and leaves no lock file behind.
    pub(crate) fn release(self) {
        if let Err(error) = self.0.release() {
            log::debug!("{}", line().note(error));
        }
    }
}

/// Kills the announcer that holds this lock, if there is one, and waits for its end.
///
/// # Errors
/// It can still be running.
pub(crate) fn end(lock: &Path, until: Deadline) -> Result<NoAnnouncer, StillRunning> {
    background::end(lock, &[ARGUMENT, WATCHER_ARGUMENT], Ending::Process, until).map(NoAnnouncer)
}
