//! A burst of announcements by the schedule.

use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{Error, EventGroup, Events, Family, Link, MacAddress, Netlink, Result};

use super::announcement::Announcement;
use super::announcer::{self, Job, LinkState};
use super::conflict_probe::{Conflicts, ProbeResult, Prober, RELEASE_TIME};
use super::forwarding::Forwarding;
use super::late_conflict::Listener;
use super::look::Look;
use super::open_socket;
use super::own_links::OwnLinks;
use super::pause::{PAUSE, PauseClock, wait};
use crate::decide::judge::Unannounced;
use crate::host::cluster;
use crate::host::run_files::RunFiles;
use crate::log_line::line;
use crate::params::Schedule;

/// Interval of the looks at a link without carrier, and at a table that has changed during the dump.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// After a link-up, a switch takes a moment before it forwards frames.
const SWITCH_DELAY: Duration = Duration::from_millis(50);
/// Interval of the probes while another host has the address.
const PROBE_AGAIN: Duration = Duration::from_secs(1);
/// A cable can be out for days, and another host can have the address for as long: after this time without an
/// announcement, looks and probes become rare.
const PATIENCE: Duration = Duration::from_secs(600);
const RARELY: Duration = Duration::from_secs(5);
/// Interval of the looks whether anything else is in the network namespace, which a wait without an end would
/// keep alive.
const NAMESPACE_LOOK: Duration = Duration::from_secs(10);
/// How long publishing may take.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(3);

/// Sends the announcements of the schedule from its entry number `next` on, relative to now. Ends with
/// the schedule, with the address, or at `until` if there is one: until then it waits for a carrier, for a link
/// that takes frames, and for another host to release the address.
///
/// Before each announcement it looks at the address and at the link. The burst begins again when the
/// carrier returns, even if it was lost only between two looks: no host can have received the
/// announcements before, and the switch can have learned something else. It also begins again when the
/// MAC address has changed (failover of a bond). Events of the kernel wake it between two announcements.
///
/// After a time without carrier, and after a pause of this process or host, another host can have the
/// address rightfully: then it is probed for before it is announced (RFC 5227 section 2.1). While
/// another host answers, nothing is announced.
///
/// A switch may have dropped all of the schedule: where neighbours that are known to answer have been silent,
/// it begins again when one of them answers.
pub(crate) fn run(job: &Job, netlink: &Netlink, mut listener: Listener, until: Option<Deadline>) {
    let schedule = &job.schedule;
    // Without events it still looks before each announcement.
    let mut events = Events::subscribe(&[EventGroup::Link]).ok();
    let mut burst = Burst::of(job);
    let mut clock = PauseClock(job.begun);
    let mut namespace_due = Deadline::after(NAMESPACE_LOOK);
    let mut forwarding = Forwarding::of(job);
    if burst.must_probe {
        listener = Listener::deaf();
    }
    // No event tells what has changed before the subscription.
    if matches!(burst.look(job, netlink, &mut clock), Looked::Gone) {
        return;
    }
    loop {
        let Some(due) = burst.next_look(schedule) else {
            if until.is_none()
                && burst.must_begin_again(job, netlink, &mut forwarding, &mut listener, &mut clock)
            {
                continue;
            }
            return;
        };
        if namespace_due.has_passed() {
            namespace_due = Deadline::after(NAMESPACE_LOOK);
            if announcer::is_abandoned(job) {
                return;
            }
        }
        if burst.must_probe || burst.is_blocked {
            // Another host can have the address rightfully since.
            listener = Listener::deaf();
        }
        if until.is_some_and(|until| due > until) {
            return;
        }
        burst.must_probe |= wait(events.as_mut(), due, &mut clock, || listener.look(job, netlink));
        match burst.look(job, netlink, &mut clock) {
            Looked::Gone => return,
            Looked::Seen => {}
            Looked::Unclear => {
                if until.is_some_and(|until| Deadline::after(LOOK_AGAIN) > until) {
                    return;
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        }
    }
}

fn send(announcement: &Announcement, link: &Link, files: &RunFiles) -> Result<()> {
    // A socket for each announcement: the link can have been replaced by one with the same name, and a
    // socket that stays open collects frames that nothing reads.
    let mut socket = open_socket(link, announcement.ip)?;
    announcement.send(&mut socket, link)?;
    files.note_announcement(link.mac);
    Ok(())
}

/// The progress of a burst.
struct Burst {
    /// The zero of the schedule.
    zero: Instant,
    /// The entry of the schedule that is due next.
    next: usize,
    /// Nothing could be sent at the last look: the next one that can send begins the burst again.
    is_blocked: bool,
    /// The link was not usable at the last look, or the kernel was still looking for a duplicate.
    has_no_carrier: bool,
    /// Another host can have the address: probe before the next announcement.
    must_probe: bool,
    /// The carrier has just come: a switch that does not forward yet drops the first probes.
    is_new_carrier: bool,
    /// When to probe again for an address that another host has.
    probe_at: Option<Instant>,
    /// The link at the last look.
    last: LinkState,
    /// The link has refused to send at the last attempt.
    refused: bool,
    /// When it was announced last, or when this began.
    idle_since: Instant,
}

/// What a look has shown.
enum Looked {
    Seen,
    /// The address is not there any more.
    Gone,
    /// The kernel gave no clear answer.
    Unclear,
}

impl Burst {
    /// That of an announcer that has not looked yet. Where it has to probe first there was no carrier, and the
    /// carrier can come before its first look.
    fn of(job: &Job) -> Self {
        Self {
            next: job.next,
            must_probe: job.probe_first,
            is_new_carrier: job.probe_first,
            ..Self::new(Instant::now(), job.link)
        }
    }

    fn new(zero: Instant, last: LinkState) -> Self {
        Self {
            zero,
            next: 0,
            is_blocked: false,
            has_no_carrier: false,
            must_probe: false,
            is_new_carrier: false,
            probe_at: None,
            last,
            refused: false,
            idle_since: zero,
        }
    }

    /// Begins the schedule again.
    fn begin(&mut self, zero: Instant, must_probe: bool) {
        let Self { last, refused, idle_since, .. } = *self;
        // As long as nothing was asked, a switch can still be about to forward.
        let is_new_carrier = self.is_new_carrier && must_probe;
        *self = Self { must_probe, is_new_carrier, refused, idle_since, ..Self::new(zero, last) };
    }

    /// The pause before the next look or probe.
    fn pause(&self, pause: Duration) -> Duration {
        if self.idle_since.elapsed() < PATIENCE { pause } else { RARELY }
    }

    fn due(&self, schedule: &Schedule) -> Option<Instant> {
        let due = schedule.times().get(self.next).map(|time| self.zero + *time);
        self.probe_at.filter(|_| due.is_some()).or(due)
    }

    fn next_look(&self, schedule: &Schedule) -> Option<Deadline> {
        let due = self.due(schedule)?;
        Some(if self.is_blocked {
            Deadline::after(self.pause(LOOK_AGAIN))
        } else {
            Deadline::at(due)
        })
    }

    fn is_due(&self, schedule: &Schedule) -> bool {
        self.due(schedule).is_some_and(|due| Instant::now() >= due)
    }

    /// Looks at the address and at the link, and announces what is due.
    fn look(&mut self, job: &Job, netlink: &Netlink, clock: &mut PauseClock) -> Looked {
        match Look::take(&job.announcement, netlink) {
            Look::Gone => return Looked::Gone,
            Look::Unclear => return Looked::Unclear,
            Look::NotYet => self.is_unready(),
            Look::Ready(link) => {
                self.note_carrier(job, &link);
                self.notice_changes(&link);
                if self.is_due(&job.schedule) {
                    self.announce(job, netlink, &link, clock);
                }
            }
        }
        Looked::Seen
    }

    fn is_unready(&mut self) {
        self.is_blocked = true;
        self.has_no_carrier = true;
    }

    /// Tells the starts of other VIPs on this link that its carrier has come.
    fn note_carrier(&mut self, job: &Job, link: &Link) {
        let has_come = std::mem::take(&mut self.has_no_carrier);
        if has_come || self.last.carrier_losses != link.carrier_losses {
            RunFiles::of(job.announcement.ip, Some(link.index)).note_new_carrier(link.index);
        }
    }

    fn notice_changes(&mut self, link: &Link) {
        let now = LinkState::of(link);
        if self.is_blocked || self.last.carrier_losses != now.carrier_losses {
            self.begin(Instant::now() + SWITCH_DELAY, true);
            self.is_new_carrier = true;
        } else if self.last.mac != now.mac {
            self.begin(Instant::now(), self.must_probe);
        }
        self.last = now;
    }

    /// After the end of the schedule: waits until a neighbour answers that was silent before. Returns true if
    /// the schedule has begun again, also because the carrier was lost meanwhile.
    fn must_begin_again(
        &mut self,
        job: &Job,
        netlink: &Netlink,
        forwarding: &mut Forwarding,
        listener: &mut Listener,
        clock: &mut PauseClock,
    ) -> bool {
        while let Some(due) = forwarding.next_look() {
            let planned = due.remaining();
            std::thread::sleep(planned);
            if clock.has_paused(planned) {
                // Another host can have the address rightfully since.
                self.begin(Instant::now(), true);
                return true;
            }
            listener.look(job, netlink);
            match Look::take(&job.announcement, netlink) {
                Look::Gone => return false,
                Look::Unclear => {}
                Look::NotYet => {
                    self.begin(Instant::now(), true);
                    self.is_unready();
                }
                Look::Ready(link) => {
                    self.note_carrier(job, &link);
                    self.notice_changes(&link);
                    if matches!(ask(job, netlink, &link, forwarding), Ok(true)) {
                        log::info!("{}", line().note("the link forwards now: announcing again"));
                        self.begin(Instant::now(), true);
                    }
                }
            }
            if self.due(&job.schedule).is_some() {
                return true;
            }
        }
        false
    }

    /// Sends the announcement that is due, after a probe if one is necessary.
    fn announce(&mut self, job: &Job, netlink: &Netlink, link: &Link, clock: &mut PauseClock) {
        let files = RunFiles::of(job.announcement.ip, Some(link.index));
        // If it can't be sent, the next look shows that the carrier or the address is gone.
        let sent = self.probe_if_necessary(job, netlink, link, &files, clock).and_then(|free| {
            if free { self.send(job, link, &files).map(|()| free) } else { Ok(free) }
        });
        self.is_blocked = sent.is_err();
        self.note_refusal(&files, sent.as_ref().err());
        if let Some(attribute) = job.attribute.as_ref().filter(|_| sent.is_ok())
            && files.published_carrier(attribute) == Some(false)
        {
            cluster::publish(attribute, &files, true, Deadline::after(PUBLISH_PATIENCE));
            // The time that it took is no pause.
            clock.has_paused(PUBLISH_PATIENCE);
        }
    }

    /// Tells monitor that the link refuses to send, once for each time.
    fn note_refusal(&mut self, files: &RunFiles, error: Option<&Error>) {
        let refuses =
            error.is_some_and(|it| matches!(it, Error::SendFailed { .. }) && it.is_transient());
        if refuses && !self.refused {
            files.note_unannounced(Unannounced::NotSent);
        }
        self.refused = refuses;
    }

    fn send(&mut self, job: &Job, link: &Link, files: &RunFiles) -> Result<()> {
        send(&job.announcement, link, files)?;
        self.next += 1;
        self.idle_since = Instant::now();
        Ok(())
    }

    /// Returns true if the address can be announced: no probe is necessary, or no other host answers.
    fn probe_if_necessary(
        &mut self,
        job: &Job,
        netlink: &Netlink,
        link: &Link,
        files: &RunFiles,
        clock: &mut PauseClock,
    ) -> Result<bool> {
        let (Some(timeout), Some(mac)) = (job.probe_timeout, link.mac) else { return Ok(true) };
        // A pause during the look.
        self.must_probe |= clock.has_paused(LOOK_AGAIN);
        if !self.must_probe {
            return Ok(true);
        }
        let timeout = if self.is_new_carrier { timeout.max(RELEASE_TIME) } else { timeout };
        let prober = prober(job, netlink, (link, mac))?;
        let mut socket = open_socket(link, prober.ip)?;
        let until = Deadline::after(timeout + PAUSE);
        let result = prober.probe(&mut socket, Conflicts::Owners, timeout, until)?;
        match result {
            // A pause during the probe.
            _ if clock.has_paused(timeout) => {}
            ProbeResult::Free => {
                files.forget_unannounced();
                self.begin(Instant::now(), false);
                return Ok(true);
            }
            ProbeResult::Conflict(mac) => files.note_unannounced(Unannounced::Conflict(mac)),
            ProbeResult::Unknown => {}
        }
        self.probe_at = Some(Instant::now() + self.pause(PROBE_AGAIN));
        Ok(false)
    }
}

/// Asks the neighbours that have been silent. Returns true if one of them answers.
fn ask(job: &Job, netlink: &Netlink, link: &Link, forwarding: &mut Forwarding) -> Result<bool> {
    let Some(mac) = link.mac else { return Ok(false) };
    let prober = prober(job, netlink, (link, mac))?;
    let family = Family::of(prober.ip);
    let addresses = netlink.addresses(family, Some(link.index), Deadline::after(LOOK_AGAIN))?;
    forwarding.ask(link, &prober, &addresses)
}

fn prober(job: &Job, netlink: &Netlink, (link, mac): (&Link, MacAddress)) -> Result<Prober> {
    let ip = job.announcement.ip;
    let links = netlink.links(Deadline::after(LOOK_AGAIN))?;
    let addresses = netlink.addresses(Family::of(ip), None, Deadline::after(LOOK_AGAIN))?;
    Ok(Prober { ip, mac, own: OwnLinks::of(ip, link, &links, &addresses) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::boot_time::since_boot;
    use crate::params::Form;
    use crate::testing::fixtures::link;
    use hostnet::{LinkIndex, Prefix};

    #[test]
    fn a_loss_since_start_begins_it_again() {
        let eth0 = link(2, "eth0");
        let begun = |change: fn(&mut Link)| {
            let mut now = eth0.clone();
            change(&mut now);
            let new = Burst::new(Instant::now(), LinkState::of(&eth0));
            let mut burst = Burst { next: 1, ..new };
            burst.notice_changes(&now);
            (burst.next, burst.must_probe, burst.is_new_carrier)
        };
        assert_eq!(begun(|_| {}), (1, false, false));
        assert_eq!(begun(|link| link.carrier_losses += 1), (0, true, true));
        assert_eq!(begun(|link| link.mac = None), (0, false, false));
    }

    #[test]
    fn a_carrier_is_new_until_it_was_asked() {
        let job = Job {
            announcement: Announcement {
                ip: "192.0.2.10".parse().unwrap(),
                prefix: Prefix::new(Family::V4, 24).unwrap(),
                targets: Vec::new(),
                link: LinkIndex::new(2).unwrap(),
                form: Form::Both,
            },
            schedule: "0,50".parse().unwrap(),
            next: 0,
            probe_timeout: Some(Duration::from_millis(50)),
            probe_first: true,
            begun: since_boot(),
            attribute: None,
            silent_controls: Vec::new(),
            namespace: None,
            link: LinkState::of(&link(2, "eth0")),
            lock: "/run/smartvox/announcer-192.0.2.10@4026531840.lock".into(),
        };
        // start has seen no carrier: it can be there at the first look.
        let mut burst = Burst::of(&job);
        assert!(burst.must_probe && burst.is_new_carrier);
        // Another MAC address, or a pause, before the probe.
        burst.begin(Instant::now(), true);
        assert!(burst.must_probe && burst.is_new_carrier);
        burst.begin(Instant::now(), false);
        assert!(!(burst.must_probe || burst.is_new_carrier));
        let burst = Burst::of(&Job { probe_first: false, ..job });
        assert!(!(burst.must_probe || burst.is_new_carrier));
    }

    #[test]
    fn a_burst_that_waits_for_long_never_gives_up() {
        let schedule: Schedule = "0,50".parse().unwrap();
        let Some(long_ago) = Instant::now().checked_sub(PATIENCE) else { return };
        let link = LinkState { mac: None, carrier_losses: 0 };
        let mut burst = Burst { is_blocked: true, ..Burst::new(long_ago, link) };
        assert_eq!(burst.pause(LOOK_AGAIN), RARELY);
        // The wait goes on where the schedule begins again, too.
        burst.begin(Instant::now(), true);
        assert_eq!((burst.next, burst.pause(PROBE_AGAIN)), (0, RARELY));
        assert!(burst.next_look(&schedule).is_some());
        burst.idle_since = Instant::now();
        assert_eq!(burst.pause(PROBE_AGAIN), PROBE_AGAIN);
        burst.next = 2;
        assert!(burst.next_look(&schedule).is_none());
    }
}
