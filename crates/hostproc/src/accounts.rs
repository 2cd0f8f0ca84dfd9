//! Users and groups by name or number, without the C library's name service.
//!
//! The agents are linked statically: NSS modules (systemd, sss, ldap) would have to be loaded into
//! them at run time, and must match the very C library. So the local files are read here, where
//! the accounts of daemons are; whatever else the host's name service knows is asked of
//! getent(1), a program of its own.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use deadline::Deadline;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::child::wait;

/// A group of a hundred thousand members is shorter.
const ENTRY_LIMIT: u64 = 4 * 1024 * 1024;

/// How far a look-up may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The local files alone: no process is started, nobody is waited for.
    Files,
    /// Also the host's name service, which may be at the other end of a network that is down, until
    /// then.
    NameService(Deadline),
}

/// The databases of accounts on this host.
#[derive(Clone, Debug)]
pub struct Accounts {
    files: PathBuf,
    getent: PathBuf,
}

/// A user: numbers only, its name is what it was asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserAccount {
    /// User id.
    pub uid: u32,
    /// Id of the primary group.
    pub gid: u32,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { files: PathBuf::from("/etc"), getent: PathBuf::from("/usr/bin/getent") }
    }
}

impl Accounts {
    /// Databases elsewhere: `passwd` and `group` in `files`, and another getent.
    pub fn at(files: impl Into<PathBuf>, getent: impl Into<PathBuf>) -> Self {
        Self { files: files.into(), getent: getent.into() }
    }

    /// A user by name or number; `None` if the host knows none.
    ///
    /// # Errors
    /// The databases can't be read or asked, or do not answer in time
    /// ([`io::ErrorKind::TimedOut`]).
    pub fn user(&self, key: &str, reach: Reach) -> io::Result<Option<UserAccount>> {
        self.find("passwd", key, reach, |fields| match fields {
            // name:password:uid:gid:comment:home:shell (passwd(5))
            [name, _, uid, gid, ..] if *name == key || *uid == key => {
                Some(UserAccount { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            }
            _ => None,
        })
    }

    /// A group's id by name or number; `None` if the host knows none.
    ///
    /// # Errors
    /// As [`Accounts::user`].
    pub fn group(&self, key: &str, reach: Reach) -> io::Result<Option<u32>> {
        self.find("group", key, reach, |fields| match fields {
            // name:password:gid:members (group(5))
            [name, _, gid, ..] if *name == key || *gid == key => gid.parse().ok(),
            _ => None,
        })
    }

    fn find<T>(
        &self,
        database: &str,
        key: &str,
        reach: Reach,
        entry: impl Fn(&[&str]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let search =
            |text: &str| text.lines().find_map(|line| entry(&line.split(':').collect::<Vec<_>>()));
        match std::fs::read(self.files.join(database)) {
            Ok(bytes) => {
                if let Some(found) = search(&String::from_utf8_lossy(&bytes)) {
                    return Ok(Some(found));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // A key with a colon or a newline is in no database; `-` would be an option to getent.
        if key.is_empty() || key.starts_with('-') || key.contains([':', '\n', '\0']) {
            return Ok(None);
        }
        let Reach::NameService(until) = reach else { return Ok(None) };
        Ok(self.ask(database, key, until)?.as_deref().and_then(search))
    }

    fn ask(&self, database: &str, key: &str, until: Deadline) -> io::Result<Option<String>> {
        // A file in memory: the pipe of a hanging name service could not be read to its end, and one
        // that nobody reads fills up.
        let mut output: File = memfd_create("getent", MFdFlags::MFD_CLOEXEC)?.into();
        let spawned = Command::new(&self.getent)
            .args([database, key])
            .env_clear()
            .current_dir(Path::new("/"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            // A host without getent has its files and nothing else.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let status = wait(child, until)?.ok_or_else(|| {
            let what = format!("getent {database} does not answer");
            io::Error::new(io::ErrorKind::TimedOut, what)
        })?;
        match status.code() {
            Some(0) => {
                let mut entry = Vec::new();
                output.rewind()?;
                output.take(ENTRY_LIMIT).read_to_end(&mut entry)?;
                Ok(Some(String::from_utf8_lossy(&entry).into_owned()))
            }
            // The key is in no database (getent(1)).
            Some(2) => Ok(None),
            _ => Err(io::Error::other(format!("getent {database}: {status}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn accounts(getent: &str) -> (tempfile::TempDir, Accounts) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::fs::write(path.join("passwd"), "root:x:0:0:root:/root:/bin/sh\nsip:x:105:110::/:\n")
            .unwrap();
        std::fs::write(path.join("group"), "root:x:0:\nvoice:x:110:sip\nbroken:x:many:\n").unwrap();
        let program = path.join("getent");
        testnet::write_program(&program, format!("#!/bin/sh\n{getent}\n"));
        let accounts = Accounts::at(path, program);
        (directory, accounts)
    }

    fn in_time() -> Reach {
        Reach::NameService(Deadline::after(Duration::from_secs(600)))
    }

    #[test]
    fn a_name_service_that_hangs_is_given_up() {
        let (_directory, accounts) = accounts("exec sleep 600");
        let soon = Reach::NameService(Deadline::after(Duration::from_millis(50)));
        let error = accounts.user("far", soon).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // Where it is not to be asked, it is not.
        assert_eq!(accounts.user("far", Reach::Files).unwrap(), None);
        assert!(accounts.user("sip", Reach::Files).unwrap().is_some());
    }

    #[test]
    fn a_group_with_many_members() {
        let (_directory, accounts) =
            accounts("printf 'far:*:7002:'; head -c 300000 /dev/zero | tr '\\0' x; echo");
        assert_eq!(accounts.group("far", in_time()).unwrap(), Some(7002));
    }

    #[test]
    fn what_getent_leaves_behind_is_not_waited_for() {
        // A process of its own with the pipe open, ended by itself.
        let (_directory, accounts) = accounts("sleep 5 & echo 'far:*:7001:7002::/:'");
        let found = accounts.user("far", in_time()).unwrap();
        assert_eq!(found, Some(UserAccount { uid: 7001, gid: 7002 }));
    }

    #[test]
    fn local_files_first() {
        let (_directory, accounts) = accounts("exit 1");
        let sip = UserAccount { uid: 105, gid: 110 };
        assert_eq!(accounts.user("sip", in_time()).unwrap(), Some(sip));
        assert_eq!(accounts.user("105", in_time()).unwrap(), Some(sip));
        assert_eq!(accounts.group("voice", in_time()).unwrap(), Some(110));
        assert_eq!(accounts.group("110", in_time()).unwrap(), Some(110));
    }

    #[test]
    fn then_the_name_service() {
        let (_directory, accounts) =
            accounts("[ \"$1 $2\" = 'passwd far' ] && echo 'far:*:7001:7002::/:' || exit 2");
        assert_eq!(
            accounts.user("far", in_time()).unwrap(),
            Some(UserAccount { uid: 7001, gid: 7002 })
        );
        assert_eq!(accounts.user("nobody-knows", in_time()).unwrap(), None);
        assert_eq!(accounts.group("far", in_time()).unwrap(), None);
        assert_eq!(accounts.group("broken", in_time()).unwrap(), None);
    }

    #[test]
    fn a_name_service_that_fails_is_an_error_and_a_missing_one_is_not() {
        let (directory, failing) = accounts("exit 1");
        assert!(failing.user("far", in_time()).is_err());
        let without = Accounts::at(directory.path(), "/no/such/getent");
        assert_eq!(without.user("far", in_time()).unwrap(), None);
        // Nothing that is no name reaches it.
        for key in ["", "-s", "a:b", "a\nb"] {
            assert_eq!(failing.user(key, in_time()).unwrap(), None, "{key:?}");
        }
    }

    #[test]
    fn this_host() {
        assert_eq!(
            Accounts::default().user("root", in_time()).unwrap(),
            Some(UserAccount { uid: 0, gid: 0 })
        );
        assert_eq!(Accounts::default().group("no-such-group", in_time()).unwrap(), None);
    }
}
