//! Everything that can keep an action from doing what it says, and the one place where it gets
//! its exit code.

mod exit;
mod shown;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use hostproc::Pid;
use ocf::Findings;

use crate::daemon::crash::Evidence;
use crate::daemon::release::{FIRST_WITH_JSON_RPC, Release};
use crate::mi;
use crate::params::SharingTag;
use crate::process;
use crate::sip::probe::{Patience, Silence};
use crate::sip::target::Target;
use crate::sockets;
use crate::sockets::listener::Listener;
use crate::sockets::owner::Owner;

pub(crate) use shown::Ended;
use shown::{Holder, Seconds, WhyNotExecuted, shown_path};

/// A result of this crate.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Every failure of an action; the message is the exit reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Parameters that are wrong on every node.
    #[error("{findings}")]
    Parameters {
        /// All that is wrong.
        findings: Findings,
    },
    /// An action that the agent does not advertise.
    #[error("action {action} is not implemented")]
    NotOffered {
        /// The action.
        action: ocf::Action,
    },
    /// Not root.
    #[error("not permitted: {action} needs root (signals, files and sockets of other users)")]
    NotRoot {
        /// The action.
        action: ocf::Action,
    },
    /// There is no such program.
    #[error("{} is not installed: {source}", path.display())]
    BinaryMissing {
        /// Parameter `binary`.
        path: PathBuf,
        /// Why it can't be looked at.
        source: io::Error,
    },
    /// It is there and no program.
    #[error("{} is not an executable file", path.display())]
    BinaryNotExecutable {
        /// Parameter `binary`.
        path: PathBuf,
    },
    /// A script, whose process would not be known as the daemon.
    #[error("{} is a script: give the OpenSIPS executable itself", path.display())]
    BinaryIsScript {
        /// Parameter `binary`.
        path: PathBuf,
    },
    /// The configuration can't be read.
    #[error("configuration {} can't be read: {source}", path.display())]
    ConfigUnreadable {
        /// Parameter `config`.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No such user or group here.
    #[error("{kind} {name} does not exist on this node")]
    NoSuchAccount {
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The user database does not answer.
    #[error("{kind} {name} can't be looked up: {source}")]
    AccountLookup {
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The reason.
        source: io::Error,
    },
    /// The daemon finds a fault in the text of its configuration.
    #[error("configuration check: {said}")]
    ConfigFault {
        /// Its own words, with file and line number.
        said: String,
    },
    /// The daemon refuses its configuration for another reason, which may go away: a name that
    /// does not resolve, memory.
    #[error("configuration check: {status}: {said}")]
    CheckFailed {
        /// How it ended.
        status: ExitStatus,
        /// Its own words.
        said: String,
    },
    /// The check did not end.
    #[error("configuration check of {} did not end within {}", path.display(), Seconds(*waited))]
    CheckTimedOut {
        /// Parameter `binary`.
        path: PathBuf,
        /// How long it was given.
        waited: Duration,
    },
    /// Not even `-V` did end.
    #[error("{} -V did not end within {}", shown_path(path), Seconds(*waited))]
    VersionTimedOut {
        /// Parameter `binary`.
        path: PathBuf,
        /// How long it was given.
        waited: Duration,
    },
    /// Another instance, alive, has the same pid file.
    #[error("pid file belongs to another instance of OpenSIPS (pid {pid}): {}", path.display())]
    ForeignPidFile {
        /// Parameter `pidfile`.
        path: PathBuf,
        /// The other instance.
        pid: Pid,
    },
    /// The instance runs, and it was not this resource that has started it.
    #[error(
        "OpenSIPS (pid {pid}) was started by something else, systemd? Its pid file is {}",
        shown_path(pidfile)
    )]
    StartedElsewhere {
        /// Its main process, or one that is left.
        pid: Pid,
        /// Its `-P`.
        pidfile: PathBuf,
    },
    /// systemd would start the daemon too.
    #[error("systemctl disable {unit}: it is enabled beside Pacemaker, by {}", link.display())]
    UnitEnabled {
        /// Parameter `systemd_unit`.
        unit: String,
        /// What enables it.
        link: PathBuf,
    },
    /// systemd runs the daemon.
    #[error("systemctl disable --now {unit}: systemd runs OpenSIPS (pid {pid}) beside Pacemaker")]
    UnitActive {
        /// Parameter `systemd_unit`.
        unit: String,
        /// A process of it.
        pid: Pid,
    },
    /// A file or directory of the agent or the daemon.
    #[error("can't {operation} {}: {source}", path.display())]
    File {
        /// What was attempted.
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The daemon can't be executed.
    #[error("{} can't be executed{}", path.display(), WhyNotExecuted(source))]
    Execute {
        /// Parameter `binary`.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The daemon ended instead of serving.
    #[error("OpenSIPS {ended}: {why}")]
    Died {
        /// How.
        ended: Ended,
        /// Its own words, or what we found out ourselves.
        why: String,
    },
    /// The daemon runs as a program that is not the one of the parameters.
    #[error(
        "binary: give the OpenSIPS executable itself: pid {pid} of the pid file runs {}, not {}",
        shown_path(found),
        shown_path(expected)
    )]
    OtherExecutable {
        /// The process.
        pid: Pid,
        /// What it runs.
        found: PathBuf,
        /// Parameter `binary`.
        expected: PathBuf,
    },
    /// It lives and has not come to serve in time.
    #[error("{waiting} after {}", Seconds(*waited))]
    NotServing {
        /// What start was waiting for.
        waiting: String,
        /// How long.
        waited: Duration,
    },
    /// Another action is at work on the same instance.
    #[error("another start or stop of this instance is at work{}", Holder(*holder))]
    Locked {
        /// Whose, if it is known.
        holder: Option<Pid>,
    },
    /// Processes whose main process is dead.
    #[error("main process is gone, {count} orphaned processes are alive ({pids})")]
    Orphans {
        /// How many.
        count: usize,
        /// Which.
        pids: String,
    },
    /// Nothing is left of an instance that was not stopped.
    #[error("main process {main} has ended: {evidence}")]
    Gone {
        /// The main process as it is remembered.
        main: Pid,
        /// Why, as far as it is known.
        evidence: Evidence,
    },
    /// A part of the instance has died.
    #[error("{source}; {evidence}")]
    Crashed {
        /// What is left of it.
        source: Box<Self>,
        /// Why, as far as it is known.
        evidence: Evidence,
    },
    /// A socket of the instance is open though none of its processes is alive.
    #[error("{listener} is held by {owner}, though no process of the instance is alive")]
    SocketLeft {
        /// The listener.
        listener: Listener,
        /// Who holds it.
        owner: Owner,
    },
    /// A main process alone.
    #[error("main process {main} alive, no worker")]
    NoWorkers {
        /// The main process.
        main: Pid,
    },
    /// A worker that has ended: the daemon will end itself.
    #[error("main process {main} alive, worker {worker} is dead")]
    DeadWorker {
        /// The main process.
        main: Pid,
        /// The worker.
        worker: Pid,
    },
    /// A main process without any socket.
    #[error("main process {main} alive, it holds no UDP or TCP socket")]
    NoSockets {
        /// The main process.
        main: Pid,
    },
    /// Somebody else gets what is sent there.
    #[error("{listener} is taken by {owner}, which shares it with main process {main}")]
    Taken {
        /// The main process.
        main: Pid,
        /// The listener.
        listener: Listener,
        /// Who gets it.
        owner: Owner,
    },
    /// No answer.
    #[error(
        "main process {main} alive, {silence} at {target} within {} x {}",
        patience.attempts,
        Seconds(patience.timeout)
    )]
    Silent {
        /// The main process.
        main: Pid,
        /// Who was asked.
        target: Target,
        /// What there was instead.
        silence: Silence,
        /// How long.
        patience: Patience,
    },
    /// An answer that does not count.
    #[error(
        "main process {main}: OPTIONS at {target} answered {code}, not among sip_probe_codes: \
         {reason}"
    )]
    UnexpectedAnswer {
        /// The main process.
        main: Pid,
        /// Who was asked.
        target: Target,
        /// Status code.
        code: u16,
        /// Reason phrase.
        reason: String,
    },
    /// The question could not be sent.
    #[error("main process {main} alive, OPTIONS can't be sent to {target}: {source}")]
    Unasked {
        /// The main process.
        main: Pid,
        /// Who was to be asked.
        target: Target,
        /// The reason.
        source: io::Error,
    },
    /// `mi`, with a daemon whose Management Interface is another one.
    #[error(
        "mi: {} is OpenSIPS {release}, whose MI speaks no JSON-RPC: {FIRST_WITH_JSON_RPC} or newer is \
         needed",
        path.display()
    )]
    MiTooOld {
        /// The daemon's executable.
        path: PathBuf,
        /// What it says to `-V`.
        release: Release,
    },
    /// The Management Interface.
    #[error(transparent)]
    Mi(#[from] mi::Error),
    /// A sharing tag that this node should hold and does not.
    #[error("sharing tag {tag} does not stay active on this node: another one takes it")]
    TagLost {
        /// The tag.
        tag: SharingTag,
    },
    /// A sharing tag that this node holds from the start.
    #[error(
        "configure {tag}=backup: the sharing tag is active as soon as OpenSIPS starts, which takes \
         it from the node that serves"
    )]
    TagActive {
        /// The tag.
        tag: SharingTag,
    },
    /// The same, before the daemon was started.
    #[error(
        "say {tag}=backup: {} declares sharing tag {tag}=active, which takes it from the node that \
         serves",
        path.display()
    )]
    TagDeclaredActive {
        /// The tag.
        tag: SharingTag,
        /// The configuration, or a file that it includes.
        path: PathBuf,
    },
    /// promote without an instance.
    #[error("OpenSIPS does not run here: nothing to promote")]
    NothingToPromote,
    /// The processes of the instance.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// The sockets of the instance, or the addresses below them.
    #[error(transparent)]
    Sockets(#[from] sockets::Error),
}

impl From<hostproc::Error> for Error {
    fn from(source: hostproc::Error) -> Self {
        Self::Process(source.into())
    }
}

impl From<hostnet::Error> for Error {
    fn from(source: hostnet::Error) -> Self {
        Self::Sockets(source.into())
    }
}

impl From<Findings> for Error {
    fn from(findings: Findings) -> Self {
        Self::Parameters { findings }
    }
}

#[cfg(test)]
mod tests;
