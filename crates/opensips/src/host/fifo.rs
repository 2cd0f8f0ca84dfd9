//! The FIFO of module mi_fifo that an instance has left: the daemon removes it when it ends by
//! itself, and not when it was killed.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::error::{Error, Result};
use crate::host::local_user;
use crate::mi::Endpoint;
use crate::params::Account;

/// Removes the FIFO that nothing alive of the instance can hold any more, if `mi` names one. What
/// is no FIFO, or not the daemon's, stays: somebody else has put it there. So does one that is read
/// from, by another instance, and one whose owner only the name service could tell from the daemon's
/// user: it harms nobody, and stop and rollback wait for no other host.
///
/// # Errors
/// [`Error::File`], [`Error::AccountLookup`]
pub(crate) fn remove_left(mi: Option<&Endpoint>, user: Option<&Account>) -> Result<()> {
    let Some(Endpoint::Fifo(path)) = mi else { return Ok(()) };
    let failed = |errno: Errno| Error::File {
        operation: "remove",
        path: path.to_owned(),
        source: errno.into(),
    };
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    // The directory may be the daemon's user's, who could put a link in its place between a look
    // and a removal: both go through one handle.
    let handle = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = match nix::fcntl::open(directory, handle, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    let found = match fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(()),
        found => found.map_err(failed)?,
    };
    match Owner::of(&found, user)? {
        Owner::Daemon => {}
        Owner::Other(why) => {
            log::warn!("mi=fifo:{} kept=yes reason=\"{why}\"", path.display());
            return Ok(());
        }
        Owner::Unknown => {
            let why = "the daemon's user is not in the local files";
            log::debug!("mi=fifo:{} kept=yes reason=\"{why}\"", path.display());
            return Ok(());
        }
    }
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(&directory, name, flags, Mode::empty()) {
        // fifo(7): nobody has it open for reading.
        Err(Errno::ENXIO) => unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir).map_err(failed),
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(failed(errno)),
        Ok(_) => {
            log::warn!("mi=fifo:{} kept=yes reason=\"somebody reads from it\"", path.display());
            Ok(())
        }
    }
}

/// Whose FIFO it is.
#[derive(Debug)]
enum Owner {
    /// root's counts as well: the daemon may run as root.
    Daemon,
    /// Not the daemon's, or no FIFO: why.
    Other(&'static str),
    Unknown,
}

impl Owner {
    fn of(found: &FileStat, user: Option<&Account>) -> Result<Self> {
        const STRANGER: Owner = Owner::Other("it is neither root's nor the daemon's");
        if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
            return Ok(Self::Other("it is no FIFO"));
        }
        if found.st_uid == 0 {
            return Ok(Self::Daemon);
        }
        let Some(user) = user else { return Ok(STRANGER) };
        Ok(match local_user(user)? {
            Some(uid) if uid.as_raw() == found.st_uid => Self::Daemon,
            Some(_) => STRANGER,
            None => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{Uid, mkfifo};
    use std::fs::OpenOptions;
    use std::path::Path;

    fn remove(path: &Path, user: &str) {
        let mi = Endpoint::Fifo(path.to_owned());
        remove_left(Some(&mi), Some(&user.parse().unwrap())).unwrap();
    }

    #[test]
    fn only_the_daemons_fifo_that_nobody_reads() {
        let directory = tempfile::tempdir().unwrap();
        let own = Uid::effective().to_string();
        let (fifo, file) = (directory.path().join("fifo"), directory.path().join("file"));
        let link = directory.path().join("link");
        let make = || mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let there = |path: &Path| path.symlink_metadata().is_ok();

        make();
        remove(&fifo, &own);
        assert!(!there(&fifo));
        remove(&fifo, &own);
        remove(Path::new("/no/such/directory/fifo"), &own);

        make();
        let reader = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        remove(&fifo, &own);
        assert!(there(&fifo), "another instance's");
        drop(reader);

        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        for other in [&file, &link] {
            remove(other, &own);
            assert!(there(other) && there(&fifo), "{}", other.display());
        }
        if Uid::effective().is_root() {
            std::os::unix::fs::chown(&fifo, Some(4711), None).unwrap();
            remove(&fifo, &own);
            assert!(there(&fifo), "a stranger's");
            // Nobody but the name service could know; it is not asked (it knows no such user).
            remove(&fifo, "of-the-name-service");
            assert!(there(&fifo), "perhaps a stranger's");
            remove(&fifo, "4711");
            assert!(!there(&fifo));
        }
    }

    #[test]
    fn another_interface_has_none() {
        remove_left(None, None).unwrap();
        let http: Endpoint = "http://127.0.0.1:8888/mi".parse().unwrap();
        remove_left(Some(&http), None).unwrap();
    }
}
