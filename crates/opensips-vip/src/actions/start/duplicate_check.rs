//! No other host has the VIP: by the agent's own check before it is added, and by the kernel's.

use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{Error as NetError, EventGroup, Events, Family, MacAddress};

use super::{Start, budgets};
use crate::decide::controls::Control;
use crate::decide::judge::{self, Observation, Unannounced};
use crate::error::Error;
use crate::host::boot_time::since_boot;
use crate::host::tables;
use crate::host::take_over::{self, TakeOver};
use crate::log_line::{failure, line};
use crate::params::{DuplicateAction, DuplicateCheck, LinkCheck, SilenceOf};
use crate::wire::conflict_probe::{AskedControls, Conflicts, ProbeResult, Prober, RELEASE_TIME};
use crate::wire::open_socket;

/// How old a duplicate address check may be: it is followed by the addition at once.
const FRESH: Duration = Duration::from_secs(1);

/// How often start looks whether a stop waits, where it waits for events of the kernel.
const STOP_POLL: Duration = Duration::from_millis(200);

/// The result of the kernel's duplicate address detection.
enum Detection {
    Passed,
    Failed,
    /// The address is not there any more.
    Vanished,
}

impl Start<'_> {
    /// # Errors
    /// [`Error::InUse`], [`Error::NeverHeld`], [`Error::NoTimeToCheck`], [`Error::NoCarrier`], [`Error::Stopped`], and
    /// [`NetError::PermissionDenied`]. Any other failure to probe is none: the VIP can serve.
    pub(super) fn check_duplicates(&mut self) -> Result<(), Error> {
        let Some(mut check) = self.params.duplicates else { return Ok(()) };
        if self.has_just_come_up() {
            check.timeout = check.timeout.max(RELEASE_TIME);
        }
        let began = Instant::now();
        let checked = self.check(check, AskedControls::new(self.controls(check)));
        self.probed = Some(began.elapsed());
        checked
    }

    /// The last look before the VIP is added, at a host that answers late, or that has probed or started
    /// since the check. Such a host gets the whole time to answer, also if this node has been frozen since.
    ///
    /// # Errors
    /// Those of [`Start::check_duplicates`].
    pub(super) fn check_again(&mut self) -> Result<(), Error> {
        let Some(check) = self.params.duplicates.filter(|_| self.must_check_again()) else {
            return Ok(());
        };
        self.no_duplicate = false;
        let timeout = check.timeout.max(RELEASE_TIME);
        self.check(DuplicateCheck { timeout, ..check }, AskedControls::default())
    }

    /// Returns true if the last check does not prove any more that no other host has the VIP. Does not wait.
    pub(super) fn must_check_again(&mut self) -> bool {
        let prober = self.prober().filter(|_| self.no_duplicate);
        let (Some(prober), Some(socket)) = (prober, &mut self.socket) else { return false };
        let age = since_boot().saturating_sub(self.probed_at);
        match prober.has_heard(socket, Conflicts::OwnersAndProbers) {
            Ok(Some(mac)) => {
                let note = "another host has the VIP: checking again";
                log::warn!("{}", line().field("mac", mac).note(note));
                true
            }
            Ok(None) | Err(_) if age > FRESH => {
                let note = "the duplicate address check is too old (was this node frozen?): checking again";
                log::warn!("{}", line().field("ms", age.as_millis()).note(note));
                true
            }
            // What can't be received now is heard by the announcer.
            Ok(None) | Err(_) => false,
        }
    }

    /// Returns true if the carrier has come since this start began, or a moment before, as far as a process of
    /// this agent has seen it come. A port of a switch does not forward frames from the first moment on (the bridge
    /// of Linux enables it by an event, `br_port_carrier_check`), so that a short silence proves nothing there.
    fn has_just_come_up(&self) -> bool {
        self.has_waited || self.files.has_new_carrier(self.link.index)
    }

    fn controls(&self, check: DuplicateCheck) -> Vec<Control> {
        if check.silence == SilenceOf::Timeout || !self.link.usable() {
            return Vec::new();
        }
        let until = Deadline::after(check.timeout);
        tables::controls(self.netlink, self.params, &self.link, self.snapshot, until)
    }

    fn check(
        &mut self,
        mut check: DuplicateCheck,
        mut controls: AskedControls,
    ) -> Result<(), Error> {
        let until = budgets::for_duplicate_check(self.deadline);
        loop {
            let Some(prober) = self.prober().filter(|_| self.link.usable()) else { return Ok(()) };
            let result = self.probe(&prober, check, &mut controls, until);
            let (ip, link) = (self.params.ip, self.link.name.clone());
            match result {
                Ok(_) if self.stop_requested() => return Err(Error::Stopped { ip }),
                Ok(ProbeResult::Free) => {}
                Ok(ProbeResult::Conflict(mac)) => return self.take_over(mac, check),
                Ok(ProbeResult::Unknown) => {
                    return Err(Error::NoTimeToCheck { ip, link, timeout: check.timeout });
                }
                Err(error @ NetError::PermissionDenied { .. }) => return Err(error.into()),
                Err(error) => {
                    log::error!("{}", failure(&error).note("no duplicate address check"));
                    if self.announcement.is_some() {
                        self.is_unasked = true;
                        self.files.note_unannounced(Unannounced::NotSent);
                    }
                    return Ok(());
                }
            }
            let losses = self.link.carrier_losses;
            self.link = self.netlink.wait_for_link(self.link.index, until, |_| true)?;
            if self.link.usable() && self.link.carrier_losses == losses {
                self.no_duplicate = true;
                if !controls.have_answered {
                    self.silent_controls = controls.list;
                }
                return Ok(());
            }
            // Without carrier no host could answer.
            let note = "the carrier was lost during the duplicate address check: checking again";
            log::warn!("{}", line().note(note));
            self.await_carrier(self.params.link_check == LinkCheck::Fail)?;
            check.timeout = check.timeout.max(RELEASE_TIME);
            controls = AskedControls::default();
        }
    }

    /// Goes on although another host answers, if the cluster knows that the previous owner is off: then it
    /// is a switch that answers for a dead host, or a host with the wrong address, and neither must end the
    /// service.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NeverHeld`]
    fn take_over(&mut self, mac: MacAddress, check: DuplicateCheck) -> Result<(), Error> {
        let (ip, link) = (self.params.ip, self.link.name.clone());
        let asks = self.request.by_cluster && check.action == DuplicateAction::Defend;
        let answer = if asks {
            take_over::may_take_over(self.params, budgets::for_take_over(self.deadline))
        } else {
            TakeOver::Unknown
        };
        match answer {
            TakeOver::Allowed => {
                let note = "taking the VIP over from a fenced node, although this host still answers \
                            for it";
                log::warn!("{}", line().field("mac", mac).note(note));
                self.taken_over_from = Some(mac);
                Ok(())
            }
            TakeOver::NeverHeld => Err(Error::NeverHeld { ip, mac, link }),
            TakeOver::Unknown => Err(Error::InUse { ip, mac: Some(mac), link }),
        }
    }

    fn probe(
        &mut self,
        prober: &Prober,
        check: DuplicateCheck,
        controls: &mut AskedControls,
        until: Deadline,
    ) -> hostnet::Result<ProbeResult> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => open_socket(&self.link, self.params.ip)?,
        };
        let is_cancelled = || self.stop_requested();
        let result = prober.wait_until_free(&mut socket, check, controls, until, is_cancelled);
        self.socket = Some(socket);
        self.probed_at = since_boot();
        result
    }

    fn prober(&self) -> Option<Prober> {
        Some(Prober { ip: self.params.ip, mac: self.link.mac?, own: self.own.clone() })
    }

    /// Waits until the kernel's duplicate address detection has ended, if it runs. Where the carrier has come late,
    /// there may be no time for it: then the detection ends after start, and monitor waits for it.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Tentative`], [`Error::Stopped`], [`Error::Vanished`]
    pub(super) fn await_kernel_detection(&mut self) -> Result<(), Error> {
        if !self.link.usable() && !self.link.loopback {
            // It continues when the carrier is there.
            return Ok(());
        }
        let detection = self.kernel_detection(budgets::for_kernel_detection(self.deadline))?;
        let (ip, link) = (self.params.ip, self.link.name.clone());
        match detection {
            Some(Detection::Passed) => Ok(()),
            Some(Detection::Vanished) => Err(self.vanished()),
            Some(Detection::Failed) => Err(Error::InUse { ip, mac: self.owner(), link }),
            None if self.stop_requested() => Err(Error::Stopped { ip }),
            None if self.has_waited => {
                let note = "duplicate address detection of the kernel ends after start";
                log::warn!("{}", line().note(note));
                self.is_unasked = true;
                Ok(())
            }
            None => Err(Error::Tentative { ip, link }),
        }
    }

    /// The host as it is now, after the detection that begins when the carrier comes after the address.
    pub(super) fn observe(&mut self) -> Result<Observation, Error> {
        let observation = tables::observe(self.netlink, self.params, self.deadline)?;
        let is_running = !self.link.usable() && observation.is_tentative(self.params);
        let Some(link) = observation.link.as_ref().filter(|_| is_running) else {
            return Ok(observation);
        };
        self.link = link.clone();
        self.note_carrier();
        self.await_kernel_detection()?;
        Ok(tables::observe(self.netlink, self.params, self.deadline)?)
    }

    /// `None`: it has not ended before the deadline, or before a stop.
    fn kernel_detection(&self, until: Deadline) -> hostnet::Result<Option<Detection>> {
        let vip = (self.params.ip, self.link.index);
        let look = || {
            let addresses = tables::addresses(self.netlink, Family::V6, self.deadline)?;
            let vip = addresses.iter().find(|address| (address.ip, address.link) == vip);
            Ok(match vip {
                None => Some(Detection::Vanished),
                Some(address) if address.flags.dadfailed => Some(Detection::Failed),
                Some(address) => (!judge::is_unusable(address)).then_some(Detection::Passed),
            })
        };
        let mut events = Events::subscribe(&[EventGroup::Address(Family::V6)])?;
        loop {
            let detection = events.wait_until(until.within(STOP_POLL), look)?;
            if detection.is_some() || until.has_passed() || self.stop_requested() {
                return Ok(detection);
            }
        }
    }

    /// The MAC address of the host that has the VIP, if it answers.
    fn owner(&self) -> Option<MacAddress> {
        let mut socket = open_socket(&self.link, self.params.ip).ok()?;
        let timeout = budgets::CONFLICT_IDENTITY;
        let until = Deadline::after(timeout);
        match self.prober()?.probe(&mut socket, Conflicts::Owners, timeout, until).ok()? {
            ProbeResult::Conflict(mac) => Some(mac),
            ProbeResult::Free | ProbeResult::Unknown => None,
        }
    }
}
