//! Questions on the link: who has this address? By ARP or Neighbor Discovery.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::arp::{self, Arp};
use hostnet::ndisc::{self, NeighborMessage};
use hostnet::{Error, EtherType, Link, MacAddress, PacketSocket, Result};

use crate::params::DuplicateCheck;

/// How long somebody who has the VIP has to be silent until it is believed that he has let it go: one
/// lost frame, or a switch that learns, must not be taken for that.
pub(crate) const LET_GO: Duration = Duration::from_millis(500);

/// A socket for announcements of and questions about `ip`.
pub(crate) fn socket(link: &Link, ip: IpAddr) -> Result<PacketSocket> {
    let protocol = if ip.is_ipv4() { EtherType::Arp } else { EtherType::Ipv6 };
    PacketSocket::open(link, protocol)
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing in all the time that was to be listened.
    Nobody,
    /// Another host has the VIP, or is about to take it with a better right.
    Rival(MacAddress),
    /// Nothing, but there was no time to listen for long enough.
    Unknown,
}

/// Who counts as a rival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rivals {
    /// Who has the VIP. For its owner somebody who asks for it, as another node's start and many
    /// switches do, is none (RFC 5227 section 2.1.1 has the rule for those who ask themselves).
    Owners,
    /// Who has it, or asks for it with a better right: of two who ask at the same time, the one with
    /// the lower hardware address goes on.
    OwnersAndAskers,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    /// The VIP.
    pub(crate) ip: IpAddr,
    /// The hardware address of the link.
    pub(crate) mac: MacAddress,
    /// Those of all links of this host. Another one of them on the same LAN answers, too (Linux
    /// answers on every link for every address of the host), and is no rival.
    pub(crate) own: Vec<MacAddress>,
}

impl Asker {
    /// Asks whether another host has the VIP, until nobody has answered for the check's timeout
    /// ([`LET_GO`] where somebody did before), or somebody still does at the end of its wait, or of the
    /// action's time, or `ended` says so.
    ///
    /// # Errors
    /// Those of the socket, where it can't be asked for all that time, and nobody was heard. Without
    /// the privilege at once.
    pub(crate) fn wait_until_free(
        &self,
        socket: &mut PacketSocket,
        check: DuplicateCheck,
        until: Deadline,
        ended: impl Fn() -> bool,
    ) -> Result<Heard> {
        let give_up = until.within(check.wait);
        let mut last = Heard::Unknown;
        // Since when nobody answers, where somebody did.
        let mut silent_since = None;
        let mut failed = None;
        loop {
            let begin = Instant::now();
            let round = until.within(check.timeout);
            match self.rival(socket, Rivals::OwnersAndAskers, check.timeout, until) {
                // Who was there a moment ago is more than a silence that was cut short.
                Ok(Heard::Unknown) => return Ok(last),
                Ok(Heard::Nobody) if last == Heard::Unknown => return Ok(Heard::Nobody),
                Ok(Heard::Nobody) => {
                    let since = *silent_since.get_or_insert(begin);
                    if since.elapsed() >= LET_GO {
                        return Ok(Heard::Nobody);
                    }
                    // Whatever the wait: it may be his end.
                    if !ended() {
                        continue;
                    }
                }
                Ok(rival @ Heard::Rival(_)) => (last, silent_since) = (rival, None),
                Err(error @ Error::PermissionDenied { .. }) => return Err(error),
                // A link that is down for a moment, a full buffer: a silence that nobody could break.
                Err(error) => (failed, silent_since) = (Some(error), None),
            }
            if give_up.has_passed() || ended() {
                return match failed {
                    Some(error) if last == Heard::Unknown => Err(error),
                    _ => Ok(last),
                };
            }
            // One question in a round: the wait may be long.
            std::thread::sleep(round.remaining());
        }
    }

    /// Asks once; who answers for the VIP, as soon as somebody does, or that nobody did in that
    /// silence, if it ends before `until`. The question is sent twice, for a frame can be lost.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn rival(
        &self,
        socket: &mut PacketSocket,
        rivals: Rivals,
        silence: Duration,
        until: Deadline,
    ) -> Result<Heard> {
        if let IpAddr::V6(ip) = self.ip {
            // To hear of others who are about to take it. Without that, who has it is still heard.
            let _ = socket.join_solicited_node(ip);
        }
        let begin = Instant::now();
        for end in [begin + silence / 2, begin + silence].map(Deadline::at) {
            match self.ip {
                IpAddr::V4(ip) => socket.send(&arp::probe(self.mac, ip))?,
                IpAddr::V6(ip) => socket.send(&ndisc::probe(self.mac, ip))?,
            }
            while let Some(frame) = socket.receive(end.min(until))? {
                if let Some(rival) = self.rival_in(&frame, rivals) {
                    return Ok(Heard::Rival(rival));
                }
            }
            if end > until {
                return Ok(Heard::Unknown);
            }
        }
        Ok(Heard::Nobody)
    }

    /// The rival by this frame.
    fn rival_in(&self, frame: &[u8], rivals: Rivals) -> Option<MacAddress> {
        let is_other = |mac: &MacAddress| !self.own.contains(mac) && *mac != self.mac;
        let asker = || match rivals {
            Rivals::Owners => None,
            Rivals::OwnersAndAskers => {
                probed_by(frame, self.ip).filter(|mac| is_other(mac) && *mac < self.mac)
            }
        };
        claimed_by(frame, self.ip).filter(is_other).or_else(asker)
    }

    /// The hardware addresses of these neighbours, asked from the VIP; those that have answered in
    /// that time. A question from the VIP also tells the one who is asked where it is.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn resolve(
        &self,
        socket: &mut PacketSocket,
        neighbours: &[IpAddr],
        within: Duration,
    ) -> Result<Vec<(IpAddr, MacAddress)>> {
        let until = Deadline::after(within);
        for neighbour in neighbours {
            match (self.ip, neighbour) {
                (IpAddr::V4(ip), IpAddr::V4(to)) => {
                    socket.send(&arp::request(self.mac, ip, *to))?;
                }
                (IpAddr::V6(ip), IpAddr::V6(to)) => {
                    socket.send(&ndisc::request(self.mac, ip, *to))?;
                }
                _ => {}
            }
        }
        let mut found: Vec<(IpAddr, MacAddress)> = Vec::new();
        while found.len() < neighbours.len()
            && let Some(frame) = socket.receive(until)?
        {
            for neighbour in neighbours {
                if let Some(mac) = claimed_by(&frame, *neighbour)
                    && !found.iter().any(|(known, _)| known == neighbour)
                {
                    found.push((*neighbour, mac));
                }
            }
        }
        Ok(found)
    }
}

/// Who has `ip` by this frame.
fn claimed_by(frame: &[u8], ip: IpAddr) -> Option<MacAddress> {
    match ip {
        IpAddr::V4(ip) => Arp::parse(frame)?.claims(ip),
        IpAddr::V6(ip) => NeighborMessage::parse(frame)?.claims(ip),
    }
}

/// Who is about to take `ip` by this frame.
fn probed_by(frame: &[u8], ip: IpAddr) -> Option<MacAddress> {
    match ip {
        IpAddr::V4(ip) => Arp::parse(frame)?.probes(ip),
        IpAddr::V6(ip) => NeighborMessage::parse(frame)?.probes(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
    const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);

    fn mac(last: u8) -> MacAddress {
        MacAddress([2, 0, 0, 0, 0, last])
    }

    #[test]
    fn rivals() {
        let asker = |ip| Asker { ip, mac: mac(5), own: vec![mac(5), mac(6)] };
        let (v4, v6) = (asker(V4.into()), asker(V6.into()));
        let all = Rivals::OwnersAndAskers;
        for (other, rival) in [(9, Some(mac(9))), (4, Some(mac(4))), (5, None), (6, None)] {
            let other = mac(other);
            assert_eq!(v4.rival_in(&arp::announcement_request(other, V4), all), rival);
            assert_eq!(
                v4.rival_in(&arp::request(other, V4, Ipv4Addr::new(192, 0, 2, 1)), all),
                rival
            );
            assert_eq!(v6.rival_in(&ndisc::announcement(other, V6, false), all), rival);
            assert_eq!(v4.rival_in(&ndisc::announcement(other, V6, false), all), None);
        }
        // Who asks at the same time: one of both goes on.
        for (other, rival) in [(9, None), (4, Some(mac(4))), (5, None), (6, None)] {
            assert_eq!(v4.rival_in(&arp::probe(mac(other), V4), all), rival);
            assert_eq!(v6.rival_in(&ndisc::probe(mac(other), V6), all), rival);
            // Once one of them has it, the question of the other is none.
            assert_eq!(v4.rival_in(&arp::probe(mac(other), V4), Rivals::Owners), None);
            assert_eq!(v6.rival_in(&ndisc::probe(mac(other), V6), Rivals::Owners), None);
        }
        let another = Ipv4Addr::new(192, 0, 2, 11);
        assert_eq!(v4.rival_in(&arp::announcement_request(mac(9), another), all), None);
        assert_eq!(v4.rival_in(&[0; 60], all), None);
    }
}
