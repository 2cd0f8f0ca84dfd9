//! What breaks no rule.

use super::*;
use crate::nodes::{Nodes, Told};

#[test]
fn the_examples_break_no_rule() {
    assert_eq!(found(ACTIVE), []);
    assert_eq!(found(HOT), []);
    for other in [
        include_str!("../../../fixtures/dual-stack.xml"),
        include_str!("../../../fixtures/two-networks.xml"),
        include_str!("../../../fixtures/several-instances.xml"),
    ] {
        assert_eq!(found(other), []);
    }
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
    assert_eq!(found(&grouped()), []);
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

/// One IPv6 address in two spellings: it has its constraints.
#[test]
fn an_address_in_another_spelling_breaks_no_rule() {
    let vip =
        with(ACTIVE, "name=\"ip\" value=\"192.0.2.10\"", "name=\"ip\" value=\"2001:DB8::0010\"");
    let daemon =
        with(&vip, "name=\"vip\" value=\"192.0.2.10\"", "name=\"vip\" value=\"2001:db8::10\"");
    assert_eq!(found(&daemon), []);
    // They are looked at.
    let order = "first=\"vip\" then=\"opensips\"";
    let other = with(&daemon, order, "first=\"a\" then=\"b\"");
    assert_eq!(found(&other).iter().map(|one| one.rule).collect::<Vec<_>>(), ["order"]);
}

/// Nodes that have told the same, or less, or what this version does not know.
#[test]
fn nodes_that_are_alike_break_no_rule() {
    let map = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let own = Told { versions: map("opensips", "1.0.0"), configs: map("opensips", "0123") };
    let newer = Told { versions: map("opensips-next", "2.0.0"), ..Told::default() };
    let others = [own.clone(), Told::default(), newer];
    let others = (2..).zip(others).map(|(at, told)| (format!("node{at}"), told)).collect();
    let host = Host { nodes: Nodes { own, others, remarks: Vec::new() }, ..host() };
    assert_eq!(found_on(&host, ACTIVE), []);
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
    // Corosync adds to the token for the third node.
    let third = third_of(ACTIVE);
    let token =
        |token| Host { corosync: Corosync { token_ms: Some(token), ..host().corosync }, ..host() };
    assert_eq!(found_on(&token(10_650), &third), []);
    assert_eq!(found_on(&token(10_651), &third).len(), 1);
    assert_eq!(found_on(&token(10_650), ACTIVE).len(), 1);
    let found = found(&in_standby(&third, 3));
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(finding.found.sentence, "node3 is in standby: it takes nothing over");
}

/// `pcs node standby`
fn in_standby(xml: &str, node: u8) -> String {
    node_with(xml, node, "standby")
}

fn node_with(xml: &str, node: u8, name: &str) -> String {
    let set = format!(
        "<instance_attributes id=\"n\"><nvpair id=\"nn\" name=\"{name}\" value=\"on\"/>\
         </instance_attributes>"
    );
    let element = format!("<node id=\"{node}\" uname=\"node{node}\"");
    with(xml, &format!("{element}/>"), &format!("{element}>{set}</node>"))
}

/// What `crm_standby -l reboot -v off` says counts before the permanent attribute.
#[test]
fn a_standby_that_is_off_until_the_reboot_breaks_no_rule() {
    let published = "<instance_attributes id=\"status-2\">";
    let pair = "<nvpair id=\"sb\" name=\"standby\" value=\"off\"/>";
    let xml = in_standby(&with(ACTIVE, published, &format!("{published}{pair}")), 2);
    assert_eq!(found(&xml), []);
}

/// One node that may not serve is one command, as it is.
#[test]
fn the_command_for_a_second_server_can_be_pasted() {
    let alone = found(&constraint(ACTIVE, &avoids("vip").replace("node3", "node2")));
    let commands: Vec<&str> = alone.iter().map(|one| one.found.command.as_str()).collect();
    assert_eq!(commands, ["pcs constraint delete location-vip-node2--INFINITY"; 2]);
}

/// A node on which the constraints let nothing run.
#[test]
fn a_node_that_only_counts_for_the_quorum_breaks_no_rule() {
    // OpenSIPS follows its address.
    let third = constraint(&third_of(ACTIVE), &avoids("vip"));
    assert_eq!(found(&in_standby(&third, 3)), []);
    // No other node is left to fail over to.
    let sentences: Vec<String> =
        found(&in_standby(&third, 2)).into_iter().map(|one| one.found.sentence).collect();
    assert_eq!(sentences, ["node2 is in standby: there is no node to fail over to"]);
    // On itself, nothing is expected of it.
    let hot = third_of(HOT);
    let there = Host { node: "node3".to_owned(), ..host() };
    let check = |xml: &str| {
        with(
            xml,
            "name=\"nonlocal_bind\" value=\"ensure\"",
            "name=\"nonlocal_bind\" value=\"check\"",
        )
    };
    assert_eq!(found_on(&there, &check(&constraint(&hot, &avoids("opensips-clone")))), []);
    let rules: Vec<&str> =
        found_on(&there, &check(&hot)).iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["nonlocal-bind"]);
}

/// Devices that are for a node by other parameters than a list of names.
#[test]
fn fence_devices_without_a_list_break_no_rule() {
    let list = "name=\"pcmk_host_list\" value=\"node2\"";
    for other in [
        "name=\"pcmk_host_map\" value=\"node1:3;node2:4,5\"",
        "name=\"pcmk_host_map\" value=\"node1=3&#9;NODE2=4\"",
        "name=\"pcmk_host_list\" value=\"old\tNode2\"",
        "name=\"pcmk_host_list\" value=\"old\"/><nvpair id=\"pc\" name=\"pcmk_host_check\" value=\"dynamic-list\"",
        "name=\"plug\" value=\"2\"",
    ] {
        assert_eq!(found(&with(ACTIVE, list, other)), [], "{other}");
    }
}

/// What the commands of fencing-delay make of equal delays.
#[test]
fn delays_that_differ_break_no_rule() {
    let list = |node: &str| format!("name=\"pcmk_host_list\" value=\"{node}\"");
    let add = |xml: &str, node: &str, name: &str, value: &str| {
        let pair =
            format!("{}/><nvpair id=\"a-{name}\" name=\"{name}\" value=\"{value}\"", list(node));
        with(xml, &list(node), &pair)
    };
    // pcmk_delay_base of the first device is 1s.
    assert_eq!(found(&add(ACTIVE, "node2", "delay", "1s")).len(), 1);
    assert_eq!(found(&add(ACTIVE, "node2", "delay", "0")), []);
    assert_eq!(found(&add(ACTIVE, "node2", "pcmk_delay_base", "1s")).len(), 1);
    assert_eq!(found(&add(ACTIVE, "node2", "pcmk_delay_base", "0s")), []);
    // One has a random part, also above a base.
    let base = add(ACTIVE, "node2", "pcmk_delay_base", "1s");
    assert_eq!(found(&add(&base, "node2", "pcmk_delay_max", "3s")), []);
    assert_eq!(found(&add(&base, "node2", "pcmk_delay_max", "2s")).len(), 1);
    // One device for both.
    let start = ACTIVE.find("<primitive id=\"fence-node2\"").unwrap();
    let end = start + ACTIVE[start..].find("</primitive>").unwrap() + "</primitive>".len();
    let shared = with(ACTIVE, &ACTIVE[start..end], "");
    let shared = with(&shared, &list("node1"), &list("node1 node2"));
    let shared = with(&shared, "value=\"1s\"", "value=\"0s\"");
    assert_eq!(found(&shared).len(), 1);
    assert_eq!(found(&add(&shared, "node1 node2", "pcmk_delay_max", "10s")), []);
}

/// A fence device that is disabled fences nothing.
#[test]
fn a_disabled_fence_device_is_found() {
    let of = |xml: &str| {
        let found = found(xml);
        found.into_iter().map(|one| (one.rule, one.found.command)).collect::<Vec<_>>()
    };
    let set = |node: u8| {
        format!(
            "<meta_attributes id=\"fm{node}\"><nvpair id=\"fr{node}\" name=\"target-role\" \
             value=\"Stopped\"/></meta_attributes><instance_attributes id=\"fence-node{node}-\
             instance_attributes\">"
        )
    };
    let disabled = |xml: &str, node: u8| {
        let before = format!("<instance_attributes id=\"fence-node{node}-instance_attributes\">");
        with(xml, &before, &set(node))
    };
    let enable = |what: &str| format!("pcs stonith enable {what}");
    let second = disabled(ACTIVE, 2);
    let node2 = enable("fence-node2");
    assert_eq!(of(&second), [("fencing-node", node2.clone()), ("disabled", node2.clone())]);
    let both = [
        ("fencing", enable("fence-node1 fence-node2")),
        ("disabled", enable("fence-node1")),
        ("disabled", node2),
    ];
    assert_eq!(of(&disabled(&second, 1)), both);
}

/// What the nodes have reported is not in every file, and a failure that was mended bars nothing.
#[test]
fn other_states_break_no_rule() {
    let status = ACTIVE.find("<status>").unwrap();
    assert_eq!(found(&format!("{}</cib>", &ACTIVE[..status])), []);
    let published = "<instance_attributes id=\"status-2\">";
    let count = |xml: &str, name: &str, value: &str| {
        let pair = format!("<nvpair id=\"fc\" name=\"{name}\" value=\"{value}\"/>");
        with(xml, published, &format!("{published}{pair}"))
    };
    for (name, value) in
        [("fail-count-vip#monitor_2000", "2"), ("fail-count-other#start_0", "INFINITY")]
    {
        assert_eq!(found(&count(ACTIVE, name, value)), [], "{name}");
    }
    let failed = |xml: &str| found(&count(xml, "fail-count-vip#start_0", "INFINITY"));
    assert_eq!(failed(ACTIVE).len(), 1);
    // No number of failures bars a node.
    assert_eq!(failed(&default(ACTIVE, "migration-threshold", "0")), []);
    // A value that is none counts as INFINITY.
    assert_eq!(failed(&default(ACTIVE, "migration-threshold", "-1")).len(), 1);
    // It could not run there anyway.
    let quorum = avoids("vip").replace("node3", "node2");
    assert_eq!(failed(&constraint(&third_of(ACTIVE), &quorum)), []);
}

/// Hosts outside the pair, and numbers that fit them.
#[test]
fn pings_of_the_examples_break_no_rule() {
    let one = [("ping_targets", "192.0.2.1"), ("ping_count", "1"), ("ping_good_count", "1")];
    let two = [("ping_targets", "inet:192.0.2.1,gateway.lan"), ("ping_maxfail", "1")];
    // Two of three have to answer: a decision.
    let three = [("ping_targets", "192.0.2.1,198.51.100.1,198.51.100.2"), ("ping_maxfail", "1")];
    let blanks = [("ping_targets", " 192.0.2.1, 198.51.100.1 "), ("ping_maxfail", "1")];
    let six = [("ping_targets", "2001:db8::1,inet6:gateway.lan"), ("ping_maxfail", "1")];
    // The agent splits its command as a shell does (shlex).
    let within = [("ping_targets", "inet: 192.0.2.1, 198.51.100.1"), ("ping_maxfail", "1")];
    for parameters in [&one[..], &two, &three, &blanks, &six, &within] {
        assert_eq!(found(&pinging(LEVEL, parameters)), [], "{parameters:?}");
    }
}

/// What has been reported is of the moment in which the file was saved.
#[test]
fn faults_in_a_saved_configuration_break_no_rule() {
    let none = with(
        ACTIVE,
        "name=\"smartvox-link-vip\" value=\"1\"",
        "name=\"smartvox-link-vip\" value=\"0\"",
    );
    assert_eq!(found(&none).len(), 2);
    assert_eq!(found_on(&Host { saved: true, ..host() }, &none), []);
}

/// The agent leaves what it has published before `check_link_status=no`.
#[test]
fn a_carrier_that_is_not_looked_at_breaks_no_rule() {
    let link = |value: u8| format!("name=\"smartvox-link-vip\" value=\"{value}\"");
    let ip = "name=\"ip\" value=\"192.0.2.10\"";
    let none = with(ACTIVE, &link(1), &link(0));
    let check = |value: &str| {
        let pair = format!("{ip}/><nvpair id=\"cl\" name=\"check_link_status\" value=\"{value}\"");
        found(&with(&none, ip, &pair)).len()
    };
    assert_eq!(["yes", "degraded", "no", "False", "0"].map(check), [2, 2, 0, 0, 0]);
}

/// The example after a start of OpenSIPS that has failed on these nodes.
fn failed_on(nodes: &[u8]) -> String {
    nodes.iter().fold(ACTIVE.to_owned(), |xml, node| {
        let published = format!("<instance_attributes id=\"status-{node}\">");
        let count = format!(
            "<nvpair id=\"f{node}\" name=\"fail-count-opensips#start_0\" value=\"INFINITY\"/>"
        );
        with(&xml, &published, &format!("{published}{count}"))
    })
}

fn rules(xml: &str) -> Vec<&'static str> {
    found(xml).iter().map(|one| one.rule).collect()
}

/// What runs, is left alone or is not meant to run.
#[test]
fn a_resource_that_is_barred_and_no_outage_is_not_barred_everywhere() {
    let failed = failed_on(&[1, 2]);
    assert_eq!(rules(&failed), ["barred-everywhere"]);
    let result = |key: &str, call: u8| {
        let (operation, interval) = key.split_once('_').unwrap();
        let id = if operation == "start" { "last_0" } else { key };
        format!(
            "<lrm_rsc_op id=\"opensips_{id}\" operation_key=\"opensips_{key}\" \
             operation=\"{operation}\" call-id=\"{call}\" rc-code=\"0\" interval=\"{interval}\" \
             last-rc-change=\"100\"/>"
        )
    };
    let runs = format!(
        "<lrm id=\"1\"><lrm_resources><lrm_resource id=\"opensips\" class=\"ocf\" \
         provider=\"smartvox\" type=\"opensips\">{}{}</lrm_resource></lrm_resources></lrm>\
         <transient_attributes id=\"1\">",
        result("start_0", 6),
        result("monitor_2000", 7)
    );
    assert_eq!(found(&with(&failed, "<transient_attributes id=\"1\">", &runs)), []);
    // Without monitors nothing says whether it runs.
    let mode = "name=\"maintenance-mode\" value=\"true\"";
    let mode = with(&failed, "name=\"dc-deadtime\" value=\"2s\"", mode);
    assert_eq!(rules(&mode), ["maintenance"]);
    for (name, value) in [("is-managed", "false"), ("maintenance", "true")] {
        assert_eq!(rules(&default(&failed, name, value)), ["maintenance"; 2], "{name}");
    }
    assert_eq!(rules(&node_with(&failed, 1, "maintenance")), ["maintenance"]);
    assert_eq!(rules(&default(&failed, "target-role", "Stopped")), ["disabled"; 4]);
}

/// A node in standby takes nothing over.
#[test]
fn a_resource_with_no_node_but_one_in_standby_is_barred_everywhere() {
    let found = found(&in_standby(&failed_on(&[1]), 2));
    let sentences: Vec<(&str, &str)> =
        found.iter().map(|one| (one.rule, one.found.sentence.as_str())).collect();
    let [("barred-everywhere", everywhere), ("standby", _)] = sentences.as_slice() else {
        panic!("{sentences:?}")
    };
    assert!(everywhere.contains("(node1): it runs nowhere"), "{everywhere}");
}

#[test]
fn a_move_whose_lifetime_is_over_breaks_no_rule() {
    assert_eq!(found(&lifetime("2026-01-01 00:00:00Z")), []);
    // Whether it is over is not known.
    assert_eq!(found(&lifetime("2026-01-01")).len(), 1);
}

/// Findings that the administrator does not want to see.
#[test]
fn a_rule_that_is_ignored_finds_nothing() {
    let low = default(ACTIVE, "migration-threshold", "1");
    assert_eq!(found(&low).len(), 2);
    let set = "<cluster_property_set id=\"smartvox\">";
    let ignoring = |names: &str| {
        let pair = format!("<nvpair id=\"i\" name=\"{IGNORE}\" value=\"{names}\"/>");
        with(&low, set, &format!("{set}{pair}"))
    };
    assert_eq!(found(&ignoring("configurations, migration-threshold")), []);
    let cib = Cib::read(&ignoring("fencing nonsense"), "node1").unwrap();
    let ignored = Ignored { rules: vec!["fencing"], unknown: vec!["nonsense".to_owned()] };
    assert_eq!(Ignored::of(&cib), ignored);
    assert_eq!(found(&ignoring("fencing nonsense")).len(), 2);
}
