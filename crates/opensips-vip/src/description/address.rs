//! Parameters of the address itself, and of its place.

use ocf::{Kind, Parameter};

/// `ip`
pub(crate) static IP: Parameter = Parameter {
    name: "ip",
    required: true,
    unique_group: Some("address"),
    shortdesc: "IPv4 or IPv6 address of the SIP service",
    longdesc: "\
The virtual IP address (VIP) that phones, trunks and session border controllers know, for example
\"192.0.2.10\" or \"2001:db8::10\", in any valid spelling: it is compared as an address, never as
text. It is on one cluster node at a time. A link-local IPv6 address needs nic, as a name: on
another interface the same address is another one, and left alone; the interface must keep its name
while the address is on it.",
    ..Parameter::TEMPLATE
};

/// `nic`
pub(crate) static NIC: Parameter = Parameter {
    name: "nic",
    shortdesc: "Network interface",
    longdesc: "\
Interface that carries the VIP: its name or one of its altnames (\"eth0\", \"bond0.100\"), or its
MAC address (\"02:00:00:aa:bb:cc\"), or a network (\"192.0.2.0/24\"): the interface that has an
address in it, for nodes whose interface names differ. \"eth0:label\" is taken as nic and iflabel.
Without it, start takes the interface of the connected network that contains the VIP (the most
specific one); if two interfaces are equally good, start fails and asks for nic. monitor then
accepts the VIP on any interface, but not on the loopback interface where a connected network
contains it.",
    ..Parameter::TEMPLATE
};

/// `cidr_netmask`
pub(crate) static CIDR_NETMASK: Parameter = Parameter {
    name: "cidr_netmask",
    shortdesc: "Prefix length or netmask",
    longdesc: "\
Prefix length of the VIP, for example \"24\" or, for IPv6, \"64\"; a dotted mask like
\"255.255.255.0\" is accepted too. Without it, start takes that of the connected network that
contains the VIP, and monitor accepts any.",
    ..Parameter::TEMPLATE
};

/// `broadcast`
pub(crate) static BROADCAST: Parameter = Parameter {
    name: "broadcast",
    shortdesc: "Broadcast address",
    longdesc: "\
Broadcast address that is set along with the VIP. \"+\", the default: all host bits one, none for
/31 and /32. \"-\": all host bits zero. Or an IPv4 address. IPv4 only.",
    ..Parameter::TEMPLATE
};

/// `iflabel`
pub(crate) static IFLABEL: Parameter = Parameter {
    name: "iflabel",
    shortdesc: "Address label",
    longdesc: "\
Label of the VIP as old tools like ifconfig show it: \"sip\" on eth0 makes \"eth0:sip\". The
interface's name, the colon and the label may have 15 bytes together. IPv4 only.",
    ..Parameter::TEMPLATE
};

/// `noprefixroute`
pub(crate) static NOPREFIXROUTE: Parameter = Parameter {
    name: "noprefixroute",
    kind: Kind::Boolean,
    default: Some("no"),
    shortdesc: "Make no route of the connected network",
    longdesc: "\
With \"yes\" the kernel makes no route of the connected network for the VIP.",
    ..Parameter::TEMPLATE
};

/// `preferred_lft`
pub(crate) static PREFERRED_LFT: Parameter = Parameter {
    name: "preferred_lft",
    default: Some("forever"),
    shortdesc: "How long the VIP may be a source address",
    longdesc: "\
For how many seconds after start the VIP may be chosen as the source address of new connections:
\"forever\", or a number of seconds. With \"0\" it never is, unless a program binds to it; the VIP
serves all the same.",
    ..Parameter::TEMPLATE
};

/// `nodad`
pub(crate) static NODAD: Parameter = Parameter {
    name: "nodad",
    default: Some("auto"),
    shortdesc: "Skip the kernel's duplicate address detection",
    longdesc: "\
IPv6: whether the kernel's own duplicate address detection is skipped, which takes a second or two
before the VIP serves. \"auto\": it is skipped when the agent's own check (duplicate_check) has just
found the address free. \"yes\": always. \"no\": never. true and false mean yes and no.",
    ..Parameter::TEMPLATE
};

/// `network_namespace`
pub(crate) static NETWORK_NAMESPACE: Parameter = Parameter {
    name: "network_namespace",
    unique_group: Some("address"),
    shortdesc: "Network namespace",
    longdesc: "\
Name of the network namespace, as ip-netns(8) knows it, in which the VIP is managed. Where there is
no such namespace, the VIP is not running: monitor says so, stop succeeds, start fails. One that was
deleted while programs run in it lives on without its name: the VIP is in it until stop.",
    ..Parameter::TEMPLATE
};
