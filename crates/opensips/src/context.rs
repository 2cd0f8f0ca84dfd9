//! What every action needs at hand.

use std::path::PathBuf;

use deadline::Deadline;
use hostproc::{LockFile, Pid, ProcFs, Process, Stat};
use ocf::Request;

use crate::error::{Error, Result};
use crate::host;
use crate::host::mounts::Mounts;
use crate::host::paths::Paths;
use crate::instance::identity::Identity;
use crate::instance::state::State;
use crate::params::{Names, Params};
use crate::plan;
use crate::promotion::role::{Record, Role};
use crate::sockets::expected::Expected;

/// One call, with what is remembered of the instance.
pub(crate) struct Context<'a> {
    pub(crate) request: &'a Request,
    pub(crate) paths: Paths,
    pub(crate) proc: ProcFs,
    pub(crate) state: Option<State>,
    pub(crate) identity: Identity,
}

impl<'a> Context<'a> {
    /// Looks up what is remembered; touches nothing.
    ///
    /// # Errors
    /// [`Error::NotRoot`]: whoever can't look at every process can't say that none is alive.
    pub(crate) fn new(request: &'a Request, names: &Names) -> Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Error::NotRoot { action: request.action });
        }
        Ok(Self::of_anybody(request, names))
    }

    /// The same for whoever asks, who may see nothing of other users' processes.
    pub(crate) fn of_anybody(request: &'a Request, names: &Names) -> Self {
        let paths = Paths::of(&request.instance);
        let state = State::load(&paths.state());
        let identity = Identity::new(names, state.as_ref());
        Self { request, paths, proc: ProcFs::default(), state, identity }
    }

    /// [`Context::lock`], where there is nothing to do without it.
    ///
    /// # Errors
    /// [`Error::Locked`], and those of [`Context::lock`]
    pub(crate) fn lock_or_fail(&self, until: Deadline) -> Result<LockFile> {
        self.lock(until)?
            .ok_or_else(|| Error::Locked { holder: self.lock_holder().map(|process| process.pid) })
    }

    /// Who has the lock: by its own record, which only an agent writes, or by the kernel's list.
    /// `None` where that can't be known, and where it is free.
    pub(crate) fn lock_holder(&self) -> Option<Process> {
        let path = self.paths.lock();
        let noted = LockFile::holder(&path).ok().flatten();
        noted.or_else(|| LockFile::holder_by_kernel(&path).ok().flatten())
    }

    /// Whether the holder of the lock is this agent: by its record, or by its executable.
    pub(crate) fn is_this_agent(&self, holder: Process) -> bool {
        let program = |pid| self.proc.exe(pid).ok().flatten().map(|found| found.path);
        LockFile::holder(&self.paths.lock()).is_ok_and(|noted| noted == Some(holder))
            || program(holder.pid).is_some_and(|found| program(Pid::own()) == Some(found))
    }

    /// The main process: by pid file and memory, or, where both are gone, among all processes.
    ///
    /// # Errors
    /// [`Error::StartedElsewhere`], [`Error::Process`]
    pub(crate) fn main_process(&self) -> Result<Option<Stat>> {
        if let Some(main) = self.identity.main_process(&self.proc)? {
            return Ok(Some(main));
        }
        let survey = self.identity.survey(&self.proc)?;
        plan::refuse_elsewhere(&survey)?;
        Ok(survey.main)
    }

    /// Keeps what is known of a running instance: a help for monitor and stop; without it they
    /// look harder.
    pub(crate) fn remember(&self, params: &Params, main: &Stat, expected: &[Expected]) {
        let state = State {
            main: main.process,
            session: main.session,
            executable: self.executable_of(params, main),
            config: params.config.clone(),
            pidfile: params.pidfile.clone(),
            listeners: expected.to_vec(),
        };
        let path = self.paths.state();
        if let Err(error) = state.store(&path) {
            log::warn!("can't write {}: {error}", path.display());
        }
    }

    /// As the kernel shows it, wherever the parameter leads.
    fn executable_of(&self, params: &Params, main: &Stat) -> PathBuf {
        match self.proc.exe(main.process.pid) {
            Ok(Some(executable)) => executable.path,
            Ok(None) | Err(_) => Mounts::read().follow(&params.binary).path,
        }
    }

    /// What promote and demote have left, of whatever main process.
    pub(crate) fn record(&self) -> Option<Record> {
        Record::load(&self.paths.role())
    }

    /// The role of this main process.
    pub(crate) fn record_of(&self, main: Process) -> Record {
        Record::following(self.record(), main)
    }

    /// Keeps the role. Whoever is not remembered is unpromoted, so that of a standby is also kept by
    /// removing what says otherwise, where nothing can be written.
    ///
    /// # Errors
    /// [`Error::File`]
    pub(crate) fn remember_role(&self, record: &Record) -> Result<()> {
        let path = self.paths.role();
        host::make_own_directory(self.paths.directory())?;
        let stored = record.store(&path);
        if stored.is_err() && record.role == Role::Unpromoted && host::remove(&path).is_ok() {
            return Ok(());
        }
        stored.map_err(|source| Error::File { operation: "write", path, source })
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.request.deadline
    }

    /// Keeps another start or stop of this instance away, as soon as one that is at work has
    /// ended; `None` if it does not until `until`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Process`]
    pub(crate) fn lock(&self, until: Deadline) -> Result<Option<LockFile>> {
        host::make_own_directory(self.paths.directory())?;
        Ok(LockFile::acquire(&self.paths.lock(), until)?)
    }
}
