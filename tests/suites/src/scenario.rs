//! The pairs of SIP servers of `pcs-examples/`, on the lab.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use lab::{Bind, Lab, Options, Place, Root};

use crate::daemon::Daemon;
use crate::document::Came;

/// The virtual IP address of the example.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);

/// Where the example's OpenSIPS listens.
pub fn sip() -> SocketAddr {
    SocketAddr::from((VIP, 5060))
}

/// How the lab is fenced in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fencing {
    /// With the lab's power switch, as an administrator would with the hardware's.
    On,
    /// Not at all: what the example warns of.
    Off,
}

/// Which of the examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    /// `active-standby.sh`: OpenSIPS runs on one node.
    ActiveStandby,
    /// `hot-standby.sh`: it runs on both.
    HotStandby,
    /// `three-nodes.sh`: OpenSIPS runs on one of three.
    ThreeNodes,
}

impl Example {
    /// Its name, as the files' in `pcs-examples/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActiveStandby => "active-standby",
            Self::HotStandby => "hot-standby",
            Self::ThreeNodes => "three-nodes",
        }
    }

    /// How many nodes it is for.
    pub fn nodes(self) -> u8 {
        if self == Self::ThreeNodes { 3 } else { 2 }
    }

    /// The configuration of OpenSIPS that goes with it.
    fn config(self) -> &'static str {
        if self == Self::HotStandby {
            "opensips-hot-standby.cfg"
        } else {
            "opensips-active-standby.cfg"
        }
    }
}

/// The top of the repository, where the examples are.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the directory of the programs that a suite on a lab executes: both agents, the command
/// `smartvox`, the stand-in and `lab` itself.
///
/// # Panics
/// If one of them is not there, or older than its sources.
pub fn programs() -> PathBuf {
    for name in ["lab", "opensips-stand-in", "opensips", "smartvox"] {
        let _ = testnet::binary(name);
    }
    let agent = testnet::binary("opensips-vip");
    agent.parent().map(Path::to_owned).unwrap_or_default()
}

/// A lab with both agents and OpenSIPS, not yet configured.
///
/// # Errors
/// Whatever kept the lab from coming up, as one sentence.
pub fn up(name: &str, agents: &Path, daemon: &Daemon, token_ms: u32) -> Result<Lab, String> {
    up_for(Example::ActiveStandby, name, agents, daemon, token_ms)
}

/// The same with the configuration of an example; of one that has a file per node, with that too.
///
/// # Errors
/// As [`up`].
pub fn up_for(
    example: Example,
    name: &str,
    agents: &Path,
    daemon: &Daemon,
    token_ms: u32,
) -> Result<Lab, String> {
    up_with(example, name, agents, daemon, token_ms, Changes::default())
}

/// What a scenario has otherwise than its example.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// In place of the example's configuration of OpenSIPS.
    pub config: Option<PathBuf>,
    /// More that the hosts see of this machine.
    pub binds: Vec<Bind>,
    /// Systems that the nodes run, in place of those that [`roots`] tells.
    pub roots: Vec<Root>,
    /// How many nodes, in place of the example's.
    pub nodes: Option<u8>,
}

/// The same with changes.
///
/// # Errors
/// As [`up`].
pub fn up_with(
    example: Example,
    name: &str,
    agents: &Path,
    daemon: &Daemon,
    token_ms: u32,
    changes: Changes,
) -> Result<Lab, String> {
    let mut options = options(example, name, daemon, changes)?;
    options.agents = Some(agents_alone(agents)?);
    options.token = token_ms;
    // Where the package has it.
    let command = agents.join("smartvox");
    if command.is_file() {
        options.binds.push(Bind { source: command, destination: "/usr/sbin/smartvox".into() });
    }
    let lab = Lab::up(&options).map_err(|error| error.to_string())?;
    if example == Example::HotStandby {
        write_node_files(&lab)?;
    }
    Ok(lab)
}

/// A lab with OpenSIPS, its configuration and the examples, and without agents.
///
/// # Errors
/// The name is none for a lab.
pub fn options(
    example: Example,
    name: &str,
    daemon: &Daemon,
    changes: Changes,
) -> Result<Options, String> {
    let examples = repository().join("pcs-examples");
    let config = examples.join(example.config());
    let bind = |source: &Path, destination: &str| Bind {
        source: source.to_owned(),
        destination: PathBuf::from(destination),
    };
    let mut binds = vec![
        bind(&daemon.binary, "/usr/sbin/opensips"),
        bind(changes.config.as_ref().unwrap_or(&config), "/etc/opensips/opensips.cfg"),
        bind(&examples, "/root/pcs-examples"),
        // Where the package has them.
        bind(&examples, "/usr/share/doc/resource-agents-smartvox/examples"),
    ];
    if let Some(modules) = &daemon.modules {
        // Where the example's configuration has them.
        binds.push(bind(modules, "/usr/lib/x86_64-linux-gnu/opensips/modules"));
    }
    binds.extend(changes.binds);
    let place = Place::named(name).map_err(|error| error.to_string())?;
    let roots = if changes.roots.is_empty() { roots()? } else { changes.roots };
    let nodes = changes.nodes.unwrap_or(example.nodes());
    Ok(Options { place, binds, roots, nodes, ..Options::default() })
}

/// The systems that the nodes run, from `LAB_ROOT`: `[NODE=]DIR`, separated by colons. Without it they run
/// the machine's own.
///
/// # Errors
/// It is something else.
pub fn roots() -> Result<Vec<Root>, String> {
    let list = std::env::var("LAB_ROOT").unwrap_or_default();
    let words = list.split(':').filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(|e: lab::Error| format!("LAB_ROOT: {e}"))).collect()
}

/// The system that every node runs by `LAB_ROOT`; `None` is the machine's own.
///
/// # Errors
/// As [`roots`].
pub fn root_of_all() -> Result<Option<PathBuf>, String> {
    let root = roots()?.into_iter().find(|root| root.node.is_none());
    Ok(root.map(|root| root.directory))
}

/// As the file's own comment says: on node 2, numbers and addresses exchanged.
///
/// # Errors
/// As [`run`].
pub fn write_node_files(lab: &Lab) -> Result<(), String> {
    let path = repository().join("pcs-examples/opensips-hot-standby-node.cfg");
    let first = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let exchange = |text: &str, one: &str, two: &str| {
        text.replace(one, "\0").replace(two, one).replace('\0', two)
    };
    let second = exchange(&first, "198.51.100.11", "198.51.100.12");
    let second = second.replace("\"my_node_id\", 1", "\"my_node_id\", 2");
    let second = second.replace("node_id=2", "node_id=1");
    for (node, text) in [("node1", &first), ("node2", &second)] {
        let write = "printf %s \"$1\" > /etc/opensips/node.cfg";
        run(lab, node, &["sh", "-c", write, "sh", text])?;
    }
    Ok(())
}

/// The agents in a directory of their own beside the binaries: Pacemaker takes every executable in
/// a provider's directory for an agent.
///
/// # Errors
/// They can't be copied.
pub fn agents_alone(built: &Path) -> Result<PathBuf, String> {
    let directory = built.join("smartvox-agents");
    std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    for agent in ["opensips-vip", "opensips"] {
        let (from, to) = (built.join(agent), directory.join(agent));
        // By rename: another lab may be running the file that is there.
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let fresh = directory.join(format!(".{agent}.{process}.{thread:?}"));
        std::fs::copy(&from, &fresh)
            .and_then(|_| std::fs::rename(&fresh, &to))
            .map_err(|e| format!("{}: {e}: build the agents first", from.display()))?;
    }
    directory.canonicalize().map_err(|e| format!("{}: {e}", directory.display()))
}

/// Runs the example on node1, as an administrator would.
///
/// # Errors
/// What the example printed, where it failed.
pub fn configure(lab: &Lab, fencing: Fencing) -> Result<(), String> {
    configure_as(Example::ActiveStandby, lab, fencing)
}

/// The same for any of the examples.
///
/// # Errors
/// As [`configure`].
pub fn configure_as(example: Example, lab: &Lab, fencing: Fencing) -> Result<(), String> {
    let script = format!("/root/pcs-examples/{}.sh", example.name());
    let script = script.as_str();
    let command: &[&str] = match fencing {
        // The lab's power switch needs milliseconds, not the seconds of a service processor.
        Fencing::On => &["env", "FENCE_AGENT=fence_lab", "FENCE_DELAY=1s", script],
        Fencing::Off => &[script],
    };
    run(lab, "node1", command).map(drop)
}

/// Runs a command on a host of the lab and gives its stdout.
///
/// # Errors
/// It can't be run, or it failed: its output.
pub fn run(lab: &Lab, host: &str, command: &[&str]) -> Result<String, String> {
    let output = output(lab, host, command)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!(
            "{host}: {command:?}: {}\n{}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        ))
    }
}

/// What an administrator types at a node's shell.
///
/// # Errors
/// It can't be run.
pub fn typed(lab: &Lab, node: &str, line: &str) -> Result<Came, String> {
    let output = output(lab, node, &["sh", "-ec", line])?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok(Came { exit: output.status.code(), output: said })
}

/// Runs a command on a host of the lab and gives whatever came of it.
///
/// # Errors
/// It can't be run.
pub fn output(lab: &Lab, host: &str, command: &[&str]) -> Result<Output, String> {
    lab.exec(host, command).map_err(|error| format!("{host}: {command:?}: {error}"))
}

/// The hardware addresses that answer ARP for the virtual IP, asked on the wire by the client. One
/// owner is one address; two would be a split brain.
///
/// # Errors
/// arping can't be run.
pub fn owners(lab: &Lab) -> Result<BTreeSet<String>, String> {
    let vip = VIP.to_string();
    let output =
        output(lab, "client", &["arping", "-b", "-c", "3", "-w", "3", "-I", "eth0", &vip])?;
    // "Unicast reply from 192.0.2.10 [02:00:00:00:01:0B]  0.6ms"
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_ascii_lowercase()))
        .collect())
}

/// The same, asked again while none answers: on a machine that stalls, the answers come too late for arping.
///
/// # Errors
/// As [`owners`].
pub fn answering_owners(lab: &Lab, patience: Duration) -> Result<BTreeSet<String>, String> {
    let end = Instant::now() + patience;
    loop {
        let owners = owners(lab)?;
        if !owners.is_empty() || Instant::now() > end {
            return Ok(owners);
        }
    }
}

/// Waits until `smartvox check` finds nothing on either node: a node's copy of the configuration can be a
/// moment behind, and what the other node has is what it had when check ran there.
///
/// # Errors
/// What it finds at the end of `patience`.
pub fn nothing_to_find(lab: &Lab, patience: Duration) -> Result<(), String> {
    let end = Instant::now() + patience;
    loop {
        let mut found = Vec::new();
        for node in ["node1", "node2"] {
            let output = output(lab, node, &["smartvox", "check"])?;
            let said =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if !output.status.success() || said != format!("nothing found ({node})\n") {
                found.push(format!("{node}: smartvox check: {said}"));
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(found.concat());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Waits until both resources run on one node and says which.
///
/// # Errors
/// They don't by the end of `patience`; with what crm_mon shows then.
pub fn wait_running(lab: &Lab, patience: Duration) -> Result<String, String> {
    wait_running_where(lab, patience, |_| true)
}

/// Waits until both resources run on one node that fits.
///
/// # Errors
/// As [`wait_running`].
pub fn wait_running_where(
    lab: &Lab,
    patience: Duration,
    fits: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let end = Instant::now() + patience;
    loop {
        let vip = lab.resource_location("vip");
        let opensips = lab.resource_location("opensips");
        if let Some(node) = vip.filter(|node| opensips.as_ref() == Some(node) && fits(node)) {
            return Ok(node);
        }
        if Instant::now() > end {
            return Err(format!("vip and opensips are not where they should be\n{}", status(lab)));
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// What `crm_mon` shows on the first node that answers.
pub fn status(lab: &Lab) -> String {
    ["node1", "node2"]
        .iter()
        .find_map(|node| run(lab, node, &["crm_mon", "-1", "--show-detail", "--failcounts"]).ok())
        .unwrap_or_else(|| "no node answers crm_mon".to_owned())
}

/// Forgives every failure, as an administrator would: once the cluster is at rest. A cleanup takes
/// the resource out of the executor's list for a moment; a start that comes just then fails with "No
/// such device", whereupon the controller of Pacemaker 2.1.5 ends itself and is started anew, and the
/// start is held against the resource for good.
///
/// # Errors
/// As [`run`].
pub fn clean_up(lab: &Lab, node: &str) -> Result<(), String> {
    run(lab, node, &["crm_resource", "--wait", "--timeout=100"])?;
    run(lab, node, &["crm_resource", "--cleanup"]).map(drop)
}

/// The other node of the pair.
pub fn peer(node: &str) -> &'static str {
    if node == "node1" { "node2" } else { "node1" }
}
