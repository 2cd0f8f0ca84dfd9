#!/bin/sh
# A pair of SIP servers, active/standby, between two networks: one virtual address on the Internet, for
# phones and carriers, and one on the LAN, for the gateways and PBXs there. Both move with OpenSIPS, and
# what leaves from each leaves by the right router. A fault of the LAN's address does not end the service
# on the Internet.
#
# This file explains what differs from active-standby.sh; all else is explained there. Run it once, as
# root, on one node of a running cluster. The opensips.cfg of both nodes is opensips-active-standby.cfg
# with two more sockets:
#
#	socket=udp:198.51.100.10:5060
#	socket=tcp:198.51.100.10:5060
#
# and with routes that set $socket_out for what goes from one network to the other (see its
# route[relay]).
set -eu

### What you must change ###########################################################################

# On the Internet.
VIP="${VIP:-192.0.2.10}"
PREFIX="${PREFIX:-24}"
NIC="${NIC-eth0}"
# On the LAN.
LAN_VIP="${LAN_VIP:-198.51.100.10}"
LAN_PREFIX="${LAN_PREFIX:-24}"
LAN_NIC="${LAN_NIC-eth1}"
# The gateway to the Internet. Here it is also what packets from VIP leave by, wherever the node's own
# default route leads: it may lead into the LAN, to the router of the administrators.
GATEWAY="${GATEWAY:-192.0.2.1}"
# Networks on the LAN whose hosts know the pair by its LAN address, say by a firewall rule: what any program
# of the node sends there comes from LAN_VIP. Each must be a route of the node. Empty: the node's own address.
LAN_HOSTS="${LAN_HOSTS-198.51.100.0/24}"
NODE1="${NODE1:-node1}"
NODE2="${NODE2:-node2}"
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

### The addresses ##################################################################################

# `gateway` is a routing rule for packets whose source is the address: a table of its own with a default
# route through that gateway. It comes and goes with the address, and leaves the node's routes alone.
cib resource create vip ocf:smartvox:opensips-vip \
    ip="$VIP" cidr_netmask="$PREFIX" ${NIC:+nic="$NIC"} gateway="$GATEWAY" \
    op start timeout=20s op stop timeout=20s op monitor interval=2s timeout=20s \
    op monitor interval=1s timeout=20s role=Stopped

# `source_for` is for programs that don't choose their source address, such as a client of a database.
# OpenSIPS chooses its own: the socket.
# critical=false: where the address of the LAN can't be started, it is missing until it can be. Without that,
# Pacemaker moves what it follows to the other node, and where it starts on neither, to and fro with each
# failure-timeout. (A node whose LAN cable is out is left all the same: see below.)
cib resource create vip-lan ocf:smartvox:opensips-vip \
    ip="$LAN_VIP" cidr_netmask="$LAN_PREFIX" ${LAN_NIC:+nic="$LAN_NIC"} \
    ${LAN_HOSTS:+source_for="$LAN_HOSTS"} \
    op start timeout=20s op stop timeout=20s op monitor interval=2s timeout=20s \
    op monitor interval=1s timeout=20s role=Stopped meta critical=false

### OpenSIPS #######################################################################################

# `vip` has both: monitor asks OPTIONS at each. With nonlocal_bind=ensure, OpenSIPS can open its sockets on
# the LAN also while that address is not there.
cib resource create opensips ocf:smartvox:opensips \
    config=/etc/opensips/opensips.cfg vip="$VIP,$LAN_VIP" nonlocal_bind=ensure shm_memory=512 \
    op start timeout=60s op stop timeout=90s op monitor interval=2s timeout=20s

# All three on one node.
cib constraint colocation add vip-lan with vip
cib constraint colocation add opensips with vip
# shellcheck disable=SC1010
cib constraint order start vip then start opensips
# Optional: the address of the LAN comes first where both start, but OpenSIPS does not depend on it. An order
# that is mandatory would stop OpenSIPS with that address, and end the service on the Internet where the
# address starts on neither node.
# shellcheck disable=SC1010
cib constraint order start vip-lan then start opensips kind=Optional

### The cables #####################################################################################

# Each address publishes the carrier of its own interface. The one to the Internet counts more: where
# each node has one of the two, the service is where the callers are.
cib constraint location vip rule score=100000 smartvox-link-vip eq 1
cib constraint location vip rule score=50000 smartvox-link-vip-lan eq 1

### The way to the Internet ########################################################################

# The node asks the gateway from its own address, which is in the gateway's network.
cib resource create gateway ocf:pacemaker:ping \
    host_list="$GATEWAY" dampen=10s attempts=3 timeout=2 \
    op start timeout=60s op stop timeout=20s op monitor interval=5s timeout=20s clone
cib constraint location vip rule score=1000 pingd gte 1

pcs cluster cib-push "$work/cib.xml" diff-against="$work/before.xml"
