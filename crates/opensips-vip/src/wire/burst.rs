//! A burst of announcements by the schedule.

use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{Error, EventGroup, Events, Family, Link, MacAddress, Netlink, Result};

use super::announcement::Announcement;
use super::open_socket;
use crate::decide::judge;
use crate::host::run_files::RunFiles;
use crate::params::Schedule;

/// Interval of the looks at a link without carrier, and at a table that has changed during the dump.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// After a link-up, a switch takes a moment before it forwards frames.
const SWITCH_DELAY: Duration = Duration::from_millis(50);
/// How long after the end of the schedule a burst still waits for a carrier.
pub(crate) const CARRIER_PATIENCE: Duration = Duration::from_secs(600);

/// Sends the announcements of the schedule from its entry number `next` on, relative to now. Ends with
/// the schedule, with the address, or at `until`.
///
/// Before each announcement it looks at the address and at the link. The burst begins again when the
/// carrier returns, even if it was lost only between two looks: no host can have received the
/// announcements before, and the switch can have learned something else. It also begins again when the
/// MAC address has changed (failover of a bond). Events of the kernel wake it between two announcements.
pub(crate) fn run(
    announcement: &Announcement,
    netlink: &Netlink,
    schedule: &Schedule,
    next: usize,
    until: Deadline,
) {
    // Without events it still looks before each announcement.
    let mut events = Events::subscribe(&[EventGroup::Link]).ok();
    let mut burst = Burst { next, ..Burst::begin(Instant::now()) };
    while let Some(due) = burst.next_look(schedule) {
        if due > until {
            return;
        }
        wait(events.as_mut(), due);
        match Look::take(announcement, netlink) {
            Look::Gone => return,
            Look::NotYet => burst.is_blocked = true,
            Look::Ready(link) => {
                burst.notice_changes(&link);
                if burst.is_due(schedule) {
                    // If it can't be sent, the next look shows that the carrier or the address is gone.
                    match send(announcement, &link) {
                        Ok(()) => burst.next += 1,
                        Err(_) => burst.is_blocked = true,
                    }
                }
            }
            Look::Unclear => {
                if Deadline::after(LOOK_AGAIN) > until {
                    return;
                }
                std::thread::sleep(LOOK_AGAIN);
            }
        }
    }
}

fn send(announcement: &Announcement, link: &Link) -> Result<()> {
    // A socket for each announcement: the link can have been replaced by one with the same name, and a
    // socket that stays open collects frames that nothing reads.
    let mut socket = open_socket(link, announcement.ip)?;
    announcement.send(&mut socket, link)?;
    RunFiles::of(announcement.ip, Some(&link.name)).note_announcement();
    Ok(())
}

/// Waits until `due`, or until a link has changed.
fn wait(events: Option<&mut Events>, due: Deadline) {
    let changed = match events {
        Some(events) => events.wait(due),
        None => Ok(false),
    };
    // A subscription that fails must not turn the burst into a busy loop.
    if !matches!(changed, Ok(true)) {
        std::thread::sleep(due.remaining());
    }
}

/// The progress of a burst.
struct Burst {
    /// The zero of the schedule.
    zero: Instant,
    /// The entry of the schedule that is due next.
    next: usize,
    /// Nothing could be sent at the last look: the next one that can send begins the burst again.
    is_blocked: bool,
    /// The link at the last look.
    last: Option<LinkState>,
}

/// Begins the burst again when it has changed.
#[derive(Clone, Copy)]
struct LinkState {
    mac: Option<MacAddress>,
    carrier_losses: u32,
}

impl Burst {
    fn begin(zero: Instant) -> Self {
        Self { zero, next: 0, is_blocked: false, last: None }
    }

    fn due(&self, schedule: &Schedule) -> Option<Instant> {
        schedule.times().get(self.next).map(|time| self.zero + *time)
    }

    fn next_look(&self, schedule: &Schedule) -> Option<Deadline> {
        let due = self.due(schedule)?;
        Some(if self.is_blocked { Deadline::after(LOOK_AGAIN) } else { Deadline::at(due) })
    }

    fn is_due(&self, schedule: &Schedule) -> bool {
        self.due(schedule).is_some_and(|due| Instant::now() >= due)
    }

    fn notice_changes(&mut self, link: &Link) {
        let now = LinkState { mac: link.mac, carrier_losses: link.carrier_losses };
        let lost_carrier = self.last.is_some_and(|last| last.carrier_losses != now.carrier_losses);
        if self.is_blocked || lost_carrier {
            *self = Self::begin(Instant::now() + SWITCH_DELAY);
        } else if self.last.is_some_and(|last| last.mac != now.mac) {
            *self = Self::begin(Instant::now());
        }
        self.last = Some(now);
    }
}

/// Whether the next announcement can be sent.
enum Look {
    Ready(Box<Link>),
    /// The address is there, but nothing can be sent yet.
    NotYet,
    /// The address is not there any more.
    Gone,
    /// The kernel gave no clear answer.
    Unclear,
}

impl Look {
    fn take(announcement: &Announcement, netlink: &Netlink) -> Self {
        // A deadline of its own: the burst goes on if the kernel does not answer.
        let until = Deadline::after(LOOK_AGAIN);
        let Announcement { ip, prefix, link, .. } = announcement;
        let addresses = match netlink.addresses(Family::of(*ip), Some(*link), until) {
            Ok(addresses) => addresses,
            Err(Error::NoSuchLink { .. }) => return Self::Gone,
            Err(_) => return Self::Unclear,
        };
        let there = addresses.iter().find(|address| {
            address.ip == *ip && address.prefix == *prefix && address.peer.is_none()
        });
        // A duplicate is not announced: another host has the address.
        let Some(there) = there.filter(|address| !address.flags.dadfailed) else {
            return Self::Gone;
        };
        match netlink.link_by_index(*link, until) {
            // Not before duplicate address detection has ended (RFC 4862 section 5.4).
            Ok(Some(link)) if link.usable() && judge::is_unusable(there) => Self::NotYet,
            Ok(Some(link)) if link.usable() => Self::Ready(Box::new(link)),
            Ok(Some(_)) => Self::NotYet,
            Ok(None) => Self::Gone,
            Err(_) => Self::Unclear,
        }
    }
}
