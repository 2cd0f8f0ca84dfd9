//! The one table of parameters and actions, for parsing, `--help`, meta-data and manual page.

mod address;
mod announcements;
mod checks;
mod legacy;
mod routing;

use ocf::{Action, ActionDescription, Description};

pub(crate) use address::*;
pub(crate) use announcements::*;
pub(crate) use checks::*;
pub(crate) use legacy::*;
pub(crate) use routing::*;

/// The description of the agent.
pub static DESCRIPTION: Description = Description {
    name: "opensips-vip",
    version: env!("CARGO_PKG_VERSION"),
    shortdesc: "Virtual IP address of a SIP cluster",
    longdesc: "\
Manages the virtual IP address (VIP) of a cluster of SIP servers such as OpenSIPS, IPv4 or IPv6.

start adds the address, announces it to the neighbours with gratuitous ARP or unsolicited Neighbor
Advertisements, and checks that the kernel uses it: on the right interface, after duplicate address
detection, with its routes; the first announcement is sent before start returns, unless the interface can't
send. Packet filters of the node are not examined: ask SIP from another host. stop
removes every instance of the address from the node, whatever its prefix length, interface or label,
leaves the other addresses of the subnet in place, and succeeds only when the kernel lists no instance any
more. monitor checks address, prefix length, interface and carrier without starting another process.

An address that the node has by itself is never a VIP: the only one of its network on its interface, one
with a lifetime (DHCP), one in the configuration files of the node's network, and those of Corosync. start
refuses it, a probe does not find it, and stop leaves it alone. An address that another agent has added in
the network of the node is adopted.

The parameters of ocf:heartbeat:IPaddr2 have the same names and meanings: to migrate a resource, change the
agent's name.",
    parameters: &[
        &IP,
        &NIC,
        &CIDR_NETMASK,
        &BROADCAST,
        &IFLABEL,
        &NOPREFIXROUTE,
        &PREFERRED_LFT,
        &NODAD,
        &NETWORK_NAMESPACE,
        &CHECK_LINK_STATUS,
        &LINK_WAIT,
        &DUPLICATE_CHECK,
        &DUPLICATE_TIMEOUT,
        &DUPLICATE_WAIT,
        &DUPLICATE_ACTION,
        &ANNOUNCE,
        &ANNOUNCE_SCHEDULE,
        &ANNOUNCE_TARGETS,
        &ARP_COUNT,
        &ARP_INTERVAL,
        &ARP_BG,
        &ARP_COUNT_REFRESH,
        &GATEWAY,
        &ROUTE_TABLE,
        &SOURCE_FOR,
        &DRAIN,
        &CLOSE_CONNECTIONS,
        &RUN_ARPING,
        &ARP_SENDER,
        &SEND_ARP_OPTS,
        &FLUSH_ROUTES,
        &PROTO,
        &LVS_IPV6_ADDRLABEL,
        &LVS_IPV6_ADDRLABEL_VALUE,
        &LVS_SUPPORT,
        &MAC,
        &UNIQUE_CLONE_ADDRESS,
        &CLUSTERIP_HASH,
        &CLUSTERIP_HASH_SEED,
        &CLUSTERIP_FIREWALL,
        &CLUSTERIP_TABLE,
        &CLUSTERIP_CHAIN,
        &CLUSTERIP_MAC_MANGLE,
    ],
    actions: &[
        ActionDescription::new(Action::Start, 20),
        ActionDescription::new(Action::Stop, 20),
        ActionDescription {
            interval_s: Some(2),
            depth: Some(0),
            ..ActionDescription::new(Action::Monitor, 20)
        },
        // On the nodes without the VIP: publishes their carrier, and finds the address where it must
        // not be.
        ActionDescription {
            interval_s: Some(1),
            depth: Some(0),
            role: Some("Stopped"),
            ..ActionDescription::new(Action::Monitor, 20)
        },
        ActionDescription {
            interval_s: Some(60),
            depth: Some(10),
            ..ActionDescription::new(Action::Monitor, 20)
        },
        ActionDescription::new(Action::ReloadAgent, 20),
        ActionDescription::new(Action::ValidateAll, 20),
        ActionDescription::new(Action::MetaData, 5),
        ActionDescription::new(Action::Diagnose, 20),
    ],
};
