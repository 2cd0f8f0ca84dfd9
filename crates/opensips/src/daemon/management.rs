//! The client of the daemon's Management Interface.

use deadline::Deadline;
use hostproc::Process;
use nix::unistd::Uid;

use crate::daemon::{Result, account};
use crate::mi::{Client, Endpoint};
use crate::params::Params;

/// The MI of the instance with this main process, if the parameters name one: that of `mi` and that
/// of `mi_fallback`, in this order.
///
/// # Errors
/// [`Error::NoSuchAccount`](crate::daemon::Error::NoSuchAccount),
/// [`Error::AccountLookup`](crate::daemon::Error::AccountLookup): it is unknown which user's FIFO can
/// be trusted.
pub(crate) fn clients(params: &Params, main: Process) -> Result<Vec<Client<'_>>> {
    if params.mi.is_none() {
        return Ok(Vec::new());
    }
    let daemon = account::user_of_running(&params.user, main.pid)?;
    Ok(params.endpoints().map(|endpoint| of(params, endpoint, daemon)).collect())
}

/// That of `mi`, where it is not known whether the daemon is running.
///
/// # Errors
/// As [`clients`].
pub(crate) fn client_of_any(params: &Params, deadline: Deadline) -> Result<Option<Client<'_>>> {
    let Some(endpoint) = &params.mi else { return Ok(None) };
    let (daemon, _) = account::user(&params.user, deadline)?;
    Ok(Some(of(params, endpoint, daemon)))
}

fn of<'p>(params: &'p Params, endpoint: &'p Endpoint, daemon: Uid) -> Client<'p> {
    let (reply_directory, patience) = (&params.mi_reply_dir, params.mi_timeout);
    Client { endpoint, reply_directory, daemon, patience }
}
