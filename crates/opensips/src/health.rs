//! Whether a living instance serves: its workers, its sockets, its answer.

use std::net::SocketAddr;
use std::time::Instant;

use hostproc::{Pid, ProcFs, Stat};
use ocf::Deadline;

use crate::error::{Error, Result};
use crate::mi::Endpoint;
use crate::params::{Params, Probe, ProbeTarget};
use crate::plan;
use crate::sip::probe::{Outcome, Patience, ask};
use crate::sockets::addresses::LocalAddresses;
use crate::sockets::listener::{Listener, Transport};
use crate::sockets::table::{Owner, SocketTable, inodes_of_all};

/// A listener, and the inode of its socket where it is known.
pub(crate) type Expected = (Listener, u32);

/// Judges a main process with everything that belongs to it, cheapest first. Gives what an
/// operator should look at, though it serves.
///
/// # Errors
/// The first thing that keeps it from serving.
pub(crate) fn judge(
    proc: &ProcFs,
    params: &Params,
    main: &Stat,
    expected: &[Expected],
    deadline: Deadline,
) -> Result<Option<String>> {
    let workers = workers_of(proc, main.process.pid)?;
    let remark = plan::judge_processes(main, &workers)?;
    let pids = workers.iter().chain([main]).map(|stat| stat.process.pid);
    judge_sockets(proc, main.process.pid, pids, expected, deadline.instant())?;
    let listeners: Vec<Listener> = expected.iter().map(|(listener, _)| listener.clone()).collect();
    probe(params, main.process.pid, &listeners, params.probe.patience, deadline)?;
    Ok(remark)
}

/// The sockets of an instance that nobody remembers, as its processes hold them; one on which SIP
/// is answered comes first of the UDP ones. What each is for, the kernel does not know: a UDP socket
/// is taken for one of SIP, unless it is the MI's.
///
/// # Errors
/// [`Error::NoSockets`], and those of [`judge`] about its processes.
pub(crate) fn opened(
    proc: &ProcFs,
    params: &Params,
    main: &Stat,
    deadline: Deadline,
) -> Result<Vec<Expected>> {
    let pid = main.process.pid;
    let workers = workers_of(proc, pid)?;
    plan::judge_processes(main, &workers)?;
    // UDP sockets are opened before the first worker is forked; what a worker has for itself is a
    // client's, which comes and goes. TCP sockets listen, or are not in the table.
    let of_main = inodes_of_all([pid]);
    let of_any = inodes_of_all(workers.iter().chain([main]).map(|stat| stat.process.pid));
    let table = SocketTable::complete(deadline.instant())?;
    let mut opened: Vec<Expected> = table
        .listeners()
        .filter(|(listener, inode)| match listener.transport {
            Transport::Udp => of_main.contains(inode),
            Transport::Tcp => of_any.contains(inode),
        })
        .filter(|(listener, _)| params.mi != Some(Endpoint::Datagram(listener.local)))
        .collect();
    if opened.is_empty() && [Transport::Udp, Transport::Tcp].into_iter().all(|one| table.knows(one))
    {
        return Err(Error::NoSockets { main: pid });
    }
    opened
        .sort_by_key(|(listener, _)| (!params.vips.contains(&listener.local.ip()), listener.local));
    put_answering_first(params, pid, &mut opened, deadline);
    Ok(opened)
}

/// Where several UDP sockets could be asked, some may not be SIP's (HEP): the first that answers
/// is asked from now on.
fn put_answering_first(params: &Params, main: Pid, opened: &mut [Expected], deadline: Deadline) {
    let could_be_asked = |(listener, _): &&Expected| {
        !plan::probe_candidates(params, std::slice::from_ref(listener)).is_empty()
    };
    if params.probe.target != ProbeTarget::Auto || opened.iter().filter(could_be_asked).count() < 2
    {
        return;
    }
    // As much again must be left for the verdict.
    let half = deadline.or_within(deadline.remaining() / 2);
    let once = Patience { attempts: 1, ..params.probe.patience };
    let answering = opened.iter().position(|one| {
        could_be_asked(&one)
            && !half.has_passed()
            && matches!(asked(params, main, std::slice::from_ref(&one.0), once, half), Ok(Some(_)))
    });
    if let Some(found) = answering.and_then(|at| opened.get_mut(..=at)) {
        found.rotate_right(1);
    }
}

/// The children of a main process, dead ones included.
///
/// # Errors
/// [`Error::Processes`]
pub(crate) fn workers_of(proc: &ProcFs, main: Pid) -> Result<Vec<Stat>> {
    // The main process has one thread. The file needs CONFIG_PROC_CHILDREN, which distributions
    // have; where it is missing, the whole of /proc is looked at.
    let Ok(children) = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children")) else {
        return Ok(proc.snapshot()?.children(main).copied().collect());
    };
    let mut workers = Vec::new();
    for pid in children.split_ascii_whitespace().filter_map(|word| word.parse().ok()) {
        // One that is reaped between two reads was never there.
        workers.extend(proc.stat(pid)?.filter(|stat| stat.parent == Some(main)));
    }
    Ok(workers)
}

/// Every expected socket is open, and the instance's own.
fn judge_sockets(
    proc: &ProcFs,
    main: Pid,
    pids: impl Iterator<Item = Pid>,
    expected: &[Expected],
    until: Instant,
) -> Result<()> {
    let table = SocketTable::of(expected.iter().map(|(listener, _)| listener), until)?;
    let mut replaced = Vec::new();
    for (listener, inode) in expected.iter().filter(|(listener, _)| table.knows(listener.transport))
    {
        let mut found = table.at(listener).peekable();
        if found.peek().is_none() {
            return Err(Error::Closed { main, listener: listener.clone() });
        }
        if !found.any(|socket| socket.inode == *inode) {
            replaced.push(listener);
        }
    }
    if replaced.is_empty() {
        return Ok(());
    }
    // The same address, another socket: the daemon may have opened it again, or somebody else
    // has it. Only now the descriptors of all processes are worth a look.
    let own = inodes_of_all(pids);
    for listener in replaced {
        let mut found = table.at(listener).peekable();
        if let Some(first) = found.peek().copied()
            && !found.any(|socket| own.contains(&socket.inode))
        {
            let owner = Owner::of(proc, first);
            return Err(Error::NotOwn { main, listener: listener.clone(), owner });
        }
    }
    Ok(())
}

/// Asks OPTIONS where it can be asked.
///
/// # Errors
/// [`Error::Silent`], [`Error::UnexpectedAnswer`], [`Error::Unasked`], [`Error::Network`]
pub(crate) fn probe(
    params: &Params,
    main: Pid,
    listeners: &[Listener],
    patience: Patience,
    deadline: Deadline,
) -> Result<()> {
    asked(params, main, listeners, patience, deadline).map(|_| ())
}

/// The same; gives who has answered, if there was anybody to ask.
fn asked(
    params: &Params,
    main: Pid,
    listeners: &[Listener],
    patience: Patience,
    deadline: Deadline,
) -> Result<Option<SocketAddr>> {
    let until = deadline.instant();
    let candidates = plan::probe_candidates(params, listeners);
    let local = LocalAddresses::read(candidates.iter().map(SocketAddr::ip), until)?;
    let Some(target) = plan::probe_target(&candidates, &local) else {
        log::debug!("probe=none reason=\"no UDP socket on an address of this host\"");
        return Ok(None);
    };
    let Probe { codes, .. } = &params.probe;
    match ask(target, codes, patience, until) {
        Ok(Outcome::Alive { code, took }) => {
            log::debug!("probe=udp:{target} code={code} took_ms={}", took.as_millis());
            Ok(Some(target))
        }
        Ok(Outcome::Unexpected { code, reason }) => {
            Err(Error::UnexpectedAnswer { main, target, code, reason })
        }
        Ok(Outcome::Silent { patience }) => Err(Error::Silent { main, target, patience }),
        // It was there a moment ago, and has left: a failover, not a fault.
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => Ok(None),
        Err(source) => Err(Error::Unasked { main, target, source }),
    }
}

/// The sockets of these listeners that these processes hold, or the first listener of which they
/// hold none.
///
/// # Errors
/// [`Error::Network`]
pub(crate) fn held(
    listeners: &[Listener],
    pids: impl IntoIterator<Item = Pid>,
    until: Instant,
) -> Result<std::result::Result<Vec<Expected>, Listener>> {
    let table = SocketTable::of(listeners, until)?;
    let own = inodes_of_all(pids);
    let mut held = Vec::new();
    for listener in listeners.iter().filter(|listener| table.knows(listener.transport)) {
        match table.at(listener).find(|socket| own.contains(&socket.inode)) {
            Some(socket) => held.push((listener.clone(), socket.inode)),
            None => return Ok(Err(listener.clone())),
        }
    }
    Ok(Ok(held))
}
