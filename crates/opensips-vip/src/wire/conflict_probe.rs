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
use crate::decide::controls::Control;
use crate::decide::silence::{Controls, LONG_INTERVAL, Silence};
use crate::params::DuplicateCheck;

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

/// The controls of a check, and whether one of them has answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct AskedControls {
    pub(crate) list: Vec<Control>,
    pub(crate) have_answered: bool,
}

impl AskedControls {
    pub(crate) const fn new(list: Vec<Control>) -> Self {
        Self { list, have_answered: false }
    }
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
    /// Probes until the address is free: no answer for the timeout of the check, for a shorter time if one of
    /// the controls answers, or for [`RELEASE_TIME`] if a host has answered before. Ends with the last result
    /// at the end of the check's wait, at the deadline, or when `is_cancelled` returns true.
    ///
    /// # Errors
    /// Those of the socket, if there was no conflict. A missing privilege is returned at once.
    pub(crate) fn wait_until_free(
        &self,
        socket: &mut PacketSocket,
        check: DuplicateCheck,
        controls: &mut AskedControls,
        until: Deadline,
        is_cancelled: impl Fn() -> bool,
    ) -> Result<ProbeResult> {
        let give_up = until.within(check.wait);
        let mut last = ProbeResult::Unknown;
        let mut failed = None;
        loop {
            let silence = match last {
                ProbeResult::Conflict(_) => Silence::whole(check.timeout.max(RELEASE_TIME)),
                _ if controls.list.is_empty() => Silence::whole(check.timeout),
                ProbeResult::Free | ProbeResult::Unknown => Silence::calibrated(check.timeout),
            };
            let conflicts = Conflicts::OwnersAndProbers;
            match self.send_and_listen(socket, conflicts, silence, controls, until) {
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
        self.send_and_listen(socket, conflicts, Silence::whole(timeout), &mut none(), until)
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
        self.send_and_listen(socket, conflicts, Silence::of_one_probe(timeout), &mut none(), until)
    }

    /// The conflicting host in what the socket has received since it was last read, without waiting.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn has_heard(
        &self,
        socket: &mut PacketSocket,
        conflicts: Conflicts,
    ) -> Result<Option<MacAddress>> {
        let mut comes_back = false;
        while let Some(frame) = socket.receive(Deadline::now())? {
            comes_back |= probed_by(&frame, self.ip) == Some(self.mac);
            match self.conflict_in(&frame, conflicts) {
                Some(mac) if comes_back && mac == self.mac => {}
                Some(mac) => return Ok(Some(mac)),
                None => {}
            }
        }
        Ok(None)
    }

    /// Sends a probe, and requests to the controls, before each of the times in which it listens.
    fn send_and_listen(
        &self,
        socket: &mut PacketSocket,
        conflicts: Conflicts,
        mut silence: Silence,
        controls: &mut AskedControls,
        until: Deadline,
    ) -> Result<ProbeResult> {
        let mut comes_back = false;
        if let IpAddr::V6(ip) = self.ip {
            // For the probes of others; the answers of owners are received without it.
            let _ = socket.join_solicited_node(ip);
        }
        let begun = Instant::now();
        while let Some(asked) = silence.next() {
            self.send_probe(socket)?;
            self.send_requests(socket, asked, &controls.list)?;
            silence.sent(begun.elapsed());
            let end = |silence: &Silence| Deadline::at(begun + silence.end());
            while let Some(frame) = socket.receive(end(&silence).min(until))? {
                // A port of a switch that sends back what it gets (hairpin mode): this host answers its own
                // probe then.
                let prober = probed_by(&frame, self.ip);
                comes_back |= prober == Some(self.mac);
                match self.conflict_in(&frame, conflicts) {
                    Some(mac) if comes_back && mac == self.mac => {}
                    Some(mac) => return Ok(ProbeResult::Conflict(mac)),
                    None if prober.is_some_and(|mac| mac != self.mac) => {
                        silence.has_another_prober();
                    }
                    None => {}
                }
                if let Some((control, mac)) = self.answer_of(&controls.list, &frame) {
                    controls.have_answered = true;
                    silence.answered(control, mac, begun.elapsed());
                }
            }
            if end(&silence) > until {
                return Ok(ProbeResult::Unknown);
            }
        }
        Ok(ProbeResult::Free)
    }

    /// Asks the controls alone, until one of them answers.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn ask_controls(
        &self,
        socket: &mut PacketSocket,
        controls: &mut AskedControls,
        until: Deadline,
    ) -> Result<()> {
        self.send_requests(socket, Controls::All, &controls.list)?;
        while !controls.have_answered
            && let Some(frame) = socket.receive(until)?
        {
            controls.have_answered = self.answer_of(&controls.list, &frame).is_some();
        }
        Ok(())
    }

    fn send_probe(&self, socket: &mut PacketSocket) -> Result<()> {
        match self.ip {
            IpAddr::V4(ip) => socket.send(&arp::probe(self.mac, ip)),
            IpAddr::V6(ip) => socket.send(&ndisc::probe(self.mac, ip)),
        }
    }

    /// Sends requests to the controls, after the probe, so that the owner is asked no later than they are. All
    /// are broadcast, because a storm control of the switch can drop broadcasts alone.
    fn send_requests(
        &self,
        socket: &mut PacketSocket,
        asked: Controls,
        controls: &[Control],
    ) -> Result<()> {
        for (at, control) in controls.iter().enumerate() {
            if !(asked == Controls::All || asked == Controls::One(at)) {
                continue;
            }
            match (control.ip, control.asked_from) {
                (IpAddr::V4(ip), None) => socket.send(&arp::probe(self.mac, ip))?,
                (IpAddr::V4(ip), Some(IpAddr::V4(own))) => {
                    socket.send(&arp::request(self.mac, own, ip))?;
                }
                (IpAddr::V6(ip), Some(IpAddr::V6(own))) => {
                    socket.send(&ndisc::request(self.mac, own, ip))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The control that answers a request of this host with this frame, and its MAC address. What it sends by
    /// itself shows only that this host receives.
    fn answer_of(&self, controls: &[Control], frame: &[u8]) -> Option<(usize, MacAddress)> {
        let answers = |control: &Control| match (control.ip, control.asked_from) {
            (IpAddr::V4(ip), _) => {
                Arp::parse(frame).filter(|_| answers(frame, self.mac))?.claims(ip)
            }
            (IpAddr::V6(ip), Some(IpAddr::V6(own))) => {
                let message = NeighborMessage::parse(frame)?;
                message.claims(ip).filter(|_| message.solicited && message.destination == own)
            }
            _ => None,
        };
        let mut found = controls.iter().enumerate().filter_map(|(at, it)| Some((at, answers(it)?)));
        found.find(|(_, mac)| !self.own.have(*mac))
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

/// Without a control.
const fn none() -> AskedControls {
    AskedControls::new(Vec::new())
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

    #[test]
    fn answers_of_controls() {
        let eth0 = link(5, "eth0");
        let links = [eth0.clone(), link(6, "eth1")];
        let prober = |ip| Prober { ip, mac: mac(5), own: OwnLinks::of(ip, &eth0, &links, &[]) };
        let (gateway, own) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 5));
        let asked_from = Some(own.into());
        let controls = [
            Control { ip: Ipv4Addr::new(192, 0, 2, 2).into(), asked_from },
            Control { ip: gateway.into(), asked_from },
        ];
        let v4 = prober(V4.into());
        let answer = |from, to| arp::announcement_reply(from, gateway, to);
        assert_eq!(v4.answer_of(&controls, &answer(mac(9), mac(5))), Some((1, mac(9))));
        // To another host, of another interface of this host, and what no request asked for.
        assert_eq!(v4.answer_of(&controls, &answer(mac(9), mac(8))), None);
        assert_eq!(v4.answer_of(&controls, &answer(mac(6), mac(5))), None);
        assert_eq!(v4.answer_of(&controls, &arp::announcement_request(mac(9), gateway)), None);
        assert_eq!(v4.answer_of(&controls[..1], &answer(mac(9), mac(5))), None);
        let v6 = prober(V6.into());
        let control = Control { ip: V6.into(), asked_from: Some(Ipv6Addr::LOCALHOST.into()) };
        let unsolicited = ndisc::announcement_to(mac(9), V6, false, (mac(5), Ipv6Addr::LOCALHOST));
        assert_eq!(v6.answer_of(&[control], &unsolicited), None);
        assert_eq!(v6.answer_of(&[control], &ndisc::announcement(mac(9), V6, false)), None);
    }
}
