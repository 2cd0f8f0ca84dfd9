//! A host with a daemon and its agent.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use opensips_stand_in::{ConfigFile, Version, module_path};
use serde_json::Value;
use suites::daemon::Daemon;
use suites::sip;
use testnet::{Agent, Host, Outcome, agent, binary, wait_until};

use crate::LONG;

/// The resource's name.
pub(crate) const NAME: &str = "sip";
pub(crate) const STATE: &str = "/run/smartvox/opensips-sip.state";
pub(crate) const PIDFILE: &str = "/run/opensips/sip.pid";

/// Runs a test against every daemon, and says so.
pub(crate) fn every_daemon(test: &str, body: impl Fn(&Site)) {
    every_daemon_that(|_| true, test, body);
}

/// Runs a test of the Management Interface against every daemon whose MI the agent speaks.
pub(crate) fn every_daemon_with_mi(test: &str, body: impl Fn(&Site)) {
    every_daemon_that(Version::has_json_mi, test, body);
}

/// Runs a test against the daemons of these versions; whether there was one.
pub(crate) fn every_daemon_that(
    fits: impl Fn(Version) -> bool,
    test: &str,
    body: impl Fn(&Site),
) -> bool {
    let daemons = std::iter::once(Daemon::stand_in_for_suite()).chain(Daemon::real());
    let fitting: Vec<Daemon> = daemons.filter(|daemon| fits(version_of(daemon))).collect();
    fitting.iter().for_each(|daemon| against(test, daemon, &body));
    !fitting.is_empty()
}

fn version_of(daemon: &Daemon) -> Version {
    Version::parse(&daemon.version).unwrap_or_else(|| panic!("{daemon}: not known here"))
}

/// Runs a test that needs a fault switch, which no real daemon has.
pub(crate) fn stand_in_alone(test: &str, body: impl Fn(&Site)) {
    against(test, &Daemon::stand_in_for_suite(), &body);
}

fn against(test: &str, daemon: &Daemon, body: &impl Fn(&Site)) {
    // Past libtest's capture: what was tested belongs into every log.
    let _ = writeln!(std::io::stderr(), "{test}: {daemon}");
    // And into the report of a failure.
    println!("against {daemon}");
    body(&Site::new(daemon));
}

pub(crate) struct Site {
    pub(crate) host: Host,
    /// Its executable, under the file name `opensips`, which is the agent's too.
    pub(crate) binary: PathBuf,
    pub(crate) version: Version,
    /// Where its modules are; the stand-in has none.
    pub(crate) modules: Option<PathBuf>,
    directory: tempfile::TempDir,
}

impl Site {
    fn new(daemon: &Daemon) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let modules = module_path(&daemon.binary);
        let binary = if modules.is_some() {
            daemon.binary.clone()
        } else {
            let copy = directory.path().join("opensips");
            testnet::copy_program(&daemon.binary, &copy);
            copy
        };
        let version = version_of(daemon);
        let site = Self { host: Host::new("node"), binary, version, modules, directory };
        site.configure(&["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
        site
    }

    pub(crate) fn is_stand_in(&self) -> bool {
        self.modules.is_none()
    }

    /// With the stand-in, for what does not depend on the daemon.
    pub(crate) fn stand_in() -> Self {
        Self::new(&Daemon::stand_in_for_suite())
    }

    /// Whether the daemon has a module in a file of its own; the stand-in has none.
    pub(crate) fn has_module(&self, name: &str) -> bool {
        self.modules.as_ref().is_some_and(|path| path.join(format!("{name}.so")).is_file())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("opensips.cfg")
    }

    /// A configuration with these sockets.
    pub(crate) fn config_with(&self, sockets: &[&str]) -> ConfigFile {
        ConfigFile {
            version: self.version,
            sockets: sockets.iter().map(ToString::to_string).collect(),
            module_path: self.modules.clone(),
            ..ConfigFile::default()
        }
    }

    /// Writes the configuration of the resource.
    pub(crate) fn configure(&self, sockets: &[&str]) {
        self.write(&self.config_with(sockets).text());
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    /// The agent as Pacemaker calls it, without any parameter.
    pub(crate) fn plain(&self) -> Agent {
        self.plain_on(&self.host)
    }

    fn plain_on(&self, host: &Host) -> Agent {
        // PCMK_service marks a call of Pacemaker's, which wants quiet.
        agent(host, binary("opensips"))
            .under_pacemaker(NAME)
            .env("PCMK_service", "pacemaker-execd")
            .timeout(LONG)
    }

    /// With the parameters that belong to this site.
    pub(crate) fn agent(&self) -> Agent {
        self.agent_on(&self.host)
    }

    /// The agent with a long probe timeout, for a daemon that answers: an answered attempt ends at once,
    /// however slow the machine is.
    pub(crate) fn patient(&self) -> Agent {
        self.agent().param("sip_probe_timeout", "60s").param("sip_probe_attempts", "1")
    }

    /// The same resource on another host.
    pub(crate) fn agent_on(&self, host: &Host) -> Agent {
        self.plain_on(host)
            .param("binary", &self.binary)
            .param("config", self.config())
            .param("user", "nobody")
            .param("group", "nogroup")
    }

    /// The same as a program that is not waited for.
    pub(crate) fn command(&self, action: &str) -> std::process::Command {
        let mut command = std::process::Command::new(binary("opensips"));
        command.arg(action).env("OCF_RESOURCE_INSTANCE", NAME).env("PCMK_service", "x");
        command.env("OCF_RESKEY_binary", &self.binary).env("OCF_RESKEY_config", self.config());
        command.env("OCF_RESKEY_user", "nobody").env("OCF_RESKEY_group", "nogroup");
        command
    }

    #[track_caller]
    pub(crate) fn start(&self) -> Outcome {
        let outcome = self.agent().action("start");
        ends(&outcome, 0);
        outcome
    }

    #[track_caller]
    pub(crate) fn stop(&self) {
        ends(&self.agent().action("stop"), 0);
        self.nothing_is_left();
    }

    /// A stop that has ten minutes, of which the daemon gets nearly all before it is killed: one
    /// that needs the kill does not end before the runner's patience does.
    #[track_caller]
    pub(crate) fn stop_without_need_of_a_deadline(&self) {
        ends(&self.agent().env("OCF_RESKEY_CRM_meta_timeout", "600000").action("stop"), 0);
        self.nothing_is_left();
    }

    /// What start remembers.
    pub(crate) fn state(&self) -> String {
        self.host.run(|| std::fs::read_to_string(STATE).unwrap_or_default())
    }

    /// Takes away what start remembers.
    pub(crate) fn forget(&self) {
        self.host.run(|| std::fs::remove_dir_all("/run/smartvox").unwrap());
    }

    /// A recurring monitor.
    pub(crate) fn monitor(&self) -> Outcome {
        recurring(&self.agent())
    }

    /// No process of the daemon on the host, no file of the instance.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        assert_eq!(self.processes(), [0; 0], "processes");
        assert_eq!(self.files("/run/opensips"), [""; 0]);
        let files = self.files("/run/smartvox");
        // The lock stays after a failed start: somebody may be waiting for it.
        let others: Vec<_> = files.iter().filter(|file| !file.ends_with(".lock")).collect();
        assert!(others.is_empty(), "{others:?}");
    }

    pub(crate) fn files(&self, directory: &str) -> Vec<String> {
        self.host.run(|| {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            let mut names: Vec<String> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        })
    }

    /// Every process on the host that runs the daemon's executable and has not ended.
    pub(crate) fn processes(&self) -> Vec<i32> {
        self.processes_of(&self.binary)
    }

    /// Returns whether an action of the agent is running on the host.
    pub(crate) fn agent_runs(&self) -> bool {
        self.processes_of(&binary("opensips")).into_iter().any(|pid| !is_async_monitor(pid))
    }

    /// The asynchronous monitors on the host.
    pub(crate) fn async_monitors(&self) -> Vec<i32> {
        let mut found = self.processes_of(&binary("opensips"));
        found.retain(|pid| is_async_monitor(*pid));
        found
    }

    fn processes_of(&self, program: &Path) -> Vec<i32> {
        let inode = |pid: &str| {
            std::fs::metadata(format!("/proc/{pid}/ns/net")).map(|metadata| metadata.ino()).ok()
        };
        let here = self.host.run(|| inode("thread-self"));
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let mut pids: Vec<i32> = entries
            .filter_map(|entry| {
                let pid = entry.file_name().into_string().ok()?;
                let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
                let ours = executable == program.canonicalize().ok()? && inode(&pid) == here;
                ours.then(|| pid.parse().ok()).flatten()
            })
            .collect();
        pids.sort_unstable();
        pids
    }

    /// The main process, from its pid file.
    #[track_caller]
    pub(crate) fn main(&self) -> i32 {
        self.main_of(PIDFILE)
    }

    #[track_caller]
    pub(crate) fn main_of(&self, pidfile: &str) -> i32 {
        let content = self.host.run(|| std::fs::read_to_string(pidfile)).expect("a pid file");
        content.trim().parse().expect("a pid")
    }

    pub(crate) fn workers(&self) -> Vec<i32> {
        children(self.main())
    }

    /// Whether somebody answers OPTIONS there.
    pub(crate) fn answers(&self, target: &str) -> bool {
        let target: SocketAddr = target.parse().unwrap();
        self.host.run(|| {
            let socket = UdpSocket::bind(SocketAddr::new(target.ip(), 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let request = sip::options(target, socket.local_addr().unwrap(), 1);
            let mut datagram = [0; 4096];
            (0..20).any(|_| {
                socket.send_to(&request, target).unwrap();
                let length = socket.recv(&mut datagram).unwrap_or(0);
                sip::response(&datagram[..length]).is_some()
            })
        })
    }

    /// Runs a closure on the host, for sockets of a stranger.
    pub(crate) fn on_host<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        self.host.run(action)
    }

    /// Kills the main process and waits until it is gone; its workers stay.
    pub(crate) fn kill_main(&self) -> i32 {
        let main = self.main();
        signal(main, Signal::SIGKILL);
        wait_until("the main process is gone", LONG, || !is_alive(main));
        assert!(!self.processes().is_empty(), "orphans are what this test is about");
        main
    }

    /// Starts a daemon with the configuration and pid file of the agent, as a person does.
    pub(crate) fn start_by_hand(&self) {
        let mut command = std::process::Command::new(&self.binary);
        command.args(["-P", PIDFILE, "-f"]).arg(self.config());
        let null = std::process::Stdio::null;
        let mut child = self.host.spawn(command.stdin(null()).stdout(null()).stderr(null()));
        assert!(child.wait().unwrap().success());
        wait_until("it serves", LONG, || self.answers("127.0.0.1:5060"));
    }
}

pub(crate) fn recurring(agent: &Agent) -> Outcome {
    agent.clone().env("OCF_RESKEY_CRM_meta_interval", "10000").action("monitor")
}

/// What is killed may have ended by itself: a daemon ends its workers, and a worker its daemon.
pub(crate) fn signal(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        Err(Errno::ESRCH) if signal == Signal::SIGKILL => {}
        sent => sent.unwrap(),
    }
}

fn is_async_monitor(pid: i32) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|byte| *byte == 0).nth(1) == Some(b"--async-monitor".as_slice())
}

/// Neither gone nor a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn children(pid: i32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.unwrap_or_default().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Where [`processes`] asks the daemon's MI, over datagrams of UDP.
pub(crate) const PROCESSES_AT: &str = "127.0.0.1:8080";

/// The pids of the processes whose type begins so: `SIP receiver udp:ADDRESS:PORT`, `TCP receiver`.
pub(crate) fn processes(site: &Site, kind: &str) -> Vec<i32> {
    let to: SocketAddr = PROCESSES_AT.parse().unwrap();
    let mut found = Vec::new();
    wait_until("the MI tells the processes", LONG, || {
        let answer = site.on_host(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let request = br#"{"jsonrpc":"2.0","id":1,"method":"ps"}"#;
            let mut buffer = vec![0; 65_535];
            socket.send_to(request, to).unwrap();
            let length = socket.recv(&mut buffer).unwrap_or(0);
            serde_json::from_slice::<Value>(&buffer[..length]).ok()
        });
        let list = answer.and_then(|answer| answer["result"]["Processes"].as_array().cloned());
        found = list
            .unwrap_or_default()
            .iter()
            .filter(|one| one["Type"].as_str().is_some_and(|found| found.starts_with(kind)))
            .map(|one| i32::try_from(one["PID"].as_i64().unwrap()).unwrap())
            .collect();
        !found.is_empty()
    });
    found
}

/// Writes a file on the host.
pub(crate) fn write(site: &Site, path: &str, content: &str) {
    site.on_host(|| {
        std::fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    });
}

/// Ends as expected, or tells what the agent said.
#[track_caller]
pub(crate) fn ends(outcome: &Outcome, code: i32) {
    assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
}

/// Ends with this code and a single reason that contains these words.
#[track_caller]
pub(crate) fn fails(outcome: &Outcome, code: i32, words: &str) {
    ends(outcome, code);
    let reason = outcome.exit_reason.as_deref().unwrap_or_default();
    assert!(reason.contains(words), "{words:?} is not in {:?}", outcome.stderr);
    let reasons = outcome.stderr.lines().filter(|line| line.starts_with("ocf-exit-reason:"));
    assert_eq!(reasons.count(), 1, "{}", outcome.stderr);
}
