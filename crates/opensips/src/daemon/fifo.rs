//! The FIFO of module mi_fifo that a killed instance leaves behind. A daemon that ends by itself
//! removes it.

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use ocf::LogLine;

use crate::daemon::Result;
use crate::daemon::account::local_user;
use crate::mi::Endpoint;
use crate::params::Account;

/// Removes the FIFO if `mi` names one. No process of the instance may be alive. A file that is not a
/// FIFO or not the daemon's stays, because another program has put it there. So does a FIFO that a
/// process (another instance) reads from, and one of which only the name service can tell whether its
/// owner is the daemon's user: it does no harm, and neither stop nor a roll back waits for another
/// host.
///
/// # Errors
/// [`Error::File`](crate::daemon::Error::File),
/// [`Error::AccountLookup`](crate::daemon::Error::AccountLookup)
pub(crate) fn remove_stale(mi: Option<&Endpoint>, user: Option<&Account>) -> Result<()> {
    let Some(Endpoint::Fifo(path)) = mi else { return Ok(()) };
    let failed = |errno: Errno| {
        let (operation, path) = ("remove", path.to_owned());
        hostfs::Error { operation, path, source: errno.into() }
    };
    let kept = |why| LogLine::new().field("fifo", path.display()).note(format!("kept: {why}"));
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    // The directory may belong to the daemon's user, who could put a link in its place between the
    // look and the removal: both use one handle.
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
            log::warn!("{}", kept(why));
            return Ok(());
        }
        Owner::Unknown => {
            log::debug!("{}", kept("the daemon's user is not in the local files"));
            return Ok(());
        }
    }
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(&directory, name, flags, Mode::empty()) {
        // fifo(7): no process has it open for reading.
        Err(Errno::ENXIO) => {
            unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir).map_err(failed)?;
        }
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(failed(errno).into()),
        Ok(_) => log::warn!("{}", kept("a process reads from it")),
    }
    Ok(())
}

/// The owner of what is found in the place of the FIFO.
#[derive(Debug)]
enum Owner {
    /// Also root: the daemon may run as root.
    Daemon,
    /// Another user, or it is not a FIFO; with the reason.
    Other(&'static str),
    Unknown,
}

impl Owner {
    fn of(found: &FileStat, user: Option<&Account>) -> Result<Self> {
        const STRANGER: Owner = Owner::Other("it belongs neither to root nor to the daemon's user");
        if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
            return Ok(Self::Other("it is not a FIFO"));
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
        remove_stale(Some(&mi), Some(&user.parse().unwrap())).unwrap();
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
            // Only the name service could know this user, and it is not asked.
            remove(&fifo, "of-the-name-service");
            assert!(there(&fifo), "perhaps a stranger's");
            remove(&fifo, "4711");
            assert!(!there(&fifo));
        }
    }

    #[test]
    fn another_interface_has_none() {
        remove_stale(None, None).unwrap();
        let http: Endpoint = "http://127.0.0.1:8888/mi".parse().unwrap();
        remove_stale(Some(&http), None).unwrap();
    }
}
