//! validate-all: the parameters alone, and from level 10 on also this host.

use hostnet::Netlink;
use ocf::{Finding, Request};

use super::start::readiness;
use crate::decide::judge;
use crate::decide::plan;
use crate::decide::routing;
use crate::decide::target::Target;
use crate::error::Error;
use crate::host::run_files::RunFiles;
use crate::host::zone::Zone;
use crate::host::{ipv6, managers, namespace, own_address, source_routing, tables};
use crate::log_line::{line, set_link};
use crate::params::Params;

/// The level from which the host is looked at.
const HOST_LEVEL: u32 = 10;

pub(crate) fn validate(request: &Request) -> Vec<Finding> {
    match Params::read(&request.values) {
        Err(findings) => findings.into_vec(),
        Ok(params) if request.check_level >= HOST_LEVEL => {
            let mut found = Vec::new();
            let looked = on_host(&params, request, &mut found);
            found.extend(looked.err());
            found.iter().map(|error| Finding::new(error.exit(), ocf::cause(error))).collect()
        }
        Ok(_) => Vec::new(),
    }
}

/// Finds what start refuses on this host, also where start waits for it to change. A missing carrier is
/// no finding.
/// Other managers of the interface are logged: they can be configured to leave the VIP alone.
///
/// # Errors
/// What prevents the rest of the look.
fn on_host(params: &Params, request: &Request, found: &mut Vec<Error>) -> Result<(), Error> {
    let until = request.deadline;
    namespace::enter(params.namespace.as_ref())?;
    let netlink = Netlink::open()?;
    let zone = Zone::of(&netlink, params.ip, params.nic.as_ref(), until)?;
    let snapshot = tables::snapshot(&netlink, params, until)?;
    let instances = judge::instances(params, &snapshot.addresses);
    let files = RunFiles::of(params.ip, zone.link());
    let in_namespace = params.namespace.is_some();
    let (ip, unread) = (params.ip, log::Level::Warn);
    let own = own_address::find(&netlink, &files, ip, &instances, in_namespace, unread, until)?;
    if let Some(own) = own {
        // What start would do about it says nothing more.
        found.push(own.into());
        return Ok(());
    }
    let target = match plan::start(params, &snapshot) {
        Ok(plan) => Some(plan.target),
        Err(refusal) => {
            found.push(readiness::refused(refusal, params, &snapshot));
            None
        }
    };
    if let Some(target) = &target {
        if params.ip.is_ipv6() {
            found.extend(ipv6::require(&target.link).err().map(Error::from));
        }
        warn_of_managers(params, target);
    }
    if routing::is_asked_for(params) {
        match source_routing::tables_of(&netlink, params, until) {
            Ok(tables) => {
                let check = |it: Target| routing::check(params, &it, &tables).err();
                found.extend(target.and_then(check).map(Error::from));
            }
            Err(error) => found.push(error.into()),
        }
    }
    Ok(())
}

fn warn_of_managers(params: &Params, target: &Target) {
    set_link(&target.link.name);
    for manager in managers::of(&target.link, params.ip, params.namespace.is_some()) {
        let note = format!("{} is also managed by {manager}", target.link.name);
        log::warn!("{}", line().note(note));
    }
}
