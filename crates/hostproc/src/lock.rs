//! An exclusive lock on a file that names its holder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use deadline::Deadline;
use hostfs::{retry, retry_briefly};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::sys::stat::{major, minor};

use crate::error::{Error, Result};
use crate::process::{Pid, Process};
use crate::procfs::ProcFs;

/// Pause between two attempts. A blocking flock(2) has no timeout and could outlive the action.
const RETRY: Duration = Duration::from_millis(5);

/// An exclusive lock on a file (flock(2)). It is held until it is dropped or until its process ends,
/// however that ends. Children that execute another program do not inherit it.
///
/// While the lock is held, the file has a record of its holder: pid and start time ([`Process`]) as
/// decimal numbers, separated by a blank and followed by a newline.
#[derive(Debug)]
pub struct LockFile {
    path: PathBuf,
    file: Flock<File>,
}

impl LockFile {
    /// Takes the lock; `None` if another holder has it. Creates the file with mode 0600 if it is
    /// missing, but not its directory. A symbolic link in its place is refused.
    ///
    /// # Errors
    /// [`Error::Lock`]
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let failed = |source| Error::Lock { path: path.to_owned(), source };
        loop {
            let open = || options().write(true).create(true).mode(0o600).open(path);
            let lock = || match Flock::lock(open()?, FlockArg::LockExclusiveNonblock) {
                Ok(file) => Ok(Some(file)),
                Err((_, Errno::EWOULDBLOCK)) => Ok(None),
                Err((_, errno)) => Err(errno.into()),
            };
            let Some(file) = retry_briefly(lock).map_err(failed)? else { return Ok(None) };
            // The former holder may have removed the file between open(2) and flock(2) of this
            // process, which then holds a lock that no other process will ever find.
            if !retry_briefly(|| is_at(&file, path)).map_err(failed)? {
                continue;
            }
            // The record is only a help: the lock is held even if it cannot be written, as on a full
            // file system.
            if let Ok(own) = ProcFs::default().own()
                && file.set_len(0).is_ok()
            {
                let record = format!("{} {}\n", own.pid, own.start_time);
                let _ = file.write_all_at(record.as_bytes(), 0);
            }
            return Ok(Some(Self { path: path.to_owned(), file }));
        }
    }

    /// Takes the lock as soon as it is free; `None` if another holder still has it at the deadline.
    ///
    /// # Errors
    /// Those of [`LockFile::try_acquire`].
    pub fn acquire(path: &Path, deadline: Deadline) -> Result<Option<Self>> {
        loop {
            let lock = Self::try_acquire(path)?;
            if lock.is_some() || deadline.has_passed() {
                return Ok(lock);
            }
            deadline.sleep(RETRY);
        }
    }

    /// The holder by the record in the file. `None` if there is no file or no record (the holder
    /// writes it just after it got the lock, unless the file system is full), or if the process of the
    /// record has ended. Only taking the lock proves that it is free.
    ///
    /// # Errors
    /// [`Error::Lock`], and those of [`ProcFs::stat`].
    pub fn holder(path: &Path) -> Result<Option<Process>> {
        let failed = |source| Error::Lock { path: path.to_owned(), source };
        // Two numbers at most: anything longer is not a record.
        let read = || {
            let mut content = Vec::new();
            options().open(path)?.take(64).read_to_end(&mut content)?;
            Ok(content)
        };
        let content = match retry(read) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let Some(process) = parse(&content) else { return Ok(None) };
        Ok(ProcFs::default().is_alive(&process)?.then_some(process))
    }

    /// The holder by the list of the kernel, `/proc/locks`: for a holder that could not write a record,
    /// and for one that is another program. `None` if the lock is free, or if the holder is in another
    /// pid namespace.
    ///
    /// # Errors
    /// [`Error::Lock`], [`Error::Unreadable`], and those of [`ProcFs::stat`].
    pub fn holder_by_kernel(path: &Path) -> Result<Option<Process>> {
        let found = match retry(|| std::fs::symlink_metadata(path)) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Lock { path: path.to_owned(), source }),
        };
        let list = Path::new("/proc/locks");
        let locks = retry(|| std::fs::read_to_string(list))
            .map_err(|source| Error::Unreadable { path: list.to_owned(), source })?;
        let pid = locks.lines().find_map(|line| flock_of(line, found.dev(), found.ino()));
        pid.map_or(Ok(None), |pid| ProcFs::default().process(pid))
    }

    /// Removes the file and releases the lock.
    ///
    /// # Errors
    /// [`Error::Lock`]
    pub fn remove(self) -> Result<()> {
        // While the lock is held: a process that has opened the file sees by is_at() that it is gone.
        retry_briefly(|| std::fs::remove_file(&self.path))
            .map_err(|source| Error::Lock { path: self.path.clone(), source })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // The process may live on, and would be taken for the holder. If this fails, the record is
        // stale, and the lock is released nevertheless.
        let _ = self.file.set_len(0);
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // O_NONBLOCK, because open(2) would wait on a FIFO in its place. std adds O_CLOEXEC.
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

/// The process that holds a flock(2) on this file, from a line of `/proc/locks` (proc(5)):
/// `1: FLOCK  ADVISORY  WRITE 708 00:1a:1234 0 EOF`.
pub(crate) fn flock_of(line: &str, device: u64, inode: u64) -> Option<Pid> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (kind, pid, file) = (words.next()?, words.nth(2)?, words.next()?);
    let wanted = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    (kind == "FLOCK" && file == wanted).then(|| pid.parse().ok()).flatten()
}

pub(crate) fn parse(record: &[u8]) -> Option<Process> {
    // Without the newline it may not be written completely yet.
    let record = std::str::from_utf8(record).ok()?.strip_suffix('\n')?;
    let (pid, start_time) = record.split_once(' ')?;
    Some(Process { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LONG, spawn};
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use testnet::wait_until;

    /// Other threads of this program spawn children, and between fork and exec a child has a copy of
    /// each descriptor: for a moment a lock outlives its drop.
    fn acquire(path: &Path) -> LockFile {
        LockFile::acquire(path, Deadline::after(LONG)).unwrap().unwrap()
    }

    #[test]
    fn one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        let lock = LockFile::try_acquire(&path).unwrap().unwrap();
        assert_eq!(LockFile::holder(&path).unwrap(), Some(ProcFs::default().own().unwrap()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(LockFile::try_acquire(&path).unwrap().is_none());
        let soon = Deadline::after(Duration::from_millis(20));
        assert!(LockFile::acquire(&path, soon).unwrap().is_none());
        drop(lock);
        assert_eq!(LockFile::holder(&path).unwrap(), None);
        acquire(&path).remove().unwrap();
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
                        let lock = acquire(&path);
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
        let _child = spawn(Command::new("sleep").arg("600"));
        drop(lock);
        acquire(&path);

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
        wait_until("the lock is free", LONG, || {
            LockFile::holder_by_kernel(&path).unwrap().is_none()
        });
        let line = "7: FLOCK  ADVISORY  WRITE 708 00:1a:1234 0 EOF";
        assert_eq!(flock_of(line, 0x1a, 1234).map(Pid::get), Some(708));
        assert_eq!(flock_of(line, 0x1b, 1234), None);
        assert_eq!(flock_of(line, 0x1a, 123), None);
        // Another kind of lock; a holder in another pid namespace.
        assert_eq!(flock_of(&line.replace("FLOCK", "POSIX"), 0x1a, 1234), None);
        assert_eq!(flock_of(&line.replace("708", "0"), 0x1a, 1234), None);
        assert_eq!(flock_of("", 0x1a, 1234), None);
    }

    #[test]
    fn a_record_that_cannot_be_written_is_no_failure() {
        // A device that can be locked and not written: ENOSPC.
        let full = Path::new("/dev/full");
        if std::fs::metadata(full).is_err() || !nix::unistd::geteuid().is_root() {
            testnet::skipped("lock::a_record_that_cannot_be_written", "needs root and /dev/full");
            return;
        }
        // Another run of this test may have it just now.
        acquire(full);
    }

    #[test]
    fn other_content_names_no_holder() {
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
