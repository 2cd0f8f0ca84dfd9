//! The examples for crmsh make the cluster that those for pcs make.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};
use suites::scenario::{self, Example};

use crate::site::Site;
use crate::steps::{CONFIG, SIP, text};

pub(crate) fn active_standby(site: &Site) -> Result<(), String> {
    if !equal(site, Example::ActiveStandby)? {
        return Ok(());
    }
    site.together(&["vip", "opensips"], |_| true)?;
    site.answers("client", SIP)?;
    site.nothing_to_find()
}

pub(crate) fn hot_standby(site: &Site) -> Result<(), String> {
    scenario::write_node_files(&site.lab)?;
    if !equal(site, Example::HotStandby)? {
        return Ok(());
    }
    site.until("an OpenSIPS is promoted", || {
        let status = site.lab.cluster_status().map_err(|error| error.to_string())?;
        let mut found = status.resources.iter().filter(|it| it.id == "opensips");
        Ok(found.any(|it| it.role == "Promoted" && it.pending.is_none()))
    })?;
    site.answers("client", SIP)?;
    site.nothing_to_find()
}

/// Executes both on the cluster, one after the other, and compares what they have made; `false` where there
/// is no crmsh.
fn equal(site: &Site, example: Example) -> Result<bool, String> {
    let name = example.name();
    if site.run("node1", &["sh", "-c", "command -v crm || true"])?.is_empty() {
        testnet::skipped(&format!("{name}-crmsh.sh"), "needs crmsh");
        return Ok(false);
    }
    // It keeps a log in a directory of its package, which a node lacks.
    site.run("node1", &["mkdir", "-p", "/var/log/crmsh"])?;
    site.write(CONFIG, &text(&format!("opensips-{name}.cfg"))?)?;
    let mut made = Vec::new();
    for script in [format!("{name}.sh"), format!("{name}-crmsh.sh")] {
        // What the first one has started is the second one's at once, under the same names.
        site.forget()?;
        site.configure(&script)?;
        let xml = site.run("node1", &["cibadmin", "--query", "--scope", "configuration"])?;
        made.push(substance(&xml)?);
    }
    let [ours, twin] = &made[..] else { return Err("not two".to_owned()) };
    let (missing, more) = (ours.difference(twin), twin.difference(ours));
    let (missing, more): (Vec<_>, Vec<_>) = (missing.collect(), more.collect());
    if missing.is_empty() && more.is_empty() {
        return Ok(true);
    }
    Err(format!("{name}-crmsh.sh: missing: {missing:#?}\nmore than in {name}.sh: {more:#?}"))
}

/// Resources with their parameters and operations, constraints and defaults, each as a line; without names that
/// the shells make up, and without what they write although it is the default.
fn substance(xml: &str) -> Result<BTreeSet<String>, String> {
    let document = Document::parse(xml).map_err(|error| error.to_string())?;
    let sections = ["crm_config", "resources", "constraints", "fencing-topology", "rsc_defaults"];
    let lines = document
        .descendants()
        .filter(|node| {
            node.is_element()
                && node.ancestors().any(|one| sections.contains(&one.tag_name().name()))
        })
        .map(|node| {
            let parts: Vec<String> = node.ancestors().map(|one| described(&one)).collect();
            parts.into_iter().rev().collect::<Vec<_>>().join("/")
        });
    Ok(lines.collect())
}

fn described(node: &Node<'_, '_>) -> String {
    let tag = node.tag_name().name();
    // Of a resource, the name is what constraints refer to.
    let named = ["primitive", "clone"].contains(&tag);
    let said = |name: &str, value: &str| match (name, value) {
        ("kind", "Mandatory") | ("rsc-role", "Started") | ("boolean-op", "and") => false,
        ("id", _) => named,
        _ => true,
    };
    let attributes: BTreeSet<String> = node
        .attributes()
        .filter(|it| said(it.name(), it.value()))
        .map(|it| format!(" {}={}", it.name(), it.value()))
        .collect();
    format!("{tag}{}", attributes.into_iter().collect::<String>())
}
