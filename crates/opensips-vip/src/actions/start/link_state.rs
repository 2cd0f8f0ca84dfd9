//! The link that start adds the VIP to: up, and with a carrier if there is one to be had.

use hostnet::{Family, Link};

use super::{Done, Start, budgets};
use crate::actions::carrier::Carrier;
use crate::decide::carrier::Elsewhere;
use crate::decide::judge;
use crate::error::Error;
use crate::host::tables;
use crate::log_line::line;

impl Start<'_> {
    pub(super) fn bring_up(&mut self) -> Result<(), Error> {
        let link = self.link.index;
        let mut addresses = tables::addresses(self.netlink, Family::V4, self.deadline)?;
        addresses.extend(tables::addresses(self.netlink, Family::V6, self.deadline)?);
        let changed = self.netlink.set_link_up(link, self.deadline);
        self.record(&changed, Done::BroughtUp { link, addresses });
        changed?;
        let until = budgets::for_new_link(self.deadline);
        self.link = self.netlink.wait_for_link(link, until, Link::usable)?;
        self.note_carrier();
        Ok(())
    }

    /// Without a carrier the VIP is added all the same: the announcer probes for it and announces it
    /// when the carrier comes. Only where another node has a carrier is it better to fail, so that the
    /// cluster moves it there.
    ///
    /// Waiting helps if the link was just brought up, or if no other node is known to be better.
    pub(super) fn await_carrier(&mut self, required: bool) -> Result<(), Error> {
        let brought_up = self.done.iter().any(|done| matches!(done, Done::BroughtUp { .. }));
        if required && !brought_up {
            self.require_no_better_node()?;
        }
        let until = budgets::for_carrier(self.deadline, self.params.link_wait);
        self.link = self
            .netlink
            .wait_for_link(self.link.index, until, |link| link.usable() || self.stop_requested())?;
        self.note_carrier();
        self.check_not_stopped()?;
        let Some(state) = judge::without_carrier(&self.link) else { return Ok(()) };
        if required && brought_up {
            self.require_no_better_node()?;
        }
        log::warn!("{}", line().note(format_args!("going on without carrier: {state}")));
        Ok(())
    }

    /// The link was not usable, or not there, when it was looked at before: if it is usable now, its carrier has just
    /// come. The starts of other VIPs on it have to know, too.
    pub(super) fn note_carrier(&mut self) {
        if self.link.usable() && !self.link.loopback {
            self.has_waited = true;
            self.files.note_new_carrier(self.link.index);
        }
    }

    /// # Errors
    /// [`Error::NoCarrier`]: another node has a carrier.
    fn require_no_better_node(&self) -> Result<(), Error> {
        let Some(carrier) = Carrier::of(self.request, self.params, &self.files) else {
            return Ok(());
        };
        match carrier.elsewhere() {
            Elsewhere::On { nodes, .. } => {
                carrier.fail(&self.link, true);
                Err(Error::NoCarrier { link: self.link.name.clone(), nodes })
            }
            Elsewhere::Nowhere | Elsewhere::Unknown => Ok(()),
        }
    }

    pub(super) fn publish_carrier(&self) {
        if let Some(carrier) = Carrier::of(self.request, self.params, &self.files) {
            carrier.publish(judge::without_carrier(&self.link).is_none());
        }
        self.files.forget_failed_monitor();
    }
}
