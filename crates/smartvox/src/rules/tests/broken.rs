//! Each rule where it is broken.

use super::broken_fencing::{device_cases, ping_cases};
use super::broken_state::{forgotten_cases, state_cases};
use super::*;
use crate::host::Complaint;
use crate::nodes::{Nodes, Told};

fn cluster_cases() -> Vec<Case> {
    let two_node = Corosync { two_node: false, ..host().corosync };
    let wait = Corosync { wait_for_all: Some(false), ..host().corosync };
    let token = |token| Corosync { token_ms: Some(token), ..host().corosync };
    let on = |corosync| Host { corosync, ..host() };
    let off = with(
        ACTIVE,
        "name=\"stonith-enabled\" value=\"true\"",
        "name=\"stonith-enabled\" value=\"false\"",
    );
    vec![
        ("fencing", host(), off.clone(), "stonith-enabled=false", "stonith-enabled=true"),
        (
            "fencing",
            host(),
            with(ACTIVE, "class=\"stonith\"", "class=\"lsb\""),
            "no fence device",
            "pcs stonith create",
        ),
        (
            "fencing-level",
            host(),
            asking("<fencing-level id=\"l\" target=\"node1\" index=\"1\" devices=\"fence-ping\"/>"),
            "no other device is behind it on a level of node1",
            "level delete 1 target node1 && pcs stonith level add 1 node1 fence-ping fence-node1",
        ),
        (
            "fencing-level",
            host(),
            asking(""),
            "fence-ping switches nothing",
            "pcs stonith level add 1 node1 fence-ping fence-node1",
        ),
        (
            "fencing-node",
            host(),
            with(&third_of(ACTIVE), "value=\"node2 node3\"", "value=\"node2\""),
            "no fence device is for node3",
            "pcs stonith create fence-node3 fence_lab pcmk_host_list=node3",
        ),
        ("two-node", on(two_node), ACTIVE.to_owned(), "without two_node", "two_node: 1"),
        ("wait-for-all", on(wait), ACTIVE.to_owned(), "wait_for_all is off", "wait_for_all: 1"),
        ("token", on(token(500)), ACTIVE.to_owned(), "500 ms", "token=3000"),
        ("token", on(token(30_000)), ACTIVE.to_owned(), "30000 ms", "token=3000"),
        (
            "fencing",
            host(),
            with(&off, "class=\"stonith\"", "class=\"lsb\""),
            "stonith-enabled=false",
            "pcs stonith create fence-NODE AGENT pcmk_host_list=NODE …, then pcs property",
        ),
    ]
}

fn resource_cases() -> Vec<Case> {
    let op = |id: &str| -> String {
        let start = ACTIVE
            .find(&format!("id=\"{id}\"/>"))
            .map(|end| ACTIVE[..end].rfind('<'))
            .unwrap()
            .unwrap();
        let end = start + ACTIVE[start..].find("/>").unwrap() + 2;
        ACTIVE[start..end].to_owned()
    };
    let without = |id: &str| with(ACTIVE, &op(id), "");
    let promoted = "role=\"Promoted\" id=\"opensips-monitor-interval";
    let no_promoted = with(HOT, promoted, "enabled=\"false\" id=\"opensips-monitor-interval");
    let same = with(HOT, "interval=\"9s\"", "interval=\"2000ms\"");
    let no_demote =
        with(HOT, "name=\"shm_memory\" value=\"512\"", "name=\"demote\" value=\"restart\"");
    let short_stopped = with(&op("vip-monitor-interval-1s"), "timeout=\"20s\"", "timeout=\"5s\"");
    let short_stopped = with(&short_stopped, "interval=\"1s\"", "interval=\"1500ms\"");
    let short = with(ACTIVE, "timeout=\"90s\"", "timeout=\"30s\"");
    let failure =
        |xml| with(xml, "name=\"failure-timeout\" value=\"60s\"", "name=\"x\" value=\"1\"");
    let sticky = |value| {
        with(
            ACTIVE,
            "name=\"resource-stickiness\" value=\"100\"",
            &format!("name=\"resource-stickiness\" value=\"{value}\""),
        )
    };
    vec![
        (
            "monitor-missing",
            host(),
            without("opensips-monitor-interval-2s"),
            "opensips has no recurring monitor:",
            "op add opensips monitor interval=2s timeout=20s",
        ),
        (
            "monitor-missing",
            host(),
            no_promoted,
            "with role=Promoted",
            "interval=2s timeout=20s role=Promoted",
        ),
        (
            "monitor-interval",
            host(),
            same,
            "have the interval 2s",
            "delete opensips-monitor-interval-9s && pcs resource op add opensips monitor interval=3s timeout=20s role=Promoted OCF_CHECK_LEVEL=10",
        ),
        (
            "monitor-stopped",
            host(),
            without("vip-monitor-interval-1s"),
            "role=Stopped",
            "op add vip monitor interval=1s timeout=20s role=Stopped",
        ),
        (
            "timeout",
            host(),
            short,
            "the timeout of stop of opensips is 30s, and the agent needs 90s",
            "opensips op stop timeout=90s",
        ),
        (
            "timeout",
            host(),
            without("opensips-start-interval-0s"),
            "start of opensips is 20s",
            "op start timeout=60s",
        ),
        (
            "timeout",
            host(),
            with(ACTIVE, &op("vip-monitor-interval-1s"), &short_stopped),
            "monitor of vip is 5s",
            "delete vip-monitor-interval-1s && pcs resource op add vip monitor interval=1500ms timeout=20s role=Stopped",
        ),
        ("timeout", host(), no_demote, "demote of opensips is 20s", "op demote timeout=150s"),
        (
            "failure-timeout",
            host(),
            failure(ACTIVE),
            "vip has no failure-timeout",
            "failure-timeout=60s",
        ),
        (
            "failure-timeout",
            host(),
            failure(HOT),
            "opensips has no failure-timeout",
            "failure-timeout=60s",
        ),
        (
            "migration-threshold",
            host(),
            default(HOT, "migration-threshold", "1"),
            "migration-threshold=1",
            "migration-threshold=INFINITY",
        ),
        (
            "stickiness-too-high",
            host(),
            default(HOT, "resource-stickiness", "INFINITY"),
            "promotion score",
            "meta opensips-clone resource-stickiness=0",
        ),
        (
            "stickiness-too-high",
            host(),
            sticky("1000"),
            "location-vip-1 has a score of 1000",
            "meta vip resource-stickiness=100",
        ),
        (
            "stickiness-missing",
            host(),
            with(ACTIVE, "name=\"resource-stickiness\"", "name=\"x\""),
            "can move back",
            "resource-stickiness=100",
        ),
    ]
}

/// Another resource with the address of the examples.
fn twin_of(agent: &str) -> String {
    format!(
        "<primitive id=\"twin\" class=\"ocf\" provider=\"heartbeat\" type=\"{agent}\">\
         <instance_attributes id=\"t\"><nvpair id=\"ti\" name=\"ip\" value=\"192.0.2.10\"/>\
         </instance_attributes></primitive>"
    )
}

fn pair_cases() -> Vec<Case> {
    let colocation = "rsc=\"opensips\" with-rsc=\"vip\" score=\"INFINITY\"";
    let weak = "rsc=\"opensips\" with-rsc=\"vip\" score=\"100\"";
    let unpromoted = with(HOT, " with-rsc-role=\"Promoted\"", "");
    let order = "first=\"vip\" then=\"opensips\"";
    let hot_order = "first=\"opensips-clone\" then=\"vip\" first-action=\"start\"";
    let twin = |agent: &str| resource(ACTIVE, &twin_of(agent));
    // The address went into a group, and a constraint of the former one was left.
    let leftover =
        "<rsc_colocation id=\"l\" rsc=\"opensips\" with-rsc=\"twin\" score=\"INFINITY\"/>";
    let beside_group = constraint(&resource(&grouped(), &twin_of("IPaddr2")), leftover);
    let second = |id: &str, ip: &str| {
        let start = ACTIVE.find("<primitive id=\"vip\"").unwrap();
        let end = start + ACTIVE[start..].find("</primitive>").unwrap() + "</primitive>".len();
        let vip = ACTIVE[start..end].replace("\"vip", &format!("\"{id}"));
        resource(ACTIVE, &vip.replace("192.0.2.10", ip))
    };
    let other_vip = with(
        ACTIVE,
        "name=\"vip\" value=\"192.0.2.10\"",
        "name=\"vip\" value=\"192.0.2.10,192.0.2.44\"",
    );
    let ensure = with(
        HOT,
        "name=\"nonlocal_bind\" value=\"ensure\"",
        "name=\"nonlocal_bind\" value=\"check\"",
    );
    let unknown = with(ACTIVE, "name=\"shm_memory\"", "name=\"shm_memori\"");
    let gone = Err("it is not there".to_owned());
    let no_agent = Host { agents: [("opensips".to_owned(), gone)].into(), ..host() };
    let said = |refuses| {
        let sentence = "sharing_tag=vip/2: the configuration does not declare it".to_owned();
        let complaints = vec![Complaint { sentence, refuses }];
        Host { validated: [("opensips".to_owned(), complaints)].into(), ..host() }
    };
    vec![
        (
            "colocation",
            host(),
            with(ACTIVE, colocation, weak),
            "opensips on the node that has vip",
            "colocation add opensips with vip",
        ),
        (
            "colocation",
            host(),
            unpromoted,
            "where opensips-clone is promoted",
            "add vip with Promoted opensips-clone",
        ),
        (
            "order",
            host(),
            with(ACTIVE, order, "first=\"opensips\" then=\"vip\""),
            "nothing starts vip before opensips",
            "order start vip then start opensips",
        ),
        (
            "order",
            host(),
            with(HOT, hot_order, "first=\"a\" then=\"b\""),
            "nothing starts opensips-clone before vip",
            "order start opensips-clone then start vip symmetrical=false",
        ),
        (
            "same-address",
            host(),
            twin("IPaddr2"),
            "twin (IPaddr2) manages 192.0.2.10",
            "pcs resource delete twin",
        ),
        (
            "same-address",
            host(),
            beside_group,
            "twin (IPaddr2) manages 192.0.2.10 as well as vip",
            "pcs resource delete twin",
        ),
        // The one that the constraints name stays, wherever it is in the file.
        (
            "same-address",
            host(),
            second("vip-b", "192.0.2.10/32"),
            "vip-b (opensips-vip) manages 192.0.2.10 as well as vip, which a constraint or a group names",
            "pcs resource delete vip-b",
        ),
        (
            "vip-unmatched",
            host(),
            other_vip,
            "vip=192.0.2.44",
            "create vip-192-0-2-44 ocf:smartvox:opensips-vip ip=192.0.2.44",
        ),
        (
            "agent",
            no_agent,
            ACTIVE.to_owned(),
            "it is not there",
            "--show-metadata ocf:smartvox:opensips",
        ),
        ("parameter", host(), unknown, "shm_memori", "pcs resource update opensips shm_memori="),
        ("refused", said(true), HOT.to_owned(), "sharing_tag=vip/2", "--validate -r opensips"),
        ("remarked", said(false), HOT.to_owned(), "sharing_tag=vip/2", "--validate -r opensips"),
        (
            "nonlocal-bind",
            host(),
            ensure,
            "net.ipv4.ip_nonlocal_bind is 0 on node1",
            "nonlocal_bind=ensure",
        ),
    ]
}

/// What another node has told is not what this one has.
fn other_node_cases() -> Vec<Case> {
    let map = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let own = Told { versions: map("opensips", "1.0.0"), configs: map("opensips", "0123") };
    let beside = |other: Told| {
        let others = [("node2".to_owned(), other)].into();
        Host { nodes: Nodes { own: own.clone(), others, remarks: Vec::new() }, ..host() }
    };
    vec![
        (
            "versions",
            beside(Told { versions: map("opensips", "0.9.0"), ..own.clone() }),
            HOT.to_owned(),
            "opensips is 1.0.0 on node1, and was 0.9.0 on node2",
            "on node2: smartvox check",
        ),
        (
            "configurations",
            beside(Told { configs: map("opensips", "4567"), ..own.clone() }),
            ACTIVE.to_owned(),
            "/etc/opensips/opensips.cfg of opensips is not the same on node1 as it was on node2",
            "--name smartvox-check-ignore --update configurations",
        ),
        // The rules that it already names stay.
        (
            "configurations",
            beside(Told { configs: map("opensips", "4567"), ..own.clone() }),
            with(
                ACTIVE,
                "name=\"dc-deadtime\" value=\"2s\"",
                "name=\"smartvox-check-ignore\" value=\"token, standby\"",
            ),
            "/etc/opensips/opensips.cfg of opensips is not the same",
            "--name smartvox-check-ignore --update token,standby,configurations",
        ),
    ]
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let cases = [
        cluster_cases(),
        device_cases(),
        forgotten_cases(),
        state_cases(),
        ping_cases(),
        resource_cases(),
        pair_cases(),
        other_node_cases(),
    ];
    let cases = cases.concat();
    for (rule, host, xml, sentence, command) in &cases {
        let found = found_on(host, xml);
        let fits =
            |finding: &&Finding| finding.rule == *rule && finding.found.sentence.contains(sentence);
        let finding = found.iter().find(fits);
        let finding = finding.unwrap_or_else(|| panic!("{rule}, {sentence}: {found:#?}"));
        assert!(finding.found.command.contains(command), "{rule}: {finding:#?}");
        // One mistake is one finding, or one for each resource.
        assert!(found.iter().all(|other| other.rule == *rule), "{rule}: {found:#?}");
    }
    for rule in &RULES {
        assert!(cases.iter().any(|case| case.0 == rule.name), "no case breaks {}", rule.name);
    }
}
