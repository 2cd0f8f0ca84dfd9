//! reload-agent: new values for parameters of the agent alone. Every action reads them anew, so they
//! only have to be judged; the asynchronous monitor, which keeps them, is ended, and a new `routes_version` has
//! the daemon load its routes.
//!
//! A failure would have Pacemaker restart the instance on every node at once, with the configuration that is
//! refused: what can't be loaded is logged, the old routes go on serving, and monitor tells.

use deadline::Deadline;
use hostproc::Stat;
use ocf::{Action, LogLine, Request, Verdict};

use super::budgets;
use crate::async_monitor;
use crate::daemon::management::{clients, reach};
use crate::daemon::{check, config_digest};
use crate::error::Result;
use crate::instance::Instance;
use crate::instance::state::{Digests, Kept, Loaded};
use crate::mi;
use crate::params::{Names, Params};

pub(crate) fn reload(request: &Request) -> Result<Verdict> {
    let params = Params::read(&request.values, &request.instance)?;
    // It has the former values. The next monitor starts it with these.
    async_monitor::kill(&Instance::load(request, &Names::from(&params))?);
    log::info!("{}", LogLine::of(Action::ReloadAgent).field("config", params.config.display()));
    load_wanted(request, &params);
    Ok(Verdict::success())
}

/// Has a running daemon load its routes where another version is wanted than it has.
pub(super) fn load_wanted(request: &Request, params: &Params) {
    let Some(version) = &params.routes_version else { return };
    let line = LogLine::of(request.action).field("routes_version", version);
    let loading = Request { deadline: budgets::for_routes(request), ..request.clone() };
    match load_version(&loading, params, version) {
        Ok(Some(note)) => log::info!("{}", line.note(note)),
        Ok(None) => {}
        Err(error) => log::error!("{}", line.note(format!("not loaded: {error}"))),
    }
}

/// Returns what was done, if there was something to do.
fn load_version(request: &Request, params: &Params, version: &str) -> Result<Option<&'static str>> {
    let names = Names::from(params);
    let instance = Instance::load(request, &names)?;
    if !is_wanted(request, &instance, version) {
        return Ok(None);
    }
    // The next monitor tries again.
    let patience = match request.action {
        Action::Monitor => Deadline::now(),
        _ => budgets::for_lock(request.deadline),
    };
    let _lock = instance.lock(patience)?;
    // Another action may have loaded them meanwhile.
    let instance = Instance::load(request, &names)?;
    // The next start reads them.
    let Some(main) = instance.main_process()? else { return Ok(None) };
    if !is_wanted(request, &instance, version) {
        return Ok(None);
    }
    let state = instance.state_of(main.process);
    let done = load_routes(request, params, &main);
    // Without a state, monitor knows of no change either.
    let Some(state) = state else { return done.map(|_| Some(LOADED)) };
    let (loaded, note) = match &done {
        Ok(now) => loaded(&state.kept.loaded, *now, version),
        Err(error) => {
            let refused = Some((version.to_owned(), error.to_string()));
            (Loaded { refused, ..state.kept.loaded.clone() }, LOADED)
        }
    };
    let kept = Kept { loaded, ..state.kept.clone() };
    let (sockets, remarks) = (&state.listeners, &state.remarks);
    instance.remember(params, &main, sockets, remarks, kept);
    done.map(|_| Some(note))
}

/// Whether the version is another one than that of the routes that are loaded. A monitor does not try again what
/// was refused, nor where it is not known what is loaded.
fn is_wanted(request: &Request, instance: &Instance<'_>, version: &str) -> bool {
    let of_monitor = request.action == Action::Monitor;
    let Some(state) = &instance.state else { return !of_monitor };
    let Loaded { routes_version, refused, .. } = &state.kept.loaded;
    let is_refused = refused.as_ref().is_some_and(|(refused, _)| refused == version);
    match routes_version {
        Some(known) if known == version => false,
        Some(_) => !(of_monitor && is_refused),
        None => !of_monitor,
    }
}

/// Returns the digests of what was loaded.
fn load_routes(request: &Request, params: &Params, main: &Stat) -> Result<Option<Digests>> {
    // What the daemon takes while it serves, its next start must take, too.
    check::config(params, budgets::for_decision(request.deadline))?;
    let now = config_digest::digests(&params.config);
    ask(params, main, request.deadline)?;
    Ok(now)
}

fn ask(params: &Params, main: &Stat, deadline: Deadline) -> Result<()> {
    let mut clients = clients(params, main.process)?;
    clients.iter_mut().for_each(|client| client.patience = deadline.remaining());
    let Some((client, _)) = reach(&clients, deadline.share(2))? else { return Ok(()) };
    Ok(client.reload_routes(deadline).map_err(|error| match error {
        mi::Error::Refused { .. } => {
            let (config, user) = (params.config.clone(), params.user.to_string());
            mi::Error::RoutesRefused { config, user }
        }
        other => other,
    })?)
}

const LOADED: &str = "routes are loaded";

/// What the daemon has loaded now: the routes are new, all else is as before.
fn loaded(before: &Loaded, now: Option<Digests>, version: &str) -> (Loaded, &'static str) {
    let both = before.digests.zip(now);
    let digests = both.map(|(then, now)| Digests { routes: now.routes, ..then });
    let note = if both.is_none_or(|(then, now)| then.settings == now.settings) {
        LOADED
    } else {
        "routes are loaded; the other changes of the configuration need a restart"
    };
    (Loaded { digests, routes_version: Some(version.to_owned()), refused: None }, note)
}

#[cfg(test)]
mod tests {
    use crate::DESCRIPTION;

    /// Pacemaker restarts the instance for these: the daemon reads them when it is started, or they
    /// name the instance.
    #[test]
    fn what_the_daemon_has_to_be_restarted_for() {
        let fixed: Vec<&str> = DESCRIPTION
            .parameters
            .iter()
            .filter(|parameter| !parameter.reloadable)
            .map(|parameter| parameter.name)
            .collect();
        assert_eq!(
            fixed,
            [
                "binary",
                "config",
                "pidfile",
                "user",
                "group",
                "shm_memory",
                "pkg_memory",
                "open_files",
                "extra_options",
                "environment_file"
            ]
        );
    }
}
