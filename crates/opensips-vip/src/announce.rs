//! Announcements: what is sent, and a burst of them by the schedule.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{
    Error, EventGroup, Events, Family, Link, LinkIndex, MacAddress, Netlink, PacketSocket, Prefix,
    Result, Sysctl, arp, ndisc,
};

use crate::params::{Form, is_link_local};
use crate::question::{self, Asker};
use crate::run_directory::RunDirectory;
use crate::schedule::Schedule;

/// How often a link without carrier is looked at, and a table that kept changing.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// A switch forwards a moment after there is a carrier.
const FORWARDS: Duration = Duration::from_millis(50);
/// How long after the end of the schedule a burst that waits for a carrier is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// How long the hosts that are told one by one may take to answer where they are.
const ANSWER: Duration = Duration::from_millis(100);

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) ip: IpAddr,
    pub(crate) prefix: Prefix,
    pub(crate) link: LinkIndex,
    pub(crate) form: Form,
    /// Hosts that are also told one by one.
    pub(crate) targets: Vec<IpAddr>,
}

impl Subject {
    /// The frames of one announcement. They go to everybody, so the receiver that an ARP reply
    /// names is everybody.
    fn frames(&self, mac: MacAddress, router: bool) -> Vec<Vec<u8>> {
        let ip = match self.ip {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(ip) => return vec![ndisc::announcement(mac, ip, router)],
        };
        let request = || arp::announcement_request(mac, ip).to_vec();
        let reply = || arp::announcement_reply(mac, ip, MacAddress::BROADCAST).to_vec();
        match self.form {
            Form::Request => vec![request()],
            Form::Reply => vec![reply()],
            Form::Both => vec![request(), reply()],
        }
    }

    /// The announcement to one host.
    fn frame_to(
        &self,
        mac: MacAddress,
        router: bool,
        (to, to_mac): (IpAddr, MacAddress),
    ) -> Option<Vec<u8>> {
        match (self.ip, to) {
            (IpAddr::V4(ip), IpAddr::V4(_)) => {
                Some(arp::announcement_reply(mac, ip, to_mac).to_vec())
            }
            (IpAddr::V6(ip), IpAddr::V6(to)) => {
                Some(ndisc::announcement_to(mac, ip, router, (to_mac, to)))
            }
            _ => None,
        }
    }

    /// Sends one announcement: to everybody, then to each of the targets.
    pub(crate) fn send(&self, socket: &mut PacketSocket, link: &Link) -> Result<()> {
        let Some(mac) = link.mac else { return Ok(()) };
        // Read each time: it decides over routes through this host (RFC 4861 section 7.2.5). A link
        // without the setting does not forward.
        let router =
            self.ip.is_ipv6() && Sysctl::default().forwards_ipv6(&link.name).unwrap_or(false);
        self.frames(mac, router).iter().try_for_each(|frame| socket.send(frame))?;
        if self.targets.is_empty() {
            return Ok(());
        }
        let asker = Asker { ip: self.ip, mac, own: Vec::new() };
        let found = asker.resolve(socket, &self.targets, ANSWER)?;
        let frames = found.into_iter().filter_map(|target| self.frame_to(mac, router, target));
        frames.into_iter().try_for_each(|frame| socket.send(&frame))
    }

    /// Looks whether the VIP may be announced now.
    fn look(&self, netlink: &Netlink, until: Deadline) -> Look {
        let addresses = match netlink.addresses(Family::of(self.ip), Some(self.link), until) {
            Ok(addresses) => addresses,
            Err(Error::NoSuchLink { .. }) => return Look::Gone,
            Err(_) => return Look::Unclear,
        };
        let there = addresses.iter().find(|address| {
            address.ip == self.ip && address.prefix == self.prefix && address.peer.is_none()
        });
        // An address that has turned out to be another host's is not ours to announce.
        let Some(there) = there.filter(|address| !address.flags.dadfailed) else {
            return Look::Gone;
        };
        match netlink.link_by_index(self.link, until) {
            // Its duplicate address detection comes first (RFC 4862 section 5.4).
            Ok(Some(link)) if link.usable() && crate::judge::not_ready(there) => Look::NotYet,
            Ok(Some(link)) if link.usable() => Look::Ready(Box::new(link)),
            Ok(Some(_)) => Look::NotYet,
            Ok(None) => Look::Gone,
            Err(_) => Look::Unclear,
        }
    }

    /// Sends what the schedule says from its entry number `next` on, relative to now. Before each
    /// announcement it looks whether the address is still there, and at the link's carrier and
    /// hardware address. Without carrier it waits; when it is back the burst begins anew, because
    /// nobody can have heard the first one, and the switch may have learnt something else. So it
    /// does where the carrier was gone between two looks, however shortly, and when the hardware
    /// address has changed (a bond that has failed over). The kernel's events wake it between two
    /// announcements.
    ///
    /// Ends with the schedule, with the address, or at `until`.
    pub(crate) fn burst(
        &self,
        netlink: &Netlink,
        schedule: &Schedule,
        next: usize,
        until: Deadline,
    ) {
        // Without events it still looks before each announcement.
        let mut events = Events::subscribe(&[EventGroup::Link]).ok();
        let mut burst = Burst { next, ..Burst::anew(Instant::now()) };
        while let Some(time) = schedule.times().get(burst.next) {
            let due = if burst.waits {
                Deadline::after(LOOK_AGAIN)
            } else {
                Deadline::at(burst.begin + *time)
            };
            if due > until {
                return;
            }
            wait(events.as_mut(), due);
            // A look of its own deadline: a kernel that does not answer is not waited for.
            match self.look(netlink, Deadline::after(LOOK_AGAIN)) {
                Look::Gone => return,
                Look::Ready(link) => {
                    let last = burst.seen;
                    if burst.waits || last.is_some_and(|last| last.losses != link.carrier_losses) {
                        burst = Burst::anew(Instant::now() + FORWARDS);
                    } else if last.is_some_and(|last| last.mac != link.mac) {
                        burst = Burst::anew(Instant::now());
                    }
                    burst.seen = Some(Seen { mac: link.mac, losses: link.carrier_losses });
                    let is_due = schedule
                        .times()
                        .get(burst.next)
                        .is_some_and(|time| Instant::now() >= burst.begin + *time);
                    if is_due {
                        // A link that can't be sent on will have lost its carrier by the next look,
                        // or its address.
                        match self.send_on(&link) {
                            true => burst.next += 1,
                            false => burst.waits = true,
                        }
                    }
                }
                Look::NotYet => burst.waits = true,
                Look::Unclear => {
                    if Deadline::after(LOOK_AGAIN) > until {
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
        question::socket(link, self.ip)
            .and_then(|mut socket| self.send(&mut socket, link))
            .map(|()| {
                let zone = is_link_local(self.ip).then_some(&link.name);
                RunDirectory::new().on(zone).note_announcement(self.ip);
            })
            .is_ok()
    }
}

/// Waits until `due`, or until a link has changed.
fn wait(events: Option<&mut Events>, due: Deadline) {
    let rang = match events {
        Some(events) => events.wait(due),
        None => Ok(false),
    };
    // A subscription that fails must not turn the burst into a busy loop.
    if !matches!(rang, Ok(true)) {
        std::thread::sleep(due.remaining());
    }
}

/// Where a burst is.
struct Burst {
    /// What the schedule counts from.
    begin: Instant,
    /// The entry of the schedule that is due next.
    next: usize,
    /// The link could not be sent on at the last look: the next that can begins anew.
    waits: bool,
    /// The link at the last look.
    seen: Option<Seen>,
}

/// What of a link makes a burst begin anew when it has changed.
#[derive(Clone, Copy)]
struct Seen {
    mac: Option<MacAddress>,
    losses: u32,
}

impl Burst {
    fn anew(begin: Instant) -> Self {
        Self { begin, next: 0, waits: false, seen: None }
    }
}

/// What a look at the host says about the next announcement.
enum Look {
    /// Address and carrier are there.
    Ready(Box<Link>),
    /// The address is there; nothing can be sent yet.
    NotYet,
    /// The address is not there any more.
    Gone,
    /// The kernel gave no clear answer.
    Unclear,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostnet::arp::Arp;
    use hostnet::ndisc::NeighborMessage;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn subject(ip: IpAddr, form: Form) -> Subject {
        let link = LinkIndex::new(2).unwrap();
        Subject { ip, prefix: Prefix::host(Family::of(ip)), link, form, targets: Vec::new() }
    }

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

    #[test]
    fn forms() {
        let ip = Ipv4Addr::new(192, 0, 2, 10);
        let replies = |form| {
            let frames = subject(ip.into(), form).frames(MAC, false);
            let read = frames.iter().map(|frame| {
                let arp = Arp::parse(frame).unwrap();
                assert_eq!((arp.claims(ip), arp.target_ip), (Some(MAC), ip));
                arp.is_reply
            });
            read.collect::<Vec<_>>()
        };
        assert_eq!(replies(Form::Request), [false]);
        assert_eq!(replies(Form::Reply), [true]);
        assert_eq!(replies(Form::Both), [false, true]);
    }

    #[test]
    fn ipv6_has_one_form() {
        let ip: Ipv6Addr = "2001:db8::10".parse().unwrap();
        for (form, router) in [(Form::Request, false), (Form::Reply, true), (Form::Both, true)] {
            let frames = subject(ip.into(), form).frames(MAC, router);
            let [frame] = &frames[..] else { panic!("{frames:?}") };
            let message = NeighborMessage::parse(frame).unwrap();
            assert_eq!(message.claims(ip), Some(MAC));
            assert_eq!(
                (message.overrides, message.solicited, message.router),
                (true, false, router)
            );
        }
    }

    #[test]
    fn one_by_one() {
        let to_mac = MacAddress([2, 0, 0, 0, 0, 9]);
        let v4 = subject("192.0.2.10".parse().unwrap(), Form::Request);
        let to = |text: &str| (text.parse().unwrap(), to_mac);
        let frame = v4.frame_to(MAC, false, to("192.0.2.1")).unwrap();
        assert_eq!(frame[..6], to_mac.0);
        assert!(Arp::parse(&frame).unwrap().is_reply);
        assert_eq!(v4.frame_to(MAC, false, to("2001:db8::1")), None);
        let v6 = subject("2001:db8::10".parse().unwrap(), Form::Request);
        let frame = v6.frame_to(MAC, true, to("2001:db8::1")).unwrap();
        assert_eq!(frame[..6], to_mac.0);
        assert!(NeighborMessage::parse(&frame).unwrap().router);
    }
}
