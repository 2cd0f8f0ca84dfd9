//! One instance of OpenSIPS: which processes belong to it, and what is remembered of it between the
//! actions. What is remembered only helps: without it, the actions look harder.

mod claims;
mod error;
mod files;
pub(crate) mod identity;
pub(crate) mod pid_file;
pub(crate) mod role;
pub(crate) mod state;
mod user;

use std::net::IpAddr;
use std::path::PathBuf;

use deadline::Deadline;
use hostfs::Mounts;
use hostproc::{Acquisition, ActionLock, ProcFs, Process, Stat};
use ocf::{Action, LogLine, Request};

use crate::params::{Names, Params};
use crate::process::survey::Survey;
use crate::sockets::expected::Expected;

use claims::Claims;
pub(crate) use error::{Error, Result};
use files::Files;
use identity::Identity;
use role::{Record, Role};
use state::{Kept, State};

/// The instance that an action works on.
pub(crate) struct Instance<'a> {
    pub(crate) request: &'a Request,
    pub(crate) files: Files,
    pub(crate) proc: ProcFs,
    pub(crate) state: Option<State>,
    pub(crate) identity: Identity,
}

impl<'a> Instance<'a> {
    /// Reads what is remembered; changes nothing.
    ///
    /// # Errors
    /// [`Error::NotRoot`]: a user that does not see every process can't prove that none is alive.
    pub(crate) fn load(request: &'a Request, names: &Names) -> Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Error::NotRoot { action: request.action });
        }
        Ok(Self::load_unprivileged(request, names))
    }

    /// The same for a user from whom other users' processes may be hidden.
    pub(crate) fn load_unprivileged(request: &'a Request, names: &Names) -> Self {
        let files = Files::of(&request.instance);
        let proc = ProcFs::default();
        let unit = names.systemd_unit.as_deref();
        let claims = Claims::read(files.run(), &files, &request.instance, unit);
        let former = || {
            let states = files.states_by_number();
            states.iter().find_map(|name| State::load(files.run(), name))
        };
        let state = State::load(files.run(), &files.state()).or_else(former);
        // An older version has remembered the daemon of a unit as its own.
        let state = state.filter(|state| !claims.is_foreign(&proc, state.main));
        let identity = Identity::new(names, state.as_ref(), claims);
        Self { request, files, proc, state, identity }
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.request.deadline
    }

    pub(crate) fn action(&self) -> Action {
        self.request.action
    }

    /// Waits until no other action works on the instance, and keeps others away.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Stopped`], [`Error::Processes`]
    pub(crate) fn lock(&self, deadline: Deadline) -> Result<ActionLock> {
        match ActionLock::acquire(&self.files.action_lock(), deadline) {
            Acquisition::Acquired(lock) => Ok(lock),
            Acquisition::Stopped => Err(Error::Stopped { action: self.action() }),
            Acquisition::Busy { holder } => {
                Err(Error::Locked { holder: holder.map(|process| process.pid) })
            }
            Acquisition::Unavailable(error) => Err(error.into()),
        }
    }

    /// Every process of the instance.
    ///
    /// # Errors
    /// [`Error::Processes`]
    pub(crate) fn survey(&self) -> Result<Survey> {
        Ok(self.identity.survey(&self.proc)?)
    }

    /// The main process: by pid file and state, or, where both are lost, among all processes.
    ///
    /// # Errors
    /// [`Error::Processes`]
    pub(crate) fn main_process(&self) -> Result<Option<Stat>> {
        if let Some(main) = self.identity.main_process(&self.proc)? {
            return Ok(Some(main));
        }
        Ok(self.survey()?.main)
    }

    /// The state, if it is that of this main process.
    pub(crate) fn state_of(&self, main: Process) -> Option<&State> {
        self.state.as_ref().filter(|state| state.main == main)
    }

    /// Remembers a running instance. A failure is logged: the next actions do without.
    pub(crate) fn remember(
        &self,
        params: &Params,
        main: &Stat,
        sockets: &[Expected],
        remarks: &[String],
        kept: Kept,
    ) {
        let state = State {
            main: main.process,
            session: main.session,
            executable: self.executable_of(params, main),
            config: params.config.clone(),
            pidfile: params.pidfile.clone(),
            listeners: sockets.to_vec(),
            remarks: remarks.to_vec(),
            kept,
        };
        if let Err(error) = state.store(self.files.run(), &self.files.state()) {
            log::warn!("{}", LogLine::of(self.action()).note(error));
        }
    }

    /// Whether monitor has asked for a restart because of a virtual address, and not all of them have been
    /// served since. Of any of them: with two, each restart would be in vain for one and forget the other.
    pub(crate) fn has_restarted_for_a_vip(&self) -> bool {
        self.files.run().read(&self.files.restarted_for()).is_some()
    }

    /// Notes it, or that it is served. A failure is logged.
    pub(crate) fn note_restart_for(&self, vip: Option<IpAddr>) {
        let (run, name) = (self.files.run(), self.files.restarted_for());
        let noted = match vip {
            Some(vip) => run.write(&name, format!("{vip}\n").as_bytes()),
            None => run.remove(&name),
        };
        if let Err(error) = noted {
            log::warn!("{}", LogLine::of(self.action()).note(error));
        }
    }

    /// As the kernel shows it, which need not be the path of the parameter.
    fn executable_of(&self, params: &Params, main: &Stat) -> PathBuf {
        match self.proc.exe(main.process.pid) {
            Ok(Some(executable)) => executable.path,
            Ok(None) | Err(_) => Mounts::read().follow(&params.binary).path,
        }
    }

    /// What promote and demote have remembered, of any main process.
    pub(crate) fn record(&self) -> Option<Record> {
        Record::load(self.files.run(), &self.files.role())
    }

    /// The record of this main process.
    pub(crate) fn record_of(&self, main: Process) -> Record {
        Record::following(self.record(), main)
    }

    /// Remembers the role. An instance without a record is unpromoted, so where no file can be
    /// written, an unpromoted role is also remembered by removing the record.
    ///
    /// # Errors
    /// [`Error::File`]
    pub(crate) fn remember_role(&self, record: &Record) -> Result<()> {
        let (run, name) = (self.files.run(), self.files.role());
        let stored = record.store(run, &name);
        if stored.is_err() && record.role == Role::Unpromoted && run.remove(&name).is_ok() {
            return Ok(());
        }
        Ok(stored?)
    }
}

/// Refuses to start next to a daemon with this instance's configuration that this resource has not
/// started: both would open the same sockets. It is not taken over either, because it is another resource's,
/// a unit's or a person's, and they end it or start it again when they like.
///
/// # Errors
/// [`Error::StartedElsewhere`]
pub(crate) fn refuse_elsewhere(survey: &Survey) -> Result<()> {
    survey.elsewhere.clone().map_or(Ok(()), |elsewhere| Err(elsewhere.into()))
}
