//! Parameters of ocf:heartbeat:IPaddr2 that this agent accepts so that an existing resource migrates by
//! changing only the agent's name.

use ocf::{Deprecated, Kind, Parameter};

/// Accepted with any valid value; start logs that it has no effect.
const fn without_effect(name: &'static str, kind: Kind, desc: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        deprecated: Some(Deprecated { replaced_with: None, desc }),
        shortdesc: "IPaddr2 parameter without effect",
        longdesc: "\
IPaddr2 parameter without effect, accepted so that a resource of ocf:heartbeat:IPaddr2 can be migrated.",
        ..Parameter::TEMPLATE
    }
}

/// Accepted with the default of IPaddr2, which asks for nothing, and refused with any other value.
const fn refused(name: &'static str, kind: Kind, desc: &'static str) -> Parameter {
    Parameter {
        shortdesc: "Unsupported IPaddr2 parameter",
        longdesc: "\
Unsupported IPaddr2 parameter, accepted only with the default value of ocf:heartbeat:IPaddr2 so that a
resource of it can be migrated.",
        ..without_effect(name, kind, desc)
    }
}

pub(crate) static RUN_ARPING: Parameter = Parameter {
    deprecated: Some(Deprecated {
        replaced_with: Some("duplicate_check"),
        desc: "true asks for the check of duplicate_check, which is the default",
    }),
    shortdesc: "IPaddr2 name of duplicate_check",
    longdesc: "\
IPaddr2 name of duplicate_check: \"true\" asks for that check, which is the default, \"false\" has no effect.",
    ..without_effect("run_arping", Kind::Boolean, "")
};

pub(crate) static ARP_SENDER: Parameter =
    without_effect("arp_sender", Kind::String, "the agent sends announcements itself");

pub(crate) static SEND_ARP_OPTS: Parameter = without_effect(
    "send_arp_opts",
    Kind::String,
    "the agent sends announcements itself; announce sets their form",
);

pub(crate) static FLUSH_ROUTES: Parameter = without_effect(
    "flush_routes",
    Kind::Boolean,
    "Linux has had no route cache to flush since version 3.6",
);

pub(crate) static PROTO: Parameter =
    without_effect("proto", Kind::String, "the agent finds the connected network without it");

pub(crate) static LVS_IPV6_ADDRLABEL: Parameter = without_effect(
    "lvs_ipv6_addrlabel",
    Kind::Boolean,
    "the agent sets no address labels; by default the VIP is no source address (preferred_lft)",
);

pub(crate) static LVS_IPV6_ADDRLABEL_VALUE: Parameter =
    without_effect("lvs_ipv6_addrlabel_value", Kind::Integer, "the agent sets no address labels");

const LVS: &str =
    "addresses of a Linux Virtual Server are not supported: use ocf:heartbeat:IPaddr2";
const CLUSTER_IP: &str =
    "an address that several nodes share (cluster IP) is not supported: use ocf:heartbeat:IPaddr2";

pub(crate) static LVS_SUPPORT: Parameter = refused("lvs_support", Kind::Boolean, LVS);

pub(crate) static MAC: Parameter = refused("mac", Kind::String, CLUSTER_IP);

pub(crate) static UNIQUE_CLONE_ADDRESS: Parameter =
    refused("unique_clone_address", Kind::Boolean, CLUSTER_IP);

pub(crate) static CLUSTERIP_HASH: Parameter = refused("clusterip_hash", Kind::String, CLUSTER_IP);

pub(crate) static CLUSTERIP_HASH_SEED: Parameter =
    refused("clusterip_hash_seed", Kind::String, CLUSTER_IP);

pub(crate) static CLUSTERIP_FIREWALL: Parameter =
    refused("clusterip_firewall", Kind::String, CLUSTER_IP);

pub(crate) static CLUSTERIP_TABLE: Parameter = refused("clusterip_table", Kind::String, CLUSTER_IP);

pub(crate) static CLUSTERIP_CHAIN: Parameter = refused("clusterip_chain", Kind::String, CLUSTER_IP);

pub(crate) static CLUSTERIP_MAC_MANGLE: Parameter =
    refused("clusterip_mac_mangle", Kind::Boolean, CLUSTER_IP);

/// The refused parameters, each with the default of IPaddr2.
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
