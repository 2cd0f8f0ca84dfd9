//! Whether the nodes have loaded the same routes. Programs in the place of Pacemaker's note what they are asked.

use testnet::Agent;

use crate::cluster_programs::{
    instance, monitor_and_attribute_daemon, on_node1, replace, shown, under_pacemaker,
};
use crate::mi::deep;
use crate::roles::{FIRST, clone_of};
use crate::site::{recurring, stand_in_alone};
use crate::{Site, ends, fails};

const ATTRIBUTE: &str = "smartvox-routes-sip";
const QUERY: &str = "attrd_updater --query --all --name smartvox-routes-sip";
const WORDS: &str = "the routes of node2 are not those of this node: copy ";

/// The cluster as its programs show it to node1.
struct Cluster<'a> {
    site: &'a Site,
}

impl<'a> Cluster<'a> {
    /// `None` where Pacemaker's programs are not installed: there is no place for others.
    fn new(site: &'a Site) -> Option<Self> {
        let status = format!("cat '{}'", site.path("status").display());
        let published = site.path("published").display().to_string();
        let broken = site.path("broken").display().to_string();
        // Nothing is answered where nobody has published anything.
        let attributes = format!(
            "[ ! -e '{broken}' ] || exit 1\ncase \"$*\" in *--query*) cat '{published}';; esac"
        );
        let programs =
            [("crm_mon", status), ("attrd_updater", attributes), ("crm_attribute", String::new())];
        if !replace(site, &programs) {
            return None;
        }
        let cluster = Self { site };
        cluster.is_active_on(&["node1", "node2"]);
        Some(cluster)
    }

    /// What the programs were asked since the last time, without the promotion scores.
    fn asked(&self) -> Vec<String> {
        let notes = self.site.path("notes");
        let text = std::fs::read_to_string(&notes).unwrap();
        std::fs::write(&notes, "").unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("crm_attribute "));
        lines.map(str::to_owned).collect()
    }

    /// What was published since the last time, before anything was asked.
    fn told(&self) -> String {
        let asked = self.asked();
        let prefix = format!("attrd_updater --name {ATTRIBUTE} --update ");
        let told = asked.first().and_then(|line| line.strip_prefix(&prefix));
        told.unwrap_or_else(|| panic!("nothing was published: {asked:?}")).to_owned()
    }

    fn is_published(&self, values: &[(&str, &str)]) {
        let line = |(node, value): &(&str, &str)| {
            format!("name=\"{ATTRIBUTE}\" host=\"{node}\" value=\"{value}\"\n")
        };
        let text: String = values.iter().map(line).collect();
        std::fs::write(self.site.path("published"), text).unwrap();
    }

    fn is_active_on(&self, nodes: &[&str]) {
        let instances: Vec<String> =
            nodes.iter().map(|node| instance(node, "Unpromoted", "")).collect();
        let text = shown("2.1.5-a3f44794f94", &instances);
        std::fs::write(self.site.path("status"), text).unwrap();
    }

    /// The agent in a promotable clone, as the executor of node1 calls it.
    fn agent(&self) -> Agent {
        self.site.write(&FIRST.text(self.site, "backup"));
        on_node1(clone_of(self.site.agent().param("mi", FIRST.mi())))
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn routes_of_another_node_that_differ_are_told_by_the_standby() {
    testnet::root_or_skip!();
    stand_in_alone("routes_of_another_node_that_differ_are_told_by_the_standby", |site| {
        let Some(cluster) = Cluster::new(site) else {
            return testnet::skipped("compare_routes::told", "needs pacemaker-cli-utils");
        };
        let agent = cluster.agent();
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.clone().env("OCF_CHECK_LEVEL", "10").action("monitor"), 0);
        assert_eq!(cluster.asked(), NOTHING);
        ends(&deep(&agent), 0);
        let own = cluster.told();
        assert!(own.len() == 18 && own.starts_with("1-"), "{own}");
        // Published once; the same routes, and a node without any.
        cluster.is_published(&[("node1", &own), ("node2", &own), ("node3", "")]);
        for _ in 0..3 {
            ends(&deep(&agent), 0);
            assert_eq!(cluster.asked(), [QUERY]);
        }
        // Told from the second look on, which asks whether an instance is there.
        let other = "1-0123456789abcdef";
        cluster.is_published(&[("node1", &own), ("node2", other)]);
        ends(&deep(&agent), 0);
        assert_eq!(cluster.asked(), [QUERY]);
        fails(&deep(&agent), 190, WORDS);
        fails(&deep(&agent), 190, "then give routes_version another value");
        cluster.is_active_on(&["node1"]);
        ends(&deep(&agent), 0);
        cluster.is_active_on(&["node1", "node2"]);
        fails(&deep(&agent), 190, WORDS);
        cluster.asked();
        ends(&recurring(&agent), 0);
        ends(&deep(&agent.clone().param("compare_routes", "no")), 0);
        assert_eq!(cluster.asked(), NOTHING);
        // The promoted one, which has the calls, asks nothing.
        ends(&agent.action("promote"), 0);
        ends(&deep(&agent), 8);
        assert_eq!(cluster.asked(), NOTHING);
        ends(&agent.action("demote"), 0);
        ends(&deep(&agent), 0);
        fails(&deep(&agent), 190, WORDS);
        // A worse fault is told as it was.
        fails(&deep(&agent.clone().param("sip_probe_codes", "299")), 1, "sip_probe_codes");
        // It is mended.
        cluster.is_published(&[("node1", &own), ("node2", &own)]);
        ends(&deep(&agent), 0);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn new_routes_are_published_when_they_are_loaded() {
    testnet::root_or_skip!();
    stand_in_alone("new_routes_are_published_when_they_are_loaded", |site| {
        let Some(cluster) = Cluster::new(site) else {
            return testnet::skipped("compare_routes::published", "needs pacemaker-cli-utils");
        };
        let agent = cluster.agent();
        let of = |version: &str| agent.clone().param("routes_version", version);
        ends(&of("one").action("start"), 0);
        ends(&deep(&of("one")), 0);
        let own = cluster.told();
        cluster.is_published(&[("node2", &own)]);
        // A setting is the node's own, and a comment is nothing.
        let text = FIRST.text(site, "backup");
        site.write(&text.replacen("log_level=3", "log_level=2 # here", 1));
        fails(&deep(&of("one")), 190, "not only in its routes");
        assert_eq!(cluster.asked(), [QUERY]);
        // The file alone changes nothing for callers.
        site.write(&format!("{text}\nroute[more] {{ exit; }}\n"));
        fails(&deep(&of("one")), 190, "the routes of /");
        assert_eq!(cluster.asked(), [QUERY]);
        ends(&of("two").action("reload-agent"), 0);
        ends(&deep(&of("two")), 0);
        let new = cluster.told();
        assert_ne!(new, own);
        // The other node may be about to load them.
        fails(&deep(&of("two")), 190, WORDS);
        cluster.is_published(&[("node2", &new)]);
        ends(&deep(&of("two")), 0);
        cluster.asked();
        // Where it is not known what is loaded, that is published, and nothing is compared.
        site.forget();
        ends(&of("two").action("start"), 0);
        ends(&deep(&of("two")), 0);
        assert_eq!(cluster.told(), "unknown");
        ends(&deep(&of("two")), 0);
        assert_eq!(cluster.asked(), NOTHING);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn a_cluster_that_does_not_answer_is_no_fault() {
    testnet::root_or_skip!();
    stand_in_alone("a_cluster_that_does_not_answer_is_no_fault", |site| {
        let Some(cluster) = Cluster::new(site) else {
            return testnet::skipped("compare_routes::no_answer", "needs pacemaker-cli-utils");
        };
        let agent = cluster.agent();
        ends(&agent.action("start"), 0);
        // It is tried again.
        std::fs::write(site.path("broken"), "").unwrap();
        for _ in 0..2 {
            ends(&deep(&agent), 0);
            assert_eq!(cluster.asked().len(), 1);
        }
        std::fs::remove_file(site.path("broken")).unwrap();
        // Nothing is published yet, as far as attrd_updater knows: cat fails.
        ends(&deep(&agent), 0);
        let own = cluster.told();
        ends(&deep(&agent), 0);
        assert_eq!(cluster.asked(), [QUERY]);
        cluster.is_published(&[("node1", &own), ("node2", "1-0123456789abcdef")]);
        ends(&deep(&agent), 0);
        std::fs::write(site.path("status"), "crm_mon: not connected\n").unwrap();
        ends(&deep(&agent), 0);
        std::fs::write(site.path("broken"), "").unwrap();
        ends(&deep(&agent), 0);
        // Of what is no promotable clone, nothing is published.
        cluster.asked();
        let plain = site.agent().param("mi", FIRST.mi());
        ends(&deep(&plain.env("OCF_RESKEY_CRM_meta_on_node", "node1")), 0);
        assert_eq!(cluster.asked(), NOTHING);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn a_new_attribute_daemon_is_told_again() {
    testnet::root_or_skip!();
    stand_in_alone("a_new_attribute_daemon_is_told_again", |site| {
        let Some(cluster) = Cluster::new(site) else {
            return testnet::skipped("compare_routes::again", "needs pacemaker-cli-utils");
        };
        let (mut monitor, daemon) = monitor_and_attribute_daemon(site);
        monitor.env("OCF_RESKEY_CRM_meta_on_node", "node1");
        site.start();
        // Each time another daemon.
        for _ in 0..3 {
            assert_eq!(under_pacemaker(site, &daemon, &monitor), Some(0));
            cluster.told();
        }
        // A person's monitor knows of no daemon.
        let person = clone_of(site.agent()).env("OCF_RESKEY_CRM_meta_on_node", "node1");
        ends(&recurring(&person.env("OCF_CHECK_LEVEL", "20")), 0);
        assert_eq!(cluster.asked(), [QUERY]);
        site.stop();
    });
}
