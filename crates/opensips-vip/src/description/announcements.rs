//! Parameters of the announcements.

use ocf::{Kind, Parameter};

/// `announce`
pub(crate) static ANNOUNCE: Parameter = Parameter {
    name: "announce",
    kind: Kind::Select(&["request", "reply", "both", "none"]),
    default: Some("request"),
    reloadable: true,
    shortdesc: "Form of the gratuitous ARP",
    longdesc: "\
How the neighbours are told that the VIP has moved. \"request\": gratuitous ARP requests, the form
of RFC 5227 that every stack understands. \"reply\": gratuitous ARP replies, for devices that
listen to these only. \"both\": one after the other. \"none\": nothing is sent. Never sent on
interfaces without ARP (loopback, dummy, tunnels).
For IPv6 each but \"none\" means unsolicited Neighbor Advertisements.",
    ..Parameter::TEMPLATE
};

/// `announce_schedule`
pub(crate) static ANNOUNCE_SCHEDULE: Parameter = Parameter {
    name: "announce_schedule",
    default: Some("0,50,250,1000,2000,5000"),
    reloadable: true,
    shortdesc: "When announcements are sent, in ms",
    longdesc: "\
Milliseconds after the VIP came up at which announcements are sent: increasing, beginning with 0, 32
at most, 600000 (ten minutes) at most. The first one is on the wire before start returns, the others
are sent by a background process that stop ends first. While the link has no carrier they wait;
when the carrier is back, or the interface has got another hardware address, they begin anew.",
    ..Parameter::TEMPLATE
};

/// `announce_targets`
pub(crate) static ANNOUNCE_TARGETS: Parameter = Parameter {
    name: "announce_targets",
    reloadable: true,
    shortdesc: "Hosts that are also told alone",
    longdesc: "\
Addresses of hosts on the link, separated by commas, to which each announcement goes once more, to
them alone: for firewalls and session border controllers that ignore what is said to everybody.
\"gateway\" is the gateway of the default route on the VIP's interface, or that of the parameter
gateway. Each is first asked for its hardware address, from the VIP.",
    ..Parameter::TEMPLATE
};

/// `arp_count`
pub(crate) static ARP_COUNT: Parameter = Parameter {
    name: "arp_count",
    kind: Kind::Integer,
    reloadable: true,
    shortdesc: "How many announcements (IPaddr2)",
    longdesc: "\
As in IPaddr2: number of announcements, 1 to 1000, arp_interval apart. Given, or given arp_interval,
it takes the place of announce_schedule; it is 5 then where it is not given itself.",
    ..Parameter::TEMPLATE
};

/// `arp_interval`
pub(crate) static ARP_INTERVAL: Parameter = Parameter {
    name: "arp_interval",
    kind: Kind::Integer,
    reloadable: true,
    shortdesc: "Time between announcements (IPaddr2), in ms",
    longdesc: "\
As in IPaddr2: milliseconds between the announcements of arp_count, 1 to 60000; 200 where only
arp_count is given.",
    ..Parameter::TEMPLATE
};

/// `arp_bg`
pub(crate) static ARP_BG: Parameter = Parameter {
    name: "arp_bg",
    kind: Kind::Boolean,
    default: Some("yes"),
    reloadable: true,
    shortdesc: "Announce in the background",
    longdesc: "\
As in IPaddr2: with \"no\" start returns after the last announcement, or when its time is used up.",
    ..Parameter::TEMPLATE
};

/// `arp_count_refresh`
pub(crate) static ARP_COUNT_REFRESH: Parameter = Parameter {
    name: "arp_count_refresh",
    kind: Kind::Integer,
    default: Some("0"),
    reloadable: true,
    shortdesc: "Announcements of every monitor",
    longdesc: "\
As in IPaddr2: how many announcements each recurring monitor sends that finds the VIP usable, 0 to
100.",
    ..Parameter::TEMPLATE
};
