//! Cables and switches between hosts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::host::Host;
use crate::wait_until;

/// The kernel may take seconds to notice a carrier, and more to notify a bridge of it
/// (net/core/link_watch.c).
const CARRIER: Duration = Duration::from_secs(60);

/// A cable between two hosts (a veth pair).
#[derive(Debug)]
pub struct Cable {
    ends: [(Host, String); 2],
}

/// Connects two hosts: each end is a host, the name of its interface and its MAC address. When it
/// returns, frames pass in both directions. The kernel drops what is sent before it has noticed the
/// carrier (noop_qdisc in net/sched/sch_generic.c).
///
/// # Panics
/// If `ip` refuses.
#[must_use = "the cable keeps both hosts alive and can be unplugged"]
pub fn cable(a: (&Host, &str, &str), b: (&Host, &str, &str)) -> Cable {
    a.0.ip(&format!(
        "link add {} address {} type veth peer name {} address {} netns {}",
        a.1,
        a.2,
        b.1,
        b.2,
        b.0.netns_path().display()
    ));
    for (host, interface, _) in [a, b] {
        host.ip(&format!("link set {interface} up"));
    }
    for (host, interface, _) in [a, b] {
        wait_until("the cable has a carrier", CARRIER, || {
            host.ip(&format!("link show dev {interface}")).contains(" state UP ")
        });
    }
    Cable { ends: [(a.0.clone(), a.1.to_owned()), (b.0.clone(), b.1.to_owned())] }
}

impl Cable {
    /// Takes the carrier from `host`'s end, which stays administratively up: the other end
    /// is taken down, which is how a veth loses its carrier.
    ///
    /// # Panics
    /// If the cable does not end at `host`.
    pub fn unplug(&self, host: &Host) {
        let (other, interface) = self.other_end(host);
        other.ip(&format!("link set {interface} down"));
    }

    /// Gives it back.
    ///
    /// # Panics
    /// If the cable does not end at `host`.
    pub fn plug(&self, host: &Host) {
        let (other, interface) = self.other_end(host);
        other.ip(&format!("link set {interface} up"));
    }

    fn other_end(&self, host: &Host) -> &(Host, String) {
        let [a, b] = &self.ends;
        let is = |end: &(Host, String)| end.0.netns_path() == host.netns_path();
        match (is(a), is(b)) {
            (true, _) => b,
            (_, true) => a,
            _ => panic!("the cable does not end at {}", host.name()),
        }
    }
}

/// A switch: a bridge on a host of its own, forwarding at once, without spanning tree or
/// multicast snooping.
#[derive(Debug)]
pub struct Switch {
    host: Host,
    ports: AtomicU32,
}

impl Switch {
    /// Makes a switch without cables.
    ///
    /// # Panics
    /// If `ip` refuses.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let host = Host::new(name);
        host.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0");
        host.ip("link set br0 up");
        Self { host, ports: AtomicU32::new(0) }
    }

    /// Connects a host: the name of its interface and its MAC address. Frames pass in both directions
    /// when it returns.
    ///
    /// # Panics
    /// If `ip` refuses.
    #[must_use = "the cable can be unplugged"]
    pub fn connect(&self, host: &Host, interface: &str, mac: &str) -> Cable {
        let number = self.ports.fetch_add(1, Ordering::Relaxed);
        let port = format!("port{number}");
        let port_mac = format!("02:ff:00:00:{:02x}:{:02x}", number >> 8 & 0xff, number & 0xff);
        let cable = cable((host, interface, mac), (&self.host, &port, &port_mac));
        self.host.ip(&format!("link set {port} master br0"));
        wait_until("the switch forwards", CARRIER, || {
            self.host.ip(&format!("-d link show dev {port}")).contains(" state forwarding ")
        });
        cable
    }

    /// The switch's own host; its bridge `br0` may get an address, too.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }
}
