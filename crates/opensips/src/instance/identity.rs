//! Which processes belong to this instance: by the resource that has started them, executable, `-f` and
//! `-P`, start time and family; never by name, because the file of this agent is called `opensips` too.

use std::path::{Path, PathBuf};

use hostfs::{Followed, Mounts};
use hostproc::{Namespaces, Pid, ProcFs, Process, Result, Stat};
use nix::unistd::Uid;

use crate::instance::claims::{Claims, Standing};
use crate::instance::state::State;
use crate::instance::user::DaemonUser;
use crate::params::Names;
use crate::process::command_line::Arguments;
use crate::process::inspect::{arguments_of, namespaces_of, working_directories};
use crate::process::survey::{self, Daemon, Elsewhere, PidFile, Starter, Survey};
use crate::sockets::expected::Expected;
use crate::sockets::owner::holders_of;

/// What a process has to do with this instance, by its arguments; the more certain one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// It runs with the pid file of this resource.
    Own,
    /// It runs with the same configuration, and with another pid file or without one.
    Elsewhere,
}

/// Whose a process is that has to do with this instance.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Claim {
    Own,
    Elsewhere(Starter),
}

/// What makes a process a part of the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// That of the parameters, and the one that was started, where they differ.
    executables: Vec<Program>,
    /// That of the parameters; if it is invalid, the one that the instance was started with.
    config: Option<PathBuf>,
    /// The one that the instance was started with.
    former_config: Option<PathBuf>,
    /// That of the parameters, then the one that the instance was started with, where they differ.
    pidfiles: Vec<PathBuf>,
    /// The main process as start remembers it.
    remembered: Option<Process>,
    /// The session that the main process has created.
    session: Option<i32>,
    /// Network and pid namespace of this host: the same daemon in a container of this host is
    /// another instance.
    namespaces: Option<Namespaces>,
    mounts: Mounts,
    claims: Claims,
    user: DaemonUser,
    own: Pid,
}

/// An executable, by the path that the kernel shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    path: PathBuf,
    /// Below this mount point, links of the path are not resolved.
    unseen: Option<PathBuf>,
}

impl Program {
    /// Whether a process with this executable may run this program. Returns true when in doubt: the
    /// executable alone does not decide which instance a process belongs to.
    fn is(&self, executable: &Path) -> bool {
        let behind = |point: &PathBuf| {
            executable.starts_with(point) && executable.file_name() == self.path.file_name()
        };
        executable == self.path || self.unseen.as_ref().is_some_and(behind)
    }
}

impl From<Followed> for Program {
    fn from(Followed { path, unseen }: Followed) -> Self {
        Self { path, unseen }
    }
}

impl Identity {
    /// By the parameters and what start remembers.
    pub(super) fn new(names: &Names, state: Option<&State>, claims: Claims) -> Self {
        let mounts = Mounts::read();
        let mut executables: Vec<Program> =
            names.binary.iter().map(|path| mounts.follow(path).into()).collect();
        let started = state.map(|state| Program { path: state.executable.clone(), unseen: None });
        executables.extend(started);
        let mut config = names.config.clone();
        let mut pidfiles: Vec<PathBuf> = names.pidfile.iter().cloned().collect();
        if let Some(state) = state {
            // The parameters have become invalid while the instance runs.
            config.get_or_insert_with(|| state.config.clone());
            pidfiles.push(state.pidfile.clone());
        }
        let own = Pid::own();
        Self {
            executables,
            config,
            former_config: state.map(|state| state.config.clone()),
            pidfiles,
            remembered: state.map(|state| state.main),
            session: state.map(|state| state.session),
            // Where this fails, the look at a process repeats it.
            namespaces: namespaces_of(&ProcFs::default(), own).ok().flatten(),
            mounts,
            claims,
            user: DaemonUser::new(names.user.clone()),
            own,
        }
    }

    pub(crate) fn pidfile(&self) -> Option<&Path> {
        self.pidfiles.first().map(PathBuf::as_path)
    }

    /// Whether a process is a daemon of this instance, by its own executable and arguments.
    ///
    /// # Errors
    /// The process may belong to the instance, and may not be looked at.
    pub(crate) fn recognises(&self, proc: &ProcFs, stat: &Stat) -> Result<bool> {
        Ok(self.claim_on(proc, stat)?.is_some_and(|(claim, _)| claim == Claim::Own))
    }

    /// Whether nothing but its arguments says that a process is a daemon of this instance: a person has
    /// started it, with the pid file and the configuration of the resource.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub(crate) fn is_unclaimed(&self, proc: &ProcFs, stat: &Stat) -> Result<bool> {
        Ok(self.remembered != Some(stat.process)
            && self.claims.standing(proc, stat, false)? == Standing::Unclaimed)
    }

    /// Whether a process is run by root or the daemon's user, or is known to have been started as a daemon:
    /// it may have been started as a user that the parameters no longer name.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub(crate) fn trusts(&self, proc: &ProcFs, stat: &Stat) -> Result<bool> {
        let Some(user) = proc.effective_user(stat.process.pid)? else { return Ok(false) };
        // A session can't be entered: a process in it was forked there.
        let is_remembered = || {
            self.remembered.zip(self.session).is_some_and(|(main, session)| {
                stat.process == main
                    || (stat.session == session && stat.process.start_time >= main.start_time)
            })
        };
        Ok(user.is_root()
            || is_remembered()
            || self.user.may_be(user)
            || self.claims.vouch_for(proc, stat)?)
    }

    /// Whether a process may run the daemon's program, for this instance or another one. Returns
    /// true when in doubt.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub(crate) fn may_be_the_daemon(&self, proc: &ProcFs, pid: Pid) -> Result<bool> {
        match proc.exe(pid) {
            Ok(found) => Ok(found.is_some_and(|found| self.runs(&found.path))),
            Err(hostproc::Error::NotPermitted { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn runs(&self, executable: &Path) -> bool {
        self.executables.iter().any(|program| program.is(executable))
    }

    /// Whether two paths lead to the same file, as far as that can be known without waiting for
    /// another host.
    fn same_file(&self, a: &Path, b: &Path) -> bool {
        a == b || self.mounts.follow(a).path == self.mounts.follow(b).path
    }

    /// Whether a process runs with this very pid file, however its path is written there.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub(crate) fn has_pidfile(&self, proc: &ProcFs, pid: Pid, pidfile: &Path) -> Result<bool> {
        let Some(theirs) = arguments_of(proc, pid)?.pidfile else { return Ok(false) };
        if theirs.is_absolute() {
            return Ok(self.same_file(&theirs, pidfile));
        }
        let mut bases = working_directories(proc, pid)?.into_iter();
        Ok(bases.any(|base| self.same_file(&base.join(&theirs), pidfile)))
    }

    /// `None` for a process that does not belong to the instance.
    fn claim_on(&self, proc: &ProcFs, stat: &Stat) -> Result<Option<(Claim, Arguments)>> {
        let pid = stat.process.pid;
        if pid == self.own {
            return Ok(None);
        }
        let executable = match proc.exe(pid) {
            Ok(Some(executable)) => executable.path,
            Ok(None) => return Ok(None),
            // Some processes are hidden even from root (containers, LSM). Such a one matters only if
            // its command line, which is public, is that of this instance.
            Err(hidden @ hostproc::Error::NotPermitted { .. }) => {
                let arguments = arguments_of(proc, pid)?;
                return match self.matches(&arguments) {
                    Some(Match::Own) if self.trusts(proc, stat)? => Err(hidden),
                    Some(Match::Own | Match::Elsewhere) | None => Ok(None),
                };
            }
            Err(error) => return Err(error),
        };
        if !self.runs(&executable) {
            return Ok(None);
        }
        let arguments = arguments_of(proc, pid)?;
        if arguments.check_only {
            return Ok(None);
        }
        // First of all, so that nothing about a process of another user or container can be an error.
        if !self.is_here(proc, pid)? || !self.trusts(proc, stat)? {
            return Ok(None);
        }
        let remembered = self.remembered == Some(stat.process);
        let matching =
            if remembered { Some(Match::Own) } else { self.match_of(proc, pid, &arguments)? };
        let claim = match (self.claims.standing(proc, stat, remembered)?, matching) {
            // Whatever its arguments are: the parameters may have changed since.
            (Standing::Ours, _) | (Standing::Unclaimed, Some(Match::Own)) => Some(Claim::Own),
            (Standing::Foreign(starter), Some(_)) => Some(Claim::Elsewhere(starter)),
            (Standing::Unclaimed, Some(Match::Elsewhere)) => {
                Some(Claim::Elsewhere(Starter::Unknown))
            }
            (Standing::Foreign(_) | Standing::Unclaimed, None) => None,
        };
        Ok(claim.map(|claim| (claim, arguments)))
    }

    /// Whether a process is in the namespaces of this one.
    fn is_here(&self, proc: &ProcFs, pid: Pid) -> Result<bool> {
        let ours = match self.namespaces {
            None => namespaces_of(proc, self.own)?,
            known => known,
        };
        Ok(namespaces_of(proc, pid)? == ours)
    }

    fn match_of(&self, proc: &ProcFs, pid: Pid, arguments: &Arguments) -> Result<Option<Match>> {
        let relative = arguments.has_relative_paths();
        let bases = if relative { working_directories(proc, pid)? } else { Vec::new() };
        // Also as written: a relative path that can't be resolved counts as none.
        Ok(std::iter::once(self.matches(arguments))
            .chain(bases.iter().map(|base| self.matches(&arguments.relative_to(base))))
            .flatten()
            .min())
    }

    fn matches(&self, arguments: &Arguments) -> Option<Match> {
        if arguments.check_only {
            return None;
        }
        let pidfile = match &arguments.pidfile {
            Some(theirs) if !self.pidfiles.is_empty() => {
                Some(self.pidfiles.iter().any(|ours| self.same_file(theirs, ours)))
            }
            _ => None,
        };
        match (&arguments.config, &self.config) {
            // Two instances can't have the same configuration, because they would have the same
            // sockets; the pid file tells which of them it is.
            (Some(theirs), Some(ours)) if self.same_file(theirs, ours) => Some(match pidfile {
                Some(true) => Match::Own,
                Some(false) | None => Match::Elsewhere,
            }),
            // The parameter was changed while the instance runs. Another instance may run with the
            // former configuration now, with a pid file of its own.
            (Some(theirs), Some(_)) => {
                let mut former = self.former_config.iter();
                let is_former =
                    pidfile == Some(true) && former.any(|former| self.same_file(theirs, former));
                is_former.then_some(Match::Own)
            }
            // It reads the configuration that is built in, or the parameter is invalid: only the pid
            // file can decide.
            (None, _) | (_, None) => (pidfile == Some(true)).then_some(Match::Own),
        }
    }

    /// Finds every process of the instance. Looks twice before it returns that none is alive.
    ///
    /// # Errors
    /// `/proc` can't be read, so that nothing is known.
    pub(crate) fn survey(&self, proc: &ProcFs) -> Result<Survey> {
        confirmed(|| self.survey_once(proc))
    }

    fn survey_once(&self, proc: &ProcFs) -> Result<Survey> {
        let snapshot = proc.snapshot()?;
        let (mut daemons, mut elsewhere) = (Vec::new(), Vec::new());
        for stat in snapshot.alive() {
            match self.claim_on(proc, stat)? {
                Some((Claim::Own, arguments)) => {
                    daemons.push(Daemon { stat: *stat, own_session: !arguments.foreground });
                }
                Some((Claim::Elsewhere(starter), Arguments { pidfile, .. })) => {
                    elsewhere.push((*stat, pidfile, starter));
                }
                None => {}
            }
        }
        let pidfile = self.pidfile().map_or(PidFile::Missing, PidFile::read);
        let remembered = self.remembered.zip(self.session);
        let mut survey = Survey::of(&snapshot, &daemons, pidfile, remembered, self.own);
        // The first to be started: the main process, if it is alive.
        elsewhere.sort_by_key(|(stat, ..)| (stat.process.start_time, stat.process.pid));
        survey.elsewhere = elsewhere.into_iter().next().map(|(stat, pidfile, starter)| Elsewhere {
            pid: stat.process.pid,
            pidfile,
            starter,
        });
        Ok(survey)
    }

    /// The processes that hold one of these very sockets of the instance and are in the session that
    /// the main process had created, or run as the daemon's user: they have inherited the socket from
    /// the instance. A process of root may have got it in another way.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub(crate) fn remains(
        &self,
        proc: &ProcFs,
        sockets: &[Expected],
        user: Option<Uid>,
    ) -> Result<Vec<Stat>> {
        let inodes = sockets.iter().map(|(_, inode)| *inode).collect();
        let holders = holders_of(proc, &inodes);
        let snapshot = proc.snapshot()?;
        let user = user.filter(|user| !user.is_root());
        let acts_so = |stat: &Stat| {
            user.is_some() && proc.effective_user(stat.process.pid).ok().flatten() == user
        };
        let mut remains: Vec<Stat> = snapshot
            .alive()
            .filter(|stat| holders.contains(&stat.process.pid) && acts_so(stat))
            .copied()
            .collect();
        if let Some(remembered) = self.remembered.zip(self.session) {
            remains.extend(survey::remains(&snapshot, remembered, &holders, self.own));
        }
        remains.sort_unstable_by_key(|stat| stat.process.pid);
        remains.dedup();
        // One that can't be looked at is not killed: the next look finds it again.
        remains.retain(|stat| self.is_here(proc, stat.process.pid).is_ok_and(|is_here| is_here));
        Ok(remains)
    }

    /// The main process, by pid file or state alone: cheap, for monitor. `None` also where only a
    /// survey can find it.
    ///
    /// # Errors
    /// The process may belong to the instance, and may not be looked at.
    pub(crate) fn main_process(&self, proc: &ProcFs) -> Result<Option<Stat>> {
        let named = match self.pidfile().map_or(PidFile::Missing, PidFile::read) {
            PidFile::Names(pid) => Some(pid),
            PidFile::Missing | PidFile::Unreadable => None,
        };
        for pid in named.into_iter().chain(self.remembered.map(|process| process.pid)) {
            let Some(stat) = proc.stat(pid)? else { continue };
            if stat.state == hostproc::State::Ended || !self.recognises(proc, &stat)? {
                continue;
            }
            // The pid in the pid file may have been reused for a worker. The remembered process is
            // known to be a main process.
            let known = self.remembered == Some(stat.process);
            if known || !self.has_recognised_parent(proc, &stat)? {
                return Ok(Some(stat));
            }
        }
        Ok(None)
    }

    fn has_recognised_parent(&self, proc: &ProcFs, stat: &Stat) -> Result<bool> {
        let Some(parent) = stat.parent else { return Ok(false) };
        match proc.stat(parent)? {
            Some(parent) => self.recognises(proc, &parent),
            None => Ok(false),
        }
    }
}

/// One pass over `/proc` may miss a process: a starting daemon forks twice, each time into a process
/// that the pass is already beyond, and the one that it has yet to see ends. Two empty passes count.
fn confirmed(mut look: impl FnMut() -> Result<Survey>) -> Result<Survey> {
    let survey = look()?;
    if survey.is_empty() { look() } else { Ok(survey) }
}

#[cfg(test)]
mod tests;
