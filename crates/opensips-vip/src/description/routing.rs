//! Parameters of source routing, and of what becomes of connections.

use ocf::{Kind, Parameter};

/// `gateway`
pub(crate) static GATEWAY: Parameter = Parameter {
    name: "gateway",
    shortdesc: "Gateway for packets from the VIP",
    longdesc: "\
Source routing for a server with several interfaces: packets from the VIP leave through this gateway,
whatever the default route of the host says. start makes a rule \"from VIP lookup TABLE\", and in that
table the connected network and a default route through the gateway, both with the VIP as source; stop
removes them. monitor fails if one is missing.",
    ..Parameter::TEMPLATE
};

/// `route_table`
pub(crate) static ROUTE_TABLE: Parameter = Parameter {
    name: "route_table",
    kind: Kind::Integer,
    shortdesc: "Routing table of the VIP",
    longdesc: "\
Number of the table for gateway, 1 to 4294967295 without 253 to 255. Without it the agent uses one of
its own, 1000000000 and more, made of the last bits of the VIP, or the next one that is free. Each VIP
needs its own: start fails if somebody else has routes in this table.",
    ..Parameter::TEMPLATE
};

/// `source_for`
pub(crate) static SOURCE_FOR: Parameter = Parameter {
    name: "source_for",
    shortdesc: "Destinations that are reached from the VIP",
    longdesc: "\
Networks, separated by commas, to which this host's own packets have the VIP as their source while it
is here: \"0.0.0.0/0\" is the default route. The route of the main table gets a copy with that source,
which the kernel prefers; the route itself is not touched, and with the copy everything is as it was.
monitor fails if it is missing, or the route has changed since. Replaces ocf:heartbeat:IPsrcaddr.
The limit of this, for IPv4: the copy stands before the route with the same metric. A program that then
says \"ip route replace default ...\" or \"ip route del default\" (a DHCP client, a script of the
administrator's) changes the copy and not its own route, and packets go the old way. monitor notices,
and the restart makes the copy anew, of the route as it is then. Where routes change while the host
runs, use gateway.",
    ..Parameter::TEMPLATE
};

/// `close_connections`
pub(crate) static CLOSE_CONNECTIONS: Parameter = Parameter {
    name: "close_connections",
    kind: Kind::Boolean,
    default: Some("no"),
    reloadable: true,
    shortdesc: "Close TCP connections of the VIP on stop",
    longdesc: "\
With \"yes\" stop resets the TCP connections from and to the VIP before it removes the address, so that
the other ends connect again at once instead of waiting for a timeout.",
    ..Parameter::TEMPLATE
};
