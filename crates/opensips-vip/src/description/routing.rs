//! Parameters of source routing and of open connections.

use ocf::{Kind, Parameter};

pub(crate) static GATEWAY: Parameter = Parameter {
    name: "gateway",
    shortdesc: "Gateway for packets from the VIP",
    longdesc: "\
Gateway for packets that have the VIP as their source address, whatever the host's default route is.
Default: none, and the host's routes apply. For servers with several interfaces. The gateway is a router in
the VIP's network or in another network connected to its interface; any other address is refused. start adds
a rule \"from VIP lookup TABLE\", and to that table the connected network and a default route through the
gateway, both with the VIP as source. A rule before it looks up the main table without its default routes,
so that the host's other connected and static networks are reached as before. stop removes all of them;
monitor fails if one of them is missing. Refused on an interface in a VRF, as is source_for: the VRF has a
table of its own, and the agent reads the main table.",
    ..Parameter::TEMPLATE
};

pub(crate) static ROUTE_TABLE: Parameter = Parameter {
    name: "route_table",
    kind: Kind::Integer,
    shortdesc: "Routing table of the VIP",
    longdesc: "\
Number of the routing table for gateway: 1 to 4294967295, except 253 to 255. Default: a table of the
agent's own, numbered from 1000000000 by the last bits of the VIP, or the next unused one. Each VIP needs
its own table: start fails if the table contains routes of something else.",
    ..Parameter::TEMPLATE
};

pub(crate) static SOURCE_FOR: Parameter = Parameter {
    name: "source_for",
    shortdesc: "Destinations to which the host uses the VIP as source",
    longdesc: "\
Networks, separated by commas, to which this host's own packets have the VIP as their source address while
the VIP is on this node. Default: none. \"0.0.0.0/0\" means the default route. Replaces
ocf:heartbeat:IPsrcaddr. start adds a copy of the main table's route with the VIP as source, which the
kernel prefers; stop removes the copy, and the original route is never changed. monitor fails if the copy
is missing or the original (its next hops and metrics such as the MTU included) has changed since start.
Routes for a type of service or from a source network, and those whose lifetime is over, are not copied.
Limitation for IPv4: the copy precedes the original, with the same metric. \"ip route replace default\" or
\"ip route del default\", run by a DHCP client or a script, therefore changes the copy instead of the
original. monitor detects that, and the restart makes a new copy. Where routes change while the host runs,
use gateway instead.",
    ..Parameter::TEMPLATE
};

pub(crate) static DRAIN: Parameter = Parameter {
    name: "drain",
    default: Some("0"),
    reloadable: true,
    shortdesc: "How long stop waits for what has been received to be answered",
    longdesc: "\
Longest time for which stop waits for a server that is bound to the VIP to answer or forward what it has
received: 0 to 1s. Default: 0, no wait. Units: ms, s, m; a number without a unit is in seconds. If sockets are
bound to the VIP, stop first makes the host accept no more packets for it, while the host can still send from
it. stop removes the address when those sockets have been empty for 5 ms, or when this time is over. Callers
retransmit meanwhile, and the new node answers. For servers that keep running without the VIP (hot standby):
without drain, a request that was answered with 100 Trying but not yet forwarded is lost when the address
goes, about one call in some thousands for each move. 20ms is enough for a server that is not overloaded. If
stop is killed while it waits, monitor fails because the host accepts no packets for the VIP, and a restart
repairs that. drain never makes stop fail.",
    ..Parameter::TEMPLATE
};

pub(crate) static CLOSE_CONNECTIONS: Parameter = Parameter {
    name: "close_connections",
    kind: Kind::Boolean,
    default: Some("no"),
    reloadable: true,
    shortdesc: "Close TCP connections of the VIP on stop",
    longdesc: "\
Whether stop resets the TCP connections from and to the VIP before it removes the address. Default: no.
Peers then reconnect immediately instead of waiting for a timeout.",
    ..Parameter::TEMPLATE
};
