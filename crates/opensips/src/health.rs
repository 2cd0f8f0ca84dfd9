//! Whether a living instance serves: its workers, its sockets, its answer.

pub(crate) mod memory;
mod recognition;
pub(crate) mod workers;

use std::time::Duration;

use deadline::Deadline;
use hostnet::Sysctl;
use hostproc::{Pid, ProcFs, Stat};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::health::workers::living_workers;
use crate::mi::Endpoint;
use crate::params::Params;
use crate::plan::{self, Reach};
use crate::sip::probe::{Outcome, Patience, ask_each};
use crate::sip::target::Target;
use crate::sockets::addresses::LocalAddresses;
use crate::sockets::expected::{self, Expected, Shared};
use crate::sockets::listener::{Listener, Transport};
use crate::sockets::nonlocal_bind;
use crate::sockets::owner::inodes_of_all;
use crate::sockets::table::SocketTable;

/// Kept back for a second look at the addresses, where somebody was silent.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Judges a main process with everything that belongs to it, cheapest first. Gives what an
/// operator should look at, though it serves. To the sockets that are expected come those of
/// parameter `listeners` that were not yet known.
///
/// # Errors
/// The first thing that keeps it from serving.
pub(crate) fn judge(
    context: &Context<'_>,
    params: &Params,
    main: &Stat,
    expected: &mut Vec<Expected>,
    reach: Reach,
    deadline: Deadline,
) -> Result<Vec<String>> {
    let proc = &context.proc;
    let pid = main.process.pid;
    let workers = living_workers(proc, main.process, deadline)?;
    let mut remarks = Vec::from_iter(plan::judge_processes(main, &workers)?);
    let pids: Vec<Pid> = workers.iter().chain([main]).map(|stat| stat.process.pid).collect();
    expected::demand(proc, pid, &pids, &params.listeners, expected, deadline)?;
    let shared = expected::judge(proc, pid, &pids, expected, deadline)?;
    let listeners: Vec<Listener> = expected.iter().map(|(listener, _)| listener.clone()).collect();
    // One look at the addresses for both that follow.
    let local = addresses(params, &listeners, reach, deadline)?;
    let patience = params.probe.patience;
    let asked = probe(params, pid, &listeners, &local, reach, patience, deadline);
    asked.map_err(|error| not_asked_but(error, &shared))?;
    remarks.extend(shared.iter().map(ToString::to_string));
    let (mode, sysctl) = (params.nonlocal_bind, Sysctl::default());
    let leaving = params.leaving_vips(context.request.promotable);
    remarks.extend(nonlocal_bind::remark(mode, leaving, &listeners, &local, &sysctl));
    Ok(remarks)
}

/// A silence is no fault of the instance where somebody else takes the question away.
fn not_asked_but(error: Error, shared: &[Shared]) -> Error {
    let Error::Silent { main, target, .. } = error else { return error };
    let taken = shared.iter().find(|one| Target::of(&one.listener) == Some(target)).cloned();
    taken.map_or(error, |Shared { listener, owner }| Error::Taken { main, listener, owner })
}

/// The sockets of an instance that nobody remembers, as its processes hold them, and as SIP's where
/// SIP is answered; less the MI's.
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
    let workers = living_workers(proc, main.process, deadline)?;
    plan::judge_processes(main, &workers)?;
    // UDP and SCTP sockets are opened before the first worker is forked; what a worker has for
    // itself is a client's, which comes and goes. TCP sockets listen, or are not in the table.
    let of_main = inodes_of_all(proc, [pid]);
    let of_any = inodes_of_all(proc, workers.iter().chain([main]).map(|stat| stat.process.pid));
    let table = SocketTable::complete(deadline)?;
    let mut opened: Vec<Expected> = table
        .listeners()
        .filter(|(listener, inode)| match listener.transport {
            Transport::Udp | Transport::Sctp => of_main.contains(inode),
            Transport::Tcp => of_any.contains(inode),
        })
        .filter(|(listener, _)| params.mi != Some(Endpoint::Datagram(listener.local)))
        .collect();
    let listed = [Transport::Udp, Transport::Tcp].into_iter().all(|one| table.knows(one));
    if opened.is_empty() && listed {
        return Err(Error::NoSockets { main: pid });
    }
    opened
        .sort_by_key(|(listener, _)| (!params.vips.contains(&listener.local.ip()), listener.local));
    recognition::recognise(params, &mut opened, deadline)?;
    Ok(opened)
}

/// The addresses of this host, as far as what is asked, and what is bound to one of them, needs them:
/// none where all of that is loopback or wildcards.
///
/// # Errors
/// [`Error::Network`]
pub(crate) fn addresses(
    params: &Params,
    listeners: &[Listener],
    reach: Reach,
    until: Deadline,
) -> Result<LocalAddresses> {
    let asked = plan::probe_candidates(params, listeners, reach);
    let asked = asked.iter().map(|target| target.address.ip());
    let bound = nonlocal_bind::needed(params.nonlocal_bind, listeners);
    Ok(LocalAddresses::read(asked.chain(bound), until)?)
}

/// Asks OPTIONS where it can be asked: at the best place, or everywhere. Every failure is logged,
/// and the first is the verdict.
///
/// # Errors
/// [`Error::Silent`], [`Error::UnexpectedAnswer`], [`Error::Unasked`], [`Error::Network`]
pub(crate) fn probe(
    params: &Params,
    main: Pid,
    listeners: &[Listener],
    local: &LocalAddresses,
    reach: Reach,
    patience: Patience,
    deadline: Deadline,
) -> Result<()> {
    let until = deadline;
    let asking = deadline.less(SECOND_LOOK.min(deadline.remaining() / 10));
    let candidates = plan::probe_candidates(params, listeners, reach);
    let targets = plan::probe_targets(candidates, local, reach);
    if reach == Reach::Every {
        for listener in listeners {
            if !Target::of(listener).is_some_and(|target| targets.contains(&target)) {
                log::debug!(
                    "probe=none listener={listener} reason=\"can't be asked, or not here\""
                );
            }
        }
    } else if targets.is_empty() {
        log::debug!("probe=none reason=\"no socket on an address of this host can be asked\"");
    }
    let outcomes = ask_each(&targets, &params.probe.codes, patience, asking);
    let judged =
        targets.iter().zip(outcomes).map(|(to, outcome)| (*to, judge_answer(main, *to, outcome)));
    let mut failures: Vec<(Target, Error)> =
        judged.filter_map(|(target, judged)| Some((target, judged.err()?))).collect();
    if failures.is_empty() {
        return Ok(());
    }
    // An address that was there a moment ago and has left: a failover, not a fault.
    if let Ok(local) = local_addresses(&targets, until) {
        failures.retain(|(target, error)| {
            let here = plan::is_here(*target, &local);
            if !here {
                log::info!("probe={target} gone=yes ignored=\"{error}\"");
            }
            here
        });
    }
    let mut errors = failures.into_iter().map(|(_, error)| error);
    let first = errors.next();
    for error in errors {
        log::error!("{error}");
    }
    first.map_or(Ok(()), Err)
}

/// The addresses of this host, as far as these targets need them.
fn local_addresses(targets: &[Target], until: Deadline) -> Result<LocalAddresses> {
    Ok(LocalAddresses::read(targets.iter().map(|target| target.address.ip()), until)?)
}

fn judge_answer(main: Pid, target: Target, outcome: std::io::Result<Outcome>) -> Result<()> {
    match outcome {
        Ok(Outcome::Alive { code, took }) => {
            let code = code.map_or("none".to_owned(), |code| code.to_string());
            log::debug!("probe={target} code={code} took_us={}", took.as_micros());
            Ok(())
        }
        Ok(Outcome::Unexpected { code, reason }) => {
            Err(Error::UnexpectedAnswer { main, target, code, reason })
        }
        Ok(Outcome::Silent { silence, patience }) => {
            Err(Error::Silent { main, target, silence, patience })
        }
        Err(source) => Err(Error::Unasked { main, target, source }),
    }
}
