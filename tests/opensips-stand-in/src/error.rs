//! What can go wrong, in the daemon's words: its supervisor reads them.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use nix::errno::Errno;
use thiserror::Error;

use crate::config_text::SyntaxError;
use crate::listener::Protocol;
use crate::log::Level;

/// The conditions under which a process of the stand-in gives up, worded as the daemon words them.
#[derive(Debug, Error)]
pub(crate) enum Error {
    #[error("Unknown option `-{0}`.")]
    UnknownOption(char),
    #[error(
        "-E option deprecated since 3.4, set \"stderror_enabled=yes\" at the script level instead"
    )]
    DeprecatedOptionE,
    #[error("bad {what}: -{option} {value}")]
    OptionValue { option: char, what: &'static str, value: String },
    #[error("bad user name/uid number: -u {0}")]
    UnknownUser(String),
    #[error("bad group name/gid number: -u {0}")]
    UnknownGroup(String),

    #[error("loading config file {}: {}", path.display(), description(source))]
    ConfigUnreadable { path: PathBuf, source: io::Error },
    #[error("failed to open {}: {} ({})", path.display(), source.raw_os_error().unwrap_or(0), description(source))]
    IncludeUnreadable { path: PathBuf, included_by: PathBuf, source: io::Error },
    #[error(transparent)]
    Syntax(Box<SyntaxError>),
    #[error("no transport protocol loaded")]
    NoTransport,
    #[error("listeners found for protocol {0}, but no module can handle it")]
    NoModuleFor(Protocol),
    #[error("could not resolve {host}")]
    UnknownHost { host: String, source: io::Error },
    #[error("ERROR: fix_socket_list: could not resolve advertised name {host}")]
    UnknownAdvertised { host: String },
    #[error("fault switch {name}: {reason}")]
    FaultSwitch { name: String, reason: &'static str },

    #[error("Cannot chdir to {}: {}", path.display(), description(source))]
    WorkingDirectory { path: PathBuf, source: io::Error },
    #[error("running process found in the pid file {}", .0.display())]
    AlreadyRunning(PathBuf),
    #[error("unable to create {what} file {}: {}", path.display(), description(source))]
    PidFile { what: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot change {what}: {}", .errno.desc())]
    Privileges { what: &'static str, errno: Errno },
    #[error("directory stat failed: {} ({})", description(source), path.display())]
    ReplyDirectory { path: PathBuf, source: io::Error },
    #[error("missing modparam: 'socket_name'")]
    NoDatagramSocketName,
    #[error("malformed socket_name {0}")]
    DatagramSocketName(String),
    #[error("bind: {} ({name})", .errno.desc())]
    DatagramBind { name: String, errno: Errno },
    #[error("bind({descriptor}, 16) on {}: {}", address.ip(), .errno.desc())]
    UdpBind { descriptor: i32, address: SocketAddr, errno: Errno },
    #[error("socket failed with {} [{}]", .errno.desc(), *errno as i32)]
    SctpBind { address: SocketAddr, errno: Errno },
    #[error("bind on {} : {}", tcp_address(address), description(source))]
    TcpBind { address: SocketAddr, source: io::Error },
    #[error("can't create FIFO: {} ({})", .errno.desc(), path.display())]
    FifoCreate { path: PathBuf, errno: Errno },
    #[error("FIFO {}: {}", path.display(), description(source))]
    FifoOpen { path: PathBuf, source: io::Error },
    #[error("failed to initialize child process {id}")]
    WorkerStart { id: usize, source: io::Error },

    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("what the process was to inherit is not what the stand-in writes: {0}")]
    Inheritance(&'static str),
}

/// The text of the errno alone: `io::Error` adds `(os error N)`, the daemon does not.
fn description(error: &io::Error) -> String {
    error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |code| Errno::from_raw(code).desc().to_owned())
}

/// The daemon writes `address:port` without brackets, also for IPv6.
fn tcp_address(address: &SocketAddr) -> String {
    format!("{}:{}", address.ip(), address.port())
}

/// One line of the log.
pub(crate) struct Message {
    pub(crate) level: Level,
    pub(crate) origin: &'static str,
    pub(crate) text: String,
}

impl From<Box<SyntaxError>> for Error {
    fn from(error: Box<SyntaxError>) -> Self {
        Self::Syntax(error)
    }
}

impl Error {
    pub(crate) fn system(what: &'static str, errno: Errno) -> Self {
        Self::System { what, source: errno.into() }
    }

    fn origin(&self) -> &'static str {
        match self {
            Self::ConfigUnreadable { .. } => "core:parse_opensips_cfg",
            Self::IncludeUnreadable { .. } => "core:__flatten_opensips_cfg",
            Self::NoModuleFor(_) => "core:fix_all_socket_lists",
            Self::UnknownHost { .. } | Self::UnknownAdvertised { .. } => "core:fix_socket",
            Self::WorkingDirectory { .. } | Self::AlreadyRunning(_) | Self::PidFile { .. } => {
                "core:daemonize"
            }
            Self::Privileges { .. } => "core:do_suid",
            Self::ReplyDirectory { .. } => "mi_fifo:mi_mod_init",
            Self::NoDatagramSocketName | Self::DatagramSocketName(_) => "mi_datagram:mi_mod_init",
            Self::DatagramBind { .. } => "mi_datagram:mi_init_datagram_server",
            Self::UdpBind { .. } => "core:udp_bind_listener",
            Self::SctpBind { .. } => "proto_sctp:proto_sctp_init_listener",
            Self::TcpBind { .. } => "core:tcp_bind_listener",
            Self::FifoCreate { .. } | Self::FifoOpen { .. } => "mi_fifo:mi_create_fifo",
            Self::WorkerStart { .. } => "core:internal_fork",
            _ => "core:main",
        }
    }

    /// What the daemon logs for this condition, its own lines that follow included.
    pub(crate) fn messages(&self) -> Vec<Message> {
        if let Self::Syntax(error) = self {
            return error.messages();
        }
        let level = match self {
            Self::AlreadyRunning(_)
            | Self::WorkingDirectory { .. }
            | Self::Privileges { .. }
            | Self::WorkerStart { .. } => Level::Critical,
            _ => Level::Error,
        };
        let mut messages = vec![Message { level, origin: self.origin(), text: self.to_string() }];
        let mut follow = |level, origin, text: String| {
            messages.push(Message { level, origin, text });
        };
        match self {
            Self::IncludeUnreadable { included_by, .. } => {
                let file = included_by.display();
                follow(
                    Level::Error,
                    "core:flatten_opensips_cfg",
                    format!("failed to flatten cfg file {file}"),
                );
                follow(
                    Level::Error,
                    "core:parse_opensips_cfg",
                    format!("failed to resolve file imports for {file}"),
                );
            }
            Self::NoModuleFor(_) => {
                follow(Level::Error, "core:main", "failed to initialize list addresses".to_owned());
            }
            Self::ReplyDirectory { .. } => module_failed(&mut follow, "mi_fifo"),
            Self::NoDatagramSocketName | Self::DatagramSocketName(_) => {
                module_failed(&mut follow, "mi_datagram");
            }
            Self::UdpBind { address, .. } | Self::SctpBind { address, .. } => {
                let what = match self {
                    Self::SctpBind { .. } => ("init", "sctp"),
                    _ => ("bind", "udp"),
                };
                follow(
                    Level::Error,
                    "core:trans_init_all_listeners",
                    format!("failed to {} listener [{}], proto {}", what.0, address.ip(), what.1),
                );
                follow(
                    Level::Error,
                    "core:main",
                    "failed to initialize all SIP listeners!".to_owned(),
                );
            }
            Self::TcpBind { address, .. } => {
                follow(
                    Level::Error,
                    "core:tcp_main_server",
                    format!("failed to bind listener [{}], proto tcp", address.ip()),
                );
                follow(Level::Critical, "core:tcp_main_server", "exiting...".to_owned());
            }
            Self::FifoCreate { .. } | Self::FifoOpen { .. } => {
                follow(
                    Level::Error,
                    "mi_fifo:mi_init_fifo_server",
                    "cannot create fifo".to_owned(),
                );
                follow(
                    Level::Critical,
                    "mi_fifo:fifo_process",
                    "The function mi_init_fifo_server returned with error!!!".to_owned(),
                );
            }
            _ => {}
        }
        messages
    }
}

fn module_failed(follow: &mut impl FnMut(Level, &'static str, String), module: &str) {
    follow(Level::Error, "core:init_mod", format!("failed to initialize module {module}"));
    follow(Level::Error, "core:main", "failed to initialize modules!".to_owned());
}
