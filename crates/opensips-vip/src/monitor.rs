//! monitor: one address dump and one link, judged; from level 10 on the neighbours are asked, too.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Error as NetError, EventGroup, Events, Netlink};
use ocf::{Exit, Request, Verdict};

use crate::error::Error;
use crate::judge::Sight;
use crate::params::Params;
use crate::{host, neighbours, source_routing};

/// How long a table that keeps changing is read again before that is an error.
const SETTLING: Duration = Duration::from_secs(5);
/// How long the kernel's duplicate address detection may go on, which begins anew when the carrier is
/// back.
const DETECTION: Duration = Duration::from_secs(3);
/// The level from which the neighbours are asked.
const NEIGHBOURS: u32 = 10;

/// Does the action.
pub(crate) fn monitor(request: &Request) -> Result<Verdict, Error> {
    let params = Params::read(&request.values)?;
    match host::enter_where_started(params.namespace.as_ref(), params.ip) {
        // With the namespace, and everybody who was in it, everything in it has gone.
        Err(NetError::NoSuchNamespace { .. }) => return Ok(Verdict::not_running()),
        entered => entered?,
    }
    let netlink = Netlink::open()?;
    let until = request.deadline.within(SETTLING);
    let sight = settled_sight(&netlink, &params, until)?;
    let mut verdict = sight.judge(&params);
    if matches!(verdict.exit, Exit::Success | Exit::Degraded)
        && let Some(missing) = source_routing::missing(&netlink, &params, &sight, until)?
    {
        verdict = Verdict::failed(Exit::Generic, format!("{}: {missing}", params.ip));
    }
    if verdict.exit.is_failure() && verdict.exit != Exit::Degraded || sight.link.is_none() {
        return Ok(verdict);
    }
    if !request.probe {
        neighbours::refresh(&params, &sight);
    }
    if request.check_level < NEIGHBOURS {
        return Ok(verdict);
    }
    let asked = neighbours::ask(&netlink, &params, &sight, request.deadline);
    // What was wrong before remains the first thing to look at.
    Ok(if asked.exit == Exit::Success || asked.exit == verdict.exit { verdict } else { asked })
}

/// What is to be judged, when the kernel's duplicate address detection is over, if it goes on.
fn settled_sight(netlink: &Netlink, params: &Params, until: Deadline) -> Result<Sight, Error> {
    let sight = host::sight(netlink, params, until)?;
    if !sight.is_tentative(params) {
        return Ok(sight);
    }
    let mut last = sight;
    let mut events = Events::subscribe(&[EventGroup::Address(params.family())])?;
    let patience = until.within(DETECTION);
    events.wait_until(patience, || {
        last = host::sight(netlink, params, until)?;
        Ok((!last.is_tentative(params)).then_some(()))
    })?;
    Ok(last)
}
