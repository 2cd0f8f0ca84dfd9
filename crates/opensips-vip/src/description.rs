//! What the agent says about itself: parameters and actions, once for parsing, `--help`,
//! meta-data and manual page.

use ocf::{Action, ActionDescription, Description, Kind, Parameter};

/// `ip`
pub static IP: Parameter = Parameter {
    name: "ip",
    required: true,
    unique_group: Some("address"),
    shortdesc: "IPv4 address of the SIP service",
    longdesc: "\
The virtual IP address (VIP) that phones, trunks and session border controllers know, in dotted
form, for example \"192.0.2.10\". It is on one cluster node at a time.
This version handles IPv4; an IPv6 address is refused.",
    ..Parameter::TEMPLATE
};

/// `nic`
pub static NIC: Parameter = Parameter {
    name: "nic",
    shortdesc: "Network interface",
    longdesc: "\
Interface that carries the VIP: its name or one of its altnames, for example \"eth0\", \"bond0.100\".
Without it, start takes the interface of the connected network that contains the VIP (the most
specific one); if two interfaces are equally good, start fails and asks for nic. monitor then
accepts the VIP on any interface.
Give the name only; a label goes into iflabel.",
    ..Parameter::TEMPLATE
};

/// `cidr_netmask`
pub static CIDR_NETMASK: Parameter = Parameter {
    name: "cidr_netmask",
    shortdesc: "Prefix length or netmask",
    longdesc: "\
Prefix length of the VIP, 1 to 32, for example \"24\"; a dotted mask like \"255.255.255.0\" is
accepted too. Without it, start takes the mask of the connected network that contains the VIP, and
monitor accepts any.",
    ..Parameter::TEMPLATE
};

/// `broadcast`
pub static BROADCAST: Parameter = Parameter {
    name: "broadcast",
    shortdesc: "Broadcast address",
    longdesc: "\
Broadcast address that is set along with the VIP. \"+\", the default: all host bits one, none for
/31 and /32. \"-\": all host bits zero. Or an IPv4 address.",
    ..Parameter::TEMPLATE
};

/// `iflabel`
pub static IFLABEL: Parameter = Parameter {
    name: "iflabel",
    shortdesc: "Address label",
    longdesc: "\
Label of the VIP as old tools like ifconfig show it: \"sip\" on eth0 makes \"eth0:sip\". The
interface's name, the colon and the label may have 15 bytes together.",
    ..Parameter::TEMPLATE
};

/// `check_link_status`
pub static CHECK_LINK_STATUS: Parameter = Parameter {
    name: "check_link_status",
    kind: Kind::Select(&["yes", "degraded", "no"]),
    default: Some("yes"),
    reloadable: true,
    shortdesc: "What a link without carrier means",
    longdesc: "\
What it means when the interface of the VIP is down or has no carrier (cable out, switch port
down). \"yes\": monitor fails, and the cluster moves the VIP. \"degraded\": monitor tells
OCF_DEGRADED (190), the VIP stays and crm_mon shows the reason. \"no\": nothing. The values true and
false of IPaddr2 mean yes and no. An interface of loopback type is never checked.",
    ..Parameter::TEMPLATE
};

/// `link_wait`
pub static LINK_WAIT: Parameter = Parameter {
    name: "link_wait",
    default: Some("3s"),
    reloadable: true,
    shortdesc: "How long start waits for carrier",
    longdesc: "\
How long start waits for a carrier before it fails, for links that autonegotiate or that start had
to bring up: 0 to 60s, and never longer than the timeout of the start operation allows. Units: ms,
s, m; seconds without a unit. Not used with check_link_status=no.",
    ..Parameter::TEMPLATE
};

/// `announce`
pub static ANNOUNCE: Parameter = Parameter {
    name: "announce",
    kind: Kind::Select(&["request", "reply", "both", "none"]),
    default: Some("request"),
    reloadable: true,
    shortdesc: "Form of the gratuitous ARP",
    longdesc: "\
How the neighbours are told that the VIP has moved. \"request\": gratuitous ARP requests, the form
of RFC 5227 that every stack understands. \"reply\": gratuitous ARP replies, for devices that
listen to these only. \"both\": one after the other. \"none\": nothing is sent. Never sent on
interfaces without ARP (loopback, dummy, tunnels).",
    ..Parameter::TEMPLATE
};

/// `announce_schedule`
pub static ANNOUNCE_SCHEDULE: Parameter = Parameter {
    name: "announce_schedule",
    default: Some("0,50,250,1000,2000,5000"),
    reloadable: true,
    shortdesc: "When announcements are sent, in ms",
    longdesc: "\
Milliseconds after the VIP came up at which announcements are sent: increasing, beginning with 0, 32
at most, 600000 (ten minutes) at most. The first one is on the wire before start returns, the others
are sent by a background process that stop ends first. While the link has no carrier they wait;
when the carrier is back they begin anew.",
    ..Parameter::TEMPLATE
};

/// The agent.
pub static DESCRIPTION: Description = Description {
    name: "opensips-vip",
    version: env!("CARGO_PKG_VERSION"),
    shortdesc: "Virtual IPv4 address of a SIP cluster",
    longdesc: "\
The virtual IP address (VIP) of a cluster of SIP servers such as OpenSIPS: puts it on this node, tells
the neighbours by gratuitous ARP, proves that it is usable, and takes it away completely.

start sends the first announcement before it returns. stop removes every instance of the address
from the node, whatever its prefix, interface or label, and other addresses of the same subnet stay;
it succeeds only when the kernel shows no instance any more. monitor checks address, prefix,
interface and carrier, and starts no other process.

The parameters of ocf:heartbeat:IPaddr2 that are known here have the same names and meanings.",
    parameters: &[
        &IP,
        &NIC,
        &CIDR_NETMASK,
        &BROADCAST,
        &IFLABEL,
        &CHECK_LINK_STATUS,
        &LINK_WAIT,
        &ANNOUNCE,
        &ANNOUNCE_SCHEDULE,
    ],
    actions: &[
        ActionDescription::new(Action::Start, 20),
        ActionDescription::new(Action::Stop, 20),
        ActionDescription {
            interval_s: Some(10),
            depth: Some(0),
            ..ActionDescription::new(Action::Monitor, 20)
        },
        ActionDescription::new(Action::ReloadAgent, 20),
        ActionDescription::new(Action::ValidateAll, 20),
        ActionDescription::new(Action::MetaData, 5),
    ],
};
