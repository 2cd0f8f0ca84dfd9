#!/bin/sh
# active-standby.sh for crmsh, the shell of SUSE's clusters: the same cluster, and a test holds the two
# equal. What each line is for is said there. Run it once, as root, on one node of a running cluster (see
# `crm cluster init`).
set -eu

VIP="${VIP:-192.0.2.10}"
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

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{
    echo "rsc_defaults resource-stickiness=100 failure-timeout=60s"
    if [ -n "$FENCE_AGENT" ]; then
        cat <<FENCING
primitive fence-$NODE1 stonith:$FENCE_AGENT \\
    params pcmk_host_list=$NODE1 pcmk_delay_base=$FENCE_DELAY $FENCE_NODE1 op monitor interval=60s
primitive fence-$NODE2 stonith:$FENCE_AGENT \\
    params pcmk_host_list=$NODE2 $FENCE_NODE2 op monitor interval=60s
property stonith-enabled=true load-threshold=1000%
FENCING
        if [ -n "$FENCE_PING" ]; then
            # Addresses are words by design:
            # shellcheck disable=SC2086
            set -- $FENCE_PING
            for host; do
                ping -c 1 -W 2 "$host" >/dev/null || {
                    echo "FENCE_PING: $host answers no ping; name hosts that always do, or leave it empty" >&2
                    exit 1
                }
            done
            cat <<PING
primitive fence-ping stonith:fence_heuristics_ping \\
    params pcmk_host_list="$NODE1 $NODE2" ping_targets="$(echo "$@" | tr ' ' ,)" ping_maxfail=$(($# - 1)) \\
        ping_count=1 ping_good_count=1 ping_timeout=2 op monitor interval=60s
fencing_topology $NODE1: fence-ping,fence-$NODE1 $NODE2: fence-ping,fence-$NODE2
PING
        fi
    else
        echo "warning: no FENCE_AGENT given; do not run a telephone service like this" >&2
        echo "property stonith-enabled=false load-threshold=1000%"
    fi
    cat <<SERVICE
primitive vip ocf:smartvox:opensips-vip \\
    params ip=$VIP cidr_netmask=$PREFIX ${NIC:+nic=$NIC} \\
    op start timeout=20s interval=0s op stop timeout=20s interval=0s \\
    op reload-agent timeout=20s interval=0s \\
    op monitor interval=2s timeout=20s op monitor interval=1s timeout=20s role=Stopped
primitive opensips ocf:smartvox:opensips \\
    params config=/etc/opensips/opensips.cfg vip=$VIP shm_memory=512 \\
    op start timeout=60s interval=0s op stop timeout=90s interval=0s \\
    op promote timeout=20s interval=0s op demote timeout=150s interval=0s \\
    op reload-agent timeout=20s interval=0s \\
    op monitor interval=2s timeout=20s
colocation opensips-with-vip INFINITY: opensips vip
order vip-then-opensips Mandatory: vip:start opensips:start
location vip-carrier vip rule 100000: smartvox-link-vip eq 1
SERVICE
    if [ -n "$GATEWAY" ]; then
        cat <<WATCH
primitive gateway ocf:pacemaker:ping \\
    params host_list=$GATEWAY dampen=10s attempts=3 timeout=2 \\
    op start timeout=60s interval=0s op stop timeout=20s interval=0s \\
    op reload-agent timeout=20s interval=0s op monitor interval=5s timeout=20s
clone gateway-clone gateway
location vip-gateway vip rule 1000: pingd gte 1
WATCH
    fi
} > "$work/cluster.crm"

# In one step: either all of it is there, or nothing.
crm configure load update "$work/cluster.crm"
