//! Each rule by a configuration, or a host, in which it is broken. The configurations are those that the
//! examples make, as a real cluster has them.

use super::*;
use crate::host::{Complaint, Corosync};
use crate::meta_data::MetaData;

const ACTIVE: &str = include_str!("../../fixtures/active-standby.xml");
const HOT: &str = include_str!("../../fixtures/hot-standby.xml");

/// A node on which nothing is wrong.
fn host() -> Host {
    let meta_data = |xml| Ok(MetaData::read(xml).unwrap());
    Host {
        node: "node1".to_owned(),
        agents: [
            ("opensips".to_owned(), meta_data(include_str!("../../../../ocf/opensips.xml"))),
            (
                "opensips-vip".to_owned(),
                meta_data(include_str!("../../../../ocf/opensips-vip.xml")),
            ),
        ]
        .into(),
        corosync: Corosync {
            known: true,
            two_node: true,
            token_ms: Some(3000),
            ..Corosync::default()
        },
        nonlocal_bind: [Some(false); 2],
        ..Host::default()
    }
}

/// A configuration with one text in place of another, which must be there.
fn with(xml: &str, from: &str, to: &str) -> String {
    assert!(xml.contains(from), "{from} is not in the configuration");
    xml.replace(from, to)
}

fn found_on(host: &Host, xml: &str) -> Vec<Finding> {
    let cib = Cib::read(xml, &host.node).unwrap();
    findings(&Pair { cib: &cib, host })
}

fn found(xml: &str) -> Vec<Finding> {
    found_on(&host(), xml)
}

/// Adds an attribute to the defaults of all resources.
fn default(xml: &str, name: &str, value: &str) -> String {
    let set = "<meta_attributes id=\"rsc_defaults-meta_attributes\">";
    with(xml, set, &format!("{set}<nvpair id=\"d\" name=\"{name}\" value=\"{value}\"/>"))
}

fn resource(xml: &str, resource: &str) -> String {
    with(xml, "<resources>", &format!("<resources>{resource}"))
}

fn constraint(xml: &str, constraint: &str) -> String {
    with(xml, "<constraints>", &format!("<constraints>{constraint}"))
}

/// A rule, a host and a configuration in which it is broken, a part of the sentence and of the command.
type Case = (&'static str, Host, String, &'static str, &'static str);

/// The example with `fence-ping` for node1, and a topology.
fn asking(levels: &str) -> String {
    let device = "<primitive id=\"fence-ping\" class=\"stonith\" type=\"fence_heuristics_ping\">\
                  <instance_attributes id=\"p\"><nvpair id=\"pl\" name=\"pcmk_host_list\" \
                  value=\"node1\"/></instance_attributes></primitive>";
    let topology = format!("</resources><fencing-topology>{levels}</fencing-topology>");
    with(&resource(ACTIVE, device), "</resources>", &topology)
}

fn cluster_cases() -> Vec<Case> {
    let fence = "name=\"pcmk_delay_base\" value=\"1s\"";
    let two_node = Corosync { two_node: false, ..host().corosync };
    let wait = Corosync { wait_for_all: Some(false), ..host().corosync };
    let token = |token| Corosync { token_ms: Some(token), ..host().corosync };
    let on = |corosync| Host { corosync, ..host() };
    let node2 = "<node id=\"2\" uname=\"node2\"/>";
    let node_with = |name| {
        let set = format!(
            "<node id=\"2\" uname=\"node2\"><instance_attributes id=\"n\"><nvpair id=\"nn\" \
             name=\"{name}\" value=\"on\"/></instance_attributes></node>"
        );
        with(ACTIVE, node2, &set)
    };
    let off = with(
        ACTIVE,
        "name=\"stonith-enabled\" value=\"true\"",
        "name=\"stonith-enabled\" value=\"false\"",
    );
    let maintenance = with(
        ACTIVE,
        "name=\"dc-deadtime\" value=\"2s\"",
        "name=\"maintenance-mode\" value=\"true\"",
    );
    let ban = "<rsc_location id=\"cli-ban-vip-on-node1\" rsc=\"vip\" node=\"node1\" score=\"-INFINITY\"/>";
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
            "fencing-delay",
            host(),
            with(ACTIVE, fence, "name=\"x\" value=\"1s\""),
            "has a delay",
            "update fence-node1 pcmk_delay_base=5s",
        ),
        (
            "fencing-delay",
            host(),
            with(ACTIVE, fence, "name=\"pcmk_delay_base\" value=\"0s\""),
            "has a delay",
            "pcs stonith update",
        ),
        ("two-node", on(two_node), ACTIVE.to_owned(), "without two_node", "two_node: 1"),
        ("wait-for-all", on(wait), ACTIVE.to_owned(), "wait_for_all is off", "wait_for_all: 1"),
        ("token", on(token(500)), ACTIVE.to_owned(), "500 ms", "token=3000"),
        ("token", on(token(30_000)), ACTIVE.to_owned(), "30000 ms", "token=3000"),
        ("maintenance", host(), maintenance, "the cluster is in", "maintenance-mode=false"),
        (
            "fencing",
            host(),
            with(&off, "class=\"stonith\"", "class=\"lsb\""),
            "stonith-enabled=false",
            "pcs stonith create fence-NODE AGENT pcmk_host_list=NODE …, then pcs property",
        ),
        (
            "maintenance",
            host(),
            default(HOT, "maintenance", "true"),
            "opensips is in maintenance mode",
            "meta opensips-clone maintenance=false",
        ),
        ("maintenance", host(), node_with("maintenance"), "node2 is in", "unmaintenance node2"),
        (
            "maintenance",
            host(),
            default(HOT, "is-managed", "false"),
            "not managed",
            "pcs resource manage",
        ),
        ("standby", host(), node_with("standby"), "node2 is in standby", "unstandby node2"),
        ("leftover-move", host(), constraint(ACTIVE, ban), "cli-ban-vip-on-node1", "clear vip"),
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

fn pair_cases() -> Vec<Case> {
    let colocation = "rsc=\"opensips\" with-rsc=\"vip\" score=\"INFINITY\"";
    let weak = "rsc=\"opensips\" with-rsc=\"vip\" score=\"100\"";
    let unpromoted = with(HOT, " with-rsc-role=\"Promoted\"", "");
    let order = "first=\"vip\" then=\"opensips\"";
    let hot_order = "first=\"opensips-clone\" then=\"vip\" first-action=\"start\"";
    let twin = |agent: &str| {
        let set =
            "<instance_attributes id=\"t\"><nvpair id=\"ti\" name=\"ip\" value=\"192.0.2.10\"/>";
        let primitive = format!(
            "<primitive id=\"twin\" class=\"ocf\" provider=\"heartbeat\" type=\"{agent}\">"
        );
        resource(ACTIVE, &format!("{primitive}{set}</instance_attributes></primitive>"))
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

#[test]
fn the_examples_break_no_rule() {
    assert_eq!(found(ACTIVE), []);
    assert_eq!(found(HOT), []);
    for other in [
        include_str!("../../fixtures/dual-stack.xml"),
        include_str!("../../fixtures/two-networks.xml"),
        include_str!("../../fixtures/several-instances.xml"),
    ] {
        assert_eq!(found(other), []);
    }
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let cases = [cluster_cases(), resource_cases(), pair_cases()].concat();
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

#[test]
fn errors_come_first() {
    let both = default(
        &with(
            ACTIVE,
            "name=\"stonith-enabled\" value=\"true\"",
            "name=\"stonith-enabled\" value=\"no\"",
        ),
        "migration-threshold",
        "1",
    );
    let severities: Vec<Severity> = found(&both).iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Warning, Severity::Warning]);
}

/// What is as good as in the examples, said otherwise.
#[test]
fn other_spellings_break_no_rule() {
    let delay = "name=\"pcmk_delay_base\" value=\"1s\"";
    let colocation = "<rsc_colocation rsc=\"opensips\" with-rsc=\"vip\" score=\"INFINITY\" \
                      id=\"colocation-opensips-vip-INFINITY\"/>";
    let order = "<rsc_order first=\"vip\" then=\"opensips\" first-action=\"start\" \
                 then-action=\"start\" id=\"order-vip-opensips-mandatory\"/>";
    let set = |tag: &str| {
        format!(
            "<{tag} id=\"s\" score=\"INFINITY\"><resource_set id=\"ss\"><resource_ref id=\"vip\"/>\
             <resource_ref id=\"opensips\"/></resource_set></{tag}>"
        )
    };
    let master = with(HOT, "with-rsc-role=\"Promoted\"", "with-rsc-role=\"Master\"");
    for xml in [
        asking(
            "<fencing-level id=\"l\" target=\"node1\" index=\"1\" devices=\"fence-ping,fence-node1\"/>",
        ),
        with(ACTIVE, delay, "name=\"pcmk_delay_max\" value=\"10\""),
        with(ACTIVE, colocation, &set("rsc_colocation")),
        with(
            ACTIVE,
            order,
            &set("rsc_order").replace(" score=\"INFINITY\"", " kind=\"Mandatory\""),
        ),
        with(&master, "role=\"Promoted\" id=", "role=\"Master\" id="),
        with(ACTIVE, "timeout=\"90s\"", "timeout=\"2min\""),
        with(ACTIVE, "timeout=\"90s\"", "timeout=\"0\""),
        default(ACTIVE, "migration-threshold", "3"),
    ] {
        assert_eq!(found(&xml), [], "{xml}");
    }
    // A default counts for operations that are not configured.
    let start =
        "<op name=\"start\" timeout=\"60s\" interval=\"0s\" id=\"opensips-start-interval-0s\"/>";
    let long = "<op_defaults><meta_attributes id=\"od\"><nvpair id=\"odt\" name=\"timeout\" \
                value=\"90s\"/></meta_attributes></op_defaults></configuration>";
    assert_eq!(found(&with(&with(ACTIVE, start, ""), "</configuration>", long)), []);
    // A group keeps both together, in its order.
    let vip = ACTIVE.find("<primitive id=\"vip\"").unwrap();
    let end = ACTIVE.find("<clone id=\"gateway-clone\"").unwrap();
    let (before, members, after) = (&ACTIVE[..vip], &ACTIVE[vip..end], &ACTIVE[end..]);
    let group = format!("{before}<group id=\"sip\">{members}</group>{after}");
    let group = with(&with(&group, colocation, ""), order, "");
    assert_eq!(found(&group), []);
}

/// `dual-stack.sh`, `two-networks.sh`: the second address follows the first one, and so does OpenSIPS.
#[test]
fn a_second_address_breaks_no_rule() {
    let start = ACTIVE.find("<primitive id=\"vip\"").unwrap();
    let end = start + ACTIVE[start..].find("</primitive>").unwrap() + "</primitive>".len();
    let second =
        ACTIVE[start..end].replace("\"vip", "\"vip-lan").replace("192.0.2.10", "2001:db8::10");
    let xml = with(
        &resource(ACTIVE, &second),
        "name=\"vip\" value=\"192.0.2.10\"",
        "name=\"vip\" value=\"192.0.2.10,2001:db8::10\"",
    );
    let rules = |xml: &str| found(xml).iter().map(|one| one.rule).collect::<Vec<_>>();
    assert_eq!(rules(&xml), ["colocation", "order"]);
    let follows = "<rsc_colocation id=\"f\" rsc=\"vip-lan\" with-rsc=\"vip\" score=\"INFINITY\"/>";
    let xml = constraint(&xml, follows);
    assert_eq!(rules(&xml), ["order"]);
    let chain = "<rsc_order id=\"c\" first=\"vip-lan\" then=\"vip\"/>";
    assert_eq!(found(&constraint(&xml, chain)), []);
    let ensure = "<nvpair id=\"e\" name=\"nonlocal_bind\" value=\"ensure\"/>";
    let set = "<instance_attributes id=\"opensips-instance_attributes\">";
    assert_eq!(found(&with(&xml, set, &format!("{set}{ensure}"))), []);
}

/// What is as it should be for a while, or in another cluster than a pair.
#[test]
fn other_clusters_break_no_rule() {
    let off = Host { corosync: Corosync { two_node: false, ..host().corosync }, ..host() };
    let ignore = with(
        ACTIVE,
        "name=\"dc-deadtime\" value=\"2s\"",
        "name=\"no-quorum-policy\" value=\"ignore\"",
    );
    assert_eq!(found_on(&off, &ignore), []);
    // An address that goes from one agent to the other.
    let former = "<primitive id=\"former\" class=\"ocf\" provider=\"heartbeat\" type=\"IPaddr2\">\
                  <instance_attributes id=\"t\"><nvpair id=\"ti\" name=\"ip\" value=\"192.0.2.10\"/>\
                  </instance_attributes><meta_attributes id=\"tm\"><nvpair id=\"tr\" \
                  name=\"target-role\" value=\"Stopped\"/></meta_attributes></primitive>";
    assert_eq!(found(&resource(ACTIVE, former)), []);
    let standby = "<node id=\"3\" uname=\"node3\"><instance_attributes id=\"n\"><nvpair id=\"nn\" \
                   name=\"standby\" value=\"on\"/></instance_attributes></node></nodes>";
    let found = found(&with(ACTIVE, "</nodes>", standby));
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(finding.found.sentence, "node3 is in standby: it takes nothing over");
}
