#!/bin/sh
# Moves a running resource of ocf:heartbeat:IPaddr2 over to ocf:smartvox:opensips-vip, without taking
# the address away. Run it as root on the node that has the address; both nodes need the agent.
#
#   migrate-from-IPaddr2.sh RESOURCE
#
# The parameters stay as they are: their names mean the same. See docs/migrating-from-IPaddr2.md for
# those that are refused, and for the way back.
#
# However it ends, the agent is one that was checked, and maintenance-mode is what it was before: also
# "true", if an operator had set it.
set -eu
resource="${1:?name the resource, as pcs status shows it}"
checked=IPaddr2
current=IPaddr2

agent() { # PROVIDER TYPE: the attributes of the resource, in one change
    current="$2"
    cibadmin --modify --scope resources \
        --xml-text "<primitive id=\"$resource\" class=\"ocf\" provider=\"$1\" type=\"$2\"/>"
}

crm_resource -r "$resource" --query-xml | grep -q 'type="IPaddr2"' || {
    echo "$resource is no resource of ocf:heartbeat:IPaddr2" >&2
    exit 1
}

# Empty: not set.
before=$(crm_attribute --type crm_config --name maintenance-mode --query --quiet 2>/dev/null || true)

restore() {
    code=$?
    trap - EXIT
    # Not interrupted a second time.
    trap '' INT TERM HUP
    set +e
    if [ "$current" != "$checked" ]; then
        if agent heartbeat IPaddr2; then
            echo "the resource stays with ocf:heartbeat:IPaddr2" >&2
        else
            echo "the resource could not be given back to ocf:heartbeat:IPaddr2" >&2
        fi
        crm_resource --refresh -r "$resource" >/dev/null
        crm_resource --wait --timeout=60s
    fi
    if [ -n "$before" ]; then
        crm_attribute --type crm_config --name maintenance-mode --update "$before"
    else
        crm_attribute --type crm_config --name maintenance-mode --delete
    fi || {
        echo "maintenance-mode could not be put back: it was \"${before:-not set}\"" >&2
        [ "$code" -ne 0 ] || code=1
    }
    if [ "$code" -eq 0 ]; then
        crm_resource --wait --timeout=60s && crm_resource --locate -r "$resource" || code=1
    fi
    exit "$code"
}
trap restore EXIT
# A shell that is ended by a signal does not come to its EXIT by itself.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# From here on the cluster starts, stops and moves nothing: it only looks.
crm_attribute --type crm_config --name maintenance-mode --update true
crm_resource --wait --timeout=60s

agent smartvox opensips-vip

# The new agent judges the parameters, and then the address as it is here: as a recurring check does, after
# which the address is the resource's, also if nothing else of its network is on this node.
crm_resource --validate -r "$resource" || {
    echo "the parameters are not accepted" >&2
    exit 1
}
OCF_RESKEY_CRM_meta_interval=10000 crm_resource --force-check -r "$resource" || {
    echo "the address is not as the agent wants it" >&2
    exit 1
}

# The cluster forgets what the old agent said, and asks the new one on every node. Without this
# it would restart the resource, because its agent has changed.
crm_resource --refresh -r "$resource" >/dev/null
crm_resource --wait --timeout=60s
checked=opensips-vip
