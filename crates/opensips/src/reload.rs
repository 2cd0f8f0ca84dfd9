//! reload-agent: new values for parameters of the agent alone. Every action reads them afresh, so
//! there is nothing to do but to judge them.

use ocf::{Request, Verdict};

use crate::error::Result;
use crate::params::Params;

pub(crate) fn reload(request: &Request) -> Result<Verdict> {
    let params = Params::read(&request.values, &request.instance)?;
    log::info!("action=reload-agent config={}", params.config.display());
    Ok(Verdict::success())
}

#[cfg(test)]
mod tests {
    use crate::DESCRIPTION;

    /// For everything else Pacemaker restarts the instance: the daemon learns these when it is
    /// started, or they say which one it is.
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
                "extra_options"
            ]
        );
    }
}
