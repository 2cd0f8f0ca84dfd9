//! Duplicate address check: does another host have the VIP? By ARP probes (RFC 5227) or, for IPv6, by
//! Neighbor Solicitations (RFC 4862 section 5.4).

use std::net::IpAddr;
use std::time::Duration;

use deadline::Deadline;
use hostnet::arp::{self, Arp};
use hostnet::ndisc::{self, NeighborMessage};
use hostnet::{Error, MacAddress, PacketSocket, Result};

use super::claimed_by;
use super::own_links::OwnLinks;
use crate::params::DuplicateCheck;

/// A frame can be lost: a short silence has two probes, a longer one a probe in each of these intervals.
/// Switches disable a port that sends more than 15 ARP frames in a second (Dynamic ARP Inspection), the
/// announcements included.
const INTERVAL: Duration = Duration::from_millis(100);
/// The interval after the first [`FREQUENT`] probes, and that between two probes for a host that answers.
const LONG_INTERVAL: Duration = Duration::from_millis(250);
const FREQUENT: u32 = 10;

/// A host that has answered counts as gone after this time without an answer: one lost frame, or a switch
/// that has not learned yet, must not be taken for that.
pub(crate) const RELEASE_TIME: Duration = Duration::from_millis(500);

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeResult {
    /// No conflict in the whole time of the probe.
    Free,
    /// Another host has the VIP, or is about to add it and has priority.
    Conflict(MacAddress),
    /// No conflict, but the deadline has passed before the end of the probe.
    Unknown,
}

/// What counts as a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflicts {
    /// A host that has the VIP. For the owner a host that only probes for it, as the start on another
    /// node and many switches do, is no conflict.
    Owners,
    /// A host that has it, or that probes for it and has priority. Of two hosts that probe at the same
    /// time, RFC 5227 section 2.1.1 lets both give up; here the one with the lower MAC address goes on.
    OwnersAndProbers,
}

/// What sends the probes.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    /// The VIP.
    pub(crate) ip: IpAddr,
    /// The MAC address of the link.
    pub(crate) mac: MacAddress,
    /// Linux answers on every link for every address of the host, so another link on the same LAN answers,
    /// too, and is no conflict.
    pub(crate) own: OwnLinks,
}

impl Prober {
    /// Probes until the address is free: no answer for the timeout of the check, or for
    /// [`RELEASE_TIME`] if a host has answered before. Ends with the last result at the end of the
    /// check's wait, at the deadline, or when `is_cancelled` returns true.
    ///
    /// # Errors
    /// Those of the socket, if there was no conflict. A missing privilege is returned at once.
    pub(crate) fn wait_until_free(
        &self,
        socket: &mut PacketSocket,
        check: DuplicateCheck,
        until: Deadline,
        is_cancelled: impl Fn() -> bool,
    ) -> Result<ProbeResult> {
        let give_up = until.within(check.wait);
        let mut last = ProbeResult::Unknown;
        let mut failed = None;
        loop {
            let timeout = match last {
                ProbeResult::Conflict(_) => check.timeout.max(RELEASE_TIME),
                ProbeResult::Free | ProbeResult::Unknown => check.timeout,
            };
            match self.probe(socket, Conflicts::OwnersAndProbers, timeout, until) {
                // An earlier conflict counts more than an incomplete probe.
                Ok(ProbeResult::Unknown) => return Ok(last),
                Ok(ProbeResult::Free) => return Ok(ProbeResult::Free),
                Ok(conflict @ ProbeResult::Conflict(_)) => last = conflict,
                Err(error @ Error::PermissionDenied { .. }) => return Err(error),
                // A link that is down for a moment, a full buffer: nothing was probed.
                Err(error) => failed = Some(error),
            }
            if give_up.has_passed() || is_cancelled() {
                return match failed {
                    Some(error) if last == ProbeResult::Unknown => Err(error),
                    _ => Ok(last),
                };
            }
            // The wait can be long, and a host that answers is known.
            until.sleep(LONG_INTERVAL);
        }
    }

    /// Probes and listens for `timeout`, but not beyond `until`. It sends several frames, because one
    /// can be lost. Returns a conflict as soon as there is one.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn probe(
        &self,
        socket: &mut PacketSocket,
        conflicts: Conflicts,
        timeout: Duration,
        until: Deadline,
    ) -> Result<ProbeResult> {
        self.send_and_listen(socket, conflicts, &pauses(timeout), until)
    }

    /// The same with one frame.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn probe_once(
        &self,
        socket: &mut PacketSocket,
        conflicts: Conflicts,
        timeout: Duration,
        until: Deadline,
    ) -> Result<ProbeResult> {
        self.send_and_listen(socket, conflicts, &[timeout], until)
    }

    /// Sends a probe before each of the pauses, in which it listens.
    fn send_and_listen(
        &self,
        socket: &mut PacketSocket,
        conflicts: Conflicts,
        pauses: &[Duration],
        until: Deadline,
    ) -> Result<ProbeResult> {
        let mut comes_back = false;
        if let IpAddr::V6(ip) = self.ip {
            // For the probes of others; the answers of owners are received without it.
            let _ = socket.join_solicited_node(ip);
        }
        for pause in pauses {
            match self.ip {
                IpAddr::V4(ip) => socket.send(&arp::probe(self.mac, ip))?,
                IpAddr::V6(ip) => socket.send(&ndisc::probe(self.mac, ip))?,
            }
            // From the end of the send on: a full queue delays it, and a host that was not asked can't answer.
            let end = Deadline::after(*pause);
            while let Some(frame) = socket.receive(end.min(until))? {
                // A port of a switch that sends back what it gets (hairpin mode): this host answers its own
                // probe then.
                comes_back |= probed_by(&frame, self.ip) == Some(self.mac);
                match self.conflict_in(&frame, conflicts) {
                    Some(mac) if comes_back && mac == self.mac => {}
                    Some(mac) => return Ok(ProbeResult::Conflict(mac)),
                    None => {}
                }
            }
            if end > until {
                return Ok(ProbeResult::Unknown);
            }
        }
        Ok(ProbeResult::Free)
    }

    /// The conflicting host, according to a frame.
    fn conflict_in(&self, frame: &[u8], conflicts: Conflicts) -> Option<MacAddress> {
        let answers = answers(frame, self.mac);
        let prober = || match conflicts {
            Conflicts::Owners => None,
            // An equal one is a probe of this host that comes back.
            Conflicts::OwnersAndProbers => probed_by(frame, self.ip).filter(|mac| *mac < self.mac),
        };
        let claim = claimed_by(frame, self.ip).filter(|mac| !self.own.can_claim(*mac, answers));
        claim.or_else(prober)
    }
}

/// How long to listen after each probe of a silence of this length.
fn pauses(silence: Duration) -> Vec<Duration> {
    if silence < 2 * INTERVAL {
        return vec![silence / 2; 2];
    }
    let mut pauses = Vec::new();
    let mut left = silence;
    for count in 0.. {
        let interval = if count < FREQUENT { INTERVAL } else { LONG_INTERVAL };
        // The last probe has at least as much time as the others.
        if left < 2 * interval {
            break;
        }
        pauses.push(interval);
        left -= interval;
    }
    pauses.push(left);
    pauses
}

/// Returns true for a frame that answers the probe of this MAC address. The answer to an IPv6 probe goes to
/// all nodes, like an announcement.
fn answers(frame: &[u8], mac: MacAddress) -> bool {
    Arp::parse(frame).is_some_and(|arp| arp.is_reply && arp.target_mac == mac)
}

/// The host that probes for `ip`, according to a frame.
fn probed_by(frame: &[u8], ip: IpAddr) -> Option<MacAddress> {
    match ip {
        IpAddr::V4(ip) => Arp::parse(frame)?.probes(ip),
        IpAddr::V6(ip) => NeighborMessage::parse(frame)?.probes(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::link;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
    const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

    fn mac(last: u8) -> MacAddress {
        MacAddress([2, 0, 0, 0, 0, last])
    }

    #[test]
    fn a_longer_silence_has_more_probes_but_never_many_in_a_second() {
        let ms = Duration::from_millis;
        for (silence, probes) in [
            (10, 2),
            (50, 2),
            (199, 2),
            (200, 2),
            (500, 5),
            (550, 5),
            (1000, 10),
            (2000, 14),
            (10_000, 46),
        ] {
            let pauses = pauses(ms(silence));
            assert_eq!((pauses.len(), pauses.iter().sum()), (probes, ms(silence)), "{silence}");
            let mut times = vec![Duration::ZERO];
            for pause in &pauses {
                times.push(*times.last().unwrap() + *pause);
            }
            for (at, time) in times.iter().enumerate() {
                let in_a_second = times[at..].iter().take_while(|it| **it - *time < ms(1000));
                assert!(in_a_second.count() <= 10, "{silence}");
            }
        }
    }

    #[test]
    fn conflicts() {
        let prober = |ip| {
            let own = OwnLinks::of(ip, &link(5, "eth0"), &[link(5, "eth0")], &[]);
            Prober { ip, mac: mac(5), own }
        };
        let (v4, v6) = (prober(V4.into()), prober(V6.into()));
        let all = Conflicts::OwnersAndProbers;
        // This host does not have the VIP: its MAC address is that of another host, too.
        for other in [mac(9), mac(4), mac(5)] {
            let conflict = Some(other);
            assert_eq!(v4.conflict_in(&arp::announcement_request(other, V4), all), conflict);
            assert_eq!(
                v4.conflict_in(&arp::request(other, V4, Ipv4Addr::new(192, 0, 2, 1)), all),
                conflict
            );
            assert_eq!(v6.conflict_in(&ndisc::announcement(other, V6, false), all), conflict);
            assert_eq!(v4.conflict_in(&ndisc::announcement(other, V6, false), all), None);
        }
        // Two hosts that probe at the same time: one of them goes on.
        for (other, conflict) in [(9, None), (4, Some(mac(4))), (5, None)] {
            assert_eq!(v4.conflict_in(&arp::probe(mac(other), V4), all), conflict);
            assert_eq!(v6.conflict_in(&ndisc::probe(mac(other), V6), all), conflict);
            // For the owner, the probe of another host is no conflict.
            assert_eq!(v4.conflict_in(&arp::probe(mac(other), V4), Conflicts::Owners), None);
            assert_eq!(v6.conflict_in(&ndisc::probe(mac(other), V6), Conflicts::Owners), None);
        }
        let another = Ipv4Addr::new(192, 0, 2, 11);
        assert_eq!(v4.conflict_in(&arp::announcement_request(mac(9), another), all), None);
        assert_eq!(v4.conflict_in(&[0; 60], all), None);
    }
}
