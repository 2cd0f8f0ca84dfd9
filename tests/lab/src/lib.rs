//! A real Corosync + Pacemaker cluster in namespaces on one machine.
//!
//! Each node has network, PID, mount, IPC and UTS namespaces of its own; the machine's own network,
//! files and processes aren't touched. One process, the *rack*, is the first of the lab's PID
//! namespace and holds everything else: when it is killed, all of the lab is gone.
//!
//! ```no_run
//! use std::time::Duration;
//! use lab::{Lab, Options, wait_for};
//!
//! # fn main() -> lab::Result<()> {
//! let lab = Lab::up(&Options::named("try")?)?;
//! lab.run("node1", ["pcs", "resource", "create", "d", "ocf:heartbeat:Dummy"])?;
//! let place = wait_for("d runs", Duration::from_secs(60), || lab.resource_location("d"))?;
//! lab.kill(&place)?;
//! # Ok(())
//! # } // `lab` goes out of scope: the lab is down
//! ```

pub mod command_line;

mod cluster;
mod control;
mod crm_mon;
mod error;
mod fence_agent;
mod file_systems;
mod hosts;
mod message;
mod namespaces;
mod network;
mod node;
mod options;
mod power_switch;
mod processes;
mod rack;
mod requirements;
mod root;
mod start;
mod state;
mod status;
mod systemctl;
mod wait;

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Child, Command, Output},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

pub use crate::{
    crm_mon::{ClusterStatus, NodeStatus, ResourceStatus},
    error::{Error, Result},
    network::{HostNumber, Network},
    options::{Bind, Cluster, DEFAULT_STATE, LabName, Options, Place},
    root::Root,
    state::Process,
    wait::wait_for,
};
use crate::{hosts::CLIENT, start::Starter, state::Directory};

/// How long a command in a host may take before it is killed, unless the caller says otherwise.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(300);

/// How long a starting cluster may take until all nodes are online.
const START_DEADLINE: Duration = Duration::from_secs(180);

/// A lab that is up.
///
/// One that [`Lab::up`] started is taken down on drop, and by the rack itself should this process
/// be killed; [`Lab::keep`] leaves it up. One that [`Lab::attach`] found is left as it is.
#[derive(Debug)]
pub struct Lab {
    place: Place,
    directory: Directory,
    starter: Option<Starter>,
}

/// A host's power and first process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStatus {
    /// `client`, `node1`, …
    pub name: String,
    /// First process of its PID namespace, as the machine sees it; `None`: the host is off.
    pub process: Option<Process>,
    /// Whether its first process has started everything.
    pub booted: bool,
}

impl Lab {
    /// Starts a lab and waits until every node is online.
    ///
    /// # Errors
    /// Nothing is left then. [`Error::NotRoot`], [`Error::MissingPrograms`], [`Error::AlreadyUp`],
    /// [`Error::Refused`] with the rack's words when something failed to start,
    /// [`Error::Deadline`] when the nodes didn't come online.
    pub fn up(options: &Options) -> Result<Self> {
        Self::up_telling(options, |_, _, _| {})
    }

    /// The same, telling each step: time since the call, host, what happened.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn up_telling(
        options: &Options,
        mut tell: impl FnMut(Duration, &str, &str),
    ) -> Result<Self> {
        let began = Instant::now();
        let (directory, lock, starter) = start::start(options)?;
        let lab = Self { place: options.place.clone(), directory, starter: Some(starter) };
        let mut tell = |host: &str, what: &str| tell(began.elapsed(), host, what);
        let started = lab.await_start(options, &mut tell);
        // Before a failed lab's drop, which takes the lock again.
        drop(lock);
        started.map(|()| lab)
    }

    fn await_start(&self, options: &Options, tell: &mut dyn FnMut(&str, &str)) -> Result<()> {
        if let Some(starter) = &self.starter {
            starter.listen(&self.directory, &mut *tell)?;
        }
        if options.cluster == Cluster::Pacemaker {
            let status = self.wait_online(START_DEADLINE)?;
            let dc = status.dc.unwrap_or_default();
            tell("cluster", &format!("all nodes online, DC {dc}"));
        }
        Ok(())
    }

    /// The lab that is up at this place.
    ///
    /// # Errors
    /// [`Error::NotUp`], [`Error::StateDirectory`].
    pub fn attach(place: &Place) -> Result<Self> {
        let directory = Directory::of(place)?;
        if directory.rack().is_none_or(|rack| !rack.is_alive()) {
            return Err(Error::NotUp { name: place.name.to_string() });
        }
        Ok(Self { place: place.clone(), directory, starter: None })
    }

    /// Leaves the lab up beyond this process.
    ///
    /// # Errors
    /// [`Error::File`] if the rack is gone.
    pub fn keep(mut self) -> Result<()> {
        self.starter.take().map_or(Ok(()), |starter| starter.keep(&self.directory))
    }

    /// Takes the lab down: processes, namespaces, mounts and files.
    ///
    /// # Errors
    /// [`Error::Deadline`] if the rack outlives SIGKILL, [`Error::File`].
    pub fn down(mut self) -> Result<()> {
        self.take_down().map(drop)
    }

    /// Takes down whatever is at this place, a crashed lab's rest too. Whether there was a lab.
    ///
    /// # Errors
    /// As [`Lab::down`]; [`Error::NotRoot`].
    pub fn down_at(place: &Place) -> Result<bool> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Error::NotRoot);
        }
        let directory = Directory::of(place)?;
        if !directory.exists() {
            return Ok(false);
        }
        let _lock = directory.lock()?;
        directory.clean()
    }

    fn take_down(&mut self) -> Result<bool> {
        let starter = self.starter.take();
        let lock = self.directory.lock()?;
        let cleaned = self.directory.clean();
        drop(lock);
        if let Some(mut starter) = starter {
            // All are dead. The rack can be reaped when the caller has reaped what it spawned in the
            // lab itself, which may be after this call.
            thread::spawn(move || starter.rack.wait());
        }
        cleaned
    }

    /// The directory with the lab's state.
    #[must_use]
    pub fn state_directory(&self) -> PathBuf {
        self.directory.path.clone()
    }

    /// The process that everything hangs on.
    #[must_use]
    pub fn rack(&self) -> Option<Process> {
        self.directory.rack()
    }

    /// All hosts, by name.
    ///
    /// # Errors
    /// [`Error::NoAnswer`], [`Error::File`] if the rack is gone.
    pub fn hosts(&self) -> Result<Vec<HostStatus>> {
        let hosts = self.describe()?;
        let status = |host: &Value| {
            Ok(HostStatus {
                name: message::text(host, "name")?.to_owned(),
                process: host.get("process").and_then(Process::from_json),
                booted: message::text(host, "power")? == "on",
            })
        };
        hosts.as_array().into_iter().flatten().map(status).collect()
    }

    pub(crate) fn describe(&self) -> Result<Value> {
        self.ask(&json!({"do": "status"}))
    }

    fn ask(&self, request: &Value) -> Result<Value> {
        control::ask(&self.directory, request, |_, _| {})
    }

    /// Names of the nodes that have power.
    ///
    /// # Errors
    /// As [`Lab::hosts`].
    pub fn powered_nodes(&self) -> Result<Vec<String>> {
        let powered = |host: HostStatus| host.process.map(|_| host.name);
        let names = self.hosts()?.into_iter().filter_map(powered);
        Ok(names.filter(|name| name != CLIENT).collect())
    }

    /// A host's first process.
    ///
    /// # Errors
    /// [`Error::NoSuchHost`], [`Error::PowerOff`].
    pub fn process(&self, host: &str) -> Result<Process> {
        let hosts = self.hosts()?;
        let known = || hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ");
        match hosts.iter().find(|status| status.name == host) {
            Some(HostStatus { process: Some(process), .. }) => Ok(*process),
            Some(_) => Err(Error::PowerOff { host: host.to_owned() }),
            None => Err(Error::NoSuchHost { host: host.to_owned(), known: known() }),
        }
    }

    /// Pid of a host's first process, as the machine sees it.
    ///
    /// # Errors
    /// As [`Lab::process`].
    pub fn node_pid(&self, host: &str) -> Result<i32> {
        Ok(self.process(host)?.pid)
    }

    /// The file of a host's network namespace, for setns(2) in a thread of the caller's.
    ///
    /// # Errors
    /// As [`Lab::process`].
    pub fn netns_path(&self, host: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/ns/net", self.node_pid(host)?)))
    }

    /// Starts a command in a host; its standard streams are as the caller set them.
    ///
    /// # Errors
    /// As [`Lab::process`]; [`Error::Spawn`] if there is no such program in the host.
    pub fn spawn(&self, host: &str, command: &mut Command) -> Result<Child> {
        command
            .env("PATH", requirements::PATH)
            .env("HOME", "/root")
            // Cargo's, of tests that run in it: not a node's.
            .env_remove("LD_LIBRARY_PATH");
        namespaces::spawn_beside(self.process(host)?, command).map_err(|error| match error {
            Error::PowerOff { .. } => Error::PowerOff { host: host.to_owned() },
            other => other,
        })
    }

    /// Runs a command in a host and gives its status and output, whatever the status.
    ///
    /// # Errors
    /// As [`Lab::spawn`]; [`Error::Deadline`] after [`COMMAND_DEADLINE`].
    pub fn exec<S: AsRef<OsStr>>(
        &self,
        host: &str,
        command: impl IntoIterator<Item = S>,
    ) -> Result<Output> {
        let mut command = command_of(command);
        wait::output(&mut command, Some(COMMAND_DEADLINE), |command| self.spawn(host, command))
    }

    /// Runs a command in a host and gives its standard output.
    ///
    /// # Errors
    /// As [`Lab::exec`]; [`Error::Program`] with its words if it fails.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        host: &str,
        command: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let mut command = command_of(command);
        let output = wait::output(&mut command, Some(COMMAND_DEADLINE), |command| {
            self.spawn(host, command)
        })?;
        let output = wait::succeeded(&command, output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Cuts a host's power: its links go down, then every process is killed at once. Returns when
    /// all are dead. /etc and /var survive, /run and /tmp don't.
    ///
    /// # Errors
    /// [`Error::Refused`]: no such host, or it is off.
    pub fn kill(&self, host: &str) -> Result<()> {
        self.ask(&json!({"do": "kill", "host": host})).map(drop)
    }

    /// Switches a host on; returns when its daemons are started, not when it is online.
    ///
    /// # Errors
    /// [`Error::Refused`]: no such host, it is on, or it failed to boot.
    pub fn boot(&self, host: &str) -> Result<()> {
        self.boot_telling(host, |_, _| {})
    }

    /// The same, telling each step: host, what happened.
    ///
    /// # Errors
    /// As [`Lab::boot`].
    pub fn boot_telling(&self, host: &str, tell: impl FnMut(&str, &str)) -> Result<()> {
        control::ask(&self.directory, &json!({"do": "boot", "host": host}), tell).map(drop)
    }

    /// Separates hosts from the others in a network, as a fault between two switches does: the
    /// named ones still reach each other, and all keep their carrier.
    ///
    /// # Errors
    /// [`Error::Refused`]: no such host, or it has no cable in that network.
    pub fn partition<S: AsRef<str>>(
        &self,
        hosts: impl IntoIterator<Item = S>,
        network: Network,
    ) -> Result<()> {
        hosts.into_iter().try_for_each(|host| self.rewire("split", host.as_ref(), network))
    }

    /// Ends all partitions.
    ///
    /// # Errors
    /// [`Error::NoAnswer`].
    pub fn heal(&self) -> Result<()> {
        self.ask(&json!({"do": "heal"})).map(drop)
    }

    /// Pulls a cable: the host loses its carrier.
    ///
    /// # Errors
    /// [`Error::Refused`]: no such host, or it has no cable in that network.
    pub fn unplug(&self, host: &str, network: Network) -> Result<()> {
        self.rewire("unplug", host, network)
    }

    /// Plugs a cable in again.
    ///
    /// # Errors
    /// As [`Lab::unplug`].
    pub fn plug(&self, host: &str, network: Network) -> Result<()> {
        self.rewire("plug", host, network)
    }

    fn rewire(&self, how: &str, host: &str, network: Network) -> Result<()> {
        self.ask(&json!({"do": how, "host": host, "network": network.name()})).map(drop)
    }

    /// A host's logs as the machine sees them: boot, Corosync, Pacemaker; those that exist. They
    /// are there while the host is off too.
    ///
    /// # Errors
    /// [`Error::NotUp`], [`Error::NoSuchHost`].
    pub fn log_paths(&self, host: &str) -> Result<Vec<PathBuf>> {
        let rack = self.rack().ok_or_else(|| Error::NotUp { name: self.place.name.to_string() })?;
        // The disks are mounted in the rack's mount namespace only.
        let disks = self.directory.disks();
        let disks = disks.strip_prefix("/").unwrap_or(&disks);
        let disk = PathBuf::from(format!("/proc/{}/root", rack.pid)).join(disks).join(host);
        if !disk.is_dir() {
            let names: Vec<String> = self.hosts()?.into_iter().map(|host| host.name).collect();
            return Err(Error::NoSuchHost { host: host.to_owned(), known: names.join(", ") });
        }
        let logs = [
            "boot.log",
            "empty/var/log/corosync/corosync.log",
            "empty/var/log/pacemaker/pacemaker.log",
        ];
        Ok(logs.into_iter().map(|log| disk.join(log)).filter(|path| path.exists()).collect())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.starter.is_some()
            && let Err(error) = self.take_down()
        {
            eprintln!("lab {}: {error}", self.place.name);
        }
    }
}

fn command_of<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let mut words = words.into_iter();
    // An empty command fails as one that isn't found.
    let mut command = words.next().map_or_else(|| Command::new(""), Command::new);
    command.args(words);
    command
}
