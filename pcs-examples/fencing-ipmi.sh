#!/bin/sh
# Fencing by the servers' own service processors (IPMI: iLO, iDRAC, XCC, Supermicro), for a pair that was
# configured without FENCE_AGENT; with it, active-standby.sh and hot-standby.sh make such devices themselves.
#
# Not run by the tests: it needs service processors. They run it on a copy of the configuration and let
# Pacemaker judge what it makes.
#
# Before: a user of the service processor that may switch the power and nothing else (privilege level
# OPERATOR), a network for them that is not the one of Corosync, and this command, which has to work from
# each node to the other's:
#
#	fence_ipmilan --ip=203.0.113.112 --username=fence --password-script=/etc/pacemaker/ipmi --lanplus --privlvl=operator --action=status
#
# /etc/pacemaker/ipmi prints the password, on both nodes (mode 700, root). With password= it would be in the
# configuration of the cluster, which every member of the group haclient reads.
set -eu

NODE1="${NODE1:-node1}"
NODE2="${NODE2:-node2}"
IPMI_NODE1="${IPMI_NODE1:-203.0.113.111}"
IPMI_NODE2="${IPMI_NODE2:-203.0.113.112}"
USER_NAME="${USER_NAME:-fence}"
PASSWORD_SCRIPT="${PASSWORD_SCRIPT:-/etc/pacemaker/ipmi}"
# Longer than one of your service processors takes to switch off: time the command above with --action=off.
FENCE_DELAY="${FENCE_DELAY:-5s}"
# Before a node fences the other one, one of these hosts has to answer a ping (active-standby.sh says why), so that
# a node without network does not switch off the one that serves. Hosts that always answer; empty: not asked. Where
# you delete a fence device and make it again, put it back on its level (`pcs stonith level`).
FENCE_PING="${FENCE_PING-${GATEWAY-192.0.2.1}}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pcs cluster cib "$work/before.xml"
cp "$work/before.xml" "$work/cib.xml"

device() { # NODE ADDRESS [OPTION...]
    node=$1 address=$2
    shift 2
    # A service processor is asked once a minute whether it answers; a slow one is given the time.
    pcs -f "$work/cib.xml" stonith create "fence-$node" fence_ipmilan \
        pcmk_host_list="$node" ip="$address" username="$USER_NAME" password_script="$PASSWORD_SCRIPT" \
        lanplus=1 privlvl=operator power_timeout=20 "$@" op monitor interval=60s timeout=30s
    # A node does not switch itself off.
    pcs -f "$work/cib.xml" constraint location "fence-$node" avoids "$node"
}
device "$NODE1" "$IPMI_NODE1" pcmk_delay_base="$FENCE_DELAY"
device "$NODE2" "$IPMI_NODE2"
if [ -n "$FENCE_PING" ]; then
    # shellcheck disable=SC2086
    set -- $FENCE_PING
    # Asked once now, because where none of them ever answers, nobody is ever fenced.
    for host; do
        ping -c 1 -W 2 "$host" >/dev/null || {
            echo "FENCE_PING: $host answers no ping; name hosts that always do, or leave it empty" >&2
            exit 1
        }
    done
    pcs -f "$work/cib.xml" stonith create fence-ping fence_heuristics_ping pcmk_host_list="$NODE1 $NODE2" \
        ping_targets="$(echo "$@" | tr ' ' ,)" ping_maxfail=$(($# - 1)) \
        ping_count=1 ping_good_count=1 ping_timeout=2
    # On one level both have to succeed: alone, fence-ping would count as fencing.
    pcs -f "$work/cib.xml" stonith level add 1 "$NODE1" fence-ping "fence-$NODE1"
    pcs -f "$work/cib.xml" stonith level add 1 "$NODE2" fence-ping "fence-$NODE2"
fi
pcs -f "$work/cib.xml" property set stonith-enabled=true

pcs cluster cib-push "$work/cib.xml" diff-against="$work/before.xml"
# Then try it, one after the other:
#
#	pcs stonith fence node2
