//! A start that fails undoes what it has done, the last thing first.

use std::process::Child;

use deadline::Deadline;
use hostnet::{Address, Error as NetError, Family, LinkIndex, Netlink, NewAddress};

use super::{Start, budgets};
use crate::decide::plan;
use crate::error::Error;
use crate::host::{deletion, source_routing, tables};
use crate::wire::announcer;

/// Something that start has done.
pub(super) enum Done {
    /// A start that is killed leaves the link up. That is no harm, and other programs can use it since.
    BroughtUp(LinkIndex),
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
        let until = budgets::for_roll_back(self.deadline);
        // A new connection: on the old one, a late answer can still arrive.
        let fresh = Netlink::open().ok();
        let netlink = fresh.as_ref().unwrap_or(self.netlink);
        let mut left = Vec::new();
        if matches!(error, Error::NoCarrier { .. }) {
            // A link that is down never shows that its carrier has come.
            self.done.retain(|done| !matches!(done, Done::BroughtUp(_)));
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
            Done::BroughtUp(link) => match netlink.set_link_down(link, until) {
                // The link can be gone meanwhile.
                Ok(()) | Err(NetError::NoSuchLink { .. }) => Ok(()),
                Err(error) => Err(format!("{} up ({error})", self.link.name)),
            },
        }
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
