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
        .filter(|(_, exact)| !exact.flags.dadfailed)
        .filter(|(link, exact)| !refuses_routes(params, link, exact));
    let (mut target, found) = match exact {
        // Also on a port of a bridge, where monitor reports it: an address that is there may serve.
        Some((link, exact)) => (target::adopted(params, link, exact), Found::Exact),
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

/// Whether the kernel takes no route with that source, and nobody knows for how long: it checks the address for a
/// duplicate, and the link has no carrier.
fn refuses_routes(params: &Params, link: &Link, exact: &Address) -> bool {
    routing::is_asked_for(params)
        && judge::is_unusable(exact)
        && judge::without_carrier(link).is_some()
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
mod tests;
