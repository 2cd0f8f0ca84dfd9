//! Why an instance does not serve.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hostproc::Pid;
use nix::errno::Errno;

use crate::daemon::crash::Evidence;
use crate::daemon::{self, Seconds};
use crate::health::memory::mega;
use crate::sip::probe::{Patience, Silence};
use crate::sip::target::Target;
use crate::sockets;
use crate::sockets::listener::Listener;
use crate::sockets::owner::Owner;

/// A result of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("orphans of OpenSIPS are alive (pid {pids}): its main process died")]
    Orphans { pids: String },
    /// No process is left of an instance that was not stopped.
    #[error("OpenSIPS (pid {main}) died{evidence}")]
    Gone { main: Pid, evidence: Evidence },
    /// A part of the instance has died.
    #[error("{source}{evidence}")]
    Crashed { source: Box<Self>, evidence: Evidence },
    /// A socket of the instance is open though none of its processes is alive.
    #[error("{listener} is held by {owner} though OpenSIPS has ended: stop that program")]
    StaleSocket { listener: Listener, owner: Owner },
    #[error("OpenSIPS (pid {main}) has no workers")]
    NoWorkers { main: Pid },
    /// The daemon is about to end itself.
    #[error("worker {worker} of OpenSIPS (pid {main}) died")]
    DeadWorker { main: Pid, worker: Pid },
    #[error("OpenSIPS (pid {main}) has no UDP or TCP socket")]
    NoSockets { main: Pid },
    /// A virtual address came after the start, and the next start opens a socket there.
    #[error(
        "vip {vip} is on this host and OpenSIPS (pid {main}) has no socket there: a restart opens \
         {listener}"
    )]
    VipUnserved { main: Pid, vip: IpAddr, listener: Listener },
    /// It can create no transaction.
    #[error(
        "OpenSIPS (pid {main}) has no shared memory left: {} of {} MB used, shm_fail={limit}%: raise \
         shm_memory",
        mega(*used),
        mega(*total)
    )]
    MemoryExhausted { main: Pid, used: u64, total: u64, limit: u32 },
    /// Another program receives what is sent to this socket.
    #[error("{listener} is taken by {owner}, which shares it with OpenSIPS: stop that program")]
    Taken { listener: Listener, owner: Owner },
    #[error(
        "OpenSIPS (pid {main}) does not serve: {silence} at {target} within {} x {}",
        patience.attempts,
        Seconds(patience.timeout)
    )]
    Silent { main: Pid, target: Target, silence: Silence, patience: Patience },
    /// The same just after a start, when no load explains it.
    #[error(
        "{silence} at {target} {} after OpenSIPS (pid {main}) is up: answer OPTIONS in its script, or \
         set sip_probe=none",
        Seconds(*waited)
    )]
    Unanswered { main: Pid, target: Target, silence: Silence, waited: Duration },
    /// The same where the requests were taken.
    #[error(
        "a worker of OpenSIPS (pid {main}) takes OPTIONS at {target} and does not answer within {}: let the \
         script answer OPTIONS from this host, or set sip_probe=none",
        Seconds(*waited)
    )]
    Dropped { main: Pid, target: Target, waited: Duration },
    #[error("OPTIONS at {target} is answered with {code}, not among sip_probe_codes: {reason}")]
    UnexpectedAnswer { target: Target, code: u16, reason: String },
    #[error("OPTIONS can't be sent to {target}: {}: {}", ocf::cause(source), way_out(source))]
    Unasked { target: Target, source: io::Error },
    #[error(transparent)]
    Sockets(#[from] sockets::Error),
    #[error(transparent)]
    Daemon(#[from] daemon::Error),
    #[error("{}", ocf::cause(.0))]
    Processes(#[from] hostproc::Error),
}

/// What to do where a request can't be sent.
fn way_out(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        // nf_hook_slow() gives EPERM for a dropped packet, also where nf_conntrack has no room for it.
        Some(Errno::EPERM) => {
            "check the firewall's OUTPUT (nft list ruleset, iptables -S) and nf_conntrack_max"
        }
        Some(Errno::EACCES | Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN) => {
            "check ip rule, ip route and that interface lo is up"
        }
        Some(Errno::EADDRINUSE) => "no local port is free: raise net.ipv4.ip_local_port_range",
        Some(Errno::EADDRNOTAVAIL) => "check its address with ip addr, and the free local ports",
        Some(Errno::EMFILE) => "raise LimitNOFILE of pacemaker.service",
        Some(Errno::ENFILE) => "raise fs.file-max",
        Some(Errno::EAGAIN) => "raise TasksMax of pacemaker.service, or kernel.threads-max",
        Some(Errno::ENOBUFS | Errno::ENOMEM) => "free memory on this node",
        _ => "see journalctl -k",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_by_the_errno() {
        for (errno, essential) in [
            (Errno::EPERM, "nf_conntrack_max"),
            (Errno::EACCES, "ip route"),
            (Errno::ENETUNREACH, "ip route"),
            (Errno::EHOSTUNREACH, "ip route"),
            (Errno::ENETDOWN, "ip route"),
            (Errno::EADDRINUSE, "net.ipv4.ip_local_port_range"),
            (Errno::EADDRNOTAVAIL, "ip addr"),
            (Errno::EMFILE, "LimitNOFILE"),
            (Errno::ENFILE, "fs.file-max"),
            (Errno::EAGAIN, "TasksMax"),
            (Errno::ENOBUFS, "free memory"),
            (Errno::ENOMEM, "free memory"),
            (Errno::EIO, "journalctl"),
        ] {
            let way_out = way_out(&errno.into());
            assert!(way_out.contains(essential), "{errno}: {way_out}");
        }
        assert!(way_out(&io::Error::other("x")).contains("journalctl"));
    }
}
