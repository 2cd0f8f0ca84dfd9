//! The client of the daemon's Management Interface.

use std::time::Duration;

use deadline::Deadline;
use hostproc::Process;
use nix::unistd::Uid;

use crate::daemon::{Result, account};
use crate::mi::{self, Client, Endpoint};
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

/// Gives each client its share of this time for an answer, if that is less than it has.
pub(crate) fn share(clients: &mut [Client<'_>], patience: Duration) {
    let share = patience / u32::try_from(clients.len()).unwrap_or(1).max(1);
    clients.iter_mut().for_each(|client| client.patience = client.patience.min(share));
}

/// The first client that answers, with the error of the one before it. A single one is not asked: its
/// next question tells.
///
/// # Errors
/// None answers: the error of the first one.
pub(crate) fn reach<'p>(
    clients: &[Client<'p>],
    deadline: Deadline,
) -> mi::Result<Option<(Client<'p>, Option<mi::Error>)>> {
    let (first, fallback) = match *clients {
        [] => return Ok(None),
        [only] => return Ok(Some((only, None))),
        [first, fallback, ..] => (first, fallback),
    };
    let Err(error) = first.up_time(deadline) else { return Ok(Some((first, None))) };
    match fallback.up_time(deadline) {
        Ok(_) => Ok(Some((fallback, Some(error)))),
        Err(_) => Err(error),
    }
}
