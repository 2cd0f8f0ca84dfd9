//! What a recurring monitor sends to the neighbours, and what a monitor of level 10 checks there.

use std::net::IpAddr;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Error, Link, LinkName, MacAddress, Netlink, PacketSocket, Result};
use ocf::{Exit, Verdict};

use super::announcement::Announcement;
use super::announcer::is_held;
use super::conflict_probe::{Conflicts, ProbeResult, Prober, RELEASE_TIME};
use super::open_socket;
use super::own_links::{OwnLinks, answers_nothing};
use super::resolve::resolve;
use crate::decide::judge::{Observation, Unannounced, refuses_to_send};
use crate::decide::plan::has_neighbours;
use crate::host::run_files::{Conflict, ConflictOrigin, RunFiles};
use crate::host::tables;
use crate::log_line::{failure, line};
use crate::params::{DuplicateAction, DuplicateCheck, Params};

/// How often the gateway is asked, because a frame can be lost, and how long it may take to answer.
const GATEWAY_REQUESTS: u32 = 2;
const GATEWAY_TIMEOUT: Duration = Duration::from_millis(300);

/// `DEFEND_INTERVAL` of RFC 5227 section 1.1.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// How often a monitor below the level that checks the neighbours asks whether another host has the VIP. A
/// host that claims it takes the callers at once, and they come back with the next announcement.
const SEARCH_INTERVAL: Duration = Duration::from_secs(5);
/// How long such a monitor listens at most. Who answers later is found by the level that checks.
const SEARCH_SILENCE: Duration = Duration::from_millis(100);

/// How long a monitor tries to send on a link that refuses: a queue that is full for a moment is no fault.
const SEND_PATIENCE: Duration = Duration::from_secs(1);
const SEND_AGAIN: Duration = Duration::from_millis(100);

/// Sends the announcements of a monitor (`arp_count_refresh`).
pub(crate) fn refresh(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    until: Deadline,
) {
    if params.refresh == 0 {
        return;
    }
    let Some((link, announcement)) = announcement(netlink, params, observation, until) else {
        return;
    };
    let files = RunFiles::of(params.ip, observation.zone);
    let sent = open_socket(link, params.ip).and_then(|mut socket| {
        (0..params.refresh).try_for_each(|_| announcement.send(&mut socket, link))
    });
    match sent {
        Ok(()) => files.note_announcement(link.mac),
        Err(error) => {
            log::warn!("{}", failure(&error).note("the VIP is not announced"));
            // The next monitor reports it, and leaves an announcer.
            files.note_unannounced(Unannounced::NotSent);
        }
    }
}

/// Returns true if the link has another MAC address than the one with which the VIP was announced last: a
/// bond or bridge has changed it after the end of the announcer.
pub(crate) fn have_another_mac(observation: &Observation, files: &RunFiles) -> bool {
    let Some((_, mac)) = link_with_neighbours(observation) else { return false };
    files.announced_mac().is_some_and(|announced| announced != mac)
}

/// Checks whether another host has the VIP, and whether the gateway answers it. Success also if there is
/// nothing to ask.
pub(crate) fn check(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    until: Deadline,
) -> Verdict {
    let Some((link, mac)) = link_with_neighbours(observation) else { return Verdict::success() };
    if answers_nothing(params.ip, link) {
        return Verdict::degraded(format!(
            "{ip} is on {name}, which answers no ARP request: set net.ipv4.conf.all.arp_ignore and \
             net.ipv4.conf.{name}.arp_ignore to another value than 8",
            ip = params.ip,
            name = link.name
        ));
    }
    let checked = ask(link, params.ip, until, |socket| {
        let prober = prober(netlink, params.ip, observation, (link, mac), until)?;
        let asking = Asking::Watch;
        let conflict =
            check_conflict(netlink, params, observation, &prober, socket, asking, until)?;
        if conflict.exit != Exit::Success {
            return Ok(conflict);
        }
        let Some(gateway) = tables::gateway(netlink, params, link.index, until)? else {
            return Ok(Verdict::success());
        };
        for _ in 0..GATEWAY_REQUESTS {
            let left = until.remaining();
            let timeout = GATEWAY_TIMEOUT.min(left);
            let answers = resolve(socket, (params.ip, mac), &[gateway], timeout)?;
            // Without the full time, a missing answer proves nothing.
            if !answers.is_empty() || left < GATEWAY_TIMEOUT {
                return Ok(Verdict::success());
            }
        }
        Ok(Verdict::degraded(format!(
            "gateway {gateway} does not answer {} on {}: check the gateway and the VLAN",
            params.ip, link.name
        )))
    });
    checked.unwrap_or_else(|error| not_checked(params.ip, &link.name, &error))
}

/// Asks the neighbours, again for a moment if the link refuses to send.
fn ask(
    link: &Link,
    ip: IpAddr,
    until: Deadline,
    question: impl Fn(&mut PacketSocket) -> Result<Verdict>,
) -> Result<Verdict> {
    let give_up = until.within(SEND_PATIENCE);
    loop {
        match open_socket(link, ip).and_then(|mut socket| question(&mut socket)) {
            Err(error) if error.is_transient() && give_up.sleep(SEND_AGAIN) => {}
            asked => return asked,
        }
    }
}

/// What a monitor below the level that checks the neighbours does about another host that has the VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// The host that was found is watched until it is silent.
    Watch,
    /// It sends one probe and listens no longer than start does. Whoever it finds is only noted: this host
    /// can have been frozen, and the other one can have the VIP rightfully. The VIP is defended when the
    /// cluster has had [`DEFEND_INTERVAL`] to end that.
    Search,
}

/// `None` if the monitor asks nobody now. While the VIP is not announced, the announcer asks.
pub(crate) fn due_asking(params: &Params, observation: &Observation) -> Option<Asking> {
    params.duplicates?;
    let files = RunFiles::of(params.ip, observation.zone);
    if files.noted_conflict().is_some() {
        return Some(Asking::Watch);
    }
    let is_due = files.last_search().is_none_or(|age| age >= search_interval(params.ip));
    let is_announced = observation.unannounced.is_none() && !is_held(&files.announcer_lock());
    (is_due && is_announced).then_some(Asking::Search)
}

/// Up to two seconds more than [`SEARCH_INTERVAL`], by the address: many VIPs must not ask at the same moment.
fn search_interval(ip: IpAddr) -> Duration {
    let last = match ip {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    };
    SEARCH_INTERVAL + Duration::from_millis(8 * u64::from(last))
}

/// Looks for another host that has the VIP, for the monitors below the level that checks the neighbours:
/// defends the VIP, and announces it once more when the other host is silent.
pub(crate) fn watch_conflict(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    asking: Asking,
    until: Deadline,
) -> Verdict {
    // Only a monitor of the level that searches decides that the same host was found again.
    let duplicates =
        params.duplicates.map(|check| DuplicateCheck { action: DuplicateAction::Defend, ..check });
    let params = Params { duplicates, ..params.clone() };
    let Some((link, mac)) = link_with_neighbours(observation) else { return Verdict::success() };
    let checked = ask(link, params.ip, until, |socket| {
        let prober = prober(netlink, params.ip, observation, (link, mac), until)?;
        check_conflict(netlink, &params, observation, &prober, socket, asking, until)
    });
    checked.unwrap_or_else(|error| not_checked(params.ip, &link.name, &error))
}

fn prober(
    netlink: &Netlink,
    ip: IpAddr,
    observation: &Observation,
    (link, mac): (&Link, MacAddress),
    until: Deadline,
) -> Result<Prober> {
    let links = tables::links(netlink, until)?;
    Ok(Prober { ip, mac, own: OwnLinks::of(ip, link, &links, &observation.instances) })
}

/// What can't be asked is not known: that is no success, and no reason to end the service.
fn not_checked(ip: IpAddr, link: &LinkName, error: &Error) -> Verdict {
    log::warn!("{}", failure(error).note("the neighbours can't be checked"));
    match error {
        Error::DeadlinePassed { .. } => no_time(ip, link),
        Error::SendFailed { .. } => Verdict::degraded(format!(
            "whether another host has {ip} is unknown: {}",
            refuses_to_send(link)
        )),
        _ => Verdict::degraded(format!(
            "whether another host has {ip} on {link} is unknown ({}): remove that cause",
            ocf::cause(error)
        )),
    }
}

fn no_time(ip: IpAddr, link: &LinkName) -> Verdict {
    let reason = format!(
        "no time to find out whether another host has {ip} on {link}: raise the timeout of monitor"
    );
    Verdict::degraded(reason)
}

/// Defends the VIP against another host (RFC 5227 section 2.4 (c)): announces it again, but not in a loop
/// in which both hosts answer each other. When the other host is silent, the VIP is announced once more,
/// because the neighbours have learned the wrong MAC address.
fn check_conflict(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    prober: &Prober,
    socket: &mut PacketSocket,
    asking: Asking,
    until: Deadline,
) -> Result<Verdict> {
    let (Some(check), Some(link)) = (params.duplicates, &observation.link) else {
        return Ok(Verdict::success());
    };
    let files = RunFiles::of(params.ip, observation.zone);
    let noted = files.noted_conflict();
    let announce = |socket: &mut PacketSocket| {
        let Some((link, announcement)) = announcement(netlink, params, observation, until) else {
            return Ok(());
        };
        announcement.send(socket, link)?;
        files.note_announcement(link.mac);
        Ok(())
    };
    let result = match asking {
        // A frame that is lost is made up for by the next search.
        Asking::Search => {
            let silence = check.timeout.min(SEARCH_SILENCE);
            prober.probe_once(socket, Conflicts::Owners, silence, until)?
        }
        // Nothing waits for this monitor: a host that answers late is found, too.
        Asking::Watch => {
            let silence = check.timeout.max(RELEASE_TIME);
            prober.probe(socket, Conflicts::Owners, silence, until)?
        }
    };
    files.note_search();
    let mac = match result {
        ProbeResult::Conflict(mac) => mac,
        ProbeResult::Free => {
            if let Some(Conflict { mac, .. }) = noted {
                announce(socket)?;
                files.forget_conflict();
                let again = if params.announce.is_some() { ": announced again" } else { "" };
                let note = format!("the other host is silent{again}");
                log::info!("{}", line().field("mac", mac).note(note));
            }
            return Ok(Verdict::success());
        }
        ProbeResult::Unknown => return Ok(no_time(params.ip, &link.name)),
    };
    if asking == Asking::Search {
        files.note_conflict(mac, ConflictOrigin::Seen);
        return Ok(verdict_on_conflict(params, mac, &link.name, ConflictOrigin::Seen, false));
    }
    let is_due = noted.is_none_or(|it| it.announced.is_none_or(|age| age >= DEFEND_INTERVAL));
    let same = noted.filter(|it| it.mac == mac && it.origin != ConflictOrigin::Seen);
    let origin = match noted {
        Some(Conflict { origin: ConflictOrigin::Seen, .. }) if !is_due => ConflictOrigin::Seen,
        _ => same.map_or(ConflictOrigin::Found, |noted| noted.origin),
    };
    if is_due {
        announce(socket)?;
        files.note_conflict(mac, origin);
    }
    let persists = same.is_some() && check.action == DuplicateAction::Fail;
    Ok(verdict_on_conflict(params, mac, &link.name, origin, persists))
}

/// `persists`: the same host was found before, and monitor fails for that.
fn verdict_on_conflict(
    params: &Params,
    mac: MacAddress,
    link: &LinkName,
    origin: ConflictOrigin,
    persists: bool,
) -> Verdict {
    let ip = params.ip;
    let is_announced = params.announce.is_some();
    match origin {
        _ if persists => {
            let again = if is_announced { ", after it was announced again" } else { "" };
            let reason =
                format!("{ip} is still in use by {mac} on {link}{again}: remove it from that host");
            Verdict::failed(Exit::Generic, reason)
        }
        ConflictOrigin::TakenOver => Verdict::degraded(format!(
            "{ip} runs here, but {mac} on {link} answers for its fenced owner: clear it on that \
             switch or host"
        )),
        ConflictOrigin::Seen => Verdict::degraded(format!(
            "{ip} is also in use by {mac} on {link}: remove it from that host or switch"
        )),
        ConflictOrigin::Found => {
            let again = if is_announced { ", and was announced again" } else { "" };
            Verdict::degraded(format!(
                "{ip} is also in use by {mac} on {link}{again}: remove it from that host or switch"
            ))
        }
    }
}

/// The link of the VIP and its MAC address, if it can be used and has neighbours.
fn link_with_neighbours(observation: &Observation) -> Option<(&Link, MacAddress)> {
    let link = observation.link.as_ref().filter(|link| link.usable() && has_neighbours(link))?;
    Some((link, link.mac?))
}

/// The announcement that can be sent now.
fn announcement<'a>(
    netlink: &Netlink,
    params: &Params,
    observation: &'a Observation,
    until: Deadline,
) -> Option<(&'a Link, Announcement)> {
    let (link, _) = link_with_neighbours(observation)?;
    let place = (link.index, observation.exact(params)?.prefix);
    Some((link, Announcement::of(params, netlink, place, until)?))
}
