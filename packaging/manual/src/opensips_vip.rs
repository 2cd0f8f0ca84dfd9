//! What the page of the agent says beyond its description.

use ocf::Exit;

use crate::Manual;

/// Exit codes, reasons, files and examples of `ocf_smartvox_opensips-vip(7)`.
pub(crate) static MANUAL: Manual = Manual {
    exits: &[
        (
            Exit::Success,
            "The action did what it says. start: the address is usable and the first announcement is \
             on the wire. stop: no instance of the address is on this node. monitor: it is where it \
             belongs, and usable.",
        ),
        (
            Exit::Generic,
            "Something that may go away: no carrier, another host has the address. monitor: the \
             address is here, but not as it should be. stop: it is still here after everything was \
             tried; with fencing the node is shot.",
        ),
        (
            Exit::Args,
            "Wrong on this node: no connected network contains the address, nic or route_table does \
             not fit. Pacemaker does not start it here again until crm_resource --cleanup.",
        ),
        (Exit::Unimplemented, "Unknown action."),
        (
            Exit::Permission,
            "Without CAP_NET_ADMIN, or without CAP_NET_RAW where there is something to ask or to \
             announce (duplicate_check, announce); the reason says which.",
        ),
        (Exit::Installed, "The interface, the network namespace or IPv6 is missing on this node."),
        (
            Exit::Configured,
            "The parameters are wrong on every node. Pacemaker starts it nowhere until they are right.",
        ),
        (Exit::NotRunning, "monitor only: the address is on no interface of this node."),
        (
            Exit::Degraded,
            "monitor: the address serves, and somebody should look. Nothing is moved.",
        ),
    ],
    reasons: &[
        (
            "IP is in use by MAC on LINK: not starting a second owner",
            "Another host answers for the address. Find it by its MAC address: a node that is no \
             longer in the cluster, an IPaddr2 that was left running, a phone with a fixed address.",
        ),
        (
            "IP is claimed by MAC, too: announced again",
            "Degraded (190): found by a monitor of level 10. If the same host claims it again at the \
             next look, monitor fails. A host that merely asks for it does not count.",
        ),
        (
            "LINK has no carrier after TIME ms: check cable and switch port, or link_wait",
            "As it says. The cluster tries the other node.",
        ),
        (
            "IP is on LINK, but LINK has no carrier",
            "The cable or switch port died under the address; the cluster moves it. \
             check_link_status decides whether it does.",
        ),
        (
            "IP is on LINK, but below it LINKS is down",
            "Degraded (190): a bond, bridge or VLAN works on what is left.",
        ),
        (
            "no connected network of this node contains IP: give nic and cidr_netmask",
            "The interface can't be found in the kernel's tables: name it, and the prefix length.",
        ),
        (
            "nic=NIC: there is no such interface on this node",
            "nic may also be a MAC address or a network.",
        ),
        (
            "IP belongs on LINK, but it is there as ADDRESS on LINK",
            "Somebody has added it with another prefix or on another interface. The restart that \
             follows puts it right.",
        ),
        (
            "IP is on LINK, but no interface has an address in nic=NETWORK any more: it could not be \
             started here again",
            "Degraded (190): the node's own address of that network has gone.",
        ),
        (
            "IP is gone again right after start: does something else manage the interface?",
            "systemd-networkd, NetworkManager or keepalived: diagnose names it.",
        ),
        (
            "gateway GATEWAY does not answer IP on LINK",
            "Degraded (190): found by a monitor of level 10.",
        ),
        (
            "route_table=TABLE: USER: give a number that nobody else uses",
            "Another rule or route uses the table of gateway.",
        ),
        (
            "still there after stop: ADDRESSES",
            "stop fails, and with fencing the node is shot. The reason ends with what the kernel said.",
        ),
    ],
    files: &[
        ("/usr/lib/ocf/resource.d/smartvox/opensips-vip", "The agent."),
        (
            "/run/smartvox",
            "Locks of the announcer and of start and stop, root's alone. Gone after a boot, as the address is.",
        ),
        ("/run/netns/NAME", "The namespace of network_namespace=NAME."),
        ("/usr/share/doc/resource-agents-smartvox/examples", "Complete configurations of a pair."),
    ],
    examples: &[
        (
            "An address in the cluster; the interface and the prefix are found:",
            "# pcs resource create vip ocf:smartvox:opensips-vip ip=192.0.2.10 op monitor interval=5s",
        ),
        (
            "With a second, deeper monitor, which asks whether another host has the address:",
            "# pcs resource create vip ocf:smartvox:opensips-vip ip=192.0.2.10 nic=eth0 \\\n    \
             op monitor interval=5s op monitor interval=60s OCF_CHECK_LEVEL=10",
        ),
        (
            "By hand, on a node without a cluster; -v tells each step:",
            "# cd /usr/lib/ocf/resource.d/smartvox\n\
             # ./opensips-vip start --ip 192.0.2.77 -v\n\
             # ./opensips-vip diagnose --ip 192.0.2.77\n\
             # ./opensips-vip stop --ip 192.0.2.77",
        ),
    ],
    see_also: &[
        ("smartvox-ocf", "7"),
        ("ocf_smartvox_opensips", "7"),
        ("crm_resource", "8"),
        ("crm_mon", "8"),
        ("ip-address", "8"),
        ("pcs", "8"),
    ],
};
