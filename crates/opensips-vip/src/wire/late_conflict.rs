//! Another host that answers for the VIP after start has added it.
//!
//! start hands its packet socket over to the announcer, which goes on to read from it. So nothing is missed
//! that arrives after the duplicate address check, which can have been short.

use std::os::fd::OwnedFd;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{EtherType, Family, MacAddress, Netlink, PacketSocket, Result};

use super::announcer::Job;
use super::conflict_probe::{Conflicts, Prober};
use super::look::announced;
use super::own_links::OwnLinks;
use crate::host::run_files::{ConflictOrigin, RunFiles};
use crate::log_line::{failure, line};

/// How long the tables may take that tell whether a claim is this host's own.
const TABLES: Duration = Duration::from_millis(200);

/// The socket of start, as long as something is to be heard on it.
#[derive(Debug)]
pub(crate) struct Listener(Option<PacketSocket>);

impl Listener {
    /// Hears nothing.
    pub(crate) const fn deaf() -> Self {
        Self(None)
    }

    /// Listens on the socket of this start.
    pub(crate) fn on(socket: Option<PacketSocket>, job: &Job) -> Self {
        Self(socket.filter(|_| job.probe_timeout.is_some()))
    }

    /// Listens on what start has handed over. An announcer that a monitor has started has nothing of that, and
    /// probes before it announces.
    pub(crate) fn of(job: &Job, netlink: &Netlink, descriptor: OwnedFd) -> Self {
        let ip = job.announcement.ip;
        let protocol = if ip.is_ipv4() { EtherType::Arp } else { EtherType::Ipv6 };
        let link = netlink.link_by_index(job.announcement.link, Deadline::after(TABLES));
        let (Ok(Some(link)), Some(_)) = (link, job.probe_timeout) else { return Self::deaf() };
        Self(PacketSocket::from_descriptor(&link, protocol, descriptor, &[ip]).ok())
    }

    /// Notes a host that has claimed the VIP since the last look, for the next monitor: that one asks again,
    /// and defends the VIP.
    pub(crate) fn look(&mut self, job: &Job, netlink: &Netlink) {
        let Some(socket) = &mut self.0 else { return };
        match claimed_by(socket, job, netlink) {
            Ok(None) => {}
            Ok(Some(mac)) => {
                let files = RunFiles::of(job.announcement.ip, Some(job.announcement.link));
                // What is noted already says more: start has taken the VIP over from that host.
                if files.noted_conflict().is_none() {
                    log::warn!(
                        "{}",
                        line().field("mac", mac).note("another host also has the VIP")
                    );
                    files.note_conflict(mac, ConflictOrigin::Seen);
                }
                self.0 = None;
            }
            Err(error) => {
                // The link is gone or was down: monitor asks from time to time.
                log::debug!("{}", failure(&error).note("late answers are not received"));
                self.0 = None;
            }
        }
    }
}

/// The host that claims the VIP, according to the frames that wait in the socket.
fn claimed_by(
    socket: &mut PacketSocket,
    job: &Job,
    netlink: &Netlink,
) -> Result<Option<MacAddress>> {
    // Usually there is none, and then nothing else is read.
    if !socket.has_frames()? {
        return Ok(None);
    }
    let ip = job.announcement.ip;
    let until = Deadline::after(TABLES);
    let links = netlink.links(until)?;
    let addresses = netlink.addresses(Family::of(ip), None, until)?;
    let Some((link, mac)) = links
        .iter()
        .find(|link| link.index == job.announcement.link)
        .and_then(|link| Some((link, link.mac?)))
    else {
        return Ok(None);
    };
    // Without the VIP another host can have it rightfully, and what other links of this host have claimed would
    // count as another host. The frames stay unread: the next look at the address ends the announcer.
    if announced(&job.announcement, &addresses).is_none() {
        return Ok(None);
    }
    let own = OwnLinks::of(ip, link, &links, &addresses);
    Prober { ip, mac, own }.has_heard(socket, Conflicts::Owners)
}
