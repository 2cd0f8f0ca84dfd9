//! Whether a living instance serves: its workers, its sockets, its answer.

mod blind;
pub(crate) mod configuration;
mod declaration;
mod error;
pub(crate) mod memory;
pub(crate) mod probe;
pub(crate) mod progress;
mod recognition;
pub(crate) mod stale;
mod virtual_addresses;
pub(crate) mod workers;

use std::cell::Cell;

use deadline::Deadline;
use hostnet::Sysctl;
use hostproc::{Pid, ProcFs, Process, Stat};

use crate::daemon::management::clients;
use crate::health::declaration::Declaration;
use crate::health::probe::{Asked, Probing};
use crate::health::progress::Silent;
use crate::health::workers::{judge_processes, living_workers};
use crate::instance::Instance;
use crate::instance::state::LastCheck;
use crate::mi::Endpoint;
use crate::params::Params;
use crate::sip::probe::Silence;
use crate::sip::target::Target;
use crate::sockets::expected::{self, Expected, Shared};
use crate::sockets::listener::{Listener, Transport};
use crate::sockets::nonlocal_bind;
use crate::sockets::owner::inodes_of_all;
use crate::sockets::table::SocketTable;

pub(crate) use blind::answers;
pub(crate) use error::{Error, Result};
pub(crate) use probe::Reach;

/// An instance that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Serving {
    /// What an operator should look at.
    pub(crate) remarks: Vec<String>,
    /// Its sockets.
    pub(crate) sockets: Vec<Expected>,
    /// OPTIONS is not answered, which is no failure yet.
    pub(crate) unanswered: bool,
    /// The daemon's own check, if this judgement needed it.
    pub(crate) last_check: Option<LastCheck>,
}

/// Judges a main process with everything that belongs to it, the cheapest first. The sockets of
/// parameter `listeners` are added to the expected ones.
///
/// # Errors
/// The first thing that keeps it from serving.
pub(crate) fn judge(
    instance: &Instance<'_>,
    params: &Params,
    main: &Stat,
    mut sockets: Vec<Expected>,
    reach: Reach,
    deadline: Deadline,
) -> Result<Serving> {
    let proc = &instance.proc;
    let pid = main.process.pid;
    let workers = living_workers(proc, main.process, deadline)?;
    let mut remarks = Vec::from_iter(judge_processes(main, &workers)?);
    let pids: Vec<Pid> = workers.iter().chain([main]).map(|stat| stat.process.pid).collect();
    expected::demand(proc, pid, &pids, &params.listeners, &mut sockets, deadline)?;
    let shared = expected::judge(proc, pid, &pids, &sockets, deadline)?;
    let listeners: Vec<Listener> = sockets.iter().map(|(listener, _)| listener.clone()).collect();
    let probing = Probing { params, main: pid, listeners: &listeners, reach };
    // The addresses are read once for the probe and the remark.
    let local = probing.addresses(deadline)?;
    let asked = probing.ask(&local, params.probe.patience, deadline);
    let silent = Silent {
        instance,
        params,
        main,
        workers: &workers,
        sockets: &sockets,
        others_answer: asked.one_answers,
        deadline,
        mi_is_silent: Cell::default(),
    };
    let (asked, unanswered) = weigh_all(&silent, &shared, reach, asked);
    remarks.extend(asked.remarks.iter().cloned());
    if let Some(error) = asked.first_failure() {
        return Err(error);
    }
    remarks.extend(shared.iter().map(ToString::to_string));
    let declaration = Declaration::new(instance, params, main.process, &local, deadline);
    let gaps = virtual_addresses::judge(instance, params, pid, &listeners, &local, &declaration)?;
    remarks.extend(gaps);
    let (mode, sysctl) = (params.nonlocal_bind, Sysctl::default());
    let leaving = params.leaving_vips(instance.request.promotable);
    // True where that is not known.
    let will_open = |listener: &Listener| {
        declaration
            .listeners()
            .is_none_or(|declared| declared.iter().any(|one| one.is_also(listener)))
    };
    remarks.extend(nonlocal_bind::remark(mode, leaving, &listeners, &local, &sysctl, will_open));
    let last_check = declaration.into_fresh();
    Ok(Serving { remarks, sockets, unanswered, last_check })
}

/// Fails if a second look finds no shared memory left either. That the MI does not answer is told elsewhere.
///
/// # Errors
/// [`Error::MemoryExhausted`]
pub(crate) fn refuse_exhausted(params: &Params, main: Process, deadline: Deadline) -> Result<()> {
    let (limit, until) = (params.shm_fail, deadline.share(2));
    let mut clients = clients(params, main).unwrap_or_default().into_iter();
    match clients.find_map(|one| memory::exhausted(one, limit, until).ok()).flatten() {
        Some((used, total)) => Err(Error::MemoryExhausted { main: main.pid, used, total, limit }),
        None => Ok(()),
    }
}

/// Turns failed probes that end no service into remarks. Returns also whether the best socket is among them.
///
/// Where the best socket answers, a silent one beside it is told and ends nothing: a restart would end the
/// calls of all, and a script that never answers there would be restarted for ever. From the level on that
/// asks every socket, each has to answer, if it could be asked.
fn weigh_all(silent: &Silent<'_>, shared: &[Shared], reach: Reach, asked: Asked) -> (Asked, bool) {
    let Asked { mut remarks, failures, best_answers, one_answers } = asked;
    let (mut unanswered, mut failed) = (false, Vec::new());
    for error in failures.into_iter().map(|error| unless_taken(error, shared)) {
        let weighed = match (reach, error) {
            // Nothing is known of the daemon, and no restart heals what this host lacks: who can't look has no
            // reason to end a service, and start none to replace it.
            (_, error @ Error::Unasked { .. }) if !silent.has_stopped_workers() => {
                Ok((error.to_string(), false))
            }
            (Reach::Every, error) => Err(error),
            (
                Reach::Groups,
                error @ (Error::Silent { silence: Silence::NoAnswer, .. }
                | Error::UnexpectedAnswer { .. }),
            ) if best_answers && !silent.has_stopped_workers() => Ok((error.to_string(), false)),
            (_, error) => silent.weigh(error).map(|remark| (remark, true)),
        };
        match weighed {
            Ok((remark, counts)) => {
                remarks.push(remark);
                unanswered |= counts;
            }
            Err(error) => failed.push(error),
        }
    }
    (Asked { remarks, failures: failed, best_answers, one_answers }, unanswered)
}

/// A silence is not a fault of the instance where another program receives the request.
fn unless_taken(error: Error, shared: &[Shared]) -> Error {
    let Error::Silent { target, .. } = error else { return error };
    let taken = shared.iter().find(|one| Target::of(&one.listener) == Some(target)).cloned();
    taken.map_or(error, |Shared { listener, owner }| Error::Taken { listener, owner })
}

/// The sockets of an instance of which nothing is remembered, as its processes hold them, without
/// that of the MI. A socket is one of SIP where SIP is answered.
///
/// # Errors
/// [`Error::NoSockets`], and those of [`judge`] about its processes.
pub(crate) fn open_sockets(
    proc: &ProcFs,
    params: &Params,
    main: &Stat,
    deadline: Deadline,
) -> Result<Vec<Expected>> {
    let pid = main.process.pid;
    let workers = living_workers(proc, main.process, deadline)?;
    judge_processes(main, &workers)?;
    // UDP and SCTP sockets are opened before the first worker is forked; one that a worker alone has
    // is a client's, which comes and goes. TCP sockets listen, or are not in the table.
    let of_main = inodes_of_all(proc, [pid]);
    let of_any = inodes_of_all(proc, workers.iter().chain([main]).map(|stat| stat.process.pid));
    let table = SocketTable::complete(deadline)?;
    let mut open: Vec<Expected> = table
        .listeners()
        .filter(|(listener, inode)| match listener.transport {
            Transport::Udp | Transport::Sctp => of_main.contains(inode),
            Transport::Tcp => of_any.contains(inode),
        })
        .filter(|(listener, _)| {
            params.endpoints().all(|mi| *mi != Endpoint::Datagram(listener.local))
        })
        .collect();
    let listed = [Transport::Udp, Transport::Tcp].into_iter().all(|one| table.knows(one));
    if open.is_empty() && listed {
        return Err(Error::NoSockets { main: pid });
    }
    open.sort_by_key(|(listener, _)| (!params.vips.contains(&listener.local.ip()), listener.local));
    recognition::recognise(params, &mut open, deadline)?;
    Ok(open)
}

#[cfg(test)]
mod tests;
