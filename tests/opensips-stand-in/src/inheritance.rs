//! What a process of the tree knows from the one that started it. The daemon forks; a program
//! without `unsafe` executes itself again, with the same arguments, so that the process table looks
//! the same, and with the rest in one environment variable.

use std::ffi::{CString, OsString};
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::error::Error;

const VARIABLE: &str = "OPENSIPS_STAND_IN_PROCESS";

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerRole {
    /// Timers, TCP receivers: there, and nothing more.
    Idle,
    /// Answers on one of the inherited UDP sockets.
    Udp(RawFd),
    /// Binds and serves all TCP sockets.
    TcpMain,
    MiFifo,
    /// Answers on the inherited datagram socket.
    MiDatagram(RawFd),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Leads the session, starts the attendant and leaves.
    Session,
    Attendant,
    Worker(WorkerRole),
}

/// The state that is handed on.
#[derive(Debug, Clone)]
pub(crate) struct Inheritance {
    pub(crate) role: Role,
    /// `comm` of the first process.
    pub(crate) name: String,
    /// The configuration as it was read once; later changes of the file don't matter.
    pub(crate) config: String,
    pub(crate) started: SystemTime,
    /// Index in the process table, 0 is the attendant.
    pub(crate) id: usize,
    /// The process table (see `shared`), −1 before there is one.
    pub(crate) table: RawFd,
}

impl Inheritance {
    /// For the first process of all.
    pub(crate) fn new(config: String) -> Self {
        let name = fs::read_to_string("/proc/self/comm").unwrap_or_default();
        let name = name.trim_end().to_owned();
        Self { role: Role::Session, name, config, started: SystemTime::now(), id: 0, table: -1 }
    }

    /// None if this process is the command itself.
    pub(crate) fn from_environment() -> Result<Option<Self>, Error> {
        let Some(text) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let text = text.into_string().map_err(|_| Error::Inheritance("not UTF-8"))?;
        let value = serde_json::from_str(&text).map_err(|_| Error::Inheritance("not JSON"))?;
        Self::from_json(&value).ok_or(Error::Inheritance("incomplete")).map(Some)
    }

    fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name)?.as_i64();
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let descriptor = |name: &str| RawFd::try_from(number(name)?).ok();
        let role = match value.get("role")?.as_str()? {
            "session" => Role::Session,
            "attendant" => Role::Attendant,
            "idle" => Role::Worker(WorkerRole::Idle),
            "udp" => Role::Worker(WorkerRole::Udp(descriptor("socket")?)),
            "tcp main" => Role::Worker(WorkerRole::TcpMain),
            "mi fifo" => Role::Worker(WorkerRole::MiFifo),
            "mi datagram" => Role::Worker(WorkerRole::MiDatagram(descriptor("socket")?)),
            _ => return None,
        };
        let started = Duration::from_secs(value.get("started")?.as_u64()?);
        Some(Self {
            role,
            name: text("name")?,
            config: text("config")?,
            started: UNIX_EPOCH + started,
            id: usize::try_from(number("id")?).ok()?,
            table: descriptor("table")?,
        })
    }

    fn to_json(&self) -> Value {
        let (role, socket) = match self.role {
            Role::Session => ("session", -1),
            Role::Attendant => ("attendant", -1),
            Role::Worker(WorkerRole::Idle) => ("idle", -1),
            Role::Worker(WorkerRole::Udp(socket)) => ("udp", socket),
            Role::Worker(WorkerRole::TcpMain) => ("tcp main", -1),
            Role::Worker(WorkerRole::MiFifo) => ("mi fifo", -1),
            Role::Worker(WorkerRole::MiDatagram(socket)) => ("mi datagram", socket),
        };
        json!({
            "role": role,
            "socket": socket,
            "name": self.name,
            "config": self.config,
            "started": self.started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            "id": self.id,
            "table": self.table,
        })
    }

    /// A command that executes this program again with this state. `/proc/self/exe` also works
    /// when the file has been replaced, or lies where the `-u` user may not look.
    pub(crate) fn command(&self, arguments: &[OsString]) -> Command {
        let mut command = Command::new("/proc/self/exe");
        if let Some((name, rest)) = arguments.split_first() {
            command.arg0(name).args(rest);
        }
        command.env(VARIABLE, self.to_json().to_string());
        command
    }

    /// Takes the first process's name: executing `/proc/self/exe` named this one `exe`.
    pub(crate) fn take_name(&self) -> Result<(), Error> {
        let name = CString::new(self.name.as_str()).map_err(|_| Error::Inheritance("name"))?;
        nix::sys::prctl::set_name(&name).map_err(|errno| Error::system("PR_SET_NAME", errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_on_arrives() {
        let worker = Inheritance {
            role: Role::Worker(WorkerRole::Udp(7)),
            name: "opensips".into(),
            config: "socket=udp:127.0.0.1:5060\n".into(),
            started: UNIX_EPOCH + Duration::from_secs(1_795_418_400),
            id: 3,
            table: 5,
        };
        let read = Inheritance::from_json(&worker.to_json()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{worker:?}"));
        assert!(Inheritance::from_json(&json!({"role": "udp"})).is_none());
    }
}
