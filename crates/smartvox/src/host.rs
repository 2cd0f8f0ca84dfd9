//! What this node itself shows: the agents, what they find wrong here, Corosync, kernel settings.

use std::collections::BTreeMap;
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
    /// `net.ipv4.ip_nonlocal_bind` and `net.ipv6.ip_nonlocal_bind`.
    pub(crate) nonlocal_bind: [Option<bool>; 2],
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
        let mut host = Self { node: node.to_owned(), ..Self::default() };
        // A host that is no node of this cluster says nothing about the nodes.
        let is_node = cib.nodes.iter().any(|one| one.name == node);
        for resource in cib.ours() {
            let agent = resource.agent.as_str();
            let agents = &mut host.agents;
            let meta_data = agents.entry(agent.to_owned()).or_insert_with(|| meta_data(agent));
            if is_node && meta_data.is_ok() {
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
        host.corosync = corosync();
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

/// Asks the running Corosync; where there is none, reads its file.
fn corosync() -> Corosync {
    let asked = output(
        &mut agents::tool("corosync-cmapctl"),
        4 * 1024 * 1024,
        Deadline::after(Duration::from_secs(10)),
    );
    match asked {
        Ok(Some(output)) if output.status.success() => from_map(&output.stdout),
        _ => std::fs::read_to_string("/etc/corosync/corosync.conf")
            .map_or_else(|_| Corosync::default(), |text| from_file(&text)),
    }
}

/// Lines like `quorum.two_node (u8) = 1` (corosync-cmapctl(8)).
fn from_map(text: &str) -> Corosync {
    let pairs = text.lines().filter_map(|line| {
        let (key, rest) = line.split_once(" (")?;
        Some((key.trim().to_owned(), rest.split_once("= ")?.1.trim().to_owned()))
    });
    of_settings(&pairs.collect(), "runtime.config.totem.token")
}

/// Sections in braces, `key: value` in them (corosync.conf(5)).
fn from_file(text: &str) -> Corosync {
    let (mut section, mut settings) = (Vec::new(), BTreeMap::new());
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_suffix('{') {
            section.push(name.trim());
        } else if line == "}" {
            section.pop();
        } else if let Some((key, value)) = line.split_once(':') {
            let path = section.iter().copied().chain([key.trim()]).collect::<Vec<_>>();
            settings.insert(path.join("."), value.trim().to_owned());
        }
    }
    of_settings(&settings, "totem.token")
}

fn of_settings(settings: &BTreeMap<String, String>, token: &str) -> Corosync {
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
        assert_eq!(from_map(map), two);
        let file = "# x\ntotem {\n  token: 3000\n  interface {\n    linknumber: 0\n  }\n}\n\
                    quorum {\n  provider: corosync_votequorum\n  two_node: 1\n}\n";
        assert_eq!(from_file(file), two);
        let other = "quorum {\n provider: x\n wait_for_all: 0\n device {\n model: net\n }\n}\n";
        let found = from_file(other);
        assert!(!found.two_node && found.device && found.wait_for_all == Some(false));
        assert!(!from_file("").known);
    }
}
