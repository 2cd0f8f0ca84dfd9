//! What the host must have before the daemon can run: program, configuration, user and group.

use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use hostproc::Accounts;
use nix::unistd::{Gid, Uid, chown};

use crate::error::{Error, Result};
use crate::files::{Links, open_regular};
use crate::mi::Endpoint;
use crate::params::{Account, Params};

/// Every reason why the daemon can't run here, in the order of the parameters.
pub(crate) fn findings(params: &Params) -> Vec<Error> {
    let checks = [
        binary(&params.binary),
        config(&params.config),
        user_of(&params.user).map(|_| ()),
        group_of(&params.group).map(|_| ()),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

/// The first of them.
///
/// # Errors
/// [`Error::BinaryMissing`], [`Error::BinaryNotExecutable`], [`Error::BinaryIsScript`],
/// [`Error::ConfigUnreadable`], [`Error::NoSuchAccount`], [`Error::AccountLookup`]
pub(crate) fn check(params: &Params) -> Result<()> {
    findings(params).into_iter().next().map_or(Ok(()), Err)
}

fn binary(path: &Path) -> Result<()> {
    let missing = |source| Error::BinaryMissing { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(missing)?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(Error::BinaryNotExecutable { path: path.to_owned() });
    }
    let mut start = [0; 2];
    // A program that may be executed and not read is no script: the kernel would not run it.
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    if read.is_ok() && start == *b"#!" {
        return Err(Error::BinaryIsScript { path: path.to_owned() });
    }
    Ok(())
}

fn config(path: &Path) -> Result<()> {
    let unreadable = |source| Error::ConfigUnreadable { path: path.to_owned(), source };
    open_regular(path, Links::Followed).map(|_| ()).map_err(unreadable)
}

/// # Errors
/// [`Error::NoSuchAccount`], [`Error::AccountLookup`]
pub(crate) fn user_of(account: &Account) -> Result<(Uid, Gid)> {
    let user = found_account("user", account, Accounts::default().user(account.as_str()))?;
    // A number needs no entry: setuid(2) does not ask.
    match (user, account.number()) {
        (Some(user), _) => Ok((Uid::from_raw(user.uid), Gid::from_raw(user.gid))),
        (None, Some(number)) => Ok((Uid::from_raw(number), Gid::from_raw(number))),
        (None, None) => {
            Err(Error::NoSuchAccount { kind: "user", name: account.as_str().to_owned() })
        }
    }
}

fn group_of(account: &Account) -> Result<Gid> {
    if let Some(number) = account.number() {
        return Ok(Gid::from_raw(number));
    }
    let group = found_account("group", account, Accounts::default().group(account.as_str()))?;
    group
        .map(Gid::from_raw)
        .ok_or_else(|| Error::NoSuchAccount { kind: "group", name: account.as_str().to_owned() })
}

fn found_account<T>(
    kind: &'static str,
    account: &Account,
    found: io::Result<Option<T>>,
) -> Result<Option<T>> {
    found.map_err(|source| Error::AccountLookup { kind, name: account.as_str().to_owned(), source })
}

/// Makes the directory of the pid file, which is the daemon's: it makes its FIFO there, and
/// removes its pid file when it ends, as its own user. What is there stays as it is.
///
/// # Errors
/// [`Error::File`], and those of [`check`] about user and group
pub(crate) fn make_pid_directory(params: &Params) -> Result<()> {
    let Some(directory) = params.pidfile.parent().filter(|directory| !directory.exists()) else {
        return Ok(());
    };
    let failed =
        |operation| move |source| Error::File { operation, path: directory.to_owned(), source };
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .map_err(failed("make directory"))?;
    let (uid, _) = user_of(&params.user)?;
    let gid = group_of(&params.group)?;
    chown(directory, Some(uid), Some(gid))
        .map_err(|errno| failed("set the owner of")(io::Error::from(errno)))
}

/// Makes the directory of the MI's replies, where it is missing: nobody but root makes files in
/// it, and nobody but root and the daemon comes in.
///
/// # Errors
/// [`Error::File`], and those of [`check`] about the group
pub(crate) fn make_reply_directory(params: &Params) -> Result<()> {
    let directory = &params.mi_reply_dir;
    if !matches!(params.mi, Some(Endpoint::Fifo(_))) || directory.exists() {
        return Ok(());
    }
    let failed =
        |operation| move |source| Error::File { operation, path: directory.clone(), source };
    if let Some(parent) = directory.parent() {
        make_own_directory(parent)?;
    }
    DirBuilder::new().mode(0o710).create(directory).map_err(failed("make directory"))?;
    chown(directory, None, Some(group_of(&params.group)?))
        .map_err(|errno| failed("set the group of")(errno.into()))
}

/// Makes the agent's own directory.
///
/// # Errors
/// [`Error::File`]
pub(crate) fn make_own_directory(directory: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(|source| Error::File {
        operation: "make directory",
        path: directory.to_owned(),
        source,
    })
}

/// Removes a file; one that is not there is as good.
///
/// # Errors
/// [`Error::File`]
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::File { operation: "remove", path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;
    use std::ffi::OsStr;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let defaults = [("binary", "/bin/true"), ("config", "/etc/passwd")];
        let accounts = [("user", "root"), ("group", "root")];
        let all = defaults.iter().chain(&accounts).chain(pairs).copied();
        Params::read(&all.collect(), &InstanceName::new(OsStr::new("x"))).unwrap()
    }

    fn told(pairs: &[(&str, &str)]) -> Vec<String> {
        findings(&params(pairs)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_complete_host() {
        assert_eq!(told(&[]), [""; 0]);
        assert_eq!(told(&[("user", "0"), ("group", "4294967")]), [""; 0]);
    }

    #[test]
    fn everything_that_is_missing_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert_eq!(
            told(&[("binary", "/no/opensips"), ("user", "no-such-user"), ("group", "no-such-one")]),
            [
                "/no/opensips is not installed: No such file or directory (os error 2)",
                "user no-such-user does not exist on this node",
                "group no-such-one does not exist on this node",
            ]
        );
        let script_text = script.to_str().unwrap();
        assert!(told(&[("binary", script_text)])[0].ends_with("is not an executable file"));
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(told(&[("binary", script_text)])[0].contains("is a script"));
        assert!(told(&[("config", "/etc")])[0].contains("Is a directory"));
        assert!(told(&[("config", "/no.cfg")])[0].contains("can't be read"));
    }

    #[test]
    fn the_pid_directory_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let pidfile = directory.path().join("a/b/x.pid");
        let mut params = params(&[("pidfile", pidfile.to_str().unwrap())]);
        let own = (Uid::current().to_string(), Gid::current().to_string());
        params.user = own.0.parse().unwrap();
        params.group = own.1.parse().unwrap();
        make_pid_directory(&params).unwrap();
        assert!(pidfile.parent().unwrap().is_dir());
        make_pid_directory(&params).unwrap();
        remove(&pidfile).unwrap();
    }
}
