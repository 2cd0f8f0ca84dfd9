//! Watching a daemon come up: from its execution until it serves, or until it dies.
//!
//! The daemon's exit status is no proof. 3.6 and 4.0 bind TCP after they have reported success,
//! and a FIFO that can't be made kills the instance later still. So start waits for what a client
//! would see, and looks again a moment later.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostproc::{Pid, PidFd, Process, Stat};

use crate::context::Context;
use crate::daemon::config::wait;
use crate::daemon::launch::Output;
use crate::error::{Ended, Error, Result};
use crate::health;
use crate::health::workers::{SECOND_LOOK, has_retired, living_workers, workers_of};
use crate::params::Params;
use crate::plan::{self, Reach};
use crate::process::survey::PidFile;
use crate::sip::probe::Patience;
use crate::sockets::expected::{self, Expected, Held};
use crate::sockets::listener::{Listener, united};
use crate::sockets::obstacles::why_not_opened;
use crate::sockets::owner::{Owner, inodes_of_all};
use crate::sockets::table::SocketTable;

/// How soon a change is noticed. A death is noticed at once, by pidfd.
const STEP: Duration = Duration::from_millis(25);
/// One question while the daemon comes up; then its life is looked at again.
const QUESTION: Patience = Patience { attempts: 1, timeout: Duration::from_millis(500) };
/// How long a daemon that serves is watched for a late death. What kills it late happens as its
/// last processes start, milliseconds after the first ones serve; the main process needs as long
/// to notice. Longer would be paid by every failover, and monitor looks again anyway.
const SETTLE: Duration = Duration::from_millis(500);

/// What strerror(3) says of EADDRINUSE.
const IN_USE: &str = "Address already in use";

/// The listeners of a transport that the kernel can't list: start has not waited for them, and
/// monitor will not miss them.
fn unwatched<'a>(
    listeners: &'a [Listener],
    expected: &'a [Expected],
) -> impl Iterator<Item = &'a Listener> {
    listeners.iter().filter(|listener| !expected.iter().any(|(known, _)| known.is_also(listener)))
}

/// A daemon that comes up.
pub(crate) struct Startup<'a> {
    context: &'a Context<'a>,
    params: &'a Params,
    output: &'a Output,
    /// From the check before start; else from the starting daemon itself.
    declared: Option<Vec<Listener>>,
    working: Deadline,
    started: Instant,
    /// Once it has come up.
    main: Option<Pid>,
    /// Every worker that was seen, but for those that have retired. The daemon may take seconds to
    /// follow one that has died.
    workers: Vec<Process>,
}

impl<'a> Startup<'a> {
    pub(crate) fn new(
        context: &'a Context<'a>,
        params: &'a Params,
        output: &'a Output,
        declared: Option<Vec<Listener>>,
        working: Deadline,
    ) -> Self {
        Self {
            context,
            params,
            output,
            declared,
            working,
            started: Instant::now(),
            main: None,
            workers: Vec::new(),
        }
    }

    /// From the command that starts it until it serves: the main process, and its sockets.
    pub(crate) fn follow(&mut self, child: Child) -> Result<(Stat, Vec<Expected>)> {
        let status = self.command(child)?;
        if !status.success() {
            return Err(self.died(Ended::Exited(status)));
        }
        let main = self.main_process()?;
        self.main = Some(main.process.pid);
        let Some(handle) = PidFd::open(&self.context.proc, &main.process)? else {
            return Err(self.died(Ended::Later));
        };
        // In the daemon's words now, if not before.
        self.declared.get_or_insert_with(|| self.output.declared_listeners());
        let listeners = self.listeners();
        let expected = self.sockets(&main, &handle, &listeners)?;
        self.answer(&main, &handle, &listeners)?;
        self.settle(&main, &handle, &listeners)?;
        for listener in unwatched(&listeners, &expected) {
            log::warn!(
                "listener={listener} watched=no note=\"this kernel can't list its sockets\""
            );
        }
        Ok((main, expected))
    }

    /// The command ends when every process of the daemon has initialised itself.
    fn command(&self, child: Child) -> Result<ExitStatus> {
        let execute = |source| Error::Execute { path: self.params.binary.clone(), source };
        wait(child, self.working)
            .map_err(execute)?
            .ok_or_else(|| self.not_serving("OpenSIPS is still initialising".into()))
    }

    /// Its pid file was written before the command ended.
    fn main_process(&self) -> Result<Stat> {
        let Context { identity, proc, .. } = self.context;
        if let Some(main) = identity.main_process(proc)? {
            return Ok(main);
        }
        if let Some(main) = identity.survey(proc)?.main {
            return Ok(main);
        }
        if let PidFile::Names(pid) = PidFile::read(&self.params.pidfile)
            && let Ok(Some(executable)) = proc.exe(pid)
            && !identity.may_be_the_daemon(proc, pid)?
        {
            let (found, expected) = (executable.path, self.params.binary.clone());
            return Err(Error::OtherExecutable { pid, found, expected });
        }
        Err(self.died(Ended::Later))
    }

    /// Until every declared socket is open, in the hands of this instance.
    fn sockets(
        &mut self,
        main: &Stat,
        handle: &PidFd,
        listeners: &[Listener],
    ) -> Result<Vec<Expected>> {
        loop {
            let pids = self.look(main, handle)?;
            match expected::held(&self.context.proc, listeners, pids, self.working)? {
                Held::All(expected) => return Ok(expected),
                Held::Missing(missing) => {
                    self.watch(handle, STEP)?;
                    if self.working.has_passed() {
                        let error = missing.into_error(&self.context.proc, main.process.pid);
                        return Err(self.not_serving(error.to_string()));
                    }
                }
            }
        }
    }

    /// Until SIP is answered, where it can be asked.
    fn answer(&mut self, main: &Stat, handle: &PidFd, listeners: &[Listener]) -> Result<()> {
        loop {
            let (pid, reach) = (main.process.pid, Reach::One);
            let until = self.working;
            let local = health::addresses(self.params, listeners, reach, until)?;
            let asked =
                health::probe(self.params, pid, listeners, &local, reach, QUESTION, self.working);
            let error = match asked {
                Ok(()) => return Ok(()),
                // It may be busy with its first work.
                Err(
                    error @ (Error::Silent { .. }
                    | Error::UnexpectedAnswer { .. }
                    | Error::Unasked { .. }),
                ) => error,
                Err(error) => return Err(error),
            };
            self.watch(handle, STEP)?;
            self.look(main, handle)?;
            if self.working.has_passed() {
                return Err(match error {
                    Error::Silent { main, target, silence, .. } => self
                        .not_serving(format!("main process {main} alive, {silence} at {target}")),
                    other => other,
                });
            }
        }
    }

    /// Looks again a moment later: everything that was alive still is.
    fn settle(&mut self, main: &Stat, handle: &PidFd, listeners: &[Listener]) -> Result<()> {
        self.look(main, handle)?;
        self.watch(handle, SETTLE)?;
        let pids = self.look(main, handle)?;
        let pid = main.process.pid;
        let workers = living_workers(&self.context.proc, main.process, self.working)?;
        plan::judge_processes(main, &workers)?;
        let held = expected::held(&self.context.proc, listeners, pids, self.working)?;
        held.all_or_error(&self.context.proc, pid)?;
        Ok(())
    }

    /// Lets time pass; fails the moment the main process dies.
    fn watch(&self, handle: &PidFd, time: Duration) -> Result<()> {
        if handle.wait_gone(self.working.within(time))? {
            return Err(self.died(Ended::Later));
        }
        Ok(())
    }

    /// The pids of the instance; fails when a worker has died.
    fn look(&mut self, main: &Stat, handle: &PidFd) -> Result<Vec<Pid>> {
        let Context { identity, proc, .. } = self.context;
        self.follow_the_dead(main, handle)?;
        let children = workers_of(proc, main.process.pid)?;
        for child in &children {
            // A program that the daemon runs for a moment may end; a worker of its own may not.
            if !self.workers.contains(&child.process) && identity.recognises(proc, child)? {
                self.workers.push(child.process);
            }
        }
        Ok(children.iter().chain([main]).map(|stat| stat.process.pid).collect())
    }

    /// Forgets workers that have retired. How one has ended that was reaped, nobody knows: what the
    /// main process does about it tells.
    fn follow_the_dead(&mut self, main: &Stat, handle: &PidFd) -> Result<()> {
        let proc = &self.context.proc;
        let pid = main.process.pid;
        let (mut living, mut dead) = (Vec::new(), None);
        for worker in &self.workers {
            if proc.is_alive(worker)? {
                living.push(*worker);
            } else if !has_retired(pid, *worker) {
                dead = dead.or(Some(*worker));
            }
        }
        if let Some(dead) = dead {
            self.watch(handle, SECOND_LOOK)?;
            let second = workers_of(proc, pid)?;
            plan::judge_death(pid, dead, &living, &second).map_err(|_| self.died(Ended::Later))?;
        }
        self.workers = living;
        Ok(())
    }

    fn not_serving(&self, waiting: String) -> Error {
        Error::NotServing { waiting, waited: self.started.elapsed() }
    }

    /// The daemon's own words; where it has none (a configuration that logs to syslog alone), what
    /// a trial of its sockets says.
    fn died(&self, ended: Ended) -> Error {
        let why = match self.output.complaint() {
            // It does not know who.
            Some(complaint) if complaint.contains(IN_USE) => match self.holder() {
                Some((_, owner)) => format!("{complaint}; {} is held by {owner}", owner.local),
                None => complaint,
            },
            Some(complaint) => complaint,
            None => self
                .socket_trouble()
                .or_else(|| self.output.death(self.main).map(|death| death.to_string()))
                .or_else(|| self.output.last_word())
                .unwrap_or_else(|| "it said nothing on stderr; see the system's log".into()),
        };
        Error::Died { ended, why }
    }

    fn socket_trouble(&self) -> Option<String> {
        if let Some((listener, owner)) = self.holder() {
            return Some(format!("{listener} can't be opened: {} is held by {owner}", owner.local));
        }
        let Context { identity, proc, .. } = self.context;
        // While its own processes die, a trial would find their sockets.
        if !identity.survey(proc).ok()?.is_empty() {
            return None;
        }
        self.listeners().iter().find_map(|listener| {
            let error = why_not_opened(listener)?;
            Some(format!("{listener} can't be opened: {error}"))
        })
    }

    /// Who stands in the way of which listener.
    fn holder(&self) -> Option<(Listener, Owner)> {
        let Context { identity, proc, .. } = self.context;
        let remains = identity.survey(proc).ok()?;
        let own = inodes_of_all(proc, remains.members.iter().map(|stat| stat.process.pid));
        let listeners = self.listeners();
        let table = SocketTable::around(&listeners, self.context.deadline()).ok()?;
        let mut found = table.find(&listeners, |listener, socket| {
            listener.overlaps(socket) && !own.contains(&socket.inode)
        });
        let (listener, socket) = found.next()?;
        Some((listener.clone(), Owner::of(proc, socket)))
    }

    /// What it declares, and what else is demanded of it.
    fn listeners(&self) -> Vec<Listener> {
        let declared = self.declared.clone().unwrap_or_else(|| self.output.declared_listeners());
        united(&declared, &self.params.listeners)
    }
}
