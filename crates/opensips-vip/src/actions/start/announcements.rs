//! The announcements of start: it sends the first one itself and leaves the others to an announcer.

use std::net::IpAddr;
use std::time::Instant;

use deadline::Deadline;
use hostnet::{Error as NetError, LinkIndex, Netlink, NewAddress};

use super::{Done, Start, budgets};
use crate::decide::plan::{Plan, Step};
use crate::error::Error;
use crate::host::cluster::Cluster;
use crate::host::tables;
use crate::log_line::{failure, line};
use crate::params::{AnnounceTarget, Params};
use crate::wire::announcement::Announcement;
use crate::wire::announcer::{self, Job};
use crate::wire::{burst, open_socket};

/// What is announced according to the plan; `None`: nothing.
pub(super) fn announcement(
    params: &Params,
    netlink: &Netlink,
    plan: &Plan,
    until: Deadline,
) -> Option<Announcement> {
    let form = params.announce.filter(|_| plan.steps.contains(&Step::Announce))?;
    let NewAddress { ip, prefix, link, .. } = plan.target.address;
    let targets = targets(params, netlink, link, until);
    Some(Announcement { ip, prefix, link, form, targets })
}

/// The hosts that also get unicast announcements.
fn targets(params: &Params, netlink: &Netlink, link: LinkIndex, until: Deadline) -> Vec<IpAddr> {
    let mut targets = Vec::new();
    for target in &params.targets {
        match target {
            AnnounceTarget::Host(ip) => targets.push(*ip),
            AnnounceTarget::Gateway => match tables::gateway(netlink, params, link, until) {
                Ok(Some(gateway)) => targets.push(gateway),
                Ok(None) => {
                    log::warn!("{}", line().note("announce_targets=gateway: there is no gateway"));
                }
                Err(error) => {
                    log::warn!(
                        "{}",
                        failure(&error).note("announce_targets=gateway: no gateway is known")
                    );
                }
            },
        }
    }
    targets
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
                log::error!("{}", failure(&error).note("the VIP is not announced"));
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
        match announcement.send(socket, &self.link) {
            Ok(()) => {
                self.announced_at = Some(Instant::now());
                self.files.note_announcement();
            }
            Err(error) => {
                log::error!("{}", failure(&error).note("the first announcement was not sent"));
            }
        }
    }

    /// Leaves the rest of the schedule to an announcer. If there can't be one, sends what the action's
    /// time allows.
    pub(super) fn hand_over_announcements(&mut self) {
        self.end_previous_announcer();
        let (Some(announcement), Some(socket)) = (&self.announcement, self.socket.take()) else {
            return;
        };
        let schedule = &self.params.schedule;
        let next = usize::from(self.announced_at.is_some());
        if schedule.times().len() <= next {
            return;
        }
        let job = Job {
            announcement: announcement.clone(),
            schedule: schedule.clone(),
            next,
            probe_timeout: self.params.duplicates.map(|check| check.timeout),
            probe_first: !self.link.usable(),
            begun: burst::since_boot(),
            attribute: Cluster::of(self.request).map(|cluster| cluster.attribute().clone()),
            lock: self.files.announcer_lock(),
        };
        let send_here = |until| burst::run(&job, self.netlink, until);
        // start does not wait for a carrier to announce.
        if !self.params.in_background && self.link.usable() {
            send_here(budgets::for_announcements(self.deadline));
            return;
        }
        let until = budgets::for_start_announcer(self.deadline);
        let spawned = self
            .files
            .create_directory()
            .map_err(announcer::Error::Directory)
            .and_then(|()| announcer::spawn(&job, Some(socket), until));
        match spawned {
            Ok(child) => self.done.push(Done::StartedAnnouncer(child)),
            Err(error) if !self.link.usable() => {
                log::error!("{}", failure(&error).note("no announcer: the VIP is not announced"));
            }
            Err(error) => {
                log::error!(
                    "{}",
                    failure(&error).note("no announcer: start sends the announcements itself")
                );
                send_here(budgets::for_announcements(self.deadline));
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
