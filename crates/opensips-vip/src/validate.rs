//! validate-all: the parameters alone, from level 10 also this host.

use hostnet::{Netlink, Network, NewAddress};
use ocf::{Finding, Request};

use crate::error::Error;
use crate::params::Params;
use crate::routing::{NoRoute, Tables};
use crate::target::Target;
use crate::{host, managers, plan, routing, source_routing};

/// The level from which the host is looked at.
const HOST: u32 = 10;

/// Every finding.
pub(crate) fn validate(request: &Request) -> Vec<Finding> {
    match Params::read(&request.values) {
        Err(findings) => findings.into_vec(),
        Ok(params) if request.check_level >= HOST => {
            let mut found = Vec::new();
            let looked = on_host(&params, request, &mut found);
            found.extend(looked.err());
            found.iter().map(|error| Finding::new(error.exit(), error.to_string())).collect()
        }
        Ok(_) => Vec::new(),
    }
}

/// What start would refuse on this host. Nothing that changes by itself, such as carrier, is a finding;
/// who else manages the interface is told, for it may be set up to leave the VIP alone.
///
/// # Errors
/// What keeps the rest from being looked at.
fn on_host(params: &Params, request: &Request, found: &mut Vec<Error>) -> Result<(), Error> {
    let until = request.deadline;
    host::enter(params.namespace.as_ref())?;
    let netlink = Netlink::open()?;
    let snapshot = host::snapshot(&netlink, params, until)?;
    let target = match plan::start(params, &snapshot) {
        Ok(plan) => Some(plan.target),
        Err(refusal) => {
            found.push(refusal.into());
            None
        }
    };
    if let Some(target) = &target {
        if params.ip.is_ipv6() {
            found.extend(host::require_ipv6(&target.link).err());
        }
        for manager in managers::of(&target.link, params.ip) {
            log::warn!("{} is managed by {manager}, too", target.link.name);
        }
    }
    if routing::is_asked_for(params) {
        match source_routing::tables_of(&netlink, params, until) {
            Ok(tables) => found.extend(target.and_then(|it| routes_refused(params, &it, &tables))),
            Err(error) => found.push(error),
        }
    }
    Ok(())
}

/// Why the routes beside the VIP can't be made. What leads into its own network comes with it.
fn routes_refused(params: &Params, target: &Target, tables: &Tables) -> Option<Error> {
    let NewAddress { ip, prefix, link, .. } = target.address;
    match routing::wanted(params, link, prefix, tables).err()? {
        NoRoute::Destination { destination }
            if Network::of(ip, prefix).contains(destination.base()) =>
        {
            None
        }
        error => Some(error.into()),
    }
}
