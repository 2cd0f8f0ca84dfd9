//! Whether the virtual addresses are served, and what would heal it where they are not.

use std::net::IpAddr;

use super::declaration::Declaration;
use super::{Error, Result};
use crate::instance::Instance;
use crate::params::Params;
use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;
use crate::sockets::virtual_address::{Gap, gaps};

/// What follows from an address that is not served as it should be.
#[derive(Debug, PartialEq, Eq)]
enum Concern {
    /// It may be served elsewhere.
    None,
    Remark,
    /// A restart, if that opens a socket there.
    Restart,
}

impl Concern {
    const fn of(gap: &Gap, is_here: bool, promotable: bool) -> Self {
        match gap {
            _ if !is_here && !promotable => Self::None,
            Gap::Unserved { .. } if !promotable => Self::Restart,
            _ => Self::Remark,
        }
    }
}

/// The socket that a start opens at the address.
fn opened_at(vip: IpAddr, declared: &[Listener]) -> Option<&Listener> {
    declared.iter().find(|one| one.local.ip() == vip || one.is_for_all_of(vip))
}

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
        match Concern::of(&gap, is_here, promotable) {
            Concern::None => continue,
            Concern::Remark => {
                remarks.push(gap.told_with(listeners));
                continue;
            }
            Concern::Restart => {}
        }
        match opened_at(vip, declaration.listeners().unwrap_or_default()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_no_socket_serves_is_worth_a_restart() {
        let vip = "192.0.2.10".parse().unwrap();
        let wildcard = || "tcp:0.0.0.0:5060".parse().unwrap();
        let unserved = Gap::Unserved { vip };
        let served = [
            Gap::NotItself { vip, wildcard: wildcard() },
            Gap::AnswersFromElsewhere { vip, wildcard: wildcard() },
        ];
        for gap in served.iter().chain([&unserved]) {
            // The standby has to serve it the moment it comes, and loses it with the role.
            for is_here in [false, true] {
                assert_eq!(Concern::of(gap, is_here, true), Concern::Remark);
            }
            assert_eq!(Concern::of(gap, false, false), Concern::None);
        }
        for gap in &served {
            assert_eq!(Concern::of(gap, true, false), Concern::Remark);
        }
        assert_eq!(Concern::of(&unserved, true, false), Concern::Restart);
    }

    #[test]
    fn what_a_start_opens() {
        let listeners = |texts: &[&str]| -> Vec<Listener> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let opens = |vip: &str, declared: &[&str]| {
            opened_at(vip.parse().unwrap(), &listeners(declared)).is_some()
        };
        assert!(opens("192.0.2.10", &["tcp:127.0.0.1:5060", "udp:192.0.2.10:5060"]));
        assert!(opens("192.0.2.10", &["udp:0.0.0.0:5060"]));
        assert!(opens("2001:db8::10", &["udp:[::]:5060"]));
        assert!(!opens("192.0.2.10", &["udp:192.0.2.11:5060", "udp:[2001:db8::10]:5060"]));
        assert!(!opens("192.0.2.10", &[]));
    }
}
