//! The `log` facade to a terminal or to syslog. The owner of the syslog crate.
//!
//! On a terminal, or called by hand: readable lines on stderr. Under a cluster manager: syslog
//! with its facility, and its log file where it names one. Every sink is optional: a missing,
//! full or stuck log must never change what an action does.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::net::UnixDatagram;
use std::str::FromStr;
use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};
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

fn to_file(path: &OsString, tag: &str, level: Level, message: &str) {
    // No time of our own: the wall clock with a zone needs a crate; seconds since 1970 sort and
    // are exact.
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    // Never created here: a cluster manager that logs to a file has made it.
    if let Ok(mut file) = OpenOptions::new().append(true).open(path) {
        let pid = std::process::id();
        let _ = file.write_all(format!("{seconds} {tag}[{pid}]: {level}: {message}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_messages() {
        assert!(is_ours("opensips_vip::start"));
        assert!(is_ours("hostnet"));
        assert!(!is_ours("hostnetwork"));
        assert!(!is_ours("netlink_proto::connection"));
    }
}
