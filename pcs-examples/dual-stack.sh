#!/bin/sh
# A pair of SIP servers, active/standby, with an IPv4 and an IPv6 address: both move with OpenSIPS. A
# fault of IPv6 does not end the service over IPv4.
#
# This file explains what differs from active-standby.sh; all else is explained there. Run it once, as
# root, on one node of a running cluster. The opensips.cfg of both nodes is opensips-active-standby.cfg
# with two more sockets:
#
#	socket=udp:[2001:db8:0:1::10]:5060
#	socket=tcp:[2001:db8:0:1::10]:5060
set -eu

### What you must change ###########################################################################

VIP="${VIP:-192.0.2.10}"
PREFIX="${PREFIX:-24}"
# Not a link-local address: phones can't be configured with one.
VIP6="${VIP6:-2001:db8:0:1::10}"
PREFIX6="${PREFIX6:-64}"
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

### The addresses ##################################################################################

# Each is a resource of its own. start of the IPv6 address asks for a duplicate by itself (`nodad`): it is
# usable at once, not after the one or two seconds of the kernel's own detection.
# critical=false: where the IPv6 address can't be started, it is missing until it can be. Without that, Pacemaker
# moves what it follows to the other node, and where it starts on neither, to and fro with each failure-timeout.
cib resource create vip ocf:smartvox:opensips-vip \
    ip="$VIP" cidr_netmask="$PREFIX" ${NIC:+nic="$NIC"} \
    op start timeout=20s op stop timeout=20s op monitor interval=2s timeout=20s \
    op monitor interval=1s timeout=20s role=Stopped
cib resource create vip6 ocf:smartvox:opensips-vip \
    ip="$VIP6" cidr_netmask="$PREFIX6" ${NIC:+nic="$NIC"} \
    op start timeout=20s op stop timeout=20s op monitor interval=2s timeout=20s \
    op monitor interval=1s timeout=20s role=Stopped meta critical=false

### OpenSIPS #######################################################################################

# `vip` has both: monitor asks OPTIONS at each. With nonlocal_bind=ensure, OpenSIPS can open its IPv6
# sockets also while that address is not there.
cib resource create opensips ocf:smartvox:opensips \
    config=/etc/opensips/opensips.cfg vip="$VIP,$VIP6" nonlocal_bind=ensure shm_memory=512 \
    op start timeout=60s op stop timeout=90s op monitor interval=2s timeout=20s

# The IPv6 address follows the IPv4 address, and OpenSIPS does.
cib constraint colocation add vip6 with vip
cib constraint colocation add opensips with vip
# shellcheck disable=SC1010
cib constraint order start vip then start opensips
# Optional: the IPv6 address comes first where both start, but OpenSIPS does not depend on it.
# shellcheck disable=SC1010
cib constraint order start vip6 then start opensips kind=Optional

### Cable and gateway: as in active-standby.sh #####################################################

# Both addresses are on one interface, so the rule needs one of them.
cib constraint location vip rule score=100000 smartvox-link-vip eq 1

if [ -n "$GATEWAY" ]; then
    cib resource create gateway ocf:pacemaker:ping \
        host_list="$GATEWAY" dampen=10s attempts=3 timeout=2 \
        op start timeout=60s op stop timeout=20s op monitor interval=5s timeout=20s clone
    cib constraint location vip rule score=1000 pingd gte 1
fi

pcs cluster cib-push "$work/cib.xml" diff-against="$work/before.xml"
