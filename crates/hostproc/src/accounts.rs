//! Users and groups by name or number, without the name service of the C library.
//!
//! The agents are linked statically: NSS modules (systemd, sss, ldap) would have to be loaded into
//! them at run time and must match the C library exactly. So the local files, which have the accounts
//! of daemons, are read here; what only the name service of the host knows is asked of getent(1), a
//! program of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use deadline::Deadline;
use hostfs::{cause, retry};

use crate::output::output;

/// Longest entry that is read, in bytes. A group of a hundred thousand members is shorter.
const ENTRY_LIMIT: usize = 4 * 1024 * 1024;

/// How far a look-up may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The local files alone: starts no process and never waits.
    Files,
    /// Also the name service of the host, which may be at the other end of a network that is down:
    /// waits for it until the deadline.
    NameService(Deadline),
}

/// The databases of accounts on this host.
#[derive(Clone, Debug)]
pub struct Accounts {
    files: PathBuf,
    getent: PathBuf,
}

/// The numbers of a user.
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
    /// Other databases, for tests: `passwd` and `group` in the directory `files`, and another
    /// getent(1).
    pub fn at(files: impl Into<PathBuf>, getent: impl Into<PathBuf>) -> Self {
        Self { files: files.into(), getent: getent.into() }
    }

    /// A user by name or number; `None` if the host has none.
    ///
    /// # Errors
    /// A file cannot be read, getent(1) cannot be executed or fails, or it does not answer in time
    /// ([`io::ErrorKind::TimedOut`]). The message names the file or program.
    pub fn user(&self, key: &str, reach: Reach) -> io::Result<Option<UserAccount>> {
        self.find("passwd", key, reach, |fields| match fields {
            // name:password:uid:gid:comment:home:shell (passwd(5))
            [name, _, uid, gid, ..] if *name == key || *uid == key => {
                Some(UserAccount { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            }
            _ => None,
        })
    }

    /// The id of a group by name or number; `None` if the host has none.
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

    /// The ids of the groups that a user is a member of besides its primary one, by the user's name or
    /// number: those that initgroups(3) adds. Each once, in no order.
    ///
    /// # Errors
    /// As [`Accounts::user`]. The groups of the local files are known then, too, by [`Reach::Files`].
    pub fn supplementary_groups(&self, user: &str, reach: Reach) -> io::Result<Vec<u32>> {
        let name_of = |fields: &[&str]| match fields {
            [name, _, uid, ..] if *name == user || *uid == user => Some((*name).to_owned()),
            _ => None,
        };
        let name = self.find("passwd", user, reach, name_of)?.unwrap_or_else(|| user.to_owned());
        let mut groups = std::collections::BTreeSet::new();
        let path = self.files.join("group");
        match retry(|| std::fs::read(&path)) {
            Ok(bytes) => {
                groups.extend(String::from_utf8_lossy(&bytes).lines().filter_map(|line| {
                    let fields: Vec<&str> = line.trim_end().split(':').collect();
                    match fields.as_slice() {
                        [_, _, gid, members] => {
                            let is_member = members.split(',').any(|member| member.trim() == name);
                            gid.parse().ok().filter(|_: &u32| is_member)
                        }
                        _ => None,
                    }
                }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(with_words("read", &path, &error)),
        }
        if let Reach::NameService(deadline) = reach
            && let Some(entry) = self.ask("initgroups", &name, deadline)?
        {
            // `name  gid gid ...` (getent(1)).
            let words = entry.lines().flat_map(|line| line.split_ascii_whitespace().skip(1));
            groups.extend(words.filter_map(|word| word.parse::<u32>().ok()));
        }
        Ok(groups.into_iter().collect())
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
        let path = self.files.join(database);
        match retry(|| std::fs::read(&path)) {
            Ok(bytes) => {
                if let Some(found) = search(&String::from_utf8_lossy(&bytes)) {
                    return Ok(Some(found));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(with_words("read", &path, &error)),
        }
        // No database has a key with a colon or a newline; getent takes `-` for an option.
        if key.is_empty() || key.starts_with('-') || key.contains([':', '\n', '\0']) {
            return Ok(None);
        }
        let Reach::NameService(deadline) = reach else { return Ok(None) };
        Ok(self.ask(database, key, deadline)?.as_deref().and_then(search))
    }

    fn ask(&self, database: &str, key: &str, deadline: Deadline) -> io::Result<Option<String>> {
        let mut command = Command::new(&self.getent);
        command.args([database, key]).env_clear().current_dir(Path::new("/"));
        let found = match output(&mut command, ENTRY_LIMIT, deadline) {
            Ok(found) => found,
            // A host without getent has no other databases than its files.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(with_words("execute", &self.getent, &error)),
        };
        let Some(found) = found else {
            let what = format!("getent {database} does not answer");
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        };
        match found.status.code() {
            Some(0) => Ok(Some(found.stdout)),
            // No database has the key (getent(1)).
            Some(2) => Ok(None),
            _ => Err(io::Error::other(format!("getent {database}: {}", found.status))),
        }
    }
}

fn with_words(operation: &str, path: &Path, error: &io::Error) -> io::Error {
    let words = format!("cannot {operation} {}: {}", path.display(), cause(error));
    io::Error::new(error.kind(), words)
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
        // It is not asked where only the files count.
        assert_eq!(accounts.user("far", Reach::Files).unwrap(), None);
        assert!(accounts.user("sip", Reach::Files).unwrap().is_some());
    }

    #[test]
    fn the_groups_of_a_user() {
        let (directory, accounts) = accounts("echo \"$2  110 7001\"");
        let file = directory.path().join("group");
        std::fs::write(file, "voice:x:110:sip\nkeys:x:112:a, sip\nother:x:113:sipp\n:x:x:sip\n")
            .unwrap();
        for user in ["sip", "105"] {
            assert_eq!(accounts.supplementary_groups(user, Reach::Files).unwrap(), [110, 112]);
            let all = accounts.supplementary_groups(user, in_time()).unwrap();
            assert_eq!(all, [110, 112, 7001]);
        }
        assert_eq!(accounts.supplementary_groups("4711", Reach::Files).unwrap(), [0; 0]);
    }

    #[test]
    fn a_group_with_many_members() {
        let (_directory, accounts) =
            accounts("printf 'far:*:7002:'; head -c 300000 /dev/zero | tr '\\0' x; echo");
        assert_eq!(accounts.group("far", in_time()).unwrap(), Some(7002));
    }

    #[test]
    fn a_process_that_getent_leaves_behind_is_not_waited_for() {
        // It has the output open and ends by itself.
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
        // Only names reach it.
        for key in ["", "-s", "a:b", "a\nb"] {
            assert_eq!(failing.user(key, in_time()).unwrap(), None, "{key:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let (directory, accounts) = accounts("exit 2");
        let passwd = directory.path().join("passwd");
        std::fs::remove_file(&passwd).unwrap();
        std::fs::create_dir(&passwd).unwrap();
        let error = accounts.user("sip", Reach::Files).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read {}: Is a directory", passwd.display()));
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
