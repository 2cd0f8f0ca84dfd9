#!/bin/sh
# Fencing without service processors: SBD. A watchdog resets a node that is told so through a shared disk
# (DISK), or, without a disk, one that has lost its quorum. Without a disk a pair needs a quorum device first
# (quorum-device.sh), because two nodes alone never lose theirs.
#
# Not run by the tests: it needs a watchdog, which resets the machine that it runs on. They run it on a copy
# of the configuration and let Pacemaker judge what it makes.
#
# Before, on every node: the package sbd, a watchdog (`wdctl`; softdog only where there is no other, for it
# dies with the kernel), and on one node of the cluster, which these commands stop and start:
#
#	pcs stonith sbd device setup device=/dev/disk/by-id/scsi-example
#	pcs stonith sbd enable device=/dev/disk/by-id/scsi-example watchdog=/dev/watchdog SBD_WATCHDOG_TIMEOUT=5
#	pcs cluster stop --all && pcs cluster start --all
#
# Without a disk: the second and third command, without device=; then, in place of this script, twice the
# watchdog's time, after which a node without quorum has certainly been reset:
#
#	pcs property set stonith-watchdog-timeout=10s stonith-enabled=true
set -eu

# A disk or LUN that both nodes see, by a name that is the same on both.
DISK="${DISK:-/dev/disk/by-id/scsi-example}"
NODES="${NODES:-node1 node2}"
# Before a node fences another one, one of these hosts has to answer a ping (active-standby.sh says why), so that
# a node without network does not switch off the one that serves. Hosts that always answer; empty: not asked. Where
# you delete the fence device and make it again, put it back on its levels (`pcs stonith level`).
FENCE_PING="${FENCE_PING-${GATEWAY-192.0.2.1}}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pcs cluster cib "$work/before.xml"
cp "$work/before.xml" "$work/cib.xml"

# One device for all nodes: it finds their names on the disk. Of two nodes that fence each other, a random
# one is first.
pcs -f "$work/cib.xml" stonith create fence-sbd fence_sbd devices="$DISK" \
    pcmk_delay_max=10s op monitor interval=60s timeout=30s
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
    pcs -f "$work/cib.xml" stonith create fence-ping fence_heuristics_ping pcmk_host_list="$NODES" \
        ping_targets="$(echo "$@" | tr ' ' ,)" ping_maxfail=$(($# - 1)) \
        ping_count=1 ping_good_count=1 ping_timeout=2
    # On one level both have to succeed: alone, fence-ping would count as fencing.
    for node in $NODES; do
        pcs -f "$work/cib.xml" stonith level add 1 "$node" fence-ping fence-sbd
    done
fi
pcs -f "$work/cib.xml" property set stonith-enabled=true

pcs cluster cib-push "$work/cib.xml" diff-against="$work/before.xml"
