//! Whether a start can succeed, by everything that can be known before a process is ended or executed.

use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::Sysctl;
use ocf::{LogLine, Request};

use crate::actions::budgets;
use crate::daemon::release::Release;
use crate::daemon::{check, prerequisites, systemd_unit};
use crate::error::Result;
use crate::params::Params;
use crate::promotion::tags::refuse_declared_active;
use crate::sockets::listener::{Declared, Listener, united};
use crate::sockets::nonlocal_bind;
use crate::sockets::obstacles::unsupported;

/// What the daemon will open, as far as it is known before.
pub(crate) struct Fit {
    /// The sockets that its own check prints, if it is checked.
    pub(super) declared: Option<Declared>,
    /// Those, and the ones of parameter `listeners`.
    pub(super) wanted: Vec<Listener>,
    /// How long the check took: a name server that does not answer delays it, and the start after it.
    pub(super) check_took: Duration,
}

/// Checks the host and the configuration. A running instance is not affected.
///
/// # Errors
/// The first obstacle.
pub(crate) fn require_fit(request: &Request, params: &Params, deadline: Deadline) -> Result<Fit> {
    prerequisites::require(params, deadline)?;
    // It takes effect only after a boot, and this node may have to take over now.
    if let Err(error) = systemd_unit::refuse_enabled(params) {
        log::warn!("{}", LogLine::of(request.action).note(error));
    }
    if params.mi.is_some()
        && let Some(version) = check::version(&params.binary, deadline)?
    {
        check::refuse_old_mi(params, Release::of(&version))?;
    }
    refuse_declared_active(params)?;
    let checking = Instant::now();
    let declared = if params.start_check {
        Some(check::complete_config(params, budgets::for_names(deadline), deadline)?)
    } else {
        None
    };
    let check_took = checking.elapsed();
    // Without the check, only the sockets of the parameter are known.
    let known = declared.as_ref().map(|declared| declared.listeners.as_slice());
    let wanted = united(known.unwrap_or_default(), &params.listeners);
    if let Some(error) = unsupported(&wanted).into_iter().next() {
        return Err(error.into());
    }
    let leaving = params.leaving_vips(request.promotable);
    let sysctl = Sysctl::default();
    nonlocal_bind::prepare(params.nonlocal_bind, leaving, &wanted, &sysctl, deadline)?;
    Ok(Fit { declared, wanted, check_took })
}
