//! What a recurring monitor sends to the neighbours, and what a monitor of level 10 checks there.

use std::net::IpAddr;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Error, Link, LinkName, MacAddress, Netlink, PacketSocket, Result};
use ocf::{Exit, Verdict};

use super::announcement::Announcement;
use super::conflict_probe::{Conflicts, ProbeResult, Prober};
use super::open_socket;
use super::own_links::OwnLinks;
use super::resolve::resolve;
use crate::decide::judge::Observation;
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

/// Sends the announcements of a monitor (`arp_count_refresh`).
pub(crate) fn refresh(params: &Params, observation: &Observation) {
    if params.refresh == 0 {
        return;
    }
    let Some((link, announcement)) = announcement(params, observation) else { return };
    let sent = open_socket(link, params.ip).and_then(|mut socket| {
        (0..params.refresh).try_for_each(|_| announcement.send(&mut socket, link))
    });
    if let Err(error) = sent {
        log::warn!("{}", failure(&error).note("the VIP is not announced"));
    }
}

/// Checks whether another host has the VIP, and whether the gateway answers it. Success also if there is
/// nothing to ask, or if it can't be asked: the VIP serves.
pub(crate) fn check(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    until: Deadline,
) -> Verdict {
    let Some((link, mac)) = link_with_neighbours(observation) else { return Verdict::success() };
    let checked = open_socket(link, params.ip).and_then(|mut socket| {
        let prober = prober(netlink, params.ip, observation, (link, mac), until)?;
        let conflict = check_conflict(params, observation, &prober, &mut socket, until)?;
        if conflict.exit != Exit::Success {
            return Ok(conflict);
        }
        let Some(gateway) = tables::gateway(netlink, params, link.index, until)? else {
            return Ok(Verdict::success());
        };
        for _ in 0..GATEWAY_REQUESTS {
            let left = until.remaining();
            let timeout = GATEWAY_TIMEOUT.min(left);
            let answers = resolve(&mut socket, (params.ip, mac), &[gateway], timeout)?;
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
    checked.unwrap_or_else(|error| not_checked(&error))
}

/// Returns true if a conflict is noted for the VIP.
pub(crate) fn has_noted_conflict(params: &Params, observation: &Observation) -> bool {
    let link = observation.link.as_ref().map(|link| &link.name);
    params.duplicates.is_some() && RunFiles::of(params.ip, link).noted_conflict().is_some()
}

/// Looks after a noted conflict, for the monitors below the level that searches for conflicts: defends the
/// VIP, and announces it once more when the other host is silent.
pub(crate) fn watch_conflict(
    netlink: &Netlink,
    params: &Params,
    observation: &Observation,
    until: Deadline,
) -> Verdict {
    // Only a monitor of the level that searches decides that the same host was found again.
    let duplicates =
        params.duplicates.map(|check| DuplicateCheck { action: DuplicateAction::Defend, ..check });
    let params = Params { duplicates, ..params.clone() };
    let Some((link, mac)) = link_with_neighbours(observation) else { return Verdict::success() };
    let checked = open_socket(link, params.ip).and_then(|mut socket| {
        let prober = prober(netlink, params.ip, observation, (link, mac), until)?;
        check_conflict(&params, observation, &prober, &mut socket, until)
    });
    checked.unwrap_or_else(|error| not_checked(&error))
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

fn not_checked(error: &Error) -> Verdict {
    log::warn!("{}", failure(error).note("the neighbours can't be checked"));
    Verdict::success()
}

/// Defends the VIP against another host (RFC 5227 section 2.4 (c)): announces it again, but not in a loop
/// in which both hosts answer each other. When the other host is silent, the VIP is announced once more,
/// because the neighbours have learned the wrong MAC address.
fn check_conflict(
    params: &Params,
    observation: &Observation,
    prober: &Prober,
    socket: &mut PacketSocket,
    until: Deadline,
) -> Result<Verdict> {
    let (Some(check), Some(link)) = (params.duplicates, &observation.link) else {
        return Ok(Verdict::success());
    };
    let files = RunFiles::of(params.ip, Some(&link.name));
    let noted = files.noted_conflict();
    let announce = |socket: &mut PacketSocket| match announcement(params, observation) {
        Some((link, announcement)) => announcement.send(socket, link),
        None => Ok(()),
    };
    let mac = match prober.probe(socket, Conflicts::Owners, check.timeout, until)? {
        ProbeResult::Conflict(mac) => mac,
        ProbeResult::Free => {
            if let Some(Conflict { mac, .. }) = noted {
                announce(socket)?;
                files.forget_conflict();
                let note = "the other host is silent: the VIP was announced again";
                log::info!("{}", line().field("mac", mac).note(note));
            }
            return Ok(Verdict::success());
        }
        ProbeResult::Unknown => {
            let note = "no time for the duplicate address check: raise the timeout of monitor";
            log::warn!("{}", line().note(note));
            return Ok(Verdict::success());
        }
    };
    let is_due = noted.is_none_or(|it| it.announced.is_none_or(|age| age >= DEFEND_INTERVAL));
    let same = noted.filter(|noted| noted.mac == mac);
    let origin = same.map_or(ConflictOrigin::Found, |noted| noted.origin);
    if is_due {
        announce(socket)?;
        files.note_conflict(mac, origin);
    }
    let persists = same.is_some() && check.action == DuplicateAction::Fail;
    Ok(verdict_on_conflict(params.ip, mac, &link.name, origin, persists))
}

/// `persists`: the same host was found before, and monitor fails for that.
fn verdict_on_conflict(
    ip: IpAddr,
    mac: MacAddress,
    link: &LinkName,
    origin: ConflictOrigin,
    persists: bool,
) -> Verdict {
    match origin {
        _ if persists => {
            let reason = format!(
                "{ip} is still in use by {mac} on {link}, after it was announced again: remove it \
                 from that host"
            );
            Verdict::failed(Exit::Generic, reason)
        }
        ConflictOrigin::TakenOver => Verdict::degraded(format!(
            "{ip} runs here, but {mac} on {link} answers for its fenced owner: clear it on that \
             switch or host"
        )),
        ConflictOrigin::Found => Verdict::degraded(format!(
            "{ip} is also in use by {mac} on {link}, and was announced again: remove it from that \
             host or switch"
        )),
    }
}

/// The link of the VIP and its MAC address, if it can be used and has neighbours.
fn link_with_neighbours(observation: &Observation) -> Option<(&Link, MacAddress)> {
    let link = observation.link.as_ref().filter(|link| link.usable() && has_neighbours(link))?;
    Some((link, link.mac?))
}

/// The announcement that can be sent now.
fn announcement<'a>(
    params: &Params,
    observation: &'a Observation,
) -> Option<(&'a Link, Announcement)> {
    let (link, _) = link_with_neighbours(observation)?;
    let announcement = Announcement {
        ip: params.ip,
        prefix: observation.exact(params)?.prefix,
        link: link.index,
        form: params.announce?,
        targets: Vec::new(),
    };
    Some((link, announcement))
}
