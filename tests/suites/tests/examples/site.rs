//! The cluster that one example after the other configures, and what is asked of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use lab::{Bind, Lab};
use nix::sched::{CloneFlags, setns};
use suites::daemon::Daemon;
use suites::scenario::{self, Changes, Example};
use suites::sip;

/// Generous: a shared two-core machine can stall for seconds, and nothing here is a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// Nodes with the agents and without resources.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) nodes: Vec<String>,
    /// The section of the cluster's configuration without resources.
    empty: String,
}

impl Site {
    pub(crate) fn up(name: &str, nodes: u8) -> Result<Self, String> {
        let daemon = Daemon::real().into_iter().next().unwrap_or_else(Daemon::stand_in_for_suite);
        println!("{name}: runs against {daemon}");
        let mut options =
            scenario::options(Example::ActiveStandby, name, &daemon, Changes::default())?;
        // Each example has a configuration of OpenSIPS of its own; the repository's stays as it is.
        options.binds.retain(|bind| !bind.destination.starts_with("/etc/opensips"));
        options.agents = Some(scenario::agents_alone(&scenario::programs())?);
        options.binds.push(Bind {
            source: scenario::programs().join("smartvox"),
            destination: "/usr/sbin/smartvox".into(),
        });
        options.nodes = nodes;
        let lab = Lab::up(&options).map_err(|error| error.to_string())?;
        let nodes = options.node_names().collect();
        let query = ["cibadmin", "--query", "--scope", "configuration"];
        let empty = scenario::run(&lab, "node1", &query)?;
        Ok(Self { lab, nodes, empty })
    }

    /// Takes every resource away, as they are.
    pub(crate) fn forget(&self) -> Result<(), String> {
        let replace = "printf %s \"$1\" | cibadmin --replace --scope configuration --xml-pipe";
        self.run("node1", &["sh", "-ec", replace, "sh", &self.empty]).map(drop)
    }

    /// The same, and waits until what runs has been stopped.
    pub(crate) fn clear(&self) -> Result<(), String> {
        self.forget()?;
        self.settle()?;
        for node in &self.nodes {
            let left = self.run(node, &["sh", "-c", "pgrep -x opensips || true"])?;
            if !left.is_empty() {
                return Err(format!("OpenSIPS is left on {node}: {left}"));
            }
        }
        Ok(())
    }

    pub(crate) fn run(&self, node: &str, command: &[&str]) -> Result<String, String> {
        scenario::run(&self.lab, node, command)
    }

    /// Runs an example on node1, with the lab's fencing in place of the hardware's.
    pub(crate) fn configure(&self, script: &str) -> Result<(), String> {
        self.configure_with(script, &["FENCE_DELAY=1s"])
    }

    /// The same with other settings.
    pub(crate) fn configure_with(&self, script: &str, settings: &[&str]) -> Result<(), String> {
        let script = format!("/root/pcs-examples/{script}");
        // The lab's power switch needs milliseconds, not the seconds of a service processor.
        // crmsh keeps a history in HOME.
        let environment = ["env", "FENCE_AGENT=fence_lab", "HOME=/tmp"];
        self.run("node1", &[&environment[..], settings, &[&script]].concat()).map(drop)
    }

    /// What an example has made is without a finding.
    pub(crate) fn nothing_to_find(&self) -> Result<(), String> {
        self.settle()?;
        scenario::nothing_to_find(&self.lab, PATIENCE)
    }

    /// Writes a file of OpenSIPS on every node.
    pub(crate) fn write(&self, path: &str, text: &str) -> Result<(), String> {
        let write = "mkdir -p /etc/opensips && printf %s \"$1\" > \"$2\"";
        self.nodes
            .iter()
            .try_for_each(|node| self.run(node, &["sh", "-ec", write, "sh", text, path]).map(drop))
    }

    /// Waits for a condition; one that can't be looked at is not there yet.
    pub(crate) fn until(
        &self,
        what: &str,
        condition: impl Fn() -> Result<bool, String>,
    ) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let looked = condition();
            if looked == Ok(true) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let status = scenario::status(&self.lab);
                return Err(format!("{what}: not within {PATIENCE:?}: {looked:?}\n{status}"));
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// Waits until nothing is going on.
    pub(crate) fn settle(&self) -> Result<(), String> {
        let timeout = format!("--timeout={}", PATIENCE.as_secs());
        self.run("node1", &["crm_resource", "--wait", &timeout]).map(drop)
    }

    /// Waits until the resources run, all on one node that fits, and says which.
    pub(crate) fn together(
        &self,
        resources: &[&str],
        fits: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let begun = Instant::now();
        loop {
            let found: BTreeSet<Option<String>> =
                resources.iter().map(|id| self.lab.resource_location(id)).collect();
            if let [Some(node)] = &found.iter().cloned().collect::<Vec<_>>()[..]
                && fits(node)
            {
                return Ok(node.clone());
            }
            if begun.elapsed() > PATIENCE {
                let status = scenario::status(&self.lab);
                return Err(format!("{resources:?} are not where they should be\n{status}"));
            }
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// Moves what follows a resource to another node of the pair, and waits for it.
    pub(crate) fn moved(&self, leader: &str, all: &[&str]) -> Result<String, String> {
        let from = self.together(all, |_| true)?;
        let to = scenario::peer(&from);
        self.run(&from, &["crm_resource", "--move", "-r", leader, "-N", to])?;
        let now = self.together(all, |node| node == to)?;
        self.run(&from, &["crm_resource", "--clear", "-r", leader])?;
        Ok(now)
    }

    /// Whether an address is on this node, and on no other.
    pub(crate) fn is_only_on(
        &self,
        node: &str,
        interface: &str,
        address: &str,
    ) -> Result<(), String> {
        for other in &self.nodes {
            let shown = self.run(other, &["ip", "-o", "address", "show", "dev", interface])?;
            if shown.contains(&format!(" {address}/")) != (other == node) {
                return Err(format!("{address} should be on {node} alone; {other}: {shown}"));
            }
        }
        Ok(())
    }

    /// Waits for an answer to OPTIONS, asked from a host.
    pub(crate) fn answers(&self, host: &str, target: &str) -> Result<(), String> {
        self.answers_from(host, target, None)
    }

    /// The same, asked from an address of that host.
    pub(crate) fn answers_from(
        &self,
        host: &str,
        target: &str,
        source: Option<Ipv4Addr>,
    ) -> Result<(), String> {
        let netns = self.lab.netns_path(host).map_err(|error| error.to_string())?;
        let to: SocketAddr = target.parse().map_err(|error| format!("{target}: {error}"))?;
        let from = match (to, source) {
            (SocketAddr::V4(_), source) => {
                SocketAddr::from((source.unwrap_or(Ipv4Addr::UNSPECIFIED), 0))
            }
            (SocketAddr::V6(_), _) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        // A thread can't leave a namespace that is gone; this one ends.
        let asked = std::thread::spawn(move || ask(&netns, from, to)).join();
        match asked {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                Err(format!("{target}: no answer to {host}\n{}", scenario::status(&self.lab)))
            }
            Ok(Err(error)) => Err(format!("{host}: {target}: {error}")),
            Err(_) => Err("the asking thread panicked".to_owned()),
        }
    }
}

fn ask(netns: &Path, from: SocketAddr, to: SocketAddr) -> std::io::Result<bool> {
    setns(File::open(netns)?, CloneFlags::CLONE_NEWNET)?;
    let socket = UdpSocket::bind(from)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let (begun, local) = (Instant::now(), socket.local_addr()?);
    let mut buffer = [0_u8; 4096];
    for number in 0.. {
        // Refused by a host whose OpenSIPS is not there yet: no answer like any other.
        let _ = socket.send_to(&sip::options(to, local, number), to);
        if let Ok((length, sender)) = socket.recv_from(&mut buffer)
            && sender == to
            && sip::response(buffer.get(..length).unwrap_or_default()).is_some()
        {
            return Ok(true);
        }
        if begun.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(false)
}
