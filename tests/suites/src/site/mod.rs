//! A cluster with the service on it, its neighbours, and what can be done to them. What the programs
//! share that do something to a running service: `continuity`, `chaos`, the benchmarks.

pub mod configure;
pub mod setup;
pub mod third_host;
pub mod up;
pub mod watch;

use std::cell::{OnceCell, RefCell};
use std::time::{Duration, Instant};

use lab::{Lab, Network};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::setup::{Configuration, Contender, Setup};
use self::third_host::ThirdHost;
use crate::scenario::{self, peer};

/// How long anything may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Both nodes.
pub const NODES: [&str; 2] = ["node1", "node2"];

/// A configured cluster.
#[derive(Debug)]
pub struct Site {
    /// A host that is no node, once one is plugged in. Before the lab: it ends first.
    third_host: OnceCell<ThirdHost>,
    /// The cluster.
    pub lab: Lab,
    /// How it is set up.
    pub setup: Setup,
    /// Whose agents.
    pub contender: Contender,
    /// The node that served before the cause.
    active: RefCell<String>,
    /// What a step has found that an operator would have to repair.
    found: RefCell<Vec<String>>,
}

impl Site {
    /// On a lab that is up and configured.
    #[must_use]
    pub fn new(lab: Lab, setup: Setup, contender: Contender) -> Self {
        Self {
            third_host: OnceCell::new(),
            lab,
            setup,
            contender,
            active: RefCell::default(),
            found: RefCell::default(),
        }
    }

    /// The nodes, in the order of their names.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        (1..=self.setup.configuration.example().nodes())
            .map(|number| format!("node{number}"))
            .collect()
    }

    /// The node that served before the cause.
    #[must_use]
    pub fn active(&self) -> String {
        self.active.borrow().clone()
    }

    /// The other node.
    #[must_use]
    pub fn idle(&self) -> &'static str {
        peer(&self.active())
    }

    /// Notes which node serves.
    pub fn set_active(&self, node: String) {
        self.active.replace(node);
    }

    /// Notes something that an operator would have to repair.
    pub fn finding(&self, text: impl Into<String>) {
        self.found.borrow_mut().push(text.into());
    }

    /// What steps have found so far.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        self.found.borrow().clone()
    }

    /// Whether our agents are on it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.contender == Contender::Ours
    }

    /// Whether OpenSIPS runs on both nodes.
    #[must_use]
    pub fn is_hot(&self) -> bool {
        self.setup.configuration == Configuration::HotStandby
    }

    /// Runs a command on a node.
    ///
    /// # Errors
    /// As [`scenario::run`].
    pub fn run(&self, node: &str, command: &[&str]) -> Result<String, String> {
        scenario::run(&self.lab, node, command)
    }

    /// Runs a line of shell on a node.
    ///
    /// # Errors
    /// As [`scenario::run`].
    pub fn shell(&self, node: &str, line: &str) -> Result<String, String> {
        self.run(node, &["sh", "-euc", line])
    }

    /// Takes the carrier of the public network from a node, or gives it back.
    ///
    /// # Errors
    /// The lab refuses.
    pub fn carrier(&self, node: &str, there: bool) -> Result<(), String> {
        let (lab, public) = (&self.lab, Network::Public);
        let done = if there { lab.plug(node, public) } else { lab.unplug(node, public) };
        done.map_err(|error| error.to_string())
    }

    /// A node stands still, as a virtual machine does whose host is busy or that is moved: its
    /// processes are stopped, and what its kernel would still answer does not reach anybody. The
    /// carrier stays.
    ///
    /// # Errors
    /// The lab refuses.
    pub fn freeze(&self, node: &str) -> Result<(), String> {
        for network in Network::ALL {
            self.lab.partition([node], network).map_err(|error| error.to_string())?;
        }
        for process in self.processes(node) {
            process.signal(Signal::SIGSTOP);
        }
        Ok(())
    }

    /// It goes on as if nothing had been; where it was fenced meanwhile, nothing is left to go on. Every
    /// other partition of the lab ends, too.
    ///
    /// # Errors
    /// The lab refuses.
    pub fn thaw(&self, node: &str) -> Result<(), String> {
        self.lab.heal().map_err(|error| error.to_string())?;
        for process in self.processes(node) {
            process.signal(Signal::SIGCONT);
        }
        Ok(())
    }

    /// The host that is no node.
    ///
    /// # Errors
    /// It can't be plugged in.
    pub fn third_host(&self) -> Result<&ThirdHost, String> {
        if let Some(host) = self.third_host.get() {
            return Ok(host);
        }
        let host = ThirdHost::plug_in(&self.lab)?;
        Ok(self.third_host.get_or_init(|| host))
    }

    /// Every process of a node but its first, as the machine numbers them.
    #[must_use]
    pub fn processes(&self, node: &str) -> Vec<Process> {
        let Ok(first) = self.lab.node_pid(node) else { return Vec::new() };
        let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let Some(own) = namespace(first) else { return Vec::new() };
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| *pid != first && namespace(*pid).as_ref() == Some(&own))
            .filter_map(Process::read)
            .collect()
    }

    /// The processes of OpenSIPS on a node.
    #[must_use]
    pub fn daemon(&self, node: &str) -> Vec<Process> {
        // Our agent has the same name; it is started by its path.
        let is_daemon =
            |process: &Process| process.name == "opensips" && !process.path.contains("resource.d");
        self.processes(node).into_iter().filter(is_daemon).collect()
    }

    /// The main process of OpenSIPS on a node: the one whose parent is not of OpenSIPS.
    ///
    /// # Errors
    /// There is none.
    pub fn main_process(&self, node: &str) -> Result<Process, String> {
        let all = self.daemon(node);
        let is_child = |process: &Process| all.iter().any(|other| other.pid == process.parent);
        let main = all.iter().find(|process| !is_child(process)).cloned();
        main.ok_or_else(|| format!("no OpenSIPS on {node}"))
    }

    /// Waits for a condition that belongs to making ready.
    ///
    /// # Errors
    /// It is not there by the end of [`PATIENCE`]; with what `crm_mon` shows.
    pub fn wait(&self, what: &str, condition: impl Fn() -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while !condition() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{what}: not in time\n{}", scenario::status(&self.lab)));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

/// A process of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// As the machine numbers it.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its name (`comm`).
    pub name: String,
    /// The first word of its command line.
    pub path: String,
    /// The others.
    pub arguments: Vec<String>,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(") ")?;
        let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = command_line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let mut words = words.map(|word| String::from_utf8_lossy(word).into_owned());
        Some(Self {
            pid,
            parent: tail.split(' ').nth(1)?.parse().ok()?,
            name: head.split_once('(')?.1.to_owned(),
            path: words.next().unwrap_or_default(),
            arguments: words.collect(),
        })
    }

    /// Sends it a signal; one that has ended meanwhile needs none.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid), signal);
    }
}
