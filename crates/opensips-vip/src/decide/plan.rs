//! What start and stop do, decided from the parameters and the host's tables. Pure.

use std::net::IpAddr;

use hostnet::{Address, Lifetime, Link, MacAddress, Network, NewAddress};

use super::judge;
use super::names::LinkNames;
use super::routing;
use super::target::{self, Refusal, Snapshot, Target};
use crate::params::{Broadcast, LinkCheck, Nodad, Params};

/// What start does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) found: Found,
    /// In this order.
    pub(crate) steps: Vec<Step>,
    /// For texts.
    names: LinkNames,
}

/// What start found of the VIP on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Absent,
    /// Exactly what start adds.
    Exact,
    /// Only instances with another prefix or on another link.
    Misplaced,
}

impl Found {
    /// What start did about it, as the field `state` of its log line.
    pub(crate) const fn state(self) -> &'static str {
        match self {
            Self::Absent => "added",
            Self::Exact => "adopted",
            Self::Misplaced => "moved",
        }
    }
}

/// One step of start. The link and the address are those of the plan's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    BringUp,
    /// Without a carrier start goes on; it fails if it is required and another node has one.
    AwaitCarrier {
        required: bool,
    },
    CheckDuplicates,
    Add,
    /// The VIP is there, with other lifetimes.
    SetLifetimes(Address),
    /// IPv4: add the VIP again, because it is there before the host's own address, or with another label or
    /// broadcast address.
    AddAgain(Address),
    /// IPv6: wait until the kernel's duplicate address detection has ended, if it runs.
    AwaitDuplicateDetection,
    AddSourceRouting,
    Announce,
    /// Delete an instance of the VIP that is not as the parameters want it.
    Delete(Deletion),
}

/// The deletion of one instance of the VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// As it was dumped.
    pub(crate) address: Address,
    /// Other addresses of the same subnet can be on the link. If the VIP is the primary address of the
    /// subnet, the kernel deletes them with it, unless `promote_secondaries` is set. Those that were
    /// dumped do not decide: another VIP can come into the subnet until the deletion.
    pub(crate) keep_siblings: bool,
}

impl Plan {
    /// The step in words, for the log.
    pub(crate) fn describe(&self, step: &Step) -> String {
        let Target { link, address } = &self.target;
        match step {
            Step::BringUp => format!("bring {} up", link.name),
            Step::AwaitCarrier { required: true } => "wait for carrier".to_owned(),
            Step::AwaitCarrier { required: false } => "wait for carrier, not required".to_owned(),
            Step::CheckDuplicates => "check for a duplicate address".to_owned(),
            Step::Add => format!("add {}/{} to {}", address.ip, address.prefix, link.name),
            Step::SetLifetimes(_) => {
                format!("set the lifetimes of {}/{}", address.ip, address.prefix)
            }
            Step::AddAgain(_) => format!("add {}/{} again", address.ip, address.prefix),
            Step::AwaitDuplicateDetection => "wait for duplicate address detection".to_owned(),
            Step::AddSourceRouting => "add source routing".to_owned(),
            Step::Announce => "announce".to_owned(),
            Step::Delete(deletion) => deletion.describe(&self.names),
        }
    }
}

impl Deletion {
    /// The deletion in words, for the log.
    pub(crate) fn describe(&self, names: &LinkNames) -> String {
        let kept = if self.keep_siblings { ", keep the others of its subnet" } else { "" };
        format!("delete {}{kept}", names.address(&self.address))
    }
}

/// The plan of start. Of several instances the right one stays; a new one is added before the wrong
/// ones are deleted, so that there is no moment without the VIP.
///
/// # Errors
/// The VIP can't be on this host.
pub(crate) fn start(params: &Params, snapshot: &Snapshot) -> Result<Plan, Refusal> {
    let instances = judge::instances(params, &snapshot.addresses);
    let exact = snapshot
        .expected_link(params, &instances)
        .and_then(|link| Some((link, judge::exact(params, &instances, link)?)))
        // The kernel never uses it: it has to be deleted and added again.
        .filter(|(_, exact)| !exact.flags.dadfailed);
    let (mut target, found) = match exact {
        Some((link, exact)) => {
            target::require_reachable(link, snapshot)?;
            (target::adopted(params, link, exact), Found::Exact)
        }
        None if instances.is_empty() => (target::choose(params, snapshot)?, Found::Absent),
        None => (target::choose(params, snapshot)?, Found::Misplaced),
    };
    let checks_duplicates =
        found != Found::Exact && params.duplicates.is_some() && has_neighbours(&target.link);
    if found != Found::Exact {
        target.address.nodad |=
            params.ip.is_ipv6() && params.nodad == Nodad::Auto && checks_duplicates;
    }
    let wrong = instances
        .iter()
        .filter(|address| exact.is_none_or(|(_, exact)| *address != exact))
        .map(deletion);
    let (in_the_way, others): (Vec<_>, Vec<_>) =
        wrong.partition(|deletion| excludes(&deletion.address, &target.address));

    let mut steps = before_adding(params, &target.link);
    if checks_duplicates {
        steps.push(Step::CheckDuplicates);
    }
    steps.extend(in_the_way.into_iter().map(Step::Delete));
    match exact {
        Some((_, exact)) => steps.extend(correction(params, exact, &target.address, snapshot)),
        None => steps.push(Step::Add),
    }
    steps.extend(after_adding(params, &target.link));
    steps.extend(others.into_iter().map(Step::Delete));
    Ok(Plan { target, found, steps, names: LinkNames::of(&snapshot.links) })
}

/// What has to be corrected of an instance that stays.
fn correction(
    params: &Params,
    exact: &Address,
    wanted: &NewAddress,
    snapshot: &Snapshot,
) -> Option<Step> {
    let is_own = |ip: IpAddr| !snapshot.vips.contains(&ip);
    let is_first = judge::followers(exact, &snapshot.addresses).any(is_own);
    let has_other_label = params.label.is_some() && exact.label != wanted.label;
    // ip-address(8) sets no broadcast address by default, which is no reason to touch the address.
    let is_asked_for = exact.broadcast.is_some() || params.broadcast != Broadcast::Ones;
    let has_other_broadcast = is_asked_for && exact.broadcast != wanted.broadcast;
    if exact.ip.is_ipv4() && (is_first || has_other_label || has_other_broadcast) {
        return Some(Step::AddAgain(exact.clone()));
    }
    let kind = |lifetime: Lifetime| match lifetime {
        Lifetime::Forever => None,
        Lifetime::Seconds(seconds) => Some(seconds > 0),
    };
    // What is left of a preferred lifetime is not asked for.
    let is_wanted = exact.valid_lft == Lifetime::Forever
        && (exact.ip.is_ipv4() || kind(exact.preferred_lft) == kind(wanted.preferred_lft));
    (!is_wanted).then(|| Step::SetLifetimes(exact.clone()))
}

fn before_adding(params: &Params, link: &Link) -> Vec<Step> {
    let mut steps = Vec::new();
    if !link.admin_up {
        steps.push(Step::BringUp);
    }
    if params.link_check != LinkCheck::Ignore && judge::without_carrier(link).is_some() {
        steps.push(Step::AwaitCarrier { required: params.link_check == LinkCheck::Fail });
    }
    steps
}

fn after_adding(params: &Params, link: &Link) -> Vec<Step> {
    let mut steps = Vec::new();
    if params.ip.is_ipv6() {
        steps.push(Step::AwaitDuplicateDetection);
    }
    if routing::is_asked_for(params) {
        steps.push(Step::AddSourceRouting);
    }
    if params.announce.is_some() && has_neighbours(link) {
        steps.push(Step::Announce);
    }
    steps
}

/// The plan of stop: every instance of the VIP, whatever its prefix, link or label.
#[must_use]
pub(crate) fn stop(ip: IpAddr, addresses: &[Address]) -> Vec<Deletion> {
    addresses.iter().filter(|address| address.ip == ip).map(deletion).collect()
}

fn deletion(address: &Address) -> Deletion {
    // The flag `secondary` does not decide: the deletion of another address can make this one the
    // primary address. IPv6 has no secondary addresses in this sense.
    // A /32 can have siblings, too: addresses with a peer.
    Deletion { address: address.clone(), keep_siblings: address.ip.is_ipv4() }
}

/// Returns true if the kernel refuses to add `new` while `present` is there: the same address with the
/// same mask and with peers in the same subnet (`__inet_insert_ifa`), for IPv6 the same address with
/// any prefix (`ipv6_add_addr`).
fn excludes(present: &Address, new: &NewAddress) -> bool {
    present.link == new.link
        && present.ip == new.ip
        && (new.ip.is_ipv6() || present.network() == Network::of(new.ip, new.prefix))
}

/// Returns true if the link has neighbours that keep an ARP cache.
pub(crate) fn has_neighbours(link: &Link) -> bool {
    link.ethernet
        && !link.loopback
        && !link.noarp
        && link.mac.is_some_and(|mac| mac != MacAddress::ZERO)
}

/// Returns true if the link has neighbours, but no Ethernet frames, such as Infiniband (RFC 4391).
pub(crate) fn has_non_ethernet_neighbours(link: &Link) -> bool {
    !(link.ethernet || link.loopback || link.noarp || link.point_to_point)
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
            vips: vec!["192.0.2.11".parse().unwrap()],
        }
    }

    fn steps(given: &[(&str, &str)], host: &Snapshot) -> Vec<String> {
        let plan = start(&params(given), host).unwrap();
        plan.steps.iter().map(|step| plan.describe(step)).collect()
    }

    const CHECK: &str = "check for a duplicate address";
    const ADD: &str = "add 192.0.2.10/24 to eth0";

    #[test]
    fn nothing_there() {
        assert_eq!(steps(&[], &host(&[])), [CHECK, ADD, "announce"]);
        assert_eq!(steps(&[("announce", "none")], &host(&[])), [CHECK, ADD]);
        assert_eq!(steps(&[("duplicate_check", "no")], &host(&[])), [ADD, "announce"]);
        assert_eq!(start(&params(&[]), &host(&[])).unwrap().found, Found::Absent);
    }

    #[test]
    fn exactly_there() {
        for given in [&[][..], &[("nic", "eth0")], &[("nic", "eth0"), ("cidr_netmask", "24")]] {
            let plan = start(&params(given), &host(&[address(2, "192.0.2.10/24")])).unwrap();
            assert_eq!((plan.found, plan.steps), (Found::Exact, vec![Step::Announce]));
        }
        // start accepts what monitor accepts: without nic and cidr_netmask any instance.
        let elsewhere = start(&params(&[]), &host(&[address(3, "192.0.2.10/32")])).unwrap();
        assert_eq!((elsewhere.found, elsewhere.target.link.name.as_str()), (Found::Exact, "eth1"));
    }

    #[test]
    fn what_is_not_as_asked_for_is_corrected() {
        let corrected = |given: &[(&str, &str)], own: &[Address], vip: Address| {
            let host = host(&[own, &[vip]].concat());
            steps(given, &host)
        };
        let brd = |text: Option<&str>| Address {
            broadcast: text.map(|text| text.parse().unwrap()),
            ..labelled(2, "192.0.2.10/24", "eth0")
        };
        let again = ["add 192.0.2.10/24 again", "announce"];
        for (given, vip) in [
            (&[("iflabel", "sip")][..], brd(None)),
            (&[("broadcast", "-")], brd(None)),
            (&[], brd(Some("192.0.2.127"))),
        ] {
            assert_eq!(corrected(given, &[], vip), again, "{given:?}");
        }
        for vip in [brd(None), brd(Some("192.0.2.255"))] {
            assert_eq!(corrected(&[], &[], vip), ["announce"]);
        }
        let second = |text: &str| {
            let mut address = address(2, text);
            address.flags.secondary = true;
            address
        };
        assert_eq!(corrected(&[], &[second("192.0.2.2/24")], brd(None)), again);
        // Another VIP, and another network.
        assert_eq!(corrected(&[], &[second("192.0.2.11/24")], brd(None)), ["announce"]);
        assert_eq!(corrected(&[], &[second("198.51.100.2/24")], brd(None)), ["announce"]);
        let lifetimes = ["set the lifetimes of 192.0.2.10/24", "announce"];
        let leased = Address { valid_lft: Lifetime::Seconds(6), ..brd(None) };
        assert_eq!(corrected(&[], &[], leased), lifetimes);
    }

    #[test]
    fn lifetimes_of_ipv6() {
        let given = [("ip", "2001:db8::10"), ("nic", "eth0"), ("cidr_netmask", "64")];
        let is_set = |preferred: &str, address: Address| {
            let given = [&given[..], &[("preferred_lft", preferred)]].concat();
            let steps = start(&params(&given), &host(&[address])).unwrap().steps;
            steps.iter().any(|step| matches!(step, Step::SetLifetimes(_)))
        };
        let with = |preferred_lft, valid_lft| Address {
            preferred_lft,
            valid_lft,
            ..address(2, "2001:db8::10/64")
        };
        let (forever, seconds) = (Lifetime::Forever, Lifetime::Seconds);
        for (preferred, address, expected) in [
            ("", with(forever, forever), true),
            ("", with(seconds(0), forever), false),
            ("", with(seconds(0), seconds(6)), true),
            ("0", with(seconds(7), forever), true),
            ("forever", with(forever, forever), false),
            ("forever", with(seconds(0), forever), true),
            ("300", with(seconds(7), forever), false),
            ("300", with(seconds(0), forever), true),
        ] {
            assert_eq!(is_set(preferred, address), expected, "{preferred}");
        }
    }

    #[test]
    fn the_right_one_is_added_before_the_wrong_ones_are_deleted() {
        let given = [("nic", "eth0"), ("cidr_netmask", "24")];
        let wrong = [address(2, "192.0.2.10/32"), labelled(3, "192.0.2.10/24", "eth1")];
        assert_eq!(
            steps(&given, &host(&wrong)),
            [
                CHECK,
                ADD,
                "announce",
                "delete 192.0.2.10/32 on eth0, keep the others of its subnet",
                "delete 192.0.2.10/24 on eth1, keep the others of its subnet"
            ]
        );
        assert_eq!(start(&params(&given), &host(&wrong)).unwrap().found, Found::Misplaced);
        let both = [address(2, "192.0.2.10/24"), address(3, "192.0.2.10/24")];
        assert_eq!(
            steps(&given, &host(&both)),
            ["announce", "delete 192.0.2.10/24 on eth1, keep the others of its subnet"]
        );
    }

    #[test]
    fn what_excludes_the_right_one_is_deleted_first() {
        let peer = Address { peer: "192.0.2.99".parse().ok(), ..address(2, "192.0.2.10/24") };
        let delete = "delete 192.0.2.10/24 on eth0, keep the others of its subnet";
        assert_eq!(steps(&[("nic", "eth0")], &host(&[peer])), [CHECK, delete, ADD, "announce"]);
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
        assert_eq!(steps(&[], &down), ["bring eth0 up", wait, CHECK, ADD, "announce"]);
        let no_carrier = with(|link| link.carrier = false);
        assert_eq!(steps(&[], &no_carrier), [wait, CHECK, ADD, "announce"]);
        let check = |word| [("check_link_status", word)];
        assert_eq!(steps(&check("no"), &no_carrier), [CHECK, ADD, "announce"]);
        let optional = "wait for carrier, not required";
        assert_eq!(steps(&check("degraded"), &no_carrier), [optional, CHECK, ADD, "announce"]);
        for without_arp in [
            with(|link| link.noarp = true),
            with(|link| link.ethernet = false),
            with(|link| link.mac = None),
            with(|link| link.mac = Some(MacAddress::ZERO)),
        ] {
            assert_eq!(steps(&[], &without_arp), [ADD]);
        }
    }

    #[test]
    fn ipv6() {
        let add = "add 2001:db8::10/64 to eth0";
        let dad = "wait for duplicate address detection";
        let mut host = host(&[address(2, "2001:db8::1/64")]);
        let given = [("ip", "2001:db8::10"), ("nic", "eth0"), ("cidr_netmask", "64")];
        let with = |name, value| [&given[..], &[(name, value)]].concat();
        let nodad = |given: &[(&str, &str)], host: &Snapshot| {
            let plan = start(&params(given), host).unwrap();
            assert!(plan.steps.contains(&Step::Add));
            plan.target.address.nodad
        };
        assert_eq!(steps(&given, &host), [CHECK, add, dad, "announce"]);
        assert!(nodad(&given, &host));
        assert!(!nodad(&with("nodad", "no"), &host));
        let unchecked = with("duplicate_check", "no");
        assert!(!nodad(&unchecked, &host));
        assert!(nodad(&[&unchecked[..], &[("nodad", "true")]].concat(), &host));
        // Another prefix on the same link excludes ours; an address with dadfailed is added again.
        host.addresses.push(address(2, "2001:db8::10/128"));
        let delete = "delete 2001:db8::10/128 on eth0";
        assert_eq!(steps(&given, &host), [CHECK, delete, add, dad, "announce"]);
        host.addresses.pop();
        host.addresses.push(address(2, "2001:db8::10/64"));
        let set = "set the lifetimes of 2001:db8::10/64";
        assert_eq!(steps(&given, &host), [set, dad, "announce"]);
        host.addresses.last_mut().unwrap().flags.dadfailed = true;
        let delete = "delete 2001:db8::10/64 on eth0";
        assert_eq!(steps(&given, &host), [CHECK, delete, add, dad, "announce"]);
    }

    #[test]
    fn loopback_is_neither_waited_for_nor_announced_on() {
        let given = [("nic", "lo"), ("cidr_netmask", "32")];
        assert_eq!(steps(&given, &host(&[])), ["add 192.0.2.10/32 to lo"]);
    }

    #[test]
    fn stop_deletes_every_instance_and_keeps_its_siblings() {
        let ip = "192.0.2.10".parse().unwrap();
        let host = host(&[
            address(2, "192.0.2.10/24"),
            address(2, "192.0.2.10/32"),
            labelled(3, "192.0.2.10/24", "eth1:sip"),
        ]);
        let names = LinkNames::of(&host.links);
        let plan: Vec<_> =
            stop(ip, &host.addresses).iter().map(|deletion| deletion.describe(&names)).collect();
        assert_eq!(
            plan,
            [
                "delete 192.0.2.10/24 on eth0, keep the others of its subnet",
                "delete 192.0.2.10/32 on eth0, keep the others of its subnet",
                "delete 192.0.2.10/24 on eth1, keep the others of its subnet"
            ]
        );
        assert!(stop("192.0.2.77".parse().unwrap(), &host.addresses).is_empty());
    }
}
