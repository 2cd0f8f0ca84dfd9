//! Waits for what start needs of the host and what comes by itself: at boot, while the network service
//! restarts, or while a bond is made, the interface, its network or a route is not there for a moment.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Error as NetError, EventGroup, Events, Family, Netlink};
use hostproc::ActionLock;

use crate::decide::plan::{self, Found, Plan};
use crate::decide::routing;
use crate::decide::target::{Refusal, Snapshot};
use crate::error::Error;
use crate::host::zone::Zone;
use crate::host::{ipv6, namespace, source_routing, tables};
use crate::log_line::{failure, line};
use crate::params::{Nic, Params};

/// How often start looks where the kernel reports no event: for a network namespace, for a setting below
/// /proc/sys, and for a stop that waits.
const POLL: Duration = Duration::from_millis(100);
/// Pause after an event, so that the changes that come with it count as one.
const SETTLE: Duration = Duration::from_millis(10);

/// Enters the network namespace of the resource as soon as it is there. Returns true if it was not at first.
///
/// # Errors
/// [`NetError::NoSuchNamespace`] if it is not there in time, and those of entering it.
pub(super) fn enter_namespace(params: &Params, until: Deadline) -> Result<bool, Error> {
    let mut has_waited = false;
    loop {
        match namespace::enter(params.namespace.as_ref()) {
            Err(NetError::NoSuchNamespace { .. }) if until.sleep(POLL) => has_waited = true,
            entered => return Ok(entered.map(|()| has_waited)?),
        }
    }
}

/// The zone of the VIP. That of a link-local VIP waits for its link, because the files of the VIP are
/// named after the link. Returns true with it if that was not there at first.
pub(super) fn zone(
    netlink: &Netlink,
    params: &Params,
    until: Deadline,
) -> Result<(Zone, bool), Error> {
    let mut has_waited = false;
    loop {
        let zone = Zone::of(netlink, params.ip, params.nic.as_ref(), until.but_at_least(POLL))?;
        if !(matches!(zone, Zone::MissingLink) && until.sleep(POLL)) {
            return Ok((zone, has_waited));
        }
        has_waited = true;
    }
}

/// What start does, and why.
pub(super) struct Decision {
    /// The host as it was.
    pub(super) snapshot: Snapshot,
    pub(super) plan: Plan,
    /// The host was not ready at first.
    pub(super) has_waited: bool,
}

/// The decision of start. Looks again after each change of the host while there can be none.
///
/// # Errors
/// Why the VIP can't be on this host; at once only if that does not pass.
pub(super) fn decide(
    netlink: &Netlink,
    params: &Params,
    lock: Option<&ActionLock>,
    until: Deadline,
    action: Deadline,
) -> Result<Decision, Error> {
    let mut waiting: Option<Waiting> = None;
    loop {
        let error = match look(netlink, params, action) {
            Ok((snapshot, plan)) => {
                return Ok(Decision { snapshot, plan, has_waited: waiting.is_some() });
            }
            Err(error) if error.can_pass() => error,
            Err(error) => return Err(error),
        };
        if lock.is_some_and(ActionLock::stop_requested) {
            return Err(Error::Stopped { ip: params.ip });
        }
        if until.has_passed() {
            return Err(error);
        }
        match &mut waiting {
            Some(waiting) => waiting.for_change(until),
            // What has changed between the look and the subscription is seen by the next look.
            None => {
                log::warn!("{}", failure(&error).note("waiting for the network of this node"));
                waiting = Some(Waiting::begin(params));
            }
        }
    }
}

fn look(netlink: &Netlink, params: &Params, until: Deadline) -> Result<(Snapshot, Plan), Error> {
    let snapshot = tables::snapshot(netlink, params, until)?;
    let plan = plan::start(params, &snapshot).map_err(|it| refused(it, params, &snapshot))?;
    if params.ip.is_ipv6() && plan.found != Found::Exact {
        ipv6::require(&plan.target.link)?;
    }
    if routing::is_asked_for(params) {
        // While nothing has been changed.
        let tables = source_routing::tables_of(netlink, params, until)?;
        routing::check(params, &plan.target, &tables)?;
    }
    Ok((snapshot, plan))
}

/// The refusal as an error, or its cause: a node without IPv6 has no connected IPv6 networks.
pub(crate) fn refused(refusal: Refusal, params: &Params, snapshot: &Snapshot) -> Error {
    let no_network = matches!(refusal, Refusal::NoNetwork { .. } | Refusal::NoNetworkOnLink { .. });
    if !(no_network && params.ip.is_ipv6()) {
        return refusal.into();
    }
    let named = params.nic.as_ref().and_then(|nic| snapshot.link_of(nic, params.ip).ok().flatten());
    let ipv6 = match named {
        Some(link) => ipv6::require(link),
        None => ipv6::require_any(&snapshot.links),
    };
    ipv6.err().map_or_else(|| refusal.into(), Error::from)
}

/// The wait for a change; without events of the kernel it looks from time to time.
struct Waiting(Option<Events>);

impl Waiting {
    fn begin(params: &Params) -> Self {
        let family = params.family();
        let mut groups =
            vec![EventGroup::Link, EventGroup::Address(family), EventGroup::Route(family)];
        if let Some(Nic::Network(network)) = &params.nic {
            groups.push(EventGroup::Address(Family::of(network.base())));
        }
        if routing::is_asked_for(params) {
            groups.push(EventGroup::Rule(family));
        }
        let events = Events::subscribe(&groups);
        if let Err(error) = &events {
            log::debug!("{}", failure(error).note("looking without events"));
        }
        Self(events.ok())
    }

    fn for_change(&mut self, until: Deadline) {
        match self.0.as_mut().map(|events| events.wait(until.within(POLL))) {
            Some(Ok(true)) => {
                until.sleep(SETTLE);
            }
            Some(Ok(false)) => {}
            Some(Err(error)) => {
                log::debug!("{}", line().field("error", &error).note("looking without events"));
                self.0 = None;
            }
            None => {
                until.sleep(POLL);
            }
        }
    }
}
