//! The content of the page that is not in the description of the agent.

use ocf::Exit;

use crate::Manual;

/// Exit codes, reasons, files and examples of `ocf_smartvox_opensips-vip(7)`.
pub(crate) static MANUAL: Manual = Manual {
    exits: &[
        (
            Exit::Success,
            "The action succeeded. start: the kernel uses the address and the first announcement is \
             sent, unless the interface can't send. stop: no instance of the address is on this node. monitor: the address is on \
             the right interface, and the kernel uses it. Neither examines the packet filters of the node.",
        ),
        (
            Exit::Generic,
            "A failure that a retry or another node can heal, such as a carrier that only another node has, a \
             duplicate address, or an interface, network namespace, connected network or route that \
             this node does not have; start waits up to 5 seconds for these to come. monitor: the address is on this node, but not as configured. stop: \
             the address is still on this node after every attempt; with fencing, the node is \
             fenced.",
        ),
        (
            Exit::Args,
            "The parameters contradict each other on this node: the interface's name with iflabel is \
             too long. Pacemaker does not start the resource on this node again until crm_resource \
             --cleanup.",
        ),
        (Exit::Unimplemented, "Unknown action."),
        (
            Exit::Permission,
            "CAP_NET_ADMIN is missing, or CAP_NET_RAW where duplicate_check or announce needs it; \
             the reason names the capability. stop that can't delete the address returns 1.",
        ),
        (Exit::Installed, "The kernel of this node has no IPv6, which the address needs."),
        (
            Exit::Configured,
            "The parameters are wrong on every node. Pacemaker starts the resource on no node \
             until they are corrected.",
        ),
        (
            Exit::NotRunning,
            "monitor only: the address is on no interface of this node. A recurring monitor says so if something \
             other than the cluster has removed it.",
        ),
        (
            Exit::Degraded,
            "monitor: the address serves, but needs the attention of an operator. Pacemaker moves \
             nothing.",
        ),
    ],
    reasons: &[
        (
            "IP is in use by MAC on LINK: remove it from that host, or set duplicate_check=no if a switch \
             answers",
            "Another host answers for the address, and start does not know that the previous owner is off. \
             Find the host by its MAC address: often it is a node of the cluster that still has the address, \
             one on which ocf:heartbeat:IPaddr2 still runs, a phone with a static address, or a switch with \
             proxy ARP or EVPN ARP suppression. With fencing enabled and quorum, start takes over an address \
             that the cluster has held before.",
        ),
        (
            "IP is in use by MAC on LINK, and this cluster has never held it: correct ip, or remove it \
             there",
            "A first start never takes an address from another host: it can be that of a router. Once start \
             has probed for the address and nobody has answered, the cluster property \
             smartvox-held-IP says that the address is one of this cluster.",
        ),
        (
            "IP is also in use by MAC on LINK, and was announced again: remove it from that host or \
             switch",
            "Degraded (190), found by a monitor; without \"and was announced again\" in the first 10 seconds \
             after a monitor below level 10 has found it. The address goes on serving and is defended \
             (RFC 5227): announced again at most once in 10 seconds, and once more when the other host is \
             silent. duplicate_action=fail makes the next monitor of level 10 fail instead. A host that \
             only sends an ARP probe for the address does not have it.",
        ),
        (
            "IP runs here, but MAC on LINK answers for its fenced owner: clear it on that switch or host",
            "Degraded (190). The address serves on this node. A switch that goes on answering for the dead \
             node sends packets there: clear the entry of the address on the switch with that MAC address.",
        ),
        (
            "IP is not announced: LINK refuses to send: check its queue (tc -s qdisc show dev LINK) and packet \
             filters",
            "Degraded (190). The kernel takes no frame for the interface, although it has a carrier: a full \
             queue, a policer or an egress filter. The agent goes on trying, probes and then announces. The \
             neighbours can still reach the address if its answers to their ARP requests leave the node.",
        ),
        (
            "IP is not announced: its announcer could not be started: check the load and the memory of this node",
            "Degraded (190). start had no carrier, and the background process that waits for one could not be \
             started in time. This monitor has started it: it probes and announces when there is a carrier.",
        ),
        (
            "LINK is a port of BRIDGE: set nic=BRIDGE",
            "start refuses it, because the bridge, bond or team takes what arrives at the port. If the \
             interface has become a port while it has the address, the address stays: start succeeds, and \
             monitor returns 190.",
        ),
        (
            "LINK is in a VRF, where gateway and source_for have no effect: remove them and set the routes of the \
             VRF",
            "A VRF has a routing table of its own, and a rule of the kernel that comes before the agent's.",
        ),
        (
            "IP is on this node, but the kernel accepts no packets for it because its route in table local is \
             missing: restart the resource, which adds the route again",
            "Something has deleted the route that the kernel adds with each address, or a stop with drain was \
             killed. monitor fails after it has waited for the route for a second, and Pacemaker restarts the \
             resource.",
        ),
        (
            "gateway=GATEWAY is in no network of LINK: set gateway to a router there",
            "The gateway has to be a router in the network of the address, or in another one connected to its \
             interface.",
        ),
        (
            "IP comes before this node's own address OWN on LINK, so that the node's own connections leave from \
             it: run crm_resource --restart",
            "Degraded (190), by a probe or if a recurring monitor could not put the address behind the node's \
             own one, which it does by itself.",
        ),
        (
            "IP has been removed from this node by something other than the cluster: check what manages its \
             interface (diagnose lists it)",
            "Not running (7), and the cluster starts the address again. Often another program manages the \
             interface, such as NetworkManager or systemd-networkd without KeepConfiguration=yes.",
        ),
        (
            "ip=IP is this node's own address, the only one in NETWORK on LINK: use another, or delete \
             it there",
            "The node has the address by itself, so that it is no virtual one. Also with the file of the \
             node's network configuration that has it, or with a lifetime as from DHCP. stop leaves the \
             address alone. An address that is left over from another program: delete it.",
        ),
        (
            "ip=IP is an address that Corosync uses, by FILE: use one that no node has by itself",
            "The address belongs to one node for good, and the resource runs nowhere until ip is corrected.",
        ),
        (
            "LINK has no carrier, but NODE has one: check the cable and the switch port",
            "start fails, so that the cluster starts the resource on that node. When the carrier \
             of this node comes, the agent clears this failure itself.",
        ),
        (
            "IP is on LINK, but LINK has no carrier: check the cable and the switch port",
            "The interface lost its carrier while it had the address, and another node has one. \
             The cluster moves the address; check_link_status decides whether it does.",
        ),
        (
            "IP is on LINK, but LINK has no carrier: wait for the cluster to move it to NODE",
            "Degraded (190). A location rule on the node attribute smartvox-link-RESOURCE moves \
             the address. If the address is still here at the next monitor, monitor fails.",
        ),
        (
            "IP is on LINK, but LINK has no carrier, and no other node has a carrier: check the switch",
            "Degraded (190). No node is better, so the address stays. It is announced when the \
             carrier comes.",
        ),
        (
            "IP is on LINK, but LINK has no carrier, and whether another node has one is unknown: check \
             the cable and the switch port",
            "Degraded (190). No other node has published the node attribute \
             smartvox-link-RESOURCE: configure a monitor with role=Stopped.",
        ),
        (
            "IP is in use by MAC on LINK, and is not announced: remove it from that host",
            "Degraded (190). When the carrier came, or after a pause of this node, another host \
             answered for the address. The announcer keeps probing, and announces the address when \
             that host is silent.",
        ),
        (
            "IP is on LINK, but its lower interface LINK is down: check the cable and the switch port",
            "Degraded (190). The bond, bridge or VLAN works with its remaining interfaces.",
        ),
        (
            "no connected network of this node contains IP: set nic and cidr_netmask",
            "The routing table does not show the interface: set nic and cidr_netmask. At boot, or \
             while the network service restarts, start waits up to 5 seconds for the network. If \
             that is not enough, order pacemaker.service after network-online.target.",
        ),
        (
            "nic=NIC does not exist on this node: set nic to a name that ip link lists",
            "start has waited up to 5 seconds for the interface. Where the names differ between \
             nodes, nic can be a MAC address or a network.",
        ),
        (
            "IP belongs on LINK, but this node has ADDRESS on LINK",
            "The address was added outside the cluster, with another prefix length or on another \
             interface. The restart that follows corrects it.",
        ),
        (
            "IP is on LINK, but no interface has another address in nic=NETWORK: add the node's own, or \
             the next start here fails",
            "Degraded (190). The node has lost its own address in that network.",
        ),
        (
            "IP disappeared from LINK right after start: check what else manages LINK (diagnose lists it)",
            "A network manager such as systemd-networkd, NetworkManager or keepalived removes the \
             address; diagnose names it. Configure it to ignore the interface or the address.",
        ),
        (
            "IPv6 is disabled on LINK: set SETTING to 0",
            "The kernel adds no IPv6 address to the interface. The reason lists each setting \
             disable_ipv6 that is on: that of the interface, and those of all and default, from \
             which it usually comes. Look for them in /etc/sysctl.d.",
        ),
        (
            "ERROR: see journalctl -k",
            "Degraded (190), where ERROR is \"cannot open a netlink socket\", or that a table of the kernel can't be \
             read, with the reason. monitor does not know whether the address is here, and leaves it as it is; a \
             probe fails.",
        ),
        (
            "gateway GATEWAY does not answer IP on LINK: check the gateway and the VLAN",
            "Degraded (190), found by a monitor of level 10. Check the gateway and the switch.",
        ),
        (
            "route_table=TABLE is the table of the VIP IP: set an unused table number",
            "Another rule or route uses this routing table: set route_table to an unused number.",
        ),
        (
            "ADDRESS is still there after stop: ERROR",
            "stop fails; with fencing, the node is fenced. The reason ends with the error of the \
             kernel.",
        ),
    ],
    files: &[
        ("/usr/lib/ocf/resource.d/smartvox/opensips-vip", "The agent."),
        (
            "/run/smartvox",
            "Locks and notes of start, stop, the announcer and the process that waits for a \
             carrier; only root can write there. Empty after a boot.",
        ),
        ("/run/netns/NAME", "The network namespace of network_namespace=NAME."),
        (
            "/usr/share/doc/resource-agents-smartvox/examples",
            "Complete configurations of a two-node cluster.",
        ),
    ],
    examples: &[
        (
            "A virtual IP address; the agent finds the interface and the prefix length:",
            "# pcs resource create vip ocf:smartvox:opensips-vip ip=192.0.2.10",
        ),
        (
            "The monitors that pcs creates by default, written out. The one with level 10 also checks for a \
             duplicate address. The one with role=Stopped runs on the nodes without the address and publishes \
             their carrier; it runs more often than the first one, which relies on it:",
            "# pcs resource create vip ocf:smartvox:opensips-vip ip=192.0.2.10 nic=eth0 \\\n    \
             op monitor interval=2s op monitor interval=60s OCF_CHECK_LEVEL=10 \\\n    \
             op monitor interval=1s role=Stopped",
        ),
        (
            "By hand, on a host without a cluster; -v logs each step:",
            "# cd /usr/lib/ocf/resource.d/smartvox\n\
             # ./opensips-vip start --ip 192.0.2.77 -v\n\
             # ./opensips-vip diagnose --ip 192.0.2.77\n\
             # ./opensips-vip stop --ip 192.0.2.77",
        ),
    ],
    see_also: &[
        ("smartvox-ocf", "7"),
        ("smartvox", "8"),
        ("ocf_smartvox_opensips", "7"),
        ("crm_resource", "8"),
        ("crm_mon", "8"),
        ("ip-address", "8"),
        ("pcs", "8"),
    ],
};
