//! The user as which the daemon runs. Everyone on the host can execute the program with the public command
//! line, and stop it there: only what root or the daemon's user runs counts as OpenSIPS.

use std::cell::OnceCell;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{Accounts, Reach};
use nix::unistd::Uid;

use crate::params::Account;

/// How long the name service may take. It is asked only about a process that looks like the daemon, runs as
/// a user that the local files do not name, and is not remembered.
const NAME_SERVICE: Duration = Duration::from_secs(2);

/// The daemon's user, looked up when it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DaemonUser {
    account: Option<Account>,
    found: OnceCell<Lookup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    Known(Uid),
    NoSuchUser,
    /// The name service does not answer.
    Unknown,
}

impl DaemonUser {
    /// `None` if the parameter is invalid.
    pub(super) fn new(account: Option<Account>) -> Self {
        Self { account, found: OnceCell::new() }
    }

    /// Whether a process of this user may be the daemon. Returns true if the daemon's user can't be found
    /// out: a daemon that is not seen would be executed a second time.
    pub(super) fn may_be(&self, user: Uid) -> bool {
        if user.is_root() {
            return true;
        }
        let Some(account) = &self.account else { return true };
        match self.found.get_or_init(|| look_up(account)) {
            Lookup::Known(uid) => *uid == user,
            Lookup::NoSuchUser => false,
            Lookup::Unknown => true,
        }
    }
}

fn look_up(account: &Account) -> Lookup {
    if let Some(number) = account.number() {
        return Lookup::Known(Uid::from_raw(number));
    }
    let reach = Reach::NameService(Deadline::after(NAME_SERVICE));
    match Accounts::default().user(account.as_str(), reach) {
        Ok(Some(found)) => Lookup::Known(Uid::from_raw(found.uid)),
        Ok(None) => Lookup::NoSuchUser,
        Err(_) => Lookup::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_daemons_user() {
        let may_be = |account: &str, user| {
            DaemonUser::new(Some(account.parse().unwrap())).may_be(Uid::from_raw(user))
        };
        assert!(may_be("4711", 4711) && may_be("4711", 0) && may_be("root", 0));
        assert!(!may_be("4711", 4712) && !may_be("root", 4712));
        assert!(!may_be("no-such-user", 4712));
        assert!(DaemonUser::new(None).may_be(Uid::from_raw(4712)));
    }
}
