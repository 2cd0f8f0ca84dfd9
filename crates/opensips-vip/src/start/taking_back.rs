//! A start that fails takes back what it has done, last first.

use deadline::Deadline;
use hostnet::{Address, Error as NetError, Family, Netlink, NewAddress};

use super::{Done, GRACE, Start};
use crate::error::Error;
use crate::{announcer, deleting, host, plan};

impl Start<'_> {
    pub(super) fn take_back(mut self, error: Error) -> Error {
        let until = self.deadline.but_at_least(GRACE);
        // An answer that did not come in time may still come, on the connection that waited for it.
        let fresh = Netlink::open().ok();
        let netlink = fresh.as_ref().unwrap_or(self.netlink);
        let mut left = Vec::new();
        while let Some(done) = self.undo.pop() {
            match done {
                Done::StartedAnnouncer(mut child) => announcer::end_child(&mut child),
                Done::Added(new) => {
                    self.run.forget(new.ip);
                    if let Some(name) = &self.params.namespace {
                        self.run.forget_namespace(new.ip, name);
                    }
                    if let Err(source) = self.delete_added(netlink, &new, until) {
                        left.push(format!("{}/{} ({source})", new.ip, new.prefix));
                    }
                }
                Done::Routing(made) => {
                    if let Err(source) = made.take_back(netlink, until) {
                        left.push(source.to_string());
                    }
                }
                // It went with its link, or somebody took it down: both fine.
                Done::BroughtUp(link) => match netlink.set_link_down(link, until) {
                    Ok(()) | Err(NetError::NoSuchLink { .. }) => {}
                    Err(source) => left.push(format!("{} up ({source})", self.link.name)),
                },
            }
        }
        if left.is_empty() {
            error
        } else {
            Error::LeftBehind { source: Box::new(error), left: left.join(", ") }
        }
    }

    /// By a fresh dump: others may have come into its subnet since, and must stay.
    fn delete_added(
        &self,
        netlink: &Netlink,
        new: &NewAddress,
        until: Deadline,
    ) -> Result<(), NetError> {
        let addresses = host::addresses(netlink, Family::of(new.ip), until)?;
        let added = |address: &Address| {
            (address.link, address.prefix, address.peer) == (new.link, new.prefix, None)
        };
        plan::stop(new.ip, &addresses)
            .iter()
            .filter(|deletion| added(&deletion.address))
            .try_for_each(|deletion| {
                deleting::delete(netlink, &self.run, deletion, until).map(|_| ())
            })
    }
}
