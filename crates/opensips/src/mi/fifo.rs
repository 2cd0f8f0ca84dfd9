//! MI over FIFOs: the request goes into the daemon's FIFO, the reply comes from one of the agent's.
//!
//! `:NAME:{json}` in one write; the daemon opens `reply_dir` + NAME, once for each part of a long
//! reply (modules/mi_fifo/fifo_fnc.c).

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, UnlinkatFlags, fchown, mkfifoat, unlinkat};
use serde_json::Value;

use super::error::{Error, Result};
use super::message::Framing;
use super::{Exchange, REPLY_LIMIT};

/// The longest path, in bytes, that the daemon can build of `reply_dir` and name
/// (`MAX_MI_FILENAME`).
const PATH_LIMIT: usize = 128;

impl Exchange<'_> {
    pub(super) fn over_fifo(&self, path: &Path) -> Result<Value> {
        let mut commands = self.open_commands(path)?;
        let mut reply = ReplyFifo::make(self)?;
        let mut request = format!(":{}:", reply.place.name).into_bytes();
        request.extend_from_slice(self.request);
        self.send(&mut commands, &request)?;
        self.receive_from(&mut reply.fifo)
    }

    /// Opens the daemon's FIFO, if it is a FIFO and belongs to the daemon or root.
    fn open_commands(&self, path: &Path) -> Result<File> {
        let failed = |source: io::Error| self.unreachable(source);
        let (file, metadata) = look_at(path).map_err(failed)?;
        if !metadata.file_type().is_fifo() {
            let found = kind_of(metadata.file_type());
            return Err(Error::WrongKind { path: path.to_owned(), found, expected: "FIFO" });
        }
        self.trust(path, metadata.uid())?;
        // The file that was checked, whatever has its name by now.
        let checked = format!("/proc/self/fd/{}", file.as_raw_fd());
        let opened = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(checked);
        opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ENXIO) => failed(io::Error::other("no process reads from it")),
            _ => failed(error),
        })
    }

    /// Writes once: less than PIPE_BUF, so that requests of two clients do not mix.
    fn send(&self, commands: &mut File, request: &[u8]) -> Result<()> {
        loop {
            match commands.write(request) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The FIFO is full: the daemon does not read.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(commands.as_fd(), PollFlags::POLLOUT, 0)?;
                }
                Err(error) => return Err(self.unreachable(error)),
            }
        }
    }

    fn receive_from(&self, fifo: &mut File) -> Result<Value> {
        let mut reply = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        let mut framing = Framing::default();
        loop {
            self.wait(fifo.as_fd(), PollFlags::POLLIN, reply.len())?;
            let length = match fifo.read(&mut chunk) {
                Ok(length) => length,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                    ) =>
                {
                    continue;
                }
                Err(error) => return Err(self.unreachable(error)),
            };
            let received = chunk.get(..length).unwrap_or_default();
            let end = framing.take(received).map_err(|fault| self.fault(fault))?;
            reply.extend_from_slice(received.get(..end.unwrap_or(length)).unwrap_or_default());
            if reply.len() > REPLY_LIMIT {
                return Err(self.too_long());
            }
            if end.is_some() {
                return self.judge(&reply);
            }
        }
    }

    /// Waits until the descriptor can be read or written.
    fn wait(
        &self,
        descriptor: std::os::fd::BorrowedFd<'_>,
        what: PollFlags,
        received: usize,
    ) -> Result<()> {
        loop {
            let left = self.left();
            if left.is_zero() {
                return Err(self.timed_out(received));
            }
            // At least one millisecond, because zero spins.
            let timeout =
                PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(descriptor, what)], timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(self.unreachable(errno)),
            }
        }
    }
}

/// The agent's FIFO for one reply.
struct ReplyFifo {
    place: Place,
    /// Open at both ends, so that reading goes on when the daemon closes it between two parts.
    fifo: File,
}

/// A file that is removed when this is dropped.
struct Place {
    directory: OwnedFd,
    name: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = unlinkat(&self.directory, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

impl ReplyFifo {
    fn make(exchange: &Exchange<'_>) -> Result<Self> {
        let path = exchange.client.reply_directory;
        let refused = |why: String| Error::ReplyDirectory { path: path.to_owned(), why };
        let failed = |what: &'static str| {
            move |errno: Errno| refused(format!("{what} ({})", ocf::cause(&io::Error::from(errno))))
        };
        // Neither `.` nor `/` nor `\`; and no other program can have made it before.
        let name = format!("smartvox_{}", exchange.id);
        if path.as_os_str().len() + 1 + name.len() >= PATH_LIMIT {
            return Err(refused("is too long for OpenSIPS: use a shorter path".to_owned()));
        }
        let directory = open_directory(path, exchange.client.daemon).map_err(refused)?;

        // Accessible for the agent alone until it is known to be the FIFO that it has made.
        mkfifoat(&directory, name.as_str(), Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(failed("can't hold the FIFO of a reply"))?;
        let place = Place { directory: directory.into(), name };
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(&place.directory, place.name.as_str(), flags, Mode::empty())
            .map_err(failed("holds a FIFO that can't be opened"))?;
        let fifo = File::from(opened);
        let unusable = |error: io::Error| refused(format!("is unusable ({})", ocf::cause(&error)));
        let found = fifo.metadata().map_err(unusable)?;
        let own = nix::unistd::geteuid().as_raw();
        if !found.file_type().is_fifo() || found.uid() != own || found.nlink() != 1 {
            return Err(refused(
                "is unsafe, the FIFO of the reply was replaced: check who can write there".into(),
            ));
        }
        // Only the daemon can write the reply then.
        fchown(&fifo, Some(exchange.client.daemon), None)
            .map_err(failed("holds a FIFO whose owner can't be set"))?;
        Ok(Self { place, fifo })
    }
}

/// Opens the directory of the replies, if only root and the daemon can replace files of other users
/// in it. The error is a predicate, with what to do.
fn open_directory(path: &Path, daemon: Uid) -> std::result::Result<File, String> {
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(libc::O_DIRECTORY).open(path);
    let unusable = |error: io::Error| format!("can't be used ({})", ocf::cause(&error));
    let directory = opened.map_err(unusable)?;
    let metadata = directory.metadata().map_err(unusable)?;
    if metadata.uid() != 0 && metadata.uid() != daemon.as_raw() {
        return Err(format!(
            "belongs to user {}, neither root nor the daemon's: chown it to root",
            metadata.uid()
        ));
    }
    let (open_to_others, sticky) = (metadata.mode() & 0o022 != 0, metadata.mode() & 0o1000 != 0);
    if open_to_others && !sticky {
        return Err(
            "is writable for other users and lacks the sticky bit: chmod o-w,g-w".to_owned()
        );
    }
    Ok(directory)
}

/// What is wrong with the directory of the replies. A missing one is fine, because start makes it.
pub(crate) fn unsafe_directory(path: &Path, daemon: Uid) -> Option<Error> {
    if !path.exists() {
        return None;
    }
    let why = open_directory(path, daemon).err()?;
    Some(Error::ReplyDirectory { path: path.to_owned(), why })
}

/// Opens a handle (O_PATH) on a file without opening the file, or on the link itself.
pub(super) fn look_at(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

pub(super) fn kind_of(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_file() {
        "a regular file"
    } else {
        "a device"
    }
}

/// What is wrong with the file in the place of a FIFO or socket. A missing one is fine, because the
/// daemon makes it.
pub(crate) fn misplaced(path: &Path, expected: &'static str) -> Option<Error> {
    let kind = look_at(path).ok()?.1.file_type();
    let fits = if expected == "FIFO" { kind.is_fifo() } else { kind.is_socket() };
    let path = PathBuf::from(path);
    (!fits).then(|| Error::WrongKind { path, found: kind_of(kind), expected })
}
