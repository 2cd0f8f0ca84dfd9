//! Announcements: gratuitous ARP (RFC 5227) or unsolicited Neighbor Advertisements (RFC 4861).

use std::net::IpAddr;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{
    Link, LinkIndex, MacAddress, Netlink, PacketSocket, Prefix, Result, Sysctl, arp, ndisc,
};

use super::resolve::resolve;
use crate::host::tables;
use crate::log_line::{failure, line};
use crate::params::{AnnounceTarget, Form, Params};

/// How long the hosts that get a unicast announcement may take to answer with their MAC address.
const RESOLVE_TIMEOUT: Duration = Duration::from_millis(100);

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) ip: IpAddr,
    pub(crate) prefix: Prefix,
    pub(crate) link: LinkIndex,
    pub(crate) form: Form,
    /// Hosts that also get a unicast announcement.
    pub(crate) targets: Vec<IpAddr>,
}

impl Announcement {
    /// What the parameters ask for; `None`: nothing is announced.
    pub(crate) fn of(
        params: &Params,
        netlink: &Netlink,
        (link, prefix): (LinkIndex, Prefix),
        until: Deadline,
    ) -> Option<Self> {
        let form = params.announce?;
        let targets = targets(params, netlink, link, until);
        Some(Self { ip: params.ip, prefix, link, form, targets })
    }

    /// Sends one announcement: as broadcast, then as unicast to each of the targets.
    pub(crate) fn send(&self, socket: &mut PacketSocket, link: &Link) -> Result<()> {
        let Some(mac) = link.mac else { return Ok(()) };
        // Read each time: a wrong router flag changes routes through this host (RFC 4861 section 7.2.5).
        // A link without the setting does not forward.
        let router =
            self.ip.is_ipv6() && Sysctl::default().forwards_ipv6(&link.name).unwrap_or(false);
        self.broadcast(mac, router).iter().try_for_each(|frame| socket.send(frame))?;
        if self.targets.is_empty() {
            return Ok(());
        }
        let resolved = resolve(socket, (self.ip, mac), &self.targets, RESOLVE_TIMEOUT)?;
        let frames = resolved.into_iter().filter_map(|target| self.unicast(mac, router, target));
        frames.into_iter().try_for_each(|frame| socket.send(&frame))
    }

    /// The frames to all hosts. The target MAC address of an ARP reply is the broadcast address, too.
    fn broadcast(&self, mac: MacAddress, router: bool) -> Vec<Vec<u8>> {
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

    /// The frame to one host.
    fn unicast(
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
}

/// The hosts that also get unicast announcements.
fn targets(params: &Params, netlink: &Netlink, link: LinkIndex, until: Deadline) -> Vec<IpAddr> {
    let mut targets = Vec::new();
    for target in &params.targets {
        match target {
            AnnounceTarget::Host(ip) => targets.push(*ip),
            AnnounceTarget::Gateway => match tables::gateway(netlink, params, link, until) {
                Ok(Some(gateway)) => targets.push(gateway),
                Ok(None) => {
                    log::warn!("{}", line().note("announce_targets=gateway: there is no gateway"));
                }
                Err(error) => {
                    log::warn!(
                        "{}",
                        failure(&error).note("announce_targets=gateway: no gateway is known")
                    );
                }
            },
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostnet::Family;
    use hostnet::arp::Arp;
    use hostnet::ndisc::NeighborMessage;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn announcement(ip: IpAddr, form: Form) -> Announcement {
        let link = LinkIndex::new(2).unwrap();
        Announcement { ip, prefix: Prefix::host(Family::of(ip)), link, form, targets: Vec::new() }
    }

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

    #[test]
    fn forms() {
        let ip = Ipv4Addr::new(192, 0, 2, 10);
        let replies = |form| {
            let frames = announcement(ip.into(), form).broadcast(MAC, false);
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
            let frames = announcement(ip.into(), form).broadcast(MAC, router);
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
    fn unicast_to_targets() {
        let to_mac = MacAddress([2, 0, 0, 0, 0, 9]);
        let v4 = announcement("192.0.2.10".parse().unwrap(), Form::Request);
        let to = |text: &str| (text.parse().unwrap(), to_mac);
        let frame = v4.unicast(MAC, false, to("192.0.2.1")).unwrap();
        assert_eq!(frame[..6], to_mac.0);
        assert!(Arp::parse(&frame).unwrap().is_reply);
        assert_eq!(v4.unicast(MAC, false, to("2001:db8::1")), None);
        let v6 = announcement("2001:db8::10".parse().unwrap(), Form::Request);
        let frame = v6.unicast(MAC, true, to("2001:db8::1")).unwrap();
        assert_eq!(frame[..6], to_mac.0);
        assert!(NeighborMessage::parse(&frame).unwrap().router);
    }
}
