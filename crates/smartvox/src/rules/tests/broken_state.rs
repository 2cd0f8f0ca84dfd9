//! The rules about what was forgotten, and about what the nodes have reported, where they are broken.

use super::*;

/// What a person has left behind.
pub(super) fn forgotten_cases() -> Vec<Case> {
    let node_with = |name| {
        let set = format!(
            "<node id=\"2\" uname=\"node2\"><instance_attributes id=\"n\"><nvpair id=\"nn\" \
             name=\"{name}\" value=\"on\"/></instance_attributes></node>"
        );
        with(ACTIVE, "<node id=\"2\" uname=\"node2\"/>", &set)
    };
    let until_reboot = |xml: &str| {
        let published = "<instance_attributes id=\"status-2\">";
        let pair = "<nvpair id=\"sb\" name=\"standby\" value=\"on\"/>";
        with(xml, published, &format!("{published}{pair}"))
    };
    let mode = "name=\"maintenance-mode\" value=\"true\"";
    let mode = with(ACTIVE, "name=\"dc-deadtime\" value=\"2s\"", mode);
    let meta = |xml: &str, at: &str, name: &str, value: &str| {
        let pair = format!("<nvpair id=\"mn\" name=\"{name}\" value=\"{value}\"/>");
        with(xml, at, &format!("{at}<meta_attributes id=\"m\">{pair}</meta_attributes>"))
    };
    let daemon =
        "<primitive id=\"opensips\" class=\"ocf\" type=\"opensips\" provider=\"smartvox\">";
    let clone = "<clone id=\"opensips-clone\">";
    let location = |id: &str, inside: &str| {
        constraint(ACTIVE, &format!("<rsc_location id=\"{id}\" rsc=\"vip\" {inside}"))
    };
    let ban = location("cli-ban-vip-on-node1", "node=\"node1\" score=\"-INFINITY\"/>");
    let lifetime = lifetime("9999-01-01 00:00:00Z");
    let relocated = location("pcs-relocate-vip", "node=\"node1\" score=\"INFINITY\"/>");
    let found = |rule, xml, sentence, command| (rule, host(), xml, sentence, command);
    vec![
        found("maintenance", mode, "the cluster is in", "maintenance-mode=false"),
        found(
            "maintenance",
            default(HOT, "maintenance", "true"),
            "opensips is in maintenance mode",
            "pcs resource defaults update maintenance=",
        ),
        found(
            "maintenance",
            meta(HOT, clone, "maintenance", "true"),
            "opensips is in maintenance mode",
            "pcs resource meta opensips-clone maintenance=",
        ),
        found("maintenance", node_with("maintenance"), "node2 is in", "unmaintenance node2"),
        found(
            "maintenance",
            default(HOT, "is-managed", "false"),
            "not managed",
            "pcs resource defaults update is-managed=",
        ),
        found(
            "maintenance",
            meta(ACTIVE, daemon, "is-managed", "false"),
            "opensips is not managed",
            "pcs resource manage opensips --monitor",
        ),
        found("standby", node_with("standby"), "node2 is in standby", "unstandby node2"),
        // crm_standby -l reboot
        found(
            "standby",
            until_reboot(ACTIVE),
            "node2 is in standby",
            "crm_standby --delete --node node2 --lifetime reboot",
        ),
        found(
            "standby",
            until_reboot(&node_with("standby").replace("value=\"on\"", "value=\"off\"")),
            "node2 is in standby",
            "crm_standby --delete --node node2 --lifetime reboot",
        ),
        found(
            "standby",
            until_reboot(&node_with("standby")),
            "node2 is in standby",
            "pcs node unstandby node2 && crm_standby --delete --node node2 --lifetime reboot",
        ),
        found(
            "disabled",
            meta(&grouped(), "<group id=\"sip\">", "target-role", "Stopped"),
            "opensips is disabled",
            "pcs resource enable sip",
        ),
        found(
            "disabled",
            meta(HOT, clone, "target-role", "Unpromoted"),
            "opensips is disabled",
            "pcs resource enable opensips-clone",
        ),
        found(
            "disabled",
            meta(ACTIVE, daemon, "target-role", "Stopped"),
            "opensips is disabled (target-role=Stopped): it runs on no node",
            "pcs resource enable opensips",
        ),
        found(
            "disabled",
            meta(HOT, daemon, "target-role", "Unpromoted"),
            "no instance is promoted",
            "pcs resource enable opensips",
        ),
        found(
            "disabled",
            default(ACTIVE, "target-role", "Stopped"),
            "vip is disabled",
            "pcs resource defaults update target-role=",
        ),
        found("leftover-move", ban, "cli-ban-vip-on-node1", "clear vip"),
        found("leftover-move", lifetime, "cli-prefer-vip", "clear vip"),
        found("leftover-move", relocated, "\"pcs resource relocate run\"", "relocate clear"),
    ]
}

pub(super) fn state_cases() -> Vec<Case> {
    let gone = "uname=\"node2\" in_ccm=\"false\"";
    let gone = |xml| with(xml, "uname=\"node2\" in_ccm=\"true\"", gone);
    let published = "<instance_attributes id=\"status-2\">";
    let count = |xml: &str, name: &str, value: &str| {
        let pair = format!("<nvpair id=\"fc\" name=\"{name}\" value=\"{value}\"/>");
        with(xml, published, &format!("{published}{pair}"))
    };
    let threshold = default(ACTIVE, "migration-threshold", "3");
    let hot_node2 = avoids("opensips-clone").replace("node3", "node2");
    let found = |rule, xml, sentence, command| (rule, host(), xml, sentence, command);
    vec![
        found(
            "offline",
            gone(ACTIVE),
            "node2 is not in the cluster: it takes nothing over",
            "pcs cluster start node2",
        ),
        found(
            "offline",
            gone(&constraint(&third_of(ACTIVE), &avoids("vip").replace("node3", "node2"))),
            "its vote is missing",
            "pcs cluster start node2",
        ),
        found(
            "servers",
            constraint(ACTIVE, &avoids("vip").replace("node3", "node2")),
            "opensips may run on node1 alone",
            "pcs constraint delete location-vip-node2--INFINITY",
        ),
        found(
            "servers",
            constraint(&constraint(&third_of(HOT), &avoids("opensips-clone")), &hot_node2),
            "opensips may run on node1 alone",
            "pcs constraint delete location-opensips-clone-node2--INFINITY (for node2)",
        ),
        found(
            "barred-everywhere",
            with(
                &count(ACTIVE, "fail-count-opensips#start_0", "INFINITY"),
                "<instance_attributes id=\"status-1\">",
                "<instance_attributes id=\"status-1\"><nvpair id=\"f1\" name=\"fail-count-opensips#start_0\" value=\"INFINITY\"/>",
            ),
            "opensips is barred on every node that could run it (node1, node2): it runs nowhere",
            "then: crm_resource --cleanup -r opensips",
        ),
        found(
            "link",
            with(
                ACTIVE,
                "id=\"status-2-smartvox-link-vip\" name=\"smartvox-link-vip\" value=\"1\"",
                "id=\"status-2-smartvox-link-vip\" name=\"smartvox-link-vip\" value=\"0\"",
            ),
            "vip can't be reached on node2: its interface is missing, down or without a carrier (smartvox-link-vip=0)",
            "ip -br link (on node2",
        ),
        // The later result of the two is that of the fault.
        found(
            "degraded",
            with(
                HOT,
                "rc-code=\"190\" op-status=\"0\" interval=\"2000\" last-rc-change=\"1795960305\"",
                "rc-code=\"190\" op-status=\"0\" interval=\"2000\" last-rc-change=\"1795960315\"",
            ),
            "vip serves with a fault on node2",
            "crm_mon -1 --include=none,failures",
        ),
        found(
            "barred",
            count(HOT, "fail-count-opensips#start_0", "INFINITY"),
            "node2 is barred for opensips",
            "crm_resource --cleanup -r opensips --node node2",
        ),
        found(
            "barred",
            count(&threshold, "fail-count-vip#monitor_2000", "3"),
            "node2 is barred for vip",
            "--cleanup -r vip --node node2",
        ),
    ]
}
