//! A daemon that does not answer OPTIONS may be busy, slow or silent: a restart heals none of these, and
//! empties its memory. What tells it from one that is dead.

use std::cell::Cell;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{ProcFs, Stat, State};
use nix::time::{ClockId, clock_gettime};
use ocf::Action;

use super::Error;
use crate::daemon::Seconds;
use crate::daemon::management::clients;
use crate::instance::Instance;
use crate::mi::answers::REQUESTS;
use crate::params::Params;
use crate::sip::probe::{Patience, Silence, ask};
use crate::sip::target::{Target, Transport};
use crate::sockets::expected::Expected;

/// One more request, so that there is something to count.
const ONCE: Patience = Patience { attempts: 1, timeout: Duration::from_millis(500) };

/// How long the MI may take for a count: a daemon that is dead as a whole must not be noticed later for it.
const MI_PATIENCE: Duration = Duration::from_secs(1);

/// What an instance does that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Requests are received, and none waits: they are not answered.
    TakesRequests,
    /// Requests are received, and so many bytes wait.
    Overloaded { waiting: u64 },
    /// None, or it can't be found out without the MI.
    Unknown,
}

impl Progress {
    /// Whether a restart is due: of one that shows no work, and of one whose work need not be at the silent socket, when
    /// that has lasted for `stall_limit`. start must find an answer, or proof that the daemon works: only what
    /// `looks_on` waits.
    const fn ends_service(self, others_answer: bool, has_lasted: bool, looks_on: bool) -> bool {
        match self {
            Self::TakesRequests => false,
            Self::Overloaded { .. } => others_answer && has_lasted,
            Self::Unknown => !looks_on || has_lasted,
        }
    }
}

/// An instance whose main process, workers and sockets are as they should be.
pub(super) struct Silent<'a> {
    pub(super) instance: &'a Instance<'a>,
    pub(super) params: &'a Params,
    pub(super) main: &'a Stat,
    pub(super) workers: &'a [Stat],
    pub(super) sockets: &'a [Expected],
    /// Another socket answers: then what the daemon receives need not come from the one that is silent.
    pub(super) others_answer: bool,
    pub(super) deadline: Deadline,
    /// The MI has not answered once, and is not asked again.
    pub(super) mi_is_silent: Cell<bool>,
}

impl Silent<'_> {
    /// What an operator should know of a failed probe that ends no service yet, or the failure.
    pub(super) fn weigh(&self, error: Error) -> Result<String, Error> {
        let Error::Silent { target, silence: Silence::NoAnswer, .. } = error else {
            return Err(error);
        };
        if self.has_stopped_workers() {
            return Err(error);
        }
        let since =
            self.instance.state_of(self.main.process).and_then(|state| state.kept.unanswered_since);
        let lasting = Duration::from_secs(since.map_or(0, |since| now().saturating_sub(since)));
        let for_so_long =
            if lasting.is_zero() { String::new() } else { format!(" for {}", Seconds(lasting)) };
        let looks_on = matches!(self.instance.action(), Action::Monitor | Action::Diagnose);
        let (progress, limit) = (self.progress(target), self.params.probe.stall_limit);
        if progress.ends_service(self.others_answer, lasting >= limit, looks_on) {
            return Err(error);
        }
        Ok(match progress {
            Progress::TakesRequests => format!(
                "a worker takes requests at {target} and does not answer OPTIONS{for_so_long}: let the script \
                 answer OPTIONS from this host, or set sip_probe=none"
            ),
            Progress::Overloaded { waiting } => format!(
                "OpenSIPS is overloaded{for_so_long}: it receives requests at {target} late, {waiting} bytes \
                 wait: see its database, or raise udp_workers"
            ),
            Progress::Unknown => format!(
                "no answer to OPTIONS at {target}{for_so_long}: monitor fails after stall_limit={}",
                Seconds(limit)
            ),
        })
    }

    /// What a signal has stopped, a restart heals.
    pub(super) fn has_stopped_workers(&self) -> bool {
        self.workers.iter().any(|worker| worker.state == State::Stopped)
    }

    fn progress(&self, target: Target) -> Progress {
        // TCP main reads ahead, and its connections have queues of their own.
        if target.transport != Transport::Udp {
            return Progress::Unknown;
        }
        let Some(before) = self.received() else { return Progress::Unknown };
        let _ = ask(target, &self.params.probe.question, ONCE, self.deadline);
        let Some(after) = self.received().filter(|after| *after > before) else {
            return Progress::Unknown;
        };
        log::debug!("probe={target} rcv_requests={after} before={before}");
        match receive_queue(&self.instance.proc, self.sockets, target) {
            Some(0) => Progress::TakesRequests,
            Some(waiting) => Progress::Overloaded { waiting },
            None => Progress::Unknown,
        }
    }

    /// How many requests the daemon has received, if its MI tells.
    fn received(&self) -> Option<u64> {
        if self.mi_is_silent.get() {
            return None;
        }
        let mut clients = clients(self.params, self.main.process).ok()?.into_iter();
        let until = self.deadline.within(MI_PATIENCE);
        let asked = clients.find_map(|one| one.statistics(&[REQUESTS], until).ok());
        self.mi_is_silent.set(asked.is_none());
        asked?.requests
    }
}

/// What waits in the UDP socket that is asked there, in bytes.
pub(crate) fn receive_queue(proc: &ProcFs, sockets: &[Expected], target: Target) -> Option<u64> {
    let asked = |(listener, _): &&Expected| Target::of(listener) == Some(target);
    let (_, inode) = sockets.iter().find(asked)?;
    proc.udp_receive_queue(*inode).ok().flatten()
}

/// Seconds since the boot, those in which the host was suspended included.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    now.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_silence_ends_the_service() {
        let overloaded = Progress::Overloaded { waiting: 1 };
        for others_answer in [false, true] {
            for looks_on in [false, true] {
                for has_lasted in [false, true] {
                    let ends = |it: Progress| it.ends_service(others_answer, has_lasted, looks_on);
                    assert!(!ends(Progress::TakesRequests));
                    assert_eq!(ends(overloaded), others_answer && has_lasted);
                }
                assert!(Progress::Unknown.ends_service(others_answer, true, looks_on));
            }
            assert!(!Progress::Unknown.ends_service(others_answer, false, true));
            // start has no proof that it works.
            assert!(Progress::Unknown.ends_service(others_answer, false, false));
        }
    }
}
