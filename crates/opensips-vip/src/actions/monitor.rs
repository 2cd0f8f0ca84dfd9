//! monitor: one dump of the addresses and one query for the link, judged; from level 10 on the neighbours
//! are checked, too.

use deadline::Deadline;
use hostnet::{Error as NetError, EventGroup, Events, Netlink};
use ocf::{Exit, Request, Verdict};

use super::budgets;
use super::carrier::{self, Carrier};
use super::renewal;
use crate::decide::judge::Observation;
use crate::error::Error;
use crate::host::run_files::RunFiles;
use crate::host::{local_route, namespace, own_address, source_routing, tables, take_over};
use crate::log_line::{line, set_link};
use crate::params::Params;
use crate::wire::neighbours;

/// The level from which the neighbours are checked.
const NEIGHBOURS_LEVEL: u32 = 10;

pub(crate) fn monitor(request: &Request) -> Result<Verdict, Error> {
    let is_expected = !(request.probe || request.expects_stopped);
    match look(request) {
        // A failed look is no reason to end a service that may be well, and a restart would not help.
        Err(error) if is_expected && error.is_blindness() => {
            Ok(Verdict::degraded(format!("{error}: see journalctl -k")))
        }
        verdict => verdict,
    }
}

fn look(request: &Request) -> Result<Verdict, Error> {
    let params = Params::read(&request.values)?;
    match namespace::enter_where_started(params.namespace.as_ref(), params.ip) {
        // Everything in a namespace is gone with it.
        Err(NetError::NoSuchNamespace { .. }) => return Ok(Verdict::not_running()),
        entered => entered?,
    }
    let netlink = Netlink::open()?;
    let until = budgets::for_tables(request.deadline);
    let mut observation = observe(&netlink, &params, until)?;
    observation.link.iter().for_each(|link| set_link(&link.name));
    if !observation.instances.is_empty() && !adopt(&netlink, &params, &observation, request, until)?
    {
        return Ok(Verdict::not_running());
    }
    if !(request.probe || request.expects_stopped) {
        renewal::put_behind_own_address(request, &netlink, &params, &mut observation);
    }
    look_at_cluster(request, &netlink, &params, &mut observation, until);
    if observation.instances.is_empty() {
        return Ok(absent(request, &params, &observation));
    }
    let verdict = judge(&netlink, &params, &observation, until)?;
    if !matches!(verdict.exit, Exit::Success | Exit::Degraded) || observation.link.is_none() {
        return Ok(verdict);
    }
    if !request.probe {
        neighbours::refresh(&netlink, &params, &observation, request.deadline);
    }
    let neighbours = if request.check_level >= NEIGHBOURS_LEVEL {
        neighbours::check(&netlink, &params, &observation, request.deadline)
    } else if !request.probe
        && let Some(asking) = neighbours::due_asking(&params, &observation)
    {
        neighbours::watch_conflict(&netlink, &params, &observation, asking, request.deadline)
    } else {
        return Ok(verdict);
    };
    // A fault of this host is the first thing to repair.
    let is_worse = !matches!(neighbours.exit, Exit::Success) && neighbours.exit != verdict.exit;
    Ok(if is_worse { neighbours } else { verdict })
}

/// The VIP is not here. A recurring monitor runs only where Pacemaker knows that it was started, and stop
/// forgets the note of it.
fn absent(request: &Request, params: &Params, observation: &Observation) -> Verdict {
    let is_expected = !(request.probe || request.expects_stopped);
    if !is_expected || !RunFiles::of(params.ip, observation.zone).is_noted_here() {
        return Verdict::not_running();
    }
    let reason = format!(
        "{} has been removed from this node by something other than the cluster: check what manages its \
         interface (diagnose lists it)",
        params.ip
    );
    Verdict::failed(Exit::NotRunning, reason)
}

/// Tells the cluster about the carrier of this node, and completes the observation by what the other
/// nodes and the announcer have told.
fn look_at_cluster(
    request: &Request,
    netlink: &Netlink,
    params: &Params,
    observation: &mut Observation,
    until: Deadline,
) {
    let files = RunFiles::of(params.ip, observation.zone);
    let carrier = Carrier::of(request, params, &files);
    if observation.instances.is_empty() {
        if let Some(carrier) = carrier {
            carrier.on_standby(netlink, until);
        }
        return;
    }
    if let Some(carrier) = carrier {
        carrier.on_active(netlink, observation);
    }
    // Without announcements nothing would end the note.
    observation.unannounced = files.unannounced_because_of().filter(|_| params.announce.is_some());
    if !request.probe
        && (observation.unannounced.is_some() || neighbours::have_another_mac(observation, &files))
    {
        carrier::announce_observed(request, netlink, params, &files, observation);
    }
}

/// Returns false if the address is the host's own, and no resource's: then the resource is not running.
///
/// A recurring monitor runs only where Pacemaker knows that the resource is started, so it notes that what
/// it sees is the VIP: it was adopted from another agent by a probe, or the note was lost.
fn adopt(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    request: &Request,
    until: Deadline,
) -> Result<bool, Error> {
    let files = RunFiles::of(params.ip, observation.zone);
    if files.is_noted_here() {
        return Ok(true);
    }
    // Where no note can be kept, a missing one proves nothing: an address of ours must not be called absent.
    if (request.probe || request.expects_stopped) && files.can_keep_notes() {
        let in_namespace = params.namespace.is_some();
        let instances = &observation.instances;
        // With role=Stopped it looks every second, and would fill the log.
        let unread = if request.expects_stopped { log::Level::Debug } else { log::Level::Warn };
        let ip = params.ip;
        let own = own_address::find(netlink, &files, ip, instances, in_namespace, unread, until)?;
        if let Some(own) = &own {
            log::info!("{}", line().note(own));
        }
        return Ok(own.is_none());
    }
    files.note_here(params.nic.as_ref());
    if request.by_cluster {
        take_over::note_held(params, &files);
    }
    Ok(true)
}

/// The verdict on the address and on its source routing.
fn judge(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    until: Deadline,
) -> Result<Verdict, Error> {
    let verdict = observation.judge(params);
    if !matches!(verdict.exit, Exit::Success | Exit::Degraded) {
        return Ok(verdict);
    }
    // Where the interface is down, the kernel has taken the route away, and adds it again later.
    let has_route = matches!(verdict.exit, Exit::Success) && observation.zone.is_none();
    let patience = budgets::for_local_route(until);
    if has_route && local_route::stays_missing(netlink, params.ip, patience, until) {
        // The address can have gone, or the interface can be down, since it was observed.
        let verdict = tables::observe(netlink, params, until)?.judge(params);
        return Ok(if matches!(verdict.exit, Exit::Success) {
            Verdict::failed(Exit::Generic, local_route::reason(params.ip))
        } else {
            verdict
        });
    }
    let fault = source_routing::fault(netlink, params, observation, until)?;
    Ok(fault.map_or(verdict, |reason| Verdict::failed(Exit::Generic, reason)))
}

/// What is judged, after the kernel's duplicate address detection has ended if it runs.
fn observe(netlink: &Netlink, params: &Params, until: Deadline) -> Result<Observation, Error> {
    let observation = tables::observe(netlink, params, until)?;
    if !observation.is_tentative(params) {
        return Ok(observation);
    }
    let mut last = observation;
    let mut events = Events::subscribe(&[EventGroup::Address(params.family())])?;
    events.wait_until(budgets::for_repeated_detection(until), || {
        last = tables::observe(netlink, params, until)?;
        Ok((!last.is_tentative(params)).then_some(()))
    })?;
    Ok(last)
}
