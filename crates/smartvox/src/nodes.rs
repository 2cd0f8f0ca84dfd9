//! What has to be the same on all nodes, and is not in the configuration of the cluster: the versions of the
//! agents, and the configuration files of OpenSIPS. `smartvox check` leaves those of this node as a private
//! node attribute (attrd_updater(8), `--private`: only in the memory of Pacemaker, so that no transition is
//! aborted; gone when the node leaves), and reads those of the other nodes.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{Output, output};

use crate::agents;
use crate::cib::{Cib, Resource};
use crate::meta_data::MetaData;

const ATTRIBUTE: &str = "smartvox-check";

/// What the value begins with: a later version may write it otherwise.
const FORM: &str = "1";

const PATIENCE: Duration = Duration::from_secs(10);

const LIMIT: usize = 1024 * 1024;

/// So many digits of a digest tell two files apart.
const DIGITS: usize = 16;

/// What one node has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The version of each agent, by its name.
    pub(crate) versions: BTreeMap<String, String>,
    /// The beginning of the SHA-256 of each configuration file, by the id of its resource.
    pub(crate) configs: BTreeMap<String, String>,
}

/// What this node has, and each other node had when `smartvox check` ran there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nodes {
    pub(crate) own: Told,
    pub(crate) others: BTreeMap<String, Told>,
    /// Why they could not be compared.
    pub(crate) remarks: Vec<String>,
}

impl Nodes {
    /// Looks at this node, leaves what it has, and reads what the others have left. Why nothing could be
    /// compared is a remark.
    pub(crate) fn exchange(
        cib: &Cib,
        node: &str,
        agents: &BTreeMap<String, Result<MetaData, String>>,
    ) -> Self {
        let (own, unread) = Told::look(cib, node, agents);
        let mut remarks = Vec::new();
        if let Some(config) = unread {
            // A user who can't read the file must not replace what root has left.
            remarks.push(format!(
                "{config} can't be read: other nodes are not told what this one has (run smartvox as root)"
            ));
        } else {
            // A remote node has no attribute daemon of its own: without --node it would be another node's.
            let update = ["--node", node, "--update", &own.value(), "--private"];
            if updater(&update).is_none_or(|answer| !answer.status.success()) {
                let what =
                    "the agents and configuration files are not compared with the other nodes";
                remarks.push(format!("attrd_updater fails: {what}"));
            }
        }
        // Exits with 105 (CRM_EX_NOSUCH) as long as no node has left anything.
        let asked = updater(&["--query", "--all"]).filter(|answer| answer.status.success());
        let others = asked.iter().flat_map(|answer| answer.stdout.lines()).filter_map(read);
        let is_other = |(name, _): &(String, Told)| {
            name != node && cib.nodes.iter().any(|one| one.name == *name)
        };
        Self { own, others: others.filter(is_other).collect(), remarks }
    }
}

impl Told {
    /// With the first configuration file that can't be read.
    fn look(
        cib: &Cib,
        node: &str,
        agents: &BTreeMap<String, Result<MetaData, String>>,
    ) -> (Self, Option<String>) {
        let version = |(agent, known): (&String, &Result<MetaData, String>)| {
            Some((agent.clone(), known.as_ref().ok()?.version.clone()?))
        };
        let (mut configs, mut unread) = (BTreeMap::new(), None);
        // A node that only counts for the quorum needs no such file.
        for resource in cib.of_agent("opensips").filter(|one| cib.may_run(one, node)) {
            let Some(config) = config(resource, agents) else { continue };
            match digest(&config) {
                Some(digest) => drop(configs.insert(resource.id.clone(), digest)),
                None => unread = unread.or(Some(config)),
            }
        }
        (Self { versions: agents.iter().filter_map(version).collect(), configs }, unread)
    }

    /// Words like `opensips=1.0.0` and `config.ID=DIGEST`; neither a name nor a version has a blank in it.
    fn value(&self) -> String {
        let versions = self.versions.iter().map(|(agent, version)| format!(" {agent}={version}"));
        let configs = self.configs.iter().map(|(id, digest)| format!(" config.{id}={digest}"));
        versions.chain(configs).fold(FORM.to_owned(), |value, word| value + &word)
    }

    fn of_value(value: &str) -> Option<Self> {
        let mut words = value.split_whitespace();
        if words.next() != Some(FORM) {
            return None;
        }
        let mut told = Self::default();
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let (map, name) = match name.strip_prefix("config.") {
                Some(id) => (&mut told.configs, id),
                None => (&mut told.versions, name),
            };
            map.insert(name.to_owned(), value.to_owned());
        }
        Some(told)
    }
}

/// The configuration file of a resource of the agent opensips.
pub(crate) fn config(
    resource: &Resource,
    agents: &BTreeMap<String, Result<MetaData, String>>,
) -> Option<String> {
    let default = || agents.get(&resource.agent)?.as_ref().ok()?.defaults.get("config").cloned();
    resource.parameter("config").map(str::to_owned).or_else(default)
}

/// As sha256sum(1) has it: an administrator sees the same. `None` if the file can't be read.
fn digest(path: &str) -> Option<String> {
    let mut command = agents::tool("sha256sum");
    let answer = output(command.arg("--").arg(path), LIMIT, Deadline::after(PATIENCE)).ok()??;
    // A name with a backslash in it has one before the digest, too.
    let digits = answer.stdout.trim_start_matches('\\').get(..DIGITS)?.to_owned();
    answer.status.success().then_some(digits)
}

fn updater(arguments: &[&str]) -> Option<Output> {
    let mut command: Command = agents::tool("attrd_updater");
    // In the environment of an action, --all would show this node alone.
    command.args(["--name", ATTRIBUTE]).args(arguments).env_remove("OCF_RESKEY_CRM_meta_on_node");
    output(&mut command, LIMIT, Deadline::after(PATIENCE)).ok()?
}

/// Reads a line like `name="smartvox-check" host="node2" value="1 opensips=1.0.0"`.
fn read(line: &str) -> Option<(String, Told)> {
    let rest = line.trim().strip_prefix("name=\"")?.strip_prefix(ATTRIBUTE)?;
    let (host, value) = rest.strip_prefix("\" host=\"")?.split_once("\" value=\"")?;
    Some((host.to_owned(), Told::of_value(value.strip_suffix('"')?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let map = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
        Told { versions: map("opensips", "1.0.0"), configs: map("sip-a", "0123456789abcdef") }
    }

    #[test]
    fn what_a_node_leaves_is_what_another_reads() {
        let line = format!("name=\"smartvox-check\" host=\"node2\" value=\"{}\"", told().value());
        assert_eq!(read(&line), Some(("node2".to_owned(), told())));
        assert_eq!(told().value(), "1 opensips=1.0.0 config.sip-a=0123456789abcdef");
        for other in [
            "",
            "name=\"smartvox-link-vip\" host=\"node2\" value=\"1\"",
            "name=\"smartvox-check\" host=\"node2\" value=\"\"",
            "name=\"smartvox-check\" host=\"node2\" value=\"2 opensips=3.0.0\"",
            "Could not query value of smartvox-check: attribute does not exist",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["plain.cfg", "with \\ and blank.cfg", "-f"] {
            let path = directory.path().join(name);
            std::fs::write(&path, "").unwrap();
            // FIPS 180-4: the digest of an empty text.
            assert_eq!(digest(path.to_str().unwrap()).unwrap(), "e3b0c44298fc1c14", "{name}");
        }
        assert_eq!(digest("/no/such/file"), None);
    }
}
