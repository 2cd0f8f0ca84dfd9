//! What can go wrong, one variant per condition.

use std::{io, path::PathBuf, time::Duration};

use nix::errno::Errno;

/// Why the lab could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The effective user is not root, or root lacks the capability.
    #[error("namespaces, mounts and bridges need root: run it with sudo")]
    NotRoot,
    /// Programs of these Debian packages are missing on the machine, or in a node's root.
    #[error("missing {}: {}; install with: {}apt-get install --no-install-recommends {}",
        root.as_ref().map_or("on this machine".to_owned(), |root| format!("in {}", root.display())),
        programs.join(", "),
        root.as_ref().map_or(String::new(), |root| format!("chroot {} ", root.display())),
        packages.join(" "))]
    MissingPrograms {
        /// The node's root, if it is not the machine's.
        root: Option<PathBuf>,
        /// The programs looked for.
        programs: Vec<&'static str>,
        /// The Debian packages that bring them.
        packages: Vec<&'static str>,
    },
    /// The `lab` binary was not found next to the running program.
    #[error("the lab's own program is not at {}: build it with `cargo build -p lab`", looked_at.display())]
    NoLabProgram {
        /// The last place looked at.
        looked_at: PathBuf,
    },
    /// A name of a lab that can't be a directory's and a socket's.
    #[error("`{0}` is no name for a lab: 1 to 32 characters of a-z, 0-9 and -")]
    LabName(String),
    /// A network that is neither `public`/`eth0` nor `lan`/`eth1`.
    #[error("`{0}` is no network of the lab: eth0 (or public), eth1 (or lan)")]
    NetworkName(String),
    /// A `SRC:DST` that isn't one.
    #[error("`{0}` is not SRC:DST with an absolute DST")]
    BindSpecification(String),
    /// A `[NODE=]DIR` that isn't one.
    #[error("`{0}` is not [NODE=]DIR: the root directory of one node, or of all nodes")]
    RootSpecification(String),
    /// A path that can't be an operand of overlay mounts or too long for a socket.
    #[error("{} can't hold a lab: overlay mounts and unix sockets want an absolute path without `,` or `:` of at most {} bytes", .0.display(), crate::state::LONGEST_DIRECTORY)]
    StateDirectory(PathBuf),
    /// What is to be mounted in the nodes isn't there.
    #[error("{} is to appear in the nodes, but can't be opened: {source}", path.display())]
    BindSource {
        /// The path on the machine.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A mount point that would have to be made on the machine's own file system.
    #[error("{} doesn't exist and is outside of the directories that each node has for itself ({})",
        .0.display(), crate::node::PRIVATE_DIRECTORIES.join(" "))]
    BindDestination(PathBuf),
    /// A healthy lab of that name exists.
    #[error("the lab `{name}` is already up ({hosts}); `lab down --name {name}` first")]
    AlreadyUp {
        /// Its name.
        name: String,
        /// Its hosts.
        hosts: String,
    },
    /// No lab of that name.
    #[error("no lab `{name}` is up; `lab up --name {name}` starts one")]
    NotUp {
        /// Its name.
        name: String,
    },
    /// No such host in the lab.
    #[error("no host `{host}` in this lab: it has {known}")]
    NoSuchHost {
        /// The name asked for.
        host: String,
        /// The names there are.
        known: String,
    },
    /// The host has no power.
    #[error("{host} is off; `lab boot {host}` starts it")]
    PowerOff {
        /// The host.
        host: String,
    },
    /// The host has power already.
    #[error("{host} is on already")]
    PowerOn {
        /// The host.
        host: String,
    },
    /// The host has no cable in that network.
    #[error("{host} has no cable in the network {network}")]
    NoCable {
        /// The host.
        host: String,
        /// The network.
        network: &'static str,
    },
    /// A node did not come up.
    #[error("{host} did not boot: {reason}")]
    Boot {
        /// The host.
        host: String,
        /// The last words of its first process.
        reason: String,
    },
    /// The lab's rack said no; the text is its own error.
    #[error("{0}")]
    Refused(String),
    /// The rack ended or went silent while it was being asked.
    #[error("the lab's rack gave no answer ({0}); its log: {1}")]
    NoAnswer(String, PathBuf),
    /// A condition did not come true in time.
    #[error("not within {} s: {what}", after.as_secs())]
    Deadline {
        /// The condition.
        what: String,
        /// The time given.
        after: Duration,
    },
    /// A program failed.
    #[error("{program}: {status}: {words}")]
    Program {
        /// The command line.
        program: String,
        /// Exit status in words.
        status: String,
        /// What it wrote.
        words: String,
    },
    /// Something failed whose log says more.
    #[error("{error}; last lines of {log}:\n{last}")]
    WithLog {
        /// What failed.
        error: Box<Self>,
        /// The log's path.
        log: String,
        /// Its last lines.
        last: String,
    },
    /// A program could not be run.
    #[error("can't run {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A system call on a namespace, a mount or a process failed.
    #[error("{call}: {source}")]
    System {
        /// The call and its operand.
        call: String,
        /// Why.
        source: Errno,
    },
    /// A thread could not be started or panicked.
    #[error("a thread of the lab ended early: {0}")]
    Thread(String),
    /// The output of crm_mon is not the XML of Pacemaker's schema.
    #[error("crm_mon's XML: {0}")]
    Xml(#[from] roxmltree::Error),
    /// cibadmin's empty CIB has no place for the cluster's properties.
    #[error("`cibadmin --empty` gave no <crm_config/>")]
    EmptyCib,
    /// A message between the lab's processes that isn't understood.
    #[error("message not understood: {0}")]
    Message(String),
}

/// The lab's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Adds the last lines of a log to an error.
    pub(crate) fn with_log(self, log: impl Into<String>, text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n");
        Self::WithLog { error: Box::new(self), log: log.into(), last }
    }
}

/// Attaches a path to an I/O error.
pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { path: path.into(), source }
}

/// Attaches a system call's name to an errno.
pub(crate) fn call(call: impl Into<String>) -> impl FnOnce(Errno) -> Error {
    move |source| Error::System { call: call.into(), source }
}
