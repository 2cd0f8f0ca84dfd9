//! The announcements of start: the first one by itself, the others by an announcer.

use std::net::IpAddr;
use std::time::Instant;

use deadline::Deadline;
use hostnet::{Error as NetError, LinkIndex, Netlink};

use super::{ANNOUNCER_WAIT, Done, RESERVE, Start};
use crate::announcer::{self, Job};
use crate::error::Error;
use crate::params::{AnnounceTarget, Params};
use crate::{host, question};

/// The hosts that are told one by one, `gateway` resolved.
pub(super) fn targets(
    params: &Params,
    netlink: &Netlink,
    link: LinkIndex,
    deadline: Deadline,
) -> Vec<IpAddr> {
    let mut targets = Vec::new();
    for target in &params.targets {
        match target {
            AnnounceTarget::Host(ip) => targets.push(*ip),
            AnnounceTarget::Gateway => match host::gateway(netlink, params, link, deadline) {
                Ok(Some(gateway)) => targets.push(gateway),
                Ok(None) => log::warn!("vip={} announce_targets: no gateway", params.ip),
                Err(error) => log::warn!("vip={} announce_targets: {error}", params.ip),
            },
        }
    }
    targets
}

impl Start<'_> {
    /// Opens the socket of the announcements. That there is none is no reason not to serve: whoever
    /// asks for the VIP gets the kernel's answer.
    ///
    /// # Errors
    /// [`NetError::PermissionDenied`]: the announcement that is asked for can never be sent.
    pub(super) fn open_socket(&mut self) -> Result<(), Error> {
        if self.socket.is_some() || self.subject.is_none() {
            return Ok(());
        }
        match question::socket(&self.link, self.params.ip) {
            Ok(socket) => self.socket = Some(socket),
            Err(error @ NetError::PermissionDenied { .. }) => return Err(error.into()),
            Err(error) => log::error!("vip={} is not announced: {error}", self.params.ip),
        }
        Ok(())
    }

    pub(super) fn announce_first(&mut self) {
        // Without carrier nobody hears it; the announcer waits for one and then begins.
        let (Some(subject), Some(socket), true) =
            (&self.subject, &mut self.socket, self.link.usable())
        else {
            return;
        };
        match subject.send(socket, &self.link) {
            Ok(()) => {
                self.announced = Some(Instant::now());
                self.run.note_announcement(self.params.ip);
            }
            Err(error) => log::error!("vip={} first announcement: {error}", self.params.ip),
        }
    }

    /// Leaves the rest of the schedule to an announcer; where there can't be one, sends what the
    /// action's time allows.
    pub(super) fn hand_over(&mut self) {
        let ip = self.params.ip;
        let lock = self.run.announcer_lock(ip);
        let until = self.deadline.less(RESERVE).within(ANNOUNCER_WAIT);
        // Of an earlier start: it would announce by that start's parameters.
        match announcer::silence(&lock, until) {
            Ok(silence) => silence.end(),
            Err(error) => log::warn!("vip={ip} last announcer: {error}"),
        }
        let (Some(subject), Some(socket)) = (&self.subject, self.socket.take()) else { return };
        let schedule = &self.params.schedule;
        let next = usize::from(self.announced.is_some());
        if schedule.times().len() <= next {
            return;
        }
        if !self.params.in_background {
            subject.burst(self.netlink, schedule, next, self.deadline.less(RESERVE));
            return;
        }
        let job = Job { subject: subject.clone(), schedule: schedule.clone(), next, lock };
        let spawned = self
            .run
            .create()
            .map_err(announcer::Error::Directory)
            .and_then(|()| announcer::spawn(&job, socket, until));
        match spawned {
            Ok(child) => self.undo.push(Done::StartedAnnouncer(child)),
            Err(error) => {
                log::error!("vip={ip} no announcer, start announces itself: {error}");
                let until = self.deadline.less(RESERVE);
                subject.burst(self.netlink, schedule, next, until);
            }
        }
    }
}
