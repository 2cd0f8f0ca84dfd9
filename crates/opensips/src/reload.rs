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
