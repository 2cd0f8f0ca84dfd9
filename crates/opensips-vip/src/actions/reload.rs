//! reload-agent: nothing is kept between actions, so the next one reads the new values by itself.

use ocf::{Request, Verdict};

use crate::error::Error;
use crate::params::Params;

/// Checks the new values. Announcements that are under way belong to the start that began them.
pub(crate) fn reload(request: &Request) -> Result<Verdict, Error> {
    Params::read(&request.values)?;
    Ok(Verdict::success())
}
