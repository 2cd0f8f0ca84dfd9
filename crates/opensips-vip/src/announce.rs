//! Announcements: what is sent, and a burst of them by the schedule.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use hostnet::arp::{self, Frame};
use hostnet::{Error, EtherType, Family, Link, LinkIndex, MacAddress, Netlink, PacketSocket};
use hostnet::{Prefix, Result};

use crate::params::Form;
use crate::schedule::Schedule;

/// How often a link without carrier is looked at, and a table that kept changing.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long after the end of the schedule a burst that waits for a carrier is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) ip: Ipv4Addr,
    pub(crate) prefix: Prefix,
    pub(crate) link: LinkIndex,
    pub(crate) form: Form,
}

impl Subject {
    /// The frames of one announcement. They are broadcast, so the receiver that a reply names is
    /// everybody.
    fn frames(&self, mac: MacAddress) -> Vec<Frame> {
        let request = || arp::announcement_request(mac, self.ip);
        let reply = || arp::announcement_reply(mac, self.ip, MacAddress::BROADCAST);
        match self.form {
            Form::Request => vec![request()],
            Form::Reply => vec![reply()],
            Form::Both => vec![request(), reply()],
        }
    }

    /// A socket for announcements, opened before the address is added so that the first frame
    /// follows at once.
    pub(crate) fn socket(link: &Link) -> Result<PacketSocket> {
        PacketSocket::open(link, EtherType::Arp)
    }

    /// Sends one announcement.
    pub(crate) fn send(&self, socket: &mut PacketSocket, mac: MacAddress) -> Result<()> {
        self.frames(mac).iter().try_for_each(|frame| socket.send(frame))
    }

    /// Looks whether the VIP may be announced now.
    fn look(&self, netlink: &Netlink, until: Instant) -> Look {
        let addresses = match netlink.addresses(Family::V4, Some(self.link), until) {
            Ok(addresses) => addresses,
            Err(Error::NoSuchLink { .. }) => return Look::Gone,
            Err(_) => return Look::Unclear,
        };
        let there = addresses.iter().any(|address| {
            address.ip == IpAddr::from(self.ip)
                && address.prefix == self.prefix
                && address.peer.is_none()
        });
        if !there {
            return Look::Gone;
        }
        match netlink.link_by_index(self.link, until) {
            Ok(Some(link)) if link.usable() => Look::Ready(Box::new(link)),
            Ok(Some(_)) => Look::NoCarrier,
            Ok(None) => Look::Gone,
            Err(_) => Look::Unclear,
        }
    }

    /// Sends what the schedule says from its entry number `next` on, relative to now. Before each
    /// announcement it looks whether the address is still there, and at the link's carrier and
    /// hardware address. Without carrier it waits; when it is back the burst begins anew, because
    /// nobody can have heard the first one, and the switch may have learnt something else.
    ///
    /// Ends with the schedule, with the address, or at `until`.
    pub(crate) fn burst(
        &self,
        netlink: &Netlink,
        schedule: &Schedule,
        next: usize,
        until: Instant,
    ) {
        let mut begin = Instant::now();
        let mut next = next;
        while let Some(time) = schedule.times().get(next) {
            let due = begin + *time;
            if due > until {
                return;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // A look of its own deadline: a kernel that does not answer is not waited for.
            match self.look(netlink, Instant::now() + LOOK_AGAIN) {
                Look::Gone => return,
                Look::Ready(link) if self.send_on(&link) => next += 1,
                // A link that can't be sent on will have lost its carrier by the next look, or
                // its address.
                Look::Ready(_) | Look::NoCarrier => {
                    begin = Instant::now() + LOOK_AGAIN;
                    next = 0;
                }
                Look::Unclear => {
                    if Instant::now() + LOOK_AGAIN > until {
                        return;
                    }
                    std::thread::sleep(LOOK_AGAIN);
                }
            }
        }
    }

    fn send_on(&self, link: &Link) -> bool {
        // A socket per announcement: the link may have been replaced under the same name, and
        // none is left open for frames that nobody reads.
        let Some(mac) = link.mac else { return false };
        Self::socket(link).and_then(|mut socket| self.send(&mut socket, mac)).is_ok()
    }
}

/// What a look at the host says about the next announcement.
enum Look {
    /// Address and carrier are there.
    Ready(Box<Link>),
    /// The address is there.
    NoCarrier,
    /// The address is not there any more.
    Gone,
    /// The kernel gave no clear answer.
    Unclear,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostnet::arp::Arp;

    #[test]
    fn forms() {
        let ip = Ipv4Addr::new(192, 0, 2, 10);
        let mac = MacAddress([2, 0, 0, 0, 0, 1]);
        let replies = |form| {
            let prefix = Prefix::host(Family::V4);
            let link = LinkIndex::new(2).unwrap();
            let frames = Subject { ip, prefix, link, form }.frames(mac);
            let read = frames.iter().map(|frame| {
                let arp = Arp::parse(frame).unwrap();
                assert_eq!((arp.claims(ip), arp.target_ip), (Some(mac), ip));
                arp.is_reply
            });
            read.collect::<Vec<_>>()
        };
        assert_eq!(replies(Form::Request), [false]);
        assert_eq!(replies(Form::Reply), [true]);
        assert_eq!(replies(Form::Both), [false, true]);
    }
}
