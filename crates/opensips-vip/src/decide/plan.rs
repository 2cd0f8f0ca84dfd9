//! What start and stop are going to do, decided from the parameters and the host's tables. Pure.

use std::fmt;
use std::net::IpAddr;

use hostnet::{Address, Link, LinkIndex, MacAddress, Network, NewAddress};

use crate::decide::judge::{self, Shown};
use crate::decide::routing;
use crate::decide::target::{self, Refusal, Snapshot, Target};
use crate::params::{LinkCheck, Nodad, Params};

/// What start is going to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Plan {
    /// Where the VIP belongs.
    pub(crate) target: Target,
    /// What is known of the VIP on this host.
    pub(crate) found: Found,
    /// The steps.
    pub(crate) steps: Vec<Step>,
}

/// What start found of the VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Absent,
    /// Just what it would have made.
    Exact,
    /// Instances with another prefix or on another link only.
    Misplaced,
}

impl Found {
    /// The word for what start did about it, for the log.
    pub(crate) const fn done(self) -> &'static str {
        match self {
            Self::Absent => "added",
            Self::Exact => "adopted",
            Self::Misplaced => "moved",
        }
    }
}

/// One step of start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bring the link administratively up.
    BringUp(LinkIndex),
    /// Wait for the link to have carrier; go on without one unless it is required.
    AwaitCarrier {
        /// Whether start fails without one.
        required: bool,
    },
    /// Ask whether another host has the VIP.
    CheckDuplicates,
    /// Add the VIP.
    Add(NewAddress),
    /// IPv6: wait for the end of the kernel's duplicate address detection, if it does any.
    AwaitDuplicateDetection,
    /// Make rule and routes for packets from the VIP.
    RouteFromVip,
    /// Tell the neighbours.
    Announce,
    /// Delete a wrong instance of the VIP.
    Delete(Deletion),
}

/// The deletion of one instance of the VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// As it was dumped.
    pub(crate) address: Address,
    /// Others of its subnet are on the same link. If the kernel has the VIP as the subnet's
    /// primary address, it deletes them with it, unless `promote_secondaries` is set.
    pub(crate) keep_siblings: bool,
}

/// The plan of start. Of several instances the right one stays; a new one is added before the wrong
/// ones go, so that there is no moment without the VIP.
///
/// # Errors
/// The VIP can't be on this host.
pub(crate) fn start(params: &Params, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let instances = judge::instances(params, &snapshot.addresses);
    let exact = snapshot
        .expected_link(params, &instances)
        .and_then(|link| Some((link, judge::exact(params, &instances, link)?)))
        // The kernel does not use it, and will not: it has to be added anew.
        .filter(|(_, exact)| !exact.flags.dadfailed);
    let (target, found) = match exact {
        Some((link, exact)) => {
            let address = NewAddress::new(link.index, exact.ip, exact.prefix);
            (Target { link: link.clone(), address }, Found::Exact)
        }
        None if instances.is_empty() => (target::target(params, snapshot)?, Found::Absent),
        None => (target::target(params, snapshot)?, Found::Misplaced),
    };
    let wrong = instances
        .iter()
        .filter(|address| exact.is_none_or(|(_, exact)| *address != exact))
        .map(|address| deletion(address, &snapshot.addresses));
    let (in_the_way, others): (Vec<_>, Vec<_>) =
        wrong.partition(|deletion| excludes(&deletion.address, &target.address));

    let link = &target.link;
    let mut steps = Vec::new();
    if !link.admin_up {
        steps.push(Step::BringUp(link.index));
    }
    if params.link_check != LinkCheck::Ignore && judge::without_carrier(link).is_some() {
        steps.push(Step::AwaitCarrier { required: params.link_check == LinkCheck::Fail });
    }
    if found != Found::Exact && params.duplicates.is_some() && has_neighbours(link) {
        steps.push(Step::CheckDuplicates);
    }
    steps.extend(in_the_way.into_iter().map(Step::Delete));
    let mut target = target.clone();
    if found != Found::Exact {
        target.address.nodad |= params.ip.is_ipv6()
            && params.nodad == Nodad::Auto
            && steps.contains(&Step::CheckDuplicates);
        steps.push(Step::Add(target.address.clone()));
    }
    if params.ip.is_ipv6() {
        steps.push(Step::AwaitDuplicateDetection);
    }
    if routing::is_asked_for(params) {
        steps.push(Step::RouteFromVip);
    }
    if params.announce.is_some() && has_neighbours(link) {
        steps.push(Step::Announce);
    }
    steps.extend(others.into_iter().map(Step::Delete));
    Ok(Plan { target, found, steps })
}

/// The plan of stop: every instance of the VIP, whatever its prefix, link or label.
#[must_use]
pub(crate) fn stop(ip: IpAddr, addresses: &[Address]) -> Vec<Deletion> {
    addresses
        .iter()
        .filter(|address| address.ip == ip)
        .map(|address| deletion(address, addresses))
        .collect()
}

fn deletion(address: &Address, addresses: &[Address]) -> Deletion {
    // Not by the flag `secondary`: deleting one instance may make another one the primary.
    // IPv6 knows no secondary addresses in this sense.
    let keep_siblings = address.ip.is_ipv4()
        && addresses.iter().any(|other| {
            other.link == address.link
                && other.ip != address.ip
                && other.network() == address.network()
        });
    Deletion { address: address.clone(), keep_siblings }
}

/// Whether the kernel refuses to add `new` while `present` is there: the same address with the same
/// mask, the far ends in the same subnet (`__inet_insert_ifa`); for IPv6 the same address whatever
/// its prefix (`ipv6_add_addr`).
fn excludes(present: &Address, new: &NewAddress) -> bool {
    present.link == new.link
        && present.ip == new.ip
        && (new.ip.is_ipv6() || present.network() == Network::of(new.ip, new.prefix))
}

/// Whether the link has neighbours that keep an ARP cache.
pub(crate) fn has_neighbours(link: &Link) -> bool {
    link.ethernet
        && !link.loopback
        && !link.noarp
        && link.mac.is_some_and(|mac| mac != MacAddress::ZERO)
}

/// Whether the link has neighbours whose frames are not Ethernet's, such as Infiniband's (RFC 4391).
pub(crate) fn is_of_another_kind(link: &Link) -> bool {
    !(link.ethernet || link.loopback || link.noarp || link.point_to_point)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BringUp(link) => write!(f, "bring interface {link} up"),
            Self::AwaitCarrier { required: true } => f.write_str("wait for carrier"),
            Self::AwaitCarrier { required: false } => f.write_str("wait for carrier, if it comes"),
            Self::Add(new) => write!(f, "add {}/{} to interface {}", new.ip, new.prefix, new.link),
            Self::CheckDuplicates => f.write_str("ask for duplicates"),
            Self::AwaitDuplicateDetection => f.write_str("wait for duplicate address detection"),
            Self::RouteFromVip => f.write_str("make rule and routes from the VIP"),
            Self::Announce => f.write_str("announce"),
            Self::Delete(deletion) => deletion.fmt(f),
        }
    }
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = if self.keep_siblings { ", keeping the others of its subnet" } else { "" };
        write!(f, "delete {}{kept}", Shown(&self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{address, connected, labelled, link, lo, params};

    fn host(addresses: &[Address]) -> Snapshot {
        let own = [address(2, "192.0.2.1/24"), address(3, "198.51.100.1/24")];
        Snapshot {
            links: vec![lo(), link(2, "eth0"), link(3, "eth1")],
            addresses: own.iter().chain(addresses).cloned().collect(),
            routes: vec![connected(2, "192.0.2.0/24", None), connected(3, "198.51.100.0/24", None)],
        }
    }

    fn steps(given: &[(&str, &str)], host: &Snapshot) -> Vec<String> {
        start(&params(given), host).unwrap().steps.iter().map(ToString::to_string).collect()
    }

    const ASK: &str = "ask for duplicates";
    const ADD: &str = "add 192.0.2.10/24 to interface 2";

    #[test]
    fn nothing_there() {
        assert_eq!(steps(&[], &host(&[])), [ASK, ADD, "announce"]);
        assert_eq!(steps(&[("announce", "none")], &host(&[])), [ASK, ADD]);
        assert_eq!(steps(&[("duplicate_check", "no")], &host(&[])), [ADD, "announce"]);
        assert_eq!(start(&params(&[]), &host(&[])).unwrap().found, Found::Absent);
    }

    #[test]
    fn exactly_there() {
        for given in [&[][..], &[("nic", "eth0")], &[("nic", "eth0"), ("cidr_netmask", "24")]] {
            let plan = start(&params(given), &host(&[address(2, "192.0.2.10/24")])).unwrap();
            assert_eq!((plan.found, plan.steps), (Found::Exact, vec![Step::Announce]));
        }
        // What monitor accepts, start accepts: without nic and mask it is where it is.
        let elsewhere = start(&params(&[]), &host(&[address(3, "192.0.2.10/32")])).unwrap();
        assert_eq!((elsewhere.found, elsewhere.target.link.name.as_str()), (Found::Exact, "eth1"));
    }

    #[test]
    fn the_right_one_comes_before_the_wrong_ones_go() {
        let given = [("nic", "eth0"), ("cidr_netmask", "24")];
        let wrong = [address(2, "192.0.2.10/32"), labelled(3, "192.0.2.10/24", "eth1")];
        assert_eq!(
            steps(&given, &host(&wrong)),
            [
                ASK,
                ADD,
                "announce",
                "delete 192.0.2.10/32 on interface 2",
                "delete 192.0.2.10/24 on eth1"
            ]
        );
        assert_eq!(start(&params(&given), &host(&wrong)).unwrap().found, Found::Misplaced);
        let both = [address(2, "192.0.2.10/24"), address(3, "192.0.2.10/24")];
        assert_eq!(
            steps(&given, &host(&both)),
            ["announce", "delete 192.0.2.10/24 on interface 3"]
        );
    }

    #[test]
    fn what_excludes_the_right_one_goes_first() {
        let peer = Address { peer: "192.0.2.99".parse().ok(), ..address(2, "192.0.2.10/24") };
        let delete = "delete 192.0.2.10/24 on interface 2, keeping the others of its subnet";
        assert_eq!(steps(&[("nic", "eth0")], &host(&[peer])), [ASK, delete, ADD, "announce"]);
    }

    #[test]
    fn links() {
        let with = |change: fn(&mut Link)| {
            let mut host = host(&[]);
            host.links.iter_mut().filter(|link| link.index.get() == 2).for_each(change);
            host
        };
        let wait = "wait for carrier";
        let down = with(|link| (link.admin_up, link.carrier) = (false, false));
        assert_eq!(steps(&[], &down), ["bring interface 2 up", wait, ASK, ADD, "announce"]);
        let no_carrier = with(|link| link.carrier = false);
        assert_eq!(steps(&[], &no_carrier), [wait, ASK, ADD, "announce"]);
        let check = |word| [("check_link_status", word)];
        assert_eq!(steps(&check("no"), &no_carrier), [ASK, ADD, "announce"]);
        let degraded = "wait for carrier, if it comes";
        assert_eq!(steps(&check("degraded"), &no_carrier), [degraded, ASK, ADD, "announce"]);
        for quiet in [
            with(|link| link.noarp = true),
            with(|link| link.ethernet = false),
            with(|link| link.mac = None),
            with(|link| link.mac = Some(MacAddress::ZERO)),
        ] {
            assert_eq!(steps(&[], &quiet), [ADD]);
        }
    }

    #[test]
    fn ipv6() {
        let add = "add 2001:db8::10/64 to interface 2";
        let dad = "wait for duplicate address detection";
        let mut host = host(&[address(2, "2001:db8::1/64")]);
        let given = [("ip", "2001:db8::10"), ("nic", "eth0"), ("cidr_netmask", "64")];
        let with = |name, value| [&given[..], &[(name, value)]].concat();
        let nodad = |given: &[(&str, &str)], host: &Snapshot| {
            let plan = start(&params(given), host).unwrap();
            let found = plan.steps.iter().find_map(|step| match step {
                Step::Add(new) => Some(new.nodad),
                _ => None,
            });
            assert_eq!(found, Some(plan.target.address.nodad));
            plan.target.address.nodad
        };
        assert_eq!(steps(&given, &host), [ASK, add, dad, "announce"]);
        assert!(nodad(&given, &host));
        assert!(!nodad(&with("nodad", "no"), &host));
        let unasked = with("duplicate_check", "no");
        assert!(!nodad(&unasked, &host));
        assert!(nodad(&[&unasked[..], &[("nodad", "true")]].concat(), &host));
        // Another prefix on the same link excludes ours; what the kernel has given up is done anew.
        host.addresses.push(address(2, "2001:db8::10/128"));
        let delete = "delete 2001:db8::10/128 on interface 2";
        assert_eq!(steps(&given, &host), [ASK, delete, add, dad, "announce"]);
        host.addresses.pop();
        host.addresses.push(address(2, "2001:db8::10/64"));
        assert_eq!(steps(&given, &host), [dad, "announce"]);
        host.addresses.last_mut().unwrap().flags.dadfailed = true;
        let delete = "delete 2001:db8::10/64 on interface 2";
        assert_eq!(steps(&given, &host), [ASK, delete, add, dad, "announce"]);
    }

    #[test]
    fn loopback_is_neither_waited_for_nor_announced_on() {
        let given = [("nic", "lo"), ("cidr_netmask", "32")];
        assert_eq!(steps(&given, &host(&[])), ["add 192.0.2.10/32 to interface 1"]);
    }

    #[test]
    fn stop_takes_every_instance_and_knows_its_siblings() {
        let ip = "192.0.2.10".parse().unwrap();
        let host = host(&[
            address(2, "192.0.2.10/24"),
            address(2, "192.0.2.10/32"),
            labelled(3, "192.0.2.10/24", "eth1:sip"),
        ]);
        let plan: Vec<_> = stop(ip, &host.addresses).iter().map(ToString::to_string).collect();
        assert_eq!(
            plan,
            [
                "delete 192.0.2.10/24 on interface 2, keeping the others of its subnet",
                "delete 192.0.2.10/32 on interface 2",
                "delete 192.0.2.10/24 on eth1"
            ]
        );
        assert!(stop("192.0.2.77".parse().unwrap(), &host.addresses).is_empty());
    }
}
