//! Parameters of ocf:heartbeat:IPaddr2 that are known so that an existing resource moves over by
//! changing the agent's name.

use ocf::{Deprecated, Kind, Parameter};

/// Accepted; it has no effect, and start tells so.
const fn without_effect(name: &'static str, kind: Kind, desc: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        deprecated: Some(Deprecated { replaced_with: None, desc }),
        shortdesc: "Of IPaddr2, without effect",
        longdesc: "Accepted so that a resource of ocf:heartbeat:IPaddr2 moves over; it has no effect.",
        ..Parameter::TEMPLATE
    }
}

/// Accepted with the value that asks for nothing, refused with any other.
const fn refused(name: &'static str, kind: Kind, desc: &'static str) -> Parameter {
    Parameter {
        shortdesc: "Of IPaddr2, not supported",
        longdesc: "\
Accepted with IPaddr2's default, so that a resource of ocf:heartbeat:IPaddr2 moves over; refused with
anything else.",
        ..without_effect(name, kind, desc)
    }
}

/// `run_arping`
pub(crate) static RUN_ARPING: Parameter = Parameter {
    deprecated: Some(Deprecated {
        replaced_with: Some("duplicate_check"),
        desc: "true means duplicate_check=yes, which is the default",
    }),
    shortdesc: "Of IPaddr2: duplicate_check",
    longdesc: "true means duplicate_check=yes; false leaves duplicate_check as it is.",
    ..without_effect("run_arping", Kind::Boolean, "")
};

/// `arp_sender`
pub(crate) static ARP_SENDER: Parameter =
    without_effect("arp_sender", Kind::String, "the agent sends announcements itself");

/// `send_arp_opts`
pub(crate) static SEND_ARP_OPTS: Parameter = without_effect(
    "send_arp_opts",
    Kind::String,
    "the agent sends announcements itself; their form is announce",
);

/// `flush_routes`
pub(crate) static FLUSH_ROUTES: Parameter = without_effect(
    "flush_routes",
    Kind::Boolean,
    "the kernel has no route cache any more, since Linux 3.6",
);

/// `proto`
pub(crate) static PROTO: Parameter =
    without_effect("proto", Kind::String, "the connected network is found without it");

/// `lvs_ipv6_addrlabel`
pub(crate) static LVS_IPV6_ADDRLABEL: Parameter = without_effect(
    "lvs_ipv6_addrlabel",
    Kind::Boolean,
    "address labels belong to the administrator; preferred_lft=0 keeps the VIP from being a source",
);

/// `lvs_ipv6_addrlabel_value`
pub(crate) static LVS_IPV6_ADDRLABEL_VALUE: Parameter = without_effect(
    "lvs_ipv6_addrlabel_value",
    Kind::Integer,
    "address labels belong to the administrator",
);

/// Why a load balancer's address is not for this agent.
const LVS: &str =
    "addresses of a Linux Virtual Server are not supported: use ocf:heartbeat:IPaddr2";
/// The same for an address that all nodes have at a time.
const CLUSTER_IP: &str =
    "an address that several nodes share (cluster IP) is not supported: use ocf:heartbeat:IPaddr2";

/// `lvs_support`
pub(crate) static LVS_SUPPORT: Parameter = refused("lvs_support", Kind::Boolean, LVS);

/// `mac`
pub(crate) static MAC: Parameter = refused("mac", Kind::String, CLUSTER_IP);

/// `unique_clone_address`
pub(crate) static UNIQUE_CLONE_ADDRESS: Parameter =
    refused("unique_clone_address", Kind::Boolean, CLUSTER_IP);

/// `clusterip_hash`
pub(crate) static CLUSTERIP_HASH: Parameter = refused("clusterip_hash", Kind::String, CLUSTER_IP);

/// `clusterip_hash_seed`
pub(crate) static CLUSTERIP_HASH_SEED: Parameter =
    refused("clusterip_hash_seed", Kind::String, CLUSTER_IP);

/// `clusterip_firewall`
pub(crate) static CLUSTERIP_FIREWALL: Parameter =
    refused("clusterip_firewall", Kind::String, CLUSTER_IP);

/// `clusterip_table`
pub(crate) static CLUSTERIP_TABLE: Parameter = refused("clusterip_table", Kind::String, CLUSTER_IP);

/// `clusterip_chain`
pub(crate) static CLUSTERIP_CHAIN: Parameter = refused("clusterip_chain", Kind::String, CLUSTER_IP);

/// `clusterip_mac_mangle`
pub(crate) static CLUSTERIP_MAC_MANGLE: Parameter =
    refused("clusterip_mac_mangle", Kind::Boolean, CLUSTER_IP);

/// Those that are refused unless they have IPaddr2's default, which is beside them.
pub(crate) static REFUSED: &[(&Parameter, &str)] = &[
    (&LVS_SUPPORT, "false"),
    (&MAC, ""),
    (&UNIQUE_CLONE_ADDRESS, "false"),
    (&CLUSTERIP_HASH, "sourceip-sourceport"),
    (&CLUSTERIP_HASH_SEED, ""),
    (&CLUSTERIP_FIREWALL, "auto"),
    (&CLUSTERIP_TABLE, "mangle"),
    (&CLUSTERIP_CHAIN, "PREROUTING"),
    (&CLUSTERIP_MAC_MANGLE, "false"),
];
