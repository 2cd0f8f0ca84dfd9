//! Parameters of the sockets and the addresses below them.

use ocf::{Kind, Parameter};

pub(crate) static VIP: Parameter = Parameter {
    name: "vip",
    reloadable: true,
    shortdesc: "Virtual IP addresses of the instance",
    longdesc: "Virtual addresses that this instance serves, IPv4 or IPv6, separated by commas or \
spaces. Default: none. If one of them is on this host, monitor sends OPTIONS there first, and a socket \
must serve it. If none does and a restart opens one (a socket of * or of an interface, whose address came \
after the start), monitor fails once; if no restart helps, as with another address in the configuration, \
with 0.0.0.0, whose answers over UDP leave from another address, or in a promotable clone, it returns \
OCF_DEGRADED. validate-all with check level 10 logs a warning.",
    ..Parameter::TEMPLATE
};

pub(crate) static NONLOCAL_BIND: Parameter = Parameter {
    name: "nonlocal_bind",
    kind: Kind::Select(&["check", "ensure", "ignore"]),
    default: Some("check"),
    reloadable: true,
    shortdesc: "Sockets on addresses that are not on this host",
    longdesc: "What start does if a declared socket is on an address that this host does not have \
and the kernel does not allow that: \"check\", \"ensure\" or \"ignore\". Default: check. With \
\"check\" start fails before OpenSIPS does and names the setting (net.ipv4.ip_nonlocal_bind, \
net.ipv6.ip_nonlocal_bind). With \"ensure\" start switches the setting on; it stays on after stop and \
after a start that fails, and a file in /etc/sysctl.d makes it permanent. With \"ignore\" OpenSIPS \
tries to open the socket. monitor returns OCF_DEGRADED (190) if the next start fails for lack of \
the setting: if such an address is not on this host, and in a promotable clone also while an \
address of vip is on this host, because it leaves with the promoted role.",
    ..Parameter::TEMPLATE
};

pub(crate) static LISTENERS: Parameter = Parameter {
    name: "listeners",
    reloadable: true,
    shortdesc: "Sockets that must be open",
    longdesc: "Sockets that must be open while the instance runs, as PROTOCOL:ADDRESS:PORT, separated \
by commas or spaces, for example \"udp:192.0.2.10:5060 tls:[2001:db8::10]:5061\". Default: the \
sockets that the configuration check prints; those that are given here are required besides them. \
start waits until they are open. monitor fails if one of them is closed or held by another program, \
and names it. Needed for sockets that the check does not print (module sockets_mgm; what is not SIP, \
as unknown_tcp: or unknown_udp:), for a list that the agent does not understand (monitor then returns \
OCF_DEGRADED and says so), with start_check=no, and for an instance that monitor finds and \
this agent has not started.",
    ..Parameter::TEMPLATE
};
