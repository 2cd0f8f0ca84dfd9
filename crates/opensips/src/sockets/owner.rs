//! Which process holds a socket, by the inode behind its descriptors in `/proc`.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;

use hostnet::BoundSocket;
use hostproc::{Pid, ProcFs};

use crate::process::inspect::program_name;

/// The process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Where the socket is bound.
    pub local: SocketAddr,
    /// The process and the name of its program; `None` where it is not visible, for example in
    /// another pid namespace.
    pub process: Option<(Pid, Box<str>)>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some((pid, name)) => write!(f, "{name} (pid {pid})"),
            None => write!(f, "a process that is not visible from here"),
        }
    }
}

impl Owner {
    /// Reads the descriptors of every process.
    pub(crate) fn of(proc: &ProcFs, socket: &BoundSocket) -> Self {
        let holder = pids().find(|pid| inodes_of(*pid).contains(&socket.inode));
        let process = holder.map(|pid| {
            let executable = proc.exe(pid).ok().flatten();
            (pid, executable.map_or("?".into(), |found| program_name(&found.path).into()))
        });
        Self { local: socket.local, process }
    }
}

fn pids() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The inodes of all sockets that a process holds; empty if it is gone or hidden.
fn inodes_of(pid: Pid) -> HashSet<u32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

/// Every process that holds one of these sockets.
pub(crate) fn holders_of(inodes: &HashSet<u32>) -> HashSet<Pid> {
    pids().filter(|pid| !inodes_of(*pid).is_disjoint(inodes)).collect()
}

/// The inodes of all sockets that these processes hold.
pub(crate) fn inodes_of_all(pids: impl IntoIterator<Item = Pid>) -> HashSet<u32> {
    pids.into_iter().flat_map(inodes_of).collect()
}
