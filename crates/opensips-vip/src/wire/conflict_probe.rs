//! Duplicate address check: does another host have the VIP? By ARP probes (RFC 5227) or, for IPv6, by
//! Neighbor Solicitations (RFC 4862 section 5.4).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::arp::{self, Arp};
use hostnet::ndisc::{self, NeighborMessage};
use hostnet::{Error, MacAddress, PacketSocket, Result};

use super::claimed_by;
use super::own_links::OwnLinks;
use crate::params::DuplicateCheck;

/// How many times an address is probed, because a frame can be lost.
const PROBES: u32 = 2;

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
        // The begin of the first probe without an answer, if there was an answer before.
        let mut silent_since = None;
        let mut failed = None;
        loop {
            let begin = Instant::now();
            let round = until.within(check.timeout);
            match self.probe(socket, Conflicts::OwnersAndProbers, check.timeout, until) {
                // An earlier conflict counts more than an incomplete probe.
                Ok(ProbeResult::Unknown) => return Ok(last),
                Ok(ProbeResult::Free) if last == ProbeResult::Unknown => {
                    return Ok(ProbeResult::Free);
                }
                Ok(ProbeResult::Free) => {
                    let since = *silent_since.get_or_insert(begin);
                    if since.elapsed() >= RELEASE_TIME {
                        return Ok(ProbeResult::Free);
                    }
                    // Beyond the check's wait: the other host may just have released the address.
                    if !is_cancelled() {
                        continue;
                    }
                }
                Ok(conflict @ ProbeResult::Conflict(_)) => (last, silent_since) = (conflict, None),
                Err(error @ Error::PermissionDenied { .. }) => return Err(error),
                // A link that is down for a moment, a full buffer: nothing was probed.
                Err(error) => (failed, silent_since) = (Some(error), None),
            }
            if give_up.has_passed() || is_cancelled() {
                return match failed {
                    Some(error) if last == ProbeResult::Unknown => Err(error),
                    _ => Ok(last),
                };
            }
            // One probe per round, because the wait can be long.
            std::thread::sleep(round.remaining());
        }
    }

    /// Probes once and listens for `timeout`, but not beyond `until`. It sends two frames, because one
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
        if let IpAddr::V6(ip) = self.ip {
            // For the probes of others; the answers of owners are received without it.
            let _ = socket.join_solicited_node(ip);
        }
        for _ in 0..PROBES {
            match self.ip {
                IpAddr::V4(ip) => socket.send(&arp::probe(self.mac, ip))?,
                IpAddr::V6(ip) => socket.send(&ndisc::probe(self.mac, ip))?,
            }
            // From the end of the send on: a full queue delays it, and a host that was not asked can't answer.
            let end = Deadline::after(timeout / PROBES);
            while let Some(frame) = socket.receive(end.min(until))? {
                if let Some(mac) = self.conflict_in(&frame, conflicts) {
                    return Ok(ProbeResult::Conflict(mac));
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
