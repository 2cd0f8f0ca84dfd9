//! The hosts of a scenario: a cluster node and its neighbour.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use testnet::{Cable, Host, wait_until};

/// For what the machine does by itself; it may be stalled.
pub(super) const LONG: Duration = Duration::from_secs(60);

pub(super) const VIP: &str = "192.0.2.10";
pub(super) const VIP6: &str = "2001:db8::10";

/// A node with eth0, cabled to the neighbour's eth0.
pub(super) struct Site {
    pub(super) node: Host,
    pub(super) neighbour: Host,
    pub(super) cable: Cable,
}

impl Site {
    /// Without addresses but the kernel's own.
    pub(super) fn bare() -> Self {
        let (node, neighbour) = (Host::new("node"), Host::new("neighbour"));
        let cable = testnet::cable(
            (&node, "eth0", "02:00:00:00:00:0a"),
            (&neighbour, "eth0", "02:00:00:00:00:0e"),
        );
        wait_until("eth0 is up", LONG, || node.ip("link show dev eth0").contains("state UP"));
        Self { node, neighbour, cable }
    }

    /// With 192.0.2.1/24, and 192.0.2.99/24 at the neighbour's.
    pub(super) fn ipv4() -> Self {
        let site = Self::bare();
        site.node.ip("addr add 192.0.2.1/24 brd 192.0.2.255 dev eth0");
        site.neighbour.ip("addr add 192.0.2.99/24 dev eth0");
        site
    }

    /// With 2001:db8::1/64, and 2001:db8::99/64 at the neighbour's.
    pub(super) fn ipv6() -> Self {
        let site = Self::bare();
        site.node.ip("addr add 2001:db8::1/64 dev eth0 nodad");
        site.neighbour.ip("addr add 2001:db8::99/64 dev eth0 nodad");
        site
    }

    /// A second interface, eth1, up and with carrier.
    pub(super) fn second_interface(&self) {
        self.node.ip("link add eth1 type veth peer name far1");
        self.node.ip("link set far1 up");
        self.node.ip("link set eth1 up");
    }

    /// Takes the cable out, and waits until the node's kernel knows.
    pub(super) fn unplug(&self) {
        self.cable.unplug(&self.node);
        wait_until("eth0 has no carrier", LONG, || {
            self.node.ip("link show dev eth0").contains("NO-CARRIER")
        });
    }

    /// Waits until the kernel has marked an IPv6 address of the node as a duplicate.
    pub(super) fn await_dadfailed(&self, ip: &str) {
        wait_until("the address is dadfailed", LONG, || {
            instances(&self.node, ip).iter().any(|instance| instance.contains("dadfailed"))
        });
    }

    /// Every instance of an address on the node.
    pub(super) fn instances(&self, ip: &str) -> Vec<String> {
        instances(&self.node, ip)
    }

    /// Routes and rules of all tables, but those that the kernel makes of addresses.
    pub(super) fn routes(&self) -> String {
        ["-d -4 route show table all", "-d -4 rule show"].map(|what| self.node.ip(what)).concat()
    }

    /// The source address of packets to a destination; empty if there is no route.
    pub(super) fn source_to(&self, destination: &str) -> String {
        let mut command = std::process::Command::new("ip");
        let output = self.node.output(command.args(["route", "get", destination]));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut words = text.split_whitespace().skip_while(|word| *word != "src");
        words.nth(1).unwrap_or_default().to_owned()
    }
}

/// Every instance of an address on a host, as `eth0 192.0.2.10/24`, with the flags of a duplicate.
fn instances(host: &Host, ip: &str) -> Vec<String> {
    let wanted: IpAddr = ip.parse().expect("an address");
    let listed = host.ip("-o addr show");
    let read = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let interface = words.next()?;
        let address = words.nth(1)?;
        let (own, _) = address.split_once('/')?;
        let flags: Vec<_> =
            words.filter(|word| ["dadfailed", "tentative"].contains(word)).collect();
        let flags = if flags.is_empty() { String::new() } else { format!(" {}", flags.join(" ")) };
        (own.parse() == Ok(wanted)).then(|| format!("{interface} {address}{flags}"))
    };
    listed.lines().filter_map(read).collect()
}

/// Waits until `condition` holds; tells whether it came to that.
pub(super) fn comes(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + within;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// For the record: what is left of an address.
pub(super) fn left(instances: &[String]) -> String {
    if instances.is_empty() {
        "nothing left".to_owned()
    } else {
        format!("left: {}", instances.join(", "))
    }
}
