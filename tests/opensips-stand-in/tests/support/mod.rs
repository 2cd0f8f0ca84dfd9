//! Daemons to test, and instances of them on hosts of their own.

// Each test program uses a part of it.
#![allow(dead_code)]
// A fixture has one way to report what went wrong: it fails the test.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

pub(crate) mod client;
pub(crate) mod expected;
pub(crate) mod process;

use std::fs::{self, File};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use opensips_stand_in::{ConfigFile, Version, module_path};
use testnet::{Host, wait_until};

use expected::Expected;
use process::Process;

/// Generous: the machine may be busy, and the daemon's own patience is 5 s of CPU time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The address that every host has, and one that it has not.
pub(crate) const HERE: &str = "127.0.0.1";
pub(crate) const ABSENT: &str = "192.0.2.10";

/// A program that says it is OpenSIPS.
pub(crate) struct Daemon {
    pub(crate) binary: PathBuf,
    pub(crate) is_stand_in: bool,
    pub(crate) version: Version,
    /// For messages: `opensips 4.0.1 (x86_64/linux) /opt/…/opensips`
    pub(crate) label: String,
    /// Holds the stand-in's link under the daemon's name.
    _directory: Option<tempfile::TempDir>,
}

impl Daemon {
    fn new(binary: PathBuf, directory: Option<tempfile::TempDir>) -> Self {
        let (version, line) = Version::ask(&binary)
            .unwrap_or_else(|| panic!("{} is no OpenSIPS that is known here", binary.display()));
        let label = format!("{}, {}", line.trim_start_matches("version: "), binary.display());
        Self { binary, is_stand_in: directory.is_some(), version, label, _directory: directory }
    }

    /// What is its version's own.
    pub(crate) fn expected(&self) -> &'static Expected {
        expected::of(self.version)
    }

    /// The stand-in under the daemon's name. A link, not a copy: a file that was just written may
    /// be busy in a process that another test is about to start.
    pub(crate) fn stand_in() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let binary = directory.path().join("opensips");
        fs::hard_link(env!("CARGO_BIN_EXE_opensips-stand-in"), &binary).unwrap();
        Self::new(binary, Some(directory))
    }

    /// The same real daemon, for another node.
    pub(crate) fn again(&self) -> Self {
        assert!(!self.is_stand_in, "the stand-in is on one host at a time");
        Self::new(self.binary.clone(), None)
    }

    /// The daemons in `OPENSIPS_BIN` (separated by colons), else `opensips` on the path.
    pub(crate) fn real() -> Vec<Self> {
        if let Some(list) = std::env::var_os("OPENSIPS_BIN") {
            return std::env::split_paths(&list).map(|binary| Self::new(binary, None)).collect();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .chain([PathBuf::from("/usr/sbin")])
            .map(|directory| directory.join("opensips"))
            .find(|binary| binary.is_file());
        found.map(|binary| Self::new(binary, None)).into_iter().collect()
    }
}

/// Past the capture of libtest: which daemon a result is about belongs into every log.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Runs the same assertions against the stand-in and every real daemon, each on a new host, and
/// fails naming those that failed.
pub(crate) fn against_all(case: &str, assertions: impl Fn(&Instance)) {
    against(case, |_| true, assertions);
}

/// The same, of the daemons that fit; whether there was one.
pub(crate) fn against(
    case: &str,
    fits: impl Fn(&Daemon) -> bool,
    assertions: impl Fn(&Instance),
) -> bool {
    let real = Daemon::real();
    if real.is_empty() {
        say(&format!("{case}: no real OpenSIPS found (OPENSIPS_BIN, PATH): stand-in alone"));
    }
    let mut daemons = vec![Daemon::stand_in()];
    daemons.extend(real);
    daemons.retain(fits);
    let found = !daemons.is_empty();
    let mut failed = Vec::new();
    for daemon in daemons {
        let label = daemon.label.clone();
        say(&format!("{case}: against {label}"));
        let instance = Instance::new(daemon);
        if catch_unwind(AssertUnwindSafe(|| assertions(&instance))).is_err() {
            say(&format!("{case}: {label} says:\n{}", instance.errors()));
            failed.push(label);
        }
    }
    assert!(failed.is_empty(), "{case}: failed against {failed:#?}");
    found
}

/// A host with one daemon's files; dropping it kills every process on the host.
pub(crate) struct Instance {
    pub(crate) daemon: Daemon,
    pub(crate) host: Host,
}

pub(crate) const CONFIG: &str = "/run/opensips/opensips.cfg";
pub(crate) const PID_FILE: &str = "/run/opensips/opensips.pid";
pub(crate) const FIFO: &str = "/run/opensips/fifo";
pub(crate) const ERRORS: &str = "/run/opensips/stderr";
pub(crate) const OUTPUT: &str = "/run/opensips/stdout";

impl Instance {
    pub(crate) fn new(daemon: Daemon) -> Self {
        let host = Host::new("sip");
        host.run(|| fs::create_dir("/run/opensips").unwrap());
        Self { daemon, host }
    }

    /// UDP and TCP on [`HERE`], MI by FIFO.
    pub(crate) fn config(&self) -> ConfigFile {
        ConfigFile {
            version: self.daemon.version,
            sockets: vec![format!("udp:{HERE}:5060"), format!("tcp:{HERE}:5060")],
            module_path: module_path(&self.daemon.binary),
            mi_fifo: Some(FIFO.into()),
            ..Default::default()
        }
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        self.host.run(|| fs::write(path, text).unwrap());
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.host.run(|| Path::new(path).exists())
    }

    /// The content of a file on the host, empty if there is none.
    pub(crate) fn read(&self, path: &str) -> String {
        self.host.run(|| fs::read_to_string(path).unwrap_or_default())
    }

    /// What the last command, and the daemon that it left, wrote to stderr.
    pub(crate) fn errors(&self) -> String {
        self.read(ERRORS)
    }

    /// Starts the command with stdout and stderr in files, as a supervisor has to.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.host.run(|| {
            Command::new(&self.daemon.binary)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(File::create(OUTPUT).unwrap())
                .stderr(File::create(ERRORS).unwrap())
                .spawn()
                .unwrap()
        })
    }

    /// Runs the command to its end: the exit code.
    pub(crate) fn command(&self, arguments: &[&str]) -> Option<i32> {
        self.spawn(arguments).wait().unwrap().code()
    }

    /// Writes the configuration and runs the start command with the usual arguments and `more`.
    pub(crate) fn start_with(&self, config: &ConfigFile, more: &[&str]) -> Option<i32> {
        self.write(CONFIG, &config.text());
        self.command(&[&["-f", CONFIG, "-P", PID_FILE], more].concat())
    }

    /// Starts and expects success: the attendant and its process group.
    pub(crate) fn start(&self, config: &ConfigFile) -> Running<'_> {
        assert_eq!(self.start_with(config, &[]), Some(0), "{}", self.errors());
        self.running()
    }

    /// All living processes of the daemon on this host.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let network = self.host.run(|| fs::read_link("/proc/thread-self/ns/net").unwrap());
        let mut processes = process::of_binary(&self.daemon.binary);
        processes.retain(|process| process.network().as_ref() == Some(&network));
        processes
    }

    /// Waits until none lives.
    pub(crate) fn assert_nothing_left(&self) {
        wait_until("nothing is left", DEADLINE, || self.processes().is_empty());
    }

    /// What the pid file names.
    pub(crate) fn running(&self) -> Running<'_> {
        let text = self.read(PID_FILE);
        let pid = text.trim_end().parse().unwrap_or_else(|_| panic!("pid file: {text:?}"));
        let attendant = Process::read(pid).expect("attendant lives");
        Running { instance: self, attendant }
    }
}

/// A started instance.
pub(crate) struct Running<'i> {
    pub(crate) instance: &'i Instance,
    pub(crate) attendant: Process,
}

impl Running<'_> {
    /// All living processes of its group.
    pub(crate) fn processes(&self) -> Vec<Process> {
        process::of_group(self.attendant.group)
    }

    /// All but the attendant, in the order of their start.
    pub(crate) fn workers(&self) -> Vec<Process> {
        let mut workers = self.processes();
        workers.retain(|process| process.pid != self.attendant.pid);
        workers.sort_by_key(|process| process.pid);
        workers
    }

    /// Asks the attendant to stop, again and again: before its main loop it loses signals.
    pub(crate) fn ask_until(&self, signal: Signal, what: &str, condition: impl Fn() -> bool) {
        wait_until(what, DEADLINE, || {
            if Process::read(self.attendant.pid).is_some() {
                self.attendant.signal(signal);
            }
            condition()
        });
    }

    /// Stops it.
    pub(crate) fn stop(&self, signal: Signal) {
        self.ask_until(signal, "it has stopped", || self.processes().is_empty());
        self.assert_gone();
    }

    /// Waits until nothing of it lives, and its files are gone.
    pub(crate) fn assert_gone(&self) {
        wait_until("no process of the instance lives", DEADLINE, || self.processes().is_empty());
        assert!(!self.instance.exists(PID_FILE), "pid file is still there");
        assert!(!self.instance.exists(FIFO), "FIFO is still there");
    }
}
