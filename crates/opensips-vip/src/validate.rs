//! validate-all: the parameters alone, from level 10 also this host.

use hostnet::Netlink;
use ocf::{Finding, Request};

use crate::error::Error;
use crate::params::Params;
use crate::{host, plan, source_routing};

/// The level from which the host is looked at.
const HOST: u32 = 10;

/// Every finding.
pub(crate) fn validate(request: &Request) -> Vec<Finding> {
    match Params::read(&request.values) {
        Err(findings) => findings.into_vec(),
        Ok(params) if request.check_level >= HOST => match on_host(&params, request) {
            Ok(()) => Vec::new(),
            Err(error) => vec![Finding::new(error.exit(), error.to_string())],
        },
        Ok(_) => Vec::new(),
    }
}

/// Whether start could decide what to do. Nothing that changes by itself, such as carrier, is a
/// finding.
fn on_host(params: &Params, request: &Request) -> Result<(), Error> {
    host::enter(params.namespace.as_ref())?;
    let netlink = Netlink::open()?;
    let snapshot = host::snapshot(&netlink, params, request.deadline.instant())?;
    let _plan = plan::start(params, &snapshot)?;
    if params.route_table.is_some() {
        source_routing::tables_of(&netlink, params, request.deadline.instant())?;
    }
    Ok(())
}
