//! The `log` facade to a terminal, to syslog and to a log file. The owner of the crate syslog.
//!
//! On a terminal, or called by hand: lines on stderr. Under a cluster manager: syslog with the
//! facility that the manager names, and its log file where it names one. Every sink is optional: a
//! log that is missing, full or stuck never changes what an action does. A trace ([`crate::trace`]) gets
//! every line besides.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::libc;
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use crate::trace::Trace;
use crate::{Action, Environment, InstanceName, LogLine, local_time};

/// Where the lines of this process go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// stderr, which also shows the exit reason.
    Stderr,
    /// The logs that the cluster manager names.
    Cluster,
}

/// Installs the logger of this process; a second call has no effect on the logger.
pub(crate) fn install(
    agent: &str,
    instance: &InstanceName,
    action: Action,
    environment: &Environment,
) -> Destination {
    let by_hand = std::io::stderr().is_terminal() || !environment.under_pacemaker;
    let destination = if by_hand { Destination::Stderr } else { Destination::Cluster };
    let sink = match destination {
        Destination::Stderr => Sink::Stderr,
        Destination::Cluster => Sink::Cluster(ClusterLog::new(agent, instance, environment)),
    };
    let level = if environment.debug { LevelFilter::Debug } else { LevelFilter::Info };
    let (trace, failed) = match Trace::open(agent, instance, action, environment) {
        Some(Ok(trace)) => (Some(trace), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let traced = trace.is_some();
    if log::set_boxed_logger(Box::new(Logs { sink, level, trace })).is_ok() {
        log::set_max_level(if traced { LevelFilter::Debug } else { level });
    }
    if let Some(error) = failed {
        let note = format!("no trace is written: {}", crate::cause(&error));
        log::warn!("{}", LogLine::of(action).note(note));
    }
    destination
}

/// Everything that gets the lines of this process.
struct Logs {
    sink: Sink,
    /// The lines of the sink, which a trace does not make more.
    level: LevelFilter,
    trace: Option<Trace>,
}

enum Sink {
    Stderr,
    Cluster(ClusterLog),
}

impl Log for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && is_ours(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // One line per message, whatever a value contains.
        let message = record.args().to_string().replace(char::is_control, " ");
        if let Some(trace) = &self.trace {
            trace.write(record.level(), &message);
        }
        if record.level() > self.level {
            return;
        }
        match &self.sink {
            Sink::Stderr => write_to_stderr(record.level(), &message),
            Sink::Cluster(log) => log.write(record.level(), &message),
        }
    }

    fn flush(&self) {}
}

/// Returns true for the crates of this workspace: the messages of other libraries are for their
/// developers.
fn is_ours(target: &str) -> bool {
    ["ocf", "hostnet", "hostproc", "opensips_vip", "opensips_ra"].iter().any(|name| {
        target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn write_to_stderr(level: Level, message: &str) {
    let prefix = match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info | Level::Debug | Level::Trace => "",
    };
    let _ = writeln!(std::io::stderr(), "{prefix}{message}");
}

/// The logs of the cluster manager.
struct ClusterLog {
    /// `agent(instance)`; the process id follows in brackets.
    tag: String,
    facility: Option<Facility>,
    syslog: Mutex<Connection>,
    file: Option<OsString>,
    time_zone: Option<OsString>,
}

/// The connection to syslog, made with the first message: a monitor that logs nothing opens no
/// socket.
enum Connection {
    Untried,
    Open(Box<Logger<LoggerBackend, Formatter3164>>),
    Missing,
}

impl ClusterLog {
    fn new(agent: &str, instance: &InstanceName, environment: &Environment) -> Self {
        let facility = environment.log_facility.as_deref();
        Self {
            tag: format!("{agent}({instance})"),
            facility: facility.and_then(|name| Facility::from_str(name).ok()),
            syslog: Mutex::new(Connection::Untried),
            file: environment.log_file.clone(),
            time_zone: environment.time_zone.clone(),
        }
    }

    fn write(&self, level: Level, message: &str) {
        if let Some(facility) = self.facility {
            self.write_to_syslog(facility, level, message);
        }
        if let Some(path) = &self.file {
            self.write_to_file(path, level, message);
        }
    }

    fn write_to_syslog(&self, facility: Facility, level: Level, message: &str) {
        let Ok(mut connection) = self.syslog.lock() else { return };
        if matches!(*connection, Connection::Untried) {
            *connection = open_syslog(facility, &self.tag)
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

    /// Appends a line in the format of `ocf_log` (`__ha_log` in resource-agents' ocf-shellfuncs),
    /// with its words for the levels and its blanks.
    fn write_to_file(&self, path: &OsStr, level: Level, message: &str) {
        let Ok(mut file) = open_log_file(path) else { return };
        let date = local_time::stamp(SystemTime::now(), self.time_zone.as_deref());
        let level = match level {
            Level::Error => "ERROR",
            Level::Warn => "WARNING",
            Level::Info => "INFO",
            Level::Debug | Level::Trace => "DEBUG",
        };
        let line = format!("{date}  {}[{}]:    {level}: {message}\n", self.tag, std::process::id());
        // One write(2), so that lines of several processes do not mix.
        let _ = file.write_all(line.as_bytes());
    }
}

fn open_syslog(facility: Facility, tag: &str) -> Option<Logger<LoggerBackend, Formatter3164>> {
    // The crate's own constructors make a blocking socket, with which a stuck journald holds the
    // action until Pacemaker kills it; they also fall back to UDP on the loopback interface.
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

/// Opens a regular file for appending. Anything else is an error of kind `Unsupported`: open(2) of a
/// FIFO without a reader blocks, and so does write(2) to one whose reader is stuck. The file is not
/// created: a cluster manager that logs to a file has created it.
fn open_log_file(path: &OsStr) -> std::io::Result<File> {
    let file = OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::ErrorKind::Unsupported.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster_log(file: &OsStr) -> ClusterLog {
        let environment = Environment {
            log_file: Some(file.to_owned()),
            time_zone: Some("UTC0".into()),
            ..Environment::default()
        };
        ClusterLog::new("agent", &InstanceName::new(OsStr::new("x")), &environment)
    }

    #[test]
    fn a_line_in_the_file_is_one_of_ocf_log() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "before\n").unwrap();
        cluster_log(file.as_os_str()).write(Level::Warn, "words");
        let log = std::fs::read_to_string(&file).unwrap();
        let line = log.strip_prefix("before\n").unwrap_or_default();
        let shape = line.replace(|c: char| c.is_ascii_digit(), "0");
        let pid = "0".repeat(std::process::id().to_string().len());
        let (month, rest) = shape.split_at(4);
        assert!(month.ends_with(' '), "{line}");
        assert_eq!(rest, format!("00 00:00:00  agent(x)[{pid}]:    WARNING: words\n"));
    }

    #[test]
    fn only_a_regular_file_is_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Neither without a reader nor with one.
        assert!(open_log_file(fifo.as_os_str()).is_err());
        let reader = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        assert!(open_log_file(fifo.as_os_str()).is_err());
        drop(reader);
        let none = directory.path().join("none");
        cluster_log(none.as_os_str()).write(Level::Error, "words");
        assert!(!none.exists());
    }

    #[test]
    fn only_our_own_messages() {
        assert!(is_ours("opensips_vip::start"));
        assert!(is_ours("hostnet"));
        assert!(!is_ours("hostnetwork"));
        assert!(!is_ours("netlink_proto::connection"));
    }
}
