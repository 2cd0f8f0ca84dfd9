//! Which sockets the configuration declares now, by the daemon's own check: a process, which a monitor of level 0
//! executes only for what would be reported otherwise, and not at each look.

use std::cell::OnceCell;
use std::net::IpAddr;

use deadline::Deadline;
use hostproc::Process;

use super::progress;
use crate::daemon::check::{self, Checked};
use crate::instance::Instance;
use crate::instance::state::LastCheck;
use crate::params::Params;
use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;

/// For how long an answer counts, in seconds. A correction of the configuration is seen that much later; a virtual
/// address that comes or goes is seen at once.
const VALID: u64 = 60;

pub(super) struct Declaration<'a> {
    params: &'a Params,
    /// Half of the time is for the verdict.
    deadline: Deadline,
    now: u64,
    vips_here: Vec<IpAddr>,
    remembered: Option<&'a LastCheck>,
    fresh: OnceCell<LastCheck>,
}

impl<'a> Declaration<'a> {
    pub(super) fn new(
        instance: &'a Instance<'_>,
        params: &'a Params,
        main: Process,
        local: &LocalAddresses,
        deadline: Deadline,
    ) -> Self {
        let is_here = |vip: &&IpAddr| local.presence(**vip) == Presence::Usable;
        let vips_here: Vec<IpAddr> = params.vips.iter().filter(is_here).copied().collect();
        let last = instance.state_of(main).and_then(|state| state.kept.last_check.as_ref());
        let now = progress::now();
        let remembered = last.filter(|last| counts(last, now, &vips_here));
        Self { params, deadline, now, vips_here, remembered, fresh: OnceCell::new() }
    }

    /// `None` where that is not known.
    pub(super) fn listeners(&self) -> Option<&[Listener]> {
        let last = self.remembered.unwrap_or_else(|| self.fresh.get_or_init(|| self.ask()));
        last.declared.as_deref()
    }

    fn ask(&self) -> LastCheck {
        let checked = check::config(self.params, self.deadline.share(2)).ok();
        let known = checked.filter(|Checked { declared, .. }| declared.unknown.is_none());
        let declared = known.map(|known| known.declared.listeners);
        LastCheck { at: self.now, vips_here: self.vips_here.clone(), declared }
    }

    /// What is to be remembered, if the check was executed.
    pub(super) fn into_fresh(self) -> Option<LastCheck> {
        self.fresh.into_inner()
    }
}

fn counts(last: &LastCheck, now: u64, vips_here: &[IpAddr]) -> bool {
    last.vips_here == vips_here && now.checked_sub(last.at).is_some_and(|age| age < VALID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_a_minute_and_while_the_addresses_are_the_same() {
        let vip: IpAddr = "192.0.2.10".parse().unwrap();
        let last = LastCheck { at: 100, vips_here: vec![vip], declared: None };
        let fits = |now, vips: &[IpAddr]| counts(&last, now, vips);
        assert!(fits(100, &[vip]) && fits(159, &[vip]));
        assert!(!fits(160, &[vip]) && !fits(100, &[]));
        // Of another boot.
        assert!(!fits(99, &[vip]));
    }
}
