//! stop: the VIP is nowhere on this host, and not one frame for it leaves any more.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{Family, Link, NamespaceName, Netlink};
use ocf::{Parameter, Reader, Request, Verdict};

use crate::error::Error;
use crate::judge::Shown;
use crate::params::{Params, parse_nic, parse_vip};
use crate::plan::Deletion;
use crate::run_directory::RunDirectory;
use crate::source_routing::Left;
use crate::turn::Stopping;
use crate::{announcer, deleting, description, host, plan, source_routing};

/// How often instances are deleted that were not there, or could not be deleted, before.
const ROUNDS: u32 = 5;
/// How long the announcer may take to end; it checks the address itself before each frame.
const ANNOUNCER_WAIT: Duration = Duration::from_secs(3);
/// How long the last look may take beyond the deadline, which is at least that long before Pacemaker
/// kills ([`ocf::action_deadline`]): a stop that has deleted the address has to see it.
const GRACE: Duration = Duration::from_millis(100);
/// Pause before rules and routes that could not be removed are looked at again.
const AGAIN: Duration = Duration::from_millis(50);

/// Does the action. The only parameter that counts is `ip`: whatever else is wrong, the address is
/// either here or not.
pub(crate) fn stop(request: &Request) -> Result<Verdict, Error> {
    let began = Instant::now();
    let given = request.values.get(description::IP.name);
    let ip = match given.map(|value| value.to_str().map(parse_vip)) {
        Some(Some(Ok(ip))) => ip,
        other => {
            let value = ocf::shown(given.map(OsStr::as_bytes).unwrap_or_default());
            let why = match other {
                None => "not set".to_owned(),
                Some(Some(Err(why))) => why.to_string(),
                Some(_) => "not valid UTF-8".to_owned(),
            };
            log::warn!("ip={value}: {why}; start never put that on a node, so it is stopped");
            return Ok(Verdict::success());
        }
    };
    let namespace = match enter(request, ip)? {
        Entered::Nowhere => return Ok(Verdict::success()),
        Entered::Host => None,
        Entered::Namespace(name) => Some(name),
    };
    let mut netlink = Netlink::open()?;
    let until = request.deadline;
    let nic = request.values.get(description::NIC.name).and_then(|nic| nic.to_str());
    let nic = nic.and_then(|nic| parse_nic(nic).ok()).map(|(nic, _)| nic);
    let link = match host::own_link(&netlink, ip, nic.as_ref(), until)? {
        Some(None) => {
            log::info!("vip={ip} there is no interface that nic names: nothing is on it");
            return Ok(Verdict::success());
        }
        Some(link) => link,
        None => None,
    };
    let run = RunDirectory::new().on(link.as_ref().map(|link| &link.name));
    let third = request.deadline.within(request.deadline.remaining() / 3);
    let _turn = Stopping::begin(&run, ip, third);
    let third = request.deadline.within(ANNOUNCER_WAIT.min(request.deadline.remaining() / 3));
    let silence = announcer::silence(&run.announcer_lock(ip), third)
        .inspect_err(|error| log::warn!("vip={ip} {error}: removing the address all the same"));

    // Those of a link-local address may be on other links.
    if link.is_none() && given_yes(request, &description::CLOSE_CONNECTIONS) {
        close_connections(ip, third);
    }
    let source_for = Params::read(&request.values).map_or_else(|_| Vec::new(), |it| it.source_for);
    // Before the address goes: with it the kernel would take the routes of some tables, not of all.
    let mut routing = match link {
        None => source_routing::remove(&netlink, ip, &source_for, third),
        // It never has any.
        Some(_) => Ok(0),
    };
    if routing.is_err() {
        // A connection that failed there must not fail where the address is removed.
        netlink = Netlink::open()?;
    }
    let removed = remove_everywhere(&netlink, (ip, link.as_ref()), &run, until);
    // Whatever is wrong with it.
    let asked = [&description::GATEWAY, &description::SOURCE_FOR]
        .iter()
        .any(|parameter| request.values.get(parameter.name).is_some());
    while removed.is_ok() && is_worth_another_try(&routing, asked) && Deadline::after(AGAIN) < until
    {
        std::thread::sleep(AGAIN);
        routing = Netlink::open()
            .map_err(Left::Unknown)
            .and_then(|netlink| source_routing::remove(&netlink, ip, &source_for, until));
    }
    deleting::end_interrupted(&netlink, &run, until);
    if let Ok(silence) = silence {
        silence.end();
    }
    let removed = removed?;
    match routing {
        Ok(_) => {}
        Err(Left::Seen(source)) => return Err(Error::RoutingLeft { ip, source }),
        Err(Left::Unknown(source)) if asked => return Err(Error::RoutingUnknown { ip, source }),
        // The address is gone, and nothing says that there ever was more.
        Err(Left::Unknown(error)) => {
            log::warn!("vip={ip} {error}: whether it had rules or routes is not known");
        }
    }
    run.forget(ip);
    if let Some(name) = namespace {
        run.forget_namespace(ip, &name);
    }
    if !removed.is_empty() {
        log::info!(
            "vip={ip} state=removed from=\"{}\" took_ms={}",
            removed.join(", "),
            began.elapsed().as_millis()
        );
    }
    Ok(Verdict::success())
}

/// Whether what is left of source routing may be gone at the next try, and counts.
fn is_worth_another_try(routing: &Result<usize, Left>, asked: bool) -> bool {
    match routing {
        Ok(_) | Err(Left::Seen(hostnet::Error::PermissionDenied { .. })) => false,
        Err(Left::Seen(_)) => true,
        Err(Left::Unknown(_)) => asked,
    }
}

/// Whether a boolean parameter says yes; whatever else is in it is no reason not to stop.
fn given_yes(request: &Request, parameter: &Parameter) -> bool {
    Reader::new(&request.values).boolean(parameter)
}

/// Resets the TCP connections of the VIP, while the resets can still leave.
fn close_connections(ip: IpAddr, until: Deadline) {
    match hostnet::destroy_tcp_connections(ip, until) {
        Ok(0) => {}
        Ok(count) => log::info!("vip={ip} connections_closed={count}"),
        Err(error) => log::warn!("vip={ip} {error}: they will end by their own timeouts"),
    }
}

/// Where stop works.
enum Entered {
    /// Where it was started.
    Host,
    /// In that namespace.
    Namespace(NamespaceName),
    /// There is none that start could have put the VIP into.
    Nowhere,
}

/// Enters the network namespace of the resource.
fn enter(request: &Request, ip: IpAddr) -> Result<Entered, Error> {
    let parameter = description::NETWORK_NAMESPACE.name;
    let Some(given) = request.values.get(parameter) else { return Ok(Entered::Host) };
    let name = given.to_str().map(str::parse::<NamespaceName>);
    let Some(Ok(name)) = name else {
        let value = ocf::shown(given.as_bytes());
        log::warn!("{parameter}={value}: no namespace is called so; start never entered one");
        return Ok(Entered::Nowhere);
    };
    match host::enter_where_started(Some(&name), ip) {
        Ok(()) => Ok(Entered::Namespace(name)),
        Err(hostnet::Error::NoSuchNamespace { .. }) => {
            log::debug!("there is no network namespace {name}: nothing is in it");
            RunDirectory::new().forget_namespace(ip, &name);
            Ok(Entered::Nowhere)
        }
        Err(error) => Err(error.into()),
    }
}

/// Deletes every instance, of a link-local VIP those on its link, until a complete look shows none;
/// what was deleted.
fn remove_everywhere(
    netlink: &Netlink,
    (ip, link): (IpAddr, Option<&Link>),
    run: &RunDirectory,
    until: Deadline,
) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let mut refused = None;
    let mut round = 0;
    let mut last: Vec<Deletion> = Vec::new();
    loop {
        // A connection whose answer did not come in time may have it still to come.
        let again = (round > 0 && refused.is_some()).then(Netlink::open);
        let netlink = again.as_ref().and_then(|opened| opened.as_ref().ok()).unwrap_or(netlink);
        let look = until.but_at_least(GRACE);
        let addresses = match host::addresses(netlink, Family::of(ip), look) {
            Ok(addresses) => addresses,
            // What was seen before was not seen to be gone.
            Err(error) if !last.is_empty() => {
                let left = last.into_iter().map(|deletion| deletion.address).collect();
                return Err(Error::StillThere { left, source: Some(refused.unwrap_or(error)) });
            }
            Err(error) => return Err(error.into()),
        };
        let mut plan = plan::stop(ip, &addresses);
        plan.retain(|deletion| link.is_none_or(|link| link.index == deletion.address.link));
        if plan.is_empty() {
            return Ok(removed);
        }
        if round == ROUNDS || until.has_passed() {
            let left = plan.into_iter().map(|deletion| deletion.address).collect();
            return Err(Error::StillThere { left, source: refused });
        }
        round += 1;
        for deletion in &plan {
            log::debug!("step: {deletion}");
            match deleting::delete(netlink, run, deletion, until) {
                Ok(true) => removed.push(Shown(&deletion.address).to_string()),
                Ok(false) => {}
                Err(error) => refused = Some(error),
            }
        }
        last = plan;
    }
}
