//! reload-agent: nothing is kept between actions, so the next one reads the new values.

use ocf::{Request, Verdict};

use crate::error::Error;
use crate::params::Params;

/// Validates the new values. An announcer that is running keeps those of its start.
pub(crate) fn reload(request: &Request) -> Result<Verdict, Error> {
    Params::read(&request.values)?;
    Ok(Verdict::success())
}
