//! Each rule by a configuration, or a host, in which it is broken. The configurations are those that the
//! examples make, as a real cluster has them.

mod broken;
mod broken_fencing;
mod broken_state;
mod unbroken;

use super::*;
use crate::host::Corosync;
use crate::meta_data::MetaData;

/// A rule, a host and a configuration in which it is broken, a part of the sentence and of the command.
type Case = (&'static str, Host, String, &'static str, &'static str);

const ACTIVE: &str = include_str!("../../../fixtures/active-standby.xml");
const HOT: &str = include_str!("../../../fixtures/hot-standby.xml");

/// A node on which nothing is wrong.
fn host() -> Host {
    let meta_data = |xml| Ok(MetaData::read(xml).unwrap());
    Host {
        node: "node1".to_owned(),
        agents: [
            ("opensips".to_owned(), meta_data(include_str!("../../../../../ocf/opensips.xml"))),
            (
                "opensips-vip".to_owned(),
                meta_data(include_str!("../../../../../ocf/opensips-vip.xml")),
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
    findings(&Pair { cib: &cib, host }, &Ignored::of(&cib))
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

/// The example with `fence-ping` for node1, a topology, and its parameters.
fn pinging(levels: &str, parameters: &[(&str, &str)]) -> String {
    let pairs = parameters.iter().map(|(name, value)| {
        format!("<nvpair id=\"p-{name}\" name=\"{name}\" value=\"{value}\"/>")
    });
    let device = format!(
        "<primitive id=\"fence-ping\" class=\"stonith\" type=\"fence_heuristics_ping\">\
         <instance_attributes id=\"p\"><nvpair id=\"pl\" name=\"pcmk_host_list\" value=\"node1\"/>{}\
         </instance_attributes></primitive>",
        pairs.collect::<String>()
    );
    let topology = format!("</resources><fencing-topology>{levels}</fencing-topology>");
    with(&resource(ACTIVE, &device), "</resources>", &topology)
}

fn asking(levels: &str) -> String {
    pinging(levels, &[("ping_targets", "192.0.2.1")])
}

/// The example with its address and OpenSIPS in a group, which has no constraints.
fn grouped() -> String {
    let vip = ACTIVE.find("<primitive id=\"vip\"").unwrap();
    let end = ACTIVE.find("<clone id=\"gateway-clone\"").unwrap();
    let (before, members, after) = (&ACTIVE[..vip], &ACTIVE[vip..end], &ACTIVE[end..]);
    let group = format!("{before}<group id=\"sip\">{members}</group>{after}");
    let colocation = "<rsc_colocation rsc=\"opensips\" with-rsc=\"vip\" score=\"INFINITY\" \
                      id=\"colocation-opensips-vip-INFINITY\"/>";
    let order = "<rsc_order first=\"vip\" then=\"opensips\" first-action=\"start\" \
                 then-action=\"start\" id=\"order-vip-opensips-mandatory\"/>";
    with(&with(&group, colocation, ""), order, "")
}

/// The level of the example for node1.
const LEVEL: &str =
    "<fencing-level id=\"l\" target=\"node1\" index=\"1\" devices=\"fence-ping,fence-node1\"/>";

/// A pair with a third node, which is fenced like node2.
fn third_of(xml: &str) -> String {
    let listed = "name=\"pcmk_host_list\" value=\"node2\"";
    let xml = with(xml, listed, "name=\"pcmk_host_list\" value=\"node2 node3\"");
    let xml = with(&xml, "</nodes>", "<node id=\"3\" uname=\"node3\"/></nodes>");
    let state = "<node_state id=\"3\" uname=\"node3\" in_ccm=\"true\" crmd=\"online\"/>";
    with(&xml, "<status>", &format!("<status>{state}"))
}

/// `crm_resource --move -r vip --node node1 --lifetime …`
fn lifetime(end: &str) -> String {
    constraint(
        ACTIVE,
        &format!(
            "<rsc_location id=\"cli-prefer-vip\" rsc=\"vip\" role=\"Started\"><rule id=\"r\" \
             score=\"INFINITY\" boolean-op=\"and\"><expression id=\"e\" attribute=\"#uname\" \
             operation=\"eq\" value=\"node1\" type=\"string\"/><date_expression id=\"d\" operation=\"lt\" \
             end=\"{end}\"/></rule></rsc_location>"
        ),
    )
}

/// `pcs constraint location RESOURCE avoids node3`
fn avoids(resource: &str) -> String {
    format!(
        "<rsc_location id=\"location-{resource}-node3--INFINITY\" rsc=\"{resource}\" node=\"node3\" \
         score=\"-INFINITY\"/>"
    )
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
