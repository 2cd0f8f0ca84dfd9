//! Reading files that others can write, put something else in the place of, or both.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;

/// Whether a link in the place of the file is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// To wherever it leads.
    Followed,
    /// It is an error (ELOOP).
    Refused,
}

/// Opens a regular file. A FIFO would keep an ordinary open(2) waiting for ever, and a device may
/// have no end.
///
/// # Errors
/// It is missing, or something else.
pub(crate) fn open_regular(path: &Path, links: Links) -> io::Result<File> {
    // O_NONBLOCK means nothing to a regular file. std sets O_CLOEXEC.
    let flags = match links {
        Links::Followed => libc::O_NONBLOCK,
        Links::Refused => libc::O_NONBLOCK | libc::O_NOFOLLOW,
    };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if !kind.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// What a regular file holds, up to `limit` bytes.
///
/// # Errors
/// As [`open_regular`], and reading.
pub(crate) fn read_regular(path: &Path, links: Links, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open_regular(path, links)?.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// As much of the end of a log is read, in bytes: monitor has to stay cheap.
pub(crate) const TAIL: usize = 64 * 1024;

/// The end of a log, up to [`TAIL`].
///
/// # Errors
/// As [`open_regular`] that refuses links, and reading.
pub(crate) fn tail(path: &Path) -> io::Result<String> {
    let file = open_regular(path, Links::Refused)?;
    let limit = u64::try_from(TAIL).unwrap_or(u64::MAX);
    let start = file.metadata()?.len().saturating_sub(limit);
    let mut tail = vec![0; TAIL];
    let length = file.read_at(&mut tail, start)?;
    tail.truncate(length);
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

/// Writes a file in one step for whoever reads it; leaves nothing half written behind where the
/// disk is full. There, one that exists is overwritten in its place: what it has is enough for a
/// few lines. A reader in that very moment may find a content without its end.
///
/// # Errors
/// The directory is missing, not writable or full.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let written = std::fs::write(&new, content).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    match written {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            overwrite(path, content).map_err(|_| error)
        }
        written => written,
    }
}

/// Without emptying it first, which would give its block to whoever waits for one.
fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    file.write_all_at(content, 0)?;
    file.set_len(u64::try_from(content.len()).unwrap_or(u64::MAX))
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
        assert!(replace(&directory.path().join("no/x.state"), b"x").is_err());
        // A directory in its place: written, and not to be renamed.
        let taken = directory.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"x").is_err());
        assert_eq!(count(), 2);
    }

    #[test]
    fn the_end_of_a_long_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.out");
        std::fs::write(&path, "short").unwrap();
        assert_eq!(tail(&path).unwrap(), "short");
        std::fs::write(&path, format!("{}end", "x".repeat(2 * TAIL))).unwrap();
        let end = tail(&path).unwrap();
        assert!(end.len() == TAIL && end.ends_with("xend"));
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(tail(&link).is_err() && tail(directory.path()).is_err());
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
    }
}
