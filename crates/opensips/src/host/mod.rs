//! What the host must have before the daemon can run: program, configuration, user and group.

pub(crate) mod defaults;
pub(crate) mod directories;
pub(crate) mod fifo;
pub(crate) mod files;
pub(crate) mod mounts;
pub(crate) mod paths;
pub(crate) mod systemd_unit;

use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use deadline::Deadline;
use hostproc::{Accounts, Pid, Reach};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{Gid, Uid, fchown};

use crate::error::{Error, Result};
use crate::host::files::{Links, open_regular};
use crate::mi::Endpoint;
use crate::params::{Account, Params};

/// Every reason why the daemon can't run here, in the order of the parameters.
pub(crate) fn findings(params: &Params, until: Deadline) -> Vec<Error> {
    let checks = [
        binary(&params.binary),
        config(&params.config),
        user_of(&params.user, until).map(|_| ()),
        group_of(&params.group, until).map(|_| ()),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

/// The first of them.
///
/// # Errors
/// [`Error::BinaryMissing`], [`Error::BinaryNotExecutable`], [`Error::BinaryIsScript`],
/// [`Error::ConfigUnreadable`], [`Error::NoSuchAccount`], [`Error::AccountLookup`]
pub(crate) fn check(params: &Params, until: Deadline) -> Result<()> {
    findings(params, until).into_iter().next().map_or(Ok(()), Err)
}

fn binary(path: &Path) -> Result<()> {
    let missing = |source| Error::BinaryMissing { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(missing)?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(Error::BinaryNotExecutable { path: path.to_owned() });
    }
    if is_script(path) {
        return Err(Error::BinaryIsScript { path: path.to_owned() });
    }
    Ok(())
}

/// Whether the kernel would run another program for this file. One that can't be read is none: the
/// kernel would not run a script that it can't read.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start == *b"#!"
}

fn config(path: &Path) -> Result<()> {
    let unreadable = |source| Error::ConfigUnreadable { path: path.to_owned(), source };
    open_regular(path, Links::Followed).map(|_| ()).map_err(unreadable)
}

/// # Errors
/// [`Error::NoSuchAccount`], [`Error::AccountLookup`]
pub(crate) fn user_of(account: &Account, until: Deadline) -> Result<(Uid, Gid)> {
    let reach = Reach::NameService(until);
    let user = found_account("user", account, Accounts::default().user(account.as_str(), reach))?;
    // A number needs no entry: setuid(2) does not ask.
    match (user, account.number()) {
        (Some(user), _) => Ok((Uid::from_raw(user.uid), Gid::from_raw(user.gid))),
        (None, Some(number)) => Ok((Uid::from_raw(number), Gid::from_raw(number))),
        (None, None) => {
            Err(Error::NoSuchAccount { kind: "user", name: account.as_str().to_owned() })
        }
    }
}

/// A user by its number or the local files: no process is started, nobody is waited for; `None`
/// where only the name service may know.
///
/// # Errors
/// [`Error::AccountLookup`]
pub(crate) fn local_user(account: &Account) -> Result<Option<Uid>> {
    if let Some(number) = account.number() {
        return Ok(Some(Uid::from_raw(number)));
    }
    let local = Accounts::default().user(account.as_str(), Reach::Files);
    Ok(found_account("user", account, local)?.map(|user| Uid::from_raw(user.uid)))
}

/// The daemon's user, for actions that come often and must start no process: as [`local_user`], or
/// else by what its main process runs as.
///
/// # Errors
/// [`Error::NoSuchAccount`], [`Error::AccountLookup`]
pub(crate) fn daemon_user(account: &Account, main: Pid) -> Result<Uid> {
    local_user(account)?
        .or_else(|| user_of_process(main))
        .ok_or_else(|| Error::NoSuchAccount { kind: "user", name: account.as_str().to_owned() })
}

/// Whom a process acts as; `None` if it is gone.
pub(crate) fn user_of_process(pid: Pid) -> Option<Uid> {
    effective_user(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// `Uid:  REAL EFFECTIVE SAVED FILESYSTEM` (proc(5)). The owner of its files in `/proc` would be
/// root: a process that has changed its user can't be dumped.
fn effective_user(status: &str) -> Option<Uid> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok().map(Uid::from_raw)
}

pub(crate) fn group_of(account: &Account, until: Deadline) -> Result<Gid> {
    if let Some(number) = account.number() {
        return Ok(Gid::from_raw(number));
    }
    let reach = Reach::NameService(until);
    let group =
        found_account("group", account, Accounts::default().group(account.as_str(), reach))?;
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
pub(crate) fn make_pid_directory(params: &Params, until: Deadline) -> Result<()> {
    let Some(directory) = params.pidfile.parent().filter(|directory| !directory.exists()) else {
        return Ok(());
    };
    let (uid, _) = user_of(&params.user, until)?;
    let gid = group_of(&params.group, until)?;
    make_given_away(directory, 0o755, Some(uid), gid)
}

/// Makes the directory of the MI's replies, where it is missing: nobody but root makes files in
/// it, and nobody but root and the daemon comes in.
///
/// # Errors
/// [`Error::File`], and those of [`check`] about the group
pub(crate) fn make_reply_directory(params: &Params, until: Deadline) -> Result<()> {
    let directory = &params.mi_reply_dir;
    if !matches!(params.mi, Some(Endpoint::Fifo(_))) || directory.exists() {
        return Ok(());
    }
    make_given_away(directory, 0o710, None, group_of(&params.group, until)?)
}

/// Makes a directory, with those above it, and gives it to somebody. One that is already there
/// stays whose it is.
///
/// The one above may belong to the daemon's user, who could put a link in the place of the new one
/// before it is given away: that is done through handles.
fn make_given_away(directory: &Path, mode: u32, uid: Option<Uid>, gid: Gid) -> Result<()> {
    let failed =
        |operation| move |source| Error::File { operation, path: directory.to_owned(), source };
    let (Some(above), Some(name)) = (directory.parent(), directory.file_name()) else {
        return Ok(());
    };
    make_own_directory(above)?;
    let handle = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let above = nix::fcntl::open(above, handle, Mode::empty())
        .map_err(|errno| failed("open the directory above")(errno.into()))?;
    match mkdirat(&above, name, Mode::from_bits_truncate(mode)) {
        Ok(()) => {}
        Err(Errno::EEXIST) if directory.is_dir() => return Ok(()),
        Err(errno) => return Err(failed("make directory")(errno.into())),
    }
    let made = openat(&above, name, handle | OFlag::O_NOFOLLOW, Mode::empty())
        .map_err(|errno| failed("open")(errno.into()))?;
    fchown(&made, uid, Some(gid)).map_err(|errno| failed("set the owner of")(errno.into()))
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
    use std::os::unix::fs::MetadataExt;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let defaults = [("binary", "/bin/true"), ("config", "/etc/passwd")];
        let accounts = [("user", "root"), ("group", "root")];
        let all = defaults.iter().chain(&accounts).chain(pairs).copied();
        Params::read(&all.collect(), &InstanceName::new(OsStr::new("x"))).unwrap()
    }

    fn later() -> Deadline {
        Deadline::after(std::time::Duration::from_secs(600))
    }

    #[test]
    fn only_what_was_made_is_given_away() {
        let directory = tempfile::tempdir().unwrap();
        let (victim, link) = (directory.path().join("victim"), directory.path().join("link"));
        let dangling = directory.path().join("dangling");
        std::fs::create_dir(&victim).unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        // Nobody but root may give to others; whoever else may give to himself.
        let root = Uid::effective().is_root();
        let (uid, gid) = if root {
            (Uid::from_raw(4711), Gid::from_raw(4711))
        } else {
            (Uid::effective(), Gid::effective())
        };
        let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
        let before = owner(&victim);
        make_given_away(&link, 0o755, Some(uid), gid).unwrap();
        assert_eq!(owner(&victim), before);
        assert!(make_given_away(&dangling, 0o755, Some(uid), gid).is_err());
        let new = directory.path().join("a/new");
        make_given_away(&new, 0o710, Some(uid), gid).unwrap();
        assert_eq!(owner(&new), uid.as_raw());
        assert_eq!(new.metadata().unwrap().permissions().mode() & 0o777, 0o710);
        assert_eq!(owner(new.parent().unwrap()), before);
    }

    #[test]
    fn the_daemons_user_without_asking_anybody() {
        let own = Pid::own();
        let user = |text: &str| daemon_user(&text.parse().unwrap(), own).unwrap();
        assert_eq!(user("root"), Uid::from_raw(0));
        assert_eq!(user("4711"), Uid::from_raw(4711));
        assert_eq!(user("no-such-user"), Uid::effective());
        let status = "Name:\topensips\nUid:\t0\t105\t105\t105\nGid:\t0\t0\t0\t0\n";
        assert_eq!(effective_user(status), Some(Uid::from_raw(105)));
        assert_eq!(effective_user("Name:\tx\n"), None);
    }

    fn told(pairs: &[(&str, &str)]) -> Vec<String> {
        findings(&params(pairs), later()).iter().map(ToString::to_string).collect()
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
        make_pid_directory(&params, later()).unwrap();
        assert!(pidfile.parent().unwrap().is_dir());
        make_pid_directory(&params, later()).unwrap();
        remove(&pidfile).unwrap();
    }
}
