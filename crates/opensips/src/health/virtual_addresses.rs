//! Whether the virtual addresses are served, and what would heal it where they are not.

use super::declaration::Declaration;
use super::{Error, Result};
use crate::instance::Instance;
use crate::params::Params;
use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;
use crate::sockets::virtual_address::{Gap, gaps};

/// Judges the virtual addresses that are on this host; in a promotable clone all of them, because the
/// standby has to serve them the moment they come. Returns what an operator should look at.
///
/// A socket of `*` or of an interface stands for the addresses that were there at start. Whether a new start
/// opens one at this address is asked of the daemon's own check: only on this path, which ends with a
/// restart or with a correction of the configuration. A restart heals nothing where the address leaves with
/// the promoted role. Where it was tried in vain, as in a group that starts the address after OpenSIPS, it is
/// not tried again: each restart would take the address along and bring it back too late.
///
/// # Errors
/// [`Error::VipUnserved`]
pub(super) fn judge(
    instance: &Instance<'_>,
    params: &Params,
    main: hostproc::Pid,
    listeners: &[Listener],
    local: &LocalAddresses,
    declaration: &Declaration<'_>,
) -> Result<Vec<String>> {
    let promotable = instance.request.promotable;
    let mut remarks = Vec::new();
    for gap in gaps(&params.vips, listeners) {
        let vip = gap.vip();
        let is_here = local.presence(vip) == Presence::Usable;
        if !is_here && !promotable {
            continue;
        }
        if !matches!(gap, Gap::Unserved { .. }) || promotable {
            remarks.push(gap.told_with(listeners));
            continue;
        }
        let declared = declaration.listeners().unwrap_or_default();
        match declared.iter().find(|one| one.local.ip() == vip || one.is_for_all_of(vip)) {
            None => remarks.push(gap.told_with(listeners)),
            Some(_) if instance.has_restarted_for_a_vip() => {
                remarks.push(Gap::RestartedInVain { vip }.to_string());
            }
            Some(listener) => {
                return Err(Error::VipUnserved { main, vip, listener: listener.clone() });
            }
        }
    }
    Ok(remarks)
}
