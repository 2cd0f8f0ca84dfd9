//! The virtual IP address, deleted, added and claimed by hand.

use std::time::Duration;

use super::fault::{Allowed, Fault, NOTICED, Role, between};
use crate::scenario::VIP;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "address-deleted",
        what: "the address deleted by hand on",
        why: "6 s",
        roles: &[Role::Serving],
        strike: |case| case.on_victims(&format!("ip addr del {VIP}/24 dev eth0")),
        allowed: |_| Allowed::silent(NOTICED),
        ..Fault::DEFAULT
    },
    Fault {
        name: "address-twice",
        what: "the address added by hand on",
        why: "6 s: the monitor with role=Stopped finds it, Pacemaker stops both and starts one. Two owners until then",
        roles: &[Role::Standby],
        strike: |case| case.on_victims(&format!("ip addr add {VIP}/24 dev eth0")),
        least: Duration::from_secs(10),
        // The monitor with role=Stopped finds it within 1 s; Pacemaker stops both and starts one.
        allowed: |_| Allowed::silent(NOTICED).two_owners(NOTICED),
        ..Fault::DEFAULT
    },
    Fault {
        name: "address-claimed",
        what: "a phone claims the address of",
        why: "as long as it lasts, and 6 s: the owner announces the address again within 5 s. Two owners as long as the phone is there",
        roles: &[Role::Serving],
        lasts: between(1_000, 15_000),
        strike: |case| {
            case.site.third_host()?.shell(&format!(
                "ip addr add {VIP}/24 dev eth0; \
                 arping -q -U -c 2 -w 1 -I eth0 -s {VIP} {VIP} || true"
            ))
        },
        mend: |case| case.site.third_host()?.shell(&format!("ip addr del {VIP}/24 dev eth0")),
        least: Duration::from_secs(12),
        // The phone answers as long as it is there. The owner defends its address and, when the phone has
        // left, announces it again within 5 s.
        allowed: |it| {
            Allowed::silent(it.lasts + Duration::from_secs(6)).two_owners(Duration::from_secs(1))
        },
        ..Fault::DEFAULT
    },
];
