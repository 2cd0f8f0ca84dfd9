//! Follows a daemon from its execution until it serves, or until it dies.
//!
//! The daemon's exit status is no proof. 3.6 and 4.0 bind TCP after they have reported success, and a
//! FIFO that can't be created ends the instance even later. So start waits for what a client would see,
//! and looks once more a moment later.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use hostproc::{Pid, PidFd, Process, Stat, State};
use ocf::{Action, LogLine};

use super::Start;
use crate::daemon::launch::Output;
use crate::daemon::{self, Ended, check};
use crate::error::{Error, Result};
use crate::health::probe::Probing;
use crate::health::progress::receive_queue;
use crate::health::workers::{
    SECOND_LOOK, has_retired, judge_death, judge_processes, living_workers, workers_of,
};
use crate::health::{self, Reach};
use crate::process::survey::PidFile;
use crate::sip::probe::{Patience, Silence};
use crate::sip::target::{Target, Transport};
use crate::sockets::expected::{self, Expected, Held};
use crate::sockets::listener::{Declared, Listener, united};

/// How soon a change is noticed. A death is noticed immediately, by pidfd.
const STEP: Duration = Duration::from_millis(25);
/// What a last look at the sockets needs at the deadline, so that the reason tells which socket is
/// missing. The roll back has time of its own.
pub(super) const LAST_LOOK: Duration = Duration::from_millis(500);
/// One attempt while the daemon comes up; then its processes are looked at again.
const ATTEMPT: Patience = Patience { attempts: 1, timeout: Duration::from_millis(500) };
/// How long a daemon that is up has at least for its first answer, on a machine that is busy with a boot:
/// a failed start bars the node, a failed monitor does not.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// How long the other sockets have for their first answer where the best one answers, and how long OPTIONS may wait
/// to be sent.
const OTHERS: Duration = Duration::from_secs(3);
/// How long a daemon that serves is watched for a late death. What kills it late happens as its last
/// processes start, milliseconds after the first ones serve; the main process needs as long to notice.
/// A longer wait would delay every failover, and monitor looks again anyway.
const SETTLE: Duration = Duration::from_millis(500);

/// How often a command that has not ended is looked at. A daemon that goes into the background makes a
/// session of its own as soon as it has forked (`daemonize()` in daemonize.c): a worker in the session of
/// the command that is there at two looks is one of a daemon that stays in the foreground.
const FOREGROUND_LOOK: Duration = Duration::from_secs(1);

/// A daemon that comes up.
pub(super) struct Startup<'a> {
    pub(super) start: &'a Start<'a>,
    pub(super) output: &'a Output,
    /// By the check before start, or else by the starting daemon.
    declared: Option<Declared>,
    /// Once it is known.
    pub(super) main: Option<Pid>,
    /// Every worker that was seen, but for those that have retired. The daemon may take seconds to
    /// follow one that has died.
    workers: Vec<Process>,
}

/// A daemon that serves.
pub(super) struct Served {
    pub(super) main: Stat,
    pub(super) sockets: Vec<Expected>,
    /// What an operator should know as long as it lives.
    pub(super) remarks: Vec<String>,
}

impl<'a> Startup<'a> {
    pub(super) fn new(
        start: &'a Start<'a>,
        output: &'a Output,
        declared: Option<Declared>,
    ) -> Self {
        Self { start, output, declared, main: None, workers: Vec::new() }
    }

    /// From the command that starts it until it serves.
    pub(super) fn follow(&mut self, child: Child) -> Result<Served> {
        let status = self.await_command(child)?;
        if !status.success() {
            return Err(self.died(Ended::Exited(status)));
        }
        let main = self.main_process()?;
        self.main = Some(main.process.pid);
        let handle = PidFd::open(&self.start.instance.proc, &main.process);
        let Some(handle) = handle? else {
            return Err(self.died(Ended::Later));
        };
        self.output.refuse_left_out()?;
        let declared = self.declared.get_or_insert_with(|| self.output.declared());
        let remarks = Vec::from_iter(check::unknown_sockets(declared, self.start.params));
        let listeners = self.listeners();
        let sockets = self.await_sockets(&main, &handle, &listeners)?;
        self.await_answer(&main, &handle, &listeners, &sockets)?;
        self.settle(&main, &handle, &listeners)?;
        for listener in unwatched(&listeners, &sockets) {
            let line = LogLine::of(Action::Start).field("listener", listener);
            log::warn!("{}", line.note("not monitored: this kernel can't list its sockets"));
        }
        Ok(Served { main, sockets, remarks })
    }

    /// The command ends when every process of the daemon has initialised itself.
    fn await_command(&self, child: Child) -> Result<ExitStatus> {
        self.refuse_foreground(Pid::of(&child))?;
        let waited = hostproc::wait(child, self.start.deadline);
        let execute = |source| {
            let path = self.start.params.binary.clone();
            daemon::Error::Execute { path, source }
        };
        waited
            .map_err(execute)?
            .ok_or_else(|| self.not_serving("OpenSIPS is still initialising".into()))
    }

    /// Until the command has ended. It never does where the daemon stays in the foreground: that is said in
    /// seconds, though it serves, because Pacemaker ends start at its timeout.
    fn refuse_foreground(&self, pid: Pid) -> Result<()> {
        let proc = &self.start.instance.proc;
        let Some(command) = proc.process(pid)? else { return Ok(()) };
        let Some(handle) = PidFd::open(proc, &command)? else { return Ok(()) };
        let mut seen: Vec<Process> = Vec::new();
        while !handle.wait_gone(self.start.deadline.within(FOREGROUND_LOOK))? {
            if self.start.deadline.has_passed() {
                break;
            }
            let workers = self.foreground_workers(&command)?;
            if workers.iter().any(|worker| seen.contains(worker)) {
                let config = self.start.params.config.clone();
                return Err(daemon::Error::Foreground { pid, config }.into());
            }
            seen = workers;
        }
        Ok(())
    }

    /// The children of the command that run the daemon's program in its session.
    fn foreground_workers(&self, command: &Process) -> Result<Vec<Process>> {
        let Self { start: Start { instance, .. }, .. } = self;
        let (proc, identity) = (&instance.proc, &instance.identity);
        let Some(session) = proc.stat(command.pid)?.map(|stat| stat.session) else {
            return Ok(Vec::new());
        };
        let mut workers = Vec::new();
        for child in workers_of(proc, command.pid)? {
            let lives = child.state != State::Ended && child.session == session;
            if lives && identity.may_be_the_daemon(proc, child.process.pid)? {
                workers.push(child.process);
            }
        }
        Ok(workers)
    }

    /// The pid file is written before the command ends.
    fn main_process(&self) -> Result<Stat> {
        let instance = self.start.instance;
        let (identity, proc) = (&instance.identity, &instance.proc);
        if let Some(main) = identity.main_process(proc)? {
            return Ok(main);
        }
        if let Some(main) = instance.survey()?.main {
            return Ok(main);
        }
        let params = self.start.params;
        if let PidFile::Names(pid) = PidFile::read(&params.pidfile)
            && let Ok(Some(executable)) = proc.exe(pid)
            && !identity.may_be_the_daemon(proc, pid)?
        {
            let (found, expected) = (executable.path, params.binary.clone());
            return Err(daemon::Error::OtherExecutable { pid, found, expected }.into());
        }
        Err(self.died(Ended::Later))
    }

    /// Until processes of this instance hold every declared socket. Where none is known, the sockets that
    /// they hold.
    fn await_sockets(
        &mut self,
        main: &Stat,
        handle: &PidFd,
        listeners: &[Listener],
    ) -> Result<Vec<Expected>> {
        if listeners.is_empty() {
            let Start { instance, params, deadline, .. } = self.start;
            return Ok(health::open_sockets(&instance.proc, params, main, *deadline)?);
        }
        loop {
            let pids = self.observe(main, handle)?;
            let proc = &self.start.instance.proc;
            let looking = self.start.deadline.but_at_least(LAST_LOOK);
            match expected::held(proc, listeners, pids, looking)? {
                Held::All(sockets) => return Ok(sockets),
                Held::Missing(missing) => {
                    self.watch(handle, STEP)?;
                    if self.start.deadline.has_passed() {
                        let error = missing.into_error(proc, main.process.pid);
                        return Err(self.not_serving(error.to_string()));
                    }
                }
            }
        }
    }

    /// Until OPTIONS is answered, if it can be sent. Where it can't, start warns and does not fail: every node may have
    /// the same firewall, and a failed start bars each of them from callers whom it could serve. The workers have
    /// initialised themselves, and their sockets are open: a daemon that goes on to be silent is silent for monitor, too.
    fn await_answer(
        &mut self,
        main: &Stat,
        handle: &PidFd,
        listeners: &[Listener],
        sockets: &[Expected],
    ) -> Result<()> {
        let (params, deadline) = (self.start.params, self.start.deadline);
        let started = Instant::now();
        let sending = deadline.share(2).within(OTHERS);
        let answering = deadline.within(params.probe.patience.longest().max(FIRST_ANSWER));
        let probing = Probing { params, main: main.process.pid, listeners, reach: Reach::Groups };
        for requests in 1.. {
            let local = probing.addresses(deadline)?;
            // It may be busy with its first work.
            let asked = probing.ask(&local, ATTEMPT, deadline);
            let best_answers = asked.best_answers;
            let Some(error) = asked.first_failure() else { break };
            self.watch(handle, STEP)?;
            self.observe(main, handle)?;
            let waited = started.elapsed();
            // The others have had their time. Clients are served, and monitor tells what is silent.
            let are_late = best_answers && waited >= OTHERS;
            let is_unknown = matches!(error, health::Error::Unasked { .. }) && sending.has_passed();
            if are_late || is_unknown {
                log::warn!("{}", LogLine::of(Action::Start).note(error));
                break;
            }
            match error {
                health::Error::Silent { main, target, silence: Silence::NoAnswer, .. }
                    if requests > self.workers.len() && self.is_taken(sockets, target) =>
                {
                    return Err(health::Error::Dropped { main, target, waited }.into());
                }
                health::Error::Silent { main, target, silence, .. } if answering.has_passed() => {
                    return Err(health::Error::Unanswered { main, target, silence, waited }.into());
                }
                // An answer of class 5xx may be one of a script that waits for its data.
                health::Error::UnexpectedAnswer { code: ..500, .. } if answering.has_passed() => {
                    return Err(error.into());
                }
                error if deadline.has_passed() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether no request waits there. If there were more of them than there are workers, then a worker that
    /// has taken one has gone on without an answer: it is neither blocked nor slow.
    fn is_taken(&self, sockets: &[Expected], target: Target) -> bool {
        target.transport == Transport::Udp
            && receive_queue(&self.start.instance.proc, sockets, target) == Some(0)
    }

    /// Looks once more a moment later: everything is still alive.
    fn settle(&mut self, main: &Stat, handle: &PidFd, listeners: &[Listener]) -> Result<()> {
        self.observe(main, handle)?;
        self.watch(handle, SETTLE)?;
        let pids = self.observe(main, handle)?;
        let (proc, deadline) = (&self.start.instance.proc, self.start.deadline);
        let workers = living_workers(proc, main.process, deadline)?;
        judge_processes(main, &workers)?;
        expected::held(proc, listeners, pids, deadline)?.all_or_error(proc, main.process.pid)?;
        Ok(())
    }

    /// Lets time pass. Fails as soon as the main process dies, or a stop asks for the end of this start.
    fn watch(&self, handle: &PidFd, time: Duration) -> Result<()> {
        self.start.refuse_stopped()?;
        let gone = handle.wait_gone(self.start.deadline.within(time));
        if gone? {
            return Err(self.died(Ended::Later));
        }
        Ok(())
    }

    /// The pids of the instance. Fails if a worker has died.
    fn observe(&mut self, main: &Stat, handle: &PidFd) -> Result<Vec<Pid>> {
        self.follow_the_dead(main, handle)?;
        let instance = self.start.instance;
        let children = workers_of(&instance.proc, main.process.pid)?;
        for child in &children {
            // A program that the daemon executes for a moment may end; a worker may not.
            let recognised = || instance.identity.recognises(&instance.proc, child);
            if !self.workers.contains(&child.process) && recognised()? {
                self.workers.push(child.process);
            }
        }
        Ok(children.iter().chain([main]).map(|stat| stat.process.pid).collect())
    }

    /// Forgets workers that have retired. The status of one that was reaped is unknown: the reaction of
    /// the main process tells.
    fn follow_the_dead(&mut self, main: &Stat, handle: &PidFd) -> Result<()> {
        let proc = &self.start.instance.proc;
        let pid = main.process.pid;
        let (mut living, mut dead) = (Vec::new(), None);
        for worker in &self.workers {
            if proc.is_alive(worker)? {
                living.push(*worker);
            } else if !has_retired(proc, pid, worker) {
                dead = dead.or(Some(*worker));
            }
        }
        if let Some(dead) = dead {
            self.watch(handle, SECOND_LOOK)?;
            let second = workers_of(proc, pid)?;
            judge_death(pid, dead, &living, &second).map_err(|_| self.died(Ended::Later))?;
        }
        self.workers = living;
        Ok(())
    }

    fn not_serving(&self, waiting: String) -> Error {
        let Start { started, check_took, .. } = *self.start;
        daemon::Error::NotServing { waiting, waited: started.elapsed(), check_took }.into()
    }

    /// The sockets that the configuration declares, and those of parameter `listeners`.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let declared = self.declared.clone().unwrap_or_else(|| self.output.declared());
        united(&declared.listeners, &self.start.params.listeners)
    }
}

/// The listeners of a transport that the kernel can't list: start has not waited for them, and monitor
/// does not miss them.
fn unwatched<'a>(
    listeners: &'a [Listener],
    sockets: &'a [Expected],
) -> impl Iterator<Item = &'a Listener> {
    listeners.iter().filter(|listener| !sockets.iter().any(|(known, _)| known.is_also(listener)))
}
