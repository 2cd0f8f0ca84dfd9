//! How the actions divide their time: each step that can wait has a deadline of its own here.
//!
//! The deadline of an action is at least 100 ms before Pacemaker kills it ([`ocf::action_deadline`]):
//! what must be done even when the deadline has passed has that time, [`GRACE`].

use std::time::Duration;

use deadline::Deadline;

use crate::host::deletion;

/// The time between an action's deadline and its death, at least.
const GRACE: Duration = Duration::from_millis(100);
/// What the steps of start leave for the ones after them, and for the roll back.
const RESERVE: Duration = Duration::from_secs(1);

/// start: for the network namespace, the interface, a connected network or a route that is not there
/// yet. Short enough that the reason for a typing error comes in seconds.
pub(crate) fn for_readiness(action: Deadline) -> Deadline {
    action.share(3).within(Duration::from_secs(5))
}

/// start: pause before it decides again after the host has changed under it.
pub(crate) const NEXT_DECISION: Duration = Duration::from_millis(100);

/// start: for the end of another start or stop.
pub(crate) fn for_start_lock(action: Deadline) -> Deadline {
    action.less(RESERVE)
}

/// start: for the carrier of a link that was just brought up. A virtual link has it in a moment, and the
/// first announcement should find it even if it is not required.
pub(crate) fn for_new_link(action: Deadline) -> Deadline {
    action.within(GRACE)
}

/// start: for the carrier. With `link_wait=0` there is time for one look.
pub(crate) fn for_carrier(action: Deadline, link_wait: Duration) -> Deadline {
    // Without a carrier the announcer has to be started after it.
    action.less(2 * RESERVE).within(link_wait).but_at_least(GRACE.min(action.remaining()))
}

/// start: for another action that deletes an address of the same link.
pub(crate) fn for_link_lock(action: Deadline) -> Deadline {
    action.share(4).within(Duration::from_secs(1))
}

/// start: for the duplicate address check. A short action keeps most of its time for it.
pub(crate) fn for_duplicate_check(action: Deadline) -> Deadline {
    action.less(RESERVE.min(action.remaining() / 4))
}

/// start: for the answer of the cluster, when another host has the VIP.
pub(crate) fn for_take_over(action: Deadline) -> Deadline {
    action.less(RESERVE / 2).within(Duration::from_secs(5))
}

/// start: for the kernel's duplicate address detection, which takes a random delay of up to one second
/// and one second for each probe (RFC 4862 section 5.4.2; `dad_transmits` sets their number).
pub(crate) fn for_kernel_detection(action: Deadline) -> Deadline {
    action.less(RESERVE).within(Duration::from_secs(10))
}

/// start: for a host that has just been found by the kernel to answer with its MAC address.
pub(crate) const CONFLICT_IDENTITY: Duration = Duration::from_millis(200);

/// start: for the end of the previous announcer, and for the report of the new one. A short action keeps most of
/// its time for it.
pub(crate) fn for_start_announcer(action: Deadline) -> Deadline {
    action.less(RESERVE.min(action.remaining() / 4)).within(Duration::from_secs(3))
}

/// start: for the announcements that it sends itself.
pub(crate) fn for_announcements(action: Deadline) -> Deadline {
    action.less(RESERVE)
}

/// start, monitor: for what the cluster manager is told and asked.
pub(crate) fn for_cluster(action: Deadline) -> Deadline {
    action.less(RESERVE).within(Duration::from_secs(5))
}

/// start: for the roll back. When the deadline has passed, it has half of the time that is left before Pacemaker
/// kills an action of this timeout.
pub(crate) fn for_roll_back(action: Deadline, timeout: Duration) -> Deadline {
    action.but_at_least(GRACE.max(ocf::action_margin(timeout) / 2))
}

/// stop: for a start or stop that holds the lock to end by itself, before a start is killed.
pub(crate) fn for_lock_holder(action: Deadline) -> Deadline {
    action.share(4)
}

/// stop: for the lock.
pub(crate) fn for_stop_lock(action: Deadline) -> Deadline {
    action.share(3)
}

/// stop: for the end of the announcer. It checks the address itself before each announcement.
pub(crate) fn for_stop_announcer(action: Deadline) -> Deadline {
    action.share(3).within(Duration::from_secs(3))
}

/// stop: for servers to answer what they have received. The parameter `drain` is usually shorter.
pub(crate) fn for_drain(action: Deadline) -> Deadline {
    action.share(4)
}

/// stop: for the TCP connections.
pub(crate) fn for_connections(action: Deadline) -> Deadline {
    action.share(3).within(Duration::from_secs(3))
}

/// stop: for the rules and routes before the address is deleted. They are tried again afterwards.
pub(crate) fn for_routes(action: Deadline) -> Deadline {
    action.share(3).within(Duration::from_secs(3))
}

/// stop: for the look that proves that the address is gone.
pub(crate) fn for_last_look(action: Deadline) -> Deadline {
    action.but_at_least(GRACE)
}

/// Pause before stop tries again to remove rules and routes.
pub(crate) const ROUTES_RETRY: Duration = Duration::from_millis(50);

/// start, stop: for a deletion, and in it for the lock of `promote_secondaries`.
pub(crate) fn for_deletion(step: Deadline) -> deletion::Deadlines {
    deletion::Deadlines { lock: for_promote_secondaries_lock(step), end: step }
}

/// start, stop: for another stop that has set `promote_secondaries` for its own deletion. Most of a short
/// time is for the deletion.
pub(crate) fn for_promote_secondaries_lock(step: Deadline) -> Deadline {
    step.share(3).within(Duration::from_secs(2))
}

/// monitor: for another action on the VIP, before it is added again.
pub(crate) fn for_renewal_lock(action: Deadline) -> Deadline {
    action.share(4).within(Duration::from_secs(1))
}

/// monitor, diagnose: for tables that change while they are read.
pub(crate) fn for_tables(action: Deadline) -> Deadline {
    action.within(Duration::from_secs(5))
}

/// monitor: for the kernel's duplicate address detection, which begins again when the carrier returns.
pub(crate) fn for_repeated_detection(step: Deadline) -> Deadline {
    step.within(Duration::from_secs(3))
}

/// start, monitor: for the kernel's own route of the VIP, before it counts as missing.
pub(crate) fn for_local_route(step: Deadline) -> Deadline {
    step.share(2).within(Duration::from_secs(1))
}

/// diagnose: for another host to answer for the VIP.
pub(crate) const CONFLICT_ANSWER: Duration = Duration::from_millis(300);
