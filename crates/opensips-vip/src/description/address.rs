//! Parameters of the address itself and of the interface that carries it.

use ocf::{Kind, Parameter};

pub(crate) static IP: Parameter = Parameter {
    name: "ip",
    required: true,
    unique_group: Some("address"),
    shortdesc: "IPv4 or IPv6 address of the SIP service",
    longdesc: "\
The virtual IP address (VIP) of the SIP service, for example \"192.0.2.10\" or \"2001:db8::10\".
It is on one cluster node at a time, and phones, trunks and session border controllers are configured
with it. Every valid spelling of an IPv6 address is accepted. A link-local IPv6 address also needs nic
as the name of an interface, because the same address on another interface is a different one. start notes
the interface: if it is renamed, monitor fails and stop removes the address from it.",
    ..Parameter::TEMPLATE
};

pub(crate) static NIC: Parameter = Parameter {
    name: "nic",
    shortdesc: "Network interface",
    longdesc: "\
Network interface that carries the VIP: its name, its MAC address or a network that it has an address
in. Default: the interface whose connected network contains the VIP.
Examples: \"eth0\", \"bond0.100\", an altname, \"02:00:00:aa:bb:cc\", or \"192.0.2.0/24\" for nodes
whose interface names differ. \"eth0:label\" sets nic and iflabel. Without nic, start chooses the most
specific connected network and fails if two interfaces match equally well; monitor then accepts the VIP
on any interface, except on the loopback interface while a connected network contains the VIP. If the
interface or its network is not there yet (at boot, for example), start waits up to 5 seconds for it.
A port of a bridge, bond, team or Open vSwitch is refused, because no other host reaches an address on it;
if the interface of a running VIP becomes one, monitor returns OCF_DEGRADED (190). The interfaces of a VRF
are accepted.",
    ..Parameter::TEMPLATE
};

pub(crate) static CIDR_NETMASK: Parameter = Parameter {
    name: "cidr_netmask",
    shortdesc: "Prefix length or netmask",
    longdesc: "\
Prefix length or dotted netmask of the VIP, for example \"24\", \"255.255.255.0\" or, for IPv6, \"64\".
Default: the prefix length of the connected network that contains the VIP. Without this parameter,
monitor accepts the VIP with any prefix length.",
    ..Parameter::TEMPLATE
};

pub(crate) static BROADCAST: Parameter = Parameter {
    name: "broadcast",
    shortdesc: "Broadcast address",
    longdesc: "\
Broadcast address that is set together with the VIP: \"+\", \"-\" or an IPv4 address. Default: \"+\".
\"+\" sets all host bits to one, and no broadcast address for /31 and /32. \"-\" sets all host bits to
zero. IPv4 only.",
    ..Parameter::TEMPLATE
};

pub(crate) static IFLABEL: Parameter = Parameter {
    name: "iflabel",
    shortdesc: "Address label",
    longdesc: "\
Label of the VIP that ip-address(8) and ifconfig display: \"sip\" on eth0 becomes \"eth0:sip\". Default:
no label. The name of the interface, the colon and the label have at most 15 bytes together. IPv4 only.",
    ..Parameter::TEMPLATE
};

pub(crate) static NOPREFIXROUTE: Parameter = Parameter {
    name: "noprefixroute",
    kind: Kind::Boolean,
    default: Some("no"),
    shortdesc: "Do not add the route of the connected network",
    longdesc: "\
Whether the kernel adds the VIP without the route of its connected network. Default: no. Where the
network of an IPv6 VIP already has a route on the interface that the kernel did not add (by a router
advertisement, an administrator or NetworkManager), start always adds the VIP without one, because with
the VIP the kernel would delete that route.",
    ..Parameter::TEMPLATE
};

pub(crate) static PREFERRED_LFT: Parameter = Parameter {
    name: "preferred_lft",
    shortdesc: "Preferred lifetime of an IPv6 VIP, in seconds",
    longdesc: "\
Number of seconds after start during which the kernel may select an IPv6 VIP as the source address of new
connections of this host, or \"forever\". Default: 0, which means that only programs that bind to the VIP
use it as their source address (ip-address(8) displays \"deprecated\"); the VIP accepts connections in any
case. Not used for IPv4, where start keeps the host's own address before the VIP. source_for is the
parameter that makes the VIP the source address for chosen destinations.",
    ..Parameter::TEMPLATE
};

pub(crate) static NODAD: Parameter = Parameter {
    name: "nodad",
    default: Some("auto"),
    shortdesc: "Skip the kernel's duplicate address detection",
    longdesc: "\
Whether an IPv6 VIP skips the kernel's duplicate address detection: \"auto\", \"yes\" or \"no\".
Default: auto. The detection delays start by one or two seconds. \"auto\" skips it if the agent's own
check (duplicate_check) has just found no duplicate. \"yes\" always skips it. \"no\" skips it
only on a link without carrier, or where the network has come late, if routes need the VIP as their source
(gateway, source_for): the kernel refuses such a route until the detection has ended. \"auto\" skips it
there, too. \"true\" and \"false\" mean yes and no.",
    ..Parameter::TEMPLATE
};

pub(crate) static NETWORK_NAMESPACE: Parameter = Parameter {
    name: "network_namespace",
    unique_group: Some("address"),
    shortdesc: "Network namespace",
    longdesc: "\
Name of the network namespace, as in ip-netns(8), in which the VIP is managed. Default: the namespace of
the cluster manager. If no such namespace exists, monitor reports that the VIP is not running, stop
succeeds and start fails after a wait of up to 5 seconds. A namespace whose name was deleted while
programs run in it still exists without a name: the VIP stays in it until stop.",
    ..Parameter::TEMPLATE
};
