//! stop: the VIP is nowhere on this host, and no frame for it is sent any more.
//!
//! The only parameter that counts is `ip`. Whatever is wrong with the others, the address is either here
//! or not.

use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use deadline::Deadline;
use hostnet::{Error as NetError, Family, NamespaceName, Netlink, Network};
use hostproc::{Acquisition, ActionLock, OwnActions};
use ocf::{Parameter, Reader, Request, Verdict};

use super::budgets;
use crate::decide::names::LinkNames;
use crate::decide::plan::{self, Deletion};
use crate::description;
use crate::error::Error;
use crate::host::local_route::{self, Drained};
use crate::host::run_files::RunFiles;
use crate::host::source_routing::{self, Leftover};
use crate::host::zone::Zone;
use crate::host::{deletion, namespace, own_address, tables};
use crate::log_line::{failure, line};
use crate::params::{DRAIN_RANGE, Params, parse_nic, parse_vip};
use crate::wire::announcer::{self, NoAnnouncer};

/// Limit of the rounds, for instances that another program adds again or that can't be deleted.
const MAX_ROUNDS: u32 = 5;

pub(crate) fn stop(request: &Request) -> Result<Verdict, Error> {
    let began = Instant::now();
    let Some(ip) = given_vip(request) else { return Ok(Verdict::success()) };
    let namespace = match enter_namespace(request, ip)? {
        Entered::Host => None,
        Entered::Namespace(name) => Some(name),
        Entered::Nowhere => return Ok(Verdict::success()),
    };
    let netlink = Netlink::open()?;
    let zone = zone(&netlink, request, ip)?;
    match &zone {
        Zone::MissingLink => {
            log::info!(
                "{}",
                line().note("the interface of nic does not exist: the VIP is not on it")
            );
            return Ok(Verdict::success());
        }
        Zone::Ambiguous(links) => {
            let links = links.iter().map(|link| link.name.to_string()).collect::<Vec<_>>();
            return Err(Error::AmbiguousLink { ip, links: links.join(", ") });
        }
        Zone::Global | Zone::Link(_) => {}
    }
    let files = RunFiles::of(ip, zone.link());
    if is_own(&netlink, request, ip, &zone, &files, namespace.is_some()) {
        return Ok(Verdict::success());
    }
    let mut stop = Stop { ip, zone, files, netlink, deadline: request.deadline };

    let _lock = stop.lock();
    let no_announcer = stop.end_announcer();
    stop.drain(request);
    stop.close_connections(request);
    let mut routes = stop.remove_routes(request);
    let addresses = stop.remove_addresses();
    if addresses.is_ok() {
        routes.retry(&stop);
    }
    stop.restore_settings();
    if let Some(no_announcer) = no_announcer {
        no_announcer.release();
    }
    let removed = addresses?;
    routes.check(ip)?;
    stop.forget(namespace.as_ref());
    if !removed.is_empty() {
        let line = line().field("state", "removed").field("from", removed.join(", "));
        log::info!("{}", line.field("took_ms", began.elapsed().as_millis()));
    }
    Ok(Verdict::success())
}

/// The VIP; `None`: start never adds what `ip` contains.
fn given_vip(request: &Request) -> Option<IpAddr> {
    let given = request.values.get(description::IP.name);
    let why = match given.map(|value| value.to_str().map(parse_vip)) {
        Some(Some(Ok(ip))) => return Some(ip),
        None => "ip is not set".to_owned(),
        Some(Some(Err(why))) => why.to_string(),
        Some(None) => "ip is not valid UTF-8".to_owned(),
    };
    let note = format!("{why}; start never adds such an address, so there is nothing to remove");
    log::warn!("{}", line().note(note));
    None
}

/// Where stop works.
enum Entered {
    Host,
    Namespace(NamespaceName),
    /// There is no namespace in which start could have added the VIP.
    Nowhere,
}

fn enter_namespace(request: &Request, ip: IpAddr) -> Result<Entered, Error> {
    let parameter = description::NETWORK_NAMESPACE.name;
    let Some(given) = request.values.get(parameter) else { return Ok(Entered::Host) };
    let name = given.to_str().map(str::parse::<NamespaceName>);
    let Some(Ok(name)) = name else {
        let value = ocf::shown(given.as_bytes());
        let note = "not the name of a network namespace: start never enters it";
        log::warn!("{}", line().field(parameter, value).note(note));
        return Ok(Entered::Nowhere);
    };
    match namespace::enter_where_started(Some(&name), ip) {
        Ok(()) => Ok(Entered::Namespace(name)),
        Err(NetError::NoSuchNamespace { .. }) => {
            let note = "the network namespace does not exist: the VIP is not in it";
            log::debug!("{}", line().field(parameter, &name).note(note));
            RunFiles::of(ip, None).forget_namespace(&name);
            Ok(Entered::Nowhere)
        }
        Err(error) => Err(error.into()),
    }
}

fn zone(netlink: &Netlink, request: &Request, ip: IpAddr) -> Result<Zone, Error> {
    let nic = request.values.text(description::NIC.name);
    let nic = nic.and_then(|nic| parse_nic(nic).ok()).map(|(nic, _)| nic);
    Ok(Zone::of(netlink, ip, nic.as_ref(), request.deadline)?)
}

/// Returns true if the address is the host's own: start refuses it, so there is nothing to remove. If that
/// can't be found out, stop removes the address, because one that stays on two nodes is worse.
fn is_own(
    netlink: &Netlink,
    request: &Request,
    ip: IpAddr,
    zone: &Zone,
    files: &RunFiles,
    in_namespace: bool,
) -> bool {
    // The usual case.
    if files.is_noted_here() {
        return false;
    }
    let until = budgets::for_last_look(request.deadline);
    let found = tables::addresses(netlink, Family::of(ip), until).and_then(|mut addresses| {
        addresses.retain(|address| address.ip == ip && zone.contains(address));
        // Where no note can be kept, a missing one proves nothing.
        if addresses.is_empty() || !files.can_keep_notes() {
            return Ok(None);
        }
        own_address::find(netlink, files, ip, &addresses, in_namespace, log::Level::Warn, until)
    });
    match found {
        Ok(Some(own)) => {
            let note = format!("not removed: {own}");
            log::warn!("{}", line().note(note));
            true
        }
        Ok(None) => false,
        Err(error) => {
            log::warn!("{}", failure(&error).note("going on: the address counts as the VIP"));
            false
        }
    }
}

/// A stop in progress.
struct Stop {
    ip: IpAddr,
    zone: Zone,
    files: RunFiles,
    netlink: Netlink,
    deadline: Deadline,
}

impl Stop {
    /// Ends a start that is in progress. Without the lock stop goes on, because the address must be removed
    /// in any case.
    fn lock(&self) -> Option<ActionLock> {
        if !self.files.directory_exists() {
            // Without it no start has the lock.
            return None;
        }
        let patience = budgets::for_lock_holder(self.deadline);
        let until = budgets::for_stop_lock(self.deadline);
        let own = OwnActions::of_this_program("stop");
        let taken = ActionLock::take_over(&self.files.action_lock(), &own, patience, until);
        let error = match taken {
            Acquisition::Acquired(lock) => {
                if let Some(killed) = lock.killed() {
                    let line = line().field("pid", killed.pid);
                    log::warn!("{}", line.note("a start of the VIP did not end and was killed"));
                }
                return Some(lock);
            }
            Acquisition::Busy { .. } | Acquisition::Stopped => {
                "another start or stop of the VIP does not end".to_owned()
            }
            Acquisition::Unavailable(error) => ocf::cause(&error),
        };
        let note = "going on without the lock of start and stop";
        log::warn!("{}", line().field("error", error).note(note));
        None
    }

    fn end_announcer(&self) -> Option<NoAnnouncer> {
        let until = budgets::for_stop_announcer(self.deadline);
        match announcer::end(&self.files.announcer_lock(), until) {
            Ok(no_announcer) => Some(no_announcer),
            Err(error) => {
                log::warn!(
                    "{}",
                    failure(&error).note("the announcer can still be running: going on")
                );
                None
            }
        }
    }

    /// Gives servers time to answer what they have received before the address goes. stop never fails because
    /// of it.
    fn drain(&self, request: &Request) {
        let limit = Reader::new(&request.values).duration(&description::DRAIN, DRAIN_RANGE);
        let Some(limit) = limit.filter(|limit| !limit.is_zero()) else { return };
        // The connections of a link-local address can be on other links.
        if !matches!(self.zone, Zone::Global) {
            return;
        }
        let until = budgets::for_drain(self.deadline);
        match local_route::drain(&self.netlink, self.ip, limit, until) {
            Ok(Drained::Nothing | Drained::Empty) => {}
            Ok(Drained::Unread(bytes)) => {
                let line = line().field("unread_bytes", bytes);
                log::info!(
                    "{}",
                    line.note("drain ended before the server had read all that it received")
                );
            }
            Err(error) => log::info!("{}", failure(&error).note("going on without drain")),
        }
    }

    /// Resets the TCP connections of the VIP while the resets can still be sent.
    fn close_connections(&self, request: &Request) {
        let asked = given_yes(request, &description::CLOSE_CONNECTIONS);
        // The connections of a link-local address can be on other links.
        if !asked || !matches!(self.zone, Zone::Global) {
            return;
        }
        match hostnet::destroy_tcp_connections(self.ip, budgets::for_connections(self.deadline)) {
            Ok(0) => {}
            Ok(count) => log::info!("{}", line().field("connections_closed", count)),
            Err(error) => {
                log::warn!(
                    "{}",
                    failure(&error).note("TCP connections of the VIP end by their own timeouts")
                );
            }
        }
    }

    /// Removes the rules and routes before the address: with that, the kernel deletes those of some
    /// tables, but not of all.
    fn remove_routes(&mut self, request: &Request) -> Routes {
        let asked = [&description::GATEWAY, &description::SOURCE_FOR]
            .iter()
            .any(|parameter| request.values.get(parameter.name).is_some());
        let source_for =
            Params::read(&request.values).map_or_else(|_| Vec::new(), |it| it.source_for);
        let result = match self.zone {
            Zone::Global => {
                let until = budgets::for_routes(self.deadline);
                source_routing::remove(&self.netlink, self.ip, &source_for, until).map(|_| ())
            }
            // A link-local address never has any.
            Zone::Link(_) | Zone::MissingLink | Zone::Ambiguous(_) => Ok(()),
        };
        // A connection that has failed here must not fail where the address is removed.
        if result.is_err()
            && let Ok(fresh) = Netlink::open()
        {
            self.netlink = fresh;
        }
        Routes { asked, source_for, result }
    }

    /// Deletes every instance until a complete dump has none; returns what was deleted.
    fn remove_addresses(&self) -> Result<Vec<String>, Error> {
        let mut removed = Vec::new();
        let mut refused = None;
        let mut last: Vec<Deletion> = Vec::new();
        let mut round = 0;
        loop {
            // After a refusal a new connection: on the old one, a late answer can still arrive.
            let fresh = refused.is_some().then(Netlink::open).and_then(Result::ok);
            let netlink = fresh.as_ref().unwrap_or(&self.netlink);
            let plan = match self.remaining(netlink) {
                Ok(plan) => plan,
                // What was there before has not been seen to be gone.
                Err(error) if !last.is_empty() => {
                    return Err(self.still_there(&last, Some(refused.unwrap_or(error))));
                }
                Err(error) => return Err(error.into()),
            };
            if plan.is_empty() {
                return Ok(removed);
            }
            if round == MAX_ROUNDS || self.deadline.has_passed() {
                return Err(self.still_there(&plan, refused));
            }
            round += 1;
            let names = self.names(&plan);
            for deletion in &plan {
                let text = names.address(&deletion.address);
                log::debug!("{}", line().field("step", format_args!("delete {text}")));
                let deadlines = budgets::for_deletion(self.deadline);
                match deletion::delete(netlink, &self.files, deletion, deadlines) {
                    Ok(true) => removed.push(text),
                    Ok(false) => {}
                    Err(error) => refused = Some(error),
                }
            }
            last = plan;
        }
    }

    /// The names for the texts of a plan. A label contains the name already, and IPv6 has none.
    fn names(&self, plan: &[Deletion]) -> LinkNames {
        if plan.iter().all(|deletion| deletion.address.label.is_some()) {
            LinkNames::default()
        } else {
            tables::link_names(&self.netlink, budgets::for_last_look(self.deadline))
        }
    }

    /// The deletions that remain to be done.
    fn remaining(&self, netlink: &Netlink) -> hostnet::Result<Vec<Deletion>> {
        let until = budgets::for_last_look(self.deadline);
        let addresses = tables::addresses(netlink, Family::of(self.ip), until)?;
        let mut plan = plan::stop(self.ip, &addresses);
        plan.retain(|deletion| self.zone.contains(&deletion.address));
        Ok(plan)
    }

    fn still_there(&self, left: &[Deletion], source: Option<NetError>) -> Error {
        let names = tables::link_names(&self.netlink, budgets::for_last_look(self.deadline));
        let left = names.addresses(left.iter().map(|deletion| &deletion.address));
        Error::StillThere { left, source }
    }

    /// Restores what an earlier stop that was killed has left set.
    fn restore_settings(&self) {
        let until = self.deadline;
        deletion::restore_promote_secondaries(&self.netlink, &self.files, until, || {
            budgets::for_promote_secondaries_lock(until)
        });
    }

    fn forget(&self, namespace: Option<&NamespaceName>) {
        self.files.forget();
        if let Some(name) = namespace {
            self.files.forget_namespace(name);
        }
    }
}

/// The removal of rules and routes.
struct Routes {
    /// The parameters ask for source routing, valid or not.
    asked: bool,
    source_for: Vec<Network>,
    result: Result<(), Leftover>,
}

impl Routes {
    /// Tries again what has failed.
    fn retry(&mut self, stop: &Stop) {
        while self.can_be_retried() && Deadline::after(budgets::ROUTES_RETRY) < stop.deadline {
            std::thread::sleep(budgets::ROUTES_RETRY);
            self.result = Netlink::open().map_err(Leftover::Unknown).and_then(|netlink| {
                source_routing::remove(&netlink, stop.ip, &self.source_for, stop.deadline)
                    .map(|_| ())
            });
        }
    }

    fn can_be_retried(&self) -> bool {
        match self.result {
            Ok(()) | Err(Leftover::Seen(NetError::PermissionDenied { .. })) => false,
            Err(Leftover::Seen(_)) => true,
            Err(Leftover::Unknown(_)) => self.asked,
        }
    }

    fn check(self, ip: IpAddr) -> Result<(), Error> {
        match self.result {
            Ok(()) => Ok(()),
            Err(Leftover::Seen(source)) => Err(Error::RoutingLeft { ip, source }),
            Err(Leftover::Unknown(source)) if self.asked => {
                Err(Error::RoutingUnknown { ip, source })
            }
            // The address is gone, and nothing suggests that it ever had any.
            Err(Leftover::Unknown(error)) => {
                log::warn!(
                    "{}",
                    failure(&error).note("rules and routes of the VIP can't be checked")
                );
                Ok(())
            }
        }
    }
}

/// The value of a boolean parameter; no for an invalid one, which is no reason not to stop.
fn given_yes(request: &Request, parameter: &Parameter) -> bool {
    Reader::new(&request.values).boolean(parameter)
}
