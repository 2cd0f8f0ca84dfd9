#!/bin/sh
# Three SIP servers, active/standby: any one of them may fail. Two nodes that see each other are the
# majority and go on; one that sees nobody stops its service and may fence nobody. So no cut makes nodes
# fence each other, no fencing has to wait for that, and a node without network never wins against two
# that have it. A pair needs a quorum device for the same (quorum-device.sh).
#
# This file explains what differs from active-standby.sh; all else is explained there. Run it once, as
# root, on one node; all three need the agents, OpenSIPS and the same /etc/opensips/opensips.cfg
# (opensips-active-standby.cfg).
#
# Corosync's part is what `pcs cluster setup NAME node1 node2 node3` makes: one vote each, and no
# two_node. With two nodes gone, the last one has no majority and serves no more.
set -eu

### What you must change ###########################################################################

VIP="${VIP:-192.0.2.10}"
PREFIX="${PREFIX:-24}"
NIC="${NIC-eth0}"
NODE1="${NODE1:-node1}"
NODE2="${NODE2:-node2}"
NODE3="${NODE3:-node3}"
GATEWAY="${GATEWAY-192.0.2.1}"
# As in active-standby.sh, for each of the three.
FENCE_AGENT="${FENCE_AGENT:-}"
FENCE_NODE1="${FENCE_NODE1:-}"
FENCE_NODE2="${FENCE_NODE2:-}"
FENCE_NODE3="${FENCE_NODE3:-}"

### The cluster ####################################################################################

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pcs cluster cib "$work/before.xml"
cp "$work/before.xml" "$work/cib.xml"
cib() { pcs -f "$work/cib.xml" "$@"; }

cib resource defaults update resource-stickiness=100 failure-timeout=60s

# A node without a majority stops what it runs. That is Pacemaker's default; `freeze` or `ignore` would
# leave the address with a node that the others are about to replace.
cib property set no-quorum-policy=stop

if [ -n "$FENCE_AGENT" ]; then
    # No pcmk_delay_base: of two halves of a cut, one has the majority.
    # The options are words by design:
    # shellcheck disable=SC2086
    cib stonith create "fence-$NODE1" "$FENCE_AGENT" pcmk_host_list="$NODE1" $FENCE_NODE1
    # shellcheck disable=SC2086
    cib stonith create "fence-$NODE2" "$FENCE_AGENT" pcmk_host_list="$NODE2" $FENCE_NODE2
    # shellcheck disable=SC2086
    cib stonith create "fence-$NODE3" "$FENCE_AGENT" pcmk_host_list="$NODE3" $FENCE_NODE3
    cib property set stonith-enabled=true
else
    echo "warning: no FENCE_AGENT given; do not run a telephone service like this" >&2
    cib property set stonith-enabled=false
fi
cib property set load-threshold=1000%

### Address, OpenSIPS, cable and gateway: as in active-standby.sh ##################################

cib resource create vip ocf:smartvox:opensips-vip \
    ip="$VIP" cidr_netmask="$PREFIX" ${NIC:+nic="$NIC"} \
    op start timeout=20s op stop timeout=20s op monitor interval=2s timeout=20s \
    op monitor interval=1s timeout=20s role=Stopped
cib resource create opensips ocf:smartvox:opensips \
    config=/etc/opensips/opensips.cfg vip="$VIP" shm_memory=512 \
    op start timeout=60s op stop timeout=90s op monitor interval=2s timeout=20s
cib constraint colocation add opensips with vip
# shellcheck disable=SC1010
cib constraint order start vip then start opensips
cib constraint location vip rule score=100000 smartvox-link-vip eq 1

if [ -n "$GATEWAY" ]; then
    cib resource create gateway ocf:pacemaker:ping \
        host_list="$GATEWAY" dampen=10s attempts=3 timeout=2 \
        op start timeout=60s op stop timeout=20s op monitor interval=5s timeout=20s clone
    cib constraint location vip rule score=1000 pingd gte 1
fi

pcs cluster cib-push "$work/cib.xml" diff-against="$work/before.xml"
