//! Nobody else has the VIP: by our own question before it is added, and by the kernel's.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Error as NetError, EventGroup, Events, Family};

use super::{RESERVE, Start};
use crate::error::Error;
use crate::params::{DuplicateCheck, LinkCheck};
use crate::question::{self, Asker, Heard, LET_GO, Rivals};
use crate::{host, judge};

/// How long the kernel may take: a random second at most before the first question, one second per
/// question (RFC 4862 section 5.4.2; one question by default, more by `dad_transmits`).
const DETECTION: Duration = Duration::from_secs(10);
/// How long somebody who was there a moment ago may take to say who it is.
const WHO: Duration = Duration::from_millis(200);

/// What came of the kernel's detection.
enum Detection {
    Ended,
    Failed,
    /// The address is not there any more.
    Gone,
}

impl Start<'_> {
    /// # Errors
    /// [`Error::InUse`], [`Error::NoTimeToAsk`], [`Error::NoCarrier`], [`Error::Stopped`], and
    /// [`NetError::PermissionDenied`]. That nobody can be asked for another reason is none: the address
    /// serves all the same.
    pub(super) fn check_duplicates(&mut self) -> Result<(), Error> {
        let Some(mut check) = self.params.duplicates else { return Ok(()) };
        // Of a short time not all can be kept free.
        let reserve = RESERVE.min(self.deadline.remaining() / 4);
        let until = self.deadline.less(reserve);
        loop {
            let Some(asker) = self.asker().filter(|_| self.link.usable()) else { return Ok(()) };
            let asked = self.ask(&asker, check, until);
            let (ip, link) = (self.params.ip, self.link.name.clone());
            match asked {
                Ok(_) if self.starting.was_stopped() => return Err(Error::Stopped { ip }),
                Ok(Heard::Nobody) => {}
                Ok(Heard::Rival(rival)) => {
                    return Err(Error::InUse { ip, rival: Some(rival), link });
                }
                Ok(Heard::Unknown) => {
                    return Err(Error::NoTimeToAsk { ip, link, silence: check.timeout });
                }
                Err(error @ NetError::PermissionDenied { .. }) => return Err(error.into()),
                Err(error) => {
                    log::error!("vip={ip} is not checked for duplicates: {error}");
                    return Ok(());
                }
            }
            let losses = self.link.carrier_losses;
            self.link = self.netlink.wait_for_link(self.link.index, until, |_| true)?;
            if self.link.usable() && self.link.carrier_losses == losses {
                self.found_free = true;
                return Ok(());
            }
            // A silence while there was no carrier proves nothing.
            log::warn!(
                "vip={ip} {link} has lost its carrier meanwhile: asking for duplicates again"
            );
            self.await_carrier(self.params.link_check == LinkCheck::Fail)?;
            check.timeout = check.timeout.max(LET_GO);
        }
    }

    fn ask(
        &mut self,
        asker: &Asker,
        check: DuplicateCheck,
        until: Deadline,
    ) -> hostnet::Result<Heard> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => question::socket(&self.link, self.params.ip)?,
        };
        let stopped = || self.starting.was_stopped();
        let asked = asker.wait_until_free(&mut socket, check, until, stopped);
        self.socket = Some(socket);
        asked
    }

    fn asker(&self) -> Option<Asker> {
        Some(Asker { ip: self.params.ip, mac: self.link.mac?, own: self.own.clone() })
    }

    /// Sees the kernel's duplicate address detection to its end, where it does any.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Tentative`], [`Error::Stopped`], [`Error::Vanished`]
    pub(super) fn await_duplicate_detection(&mut self) -> Result<(), Error> {
        self.starting.let_stops_in();
        if !self.link.usable() && !self.link.loopback {
            // It goes on when there is a carrier.
            return Ok(());
        }
        let until = self.deadline.less(RESERVE).within(DETECTION);
        let mut events = Events::subscribe(&[EventGroup::Address(Family::V6)])?;
        let deadline = self.deadline;
        let ended = events.wait_until(until, || {
            let addresses = host::addresses(self.netlink, Family::V6, deadline)?;
            let mut here = addresses
                .iter()
                .filter(|address| (address.ip, address.link) == (self.params.ip, self.link.index));
            Ok(match here.next() {
                None => Some(Detection::Gone),
                Some(address) if address.flags.dadfailed => Some(Detection::Failed),
                Some(address) => (!judge::not_ready(address)).then_some(Detection::Ended),
            })
        })?;
        let link = self.link.name.clone();
        match ended {
            Some(Detection::Ended) => Ok(()),
            Some(Detection::Gone) => Err(self.gone()),
            Some(Detection::Failed) => {
                Err(Error::InUse { ip: self.params.ip, rival: self.who(), link })
            }
            None => Err(Error::Tentative { ip: self.params.ip, link }),
        }
    }

    /// Who has the VIP, if that can be known.
    fn who(&self) -> Option<hostnet::MacAddress> {
        let mut socket = question::socket(&self.link, self.params.ip).ok()?;
        match self.asker()?.rival(&mut socket, Rivals::Owners, WHO, Deadline::after(WHO)).ok()? {
            Heard::Rival(mac) => Some(mac),
            Heard::Nobody | Heard::Unknown => None,
        }
    }
}
