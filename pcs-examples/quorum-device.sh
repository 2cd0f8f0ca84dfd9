#!/bin/sh
# A quorum device for a pair: a small program on a third host (corosync-qnetd) has a vote. A node that
# reaches neither the other node nor that host has no quorum, stops its service and may fence nobody; so
# there is no duel, and no delay in the fencing. The pair itself is active-standby.sh or hot-standby.sh,
# configured before, with FENCE_PING= (nothing), because the quorum says it better.
#
# Not run by the tests: pcs asks pcsd on all three hosts, which the laboratory lacks. They write to
# corosync.conf what it writes there (quorum, device, model net), start the same programs, and cut both
# cables of a node.
#
# Before, on the third host, which must not depend on the network of Corosync, nor on the power of either
# node (one can serve many pairs):
#
#	apt-get install corosync-qnetd pcs && passwd hacluster
#	pcs qdevice setup model net --enable --start
#
# and on both nodes the package corosync-qdevice. Then this, on one node.
set -eu

QNETD="${QNETD:-qnetd.example.org}"
NODE1="${NODE1:-node1}"

pcs host auth "$QNETD" -u hacluster
# ffsplit: of two halves, the one with more nodes that reach the device has the vote; of equal ones, that
# of the node with the lowest number. pcs takes two_node out of corosync.conf, and reloads it.
pcs quorum device add model net host="$QNETD" algorithm=ffsplit
pcs quorum device status

# Who survives is decided before anybody fences.
pcs stonith update "fence-$NODE1" pcmk_delay_base=
