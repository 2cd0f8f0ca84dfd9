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
pcs -f "$work/cib.xml" property set stonith-enabled=true

pcs cluster cib-push "$work/cib.xml" diff-against="$work/before.xml"
# active-standby.sh says why a ping goes first (FENCE_PING), and makes it. Then try it, one after the other:
#
#	pcs stonith fence node2
