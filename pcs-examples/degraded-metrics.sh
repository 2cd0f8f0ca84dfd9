#!/bin/sh
# Metrics of what serves with a fault, for the textfile collector of Prometheus's node_exporter. Pacemaker
# counts OCF_DEGRADED (190) and OCF_DEGRADED_PROMOTED (191) as no failure, so no other metric has them.
# Run it on one node or on all, once a minute, for example by /etc/cron.d/smartvox:
#
#   * * * * * root /usr/share/doc/resource-agents-smartvox/examples/degraded-metrics.sh \
#       /var/lib/prometheus/node-exporter/smartvox.prom
#
# (on one line). Without an argument it prints.
set -eu

metrics() {
    echo '# HELP smartvox_degraded The last monitor of the resource on the node reported a fault beside the service.'
    echo '# TYPE smartvox_degraded gauge'
    # A resource with several monitors is there once for each of them that tells so.
    crm_mon -1 --output-as=xml --include=none,failures | sed -n \
        's/.*<failure op_key="\(.*\)_monitor_[0-9]*" node="\([^"]*\)" .*exitcode="19[01]".*/smartvox_degraded{resource="\1",node="\2"} 1/p' |
        sort -u
}

if [ $# -eq 0 ]; then
    metrics
else
    # In one step: the collector never reads half a file.
    trap 'rm -f "$1.part"' EXIT
    metrics > "$1.part"
    mv "$1.part" "$1"
fi
