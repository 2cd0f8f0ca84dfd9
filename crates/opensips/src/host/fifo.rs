//! The FIFO of module mi_fifo that an instance has left: the daemon removes it when it ends by
//! itself, and not when it was killed.

use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::error::{Error, Result};
use crate::host::user_of;
use crate::mi::Endpoint;
use crate::params::Account;

/// Removes the FIFO that nothing alive of the instance can hold any more, if `mi` names one. What
/// is no FIFO, or not the daemon's, stays: somebody else has put it there. So does one that is read
/// from, by another instance.
///
/// # Errors
/// [`Error::File`], and those of [`user_of`]
pub(crate) fn remove_left(
    mi: Option<&Endpoint>,
    user: Option<&Account>,
    until: Instant,
) -> Result<()> {
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
    if let Some(why) = whose(&found, user, until)? {
        log::warn!("mi=fifo:{} kept=yes reason=\"{why}\"", path.display());
        return Ok(());
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

/// Why a file is not the daemon's FIFO.
fn whose(found: &FileStat, user: Option<&Account>, until: Instant) -> Result<Option<&'static str>> {
    if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFIFO {
        return Ok(Some("it is no FIFO"));
    }
    if found.st_uid == 0 {
        return Ok(None);
    }
    let daemon = user.map(|user| user_of(user, until)).transpose()?;
    let own = daemon.is_some_and(|(uid, _)| uid.as_raw() == found.st_uid);
    Ok(if own { None } else { Some("it is neither root's nor the daemon's") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{Uid, mkfifo};
    use std::fs::OpenOptions;
    use std::path::Path;
    use std::time::Duration;

    fn remove(path: &Path, user: &str) {
        let mi = Endpoint::Fifo(path.to_owned());
        let until = Instant::now() + Duration::from_secs(600);
        remove_left(Some(&mi), Some(&user.parse().unwrap()), until).unwrap();
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
            remove(&fifo, "4711");
            assert!(!there(&fifo));
        }
    }

    #[test]
    fn another_interface_has_none() {
        let until = Instant::now();
        remove_left(None, None, until).unwrap();
        let http: Endpoint = "http://127.0.0.1:8888/mi".parse().unwrap();
        remove_left(Some(&http), None, until).unwrap();
    }
}
