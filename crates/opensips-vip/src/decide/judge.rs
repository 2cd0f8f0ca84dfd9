//! What the host's tables say about the VIP: the verdict of monitor, of the probe, and of the
//! look that start takes at its own work. Pure.

use std::fmt;

use hostnet::{Address, Link, LinkCondition, LinkName};
use ocf::{Exit, Verdict};

use crate::params::{LinkCheck, Nic, Params};

/// What monitor looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// Every instance of the VIP on this host.
    pub(crate) instances: Vec<Address>,
    /// The link on which it is expected; see [`judge`].
    pub(crate) link: Option<Link>,
    /// The condition of what that link stands on; `None` if it is not stacked.
    pub(crate) stack: Option<LinkCondition>,
    /// `nic` is a network in which no link of the host has an address any more, but for the VIP.
    pub(crate) lost_network: bool,
}

impl Sight {
    /// The instance that is exactly as the parameters want it.
    pub(crate) fn exact(&self, params: &Params) -> Option<&Address> {
        exact(params, &self.instances, self.link.as_ref()?)
    }

    /// Whether the kernel is still looking for duplicates of the VIP, on a link where it can.
    pub(crate) fn is_tentative(&self, params: &Params) -> bool {
        let usable = self.link.as_ref().is_some_and(Link::usable);
        usable
            && self
                .exact(params)
                .is_some_and(|address| not_ready(address) && !address.flags.dadfailed)
    }

    /// The verdict of monitor.
    pub(crate) fn judge(&self, params: &Params) -> Verdict {
        let verdict = judge(params, &self.instances, self.link.as_ref());
        if let (Exit::Success, true, Some(link), Some(nic)) =
            (verdict.exit, self.lost_network, &self.link, &params.nic)
        {
            let reason = format!(
                "{} is on {}, but no interface has an address in nic={nic} any more: it could not be \
                 started here again",
                params.ip, link.name
            );
            return Verdict::degraded(reason);
        }
        match (&self.link, &self.stack) {
            (Some(link), Some(LinkCondition::Degraded(down)))
                if verdict.exit == Exit::Success && params.link_check != LinkCheck::Ignore =>
            {
                let down: Vec<_> = down.iter().map(LinkName::as_str).collect();
                let down = down.join(", ");
                let reason =
                    format!("{} is on {}, but below it {down} is down", params.ip, link.name);
                Verdict::degraded(reason)
            }
            _ => verdict,
        }
    }
}

/// The kernel's number of `lo`, the same in every namespace (`LOOPBACK_IFINDEX`).
pub(crate) const LOOPBACK: u32 = 1;

/// Every instance of the VIP among the host's addresses, whatever prefix, link or label.
pub(crate) fn instances(params: &Params, addresses: &[Address]) -> Vec<Address> {
    addresses.iter().filter(|address| address.ip == params.ip).cloned().collect()
}

/// The instance on whose link the VIP is expected, where `nic` does not say it: one with the right
/// prefix before others, a real link before `lo`.
pub(crate) fn most_likely<'a>(params: &Params, instances: &'a [Address]) -> Option<&'a Address> {
    instances.iter().min_by_key(|address| {
        let link = address.link.get();
        (!has_right_prefix(params, address), link == LOOPBACK, link)
    })
}

/// Whether the kernel does not use the address yet: it looks for duplicates first (RFC 4862), unless
/// it is optimistic meanwhile (RFC 4429), or it has found one.
pub(crate) fn not_ready(address: &Address) -> bool {
    address.flags.dadfailed || address.flags.tentative && !address.flags.optimistic
}

/// The instance that is exactly as the parameters want it on that link. Without `cidr_netmask` any
/// prefix is right: the network it was taken from may have gone since.
pub(crate) fn exact<'a>(
    params: &Params,
    instances: &'a [Address],
    link: &Link,
) -> Option<&'a Address> {
    instances.iter().find(|address| address.link == link.index && has_right_prefix(params, address))
}

fn has_right_prefix(params: &Params, address: &Address) -> bool {
    // With a peer the prefix is the peer's network, not ours.
    address.peer.is_none() && params.prefix.is_none_or(|prefix| prefix == address.prefix)
}

/// The verdict over all `instances` of the VIP on this host. `link` is the one named by `nic`
/// (`None`: not on this host), or without `nic` that of the [`most_likely`] instance.
///
/// 7 only if there is no instance at all.
pub(crate) fn judge(params: &Params, instances: &[Address], link: Option<&Link>) -> Verdict {
    if instances.is_empty() {
        return Verdict::not_running();
    }
    let Some((link, exact)) = link.and_then(|link| Some((link, exact(params, instances, link)?)))
    else {
        return Verdict::failed(Exit::Generic, misplaced(params, instances, link));
    };
    if exact.flags.dadfailed {
        let reason = format!(
            "{} is in use by another host on {}: duplicate address detection failed",
            params.ip, link.name
        );
        return Verdict::failed(Exit::Generic, reason);
    }
    let carrier = match params.link_check {
        LinkCheck::Ignore => None,
        LinkCheck::Fail | LinkCheck::Degrade => without_carrier(link),
    };
    if let Some(state) = carrier {
        let reason = format!("{} is on {}, but {state}", params.ip, link.name);
        return match params.link_check {
            LinkCheck::Degrade => Verdict::degraded(reason),
            _ => Verdict::failed(Exit::Generic, reason),
        };
    }
    // Without carrier it can't end, and that has been judged.
    if not_ready(exact) && link.usable() {
        let reason = format!(
            "{} on {} is not usable yet: duplicate address detection goes on (tentative)",
            params.ip, link.name
        );
        return Verdict::failed(Exit::Generic, reason);
    }
    let others: Vec<_> = instances.iter().filter(|address| *address != exact).collect();
    if others.is_empty() {
        Verdict::success()
    } else {
        Verdict::degraded(format!(
            "{} is on this node more than once: also {}",
            params.ip,
            List(&others)
        ))
    }
}

fn misplaced(params: &Params, instances: &[Address], link: Option<&Link>) -> String {
    let wanted = match (&params.nic, link, params.prefix) {
        (Some(Nic::Name(nic)), None, _) => format!("interface {nic}, which does not exist"),
        (Some(Nic::Mac(mac)), None, _) => {
            format!("an interface with MAC {mac}, which does not exist")
        }
        (Some(Nic::Network(network)), None, _) => {
            format!("an interface in {network}, and there is none")
        }
        (Some(nic), Some(_), Some(prefix)) => format!("{nic} with /{prefix}"),
        (Some(nic), Some(_), None) => nic.to_string(),
        (None, Some(link), None) => link.name.to_string(),
        (None, Some(link), Some(prefix)) => format!("{} with /{prefix}", link.name),
        (None, None, Some(prefix)) => format!("an interface with /{prefix}"),
        (None, None, None) => "an interface that exists".to_owned(),
    };
    let found: Vec<_> = instances.iter().collect();
    format!("{} belongs on {wanted}, but it is there as {}", params.ip, List(&found))
}

/// Why no frame can leave or arrive on the link; `None` if they can, or if it is `lo`.
pub(crate) fn without_carrier(link: &Link) -> Option<LinkState<'_>> {
    (!link.loopback && !link.usable()).then_some(LinkState(link))
}

/// A link that is not usable, in words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkState<'a>(&'a Link);

impl fmt::Display for LinkState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(link) = self;
        if !link.admin_up {
            write!(f, "{} is administratively down", link.name)
        } else if !link.carrier {
            write!(f, "{} has no carrier", link.name)
        } else {
            write!(f, "{} is {}", link.name, link.operstate)
        }
    }
}

/// An address as people write it: `192.0.2.10/24 on eth0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a>(pub &'a Address);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(address) = self;
        write!(f, "{}/{} on ", address.ip, address.prefix)?;
        // The kernel makes the label of an IPv4 address from its link's name; anything else is
        // somebody's own text.
        let name = address.label.as_deref().and_then(|label| {
            label.split(':').next().and_then(|name| name.parse::<LinkName>().ok())
        });
        match name {
            Some(name) => write!(f, "{}", ocf::shown(name.as_str().as_bytes())),
            None => write!(f, "interface {}", address.link),
        }
    }
}

/// Several addresses.
pub(crate) struct List<'a>(pub &'a [&'a Address]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.0.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { ", " }, Shown(address))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{address, labelled, link, params};

    fn judged(
        given: &[(&str, &str)],
        instances: &[Address],
        link: Option<&Link>,
    ) -> (Exit, Option<String>) {
        let verdict = judge(&params(given), instances, link);
        (verdict.exit, verdict.reason)
    }

    #[test]
    fn absent_is_7_whatever_the_parameters_say() {
        for given in [&[][..], &[("nic", "eth0")], &[("cidr_netmask", "24"), ("nic", "gone")]] {
            assert_eq!(judged(given, &[], None), (Exit::NotRunning, None));
            assert_eq!(judged(given, &[], Some(&link(2, "eth0"))), (Exit::NotRunning, None));
        }
    }

    #[test]
    fn exactly_there_is_0() {
        let there = [address(2, "192.0.2.10/24")];
        let eth0 = link(2, "eth0");
        for given in [
            &[][..],
            &[("nic", "eth0")],
            &[("nic", "eth0"), ("cidr_netmask", "24")],
            &[("nic", "enp2s0"), ("cidr_netmask", "24")],
        ] {
            assert_eq!(judged(given, &there, Some(&eth0)), (Exit::Success, None));
        }
    }

    #[test]
    fn there_but_wrong_is_1_and_says_where_it_is() {
        let eth0 = link(2, "eth0");
        let given = [("nic", "eth0"), ("cidr_netmask", "24")];
        let (exit, reason) = judged(&given, &[labelled(2, "192.0.2.10/32", "eth0")], Some(&eth0));
        assert_eq!(exit, Exit::Generic);
        assert_eq!(
            reason.unwrap(),
            "192.0.2.10 belongs on eth0 with /24, but it is there as 192.0.2.10/32 on eth0"
        );
        let (exit, reason) = judged(&given, &[address(3, "192.0.2.10/24")], Some(&eth0));
        assert_eq!(exit, Exit::Generic);
        assert!(reason.unwrap().ends_with("192.0.2.10/24 on interface 3"));
        let (exit, reason) = judged(&given, &[labelled(3, "192.0.2.10/24", "eth1:sip")], None);
        assert_eq!(exit, Exit::Generic);
        assert!(reason.unwrap().contains("interface eth0, which does not exist"));
        let with_peer =
            Address { peer: Some("198.51.100.1".parse().unwrap()), ..address(2, "192.0.2.10/24") };
        assert_eq!(judged(&given, &[with_peer], Some(&eth0)).0, Exit::Generic);
    }

    #[test]
    fn a_second_instance_is_degraded() {
        let there = [labelled(3, "192.0.2.10/32", "eth1"), address(2, "192.0.2.10/24")];
        let (exit, reason) = judged(&[("nic", "eth0")], &there, Some(&link(2, "eth0")));
        assert_eq!(exit, Exit::Degraded);
        assert_eq!(
            reason.unwrap(),
            "192.0.2.10 is on this node more than once: also 192.0.2.10/32 on eth1"
        );
    }

    #[test]
    fn carrier_as_the_parameter_says() {
        let there = [address(2, "192.0.2.10/24")];
        let no_carrier = Link { carrier: false, ..link(2, "eth0") };
        let down = Link { admin_up: false, ..no_carrier.clone() };
        let lower =
            Link { operstate: hostnet::OperationalState::LowerLayerDown, ..link(2, "eth0") };
        for (state, words) in [
            (&no_carrier, "eth0 has no carrier"),
            (&down, "eth0 is administratively down"),
            (&lower, "eth0 is LOWERLAYERDOWN"),
        ] {
            let judged = |check| judged(&[("check_link_status", check)], &there, Some(state));
            let (exit, reason) = judged("yes");
            assert_eq!(
                (exit, reason),
                (Exit::Generic, Some(format!("192.0.2.10 is on eth0, but {words}")))
            );
            assert_eq!(judged("degraded").0, Exit::Degraded);
            assert_eq!(judged("no"), (Exit::Success, None));
        }
        let lo = Link { loopback: true, carrier: false, ..link(1, "lo") };
        assert_eq!(judged(&[], &[address(1, "192.0.2.10/32")], Some(&lo)).0, Exit::Success);
    }

    #[test]
    fn ipv6_is_usable_when_its_duplicate_address_detection_is_done() {
        let given = [("ip", "2001:db8::10"), ("nic", "eth0")];
        let with = |change: fn(&mut Address)| {
            let mut address = address(2, "2001:db8::10/64");
            change(&mut address);
            // Of others nothing is believed about this one.
            let mut sibling = crate::testing::fixtures::address(2, "2001:db8::11/64");
            sibling.flags.dadfailed = true;
            instances(&params(&given), &[sibling, address])
        };
        let eth0 = link(2, "eth0");
        let judged = |there: &[Address]| judged(&given, there, Some(&eth0));
        assert_eq!(judged(&with(|_| ())), (Exit::Success, None));
        let (exit, reason) =
            judged(&with(|it| (it.flags.tentative, it.flags.dadfailed) = (true, true)));
        assert_eq!(exit, Exit::Generic);
        assert!(reason.unwrap().contains("in use by another host on eth0"));
        let tentative = with(|it| it.flags.tentative = true);
        let (exit, reason) = judged(&tentative);
        assert_eq!(exit, Exit::Generic);
        assert!(reason.unwrap().contains("(tentative)"));
        let optimistic = with(|it| (it.flags.tentative, it.flags.optimistic) = (true, true));
        assert_eq!(judged(&optimistic), (Exit::Success, None));
        // Without carrier it can't end.
        let unplugged = Link { carrier: false, ..link(2, "eth0") };
        let ignoring = params(&[given[0], given[1], ("check_link_status", "no")]);
        assert_eq!(judge(&ignoring, &tentative, Some(&unplugged)).exit, Exit::Success);
    }

    #[test]
    fn a_port_of_a_bond_that_is_down_is_degraded() {
        let given = |check| params(&[("nic", "bond0"), ("check_link_status", check)]);
        let sight = Sight {
            instances: vec![address(2, "192.0.2.10/24")],
            link: Some(link(2, "bond0")),
            stack: Some(LinkCondition::Degraded(vec!["eth1".parse().unwrap()])),
            lost_network: false,
        };
        for check in ["yes", "degraded"] {
            let verdict = sight.judge(&given(check));
            assert_eq!(verdict.exit, Exit::Degraded);
            assert_eq!(
                verdict.reason.unwrap(),
                "192.0.2.10 is on bond0, but below it eth1 is down"
            );
        }
        assert_eq!(sight.judge(&given("no")).exit, Exit::Success);
    }

    #[test]
    fn without_nic_a_real_link_counts_before_loopback() {
        let there = [address(1, "192.0.2.10/32"), address(4, "192.0.2.10/24")];
        let link = |given: &[(&str, &str)]| most_likely(&params(given), &there).unwrap().link.get();
        assert_eq!(link(&[]), 4);
        assert_eq!(link(&[("cidr_netmask", "32")]), 1);
    }
}
