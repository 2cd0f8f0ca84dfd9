//! Parameters of what is checked: link, duplicates.

use ocf::{Kind, Parameter};

/// `check_link_status`
pub(crate) static CHECK_LINK_STATUS: Parameter = Parameter {
    name: "check_link_status",
    kind: Kind::Select(&["yes", "degraded", "no"]),
    default: Some("yes"),
    reloadable: true,
    shortdesc: "What a link without carrier means",
    longdesc: "\
What it means when the interface of the VIP is down or has no carrier (cable out, switch port
down). \"yes\": monitor fails, and the cluster moves the VIP. \"degraded\": monitor tells
OCF_DEGRADED (190), the VIP stays and crm_mon shows the reason. \"no\": nothing. The values true and
false of IPaddr2 mean yes and no. An interface of loopback type is never checked.
A bond, bridge or VLAN that works although something below it is down is degraded, unless \"no\".",
    ..Parameter::TEMPLATE
};

/// `link_wait`
pub(crate) static LINK_WAIT: Parameter = Parameter {
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

/// `duplicate_check`
pub(crate) static DUPLICATE_CHECK: Parameter = Parameter {
    name: "duplicate_check",
    kind: Kind::Boolean,
    default: Some("yes"),
    reloadable: true,
    shortdesc: "Ask whether another host has the VIP",
    longdesc: "\
Before start adds the VIP it asks on the link whether another host has it: an ARP probe (RFC 5227), for
IPv6 a Neighbor Solicitation. Who answers may be the node that is just giving it up: start keeps
asking for duplicate_wait, then it fails and names the other's MAC address; who has answered has to be
silent for 500 ms until it is believed to have let go. A monitor with
OCF_CHECK_LEVEL 10 or more asks, too: a rival found once is degraded (190), and the VIP is announced
again; one that persists is a failure. Choose \"no\" on a link whose router answers ARP for
everybody (proxy ARP).",
    ..Parameter::TEMPLATE
};

/// `duplicate_timeout`
pub(crate) static DUPLICATE_TIMEOUT: Parameter = Parameter {
    name: "duplicate_timeout",
    default: Some("50ms"),
    reloadable: true,
    shortdesc: "Silence that counts as free",
    longdesc: "\
How long nobody may answer for the VIP to count as free: 10ms to 10s. Units: ms, s, m; seconds
without a unit. The question is asked twice in that time.",
    ..Parameter::TEMPLATE
};

/// `duplicate_wait`
pub(crate) static DUPLICATE_WAIT: Parameter = Parameter {
    name: "duplicate_wait",
    default: Some("2s"),
    reloadable: true,
    shortdesc: "How long a rival may take to let go",
    longdesc: "\
How long start waits for another host to give the VIP up before it fails: 0 to 60s, and never longer
than the timeout of the start operation allows.",
    ..Parameter::TEMPLATE
};
