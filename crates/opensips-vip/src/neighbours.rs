//! What monitor says to the neighbours, and asks them.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Link, Netlink, PacketSocket};
use ocf::{Exit, Verdict};

use crate::announce::Subject;
use crate::judge::Sight;
use crate::params::{Params, is_link_local};
use crate::question::{self, Asker, Heard, Rivals};
use crate::run_directory::RunDirectory;
use crate::{host, plan};

/// How long the gateway may take to answer, each of two times.
const ANSWER: Duration = Duration::from_millis(300);

/// The announcements of a monitor (`arp_count_refresh`).
pub(crate) fn refresh(params: &Params, sight: &Sight) {
    if params.refresh == 0 {
        return;
    }
    let Some((link, subject)) = subject(params, sight) else { return };
    let sent = question::socket(link, params.ip).and_then(|mut socket| {
        (0..params.refresh).try_for_each(|_| subject.send(&mut socket, link))
    });
    if let Err(error) = sent {
        log::warn!("vip={} is not announced: {error}", params.ip);
    }
}

/// Asks whether another host claims the VIP, and whether the gateway answers to it. Success also
/// where there is nobody to ask, or where that can't be done.
pub(crate) fn ask(netlink: &Netlink, params: &Params, sight: &Sight, until: Deadline) -> Verdict {
    let Some(link) = sight.link.as_ref().filter(|link| link.usable() && plan::has_neighbours(link))
    else {
        return Verdict::success();
    };
    let Some(mac) = link.mac else { return Verdict::success() };
    let asked = question::socket(link, params.ip).and_then(|mut socket| {
        let links = host::settled(until, || netlink.links(until))?;
        let own = links.iter().filter_map(|link| link.mac).collect();
        let asker = Asker { ip: params.ip, mac, own };
        let rival = rival(params, sight, &asker, &mut socket, until)?;
        if rival.exit != Exit::Success {
            return Ok(rival);
        }
        let gateway = host::gateway(netlink, params, link.index, until)?;
        gateway.map_or(Ok(Verdict::success()), |gateway| {
            for _ in 0..2 {
                let left = until.remaining();
                let answered =
                    !asker.resolve(&mut socket, &[gateway], ANSWER.min(left))?.is_empty();
                // Who had no time to answer is not silent.
                if answered || left < ANSWER {
                    return Ok(Verdict::success());
                }
            }
            Ok(Verdict::degraded(format!(
                "gateway {gateway} does not answer {} on {}",
                params.ip, link.name
            )))
        })
    });
    // Whatever keeps the question from being asked, the VIP serves.
    asked.unwrap_or_else(|error| {
        log::warn!("vip={}: the neighbours are not asked: {error}", params.ip);
        Verdict::success()
    })
}

/// A rival that is found once may be a host that did not hear of the move: it is told. One that is
/// there again at the next look is the fault of somebody who has to look at it.
fn rival(
    params: &Params,
    sight: &Sight,
    asker: &Asker,
    socket: &mut PacketSocket,
    until: Deadline,
) -> Result<Verdict, hostnet::Error> {
    let Some(check) = params.duplicates else { return Ok(Verdict::success()) };
    let zone = sight.link.as_ref().filter(|_| is_link_local(params.ip)).map(|link| &link.name);
    let run = RunDirectory::new().on(zone);
    let mac = match asker.rival(socket, Rivals::Owners, check.timeout, until)? {
        Heard::Rival(mac) => mac,
        Heard::Nobody => {
            run.forget_rival(params.ip);
            return Ok(Verdict::success());
        }
        Heard::Unknown => {
            let ip = params.ip;
            log::warn!("vip={ip} no time for duplicate_timeout: raise the timeout of monitor");
            return Ok(Verdict::success());
        }
    };
    if let Some((link, subject)) = subject(params, sight) {
        subject.send(socket, link)?;
    }
    let before = run.remember_rival(params.ip, mac);
    let reason = format!("{} is claimed by {mac}, too", params.ip);
    Ok(if before {
        Verdict::failed(Exit::Generic, format!("{reason}, still after it was announced again"))
    } else {
        Verdict::degraded(format!("{reason}: announced again"))
    })
}

/// What can be announced now.
fn subject<'a>(params: &Params, sight: &'a Sight) -> Option<(&'a Link, Subject)> {
    let link = sight.link.as_ref().filter(|link| link.usable() && plan::has_neighbours(link))?;
    let prefix = sight.exact(params)?.prefix;
    let form = params.announce?;
    let subject = Subject { ip: params.ip, prefix, link: link.index, form, targets: Vec::new() };
    Some((link, subject))
}
