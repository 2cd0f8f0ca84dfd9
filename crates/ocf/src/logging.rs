//! The `log` facade to a terminal or to syslog. The owner of the syslog crate.
//!
//! On a terminal, or called by hand: readable lines on stderr. Under a cluster manager: syslog
//! with its facility, and its log file where it names one. Every sink is optional: a missing,
//! full or stuck log must never change what an action does.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::str::FromStr;
use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::libc;
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use crate::{Environment, InstanceName};

/// Installs the logger of this process; a second call changes nothing. Tells whether people are
/// reading, who see the exit reason on the same terminal anyway.
pub(crate) fn install(agent: &str, instance: &InstanceName, environment: &Environment) -> bool {
    let to_people = std::io::stderr().is_terminal() || !environment.under_pacemaker;
    let sink = if to_people {
        Sink::Terminal
    } else {
        Sink::Cluster {
            facility: environment
                .log_facility
                .as_deref()
                .and_then(|name| Facility::from_str(name).ok()),
            file: environment.log_file.clone(),
            tag: format!("{agent}({instance})"),
            syslog: Mutex::new(Connection::Untried),
        }
    };
    if log::set_boxed_logger(Box::new(Sinks { sink })).is_ok() {
        let level = if environment.debug { LevelFilter::Debug } else { LevelFilter::Info };
        log::set_max_level(level);
    }
    to_people
}

struct Sinks {
    sink: Sink,
}

enum Sink {
    Terminal,
    Cluster {
        facility: Option<Facility>,
        file: Option<OsString>,
        /// `agent(instance)`; the process id follows in brackets.
        tag: String,
        syslog: Mutex<Connection>,
    },
}

/// The socket is opened with the first message: a quiet monitor opens none.
enum Connection {
    Untried,
    Open(Box<Logger<LoggerBackend, Formatter3164>>),
    Missing,
}

impl Log for Sinks {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && is_ours(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // One line per message, whatever a value contains.
        let message = record.args().to_string().replace(['\n', '\r'], " ");
        match &self.sink {
            Sink::Terminal => {
                let _ = match record.level() {
                    Level::Error => writeln!(std::io::stderr(), "error: {message}"),
                    Level::Warn => writeln!(std::io::stderr(), "warning: {message}"),
                    _ => writeln!(std::io::stderr(), "{message}"),
                };
            }
            Sink::Cluster { facility, file, tag, syslog } => {
                if let Some(facility) = facility {
                    to_syslog(syslog, *facility, tag, record.level(), &message);
                }
                if let Some(path) = file {
                    to_file(path, tag, record.level(), &message);
                }
            }
        }
    }

    fn flush(&self) {}
}

/// The libraries below us log too; their messages are for their developers.
fn is_ours(target: &str) -> bool {
    ["ocf", "hostnet", "hostproc", "opensips_vip", "opensips_ra"].iter().any(|name| {
        target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn to_syslog(
    connection: &Mutex<Connection>,
    facility: Facility,
    tag: &str,
    level: Level,
    message: &str,
) {
    let Ok(mut connection) = connection.lock() else { return };
    if matches!(*connection, Connection::Untried) {
        *connection = open_syslog(facility, tag)
            .map_or(Connection::Missing, |logger| Connection::Open(Box::new(logger)));
    }
    if let Connection::Open(logger) = &mut *connection {
        let _ = match level {
            Level::Error => logger.err(message),
            Level::Warn => logger.warning(message),
            Level::Info => logger.info(message),
            Level::Debug | Level::Trace => logger.debug(message),
        };
    }
}

fn open_syslog(facility: Facility, tag: &str) -> Option<Logger<LoggerBackend, Formatter3164>> {
    // Not through the crate's own constructors: their socket blocks, and a stuck journald would
    // hold the action until Pacemaker kills it; they also fall back to UDP on the loopback.
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    ["/dev/log", "/run/systemd/journal/dev-log", "/var/run/syslog"]
        .iter()
        .find(|path| socket.connect(path).is_ok())?;
    Some(Logger::new(
        LoggerBackend::Unix(socket),
        Formatter3164 {
            facility,
            hostname: None,
            process: tag.to_owned(),
            pid: std::process::id(),
        },
    ))
}

/// A log to append to. A FIFO that nobody reads would keep an ordinary open(2) waiting for ever, and
/// one whose reader is stuck a write(2): only a regular file is written to.
///
/// Never created here: a cluster manager that logs to a file has made it.
fn open_log(path: &OsStr) -> std::io::Result<File> {
    let file = OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::ErrorKind::Unsupported.into()) }
}

fn to_file(path: &OsStr, tag: &str, level: Level, message: &str) {
    // No time of our own: the wall clock with a zone needs a crate; seconds since 1970 sort and
    // are exact.
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    if let Ok(mut file) = open_log(path) {
        let pid = std::process::id();
        let _ = file.write_all(format!("{seconds} {tag}[{pid}]: {level}: {message}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let (file, fifo) = (directory.path().join("file"), directory.path().join("fifo"));
        std::fs::write(&file, "before\n").unwrap();
        to_file(file.as_os_str(), "agent(x)", Level::Warn, "words");
        let log = std::fs::read_to_string(&file).unwrap();
        assert!(log.starts_with("before\n") && log.ends_with(": WARN: words\n"), "{log}");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Neither without a reader nor with one.
        assert!(open_log(fifo.as_os_str()).is_err());
        let reader = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        assert!(open_log(fifo.as_os_str()).is_err());
        drop(reader);
        assert!(open_log(directory.path().join("none").as_os_str()).is_err());
        assert!(!directory.path().join("none").exists());
    }

    #[test]
    fn only_our_own_messages() {
        assert!(is_ours("opensips_vip::start"));
        assert!(is_ours("hostnet"));
        assert!(!is_ours("hostnetwork"));
        assert!(!is_ours("netlink_proto::connection"));
    }
}
