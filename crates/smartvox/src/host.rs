//! What this node itself shows: the agents, what they find wrong here, Corosync, kernel settings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{Output, output};

use crate::agents;
use crate::cib::Cib;
use crate::meta_data::MetaData;
use crate::nodes::Nodes;

/// Facts of this node; what could not be found out is empty or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// The name of this node.
    pub(crate) node: String,
    /// By the name of the agent.
    pub(crate) agents: BTreeMap<String, Result<MetaData, String>>,
    /// What validate-all of check level 10 reports, by the id of the resource.
    pub(crate) validated: BTreeMap<String, Vec<Complaint>>,
    pub(crate) corosync: Corosync,
    /// The addresses of this node and, as Corosync has them, of the others.
    pub(crate) addresses: BTreeSet<String>,
    /// `net.ipv4.ip_nonlocal_bind` and `net.ipv6.ip_nonlocal_bind`.
    pub(crate) nonlocal_bind: [Option<bool>; 2],
    /// The configuration is not the running cluster's: what the nodes have reported there is over.
    pub(crate) saved: bool,
    /// What this node has beside what the others have.
    pub(crate) nodes: Nodes,
}

/// A sentence of an agent about its resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) sentence: String,
    /// start fails of it.
    pub(crate) refuses: bool,
}

/// Names with dots, and values.
type Settings = BTreeMap<String, String>;

/// The settings that Corosync runs with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Corosync {
    pub(crate) known: bool,
    pub(crate) two_node: bool,
    /// `None` where it follows from `two_node`.
    pub(crate) wait_for_all: Option<bool>,
    pub(crate) token_ms: Option<u64>,
    /// A quorum device has a vote.
    pub(crate) device: bool,
}

impl Host {
    /// Looks at this node; where the cluster runs, also at what the other nodes have left for it.
    pub(crate) fn look(cib: &Cib, node: &str, runs: bool) -> Self {
        let mut host = Self { node: node.to_owned(), saved: !runs, ..Self::default() };
        // A host that is no node of this cluster says nothing about the nodes.
        let is_node = cib.nodes.iter().any(|one| one.name == node);
        for resource in cib.ours() {
            let agent = resource.agent.as_str();
            let agents = &mut host.agents;
            let meta_data = agents.entry(agent.to_owned()).or_insert_with(|| meta_data(agent));
            if is_node && meta_data.is_ok() && cib.may_run(resource, node) {
                let mut environment = agents::environment(cib, resource, node);
                environment.push(("OCF_CHECK_LEVEL".to_owned(), "10".to_owned()));
                if let Ok(output) = agents::run(agent, &["validate-all"], &environment) {
                    host.validated.insert(resource.id.clone(), complaints(&output));
                }
            }
        }
        if !is_node {
            return host;
        }
        if runs {
            host.nodes = Nodes::exchange(cib, node, &host.agents);
        }
        let (corosync, mut addresses) = corosync();
        addresses.extend(own_addresses());
        (host.corosync, host.addresses) = (corosync, addresses);
        host.nonlocal_bind = ["ipv4", "ipv6"].map(|family| {
            let path = format!("/proc/sys/net/{family}/ip_nonlocal_bind");
            std::fs::read_to_string(path).ok().map(|value| value.trim() == "1")
        });
        host
    }
}

fn meta_data(agent: &str) -> Result<MetaData, String> {
    let output = agents::run(agent, &["meta-data"], &[])?;
    MetaData::read(&output.stdout).ok_or_else(|| {
        let program = agents::program(agent);
        format!("{} prints no meta-data: install the package again", program.display())
    })
}

/// What an agent has printed on stderr: findings, one per line, and in the end the exit reason; log lines
/// of warnings before them.
fn complaints(output: &Output) -> Vec<Complaint> {
    let text = output.stderr.as_str();
    let mut found: Vec<Complaint> = Vec::new();
    for line in text.lines() {
        let note = line.strip_prefix("warning: ").and_then(|line| line.split_once("note=\""));
        if let Some((_, note)) = note {
            let sentence = note.strip_suffix('"').unwrap_or(note).replace("\\\"", "\"");
            found.push(Complaint { sentence, refuses: false });
        }
    }
    if output.status.success() {
        return found;
    }
    // Several findings are one per line, each with the name of its exit code; a single one is the reason.
    let code = |line: &str| line.ends_with(')') && line.contains(" (OCF_");
    let several: Vec<&str> = text.lines().filter(|line| code(line)).collect();
    let several = several.iter().filter_map(|line| line.rsplit_once(" (")).map(|(line, _)| line);
    let mut sentences: Vec<&str> = several.collect();
    if sentences.is_empty() {
        let mut reasons = text.lines().filter_map(|line| line.strip_prefix("ocf-exit-reason:"));
        sentences.extend(reasons.next_back());
    }
    found.extend(
        sentences
            .into_iter()
            .map(|sentence| Complaint { sentence: sentence.to_owned(), refuses: true }),
    );
    found
}

/// The addresses of this host.
fn own_addresses() -> BTreeSet<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut found = from_trie(&read("/proc/net/fib_trie"));
    found.extend(read("/proc/net/if_inet6").lines().filter_map(from_inet6));
    found
}

/// An address, and below it how the routing table local has it (`fib_trie_seq_show`).
fn from_trie(text: &str) -> BTreeSet<String> {
    let lines = || text.lines().map(str::trim);
    let pairs = lines().zip(lines().skip(1));
    let own = pairs.filter(|(_, kind)| *kind == "/32 host LOCAL");
    own.filter_map(|(address, _)| Some(address.strip_prefix("|-- ")?.to_owned())).collect()
}

/// A line that begins with the address in 32 digits (`if6_seq_show`).
fn from_inet6(line: &str) -> Option<String> {
    let digits = u128::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
    Some(Ipv6Addr::from(digits).to_string())
}

/// Asks the running Corosync; where there is none, reads its file. With the addresses of the nodes.
fn corosync() -> (Corosync, BTreeSet<String>) {
    let asked = output(
        &mut agents::tool("corosync-cmapctl"),
        4 * 1024 * 1024,
        Deadline::after(Duration::from_secs(10)),
    );
    let (settings, token) = match asked {
        Ok(Some(output)) if output.status.success() => {
            (from_map(&output.stdout), "runtime.config.totem.token")
        }
        _ => {
            let text = std::fs::read_to_string("/etc/corosync/corosync.conf");
            (from_file(&text.unwrap_or_default()), "totem.token")
        }
    };
    (of_settings(&settings, token), addresses(&settings))
}

/// Lines like `quorum.two_node (u8) = 1` (corosync-cmapctl(8)).
fn from_map(text: &str) -> Settings {
    let pairs = text.lines().filter_map(|line| {
        let (key, rest) = line.split_once(" (")?;
        Some((key.trim().to_owned(), rest.split_once("= ")?.1.trim().to_owned()))
    });
    pairs.collect()
}

/// Sections in braces, `key: value` in them (corosync.conf(5)). Those of nodes have numbers, as in the map.
fn from_file(text: &str) -> Settings {
    let (mut section, mut settings, mut nodes) = (Vec::new(), Settings::new(), 0);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_suffix('{').map(str::trim) {
            if name == "node" {
                section.push(format!("node.{nodes}"));
                nodes += 1;
            } else {
                section.push(name.to_owned());
            }
        } else if line == "}" {
            section.pop();
        } else if let Some((key, value)) = line.split_once(':') {
            let path = section.iter().map(String::as_str).chain([key.trim()]).collect::<Vec<_>>();
            settings.insert(path.join("."), value.trim().to_owned());
        }
    }
    settings
}

/// Such as `nodelist.node.0.ring0_addr`; a name where the administrator has written one.
fn addresses(settings: &Settings) -> BTreeSet<String> {
    let links = settings.iter().filter(|(key, _)| {
        key.starts_with("nodelist.node.") && key.contains(".ring") && key.ends_with("_addr")
    });
    links.map(|(_, value)| value.clone()).collect()
}

fn of_settings(settings: &Settings, token: &str) -> Corosync {
    let flag = |key: &str| settings.get(key).map(|value| value == "1");
    Corosync {
        known: settings.keys().any(|key| key.starts_with("quorum.")),
        two_node: flag("quorum.two_node").unwrap_or(false),
        wait_for_all: flag("quorum.wait_for_all"),
        token_ms: settings.get(token).and_then(|value| value.parse().ok()),
        device: settings.keys().any(|key| key.starts_with("quorum.device.model")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn said(code: i32, stderr: &str) -> Vec<(String, bool)> {
        let status = ExitStatus::from_raw(code << 8);
        let output = Output { status, stdout: String::new(), stderr: stderr.to_owned() };
        complaints(&output).into_iter().map(|one| (one.sentence, one.refuses)).collect()
    }

    #[test]
    fn what_validate_all_prints() {
        assert_eq!(said(0, "action=validate-all listener=x note=\"not here\"\n"), []);
        let warned = "warning: action=validate-all note=\"no socket for \\\"192.0.2.10\\\"\"\n";
        assert_eq!(said(0, warned), [("no socket for \"192.0.2.10\"".to_owned(), false)]);
        assert_eq!(said(6, "ocf-exit-reason:ip=x: wrong\n"), [("ip=x: wrong".to_owned(), true)]);
        let two = "ip=x: wrong (OCF_ERR_CONFIGURED)\nnic=y: gone (OCF_ERR_INSTALLED)\n\
                   ocf-exit-reason:ip=x: wrong; nic=y: gone\n";
        let two_found = [("ip=x: wrong".to_owned(), true), ("nic=y: gone".to_owned(), true)];
        assert_eq!(said(6, two), two_found);
    }

    #[test]
    fn corosync_by_its_map_and_by_its_file() {
        let map = "quorum.provider (str) = corosync_votequorum\nquorum.two_node (u8) = 1\n\
                   runtime.config.totem.token (u32) = 3000\ntotem.token (u32) = 3000\n";
        let two =
            Corosync { known: true, two_node: true, token_ms: Some(3000), ..Corosync::default() };
        let by_map = |text| of_settings(&from_map(text), "runtime.config.totem.token");
        let by_file = |text| of_settings(&from_file(text), "totem.token");
        assert_eq!(by_map(map), two);
        let file = "# x\ntotem {\n  token: 3000\n  interface {\n    linknumber: 0\n  }\n}\n\
                    quorum {\n  provider: corosync_votequorum\n  two_node: 1\n}\n";
        assert_eq!(by_file(file), two);
        let other = "quorum {\n provider: x\n wait_for_all: 0\n device {\n model: net\n }\n}\n";
        let found = by_file(other);
        assert!(!found.two_node && found.device && found.wait_for_all == Some(false));
        assert!(!by_file("").known);
    }

    #[test]
    fn addresses_of_the_nodes() {
        let both: BTreeSet<String> =
            ["198.51.100.11", "node2.lan"].into_iter().map(str::to_owned).collect();
        let map = "nodelist.node.0.name (str) = node1\nnodelist.node.0.ring0_addr (str) = 198.51.100.11\n\
                   nodelist.node.1.ring0_addr (str) = node2.lan\nnodelist.local_node_pos (u32) = 0\n";
        assert_eq!(addresses(&from_map(map)), both);
        let file = "nodelist {\n node {\n name: node1\n ring0_addr: 198.51.100.11\n }\n node {\n \
                    ring0_addr: node2.lan\n }\n}\n";
        assert_eq!(addresses(&from_file(file)), both);
        let trie = "  |-- 192.0.2.0\n   /24 link UNICAST\n  |-- 192.0.2.11\n   /32 host LOCAL\n";
        assert_eq!(from_trie(trie).into_iter().collect::<Vec<_>>(), ["192.0.2.11"]);
        let line = "20010db8000000000000000000000011 02 40 00 80     eth0";
        assert_eq!(from_inet6(line).as_deref(), Some("2001:db8::11"));
    }
}
