//! Why the daemon can't be started.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use hostproc::Pid;
use nix::libc;

use crate::daemon::release::{FIRST_WITH_JSON_RPC, Release};

/// A result of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{} is not installed ({}): install OpenSIPS or set binary", path.display(), ocf::cause(source))]
    BinaryMissing { path: PathBuf, source: io::Error },
    #[error("{} is not an executable file: set binary", path.display())]
    BinaryNotExecutable { path: PathBuf },
    /// The process of a script would not be recognised as the daemon.
    #[error("{} is a script: set binary to the OpenSIPS executable itself", path.display())]
    BinaryIsScript { path: PathBuf },
    #[error("configuration {} can't be read ({}): set config", path.display(), ocf::cause(source))]
    ConfigUnreadable { path: PathBuf, source: io::Error },
    #[error("environment_file {} can't be read ({}): create it or unset environment_file", path.display(), ocf::cause(source))]
    EnvironmentUnreadable { path: PathBuf, source: io::Error },
    /// A file of the daemon's that may be there: the next look may find it.
    #[error("{} can't be read at the moment ({}): check its file system, and this node's memory", path.display(), ocf::cause(source))]
    OutOfReach { path: PathBuf, source: io::Error },
    /// The kernel hides executable and namespaces of another user's process.
    #[error(
        "the agent lacks CAP_SYS_PTRACE and could not recognise OpenSIPS that runs as {user}: add the \
         capability to this container, or set user=root"
    )]
    NoPtrace { user: String },
    /// `kind` is `user` or `group`.
    #[error("{kind} {name} does not exist on this node: create it or set {kind}")]
    NoSuchAccount { kind: &'static str, name: String },
    /// The database of users does not answer.
    #[error("{kind} {name} can't be looked up: {}", ocf::cause(source))]
    AccountLookup { kind: &'static str, name: String, source: io::Error },
    /// OpenSIPS finds an error in the text of its configuration; `said` names file and line.
    #[error("configuration check failed: {said}")]
    ConfigFault { said: String },
    /// OpenSIPS refuses its configuration for another reason, which may be transient: a name that
    /// does not resolve, memory.
    #[error("configuration check failed ({status}): {said}")]
    CheckFailed { status: ExitStatus, said: String },
    /// It starts without a socket that its configuration declares, and reports success.
    #[error(
        "OpenSIPS leaves out a socket of its configuration ({said}): correct the name or interface in \
         socket=, or make it known to this node"
    )]
    SocketLeftOut { said: String },
    #[error(
        "configuration check of {} did not end within {}: check that the name servers of this node answer, \
         or run opensips -C by hand",
        path.display(),
        Seconds(*waited)
    )]
    CheckTimedOut { path: PathBuf, waited: Duration },
    #[error("{} -V did not end within {}: run it by hand", shown_path(path), Seconds(*waited))]
    VersionTimedOut { path: PathBuf, waited: Duration },
    #[error(
        "{} is OpenSIPS {release}, whose MI has no JSON-RPC: use {FIRST_WITH_JSON_RPC} or newer, or \
         unset mi",
        path.display()
    )]
    MiTooOld { path: PathBuf, release: Release },
    /// systemd starts the daemon at boot; `link` enables the unit.
    #[error(
        "{unit} is enabled besides Pacemaker: run systemctl disable {unit} ({})",
        link.display()
    )]
    UnitEnabled { unit: String, link: PathBuf },
    /// systemd runs the daemon.
    #[error(
        "{unit} runs OpenSIPS (pid {pid}) besides Pacemaker: run systemctl disable --now {unit}"
    )]
    UnitActive { unit: String, pid: Pid },
    #[error("{} can't be executed{}", path.display(), WhyNotExecuted(source))]
    Execute { path: PathBuf, source: io::Error },
    /// `why` are the daemon's own words, or what the agent has found out.
    #[error("OpenSIPS {ended}: {why}")]
    Died { ended: Ended, why: String },
    #[error(
        "pid {pid} of the pid file runs another program: set binary to the OpenSIPS executable \
         itself ({}, not {})",
        shown_path(found),
        shown_path(expected)
    )]
    OtherExecutable { pid: Pid, found: PathBuf, expected: PathBuf },
    /// It serves, and Pacemaker would end the start that waits for it.
    #[error(
        "OpenSIPS (pid {pid}) stays in the foreground: set debug_mode=no in {} or the files that it \
         includes",
        config.display()
    )]
    Foreground { pid: Pid, config: PathBuf },
    /// It is alive and does not serve in time; `waiting` is what start waited for.
    #[error("{waiting} after {}{}", Seconds(*waited), OfCheck(*waited, *check_took))]
    NotServing { waiting: String, waited: Duration, check_took: Duration },
    #[error("{}", ocf::cause(.0))]
    File(#[from] hostfs::Error),
    #[error("{}", ocf::cause(.0))]
    Processes(#[from] hostproc::Error),
}

/// What makes every file unreadable for a while: a disk or a file server in trouble, a host without memory or
/// descriptors.
const PASSING: [i32; 12] = [
    libc::EAGAIN,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    libc::EINTR,
    libc::EIO,
    libc::EMFILE,
    libc::ENFILE,
    libc::ENOBUFS,
    libc::ENOMEM,
    libc::ENOSPC,
    libc::ESTALE,
    libc::ETIMEDOUT,
];

impl Error {
    /// The error of a file that can't be looked at or read: what `lasting` makes of it, unless it passes without
    /// anybody's help. A hard exit code would bar the node until a person cleans up.
    pub(crate) fn of_file(
        path: &Path,
        source: io::Error,
        lasting: impl FnOnce(PathBuf, io::Error) -> Self,
    ) -> Self {
        let path = path.to_owned();
        if source.raw_os_error().is_some_and(|errno| PASSING.contains(&errno)) {
            return Self::OutOfReach { path, source };
        }
        lasting(path, source)
    }

    /// Whether exec(2) failed because of what the program is or for lack of its loader (ENOEXEC,
    /// ENOENT, ELIBBAD), not for what the machine lacks at the moment.
    pub(crate) fn is_no_program(&self) -> bool {
        let Self::Execute { source, .. } = self else { return false };
        [libc::ENOEXEC, libc::ENOENT, libc::ELIBBAD].map(Some).contains(&source.raw_os_error())
    }
}

/// Seconds as people write them: `2s`, `0.5s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.as_millis() + 50) / 100;
        match (tenths / 10, tenths % 10) {
            (whole, 0) => write!(f, "{whole}s"),
            (whole, tenth) => write!(f, "{whole}.{tenth}s"),
        }
    }
}

/// Follows the time of a start in which the configuration check left too little for the daemon.
struct OfCheck(Duration, Duration);

impl fmt::Display for OfCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(waited, check_took) = *self;
        if check_took < waited / 2 {
            return Ok(());
        }
        let took = Seconds(check_took);
        write!(
            f,
            ", {took} of it for the configuration check: check that the name servers of this node answer"
        )
    }
}

/// How the daemon ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    /// The command that starts it has this status.
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
            Self::Later => f.write_str("died just after its start"),
        }
    }
}

/// The path of a foreign process may hold anything.
fn shown_path(path: &Path) -> String {
    ocf::shown(path.as_os_str().as_bytes())
}

/// What exec(2) says, in other words where its own are misleading: the file was looked at before,
/// and it exists.
struct WhyNotExecuted<'a>(&'a io::Error);

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
