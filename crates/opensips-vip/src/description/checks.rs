//! Parameters of the checks of the link and of duplicate addresses.

use ocf::{Kind, Parameter};

pub(crate) static CHECK_LINK_STATUS: Parameter = Parameter {
    name: "check_link_status",
    kind: Kind::Select(&["yes", "degraded", "no"]),
    default: Some("yes"),
    reloadable: true,
    shortdesc: "What monitor reports if the interface has no carrier",
    longdesc: "\
What monitor reports if the VIP's interface is down or has no carrier (cable unplugged, switch port
down): \"yes\", \"degraded\" or \"no\". Default: yes. With \"yes\" the cluster moves the VIP to a node that
has a carrier: monitor fails, unless a location rule on the node attribute smartvox-link-RESOURCE moves
the VIP without a failure. If no other node is known to have a carrier, monitor returns OCF_DEGRADED
(190), and the VIP stays. Each node publishes that attribute, 1 with and 0 without carrier, in every
monitor, and in one with role=Stopped where the VIP is not. With \"degraded\" the VIP always stays, and
crm_mon displays the reason. With \"no\" the carrier is not checked. \"true\" and \"false\" mean yes and no.
Loopback interfaces are never checked. If a bond, bridge or VLAN works although one of its lower interfaces is down, monitor
reports OCF_DEGRADED with both \"yes\" and \"degraded\".",
    ..Parameter::TEMPLATE
};

pub(crate) static LINK_WAIT: Parameter = Parameter {
    name: "link_wait",
    default: Some("3s"),
    reloadable: true,
    shortdesc: "How long start waits for a carrier",
    longdesc: "\
Time that start waits for a carrier: 0 to 60s. Default: 3s. Units: ms, s, m; a number without a unit is
in seconds. Without a carrier after that time start succeeds all the same: a background process probes for
a duplicate and announces the VIP when the carrier comes. If another node is known to have a carrier,
start fails instead, at once unless it has just brought the interface up, and the failure is cleared when
the carrier of this node comes. start never waits longer than its own timeout allows. Not used with
check_link_status=no.",
    ..Parameter::TEMPLATE
};

pub(crate) static DUPLICATE_CHECK: Parameter = Parameter {
    name: "duplicate_check",
    kind: Kind::Select(&["calibrated", "yes", "no"]),
    default: Some("calibrated"),
    reloadable: true,
    shortdesc: "Check for a duplicate address",
    longdesc: "\
Whether start probes for another host that has the VIP before it adds the VIP, and how long it waits for an
answer: \"calibrated\", \"yes\" or \"no\". Default: calibrated. The probe is an ARP probe (RFC 5227) or, for
IPv6, a Neighbor Solicitation. \"yes\" waits for duplicate_timeout. \"calibrated\" also asks up to three
neighbours that are known to answer: routers of the interface, then hosts in its neighbour cache. If one of
them answers twice, the link forwards frames, and start waits another 4 ms, or twice the time of the slowest
answer if that is longer. If none answers, start waits for duplicate_timeout. A switch port that does not
forward yet drops the announcements, so the announcer asks silent neighbours again for a minute, and repeats
the announcements when one of them answers. The neighbour cache of a bridge, a VLAN of a bridge or a macvlan
is not used, because guests of this host answer there without a frame on the wire. Set \"yes\" where the
router is such a guest, or where a host that can have the VIP answers much later than others do. Set \"no\"
on a link whose router answers ARP for every address. \"true\" and \"false\" mean yes and no. If another host answers, it
may be the node that is just removing the VIP: start keeps probing for duplicate_wait. A host that has
answered counts as gone after 500 ms without an answer. If it still answers at the end, start fails and
reports its MAC address, unless the previous owner is certainly off: with fencing enabled, start takes
over an address that this cluster has held before, because a switch can answer for a dead host (proxy ARP,
EVPN ARP suppression). While the announcer runs, it notes a host that answers late for the
next monitor. A recurring monitor probes too, at most once in 5 seconds, and listens for 100 ms
at most; with OCF_CHECK_LEVEL 10 or more it always probes and listens for 500 ms at least. duplicate_action
sets what follows, and if the neighbours can't be asked, monitor returns OCF_DEGRADED (190). An answer
counts as this host's own only if this host has the VIP and the interface with that MAC address can answer.",
    ..Parameter::TEMPLATE
};

pub(crate) static DUPLICATE_ACTION: Parameter = Parameter {
    name: "duplicate_action",
    kind: Kind::Select(&["defend", "fail"]),
    default: Some("defend"),
    reloadable: true,
    shortdesc: "What follows if another host has the VIP of this node",
    longdesc: "\
What follows if another host answers for the VIP while it is on this node: \"defend\" or \"fail\".
Default: defend. \"defend\": monitor returns OCF_DEGRADED (190) with the MAC address of the other host and
announces the VIP again, at most once in 10 seconds (RFC 5227 section 2.4 (c)), and once more when that
host is silent; the VIP goes on serving. A monitor below level 10 that finds such a host waits 10 seconds
before the first announcement: this node may have been frozen, and that host its successor. \"fail\": monitor fails if the same host still answers at the next
monitor of level 10, and start never takes over an address that another host answers for; the VIP then
runs nowhere until that host is gone.",
    ..Parameter::TEMPLATE
};

pub(crate) static DUPLICATE_TIMEOUT: Parameter = Parameter {
    name: "duplicate_timeout",
    default: Some("50ms"),
    reloadable: true,
    shortdesc: "How long a duplicate has to answer a probe",
    longdesc: "\
Time without an answer after which the VIP counts as free: 10ms to 10s. Default: 50ms. Units: ms, s, m; a
number without a unit is in seconds. With duplicate_check=calibrated, start waits for the whole time
only if no neighbour answers. If the carrier comes during start or later, or if the agent has seen it come in the
2 seconds before, the time is at least 500 ms: a switch port does not forward at once. The agent sends two probes in that
time, and one in each 100 ms if it is 200ms or more: raise it where frames are lost or hosts answer late.",
    ..Parameter::TEMPLATE
};

pub(crate) static DUPLICATE_WAIT: Parameter = Parameter {
    name: "duplicate_wait",
    default: Some("2s"),
    reloadable: true,
    shortdesc: "How long start waits for another host to release the VIP",
    longdesc: "\
Time that start waits for another host to release the VIP before it fails: 0 to 60s. Default: 2s. Units:
ms, s, m; a number without a unit is in seconds. start never waits longer than its own timeout allows.",
    ..Parameter::TEMPLATE
};
