//! What monitoring reads: metrics in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::cib::{Cib, Resource, score};
use crate::rules::{Finding, RULES};

/// A metric. The table [`METRICS`] is also that of the manual page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What its value is, in one sentence.
    pub about: &'static str,
}

/// All metrics, in the order of the output; the last one is that of `smartvox check`.
pub static METRICS: [Metric; 6] = [VERSION, RUNNING, DEGRADED, SCORE, LINK, FINDINGS];

const VERSION: Metric = Metric {
    name: "smartvox_build_info",
    labels: &["node", "version"],
    about: "1, with the version of the package that is installed on this node.",
};

const RUNNING: Metric = Metric {
    name: "smartvox_cluster_running",
    labels: &["node"],
    about: "1 while the cluster is running on this node, else 0; then the metrics of resources are missing.",
};

const DEGRADED: Metric = Metric {
    name: "smartvox_degraded",
    labels: &["resource", "agent", "node"],
    about: "1 if the resource serves on the node with a fault (OCF_DEGRADED), 0 if it serves without one.",
};

const SCORE: Metric = Metric {
    name: "smartvox_promotion_score",
    labels: &["resource", "node"],
    about: "The promotion score of an instance of a hot standby; a standby that has all data has 9000.",
};

const LINK: Metric = Metric {
    name: "smartvox_link_up",
    labels: &["resource", "node"],
    about: "1 if the interface of the address is up and has a carrier on the node, 0 if it is missing, down \
            or without one.",
};

const FINDINGS: Metric = Metric {
    name: "smartvox_check_findings",
    labels: &["node", "rule", "severity"],
    about: "The number of findings of a rule of smartvox check on this node.",
};

/// What `smartvox metrics` prints; without a configuration the cluster is not running on this node.
pub(crate) fn of_cluster(node: &str, cib: Option<&Cib>) -> String {
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    family(&mut out, VERSION, [(vec![node.to_owned(), version], 1)]);
    family(&mut out, RUNNING, [(vec![node.to_owned()], i64::from(cib.is_some()))]);
    let Some(cib) = cib else { return out };
    // The status has its resources in no order: by their labels, so that two files differ where the cluster does.
    let mut degraded = BTreeMap::new();
    for one in &cib.active {
        let labels = vec![one.resource.clone(), one.agent.clone(), one.node.clone()];
        // Two instances of a clone on one node have the same labels.
        *degraded.entry(labels).or_default() |= i64::from(one.degraded);
    }
    family(&mut out, DEGRADED, degraded);
    let promotable = cib.ours().filter(|resource| resource.promotable());
    let scores = promotable.flat_map(|one| published(cib, one, format!("master-{}", one.id)));
    family(&mut out, SCORE, scores);
    let vips = cib.of_agent("opensips-vip").filter(|vip| vip.publishes_link());
    let links = vips.flat_map(|one| published(cib, one, one.link_attribute()));
    family(&mut out, LINK, links);
    out
}

/// What `smartvox check --format prometheus` prints: each rule, so that a finding that is gone is 0.
pub(crate) fn of_findings(node: &str, findings: &[Finding]) -> String {
    let mut out = String::new();
    let counts = RULES.iter().map(|rule| {
        let count = findings.iter().filter(|finding| finding.rule == rule.name).count();
        let labels = [node, rule.name, rule.severity.word()].map(str::to_owned);
        (labels.to_vec(), i64::try_from(count).unwrap_or(i64::MAX))
    });
    family(&mut out, FINDINGS, counts);
    out
}

/// The values of a transient attribute on the nodes that are in the cluster.
fn published<'a>(
    cib: &'a Cib,
    resource: &'a Resource,
    attribute: String,
) -> impl Iterator<Item = (Vec<String>, i64)> + 'a {
    cib.nodes.iter().filter(|node| node.online).filter_map(move |node| {
        let value = score(node.transient.get(&attribute)?)?;
        Some((vec![resource.id.clone(), node.name.clone()], value))
    })
}

fn family(out: &mut String, metric: Metric, samples: impl IntoIterator<Item = (Vec<String>, i64)>) {
    let name = metric.name;
    let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} gauge", metric.about);
    for (values, value) in samples {
        let labels = metric.labels.iter().zip(&values);
        let labels: Vec<String> =
            labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(out, "{name}{{{}}} {value}", labels.join(","));
    }
}

/// A label value as the text format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Found, Severity};

    fn samples(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn a_hot_standby_has_all_metrics() {
        // The fault of the address came after its last good result.
        let xml = include_str!("../fixtures/hot-standby.xml");
        let xml = xml.replace("last-rc-change=\"1795960305\"", "last-rc-change=\"1795960315\"");
        let cib = Cib::read(&xml, "node1").unwrap();
        let text = of_cluster("node1", Some(&cib));
        let version = concat!(
            "smartvox_build_info{node=\"node1\",version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        );
        let expected = [
            version,
            "smartvox_cluster_running{node=\"node1\"} 1",
            "smartvox_degraded{resource=\"opensips\",agent=\"opensips\",node=\"node1\"} 0",
            "smartvox_degraded{resource=\"opensips\",agent=\"opensips\",node=\"node2\"} 0",
            "smartvox_degraded{resource=\"vip\",agent=\"opensips-vip\",node=\"node2\"} 1",
            "smartvox_promotion_score{resource=\"opensips\",node=\"node1\"} 5000",
            "smartvox_promotion_score{resource=\"opensips\",node=\"node2\"} 10000",
            "smartvox_link_up{resource=\"vip\",node=\"node1\"} 1",
            "smartvox_link_up{resource=\"vip\",node=\"node2\"} 1",
        ];
        assert_eq!(samples(&text), expected, "{text}");
        // A node that is gone publishes nothing.
        let gone =
            xml.replace("uname=\"node2\" in_ccm=\"true\"", "uname=\"node2\" in_ccm=\"false\"");
        assert_ne!(gone, xml);
        let cib = Cib::read(&gone, "node1").unwrap();
        assert!(!of_cluster("node1", Some(&cib)).contains("node2"));
    }

    /// What was published before check_link_status=no stays in the cluster, and says nothing any more.
    #[test]
    fn a_carrier_that_is_not_looked_at_is_no_metric() {
        let xml = include_str!("../fixtures/active-standby.xml");
        let ip = "name=\"ip\" value=\"192.0.2.10\"";
        let no = format!("{ip}/><nvpair id=\"cl\" name=\"check_link_status\" value=\"no\"");
        for (xml, count) in [(xml.to_owned(), 2), (xml.replace(ip, &no), 0)] {
            let text = of_cluster("node1", Some(&Cib::read(&xml, "node1").unwrap()));
            let links = samples(&text).into_iter().filter(|it| it.starts_with(LINK.name)).count();
            assert_eq!(links, count, "{text}");
        }
    }

    #[test]
    fn a_cluster_that_does_not_run_is_told() {
        let text = of_cluster("a\"b\\", None);
        assert_eq!(samples(&text).last(), Some(&"smartvox_cluster_running{node=\"a\\\"b\\\\\"} 0"));
        assert!(!text.contains("smartvox_degraded"));
    }

    #[test]
    fn every_rule_is_a_number() {
        let found = || Found { resource: None, sentence: String::new(), command: String::new() };
        let one = || Finding { rule: "fencing", severity: Severity::Error, found: found() };
        let text = of_findings("n", &[one(), one()]);
        let told = samples(&text);
        assert_eq!(told.len(), RULES.len());
        assert_eq!(
            told[0],
            "smartvox_check_findings{node=\"n\",rule=\"fencing\",severity=\"error\"} 2"
        );
        assert!(told[1..].iter().all(|line| line.ends_with(" 0")), "{text}");
    }

    #[test]
    fn the_table_is_what_is_written() {
        let cib = Cib::read(include_str!("../fixtures/hot-standby.xml"), "node1").unwrap();
        let text = format!("{}{}", of_cluster("n", Some(&cib)), of_findings("n", &[]));
        let named = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let named: Vec<&str> = named.filter_map(|line| line.strip_suffix(" gauge")).collect();
        assert_eq!(named, METRICS.map(|metric| metric.name));
        for metric in METRICS {
            let sample = text.lines().find(|line| line.starts_with(&format!("{}{{", metric.name)));
            let labels = metric.labels.join("=");
            let shown: Vec<&str> = sample
                .unwrap_or_default()
                .split(['{', ','])
                .filter_map(|part| Some(part.split_once("=\"")?.0))
                .collect();
            assert_eq!(shown.join("="), labels);
        }
    }
}
