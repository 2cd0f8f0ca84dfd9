//! What several files of tests need.

// Each file uses a part of it.
#![allow(dead_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Link, Netlink};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use testnet::{Cable, Host, cable, wait_until};

pub(crate) const MAC_A: &str = "02:00:00:00:00:0a";
pub(crate) const MAC_B: &str = "02:00:00:00:00:0b";

/// Longer than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn soon() -> Deadline {
    Deadline::after(LONG)
}

/// Two hosts with a cable between their `eth0`, over which frames pass.
pub(crate) fn two_hosts() -> (Host, Host, Cable) {
    let (a, b) = (Host::new("a"), Host::new("b"));
    let cable = cable((&a, "eth0", MAC_A), (&b, "eth0", MAC_B));
    wait_until_up(&a, "eth0");
    wait_until_up(&b, "eth0");
    (a, b, cable)
}

/// The kernel activates the queue of a link some time after its carrier comes (`linkwatch_do_dev()`,
/// net/core/link_watch.c). Until then it drops frames.
pub(crate) fn wait_until_up(host: &Host, interface: &str) {
    let show = format!("link show {interface}");
    wait_until("the link is up", LONG, || host.ip(&show).contains("state UP"));
}

/// The kernel takes packets to a new IPv6 address some time after it was added.
pub(crate) fn wait_until_local(host: &Host, ip: &str) {
    let route = format!("local {ip} ");
    wait_until("the address is in use", LONG, || {
        host.ip("-6 route show table local").contains(&route)
    });
}

/// The link of that name, as the connection shows it.
pub(crate) fn link(netlink: &Netlink, name: &str) -> Link {
    netlink.link_by_name(&name.parse().unwrap(), soon()).unwrap().unwrap()
}

/// Takes all capabilities from the calling thread, which is one of a test's host and ends with the
/// closure that it runs.
pub(crate) fn drop_capabilities() {
    let none = CapabilitySet::empty();
    let nothing = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, nothing).unwrap();
}

/// Ends what a thread of a test does, also when the test fails.
pub(crate) struct End<'a>(pub(crate) &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
