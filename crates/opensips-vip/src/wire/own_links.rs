//! Which answers to a probe are this host's own.
//!
//! A MAC address alone does not tell: a rival can have that of a link of this host (the virtual router MAC
//! of keepalived, a macvlan or a bridge with a configured address). A link answers only if it is up and
//! the kernel would answer on it.

use std::net::IpAddr;

use hostnet::{Address, Link, LinkIndex, MacAddress, Sysctl};

/// The links of this host, as far as they can answer a probe for the VIP.
#[derive(Clone, Debug)]
pub(crate) struct OwnLinks {
    ip: IpAddr,
    /// The link that probes.
    probing: Link,
    /// Those that can receive what it sends.
    others: Vec<Link>,
    /// The links that have the VIP.
    with_vip: Vec<LinkIndex>,
    /// The MAC addresses of all links.
    macs: Vec<MacAddress>,
}

impl OwnLinks {
    /// `links` are all links of the host; of `addresses` only the instances of the VIP count.
    pub(crate) fn of(ip: IpAddr, probing: &Link, links: &[Link], addresses: &[Address]) -> Self {
        let others = links.iter().filter(|link| can_answer(link, probing)).cloned().collect();
        let instances = addresses.iter().filter(|address| address.ip == ip);
        let with_vip = instances.map(|address| address.link).collect();
        let macs = links.iter().filter_map(|link| link.mac).collect();
        Self { ip, probing: probing.clone(), others, with_vip, macs }
    }

    /// Returns true if a link of this host has the MAC address.
    pub(crate) fn have(&self, mac: MacAddress) -> bool {
        self.macs.contains(&mac)
    }

    /// Returns true if a claim of the VIP by `mac` can come from this host. `is_answer`: it answers a
    /// probe of this host. The link that probes never does that: its own frames come back at most.
    pub(crate) fn can_claim(&self, mac: MacAddress, is_answer: bool) -> bool {
        let comes_back = self.probing.mac == Some(mac) && !is_answer && self.has_vip(&self.probing);
        comes_back || self.others.iter().any(|link| link.mac == Some(mac) && self.answers(link))
    }

    /// Returns true if frames of the VIP can leave by the link. For IPv4, every address is one of the
    /// whole host.
    fn has_vip(&self, link: &Link) -> bool {
        if self.ip.is_ipv4() {
            !self.with_vip.is_empty()
        } else {
            self.with_vip.contains(&link.index)
        }
    }

    /// As `arp_process()` and `ndisc_recv_ns()` of the kernel decide.
    fn answers(&self, link: &Link) -> bool {
        let on_link = self.with_vip.contains(&link.index);
        if self.ip.is_ipv6() {
            return on_link || setting(link, "ipv6", "proxy_ndp") > 0;
        }
        let ignores = match setting(link, "ipv4", ARP_IGNORE) {
            1..=3 => !on_link,
            IGNORE_ALL => true,
            _ => self.with_vip.is_empty(),
        };
        !ignores || setting(link, "ipv4", "proxy_arp") > 0
    }
}

const ARP_IGNORE: &str = "arp_ignore";
/// With this value the kernel answers no ARP request (`arp_ignore()`, net/ipv4/arp.c).
const IGNORE_ALL: u32 = 8;

/// Returns true if the kernel answers no ARP request on the link, whatever it is for.
pub(crate) fn answers_nothing(ip: IpAddr, link: &Link) -> bool {
    ip.is_ipv4() && setting(link, "ipv4", ARP_IGNORE) == IGNORE_ALL
}

/// A setting of which the greater one of the link and of all links counts (`IN_DEV_MAXCONF`).
fn setting(link: &Link, family: &str, name: &str) -> u32 {
    let of = |scope: &str| {
        let path = format!("net/{family}/conf/{scope}/{name}");
        Sysctl::default().read(path).ok()?.parse::<u32>().ok()
    };
    of("all").max(of(link.name.as_str())).unwrap_or(0)
}

/// Returns true if the link can receive what the other one sends, and answer. What is stacked on the
/// link that sends, or below it, does not receive its frames (macvlan, VLAN), and a port of a bridge or
/// bond answers nothing itself.
fn can_answer(link: &Link, probing: &Link) -> bool {
    let is_veth = |link: &Link| link.kind.as_deref() == Some("veth");
    let is_stacked = link.lower == Some(probing.index) && !is_veth(link)
        || probing.lower == Some(link.index) && !is_veth(probing);
    link.index != probing.index
        && link.usable()
        && link.ethernet
        && !(link.loopback || link.noarp || link.is_port() || is_stacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{address, link};

    const V4: &str = "192.0.2.10/24";
    const V6: &str = "2001:db8::10/64";

    fn mac(index: u8) -> MacAddress {
        MacAddress([2, 0, 0, 0, 0, index])
    }

    /// eth0 probes; returns whether a claim by the MAC address of that number can be this host's.
    fn own(vip: &str, links: &[Link], with_vip: &[u32], claims: u8) -> bool {
        let addresses: Vec<_> = with_vip.iter().map(|link| address(*link, vip)).collect();
        let ip = address(1, vip).ip;
        OwnLinks::of(ip, &link(2, "no-eth0"), links, &addresses).can_claim(mac(claims), false)
    }

    #[test]
    fn without_the_vip_this_host_claims_nothing() {
        let links = [link(2, "no-eth0"), link(3, "no-eth1")];
        for claims in [2, 3, 9] {
            assert!(!own(V4, &links, &[], claims) && !own(V6, &links, &[], claims));
        }
    }

    #[test]
    fn each_link_answers_for_an_ipv4_address_and_one_for_an_ipv6_address() {
        let links = [link(2, "no-eth0"), link(3, "no-eth1")];
        assert!(own(V4, &links, &[2], 2) && own(V4, &links, &[2], 3));
        assert!(own(V4, &links, &[3], 2) && own(V4, &links, &[3], 3));
        assert!(own(V6, &links, &[2], 2) && !own(V6, &links, &[2], 3));
        assert!(!own(V6, &links, &[3], 2) && own(V6, &links, &[3], 3));
        assert!(!own(V4, &links, &[2, 3], 9));
    }

    #[test]
    fn a_link_that_can_not_answer_is_not_believed() {
        let eth1 = || link(3, "no-eth1");
        let kind = |kind: &str| Some(kind.to_owned());
        let lower = LinkIndex::new(2);
        for other in [
            Link { admin_up: false, ..eth1() },
            Link { carrier: false, ..eth1() },
            Link { noarp: true, ..eth1() },
            Link { controller_kind: kind("bridge"), ..eth1() },
            Link { lower, kind: kind("macvlan"), ..eth1() },
        ] {
            assert!(!own(V4, &[link(2, "no-eth0"), other], &[2], 3));
        }
        for other in [
            Link { controller_kind: kind("vrf"), ..eth1() },
            // The peer of a veth is no link below it.
            Link { lower, kind: kind("veth"), ..eth1() },
        ] {
            assert!(own(V4, &[link(2, "no-eth0"), other], &[2], 3));
        }
    }

    #[test]
    fn what_answers_a_probe_of_this_link_is_not_this_link() {
        let links = [link(2, "no-eth0")];
        let own = OwnLinks::of(address(1, V4).ip, &links[0], &links, &[address(2, V4)]);
        assert!(own.can_claim(mac(2), false) && !own.can_claim(mac(2), true));
    }
}
