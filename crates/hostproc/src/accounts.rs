//! Users and groups by name or number, without the C library's name service.
//!
//! The agents are linked statically: NSS modules (systemd, sss, ldap) would have to be loaded into
//! them at run time, and must match the very C library. So the local files are read here, where
//! the accounts of daemons are; whatever else the host's name service knows is asked of
//! getent(1), a program of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    /// The databases can't be read or asked.
    pub fn user(&self, key: &str) -> io::Result<Option<UserAccount>> {
        self.find("passwd", key, |fields| match fields {
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
    pub fn group(&self, key: &str) -> io::Result<Option<u32>> {
        self.find("group", key, |fields| match fields {
            // name:password:gid:members (group(5))
            [name, _, gid, ..] if *name == key || *gid == key => gid.parse().ok(),
            _ => None,
        })
    }

    fn find<T>(
        &self,
        database: &str,
        key: &str,
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
        Ok(self.ask(database, key)?.as_deref().and_then(search))
    }

    fn ask(&self, database: &str, key: &str) -> io::Result<Option<String>> {
        let output = Command::new(&self.getent)
            .args([database, key])
            .env_clear()
            .current_dir(Path::new("/"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        match output {
            Ok(output) if output.status.success() => {
                Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
            }
            // 2: the key is in no database (getent(1)).
            Ok(output) if output.status.code() == Some(2) => Ok(None),
            Ok(output) => Err(io::Error::other(format!("getent {database}: {}", output.status))),
            // A host without getent has its files and nothing else.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn accounts(getent: &str) -> (tempfile::TempDir, Accounts) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        std::fs::write(path.join("passwd"), "root:x:0:0:root:/root:/bin/sh\nsip:x:105:110::/:\n")
            .unwrap();
        std::fs::write(path.join("group"), "root:x:0:\nvoice:x:110:sip\nbroken:x:many:\n").unwrap();
        let program = path.join("getent");
        std::fs::write(&program, format!("#!/bin/sh\n{getent}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let accounts = Accounts::at(path, program);
        (directory, accounts)
    }

    #[test]
    fn local_files_first() {
        let (_directory, accounts) = accounts("exit 1");
        let sip = UserAccount { uid: 105, gid: 110 };
        assert_eq!(accounts.user("sip").unwrap(), Some(sip));
        assert_eq!(accounts.user("105").unwrap(), Some(sip));
        assert_eq!(accounts.group("voice").unwrap(), Some(110));
        assert_eq!(accounts.group("110").unwrap(), Some(110));
    }

    #[test]
    fn then_the_name_service() {
        let (_directory, accounts) =
            accounts("[ \"$1 $2\" = 'passwd far' ] && echo 'far:*:7001:7002::/:' || exit 2");
        assert_eq!(accounts.user("far").unwrap(), Some(UserAccount { uid: 7001, gid: 7002 }));
        assert_eq!(accounts.user("nobody-knows").unwrap(), None);
        assert_eq!(accounts.group("far").unwrap(), None);
        assert_eq!(accounts.group("broken").unwrap(), None);
    }

    #[test]
    fn a_name_service_that_fails_is_an_error_and_a_missing_one_is_not() {
        let (directory, failing) = accounts("exit 1");
        assert!(failing.user("far").is_err());
        let without = Accounts::at(directory.path(), "/no/such/getent");
        assert_eq!(without.user("far").unwrap(), None);
        // Nothing that is no name reaches it.
        for key in ["", "-s", "a:b", "a\nb"] {
            assert_eq!(failing.user(key).unwrap(), None, "{key:?}");
        }
    }

    #[test]
    fn this_host() {
        assert_eq!(Accounts::default().user("root").unwrap(), Some(UserAccount { uid: 0, gid: 0 }));
        assert_eq!(Accounts::default().group("no-such-group").unwrap(), None);
    }
}
