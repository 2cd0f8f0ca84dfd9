//! start: brings the instance up, and returns 0 only when it serves.

use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::Sysctl;
use hostproc::Stat;
use ocf::{Request, Verdict};

use crate::context::Context;
use crate::daemon::config;
use crate::daemon::launch::{Output, launch};
use crate::daemon::release::Release;
use crate::daemon::startup::Startup;
use crate::error::{Error, Result};
use crate::health;
use crate::host;
use crate::host::fifo;
use crate::host::systemd_unit;
use crate::mi::{self, Client};
use crate::params::SharingTag;
use crate::params::{Names, Params};
use crate::plan::{self, Reach, StartPlan};
use crate::process::survey::{PidFile, Pids};
use crate::process::terminate::{kill_all, terminate};
use crate::promotion::declared_tags::declared_active;
use crate::promotion::role::Role;
use crate::promotion::score;
use crate::promotion::sharing_tag::{TagState, in_state};
use crate::promotion::tags::client;
use crate::sockets::expected::{self, Expected};
use crate::sockets::listener::{Listener, united};
use crate::sockets::nonlocal_bind;
use crate::sockets::obstacles::{refuse_foreign, unsupported};
use crate::stop::{claimed_by_another, remove_pidfile};

/// The MI comes up with the daemon's last processes; one that is elsewhere never does.
const MI_PATIENCE: Duration = Duration::from_secs(10);
const MI_RETRY: Duration = Duration::from_millis(25);

/// Kept back for taking everything down again; SIGKILL needs no more.
const ROLLBACK_RESERVE: Duration = Duration::from_secs(3);

pub(crate) fn start(request: &Request) -> Result<Verdict> {
    let started = Instant::now();
    let mut params = Params::read(&request.values, &request.instance)?;
    host::defaults::complete(&mut params);
    let context = Context::new(request, &Names::from(&params))?;
    let working = context.deadline().less(ROLLBACK_RESERVE.min(context.deadline().remaining() / 5));
    let _lock = context.lock_or_fail(working)?;
    // Another start may have done the work while this one waited for the lock.
    let context = Context::new(request, &Names::from(&params))?;
    let start = Start { context: &context, params: &params, working };

    let survey = context.identity.survey(&context.proc)?;
    plan::refuse_elsewhere(&survey)?;
    systemd_unit::refuse_active(&params, &context.proc, &context.identity)?;
    if let StartPlan::Verify(main) = plan::start(&survey) {
        match start.verify_running(&main) {
            Ok(()) => return Ok(Verdict::success()),
            Err(error) => log::warn!("action=start found=\"{error}\" next=restart"),
        }
    }
    let Fit { declared, wanted } = fit(&params, request.promotable, working)?;
    if !survey.is_empty() {
        start.clear(&survey.members)?;
    }
    refuse_foreign(&context.proc, &wanted, working)?;
    start.prepare_pidfile()?;
    if let Err(error) = start.remove_fifo() {
        log::warn!("action=start {error}");
    }
    host::make_reply_directory(&params, working)?;

    let output = Output::create(&context.paths.output())?;
    // From here on a failure leaves nothing behind.
    match start.bring_up(&output, declared) {
        Ok((main, expected)) => {
            context.remember(&params, &main, &expected);
            start.remark_on_pidfile(&main);
            let sockets: Vec<String> =
                expected.iter().map(|(listener, _)| listener.to_string()).collect();
            log::info!(
                "action=start pid={} config={} listeners=\"{}\" took_ms={}",
                main.process.pid,
                params.config.display(),
                sockets.join(" "),
                started.elapsed().as_millis()
            );
            Ok(Verdict::success())
        }
        Err(error) => {
            start.roll_back();
            // The reason has room for one line; whoever looks further finds the others in the log.
            for line in output.last_lines() {
                log::error!("action=start daemon=\"{line}\"");
            }
            Err(error)
        }
    }
}

/// What the daemon will open, as far as it is known before.
pub(crate) struct Fit {
    /// By its own check, where that is wanted.
    declared: Option<Vec<Listener>>,
    /// That, and what else is demanded of it.
    wanted: Vec<Listener>,
}

/// Whether a start can succeed, by everything that can be looked at before one process is ended or
/// executed: no running instance notices.
pub(crate) fn fit(params: &Params, promotable: bool, working: Deadline) -> Result<Fit> {
    host::check(params, working)?;
    // It has not happened yet, and a node that must take over now is no place to insist.
    if let Err(error) = systemd_unit::refuse_enabled(params) {
        log::warn!("action=start {error}");
    }
    if params.mi.is_some()
        && let Some(version) = config::version(&params.binary, working)?
    {
        config::refuse_old_mi(params, Release::of(&version))?;
    }
    if let Some((tag, path)) = declared_active(&params.config, &params.sharing_tags) {
        return Err(Error::TagDeclaredActive { tag: tag.clone(), path });
    }
    let declared = if params.start_check { Some(config::check(params, working)?) } else { None };
    // Without the check, what is known of its sockets is what the parameters name.
    let wanted = united(declared.as_deref().unwrap_or_default(), &params.listeners);
    unsupported(&wanted).into_iter().next().map_or(Ok(()), Err)?;
    let leaving = params.leaving_vips(promotable);
    let sysctl = Sysctl::default();
    nonlocal_bind::prepare(params.nonlocal_bind, leaving, &wanted, &sysctl, working)?;
    Ok(Fit { declared, wanted })
}

struct Start<'a> {
    context: &'a Context<'a>,
    params: &'a Params,
    /// By then it serves, or is taken down again.
    working: Deadline,
}

impl Start<'_> {
    /// A start of what is already started: it must serve as after a start of ours.
    fn verify_running(&self, main: &Stat) -> Result<()> {
        let Self { context, params, working } = self;
        let remembered = context.state.as_ref().filter(|state| state.main == main.process);
        let mut expected = match remembered {
            Some(state) => state.listeners.clone(),
            None => self.adopt(main)?,
        };
        health::judge(context, params, main, &mut expected, Reach::One, *working)?;
        if remembered.is_none_or(|state| state.listeners != expected) {
            context.remember(params, main, &expected);
            log::info!("action=start pid={} adopted=yes", main.process.pid);
        }
        Ok(())
    }

    /// The sockets of a running instance that nobody remembers: those that its configuration
    /// declares. The check does not touch what runs. Where there is none, or the file has been
    /// spoilt since, those that its processes hold, as for monitor: what serves is not ended for a
    /// file that it does not read any more.
    fn adopt(&self, main: &Stat) -> Result<Vec<Expected>> {
        let Self { context, params, working } = self;
        // As much again must be left for the verdict.
        let half = working.within(working.remaining() / 2);
        let declared = params.start_check.then(|| config::check(params, half)).transpose();
        let declared = declared.unwrap_or_else(|error| {
            log::warn!("action=start pid={} next_start=fails \"{error}\"", main.process.pid);
            None
        });
        let Some(listeners) = declared else {
            return health::opened(&context.proc, params, main, *working);
        };
        let workers = health::workers::workers_of(&context.proc, main.process.pid)?;
        let pids = workers.iter().chain([main]).map(|stat| stat.process.pid);
        let held = expected::held(&context.proc, &listeners, pids, *working)?;
        Ok(held.all_or_error(&context.proc, main.process.pid)?)
    }

    /// Ends what is left of an earlier life.
    fn clear(&self, members: &[Stat]) -> Result<()> {
        log::warn!("action=start leftovers=\"{}\" next=kill", Pids(members));
        let Self { context, working, .. } = self;
        // A main process that does not serve may still know how to end its workers.
        let grace = working.within(working.remaining() / 3);
        let survey = || context.identity.survey(&context.proc);
        Ok(terminate(&context.proc, survey, grace, *working)?)
    }

    /// A stale pid file would be taken for a running daemon if its number is used again.
    fn prepare_pidfile(&self) -> Result<()> {
        let Self { context, params, .. } = self;
        let path = &params.pidfile;
        if let Some(pid) = claimed_by_another(&context.proc, &context.identity, path)? {
            return Err(Error::ForeignPidFile { path: path.clone(), pid });
        }
        host::make_pid_directory(params, self.working)?;
        host::remove(path)
    }

    /// One of a killed instance, which would look as if somebody served there. Nothing of this
    /// instance may be alive.
    fn remove_fifo(&self) -> Result<()> {
        fifo::remove_left(self.params.mi.as_ref(), Some(&self.params.user))
    }

    /// Executes it, and waits until it serves, unpromoted, or has ended.
    fn bring_up(
        &self,
        output: &Output,
        declared: Option<Vec<Listener>>,
    ) -> Result<(Stat, Vec<Expected>)> {
        let Self { context, params, working } = self;
        let child = launch(params, output)?;
        let served = Startup::new(context, params, output, declared, *working).follow(child)?;
        self.stand_by(&served.0)?;
        Ok(served)
    }

    /// Begins unpromoted, whatever was before; with no tag that should be another node's.
    fn stand_by(&self, main: &Stat) -> Result<()> {
        let Self { context, params, working } = self;
        let tags = &params.sharing_tags;
        if let Some(client) = client(params, main.process)?.filter(|_| !tags.is_empty()) {
            let active = first_answer(client, tags, working.within(MI_PATIENCE))?;
            if let Some(tag) = active.first() {
                return Err(Error::TagActive { tag: (*tag).clone() });
            }
        }
        let mut record = context.record_of(main.process);
        score::publish(context.request, &mut record, score::of(Role::Unpromoted, tags.is_empty()));
        // Whoever is not remembered is unpromoted: no reason not to serve.
        if let Err(error) = context.remember_role(&record) {
            log::warn!("action=start {error}");
        }
        Ok(())
    }

    /// Where its file system is full, the daemon leaves an empty one and serves (fclose(3) is not
    /// looked at in daemonize.c); it is found by its arguments.
    fn remark_on_pidfile(&self, main: &Stat) {
        let path = &self.params.pidfile;
        if PidFile::read(path) != PidFile::Names(main.process.pid) {
            log::warn!(
                "pidfile={} pid={} note=\"does not name it: is the file system full?\"",
                path.display(),
                main.process.pid
            );
        }
    }

    /// Takes down what has come up; a fault of its own is told and does not hide the first one.
    fn roll_back(&self) {
        let Self { context, params, .. } = self;
        let survey = || context.identity.survey(&context.proc);
        let cleared = kill_all(&context.proc, survey, context.deadline()).map_err(Error::from);
        let removed = remove_pidfile(&context.proc, &context.identity, &params.pidfile);
        let closed = self.remove_fifo();
        let forgotten = host::remove(&context.paths.state());
        let unpromoted = host::remove(&context.paths.role());
        let silenced = host::remove(&context.paths.output());
        for error in [cleared, removed, closed, forgotten, unpromoted, silenced]
            .into_iter()
            .filter_map(Result::err)
        {
            log::error!("action=start rollback: {error}");
        }
    }
}

/// The active ones of the tags, as soon as the MI answers.
fn first_answer<'t>(
    client: Client<'_>,
    tags: &'t [SharingTag],
    until: Deadline,
) -> Result<Vec<&'t SharingTag>> {
    loop {
        match in_state(client, tags, TagState::Active, until) {
            Err(mi::Error::Unreachable { .. }) if until.remaining() > MI_RETRY => {
                std::thread::sleep(MI_RETRY);
            }
            answer => return Ok(answer?),
        }
    }
}
