//! MI over FIFOs: the request into the daemon's, the reply out of one of our own.
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

use super::error::{MiError, Result};
use super::message::Framing;
use super::{Exchange, REPLY_LIMIT};

/// What the daemon can put together of `reply_dir` and name (`MAX_MI_FILENAME`).
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

    /// The daemon's FIFO, if it is one and the daemon's.
    fn open_commands(&self, path: &Path) -> Result<File> {
        let failed = |source: io::Error| self.unreachable(source);
        let (file, metadata) = look_at(path).map_err(failed)?;
        if !metadata.file_type().is_fifo() {
            let found = kind_of(metadata.file_type());
            return Err(MiError::WrongKind { path: path.to_owned(), found, expected: "FIFO" });
        }
        self.trust(path, metadata.uid())?;
        // What was looked at, whatever has its name by now.
        let looked_at = format!("/proc/self/fd/{}", file.as_raw_fd());
        let opened = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(looked_at);
        opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ENXIO) => failed(io::Error::other("nobody reads from it")),
            _ => failed(error),
        })
    }

    /// One write: shorter than PIPE_BUF, so that it is not mixed with others'.
    fn send(&self, commands: &mut File, request: &[u8]) -> Result<()> {
        loop {
            match commands.write(request) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Full: the daemon does not read.
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

    /// Until something can be read or written.
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
            // Whole milliseconds, at least one: zero would spin.
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

/// Our FIFO for one reply.
struct ReplyFifo {
    place: Place,
    /// Open at both ends, so that it does not end when the daemon closes it between two parts.
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
        let refused = |why: String| MiError::ReplyDirectory { path: path.to_owned(), why };
        let failed = |what: &'static str| {
            move |errno: Errno| refused(format!("{what}: {}", io::Error::from(errno)))
        };
        // Neither `.` nor `/` nor `\`; nobody can have made it before us.
        let name = format!("smartvox_{}", exchange.id);
        if path.as_os_str().len() + 1 + name.len() >= PATH_LIMIT {
            return Err(refused("too long for OpenSIPS".to_owned()));
        }
        let directory = open_directory(path, exchange.client.daemon).map_err(refused)?;

        // Ours alone until it is known to be what we have made.
        mkfifoat(&directory, name.as_str(), Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(failed("a FIFO can't be made"))?;
        let place = Place { directory: directory.into(), name };
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(&place.directory, place.name.as_str(), flags, Mode::empty())
            .map_err(failed("our FIFO can't be opened"))?;
        let fifo = File::from(opened);
        let found = fifo.metadata().map_err(|error| refused(error.to_string()))?;
        let own = nix::unistd::geteuid().as_raw();
        if !found.file_type().is_fifo() || found.uid() != own || found.nlink() != 1 {
            return Err(refused("somebody has put something else in the place of our FIFO".into()));
        }
        // The daemon's, and nobody else's.
        fchown(&fifo, Some(exchange.client.daemon), None)
            .map_err(failed("the owner of our FIFO can't be set"))?;
        Ok(Self { place, fifo })
    }
}

/// Opens the directory of the replies, if nobody but root and the daemon can meddle with files of
/// others in it; else says why not.
fn open_directory(path: &Path, daemon: Uid) -> std::result::Result<File, String> {
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(libc::O_DIRECTORY).open(path);
    let directory = opened.map_err(|error| error.to_string())?;
    let metadata = directory.metadata().map_err(|error| error.to_string())?;
    if metadata.uid() != 0 && metadata.uid() != daemon.as_raw() {
        return Err(format!("belongs to user {}, neither root nor the daemon's", metadata.uid()));
    }
    let (open_to_others, sticky) = (metadata.mode() & 0o022 != 0, metadata.mode() & 0o1000 != 0);
    if open_to_others && !sticky {
        return Err("others can write there, and it lacks the sticky bit".to_owned());
    }
    Ok(directory)
}

/// What is wrong with the directory of the replies; a missing one is nothing wrong: start makes it.
pub(crate) fn unsafe_directory(path: &Path, daemon: Uid) -> Option<MiError> {
    if !path.exists() {
        return None;
    }
    let why = open_directory(path, daemon).err()?;
    Some(MiError::ReplyDirectory { path: path.to_owned(), why })
}

/// A handle on what is there without opening it (O_PATH), a link itself and not its target.
pub(super) fn look_at(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// The kind of a file, for a message.
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

/// What is wrong with the place of a FIFO or socket, before the daemon is asked; a missing one is
/// nothing wrong: the daemon makes it.
pub(crate) fn misplaced(path: &Path, expected: &'static str) -> Option<MiError> {
    let kind = look_at(path).ok()?.1.file_type();
    let fits = if expected == "FIFO" { kind.is_fifo() } else { kind.is_socket() };
    let path = PathBuf::from(path);
    (!fits).then(|| MiError::WrongKind { path, found: kind_of(kind), expected })
}
