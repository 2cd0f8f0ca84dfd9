//! The announcements of start: it sends the first one itself and leaves the others to an announcer.

use std::time::Instant;

use deadline::Deadline;
use hostnet::{Error as NetError, Netlink, NewAddress};

use super::{Done, Start, budgets};
use crate::decide::judge::Unannounced;
use crate::decide::plan::{Plan, Step};
use crate::error::Error;
use crate::host::boot_time::since_boot;
use crate::host::cluster::Cluster;
use crate::host::run_files::ConflictOrigin;
use crate::log_line::failure;
use crate::params::Params;
use crate::wire::announcement::Announcement;
use crate::wire::announcer::{self, Job, LinkState};
use crate::wire::late_conflict::Listener;
use crate::wire::{burst, open_socket};

/// What is announced according to the plan; `None`: nothing.
pub(super) fn announcement(
    params: &Params,
    netlink: &Netlink,
    plan: &Plan,
    until: Deadline,
) -> Option<Announcement> {
    let NewAddress { prefix, link, .. } = plan.target.address;
    let is_announced = plan.steps.contains(&Step::Announce);
    is_announced.then(|| Announcement::of(params, netlink, (link, prefix), until))?
}

impl Start<'_> {
    /// Opens the socket of the announcements. If that fails, the VIP still serves: the kernel answers
    /// every ARP request for it.
    ///
    /// # Errors
    /// [`NetError::PermissionDenied`]: the announcements that are asked for can never be sent.
    pub(super) fn open_socket(&mut self) -> Result<(), Error> {
        if self.socket.is_some() || self.announcement.is_none() {
            return Ok(());
        }
        match open_socket(&self.link, self.params.ip) {
            Ok(socket) => self.socket = Some(socket),
            Err(error @ NetError::PermissionDenied { .. }) => return Err(error.into()),
            Err(error) => {
                self.is_unasked = true;
                self.files.note_unannounced(Unannounced::NotSent);
                log::error!("{}", failure(&error).note("the announcer announces the VIP"));
            }
        }
        Ok(())
    }

    pub(super) fn announce_first(&mut self) {
        // Without carrier no host receives it; the announcer waits for the carrier.
        let (Some(announcement), Some(socket), true) =
            (&self.announcement, &mut self.socket, self.link.usable())
        else {
            return;
        };
        if self.is_unasked {
            // The announcer probes first.
            return;
        }
        match announcement.send(socket, &self.link) {
            Ok(()) => {
                self.announced_at = Some(Instant::now());
                self.files.note_announcement(self.link.mac);
            }
            Err(error) => {
                self.is_unasked = true;
                self.files.note_unannounced(Unannounced::NotSent);
                log::error!("{}", failure(&error).note("the first announcement was not sent"));
            }
        }
    }

    /// Leaves the rest of the schedule to an announcer. If there can't be one, sends what the action's
    /// time allows.
    pub(super) fn hand_over_announcements(&mut self) {
        self.end_previous_announcer();
        // Before the announcer can note another one.
        match self.taken_over_from {
            Some(mac) => self.files.note_conflict(mac, ConflictOrigin::TakenOver),
            None => self.files.forget_conflict(),
        }
        let socket = self.socket.take();
        let Some(announcement) = &self.announcement else { return };
        let schedule = &self.params.schedule;
        let next = usize::from(self.announced_at.is_some());
        if schedule.times().len() <= next && self.silent_controls.is_empty() {
            return;
        }
        let job = Job {
            announcement: announcement.clone(),
            schedule: schedule.clone(),
            next,
            probe_timeout: self.params.duplicates.map(|check| check.timeout),
            probe_first: !self.link.usable() || self.is_unasked,
            begun: since_boot(),
            attribute: Cluster::of(self.request).map(|cluster| cluster.attribute().clone()),
            silent_controls: self.silent_controls.clone(),
            namespace: self.params.namespace.clone(),
            link: LinkState::of(&self.link),
            lock: self.files.announcer_lock(),
        };
        let send_here = |listener| {
            let until = budgets::for_announcements(self.deadline);
            burst::run(&job, self.netlink, listener, Some(until));
        };
        // start does not wait for a carrier, or for a link that refuses to send.
        if !self.params.in_background && self.link.usable() && !self.is_unasked {
            send_here(Listener::on(socket, &job));
            return;
        }
        let until = budgets::for_start_announcer(self.deadline);
        let spawned = self
            .files
            .create_directory()
            .map_err(announcer::Error::Directory)
            .and_then(|()| announcer::spawn(&job, socket, until));
        match spawned {
            Ok(child) => self.done.push(Done::StartedAnnouncer(child)),
            Err(error) if !self.link.usable() => {
                // The next monitor reports it, and leaves one.
                self.files.note_unannounced(Unannounced::NoAnnouncer);
                log::error!("{}", failure(&error).note("no announcer: the VIP is not announced"));
            }
            Err(error) => {
                log::error!(
                    "{}",
                    failure(&error).note("no announcer: start sends the announcements itself")
                );
                send_here(Listener::deaf());
            }
        }
    }

    /// The announcer of an earlier start would announce with the parameters of that start.
    fn end_previous_announcer(&self) {
        let until = budgets::for_start_announcer(self.deadline);
        match announcer::end(&self.files.announcer_lock(), until) {
            Ok(no_announcer) => no_announcer.release(),
            Err(error) => {
                log::warn!("{}", failure(&error).note("the previous announcer does not end"));
            }
        }
    }
}
