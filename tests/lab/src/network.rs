//! The lab's wiring: two bridges in the rack's own network namespace, a cable (veth) from each
//! host to each of its networks. Nothing is attached to the machine's network namespace.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, OwnedFd},
    process::{Command, Stdio},
    str::FromStr,
};

use crate::error::{Error, Result};

/// A network of the lab, and the interface that each node has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    /// 192.0.2.0/24 and 2001:db8:0:1::/64 on eth0, with the client.
    Public,
    /// 198.51.100.0/24 and 2001:db8:0:2::/64 on eth1: Corosync's.
    Lan,
}

impl Network {
    /// Both, in the order of the interfaces.
    pub const ALL: [Self; 2] = [Self::Public, Self::Lan];

    /// Its name, also the bridge's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Lan => "lan",
        }
    }

    /// The interface that each node has in it.
    #[must_use]
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Public => "eth0",
            Self::Lan => "eth1",
        }
    }

    /// The bridge of the smaller side while the network is partitioned.
    const fn split_bridge(self) -> &'static str {
        match self {
            Self::Public => "public-split",
            Self::Lan => "lan-split",
        }
    }

    /// A host's IPv4 address (prefix length 24; RFC 5737 documentation ranges).
    #[must_use]
    pub const fn ipv4(self, number: HostNumber) -> Ipv4Addr {
        match self {
            Self::Public => Ipv4Addr::new(192, 0, 2, number.0),
            Self::Lan => Ipv4Addr::new(198, 51, 100, number.0),
        }
    }

    /// A host's IPv6 address (prefix length 64; RFC 3849 documentation range). Its last group
    /// reads like the last byte of the IPv4 address.
    #[must_use]
    pub const fn ipv6(self, number: HostNumber) -> Ipv6Addr {
        let as_read = (number.0 as u16 / 10) * 16 + number.0 as u16 % 10;
        let network = if matches!(self, Self::Public) { 1 } else { 2 };
        Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, as_read)
    }

    /// A host's hardware address, fixed so that a rebooted node is the same neighbour.
    #[must_use]
    pub fn mac(self, number: HostNumber) -> String {
        let network = if self == Self::Public { 1 } else { 2 };
        format!("02:00:00:00:{network:02x}:{:02x}", number.0)
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|network| [network.name(), network.interface()].contains(&text))
            .ok_or_else(|| Error::NetworkName(text.to_owned()))
    }
}

/// Last byte of a host's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostNumber(u8);

impl HostNumber {
    /// The client: neighbour and default router of the nodes.
    pub const CLIENT: Self = Self(1);

    /// The node with that number, from 1.
    #[must_use]
    pub const fn node(number: u8) -> Self {
        Self(number.saturating_add(10))
    }
}

/// A cable's state, which outlives power cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cable {
    /// In which network it is.
    pub(crate) network: Network,
    /// `false`: pulled; the host sees no carrier.
    pub(crate) plugged: bool,
    /// On the smaller side of a partition; the host keeps its carrier.
    pub(crate) split: bool,
}

impl Cable {
    /// A plugged cable.
    pub(crate) const fn new(network: Network) -> Self {
        Self { network, plugged: true, split: false }
    }

    const fn bridge(self) -> &'static str {
        if self.split { self.network.split_bridge() } else { self.network.name() }
    }

    /// The bridge's end of the host's cable: at most 11 of the 15 characters of IFNAMSIZ.
    fn port(self, host: &str) -> String {
        format!("{host}-{}", self.network.interface())
    }
}

/// Makes the bridges in the calling process's network namespace.
pub(crate) fn make_bridges() -> Result<()> {
    let mut batch = String::from("link set lo up\n");
    for network in Network::ALL {
        for bridge in [network.name(), network.split_bridge()] {
            // forward_delay 0: a port forwards at once, as a plain switch does.
            // mcast_snooping 0: neighbour solicitations reach everyone without a querier.
            let _ = write!(
                batch,
                "link add name {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
                 link set {bridge} addrgenmode none\n\
                 link set {bridge} up\n"
            );
        }
    }
    ip(&batch)
}

/// Connects a host's network namespace to its networks; its ends are down and without address.
/// `rack_pid`: the calling process as /proc shows it, through which `ip` opens the descriptor.
pub(crate) fn attach(
    host: &str,
    number: HostNumber,
    cables: &[Cable],
    namespace: &OwnedFd,
    rack_pid: i32,
) -> Result<()> {
    let mut batch = String::new();
    for cable in cables {
        let port = cable.port(host);
        let (interface, mac) = (cable.network.interface(), cable.network.mac(number));
        let (fd, bridge) = (namespace.as_raw_fd(), cable.bridge());
        let _ = write!(
            batch,
            "link add name {port} type veth peer name {interface} address {mac} netns /proc/{rack_pid}/fd/{fd}\n\
             link set {port} addrgenmode none\n\
             link set {port} master {bridge}\n"
        );
        if cable.plugged {
            let _ = writeln!(batch, "link set {port} up");
        }
    }
    ip(&batch)
}

/// Takes the carrier from a host at once on all its cables: the first moment of a power cut.
pub(crate) fn darken(host: &str, cables: &[Cable]) -> Result<()> {
    ip(&cables.iter().fold(String::new(), |mut batch, cable| {
        let _ = writeln!(batch, "link set {} down", cable.port(host));
        batch
    }))
}

/// Removes a host's cables, both ends, without waiting for the kernel to dissolve its namespace.
/// A cable that is gone already is no error.
pub(crate) fn detach(host: &str, cables: &[Cable]) {
    for cable in cables {
        let _ = ip(&format!("link del {}\n", cable.port(host)));
    }
}

/// Puts plug and bridge of a host's cable as the value says.
pub(crate) fn apply(host: &str, cable: Cable) -> Result<()> {
    let (port, bridge) = (cable.port(host), cable.bridge());
    let state = if cable.plugged { "up" } else { "down" };
    ip(&format!("link set {port} master {bridge}\nlink set {port} {state}\n"))
}

/// Brings up a host's own ends, in its network namespace. The client routes between the nodes and
/// nowhere; the nodes' default route leads there, as to a provider's router.
pub(crate) fn configure_host(number: HostNumber, cables: &[Cable], ipv6: bool) -> Result<()> {
    ip(&host_configuration(number, cables, ipv6))
}

fn host_configuration(number: HostNumber, cables: &[Cable], ipv6: bool) -> String {
    let mut batch = String::from("link set lo up\n");
    for Cable { network, .. } in cables {
        let interface = network.interface();
        let _ = write!(
            batch,
            "address add {}/24 broadcast + dev {interface}\nlink set {interface} up\n",
            network.ipv4(number)
        );
        if ipv6 {
            // nodad: usable from the first moment; the lab's addresses are unique by construction.
            let _ =
                writeln!(batch, "address add {}/64 dev {interface} nodad", network.ipv6(number));
        }
    }
    if number != HostNumber::CLIENT {
        let router = Network::Public.ipv4(HostNumber::CLIENT);
        let _ = writeln!(batch, "route add default via {router}");
        if ipv6 {
            let router = Network::Public.ipv6(HostNumber::CLIENT);
            let _ = writeln!(batch, "route add default via {router}");
        }
    }
    batch
}

/// Runs iproute2 once over all lines: one process instead of a dozen.
fn ip(batch: &str) -> Result<()> {
    let spawn = |source| Error::Spawn { program: "ip".to_owned(), source };
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(spawn)?;
    if let Some(mut stdin) = child.stdin.take() {
        // An early end of `ip` shows in its status and words below.
        let _ = stdin.write_all(batch.as_bytes());
    }
    let output = child.wait_with_output().map_err(spawn)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Program {
        program: format!("ip -batch ({})", batch.trim().replace('\n', "; ")),
        status: output.status.to_string(),
        words: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_documentation_addresses() {
        let node2 = HostNumber::node(2);
        assert_eq!(Network::Public.ipv4(node2).to_string(), "192.0.2.12");
        assert_eq!(Network::Lan.ipv4(node2).to_string(), "198.51.100.12");
        assert_eq!(Network::Public.ipv6(node2).to_string(), "2001:db8:0:1::12");
        assert_eq!(Network::Lan.ipv6(HostNumber::node(16)).to_string(), "2001:db8:0:2::26");
        assert_eq!(Network::Lan.mac(node2), "02:00:00:00:02:0c");
        assert_eq!(Network::Public.ipv4(HostNumber::CLIENT).to_string(), "192.0.2.1");
    }

    #[test]
    fn networks_go_by_name_and_by_interface() {
        for (text, network) in [
            ("eth0", Network::Public),
            ("public", Network::Public),
            ("eth1", Network::Lan),
            ("lan", Network::Lan),
        ] {
            assert_eq!(text.parse::<Network>().unwrap(), network);
        }
        assert!(matches!("eth2".parse::<Network>(), Err(Error::NetworkName(_))));
    }

    #[test]
    fn only_nodes_get_a_default_route() {
        let cables = [Cable::new(Network::Public), Cable::new(Network::Lan)];
        let node = host_configuration(HostNumber::node(1), &cables, true);
        assert!(node.contains("route add default via 192.0.2.1\n"));
        assert!(node.contains("address add 2001:db8:0:2::11/64 dev eth1 nodad\n"));
        let client = host_configuration(HostNumber::CLIENT, &cables[..1], false);
        assert!(!client.contains("default") && !client.contains("2001"));
    }
}
