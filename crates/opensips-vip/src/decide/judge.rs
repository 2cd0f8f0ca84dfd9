//! The verdict of monitor, of the probe, and of start about its own work. Pure.

use std::fmt;
use std::net::IpAddr;

use hostnet::{Address, Link, LinkCondition, LinkIndex, LinkName, MacAddress};
use ocf::{Exit, Verdict};

use super::carrier::Elsewhere;
use super::names::LinkNames;
use super::target;
use crate::params::{LinkCheck, Nic, Params};

/// What monitor observes of the VIP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Every instance of the VIP on this host, whatever prefix, link or label.
    pub(crate) instances: Vec<Address>,
    /// The link that `nic` identifies (`None`: not on this host), or without `nic` that of the
    /// [`most_likely`] instance.
    pub(crate) link: Option<Link>,
    /// The link of a link-local VIP, after which its files are named.
    pub(crate) zone: Option<LinkIndex>,
    /// The condition of the links below that link; `None` if it has none below it.
    pub(crate) stack: Option<LinkCondition>,
    /// Whether another node has a carrier; looked at only if this one has none.
    pub(crate) elsewhere: Elsewhere,
    /// Why the VIP is not announced, although it should be.
    pub(crate) unannounced: Option<Unannounced>,
    /// The host's own address that comes after the VIP in their network, for which the host's own
    /// connections leave from the VIP.
    pub(crate) precedes: Option<IpAddr>,
    /// `nic` is a network in which no link has an address any more, except for the VIP.
    pub(crate) lost_network: bool,
    /// For texts; complete only if the VIP is not where it belongs.
    pub(crate) names: LinkNames,
}

impl Observation {
    /// The instance that is exactly as the parameters want it.
    pub(crate) fn exact(&self, params: &Params) -> Option<&Address> {
        exact(params, &self.instances, self.link.as_ref()?)
    }

    /// Returns true while the kernel's duplicate address detection runs on a usable link.
    pub(crate) fn is_tentative(&self, params: &Params) -> bool {
        self.link.as_ref().is_some_and(Link::usable)
            && self
                .exact(params)
                .is_some_and(|address| is_unusable(address) && !address.flags.dadfailed)
    }

    /// The verdict of monitor: "not running" only if there is no instance at all.
    pub(crate) fn judge(&self, params: &Params) -> Verdict {
        if self.instances.is_empty() {
            return Verdict::not_running();
        }
        let Some((link, exact)) = self.link.as_ref().zip(self.exact(params)) else {
            return Verdict::failed(Exit::Generic, self.misplaced(params));
        };
        let vip = Vip { params, link, exact };
        vip.failed_detection()
            .or_else(|| vip.without_carrier(&self.elsewhere))
            .or_else(|| vip.unfinished_detection())
            .or_else(|| self.unreachable(vip))
            .or_else(|| self.unannounced(vip))
            .or_else(|| self.superfluous(vip))
            .or_else(|| self.before_the_own_address(vip))
            .or_else(|| self.last_of_its_network(vip))
            .or_else(|| self.lower_link_down(vip))
            .unwrap_or_else(Verdict::success)
    }

    fn misplaced(&self, params: &Params) -> String {
        let wanted = match (&params.nic, &self.link, params.prefix) {
            (Some(Nic::Name(nic)), None, _) => format!("interface {nic}, which does not exist"),
            (Some(Nic::Mac(mac)), None, _) => {
                format!("the interface with MAC {mac}, which does not exist")
            }
            (Some(Nic::Network(network)), None, _) => {
                format!("the interface in {network}, which does not exist")
            }
            (Some(nic), Some(_), Some(prefix)) => format!("{nic} with /{prefix}"),
            (Some(nic), Some(_), None) => nic.to_string(),
            (None, Some(link), None) => link.name.to_string(),
            (None, Some(link), Some(prefix)) => format!("{} with /{prefix}", link.name),
            (None, None, Some(prefix)) => format!("an interface with /{prefix}"),
            (None, None, None) => "an interface that exists".to_owned(),
        };
        let found = self.names.addresses(&self.instances);
        format!("{} belongs on {wanted}, but this node has {found}", params.ip)
    }

    /// A restart does not heal it, and where the bridge has a route to the same network the VIP can serve.
    fn unreachable(&self, Vip { params, link, .. }: Vip<'_>) -> Option<Verdict> {
        let why = target::unreachable(link, &self.names)?;
        Some(Verdict::degraded(format!("{} can be unreachable: {why}", params.ip)))
    }

    fn unannounced(&self, Vip { params, link, .. }: Vip<'_>) -> Option<Verdict> {
        Some(Verdict::degraded(match self.unannounced? {
            Unannounced::Conflict(mac) => format!(
                "{} is in use by {mac} on {}, and is not announced: remove it from that host",
                params.ip, link.name
            ),
            Unannounced::NotSent => {
                format!("{} is not announced: {}", params.ip, refuses_to_send(&link.name))
            }
            Unannounced::NoAnnouncer => format!(
                "{} is not announced: its announcer could not be started: check the load and the memory of \
                 this node",
                params.ip
            ),
        }))
    }

    fn superfluous(&self, Vip { params, exact, .. }: Vip<'_>) -> Option<Verdict> {
        let mut others = self.instances.iter().filter(|address| *address != exact).peekable();
        others.peek()?;
        let others = self.names.addresses(others);
        let reason = format!("{} is on this node more than once: remove {others}", params.ip);
        Some(Verdict::degraded(reason))
    }

    fn before_the_own_address(&self, Vip { params, link, .. }: Vip<'_>) -> Option<Verdict> {
        let own = self.precedes?;
        let reason = format!(
            "{} comes before this node's own address {own} on {}, so that the node's own connections \
             leave from it: run crm_resource --restart",
            params.ip, link.name
        );
        Some(Verdict::degraded(reason))
    }

    fn last_of_its_network(&self, Vip { params, link, .. }: Vip<'_>) -> Option<Verdict> {
        let nic = params.nic.as_ref().filter(|_| self.lost_network)?;
        let reason = format!(
            "{} is on {}, but no interface has another address in nic={nic}: add the node's own, \
             or the next start here fails",
            params.ip, link.name
        );
        Some(Verdict::degraded(reason))
    }

    fn lower_link_down(&self, Vip { params, link, .. }: Vip<'_>) -> Option<Verdict> {
        let Some(LinkCondition::Degraded(down)) = &self.stack else { return None };
        if params.link_check == LinkCheck::Ignore {
            return None;
        }
        let down: Vec<_> = down.iter().map(LinkName::as_str).collect();
        let down = match &down[..] {
            [one] => format!("but its lower interface {one} is down"),
            several => format!("but its lower interfaces {} are down", several.join(", ")),
        };
        let reason = format!(
            "{} is on {}, {down}: check the cable and the switch port",
            params.ip, link.name
        );
        Some(Verdict::degraded(reason))
    }
}

/// Why the VIP is not announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unannounced {
    /// Another host has it.
    Conflict(MacAddress),
    /// The kernel takes no frame for the link, although it has a carrier: its queue is full, or a filter or a
    /// policer drops them.
    NotSent,
    /// start had no carrier, and could not leave a process that waits for it.
    NoAnnouncer,
}

/// Why nothing can be sent on a link that has a carrier.
pub(crate) fn refuses_to_send(link: &LinkName) -> String {
    format!(
        "{link} refuses to send: check its queue (tc -s qdisc show dev {link}) and packet filters"
    )
}

/// The VIP as the parameters want it.
#[derive(Clone, Copy)]
struct Vip<'a> {
    params: &'a Params,
    link: &'a Link,
    exact: &'a Address,
}

impl Vip<'_> {
    fn failed_detection(self) -> Option<Verdict> {
        let reason = || {
            format!(
                "{} is in use by another host on {} (IPv6 duplicate address detection failed): remove \
                 it from that host",
                self.params.ip, self.link.name
            )
        };
        self.exact.flags.dadfailed.then(|| Verdict::failed(Exit::Generic, reason()))
    }

    /// A link that is down is brought up by a restart. Of a carrier that is missing only a move to a node
    /// with one helps: any other failure would end the service, bar this node, and keep the service
    /// from coming back with the carrier.
    fn without_carrier(self, elsewhere: &Elsewhere) -> Option<Verdict> {
        let Self { params, link, .. } = self;
        let state = without_carrier(link)?;
        let reason =
            |state: &dyn fmt::Display| format!("{} is on {}, but {state}", params.ip, link.name);
        let fault = state.fault();
        match (params.link_check, elsewhere) {
            (LinkCheck::Ignore, _) => None,
            (LinkCheck::Degrade, _) => Some(Verdict::degraded(reason(&state))),
            (LinkCheck::Fail, _) if !link.admin_up => {
                Some(Verdict::failed(Exit::Generic, reason(&state)))
            }
            (LinkCheck::Fail, Elsewhere::On { nodes, moving }) => {
                let nodes = nodes.join(", ");
                Some(if *moving {
                    let why = format!("{fault}: wait for the cluster to move it to {nodes}");
                    Verdict::degraded(reason(&why))
                } else {
                    Verdict::failed(Exit::Generic, reason(&state))
                })
            }
            (LinkCheck::Fail, Elsewhere::Nowhere) => {
                let why = format!("{fault}, and no other node has a carrier: check the switch");
                Some(Verdict::degraded(reason(&why)))
            }
            (LinkCheck::Fail, Elsewhere::Unknown) => {
                let why = format!(
                    "{fault}, and whether another node has one is unknown: check the cable and the \
                     switch port"
                );
                Some(Verdict::degraded(reason(&why)))
            }
        }
    }

    fn unfinished_detection(self) -> Option<Verdict> {
        // Without carrier it can't end, and that has been judged.
        if !(is_unusable(self.exact) && self.link.usable()) {
            return None;
        }
        let reason = format!(
            "{} on {} is still tentative: wait for IPv6 duplicate address detection to end",
            self.params.ip, self.link.name
        );
        Some(Verdict::failed(Exit::Generic, reason))
    }
}

/// The kernel's number of `lo`, the same in every namespace (`LOOPBACK_IFINDEX`).
pub(crate) const LOOPBACK: u32 = 1;

/// Every instance of the VIP among the host's addresses, whatever prefix, link or label.
pub(crate) fn instances(params: &Params, addresses: &[Address]) -> Vec<Address> {
    addresses.iter().filter(|address| address.ip == params.ip).cloned().collect()
}

/// The instance on whose link the VIP is expected if `nic` is not set: one with the right prefix
/// before others, another link before `lo`.
pub(crate) fn most_likely<'a>(params: &Params, instances: &'a [Address]) -> Option<&'a Address> {
    instances.iter().min_by_key(|address| {
        let link = address.link.get();
        (!has_right_prefix(params, address), link == LOOPBACK, link)
    })
}

/// Returns true if the kernel does not use the address: its duplicate address detection has not ended
/// (RFC 4862), and the address is not optimistic (RFC 4429), or it has found a duplicate.
pub(crate) fn is_unusable(address: &Address) -> bool {
    address.flags.dadfailed || address.flags.tentative && !address.flags.optimistic
}

/// The instance that is exactly as the parameters want it on that link. Without `cidr_netmask` every
/// prefix is right: the connected network from which start took it can have gone since.
pub(crate) fn exact<'a>(
    params: &Params,
    instances: &'a [Address],
    link: &Link,
) -> Option<&'a Address> {
    instances.iter().find(|address| address.link == link.index && has_right_prefix(params, address))
}

fn has_right_prefix(params: &Params, address: &Address) -> bool {
    // With a peer, the prefix is that of the peer's network.
    address.peer.is_none() && params.prefix.is_none_or(|prefix| prefix == address.prefix)
}

/// The addresses that come after an IPv4 address in its network. The kernel gives the host's own
/// connections the first one as their source (`inet_select_addr`). It is the VIP where the host's own
/// address was deleted and added again, or has come later (DHCP, NetworkManager).
pub(crate) fn followers<'a>(
    instance: &'a Address,
    addresses: &'a [Address],
) -> impl Iterator<Item = IpAddr> + 'a {
    let follows = |other: &&Address| {
        !instance.flags.secondary
            && other.flags.secondary
            && other.ip.is_ipv4()
            && (other.link, other.network()) == (instance.link, instance.network())
            && other.ip != instance.ip
    };
    addresses.iter().filter(move |other| follows(other)).map(|other| other.ip)
}

/// Why no frame can be sent or received on the link; `None` if it can, and for `lo`.
pub(crate) fn without_carrier(link: &Link) -> Option<Unusable<'_>> {
    (!link.loopback && !link.usable()).then_some(Unusable(link))
}

/// The state of a link that is not usable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unusable<'a>(&'a Link);

impl Unusable<'_> {
    /// What is wrong, without what to do.
    fn fault(self) -> String {
        let Self(link) = self;
        if !link.admin_up {
            format!("{} is administratively down", link.name)
        } else if !link.carrier {
            format!("{} has no carrier", link.name)
        } else {
            format!("{} is {}", link.name, link.operstate)
        }
    }
}

impl fmt::Display for Unusable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(link) = self;
        let remedy = if !link.admin_up {
            "set it up"
        } else if !link.carrier {
            "check the cable and the switch port"
        } else {
            "check its lower interfaces"
        };
        write!(f, "{}: {remedy}", self.fault())
    }
}

#[cfg(test)]
mod tests;
