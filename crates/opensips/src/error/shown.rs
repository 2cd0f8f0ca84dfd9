//! How parts of a message are written.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use hostproc::Pid;
use nix::libc;

/// How the daemon ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    /// The command that starts it said so.
    Exited(ExitStatus),
    /// The command had reported success.
    Later,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => match status.code() {
                Some(code) => write!(f, "ended with status {code}"),
                None => write!(f, "ended by {status}"),
            },
            Self::Later => f.write_str("died just after it had started"),
        }
    }
}

/// The path of a foreign process, which may hold anything.
pub(super) fn shown_path(path: &std::path::Path) -> String {
    ocf::shown(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

/// Seconds as people write them: `2s`, `0.5s`.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.as_millis() + 50) / 100;
        match (tenths / 10, tenths % 10) {
            (whole, 0) => write!(f, "{whole}s"),
            (whole, tenth) => write!(f, "{whole}.{tenth}s"),
        }
    }
}

/// Whose lock it is, where that is known.
pub(super) struct Holder(pub(super) Option<Pid>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |pid| write!(f, " (pid {pid})"))
    }
}

/// What exec(2) says, in words where its own would mislead: the file was looked at before, and is
/// there.
pub(super) struct WhyNotExecuted<'a>(pub(super) &'a io::Error);

impl fmt::Display for WhyNotExecuted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.0.raw_os_error() {
            Some(libc::ENOENT) => "its dynamic loader is missing",
            Some(libc::ENOEXEC) => "it is not a program for this machine",
            _ => return write!(f, ": {}", ocf::cause(self.0)),
        };
        write!(f, " because {why}: install OpenSIPS for this node")
    }
}
