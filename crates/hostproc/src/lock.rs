//! One at a time: an exclusive lock on a file that says who holds it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use deadline::Deadline;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::sys::stat::{major, minor};

use crate::error::{Error, Result};
use crate::process::{Pid, Process};
use crate::procfs::ProcFs;

/// flock(2) has no timeout, and a blocking one could outlive the action: it is tried.
const RETRY: Duration = Duration::from_millis(5);

/// An exclusive lock on a file (flock(2)), held until dropped or until the process ends, however
/// it ends. The file holds the holder's identity as `pid start_time`.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    file: Flock<File>,
}

impl LockFile {
    /// Takes the lock; `None` if somebody has it. The file is made with mode 0600 if it is
    /// not there; its directory must exist. A symbolic link in its place is refused.
    ///
    /// # Errors
    /// [`Error::Lock`]
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let failed = |source| Error::Lock { path: path.to_owned(), source };
        loop {
            let file = options().write(true).create(true).mode(0o600).open(path).map_err(failed)?;
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
                Err((_, Errno::EINTR)) => continue,
                Err((_, errno)) => return Err(failed(errno.into())),
            };
            // The last holder may have removed the file between our open and our lock: then we
            // hold something that nobody else will ever find.
            if !is_at(&file, path).map_err(failed)? {
                continue;
            }
            // A help for whoever asks for the holder. The lock is held all the same where it can't be
            // written, on a full file system.
            if let Ok(own) = ProcFs::default().own()
                && file.set_len(0).is_ok()
            {
                let record = format!("{} {}\n", own.pid, own.start_time);
                let _ = file.write_all_at(record.as_bytes(), 0);
            }
            return Ok(Some(Self { path: path.to_owned(), file }));
        }
    }

    /// Takes the lock as soon as it is free; `None` if it is not until `until`.
    ///
    /// # Errors
    /// Those of [`LockFile::try_acquire`]
    pub fn acquire(path: &Path, until: Deadline) -> Result<Option<Self>> {
        loop {
            let lock = Self::try_acquire(path)?;
            let left = until.remaining();
            if lock.is_some() || left.is_zero() {
                return Ok(lock);
            }
            std::thread::sleep(RETRY.min(left));
        }
    }

    /// Who says in the file to hold the lock, and lives. `None` if there is no file, no
    /// readable record (a holder writes it just after it got the lock, if the file system is not
    /// full), or if the process of
    /// the record has ended. To be sure that nobody holds the lock, take it.
    ///
    /// # Errors
    /// [`Error::Lock`], and those of [`ProcFs::stat`]
    pub fn holder(path: &Path) -> Result<Option<Process>> {
        let failed = |source| Error::Lock { path: path.to_owned(), source };
        let file = match options().open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Two numbers at most: what else is in there is no record of ours.
        let mut content = Vec::new();
        file.take(64).read_to_end(&mut content).map_err(failed)?;
        let Some(process) = parse(&content) else { return Ok(None) };
        Ok(ProcFs::default().is_alive(&process)?.then_some(process))
    }

    /// Who holds the lock by the list of the kernel, `/proc/locks`: for a holder that could leave no
    /// record, and for a program of others. `None` if nobody does, or nobody of this pid namespace.
    ///
    /// # Errors
    /// [`Error::Lock`], [`Error::Unreadable`], and those of [`ProcFs::stat`]
    pub fn holder_by_kernel(path: &Path) -> Result<Option<Process>> {
        let found = match std::fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Lock { path: path.to_owned(), source }),
        };
        let list = Path::new("/proc/locks");
        let locks = std::fs::read_to_string(list)
            .map_err(|source| Error::Unreadable { path: list.to_owned(), source })?;
        let pid = locks.lines().find_map(|line| flock_of(line, found.dev(), found.ino()));
        pid.map_or(Ok(None), |pid| ProcFs::default().process(pid))
    }

    /// Gives the lock up and removes its file.
    ///
    /// # Errors
    /// [`Error::Lock`]
    pub fn remove(self) -> Result<()> {
        // While it is held: whoever opened the file before sees by is_at() that it is gone.
        std::fs::remove_file(&self.path)
            .map_err(|source| Error::Lock { path: self.path.clone(), source })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // So that holder() says the truth while this process lives on. If it fails, the
        // record is stale and the lock is free all the same.
        let _ = self.file.set_len(0);
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // std adds O_CLOEXEC.
    // A FIFO in its place would be waited for.
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `1: FLOCK  ADVISORY  WRITE 708 00:1a:1234 0 EOF`: the process by whom this file is locked.
fn flock_of(line: &str, device: u64, inode: u64) -> Option<Pid> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (kind, pid, file) = (words.next()?, words.nth(2)?, words.next()?);
    let wanted = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    (kind == "FLOCK" && file == wanted).then(|| pid.parse().ok()).flatten()
}

fn parse(record: &[u8]) -> Option<Process> {
    // Without the newline it may not be written to the end yet.
    let record = std::str::from_utf8(record).ok()?.strip_suffix('\n')?;
    let (pid, start_time) = record.split_once(' ')?;
    Some(Process { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        let lock = LockFile::try_acquire(&path).unwrap().unwrap();
        assert_eq!(LockFile::holder(&path).unwrap(), Some(ProcFs::default().own().unwrap()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(LockFile::try_acquire(&path).unwrap().is_none());
        assert!(
            LockFile::acquire(&path, Deadline::after(Duration::from_millis(20))).unwrap().is_none()
        );
        drop(lock);
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        LockFile::try_acquire(&path).unwrap().unwrap().remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn never_two_holders_even_when_the_file_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let inside = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let until = Deadline::after(Duration::from_secs(60));
                        let lock = LockFile::acquire(&path, until).unwrap().unwrap();
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        lock.remove().unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn the_lock_is_not_inherited_and_links_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = LockFile::try_acquire(&path).unwrap().unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        drop(lock);
        let again = LockFile::try_acquire(&path).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(again.is_some());

        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(LockFile::try_acquire(&link), Err(Error::Lock { .. })));
        assert!(matches!(LockFile::holder(&link), Err(Error::Lock { .. })));
    }

    #[test]
    fn the_kernel_knows_the_holder_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert_eq!(LockFile::holder_by_kernel(&path).unwrap(), None);
        let lock = LockFile::try_acquire(&path).unwrap().unwrap();
        std::fs::write(&path, "").unwrap();
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        let own = ProcFs::default().own().unwrap();
        assert_eq!(LockFile::holder_by_kernel(&path).unwrap(), Some(own));
        drop(lock);
        assert_eq!(LockFile::holder_by_kernel(&path).unwrap(), None);
        let line = "7: FLOCK  ADVISORY  WRITE 708 00:1a:1234 0 EOF";
        assert_eq!(flock_of(line, 0x1a, 1234).map(Pid::get), Some(708));
        assert_eq!(flock_of(line, 0x1b, 1234), None);
        assert_eq!(flock_of(line, 0x1a, 123), None);
        // Another kind of lock; the holder is in another pid namespace.
        assert_eq!(flock_of(&line.replace("FLOCK", "POSIX"), 0x1a, 1234), None);
        assert_eq!(flock_of(&line.replace("708", "0"), 0x1a, 1234), None);
        assert_eq!(flock_of("", 0x1a, 1234), None);
    }

    #[test]
    fn a_record_that_can_not_be_written_is_no_failure() {
        // A device takes the lock and no record: ENOSPC.
        let full = Path::new("/dev/full");
        if std::fs::metadata(full).is_err() || !nix::unistd::geteuid().is_root() {
            testnet::skipped("lock::a_record_that_can_not_be_written", "needs root and /dev/full");
            return;
        }
        assert!(LockFile::try_acquire(full).unwrap().is_some());
    }

    #[test]
    fn records_of_others_are_no_holders() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let own = ProcFs::default().own().unwrap();
        for record in [
            String::new(),
            "nonsense\n".to_owned(),
            format!("{} {}", own.pid, own.start_time),
            format!("{} {}\n", own.pid, own.start_time + 1),
            "-1 5\n".to_owned(),
            "9".repeat(4096),
        ] {
            std::fs::write(&path, &record).unwrap();
            assert_eq!(LockFile::holder(&path).unwrap(), None, "{record:?}");
        }
        std::fs::write(&path, format!("{} {}\n", own.pid, own.start_time)).unwrap();
        assert_eq!(LockFile::holder(&path).unwrap(), Some(own));
    }
}
