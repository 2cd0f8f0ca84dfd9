//! The decisions, as values. Pure.

use std::collections::HashSet;

use hostproc::{Pid, Process, Stat, State};

use crate::error::{Error, Result};
use crate::params::{Params, ProbeTarget};
use crate::process::survey::{Pids, Survey};
use crate::sip::target::Target;
use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;

/// What start has to do first, by what is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum StartPlan {
    /// Nothing of the instance lives: execute the daemon.
    Launch,
    /// Orphans hold the sockets: end them, then execute it.
    Clear,
    /// There is a main process: if it serves, there is nothing to do; else end it first. Never
    /// execute the daemon beside it: that deletes its pid file (`daemonize()` in daemonize.c).
    Verify(Stat),
}

/// Chooses it.
pub(crate) fn start(survey: &Survey) -> StartPlan {
    match survey.main {
        Some(main) => StartPlan::Verify(main),
        None if survey.is_empty() => StartPlan::Launch,
        None => StartPlan::Clear,
    }
}

/// What somebody else has started, start must not run beside nor take away, and monitor must not
/// call "not running": it serves with this instance's configuration. Only stop, which promises that
/// nothing of the instance lives, ends it.
///
/// # Errors
/// [`Error::StartedElsewhere`]
pub(crate) fn refuse_elsewhere(survey: &Survey) -> Result<()> {
    survey
        .elsewhere
        .clone()
        .map_or(Ok(()), |(pid, pidfile)| Err(Error::StartedElsewhere { pid, pidfile }))
}

/// Judges an instance of which a child has died, by a second look at its children: the dead one is
/// still there, or the main process follows it and ends the others. Where that takes them all along,
/// as it does in milliseconds (5 s for those that are stuck), more than half can't be left; where the
/// dead one was no worker, or one that auto-scaling has retired, they are.
///
/// # Errors
/// [`Error::DeadWorker`]
pub(crate) fn judge_death(
    main: Pid,
    dead: Process,
    living: &[Process],
    second: &[Stat],
) -> Result<()> {
    let remains = second.iter().any(|stat| stat.process == dead);
    let lives = |one: &&Process| {
        second.iter().any(|stat| stat.process == **one && stat.state != State::Ended)
    };
    let left = living.iter().filter(lives).count();
    if remains || left * 2 <= living.len() {
        return Err(Error::DeadWorker { main, worker: dead.pid });
    }
    Ok(())
}

/// Judges the living processes below a main process. Gives what an operator should look at, though it
/// serves.
///
/// # Errors
/// [`Error::NoWorkers`]
pub(crate) fn judge_processes(main: &Stat, workers: &[Stat]) -> Result<Option<String>> {
    let pid = main.process.pid;
    if workers.is_empty() {
        return Err(Error::NoWorkers { main: pid });
    }
    if main.state == State::Stopped {
        return Ok(Some(format!("main process {pid} is stopped (SIGSTOP): it can't react")));
    }
    let stopped: Vec<Stat> =
        workers.iter().filter(|worker| worker.state == State::Stopped).copied().collect();
    Ok(match stopped.as_slice() {
        [] => None,
        some => Some(format!(
            "main process {pid} alive, {} of {} workers are stopped (SIGSTOP): {}",
            some.len(),
            workers.len(),
            Pids(some)
        )),
    })
}

/// What is alive without a main process, as monitor sees it; nothing at all is no error.
///
/// # Errors
/// [`Error::Orphans`]
pub(crate) fn judge_leftovers(survey: &Survey) -> Result<()> {
    if survey.is_empty() {
        return Ok(());
    }
    Err(Error::Orphans { count: survey.members.len(), pids: Pids(&survey.members).to_string() })
}

/// How far a monitor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One answer is enough.
    One,
    /// Every listener has to answer.
    Every,
}

/// Where OPTIONS could be asked, the best first: UDP before TCP before TLS (see [`Transport`]);
/// among those, the virtual addresses, at which the service is wanted, before the others.
///
/// [`Transport`]: crate::sip::target::Transport
pub(crate) fn probe_candidates(
    params: &Params,
    listeners: &[Listener],
    reach: Reach,
) -> Vec<Target> {
    let mut targets: Vec<Target> = match (params.probe.target, reach) {
        (ProbeTarget::Nowhere, _) => return Vec::new(),
        (ProbeTarget::At(target), Reach::One) => return vec![target],
        (ProbeTarget::At(target), Reach::Every) => {
            std::iter::once(target).chain(listeners.iter().filter_map(Target::of)).collect()
        }
        (ProbeTarget::Auto, _) => listeners.iter().filter_map(Target::of).collect(),
    };
    targets.sort_by_key(|target| (target.transport, !params.vips.contains(&target.address.ip())));
    let mut known = HashSet::new();
    targets.retain(|target| known.insert(*target));
    targets
}

/// Of these, those on addresses of this host. Perhaps nobody; least of all somebody at an address
/// that is elsewhere, where another node would answer for us.
pub(crate) fn probe_targets(
    mut candidates: Vec<Target>,
    local: &LocalAddresses,
    reach: Reach,
) -> Vec<Target> {
    candidates.retain(|target| is_here(*target, local));
    if reach == Reach::One {
        candidates.truncate(1);
    }
    candidates
}

/// Whether asking there asks this host.
pub(crate) fn is_here(target: Target, local: &LocalAddresses) -> bool {
    local.presence(target.address.ip()) == Presence::Usable
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::{Pid, Process};
    use ocf::InstanceName;
    use std::ffi::OsStr;

    fn stat(pid: i32, state: State) -> Stat {
        let process = Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
        Stat { process, state, parent: Pid::new(1), group: 1, session: 1 }
    }

    const ALIVE: State = State::Alive;

    fn survey(main: Option<Stat>, members: &[Stat]) -> Survey {
        Survey { main, members: members.to_vec(), ..Survey::default() }
    }

    #[test]
    fn start_never_executes_beside_a_living_instance() {
        let main = stat(11, ALIVE);
        let running = survey(Some(main), &[main, stat(12, ALIVE)]);
        let orphans = survey(None, &[stat(12, ALIVE)]);
        assert_eq!(start(&Survey::default()), StartPlan::Launch);
        assert_eq!(start(&running), StartPlan::Verify(main));
        assert_eq!(start(&orphans), StartPlan::Clear);
    }

    #[test]
    fn processes() {
        let main = stat(11, ALIVE);
        let judge = |main: &Stat, workers: &[Stat]| {
            judge_processes(main, workers).map_err(|error| error.to_string())
        };
        assert_eq!(judge(&main, &[stat(12, ALIVE), stat(13, State::Uninterruptible)]), Ok(None));
        assert_eq!(judge(&main, &[]), Err("main process 11 alive, no worker".into()));
        let stopped = judge(&main, &[stat(12, ALIVE), stat(13, State::Stopped)]).unwrap().unwrap();
        assert!(stopped.contains("1 of 2 workers are stopped (SIGSTOP): 13"), "{stopped}");
        let stopped = judge(&stat(11, State::Stopped), &[stat(12, ALIVE)]).unwrap().unwrap();
        assert!(stopped.starts_with("main process 11 is stopped"), "{stopped}");
    }

    #[test]
    fn a_death_by_a_second_look() {
        let process = |pid| stat(pid, ALIVE).process;
        let judge = |second: &[Stat]| {
            let living = [process(12), process(13), process(14), process(15)];
            judge_death(process(11).pid, process(16), &living, second)
                .map_err(|error| error.to_string())
        };
        let dead = Err("main process 11 alive, worker 16 is dead".to_owned());
        let others: Vec<Stat> = (12..=15).map(|pid| stat(pid, ALIVE)).collect();
        assert_eq!(judge(&others), Ok(()));
        // Auto-scaling goes on: another one has gone, and a new one come.
        assert_eq!(judge(&[others[0], others[1], others[2], stat(17, ALIVE)]), Ok(()));
        // Nobody has reaped it.
        assert_eq!(judge(&[&others[..], &[stat(16, State::Ended)]].concat()), dead);
        // The end of the instance; the stuck ones are the last.
        assert_eq!(judge(&others[..2]), dead);
        assert_eq!(judge(&[others[0], stat(13, State::Ended), stat(14, State::Ended)]), dead);
        assert_eq!(judge(&[]), dead);
        let reused = Stat { process: Process { start_time: 2, ..process(16) }, ..others[0] };
        assert_eq!(judge(&[&others[..], &[reused]].concat()), Ok(()));
        assert!(judge_death(process(11).pid, process(16), &[], &[]).is_err());
    }

    #[test]
    fn leftovers() {
        assert!(judge_leftovers(&Survey::default()).is_ok());
        let orphans = survey(None, &[stat(12, ALIVE), stat(13, ALIVE)]);
        assert_eq!(
            judge_leftovers(&orphans).unwrap_err().to_string(),
            "main process is gone, 2 orphaned processes are alive (12, 13)"
        );
    }

    fn params(pairs: &[(&str, &str)]) -> Params {
        let values = pairs.iter().copied().collect();
        Params::read(&values, &InstanceName::new(OsStr::new("x"))).unwrap()
    }

    fn texts(targets: &[Target]) -> Vec<String> {
        targets.iter().map(ToString::to_string).collect()
    }

    fn listeners(texts: &[&str]) -> Vec<Listener> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn who_is_asked_first() {
        let listeners = listeners(&[
            "tls:127.0.0.1:5061",
            "tcp:127.0.0.1:5060",
            "udp:0.0.0.0:5062",
            "hep_udp:127.0.0.1:9060",
            "tcp:192.0.2.10:5060",
            "udp:192.0.2.10:5060",
            "ws:127.0.0.1:80",
        ]);
        let candidates = |pairs: &[(&str, &str)], reach| {
            texts(&probe_candidates(&params(pairs), &listeners, reach))
        };
        let all = [
            "udp:127.0.0.1:5062",
            "udp:192.0.2.10:5060",
            "tcp:127.0.0.1:5060",
            "tcp:192.0.2.10:5060",
            "tls:127.0.0.1:5061",
        ];
        assert_eq!(candidates(&[], Reach::One), all);
        assert_eq!(candidates(&[], Reach::Every), all);
        // The service is wanted at the virtual address; UDP is asked first all the same.
        assert_eq!(
            candidates(&[("vip", "192.0.2.10")], Reach::One),
            [
                "udp:192.0.2.10:5060",
                "udp:127.0.0.1:5062",
                "tcp:192.0.2.10:5060",
                "tcp:127.0.0.1:5060",
                "tls:127.0.0.1:5061"
            ]
        );
        let named = [("sip_probe", "tcp:127.0.0.1:5060")];
        assert_eq!(candidates(&named, Reach::One), ["tcp:127.0.0.1:5060"]);
        assert_eq!(candidates(&named, Reach::Every), all);
        for reach in [Reach::One, Reach::Every] {
            assert!(candidates(&[("sip_probe", "none")], reach).is_empty());
        }
    }

    #[test]
    fn a_standby_never_asks_the_active_node() {
        let listeners = listeners(&["udp:192.0.2.10:5060", "tcp:127.0.0.1:5060"]);
        let nothing = LocalAddresses::default();
        let targets = |pairs: &[(&str, &str)], listeners: &[Listener], reach| {
            let candidates = probe_candidates(&params(pairs), listeners, reach);
            texts(&probe_targets(candidates, &nothing, reach))
        };
        for reach in [Reach::One, Reach::Every] {
            // The virtual address is elsewhere: the other socket is asked.
            let vip = [("vip", "192.0.2.10")];
            assert_eq!(targets(&vip, &listeners, reach), ["tcp:127.0.0.1:5060"]);
            assert_eq!(targets(&vip, &listeners[..1], reach), [""; 0]);
        }
        let elsewhere = [("sip_probe", "udp:192.0.2.10:5060")];
        assert_eq!(targets(&elsewhere, &listeners, Reach::One), [""; 0]);
    }
}
