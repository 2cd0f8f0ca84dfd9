//! Which process holds a socket, by the inode behind its descriptors in `/proc`.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;

use hostnet::BoundSocket;
use hostproc::{Pid, ProcFs};

use crate::process::inspect::resource_of;

/// The owner of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Where the socket is bound.
    pub(crate) local: SocketAddr,
    /// `None` where it is not visible, for example in another pid namespace.
    pub(crate) process: Option<Box<Holder>>,
}

/// The process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: Pid,
    /// The name of its program.
    pub(crate) name: String,
    /// The resource of this agent that has started it, if there is one.
    pub(crate) resource: Option<String>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(holder) = &self.process else {
            return write!(f, "a process that is not visible from here");
        };
        let Holder { pid, name, resource } = holder.as_ref();
        match resource {
            Some(resource) => {
                write!(f, "{name} (pid {pid}, resource {})", ocf::shown(resource.as_bytes()))
            }
            None => write!(f, "{name} (pid {pid})"),
        }
    }
}

impl Owner {
    /// Reads the descriptors of every process.
    pub(crate) fn of(proc: &ProcFs, socket: &BoundSocket) -> Self {
        let mut pids = proc.pids().unwrap_or_default().into_iter();
        let holder = pids.find(|pid| inodes_of(proc, *pid).contains(&socket.inode));
        let process = holder.map(|pid| {
            let executable = proc.exe(pid).ok().flatten();
            let name =
                executable.map_or("?".to_owned(), |found| ocf::shown(found.name().as_bytes()));
            // It only helps the reader of the sentence.
            let resource = resource_of(proc, pid).ok().flatten();
            Box::new(Holder { pid, name, resource })
        });
        Self { local: socket.local, process }
    }
}

/// The inodes of all sockets that a process holds; empty if it is gone or hidden.
fn inodes_of(proc: &ProcFs, pid: Pid) -> HashSet<u32> {
    proc.socket_inodes(pid).ok().flatten().unwrap_or_default()
}

/// Every process that holds one of these sockets.
pub(crate) fn holders_of(proc: &ProcFs, inodes: &HashSet<u32>) -> HashSet<Pid> {
    let pids = proc.pids().unwrap_or_default().into_iter();
    pids.filter(|pid| !inodes_of(proc, *pid).is_disjoint(inodes)).collect()
}

/// The inodes of all sockets that these processes hold.
pub(crate) fn inodes_of_all(proc: &ProcFs, pids: impl IntoIterator<Item = Pid>) -> HashSet<u32> {
    pids.into_iter().flat_map(|pid| inodes_of(proc, pid)).collect()
}
