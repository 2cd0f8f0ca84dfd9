//! What a recurring monitor sends to the neighbours, and what a monitor of level 10 checks there.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Link, MacAddress, Netlink, PacketSocket, Result};
use ocf::{Exit, Verdict};

use super::announcement::Announcement;
use super::conflict_probe::{Conflicts, ProbeResult, Prober};
use super::open_socket;
use super::resolve::resolve;
use crate::decide::judge::Observation;
use crate::decide::plan::has_neighbours;
use crate::host::run_files::RunFiles;
use crate::host::tables;
use crate::log_line::{failure, line};
use crate::params::Params;

/// How often the gateway is asked, because a frame can be lost, and how long it may take to answer.
const GATEWAY_REQUESTS: u32 = 2;
const GATEWAY_TIMEOUT: Duration = Duration::from_millis(300);

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
        let links = tables::links(netlink, until)?;
        let own = links.iter().filter_map(|link| link.mac).collect();
        let prober = Prober { ip: params.ip, mac, own };
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
    checked.unwrap_or_else(|error| {
        log::warn!("{}", failure(&error).note("the neighbours can't be checked"));
        Verdict::success()
    })
}

/// A host that is found once may have missed the announcements: the VIP is announced again. A host that
/// is found again by the next monitor needs an administrator.
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
    let mac = match prober.probe(socket, Conflicts::Owners, check.timeout, until)? {
        ProbeResult::Conflict(mac) => mac,
        ProbeResult::Free => {
            files.forget_conflict();
            return Ok(Verdict::success());
        }
        ProbeResult::Unknown => {
            let note = "no time for the duplicate address check: raise the timeout of monitor";
            log::warn!("{}", line().note(note));
            return Ok(Verdict::success());
        }
    };
    if let Some((link, announcement)) = announcement(params, observation) {
        announcement.send(socket, link)?;
    }
    let (ip, link) = (params.ip, &link.name);
    Ok(if files.remember_conflict(mac) {
        let reason = format!(
            "{ip} is still in use by {mac} on {link}, after it was announced again: remove it from \
             that host"
        );
        Verdict::failed(Exit::Generic, reason)
    } else {
        Verdict::degraded(format!(
            "{ip} is also in use by {mac} on {link}, and was announced again: remove it from that host"
        ))
    })
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
