//! monitor puts the VIP behind the host's own address, so that the host's own connections do not leave from it.

use hostnet::{Address, Netlink, NewAddress};
use hostproc::{Acquisition, ActionLock};
use ocf::Request;

use super::budgets;
use crate::decide::judge::Observation;
use crate::host::renewal;
use crate::host::run_files::RunFiles;
use crate::log_line::{failure, line};
use crate::params::Params;

/// Adds a VIP again that comes before the host's own address. Without the lock of start and stop it is left
/// for the next monitor, because a stop must not find the VIP again after it has deleted it.
pub(crate) fn put_behind_own_address(
    request: &Request,
    netlink: &Netlink,
    params: &Params,
    observation: &mut Observation,
) {
    let Some(own) = observation.precedes else { return };
    let Some(exact) = observation.exact(params) else { return };
    let link = observation.link.as_ref();
    if !link.is_some_and(|link| renewal::keeps_siblings(&link.name)) {
        return;
    }
    let files = RunFiles::of(params.ip, observation.zone);
    let until = budgets::for_renewal_lock(request.deadline);
    let Acquisition::Acquired(lock) = ActionLock::acquire(&files.action_lock(), until) else {
        return;
    };
    if lock.stop_requested() {
        return;
    }
    let deadlines = budgets::for_deletion(request.deadline);
    match renewal::add_again(netlink, &files, exact, &same(exact), deadlines) {
        Ok(_) => {
            let note = "the VIP came before the node's own address and was added again behind it";
            log::warn!("{}", line().field("own_address", own).note(note));
            observation.precedes = None;
        }
        Err(error) => {
            log::warn!("{}", failure(&error).note("the VIP can't be added again"));
        }
    }
}

/// The address as it is there.
fn same(address: &Address) -> NewAddress {
    NewAddress {
        broadcast: address.broadcast,
        label: address.label.clone(),
        scope: address.scope,
        noprefixroute: address.flags.noprefixroute,
        preferred_lft: address.preferred_lft,
        valid_lft: address.valid_lft,
        ..NewAddress::new(address.link, address.ip, address.prefix)
    }
}
