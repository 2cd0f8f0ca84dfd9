#!/bin/sh
# A pair of SIP servers, active/standby: the virtual IP address and OpenSIPS run on one node at a
# time and move together. Run it once, as root, on one node of a running cluster (see `pcs cluster
# setup`); both nodes need the agents, OpenSIPS and the same /etc/opensips/opensips.cfg
# (opensips-active-standby.cfg beside this file is one to begin with).
#
# Prepares the whole configuration in a file and gives it to the cluster in one step: either all
# of it is there, or nothing.
set -eu

### What you must change ###########################################################################

# Three public addresses of one network: one for each node, which it keeps, and the virtual one. All
# use the same gateway, so a node needs no other route when the virtual address comes or goes. Behind
# the nodes, on the LAN: what both share, like the database and the media proxies.
#
# The virtual IP address that phones and carriers know, its prefix length, and the interface to the
# Internet. Interface names that differ between the nodes: leave NIC empty, the agent then takes the
# interface that is connected to the address's network.
VIP="${VIP:-192.0.2.10}"
PREFIX="${PREFIX:-24}"
NIC="${NIC-eth0}"

# The two nodes, by their names in the cluster.
NODE1="${NODE1:-node1}"
NODE2="${NODE2:-node2}"

# The gateway to the Internet. A node that can't reach it hands over to one that can. Empty: not
# watched.
GATEWAY="${GATEWAY-192.0.2.1}"

# Fencing: how one node switches the other one off. Name the fence agent of your hardware
# (`pcs stonith list`) and its options for each node, for example
#   FENCE_AGENT=fence_ipmilan
#   FENCE_NODE1="ip=198.51.100.111 username=fence password=secret lanplus=1"
#   FENCE_NODE2="ip=198.51.100.112 username=fence password=secret lanplus=1"
# Without it, a cut between the nodes that leaves both alive leaves BOTH with the virtual IP until
# it is mended, and a node that can't stop OpenSIPS blocks the failover for good. Empty is for
# trying things out only.
FENCE_AGENT="${FENCE_AGENT:-}"
FENCE_NODE1="${FENCE_NODE1:-}"
FENCE_NODE2="${FENCE_NODE2:-}"
# How long node2 waits before it fences node1: longer than switching node2 off takes, so that where both reach
# for each other node2 is off before its turn comes. A failover from a dead node1 takes that much longer, one
# from node2 does not. Without any delay: three-nodes.sh, quorum-device.sh.
FENCE_DELAY="${FENCE_DELAY:-5s}"
# Hosts of which one has to answer a ping before a node fences the other one: else a node1 that has lost
# every cable, as with a dead switch port or bond, switches off the node that serves, and nothing is left.
# Name more than the gateway, on the LAN say, each of which always answers: where none does, nobody is
# fenced, so that a dead node is not replaced. Empty: not asked. Needs fence_heuristics_ping, of the package
# fence-agents (Debian 12), fence-agents-heuristics-ping (Debian 13), fence-agents-all (RHEL). Where you delete
# a fence device and make it again, put it back on its level (`pcs stonith level`), for alone there, fence-ping
# would count as fencing.
FENCE_PING="${FENCE_PING-$GATEWAY}"

### The cluster ####################################################################################

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pcs cluster cib "$work/before.xml"
cp "$work/before.xml" "$work/cib.xml"
cib() { pcs -f "$work/cib.xml" "$@"; }

# A resource stays where it is when a repaired node comes back: a second interruption for nothing
# is the last thing that callers need. A failure of OpenSIPS is repaired where it happened, in a
# second; if OpenSIPS can't be started there, the service moves.
# No migration-threshold: it bars a node that could serve (the peer in standby, a database that stalls
# for both). A start that fails bars its node (Pacemaker's start-failure-is-fatal); after a minute it
# is tried again, without an operator.
cib resource defaults update resource-stickiness=100 failure-timeout=60s

if [ -n "$FENCE_AGENT" ]; then
    # One device per node. The delay on the first decides which node survives when a partition makes both
    # nodes fence each other at the same moment: without it, both are powered off.
    # The options are words by design:
    # shellcheck disable=SC2086
    cib stonith create "fence-$NODE1" "$FENCE_AGENT" \
        pcmk_host_list="$NODE1" pcmk_delay_base="$FENCE_DELAY" $FENCE_NODE1
    # shellcheck disable=SC2086
    cib stonith create "fence-$NODE2" "$FENCE_AGENT" pcmk_host_list="$NODE2" $FENCE_NODE2
    if [ -n "$FENCE_PING" ]; then
        # It switches nothing: it fails where nobody answers, and then the device behind it on the same
        # level is not used. One ping each, so that fencing is not delayed; Pacemaker tries twice.
        # shellcheck disable=SC2086
        set -- $FENCE_PING
        # Asked once now, because where none of them ever answers, nobody is ever fenced.
        for host; do
            ping -c 1 -W 2 "$host" >/dev/null || {
                echo "FENCE_PING: $host answers no ping; name hosts that always do, or leave it empty" >&2
                exit 1
            }
        done
        cib stonith create fence-ping fence_heuristics_ping pcmk_host_list="$NODE1 $NODE2" \
            ping_targets="$(echo "$@" | tr ' ' ,)" ping_maxfail=$(($# - 1)) \
            ping_count=1 ping_good_count=1 ping_timeout=2
        cib stonith level add 1 "$NODE1" fence-ping "fence-$NODE1"
        cib stonith level add 1 "$NODE2" fence-ping "fence-$NODE2"
    fi
    cib property set stonith-enabled=true
else
    echo "warning: no FENCE_AGENT given; do not run a telephone service like this" >&2
    cib property set stonith-enabled=false
fi

# Pacemaker starts fewer actions at a time on a node whose load average is high (load-threshold, by default
# from about the number of its cores on): a monitor that could wait then precedes the start for which callers
# wait. That protects nodes with hundreds of resources; here are a few, on servers that may be busy.
cib property set load-threshold=1000%

### The virtual IP address #########################################################################

# monitor is cheap (one process, no fork): every 2 seconds does no harm. The one with role=Stopped runs
# on the node without the address: it publishes that node's carrier, and finds the address where it must
# not be. A failed stop gets the node fenced, so its timeout leaves room for a host in trouble; on a
# healthy one it takes milliseconds.
cib resource create vip ocf:smartvox:opensips-vip \
    ip="$VIP" cidr_netmask="$PREFIX" ${NIC:+nic="$NIC"} \
    op start timeout=20s op stop timeout=20s op monitor interval=2s timeout=20s \
    op monitor interval=1s timeout=20s role=Stopped

### OpenSIPS #######################################################################################

# start waits until OpenSIPS answers SIP, and fails at once when it dies. stop must outlast a
# daemon with stuck workers (half a minute) and then kill it: 90 seconds. monitor asks OPTIONS at
# the virtual IP, from this node. Every 2 seconds: one that answers nothing is noticed within 2 seconds,
# and a monitor costs 2 ms of CPU. One that dies is noticed at once.
# shm_memory: after a power cut, all who have called meanwhile and send again reach the survivor at once. At
# 100 calls a second, the 64 MB that are built into OpenSIPS were exhausted then, and some dozens of callers
# got a 500. What is not used costs nothing.
cib resource create opensips ocf:smartvox:opensips \
    config=/etc/opensips/opensips.cfg vip="$VIP" shm_memory=512 \
    op start timeout=60s op stop timeout=90s op monitor interval=2s timeout=20s

# OpenSIPS where the address is, and after it: it can't open its sockets on an address that is not
# there.
cib constraint colocation add opensips with vip
# shellcheck disable=SC1010
cib constraint order start vip then start opensips

### The cable ######################################################################################

# The agent publishes each node's carrier as the node attribute smartvox-link-vip: 1 or 0. A node with a
# carrier is preferred, by more than anything else here, so the service leaves a node whose cable is
# pulled, without a failure that has to be forgotten later. Where no node has a carrier (the switch
# restarts), the service stays where it is, and is there again with the carrier.
cib constraint location vip rule score=100000 smartvox-link-vip eq 1

### The way to the Internet ########################################################################

if [ -n "$GATEWAY" ]; then
    # Each node asks the gateway every 5 seconds. `dampen` waits for the other node's answer, which
    # comes up to one round of asking (some 7 seconds) later: a gateway that falls silent for both
    # must not look as if it did for one.
    cib resource create gateway ocf:pacemaker:ping \
        host_list="$GATEWAY" dampen=10s attempts=3 timeout=2 \
        op start timeout=60s op stop timeout=20s op monitor interval=5s timeout=20s clone
    # A node that reaches the gateway is liked better, by more than the stickiness: the service moves
    # there from one that doesn't. No node is disliked: where neither reaches it, or nobody knows yet,
    # the service stays where it is. A penalty for the others (`score=-1000 pingd lt 1`) would forbid
    # them all and end the service because a router restarts.
    # (pcs 0.12 wants the rule in one string, which pcs 0.11 refuses: its warning does no harm.)
    cib constraint location vip rule score=1000 pingd gte 1
fi

pcs cluster cib-push "$work/cib.xml" diff-against="$work/before.xml"
