//! Nobody else has the VIP: by our own question before it is added, and by the kernel's.

use std::time::{Duration, Instant};

use hostnet::{Error as NetError, EventGroup, Events, Family, Sysctl};

use super::{RESERVE, Start};
use crate::error::Error;
use crate::question::{self, Asker, Heard};
use crate::{host, judge};

/// How long the kernel may take: a random second at most before the first question, one second per
/// question (RFC 4862 section 5.4.2; one question by default, more by `dad_transmits`).
const DETECTION: Duration = Duration::from_secs(10);
/// How long somebody who was there a moment ago may take to say who it is.
const WHO: Duration = Duration::from_millis(200);

impl Start<'_> {
    /// # Errors
    /// [`Error::InUse`], [`Error::NoTimeToAsk`], [`Error::Stopped`]. That nobody can be asked is none:
    /// the address serves all the same.
    pub(super) fn check_duplicates(&mut self) -> Result<(), Error> {
        let (Some(check), Some(asker), true) =
            (self.params.duplicates, self.asker(), self.link.usable())
        else {
            return Ok(());
        };
        // Of a short time not all can be kept free.
        let reserve = RESERVE.min(self.deadline.remaining() / 4);
        let until = self.deadline.less(reserve).instant();
        let stopped = || self.starting.was_stopped();
        let asked = match &mut self.socket {
            Some(socket) => asker.wait_until_free(socket, check, until, stopped),
            None => question::socket(&self.link, self.params.ip).and_then(|mut socket| {
                let asked = asker.wait_until_free(&mut socket, check, until, stopped);
                self.socket = Some(socket);
                asked
            }),
        };
        let (ip, link) = (self.params.ip, self.link.name.clone());
        match asked {
            Ok(_) if self.starting.was_stopped() => Err(Error::Stopped { ip }),
            Ok(Heard::Nobody) => {
                self.found_free = true;
                Ok(())
            }
            Ok(Heard::Rival(rival)) => Err(Error::InUse { ip, rival: Some(rival), link }),
            Ok(Heard::Unknown) => Err(Error::NoTimeToAsk { ip, link, silence: check.timeout }),
            Err(error) => {
                log::error!("vip={ip} is not checked for duplicates: {error}");
                Ok(())
            }
        }
    }

    fn asker(&self) -> Option<Asker> {
        Some(Asker { ip: self.params.ip, mac: self.link.mac?, own: self.own.clone() })
    }

    /// # Errors
    /// [`Error::NoIpv6`]: the kernel would only say "permission denied".
    pub(super) fn require_ipv6(&self) -> Result<(), Error> {
        let setting = format!("net/ipv6/conf/{}/disable_ipv6", self.link.name);
        match Sysctl::default().read(setting) {
            Ok(value) if value == "0" => Ok(()),
            Ok(_) | Err(NetError::SysctlMissing { .. }) => {
                Err(Error::NoIpv6 { link: self.link.name.clone() })
            }
            // Without /proc/sys the kernel decides.
            Err(_) => Ok(()),
        }
    }

    /// Sees the kernel's duplicate address detection to its end, where it does any.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Tentative`]
    pub(super) fn await_duplicate_detection(&mut self) -> Result<(), Error> {
        if !self.link.usable() && !self.link.loopback {
            // It goes on when there is a carrier.
            return Ok(());
        }
        let until = self.deadline.less(RESERVE).or_within(DETECTION).instant();
        let mut events = Events::subscribe(&[EventGroup::Address(Family::V6)])?;
        let deadline = self.deadline.instant();
        let ended = events.wait_until(until, || {
            let addresses = host::addresses(self.netlink, Family::V6, deadline)?;
            let mut here = addresses
                .iter()
                .filter(|address| (address.ip, address.link) == (self.params.ip, self.link.index));
            Ok(match here.next() {
                // Not there: confirm() has the words for it.
                None => Some(Ok(())),
                Some(address) if address.flags.dadfailed => Some(Err(())),
                Some(address) => (!judge::not_ready(address)).then_some(Ok(())),
            })
        })?;
        let link = self.link.name.clone();
        match ended {
            Some(Ok(())) => Ok(()),
            Some(Err(())) => Err(Error::InUse { ip: self.params.ip, rival: self.who(), link }),
            None => Err(Error::Tentative { ip: self.params.ip, link }),
        }
    }

    /// Who has the VIP, if that can be known.
    fn who(&self) -> Option<hostnet::MacAddress> {
        let mut socket = question::socket(&self.link, self.params.ip).ok()?;
        match self.asker()?.rival(&mut socket, WHO, Instant::now() + WHO).ok()? {
            Heard::Rival(mac) => Some(mac),
            Heard::Nobody | Heard::Unknown => None,
        }
    }
}
