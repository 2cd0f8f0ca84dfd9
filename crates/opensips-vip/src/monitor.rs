//! monitor: one address dump and one link, judged.

use std::time::Duration;

use hostnet::Netlink;
use ocf::{Request, Verdict};

use crate::error::Error;
use crate::params::Params;
use crate::{host, judge};

/// How long a table that keeps changing is read again before that is an error.
const SETTLING: Duration = Duration::from_secs(5);

/// Does the action.
pub(crate) fn monitor(request: &Request) -> Result<Verdict, Error> {
    let params = Params::read(&request.values)?;
    let netlink = Netlink::open()?;
    let until = request.deadline.or_within(SETTLING).instant();
    let (instances, link) = host::sight(&netlink, &params, until)?;
    Ok(judge::judge(&params, &instances, link.as_ref()))
}
