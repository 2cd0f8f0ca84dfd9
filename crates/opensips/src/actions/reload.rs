//! reload-agent: new values for parameters of the agent alone. Every action reads them anew, so they
//! only have to be judged; the asynchronous monitor, which keeps them, is ended.

use ocf::{Action, LogLine, Request, Verdict};

use crate::async_monitor;
use crate::error::Result;
use crate::instance::Instance;
use crate::params::{Names, Params};

pub(crate) fn reload(request: &Request) -> Result<Verdict> {
    let params = Params::read(&request.values, &request.instance)?;
    // It has the former values. The next monitor starts it with these.
    async_monitor::kill(&Instance::load(request, &Names::from(&params))?);
    log::info!("{}", LogLine::of(Action::ReloadAgent).field("config", params.config.display()));
    Ok(Verdict::success())
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
