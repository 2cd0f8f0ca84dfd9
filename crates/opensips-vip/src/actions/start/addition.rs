//! start adds the VIP, and adds it again where it is not as the parameters want it.

use std::time::{Duration, Instant};

use hostnet::{Address, Error as NetError, NewAddress};
use hostproc::LockFile;

use super::{Done, Start, budgets};
use crate::decide::judge;
use crate::decide::plan::Plan;
use crate::decide::routing;
use crate::error::Error;
use crate::host::run_files::release;
use crate::host::{deletion, ipv6, renewal};
use crate::log_line::{failure, line};
use crate::params::Nodad;

/// What the kernel's duplicate address detection takes: a delay of up to one second, and one second for the probe
/// (RFC 4862 section 5.4.2).
const KERNEL_DETECTION: Duration = Duration::from_millis(2500);

impl Start<'_> {
    pub(super) fn add(&mut self, plan: &Plan) -> Result<(), Error> {
        self.check_again()?;
        let mut new = plan.target.address.clone();
        if self.params.ip.is_ipv6() {
            ipv6::require(&self.link)?;
            // Without the privilege nothing was probed: then the kernel has to. Without carrier it could
            // not end, and no program could use the address; the announcer probes when the carrier comes.
            let probed = self.no_duplicate || self.announcer_probes();
            new.nodad &= probed || self.params.nodad == Nodad::Yes;
            // The kernel would find the host that is known.
            new.nodad |= self.taken_over_from.is_some();
            if !new.nodad && self.must_be_usable_at_once() {
                new.nodad = true;
                let note = "its routes can't wait for duplicate address detection of the kernel, which is left out";
                log::warn!("{}", line().note(note));
            }
        }
        if self.announcement.is_some() {
            // Before the address is added, so that the first announcement follows at once.
            self.open_socket()?;
        }
        let mut link_lock = self.lock_link(&new);
        if self.must_check_again() {
            // The lock was awaited. It is not held during a check, because other VIPs of the link need it.
            release(link_lock);
            self.check_again()?;
            link_lock = self.lock_link(&new);
        }
        self.check_not_stopped()?;
        self.note_here();
        let added = self.netlink.add_address(&new, self.deadline);
        release(link_lock);
        self.record(&added, Done::Added(new));
        match added {
            // Another program was faster: confirm() judges what it has added.
            Ok(()) | Err(NetError::AddressExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.added_at = Some(Instant::now());
        Ok(())
    }

    fn lock_link(&self, new: &NewAddress) -> Option<LockFile> {
        deletion::lock_for_addition(&self.files, new, budgets::for_link_lock(self.deadline))
    }

    /// The VIP serves as it is, so that a failure is none of start.
    pub(super) fn add_again(&self, old: &Address, new: &NewAddress) -> Result<(), Error> {
        self.check_not_stopped()?;
        if !renewal::keeps_siblings(&self.link.name) {
            log::warn!("{}", line().note("the VIP is not added again: /proc/sys is read-only"));
            return Ok(());
        }
        let deadlines = budgets::for_deletion(self.deadline);
        if let Err(error) = renewal::add_again(self.netlink, &self.files, old, new, deadlines) {
            log::error!("{}", failure(&error).note("the VIP was not added again"));
        }
        Ok(())
    }

    /// No probe was possible, and the announcer makes it when the carrier comes.
    fn announcer_probes(&self) -> bool {
        self.announcement.is_some()
            && self.params.duplicates.is_some()
            && judge::without_carrier(&self.link).is_some()
    }

    /// The kernel refuses a route whose source it still checks (`ip6_route_info_create`). Without a carrier that check may
    /// not end, and where the network has come late there may be no time for it.
    fn must_be_usable_at_once(&self) -> bool {
        let without_carrier = judge::without_carrier(&self.link).is_some();
        let has_no_time = || {
            self.has_waited
                && budgets::for_kernel_detection(self.deadline).remaining() < KERNEL_DETECTION
        };
        routing::is_asked_for(self.params) && (without_carrier || has_no_time())
    }
}
