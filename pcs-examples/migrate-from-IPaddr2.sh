#!/bin/sh
# Moves a running resource of ocf:heartbeat:IPaddr2 over to ocf:smartvox:opensips-vip, without taking
# the address away. Run it as root on the node that has the address; both nodes need the agent.
#
#   migrate-from-IPaddr2.sh RESOURCE
#
# The parameters stay as they are: their names mean the same. See docs/migrating-from-IPaddr2.md for
# those that are refused, and for the way back.
set -eu
resource="${1:?name the resource, as pcs status shows it}"

agent() { # PROVIDER TYPE: the attributes of the resource, in one change
    cibadmin --modify --scope resources \
        --xml-text "<primitive id=\"$resource\" class=\"ocf\" provider=\"$1\" type=\"$2\"/>"
}

back() {
    echo "$1: the resource stays with ocf:heartbeat:IPaddr2" >&2
    agent heartbeat IPaddr2
    crm_resource --refresh -r "$resource" >/dev/null
    crm_resource --wait --timeout=60s || true
    pcs property set maintenance-mode=false
    exit 1
}

crm_resource -r "$resource" --query-xml | grep -q 'type="IPaddr2"' || {
    echo "$resource is no resource of ocf:heartbeat:IPaddr2" >&2
    exit 1
}

# From here on the cluster starts, stops and moves nothing: it only looks.
pcs property set maintenance-mode=true
crm_resource --wait --timeout=60s

agent smartvox opensips-vip

# The new agent judges the parameters, and then the address as it is here.
crm_resource --validate -r "$resource" || back "the parameters are not accepted"
crm_resource --force-check -r "$resource" || back "the address is not as the agent wants it"

# The cluster forgets what the old agent said, and asks the new one on every node. Without this
# it would restart the resource, because its agent has changed.
crm_resource --refresh -r "$resource" >/dev/null
crm_resource --wait --timeout=60s

pcs property set maintenance-mode=false
crm_resource --wait --timeout=60s
crm_resource --locate -r "$resource"
