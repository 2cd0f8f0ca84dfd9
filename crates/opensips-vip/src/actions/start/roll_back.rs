//! A start that fails undoes what it has done, the last thing first.

use std::process::Child;

use deadline::Deadline;
use hostnet::{Address, Error as NetError, Family, LinkIndex, Netlink, NewAddress};

use super::{Start, budgets};
use crate::decide::plan;
use crate::error::Error;
use crate::host::{deletion, source_routing, tables};
use crate::log_line::line;
use crate::params::is_link_local;
use crate::wire::announcer;

/// Something that start has done.
pub(super) enum Done {
    /// A start that is killed leaves the link up. That is no harm, and other programs can use it since.
    BroughtUp {
        link: LinkIndex,
        /// Those that it had before, of both families.
        addresses: Vec<Address>,
    },
    Added(NewAddress),
    StartedAnnouncer(Child),
    SourceRouting(source_routing::Added),
}

impl Start<'_> {
    /// Records a change that was made, or that may have been made although the kernel's answer came too
    /// late: to undo what was not done does no harm.
    pub(super) fn record(&mut self, result: &hostnet::Result<()>, done: Done) {
        if result.as_ref().map_or_else(NetError::may_have_happened, |()| true) {
            self.done.push(done);
        }
    }

    /// Returns the error, with what is left if the roll back has failed, too.
    pub(super) fn roll_back(mut self, error: Error) -> Error {
        let until = budgets::for_roll_back(self.deadline, self.request.timeout);
        // A new connection: on the old one, a late answer can still arrive.
        let fresh = Netlink::open().ok();
        let netlink = fresh.as_ref().unwrap_or(self.netlink);
        let mut left = Vec::new();
        if matches!(error, Error::NoCarrier { .. }) {
            // A link that is down never shows that its carrier has come.
            self.done.retain(|done| !matches!(done, Done::BroughtUp { .. }));
        }
        while let Some(done) = self.done.pop() {
            left.extend(self.undo(done, netlink, until).err());
        }
        if left.is_empty() {
            error
        } else {
            Error::RollBack { source: Box::new(error), left: left.join(", ") }
        }
    }

    /// Undoes one thing; the error is what is left.
    fn undo(&self, done: Done, netlink: &Netlink, until: Deadline) -> Result<(), String> {
        match done {
            Done::StartedAnnouncer(mut child) => {
                announcer::kill_child(&mut child);
                Ok(())
            }
            Done::Added(new) => {
                self.files.forget();
                if let Some(name) = &self.params.namespace {
                    self.files.forget_namespace(name);
                }
                self.delete_added(netlink, &new, until).map_err(|error| {
                    format!("{}/{} on {} ({error})", new.ip, new.prefix, self.link.name)
                })
            }
            Done::SourceRouting(added) => {
                added.roll_back(netlink, until).map(|_| ()).map_err(|error| error.to_string())
            }
            Done::BroughtUp { link, addresses } => self
                .take_down(netlink, link, &addresses, until)
                .map_err(|error| format!("{} up ({error})", self.link.name)),
        }
    }

    /// Takes a link down that this start has brought up, unless something else uses it since.
    fn take_down(
        &self,
        netlink: &Netlink,
        link: LinkIndex,
        before: &[Address],
        until: Deadline,
    ) -> hostnet::Result<()> {
        if self.is_in_use(netlink, link, before, until)? {
            let note = "the interface stays up: another address or VIP has come to it";
            log::info!("{}", line().note(note));
            return Ok(());
        }
        match netlink.set_link_down(link, until) {
            Ok(()) => {}
            // The link can be gone meanwhile.
            Err(NetError::NoSuchLink { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        // A start that has read the link's state between the look and the change relies on it.
        if self.is_in_use(netlink, link, before, until)? {
            netlink.set_link_up(link, until)?;
        }
        Ok(())
    }

    /// Returns true if the link has an address that it did not have before, or if another VIP is being
    /// started, which can rely on the link already.
    fn is_in_use(
        &self,
        netlink: &Netlink,
        link: LinkIndex,
        before: &[Address],
        until: Deadline,
    ) -> hostnet::Result<bool> {
        if self.files.has_other_actions() {
            return Ok(true);
        }
        let mut now = tables::addresses(netlink, Family::V4, until)?;
        now.extend(tables::addresses(netlink, Family::V6, until)?);
        Ok(now.iter().any(|address| {
            let is_same = |other: &Address| {
                (other.link, other.ip, other.prefix) == (link, address.ip, address.prefix)
            };
            // The kernel adds link-local addresses when a link comes up.
            address.link == link && !is_link_local(address.ip) && !before.iter().any(is_same)
        }))
    }

    /// Deletes the address by a new dump: others can have come into its subnet since, and must stay.
    fn delete_added(
        &self,
        netlink: &Netlink,
        new: &NewAddress,
        until: Deadline,
    ) -> Result<(), NetError> {
        let addresses = tables::addresses(netlink, Family::of(new.ip), until)?;
        let is_added = |address: &Address| {
            (address.link, address.prefix, address.peer) == (new.link, new.prefix, None)
        };
        let deadlines = budgets::for_deletion(until);
        plan::stop(new.ip, &addresses)
            .iter()
            .filter(|deletion| is_added(&deletion.address))
            .try_for_each(|deletion| {
                deletion::delete(netlink, &self.files, deletion, deadlines).map(|_| ())
            })
    }
}
