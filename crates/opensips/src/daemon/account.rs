//! The user and group of the daemon.

use std::io;

use deadline::Deadline;
use hostproc::{Accounts, Pid, ProcFs, Reach};
use nix::unistd::{Gid, Uid};

use crate::daemon::{Error, Result};
use crate::params::Account;

/// A user and its primary group. A number needs no entry: setuid(2) does not look for one.
///
/// # Errors
/// [`Error::NoSuchAccount`], [`Error::AccountLookup`]
pub(crate) fn user(account: &Account, deadline: Deadline) -> Result<(Uid, Gid)> {
    let found = Accounts::default().user(account.as_str(), Reach::NameService(deadline));
    match (looked_up("user", account, found)?, account.number()) {
        (Some(user), _) => Ok((Uid::from_raw(user.uid), Gid::from_raw(user.gid))),
        (None, Some(number)) => Ok((Uid::from_raw(number), Gid::from_raw(number))),
        (None, None) => Err(missing("user", account)),
    }
}

/// # Errors
/// [`Error::NoSuchAccount`], [`Error::AccountLookup`]
pub(crate) fn group(account: &Account, deadline: Deadline) -> Result<Gid> {
    if let Some(number) = account.number() {
        return Ok(Gid::from_raw(number));
    }
    let found = Accounts::default().group(account.as_str(), Reach::NameService(deadline));
    let group = looked_up("group", account, found)?.ok_or_else(|| missing("group", account))?;
    Ok(Gid::from_raw(group))
}

/// A user by its number or the local files: starts no process and waits for nothing. `None` if only
/// the name service can know it.
///
/// # Errors
/// [`Error::AccountLookup`]
pub(crate) fn local_user(account: &Account) -> Result<Option<Uid>> {
    if let Some(number) = account.number() {
        return Ok(Some(Uid::from_raw(number)));
    }
    let found = Accounts::default().user(account.as_str(), Reach::Files);
    Ok(looked_up("user", account, found)?.map(|user| Uid::from_raw(user.uid)))
}

/// The user for actions that come often and must start no process: as [`local_user`], or else the
/// one that the main process runs as.
///
/// # Errors
/// [`Error::NoSuchAccount`], [`Error::AccountLookup`]
pub(crate) fn user_of_running(account: &Account, main: Pid) -> Result<Uid> {
    local_user(account)?
        .or_else(|| ProcFs::default().effective_user(main).ok().flatten())
        .ok_or_else(|| missing("user", account))
}

fn looked_up<T>(
    kind: &'static str,
    account: &Account,
    found: io::Result<Option<T>>,
) -> Result<Option<T>> {
    found.map_err(|source| Error::AccountLookup { kind, name: account.to_string(), source })
}

fn missing(kind: &'static str, account: &Account) -> Error {
    Error::NoSuchAccount { kind, name: account.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_daemons_user_without_the_name_service() {
        let user = |text: &str| user_of_running(&text.parse().unwrap(), Pid::own()).unwrap();
        assert_eq!(user("root"), Uid::from_raw(0));
        assert_eq!(user("4711"), Uid::from_raw(4711));
        assert_eq!(user("no-such-user"), Uid::effective());
    }
}
