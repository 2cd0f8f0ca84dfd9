//! Reads, writes and removes single files.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;

use crate::error::{Error, Result};
use crate::shortage::{retry, retry_briefly};

/// Whether a symbolic link at the end of the path is followed. Links further up always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// It is followed to wherever it leads.
    Followed,
    /// It is an error (`ELOOP`).
    Refused,
}

/// Opens a regular file for reading. A FIFO would keep an ordinary open(2) waiting for ever, and a
/// device may have no end.
///
/// # Errors
/// The file is missing or may not be read, or it is not a regular file.
pub fn open_regular(path: &Path, links: Links) -> Result<File> {
    retry(|| open_readable(path, links)).map_err(Error::on("open", path))
}

/// Reads the first `limit` bytes of a regular file.
///
/// # Errors
/// Those of [`open_regular`], and of read(2).
pub fn read_regular(path: &Path, links: Links, limit: u64) -> Result<Vec<u8>> {
    let read = || {
        let mut content = Vec::new();
        open_readable(path, links)?.take(limit).read_to_end(&mut content)?;
        Ok(content)
    };
    retry(read).map_err(Error::on("read", path))
}

/// Reads the last `limit` bytes of a regular file as text; what is not UTF-8 is replaced (U+FFFD). A
/// symbolic link is refused.
///
/// # Errors
/// Those of [`read_regular`].
pub fn read_end(path: &Path, limit: u64) -> Result<String> {
    let read = || {
        let mut file = open_readable(path, Links::Refused)?;
        let start = file.metadata()?.len().saturating_sub(limit);
        file.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        file.take(limit).read_to_end(&mut end)?;
        Ok(end)
    };
    let end = retry(read).map_err(Error::on("read", path))?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// The names of all entries of a directory, in no order: all of them or an error, because a list that lacks some would mean
/// that they don't exist. A call that fails for a shortage ends the stream of `std::fs::ReadDir` for good, so the whole list
/// is read again then.
///
/// # Errors
/// Those of open(2) and getdents64(2).
pub fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    retry(|| std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect())
}

/// A path by which an open file can be opened once more, in another way or without the race of its
/// former path. It is valid in this process as long as the file is open.
#[must_use]
pub fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// One attempt, which the callers repeat together with what they read.
fn open_readable(path: &Path, links: Links) -> io::Result<File> {
    // O_NONBLOCK means nothing to a regular file. std sets O_CLOEXEC.
    let flags = match links {
        Links::Followed => libc::O_NONBLOCK,
        Links::Refused => libc::O_NONBLOCK | libc::O_NOFOLLOW,
    };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(Errno::EISDIR.into());
    }
    if !kind.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// Writes a file in one step, so that a reader finds either the former content or the new one.
/// Its mode is 0644 without the umask.
///
/// Where the disk is full, nothing half written stays behind, and a file that exists is overwritten
/// in place: the block that it has is enough for a few lines. A reader in that very moment may find
/// a content without its end.
///
/// # Errors
/// The directory is missing, not writable or full.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let new = beside(path);
    let rename = || retry_briefly(|| std::fs::rename(&new, path));
    let written = retry(|| write_new(&new, content)).and_then(|()| rename());
    let Err(error) = written else { return Ok(()) };
    let _ = remove(&new);
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if full && overwrite(path, content).is_ok() {
        return Ok(());
    }
    Err(Error::on("write", path)(error))
}

/// A name of its own for each process: two that replace the same file at once must not write into
/// one temporary file.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{}.new", std::process::id()));
    PathBuf::from(name)
}

/// What [`replace`] is writing, or has left where its process was killed: the path of the file that is replaced, and
/// the number of that process; `None` for any other path.
#[must_use]
pub fn unfinished(path: &Path) -> Option<(PathBuf, u32)> {
    let name = path.to_str()?.strip_suffix(".new")?;
    let (replaced, writer) = name.rsplit_once('.')?;
    Some((PathBuf::from(replaced), writer.parse().ok()?))
}

/// One attempt. Never through a file or link that is already there: an untrusted user may have put it there.
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    // Whatever the umask: other users read what is written here, and never change it.
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let mut file = match create() {
        // Left by a process with the same number that was killed, or by an attempt that met a shortage.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            create()?
        }
        created => created?,
    };
    file.write_all(content)
}

/// Does not empty the file first, which would give its block to any process that waits for one.
fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = retry(|| OpenOptions::new().write(true).custom_flags(flags).open(path))?;
    file.write_all_at(content, 0)?;
    file.set_len(u64::try_from(content.len()).unwrap_or(u64::MAX))
}

/// Removes a file. It is no error if there is none.
///
/// # Errors
/// Those of unlink(2) other than `ENOENT`.
pub fn remove(path: &Path) -> Result<()> {
    match retry_briefly(|| std::fs::remove_file(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::on("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_replaced_or_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let count = || std::fs::read_dir(directory.path()).unwrap().count();
        let path = directory.path().join("x.state");
        for content in ["one", "two"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
            assert_eq!(count(), 1);
        }
        let error = replace(&directory.path().join("no/x.state"), b"x").unwrap_err();
        assert!(error.to_string().ends_with("no/x.state: No such file or directory"), "{error}");
        // A directory in its place: the new file is written, and cannot be renamed.
        let taken = directory.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"x").is_err());
        assert_eq!(count(), 2);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(remove(&taken).is_err());
    }

    #[test]
    fn a_file_is_never_written_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("x.state"), directory.path().join("victim"));
        std::fs::write(&victim, "kept").unwrap();
        symlink(&victim, beside(&path)).unwrap();
        symlink(&victim, &path).unwrap();
        let unfinished_by = |path: &Path| unfinished(&beside(path));
        assert_eq!(unfinished_by(&path), Some((path.clone(), std::process::id())));
        assert_eq!((unfinished(&path), unfinished(Path::new("/run/a.new"))), (None, None));
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
        assert!(!path.is_symlink());
    }

    #[test]
    fn a_full_disk_leaves_room_in_the_file_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        replace(&path, &[0; 4096]).unwrap();
        overwrite(&path, b"shorter").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"shorter");
        assert!(overwrite(&directory.path().join("none"), b"x").is_err());
    }

    #[test]
    fn the_end_of_a_long_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.out");
        std::fs::write(&path, "short").unwrap();
        assert_eq!(read_end(&path, 100).unwrap(), "short");
        std::fs::write(&path, format!("{}end", "x".repeat(200))).unwrap();
        assert_eq!(read_end(&path, 4).unwrap(), "xend");
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(read_end(&link, 4).unwrap_err().source.raw_os_error(), Some(libc::ELOOP));
        assert!(read_end(directory.path(), 4).is_err());
    }

    #[test]
    fn every_entry_of_a_directory_has_its_name_in_the_list() {
        let directory = tempfile::tempdir().unwrap();
        // More than one getdents64(2) returns.
        let expected: Vec<OsString> =
            (0..3000).map(|number| format!("{number:08}").into()).collect();
        for name in &expected {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let mut found = names(directory.path()).unwrap();
        found.sort();
        assert_eq!(found, expected);
        let missing = names(&directory.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let file = names(&directory.path().join("00000000")).unwrap_err();
        assert_eq!(file.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn an_open_file_is_opened_again_by_its_handle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let file = File::open(&path).unwrap();
        std::fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        assert_eq!(std::fs::read(path_of(&file)).unwrap(), b"x");
    }

    #[test]
    fn only_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let (file, fifo) = (directory.path().join("file"), directory.path().join("fifo"));
        let (link, zero) = (directory.path().join("link"), directory.path().join("zero"));
        std::fs::write(&file, "0123456789").unwrap();
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink(&file, &link).unwrap();
        symlink("/dev/zero", &zero).unwrap();
        let read = |path: &Path, links| read_regular(path, links, 4).ok();
        for links in [Links::Followed, Links::Refused] {
            assert_eq!(read(&file, links).unwrap(), b"0123");
            // None of them is waited for.
            assert_eq!(read(&fifo, links), None);
            assert_eq!(read(&zero, links), None);
            assert_eq!(read(directory.path(), links), None);
        }
        assert_eq!(read(&link, Links::Followed).unwrap(), b"0123");
        assert_eq!(read(&link, Links::Refused), None);
        let error = open_regular(directory.path(), Links::Refused).unwrap_err();
        assert!(error.to_string().ends_with(": Is a directory"), "{error}");
    }
}
