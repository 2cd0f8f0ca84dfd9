#!/bin/sh
# Two OpenSIPS on a pair of servers, each with its own address, configuration and files: one for phones, one
# for carriers, say. Each prefers a node, so that both nodes work; where one fails, both are on the other.
#
# This file explains what differs from active-standby.sh; all else is explained there. Run it once, as
# root, on one node of a running cluster. Each instance has a configuration of its own on both nodes, with
# its address and its own FIFO; from opensips-active-standby.cfg, as phones.cfg and carriers.cfg in
# /etc/opensips:
#
#	sed 's/opensips_fifo/phones_fifo/' opensips-active-standby.cfg > /etc/opensips/phones.cfg
#	sed 's/opensips_fifo/carriers_fifo/; s/192\.0\.2\.10:/192.0.2.20:/' opensips-active-standby.cfg > /etc/opensips/carriers.cfg
#
# What else an OpenSIPS opens must be its own as well: other sockets, ports of the MI, and what modules write.
# The pid file, /run/opensips/RESOURCE.pid, is so by itself. A second resource with the configuration of the
# first is refused, and harms nothing.
set -eu

### What you must change ###########################################################################

VIP_PHONES="${VIP_PHONES:-192.0.2.10}"
VIP_CARRIERS="${VIP_CARRIERS:-192.0.2.20}"
PREFIX="${PREFIX:-24}"
NIC="${NIC-eth0}"
NODE1="${NODE1:-node1}"
NODE2="${NODE2:-node2}"
GATEWAY="${GATEWAY-192.0.2.1}"
FENCE_AGENT="${FENCE_AGENT:-}"
FENCE_NODE1="${FENCE_NODE1:-}"
FENCE_NODE2="${FENCE_NODE2:-}"
FENCE_DELAY="${FENCE_DELAY:-5s}"
FENCE_PING="${FENCE_PING-$GATEWAY}"

### The cluster: as in active-standby.sh ###########################################################

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pcs cluster cib "$work/before.xml"
cp "$work/before.xml" "$work/cib.xml"
cib() { pcs -f "$work/cib.xml" "$@"; }

cib resource defaults update resource-stickiness=100 failure-timeout=60s

if [ -n "$FENCE_AGENT" ]; then
    # The options are words by design:
    # shellcheck disable=SC2086
    cib stonith create "fence-$NODE1" "$FENCE_AGENT" \
        pcmk_host_list="$NODE1" pcmk_delay_base="$FENCE_DELAY" $FENCE_NODE1
    # shellcheck disable=SC2086
    cib stonith create "fence-$NODE2" "$FENCE_AGENT" pcmk_host_list="$NODE2" $FENCE_NODE2
    if [ -n "$FENCE_PING" ]; then
        # shellcheck disable=SC2086
        set -- $FENCE_PING
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
cib property set load-threshold=1000%

if [ -n "$GATEWAY" ]; then
    cib resource create gateway ocf:pacemaker:ping \
        host_list="$GATEWAY" dampen=10s attempts=3 timeout=2 \
        op start timeout=60s op stop timeout=20s op monitor interval=5s timeout=20s clone
fi

### The instances ##################################################################################

instance() { # NAME ADDRESS NODE
    cib resource create "vip-$1" ocf:smartvox:opensips-vip \
        ip="$2" cidr_netmask="$PREFIX" ${NIC:+nic="$NIC"} \
        op start timeout=20s op stop timeout=20s op monitor interval=2s timeout=20s \
        op monitor interval=1s timeout=20s role=Stopped
    # Each has its memory for itself: the node needs what both take.
    cib resource create "opensips-$1" ocf:smartvox:opensips \
        config="/etc/opensips/$1.cfg" vip="$2" shm_memory=256 \
        op start timeout=60s op stop timeout=90s op monitor interval=2s timeout=20s
    cib constraint colocation add "opensips-$1" with "vip-$1"
    # shellcheck disable=SC1010
    cib constraint order start "vip-$1" then start "opensips-$1"
    # Less than the stickiness of address and OpenSIPS (200): where an instance starts, not where it has
    # to be. After a failover both stay where they are, until you move one.
    cib constraint location "vip-$1" prefers "$3=50"
    cib constraint location "vip-$1" rule score=100000 "smartvox-link-vip-$1" eq 1
    if [ -n "$GATEWAY" ]; then
        cib constraint location "vip-$1" rule score=1000 pingd gte 1
    fi
}

instance phones "$VIP_PHONES" "$NODE1"
instance carriers "$VIP_CARRIERS" "$NODE2"

pcs cluster cib-push "$work/cib.xml" diff-against="$work/before.xml"
