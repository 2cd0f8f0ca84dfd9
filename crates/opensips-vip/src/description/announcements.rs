//! Parameters of the announcements.

use ocf::{Kind, Parameter};

pub(crate) static ANNOUNCE: Parameter = Parameter {
    name: "announce",
    kind: Kind::Select(&["request", "reply", "both", "none"]),
    default: Some("request"),
    reloadable: true,
    shortdesc: "Form of the gratuitous ARP",
    longdesc: "\
Form of the gratuitous ARP that announces the VIP to its neighbours: \"request\", \"reply\", \"both\" or
\"none\". Default: request. \"request\" sends ARP requests as in RFC 5227, which every network stack
understands. \"reply\" sends ARP replies, for devices that accept only these. \"none\" sends nothing.
For IPv6 every value except \"none\" sends unsolicited Neighbor Advertisements. Nothing is sent on
interfaces without ARP (loopback, dummy, tunnels).",
    ..Parameter::TEMPLATE
};

pub(crate) static ANNOUNCE_SCHEDULE: Parameter = Parameter {
    name: "announce_schedule",
    default: Some("0,50,250,1000,2000,5000"),
    reloadable: true,
    shortdesc: "Times of the announcements, in ms",
    longdesc: "\
Times of the announcements in milliseconds after the VIP was added, in increasing order, beginning with
0. Default: 0,50,250,1000,2000,5000. At most 32 times, at most 600000 (ten minutes). start sends the
first announcement before it returns; a background process sends the others, and stop ends that process
first. While the interface has no carrier, or refuses to send (a full queue, a packet filter), no
announcement is sent; the background process waits for as long as that lasts, and monitor returns
OCF_DEGRADED (190). When the interface can send again, or its MAC address changes, the schedule begins
again, also if that is first noticed by a monitor. When the interface can send again, and after a pause of
the node of more than a second, the agent first probes for another host with the VIP, unless
duplicate_check=no, and announces nothing while one answers.",
    ..Parameter::TEMPLATE
};

pub(crate) static ANNOUNCE_TARGETS: Parameter = Parameter {
    name: "announce_targets",
    reloadable: true,
    shortdesc: "Hosts that also get a unicast announcement",
    longdesc: "\
Addresses of hosts on the link, separated by commas, that also get each announcement as unicast, those of
monitor included. Default: none. For firewalls and session border controllers that ignore broadcast announcements. \"gateway\"
means the parameter gateway or, without it, the gateway of the default route on the VIP's interface. The
agent first resolves the MAC address of each host with a request that has the VIP as its source.",
    ..Parameter::TEMPLATE
};

pub(crate) static ARP_COUNT: Parameter = Parameter {
    name: "arp_count",
    kind: Kind::Integer,
    reloadable: true,
    shortdesc: "Number of announcements (IPaddr2)",
    longdesc: "\
Number of announcements, as in IPaddr2: 1 to 1000, at intervals of arp_interval. Default: not set, and
announce_schedule applies. If arp_count or arp_interval is set, they replace announce_schedule; arp_count
is then 5 if it is not set.",
    ..Parameter::TEMPLATE
};

pub(crate) static ARP_INTERVAL: Parameter = Parameter {
    name: "arp_interval",
    kind: Kind::Integer,
    reloadable: true,
    shortdesc: "Interval between announcements (IPaddr2), in ms",
    longdesc: "\
Interval between the announcements of arp_count in milliseconds, as in IPaddr2: 1 to 60000. Default: 200
if arp_count is set; otherwise announce_schedule applies.",
    ..Parameter::TEMPLATE
};

pub(crate) static ARP_BG: Parameter = Parameter {
    name: "arp_bg",
    kind: Kind::Boolean,
    default: Some("yes"),
    reloadable: true,
    shortdesc: "Announce in the background",
    longdesc: "\
Whether a background process sends all announcements after the first, as in IPaddr2. Default: yes. With
\"no\" start returns after the last announcement, or when its timeout leaves no more time.",
    ..Parameter::TEMPLATE
};

pub(crate) static ARP_COUNT_REFRESH: Parameter = Parameter {
    name: "arp_count_refresh",
    kind: Kind::Integer,
    default: Some("0"),
    reloadable: true,
    shortdesc: "Announcements per monitor",
    longdesc: "\
Number of announcements that each recurring monitor sends if the VIP is usable, as in IPaddr2: 0 to 100.
Default: 0.",
    ..Parameter::TEMPLATE
};
