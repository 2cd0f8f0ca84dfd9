//! Templates, references, rules, groups and clones.

use std::time::Duration;

use super::*;

fn cib(resources: &str, more: &str) -> Cib {
    let xml = format!(
        "<cib crm_feature_set=\"3.16.1\"><configuration><crm_config/><nodes>\
         <node id=\"1\" uname=\"node1\"><instance_attributes id=\"n1\">\
         <nvpair id=\"n1s\" name=\"site\" value=\"7\"/></instance_attributes></node>\
         <node id=\"2\" uname=\"node2\"/><node id=\"3\" uname=\"far\" type=\"remote\"/></nodes>\
         <resources>{resources}</resources><constraints/>{more}</configuration></cib>"
    );
    Cib::read(&xml, "node1").unwrap()
}

fn vip(inside: &str) -> String {
    format!(
        "<primitive id=\"vip\" class=\"ocf\" provider=\"smartvox\" type=\"opensips-vip\">{inside}</primitive>"
    )
}

fn set(id: &str, attributes: &str, inside: &str) -> String {
    format!("<instance_attributes id=\"{id}\" {attributes}>{inside}</instance_attributes>")
}

fn nic(id: &str, value: &str) -> String {
    format!("<nvpair id=\"{id}\" name=\"nic\" value=\"{value}\"/>")
}

fn only(cib: &Cib) -> &Resource {
    let [resource] = cib.resources.as_slice() else { panic!("{cib:?}") };
    resource
}

#[test]
fn a_template_gives_what_the_primitive_does_not_have() {
    let template = format!(
        "<template id=\"t\" class=\"ocf\" provider=\"smartvox\" type=\"opensips-vip\">{}<operations>\
         <op id=\"t2\" name=\"monitor\" interval=\"2s\"/><op id=\"t3\" name=\"start\" interval=\"0\" \
         timeout=\"33s\"/></operations></template>",
        set(
            "ts",
            "",
            &format!("{}<nvpair id=\"x\" name=\"ip\" value=\"192.0.2.1\"/>", nic("tn", "eth9"))
        )
    );
    let primitive = format!(
        "<primitive id=\"vip\" template=\"t\">{}<operations><op id=\"o\" name=\"monitor\" \
         interval=\"5s\"/></operations></primitive>",
        set("s", "", &nic("n", "eth0"))
    );
    let cib = cib(&format!("{template}{primitive}"), "");
    let resource = only(&cib);
    assert!(resource.is_ours() && resource.agent == "opensips-vip");
    assert_eq!(resource.parameter("nic"), Some("eth0"));
    assert_eq!(resource.parameter("ip"), Some("192.0.2.1"));
    let operations: Vec<&str> = resource.operations.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(operations, ["o", "t3"]);
    assert_eq!(resource.operations[1].timeout, Some(Duration::from_secs(33)));
}

#[test]
fn rules_choose_what_applies_to_this_node() {
    let rule = |expression: &str| format!("<rule id=\"r\" score=\"0\">{expression}</rule>");
    let uname = |operation: &str, name: &str| {
        format!(
            "<expression id=\"e\" attribute=\"#uname\" operation=\"{operation}\" value=\"{name}\"/>"
        )
    };
    let nic_by = |expression: &str| {
        let first = set("s1", "score=\"2\"", &format!("{}{}", rule(expression), nic("a", "first")));
        let second = set("s2", "score=\"1\"", &nic("b", "second"));
        // The order in the file does not count.
        let cib = cib(&vip(&format!("{second}{first}")), "");
        let resource = only(&cib);
        (resource.parameter("nic").map(str::to_owned), resource.remarks.len())
    };
    let first = (Some("first".to_owned()), 0);
    let second = (Some("second".to_owned()), 0);
    assert_eq!(nic_by(&uname("eq", "node1")), first);
    assert_eq!(nic_by(&uname("eq", "node2")), second);
    assert_eq!(nic_by(&uname("ne", "node2")), first);
    let site = |operation: &str, value: &str| {
        format!(
            "<expression id=\"e\" attribute=\"site\" operation=\"{operation}\" value=\"{value}\"/>"
        )
    };
    assert_eq!(nic_by(&site("gte", "7")), first);
    assert_eq!(nic_by(&site("gt", "7")), second);
    assert_eq!(nic_by("<expression id=\"e\" attribute=\"site\" operation=\"defined\"/>"), first);
    // Both have to be true.
    assert_eq!(nic_by(&format!("{}{}", site("eq", "7"), uname("eq", "node2"))), second);
    let date = |inside: &str| format!("<date_expression id=\"e\" {inside}/>");
    assert_eq!(nic_by(&date("operation=\"gt\" start=\"2026-01-01 00:00:00Z\"")), first);
    assert_eq!(nic_by(&date("operation=\"lt\" end=\"2026-01-01 00:00:00Z\"")), second);
    let range =
        "operation=\"in_range\" start=\"2026-01-01 00:00:00Z\" end=\"9999-01-01 00:00:00Z\"";
    assert_eq!(nic_by(&date(range)), first);
    // What is not understood is told, and its set is left out.
    let date = date("operation=\"gt\" start=\"2026-01-01\"");
    assert_eq!(nic_by(&date), (Some("second".to_owned()), 1));
}

#[test]
fn references_lead_to_what_another_resource_has() {
    let other = format!(
        "<primitive id=\"other\" class=\"ocf\" provider=\"x\" type=\"y\">{}<operations id=\"ops\">\
         <op id=\"m\" name=\"monitor\" interval=\"3s\"/></operations></primitive>",
        set("shared", "", &nic("shared-nic", "eth5"))
    );
    let by_set = vip("<instance_attributes id-ref=\"shared\"/><operations id-ref=\"ops\"/>");
    let by_pair = vip(&set("s", "", "<nvpair id-ref=\"shared-nic\"/>"));
    for resource in [&by_set, &by_pair] {
        let cib = cib(&format!("{other}{resource}"), "");
        assert_eq!(cib.resources[1].parameter("nic"), Some("eth5"), "{resource}");
    }
    let with_operations = cib(&format!("{other}{by_set}"), "");
    assert_eq!(with_operations.resources[1].monitors().count(), 1);
    let lost = cib(&vip("<instance_attributes id-ref=\"nowhere\"/>"), "");
    assert!(only(&lost).remarks[0].contains("nowhere"), "{lost:?}");
}

#[test]
fn groups_clones_and_defaults() {
    let meta = |id: &str, name: &str, value: &str| {
        format!(
            "<meta_attributes id=\"{id}\"><nvpair id=\"{id}n\" name=\"{name}\" value=\"{value}\"/></meta_attributes>"
        )
    };
    let group = format!("<group id=\"g\">{}{}</group>", vip(""), meta("gm", "is-managed", "false"));
    let clone = format!(
        "<clone id=\"c\">{}{}</clone>",
        meta("cm", "promotable", "true"),
        "<primitive id=\"sip\" class=\"ocf\" provider=\"smartvox\" type=\"opensips\"/>"
    );
    let rule =
        "<rule id=\"r\" score=\"INFINITY\"><rsc_expression id=\"e\" type=\"opensips\"/></rule>";
    let defaults = format!(
        "<rsc_defaults>{}<meta_attributes id=\"d2\">{rule}<nvpair id=\"d2n\" \
         name=\"resource-stickiness\" value=\"5\"/></meta_attributes></rsc_defaults>\
         <op_defaults>{}</op_defaults>",
        meta("d1", "is-managed", "true"),
        meta("o", "timeout", "7s")
    );
    let both = cib(&format!("{group}{clone}"), &defaults);
    let [first, sip] = both.resources.as_slice() else { panic!("{both:?}") };
    assert_eq!((first.group.as_deref(), first.flag("is-managed")), (Some("g"), Some(false)));
    assert_eq!((first.outer(), first.score("resource-stickiness")), ("vip", None));
    assert!(first.is_called("g") && first.is_called("vip") && !first.is_called("c"));
    assert!(sip.promotable() && sip.outer() == "c" && sip.is_called("c"));
    assert_eq!((sip.flag("is-managed"), sip.score("resource-stickiness")), (Some(true), Some(5)));
    assert_eq!(both.voters().count(), 2);
    let operation = "<operations><op id=\"s\" name=\"start\" interval=\"0\"/></operations>";
    assert_eq!(
        only(&cib(&vip(operation), &defaults)).operations[0].timeout,
        Some(Duration::from_secs(7))
    );
}

#[test]
fn where_the_constraints_let_a_resource_run() {
    let group = "<group id=\"g\"><primitive id=\"first\" class=\"ocf\" provider=\"smartvox\" \
                 type=\"opensips-vip\"/><primitive id=\"last\" class=\"ocf\" provider=\"smartvox\" \
                 type=\"opensips\"/></group>";
    let clone = "<clone id=\"c\"><primitive id=\"sip\" class=\"ocf\" provider=\"smartvox\" \
                 type=\"opensips\"/></clone>";
    let may = |properties: &str, constraints: &str, id: &str| {
        let xml = format!(
            "<cib><configuration><crm_config>{properties}</crm_config><nodes><node id=\"1\" \
             uname=\"node1\"/><node id=\"2\" uname=\"node2\"><instance_attributes id=\"i\"><nvpair \
             id=\"is\" name=\"site\" value=\"b\"/></instance_attributes></node></nodes><resources>{group}\
             {clone}</resources><constraints>{constraints}</constraints></configuration></cib>"
        );
        let cib = Cib::read(&xml, "node1").unwrap();
        let resource = cib.resources.iter().find(|one| one.id == id).unwrap();
        ["node1", "node2"].map(|node| cib.may_run(resource, node))
    };
    let rule = |resource: &str, role: &str, expression: &str| {
        format!(
            "<rsc_location id=\"l\" rsc=\"{resource}\"><rule id=\"r\" {role} score=\"-INFINITY\"><expression \
             id=\"e\" {expression}/></rule></rsc_location>"
        )
    };
    let by_name = "attribute=\"#uname\" operation=\"eq\" value=\"node2\"";
    assert_eq!(may("", "", "last"), [true, true]);
    assert_eq!(may("", &rule("g", "", by_name), "last"), [true, false]);
    // The later member needs the earlier one, and not the other way round.
    assert_eq!(may("", &rule("first", "", by_name), "last"), [true, false]);
    assert_eq!(may("", &rule("last", "", by_name), "first"), [true, true]);
    let by_site = "attribute=\"site\" operation=\"eq\" value=\"b\"";
    assert_eq!(may("", &rule("c", "", by_site), "sip"), [true, false]);
    // An instance that is never promoted runs all the same.
    assert_eq!(may("", &rule("c", "role=\"Promoted\"", by_name), "sip"), [true, true]);
    // What an agent publishes comes and goes, and so does a move.
    let published = "attribute=\"pingd\" operation=\"not_defined\"";
    assert_eq!(may("", &rule("c", "", published), "sip"), [true, true]);
    let ban =
        "<rsc_location id=\"cli-ban-c-on-node2\" rsc=\"c\" node=\"node2\" score=\"-INFINITY\"/>";
    assert_eq!(may("", ban, "sip"), [true, true]);
    let with = "<rsc_colocation id=\"w\" rsc=\"c\" with-rsc=\"g\" score=\"INFINITY\"/>";
    let both = format!("{with}{}", rule("g", "", by_name));
    assert_eq!(may("", &both, "sip"), [true, false]);
    let opt_in = "<cluster_property_set id=\"p\"><nvpair id=\"ps\" name=\"symmetric-cluster\" \
                  value=\"false\"/></cluster_property_set>";
    let prefers = "<rsc_location id=\"l\" rsc=\"c\" node=\"node1\" score=\"50\"/>";
    assert_eq!(may(opt_in, prefers, "sip"), [true, false]);
}

#[test]
fn what_is_no_configuration() {
    assert!(Cib::read("nonsense", "node1").unwrap_err().to_string().contains("not XML"));
    assert!(Cib::read("<cib/>", "node1").unwrap_err().to_string().contains("configuration"));
}
