//! start: brings the instance up, and returns 0 only when it serves.

mod cause;
mod prerequisites;
mod roll_back;
mod startup;

use std::time::{Duration, Instant};

use deadline::Deadline;
use hostproc::{ActionLock, LockFile, Process, Stat};
use ocf::{Action, LogLine, Request, Verdict};

use super::budgets;
use crate::async_monitor;
use crate::daemon::launch::{Output, launch};
use crate::daemon::{check, config_digest, defaults, directories, fifo, standing, systemd_unit};
use crate::error::Result;
use crate::health::workers::workers_of;
use crate::health::{self, Reach};
use crate::instance::state::{Kept, Loaded};
use crate::instance::{self, Instance, pid_file, refuse_elsewhere};
use crate::params::{Names, Params};
use crate::process::survey::{PidFile, Pids, Survey};
use crate::process::terminate::terminate;
use crate::promotion::{self, score};
use crate::sockets::expected::{self, Expected};
use crate::sockets::listener::Declared;
use crate::sockets::obstacles::refuse_foreign;
use roll_back::Done;
use startup::{Served, Startup};

pub(crate) use prerequisites::{Fit, require_fit};

/// How often the lock of a configuration is tried.
const LOCK_RETRY: Duration = Duration::from_millis(25);

pub(crate) fn start(request: &Request) -> Result<Verdict> {
    let started = Instant::now();
    let mut params = Params::read(&request.values, &request.instance)?;
    defaults::complete(&mut params);
    let names = Names::from(&params);
    let deadline = budgets::for_coming_up(request.deadline);
    let former = Instance::load(request, &names)?;
    // One that watches a former main process must not report its death when this one serves.
    async_monitor::kill(&former);
    let lock = former.lock(deadline)?;
    let no_async_monitor = async_monitor::keep_away(&former);
    // Loaded once more: another start may have done the work while this one waited for the lock.
    let instance = Instance::load(request, &names)?;
    let mut start = Start {
        instance: &instance,
        params: &params,
        lock: &lock,
        deadline,
        started,
        check_took: Duration::ZERO,
        loaded: Loaded::default(),
        done: Vec::new(),
    };

    let config_lock = start.lock_config()?;
    let started = start.run();
    if let Some(Err(error)) = config_lock.map(LockFile::remove) {
        log::warn!("{}", LogLine::of(Action::Start).note(error));
    }
    async_monitor::allow(no_async_monitor);
    let main = started?;
    async_monitor::begin(request, &instance, &params, main);
    Ok(Verdict::success())
}

struct Start<'a> {
    instance: &'a Instance<'a>,
    params: &'a Params,
    /// Other actions on the instance wait for it; a stop asks for its end.
    lock: &'a ActionLock,
    /// By then the instance serves, or the roll back begins.
    deadline: Deadline,
    started: Instant,
    /// How long the configuration check took of it.
    check_took: Duration,
    /// What the daemon is about to read.
    loaded: Loaded,
    /// What is undone if the start fails, the last first.
    done: Vec<Done>,
}

impl Start<'_> {
    /// Keeps other resources with this configuration from starting at the same moment: neither would find
    /// the daemon of the other. Where no lock can be made, it does without.
    fn lock_config(&self) -> Result<Option<LockFile>> {
        let Self { instance, params, deadline, .. } = self;
        let path = instance.files.config_lock(&params.config);
        loop {
            match LockFile::try_acquire(&path) {
                Ok(Some(lock)) => return Ok(Some(lock)),
                Ok(None) => {}
                Err(error) => {
                    log::warn!("{}", LogLine::of(Action::Start).note(error));
                    return Ok(None);
                }
            }
            self.refuse_stopped()?;
            if deadline.has_passed() {
                let holder = LockFile::holder(&path).ok().flatten().map(|process| process.pid);
                let config = params.config.clone();
                return Err(instance::Error::ConfigLocked { config, holder }.into());
            }
            deadline.sleep(LOCK_RETRY);
        }
    }

    /// Returns the main process that serves.
    fn run(&mut self) -> Result<Process> {
        let Self { instance, params, .. } = *self;
        let Instance { proc, identity, .. } = instance;
        systemd_unit::refuse_active(params, proc, identity)?;
        let survey = instance.survey()?;
        if let Some(main) = survey.main {
            match self.adopt(&main) {
                Ok(()) => return Ok(main.process),
                Err(error) => {
                    let line = LogLine::of(Action::Start).field("pid", main.process.pid);
                    log::warn!("{}", line.field("next", "restart").note(error));
                }
            }
        }
        refuse_elsewhere(&survey)?;
        self.replace(&survey)
    }

    /// An instance that is running already must serve as after a start of this agent.
    fn adopt(&self, main: &Stat) -> Result<()> {
        let Self { instance, params, deadline, .. } = self;
        let remembered = instance.state_of(main.process);
        let (sockets, remarks) = match remembered {
            Some(state) => (state.listeners.clone(), state.remarks.clone()),
            None => self.sockets_of_running(main)?,
        };
        let serving = health::judge(instance, params, main, sockets, Reach::Groups, *deadline)?;
        let noted = LogLine::of(Action::Start).field("pid", main.process.pid);
        for remark in &serving.remarks {
            log::warn!("{}", noted.clone().note(remark));
        }
        if remembered.is_none_or(|state| state.listeners != serving.sockets) {
            // Which configuration it has read is not known, unless it was remembered.
            let loaded = remembered.map(|state| state.kept.loaded.clone()).unwrap_or_default();
            let kept = Kept { loaded, ..Kept::default() };
            instance.remember(params, main, &serving.sockets, &remarks, kept);
            let line = LogLine::of(Action::Start).field("pid", main.process.pid);
            log::info!("{}", line.note("adopted"));
        }
        Ok(())
    }

    /// The sockets of a running instance of which nothing is remembered: those that its configuration
    /// declares, and what is to be known about them. The check does not touch what is running. Without a
    /// check, or with a configuration that has become invalid, those that its processes hold, as for
    /// monitor: an instance that serves is not ended because of a file that it no longer reads.
    fn sockets_of_running(&self, main: &Stat) -> Result<(Vec<Expected>, Vec<String>)> {
        let Self { instance, params, deadline, .. } = self;
        let proc = &instance.proc;
        let open = || health::open_sockets(proc, params, main, *deadline);
        if !params.start_check {
            return Ok((open()?, Vec::new()));
        }
        let checked = match check::config(params, budgets::for_adoption(*deadline)) {
            Ok(checked) => checked,
            Err(error) => {
                let line = LogLine::of(Action::Start).field("pid", main.process.pid);
                log::warn!("{}", line.note(format!("the next start will fail: {error}")));
                return Ok((open()?, Vec::new()));
            }
        };
        let remarks = checked.remarks(params);
        let listeners = checked.declared.listeners;
        if listeners.is_empty() {
            return Ok((open()?, remarks));
        }
        let workers = workers_of(proc, main.process.pid)?;
        let pids = workers.iter().chain([main]).map(|stat| stat.process.pid);
        let held = expected::held(proc, &listeners, pids, *deadline)?;
        Ok((held.all_or_error(proc, main.process.pid)?, remarks))
    }

    /// Ends what is alive of the instance, and executes the daemon. Never besides a living instance: a
    /// second daemon deletes the pid file of the first (`daemonize()` in daemonize.c).
    fn replace(&mut self, survey: &Survey) -> Result<Process> {
        let Self { instance, params, deadline, .. } = *self;
        let Fit { declared, wanted, check_took } = require_fit(instance.request, params, deadline)?;
        self.check_took = check_took;
        if !survey.is_empty() {
            self.clear(survey)?;
        }
        refuse_foreign(&instance.proc, &wanted, deadline)?;
        // A stale pid file is taken for a running daemon when its number is reused.
        pid_file::refuse_foreign(instance, &params.pidfile)?;
        standing::take_on(params, deadline)?;
        directories::create_pid_directory(params, deadline)?;
        hostfs::remove(&params.pidfile)?;
        if let Err(error) = fifo::remove_stale(params.mi.as_ref(), Some(&params.user)) {
            log::warn!("{}", LogLine::of(Action::Start).note(error));
        }
        directories::create_reply_directory(params, deadline)?;
        self.refuse_stopped()?;

        self.loaded = Loaded {
            digests: config_digest::digests(&params.config),
            routes_version: Some(params.routes_version.clone().unwrap_or_default()),
            refused: None,
        };
        let output = Output::create(&instance.files.output_path())?;
        self.done.push(Done::CreatedOutput);
        match self.bring_up(&output, declared) {
            Ok(served) => {
                self.succeed(&served);
                Ok(served.main.process)
            }
            Err(error) => {
                self.roll_back();
                // The exit reason has room for one line; the log has the others.
                for line in output.last_lines() {
                    log::error!("{}", LogLine::of(Action::Start).field("daemon", line));
                }
                Err(error)
            }
        }
    }

    /// Ends the processes of an earlier instance.
    fn clear(&self, survey: &Survey) -> Result<()> {
        let Self { instance, deadline, .. } = self;
        let line = LogLine::of(Action::Start).field("pids", Pids(&survey.members));
        log::warn!("{}", line.note("stale processes are killed"));
        // A main process that does not serve may still be able to end its workers.
        let grace = budgets::for_replaced_instance(*deadline);
        let again = || instance.identity.survey(&instance.proc);
        Ok(terminate(&instance.proc, again, grace, *deadline)?)
    }

    /// A stop that waits for the lock must not wait longer.
    fn refuse_stopped(&self) -> Result<()> {
        if self.lock.stop_requested() {
            return Err(instance::Error::Stopped { action: Action::Start }.into());
        }
        Ok(())
    }

    /// Executes the daemon, and waits until it serves, unpromoted, or has ended.
    fn bring_up(&mut self, output: &Output, declared: Option<Declared>) -> Result<Served> {
        let child = launch(self.params, &self.instance.request.instance, output)?;
        self.done.push(Done::ExecutedDaemon);
        let served = Startup::new(self, output, declared).follow(child)?;
        self.make_unpromoted(&served.main)?;
        Ok(served)
    }

    /// A new instance is unpromoted, and must hold no tag that belongs to another node. One that can't
    /// be asked, or lacks the tag, serves callers all the same: a failed start bars the node. monitor tells the
    /// reason.
    fn make_unpromoted(&self, main: &Stat) -> Result<()> {
        let Self { instance, params, deadline, .. } = *self;
        let tags = &params.sharing_tags;
        match promotion::require_standby(params, main.process, budgets::for_first_answer(deadline))
        {
            Ok(()) => {}
            Err(error @ promotion::Error::TagActive { .. }) => return Err(error.into()),
            Err(error) => {
                let line = LogLine::of(Action::Start).field("pid", main.process.pid);
                log::error!("{}", line.note(format!("not ready to be promoted: {error}")));
            }
        }
        let mut record = instance.record_of(main.process);
        let score = score::after_start(tags.is_empty());
        score::publish(instance.request, &mut record, score);
        // The last step, which is never undone. An instance without a record is unpromoted: no reason to fail.
        if let Err(error) = instance.remember_role(&record) {
            log::warn!("{}", LogLine::of(Action::Start).note(error));
        }
        Ok(())
    }

    fn succeed(&self, served: &Served) {
        let Self { instance, params, started, .. } = self;
        let Served { main, sockets, remarks } = served;
        let kept = Kept { loaded: self.loaded.clone(), ..Kept::default() };
        instance.remember(params, main, sockets, remarks, kept);
        for remark in remarks {
            log::warn!("{}", LogLine::of(Action::Start).note(remark));
        }
        self.remark_on_pidfile(main);
        let listeners: Vec<String> =
            sockets.iter().map(|(listener, _)| listener.to_string()).collect();
        let line = LogLine::of(Action::Start)
            .field("pid", main.process.pid)
            .field("config", params.config.display())
            .field("listeners", listeners.join(" "))
            .field("took_ms", started.elapsed().as_millis());
        log::info!("{line}");
    }

    /// If its file system is full, the daemon leaves an empty one and serves (the result of fclose(3) is
    /// ignored in daemonize.c); the agent finds the main process by its arguments.
    fn remark_on_pidfile(&self, main: &Stat) {
        let path = &self.params.pidfile;
        if PidFile::read(path) != PidFile::Names(main.process.pid) {
            let line = LogLine::of(Action::Start).field("pidfile", path.display());
            let line = line.field("pid", main.process.pid);
            log::warn!("{}", line.note("does not name the main process: is the file system full?"));
        }
    }
}
