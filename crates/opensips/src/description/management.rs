//! Parameters of the Management Interface and what is done through it.

use ocf::{Kind, Parameter};

pub(crate) static MI: Parameter = Parameter {
    name: "mi",
    reloadable: true,
    shortdesc: "Management Interface of the daemon",
    longdesc: "Management Interface of OpenSIPS: fifo:/PATH (fifo_name of module mi_fifo), \
datagram:/PATH or datagram:ADDRESS:PORT (socket_name of module mi_datagram), or \
http://ADDRESS:PORT/ROOT (modules httpd and mi_http). Default: none. ADDRESS must be a loopback \
address. Needs OpenSIPS 3.0 or newer; start refuses it with 2.x. The agent writes only to a FIFO or \
socket that belongs to the daemon's user or to root.",
    ..Parameter::TEMPLATE
};

pub(crate) static MI_FALLBACK: Parameter = Parameter {
    name: "mi_fallback",
    reloadable: true,
    shortdesc: "Management Interface where mi does not answer",
    longdesc: "Second Management Interface of OpenSIPS, which is asked where mi does not answer: \
datagram:/PATH, datagram:ADDRESS:PORT or http://ADDRESS:PORT/ROOT, as for mi. Default: none. OpenSIPS \
has a process of its own for each module, so that a command that keeps the FIFO busy does not delay \
the other one. monitor reports OCF_DEGRADED while mi does not answer. Needs mi.",
    ..Parameter::TEMPLATE
};

pub(crate) static MI_REPLY_DIR: Parameter = Parameter {
    name: "mi_reply_dir",
    default: Some("/tmp"),
    reloadable: true,
    shortdesc: "Directory of the replies of mi=fifo:",
    longdesc: "Directory in which the agent creates a FIFO for each reply of mi=fifo: (reply_dir of \
module mi_fifo). Default: /tmp, as in OpenSIPS. A directory that is used for nothing else, like \
/run/smartvox/mi, is better: start creates it if it is missing, for root and the daemon's group \
alone.",
    ..Parameter::TEMPLATE
};

pub(crate) static MI_TIMEOUT: Parameter = Parameter {
    name: "mi_timeout",
    default: Some("5s"),
    reloadable: true,
    shortdesc: "Time for one answer of the Management Interface",
    longdesc: "Time for one answer of the Management Interface, like 5s or 500ms. Default: 5s. \
OpenSIPS executes the MI commands of a FIFO or socket one after the other: dr_reload of a large table \
delays all others. Calls do not need the MI, so monitor reports OCF_DEGRADED when no answer comes in \
time. A monitor waits for a third of its timeout at most, and below check level 10 for 2 seconds. promote \
waits longer for its sharing tags, up to half of its timeout.",
    ..Parameter::TEMPLATE
};

pub(crate) static SHARING_TAG: Parameter = Parameter {
    name: "sharing_tag",
    reloadable: true,
    shortdesc: "Sharing tags of the promoted instance",
    longdesc: "Sharing tags of module clusterer that the promoted instance holds, as TAG/CLUSTER (for \
example vip/1), separated by commas or spaces. Default: none. promote activates them, and monitor \
checks that they stay active: it activates them again when they are lost, and reports OCF_DEGRADED. \
If the MI does not answer promote, the instance is promoted nevertheless, because it serves, and \
monitor activates them as soon as it can. The configuration must declare each of them as =backup, on every node: \
a node that starts with =active takes the tag from the active node, so start refuses that. validate-all with check level 10 refuses a tag that is not declared. Needs mi.",
    ..Parameter::TEMPLATE
};

pub(crate) static DEMOTE: Parameter = Parameter {
    name: "demote",
    kind: Kind::Select(&["keep", "restart"]),
    default: Some("keep"),
    reloadable: true,
    shortdesc: "What demote does about an active sharing tag",
    longdesc: "What demote does about an active sharing tag: \"keep\" or \"restart\". Default: keep. \
With \"keep\" the process goes on, and the tag leaves when another node is promoted (OpenSIPS has no \
command to give it up). With \"restart\" the daemon is restarted and returns as backup, for clusters \
in which no other node may be available. demote first checks whether OpenSIPS can be started again \
(an invalid configuration, for example); if it can't, demote fails and OpenSIPS goes on.",
    ..Parameter::TEMPLATE
};

pub(crate) static ROUTES_VERSION: Parameter = Parameter {
    name: "routes_version",
    reloadable: true,
    shortdesc: "Load the routes when this changes",
    longdesc: "A name for the version of the routes in the configuration, such as 2026-11-29. Default: none. When it \
changes, OpenSIPS loads the routes of its configuration without a restart and without closing a socket (MI \
command reload_routes): edit the configuration on every node, then run \"pcs resource update RESOURCE \
routes_version=2026-11-29\". A change of another parameter loads nothing. If opensips -C or OpenSIPS finds a \
fault in the configuration, the old routes stay, and a monitor with check level 10 returns OCF_DEGRADED. \
OpenSIPS reads the file as its own user, who must be allowed to. Everything else in the configuration needs a \
restart. Routes that somebody loads through the MI by hand are reported as changed. Needs mi.",
    ..Parameter::TEMPLATE
};

pub(crate) static SHM_LIMIT: Parameter = Parameter {
    name: "shm_limit",
    kind: Kind::Integer,
    default: Some("90"),
    reloadable: true,
    shortdesc: "Limit of shared memory in percent",
    longdesc: "Percentage of shared memory in use above which a level-10 monitor reports \
OCF_DEGRADED. Default: 90. Needs mi.",
    ..Parameter::TEMPLATE
};

pub(crate) static SHM_FAIL: Parameter = Parameter {
    name: "shm_fail",
    kind: Kind::Integer,
    default: Some("98"),
    reloadable: true,
    shortdesc: "Shared memory in percent that counts as exhausted",
    longdesc: "Percentage of shared memory in use from which on a level-10 monitor fails, if two looks within \
a second or two find it. Default: 98. Then OpenSIPS creates no transaction and refuses every INVITE with \
500, while it still answers OPTIONS. Needs mi. A monitor of level 0 sees it, too, if the script creates a \
transaction for the probe, as these lines do with sip_probe_uri=sip:ping@localhost, sip_probe_codes=200 and \
module tm:

if (is_method(\"OPTIONS\") && $rU == \"ping\" && is_myself(\"$si\")) {
    if (t_newtran()) {
        t_reply(200, \"OK\");
    } else {
        sl_send_reply(500, \"No memory\");
    }
    exit;
}",
    ..Parameter::TEMPLATE
};

pub(crate) static CHECK_READINESS: Parameter = Parameter {
    name: "check_readiness",
    kind: Kind::Boolean,
    default: Some("yes"),
    reloadable: true,
    shortdesc: "Report modules that are not ready",
    longdesc: "Whether a monitor with check level 10 asks OpenSIPS (3.3 or newer; MI command \
sr_list_status) which modules are not ready, for example because they could not load their data from the database. \
Default: yes. From one minute after the start, it returns OCF_DEGRADED with their names. A standby that is not \
ready gets the promotion score of one that lacks data (5000): a ready node is promoted first, and where there is \
none, this one serves. Use \"no\" if a module is never ready on purpose.",
    ..Parameter::TEMPLATE
};

pub(crate) static COMPARE_ROUTES: Parameter = Parameter {
    name: "compare_routes",
    kind: Kind::Boolean,
    default: Some("yes"),
    reloadable: true,
    shortdesc: "Report routes that differ between the nodes",
    longdesc: "Whether monitors with check level 10 of a promotable clone compare the routes that OpenSIPS has \
loaded on each node. Default: yes. A standby returns OCF_DEGRADED if two looks in a row find other routes on \
another node: callers would be served otherwise after a move. Comments, white space and all that is no route do not \
count. Each node publishes a digest of its routes as the node attribute smartvox-routes-RESOURCE. \"no\" is for routes \
that differ on purpose.",
    ..Parameter::TEMPLATE
};
