//! An agent that is put through the scenarios, called as Pacemaker calls it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use testnet::Host;

use super::record::Record;

/// No action may take longer; the time limit that the agents are told is 20 s.
const LIMIT: Duration = Duration::from_secs(25);
/// Where the log of all actions lies, in the `/run` of the host.
const LOG: &str = "/run/compare.log";
const STDERR: &str = "/run/compare.stderr";

/// An agent.
#[derive(Debug, Clone)]
pub struct Contender {
    program: PathBuf,
    /// The agent that changes source addresses; `None`: it is the same program.
    source: Option<PathBuf>,
}

/// A resource: which agent, and its parameters.
#[derive(Debug, Clone)]
pub struct Resource {
    program: PathBuf,
    parameters: Vec<(String, String)>,
    wrapper: Vec<String>,
}

/// How an action ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// Exit code; -1 for a signal or an action that took too long.
    pub(super) code: i32,
    /// Standard error.
    pub(super) stderr: String,
}

impl Contender {
    /// The peer: IPaddr2 at `program`, and IPsrcaddr beside it.
    #[must_use]
    pub fn peer(program: &Path) -> Self {
        let source = program.with_file_name("IPsrcaddr");
        Self { program: program.to_owned(), source: Some(source) }
    }

    /// An agent with the parameters of ocf:smartvox:opensips-vip.
    #[must_use]
    pub fn ours(program: &Path) -> Self {
        Self { program: program.to_owned(), source: None }
    }

    /// A resource of the address agent.
    pub(super) fn address(&self, parameters: &[(&str, &str)]) -> Resource {
        Resource::new(&self.program, parameters)
    }

    /// A resource of the agent for source addresses, where that is another one.
    pub(super) fn source(&self, parameters: &[(&str, &str)]) -> Option<Resource> {
        self.source.as_deref().map(|program| Resource::new(program, parameters))
    }

    /// Its executable.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }
}

impl Resource {
    fn new(program: &Path, parameters: &[(&str, &str)]) -> Self {
        let parameters =
            parameters.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Self { program: program.to_owned(), parameters: parameters.collect(), wrapper: Vec::new() }
    }

    /// The same, run by another program (`strace`, `setpriv`).
    pub(super) fn wrapped(&self, wrapper: &[&str]) -> Self {
        let wrapper = wrapper.iter().map(ToString::to_string).collect();
        Self { wrapper, ..self.clone() }
    }

    /// Runs an action to its end; `probe` is a monitor as Pacemaker runs it before a start.
    ///
    /// The end is that of the process: what it leaves in the background may keep its output open.
    pub(super) fn run(&self, host: &Host, record: &mut Record, action: &str) -> Ended {
        let (name, interval) = match action {
            "probe" => ("monitor", "0"),
            "monitor" => ("monitor", "10000"),
            other => (other, "0"),
        };
        let stderr = host.run(|| {
            std::fs::create_dir_all("/run/resource-agents").expect("/run/resource-agents");
            // Whoever asks for a log file has made it: agents only append.
            std::fs::OpenOptions::new().create(true).append(true).open(LOG).expect(LOG);
            std::fs::File::create(STDERR).expect(STDERR)
        });
        let mut words = self.wrapper.iter().map(PathBuf::from).chain([self.program.clone()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg(name).env_clear().envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("OCF_ROOT", "/usr/lib/ocf"),
            ("OCF_RA_VERSION_MAJOR", "1"),
            ("OCF_RA_VERSION_MINOR", "1"),
            ("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:"),
            ("OCF_RESOURCE_INSTANCE", "vip"),
            ("OCF_RESKEY_CRM_meta_interval", interval),
            ("OCF_RESKEY_CRM_meta_timeout", "20000"),
            ("HA_LOGFACILITY", "none"),
            ("HA_LOGFILE", LOG),
            ("PCMK_service", "pacemaker-execd"),
        ]);
        command.env("OCF_RESOURCE_TYPE", self.program.file_name().unwrap_or_default());
        for (parameter, value) in &self.parameters {
            command.env(format!("OCF_RESKEY_{parameter}"), value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).process_group(0);
        let code = wait(host.spawn(&mut command));
        let stderr = host.run(|| std::fs::read(STDERR)).unwrap_or_default();
        record.action(action, code);
        Ended { code, stderr: String::from_utf8_lossy(&stderr).into_owned() }
    }

    /// Runs an action that has to end with this code.
    pub(super) fn ends(&self, host: &Host, record: &mut Record, action: &str, code: i32) {
        let ended = self.run(host, record, action);
        record.check(&format!("{action} is {code}"), ended.code == code);
    }
}

fn wait(mut child: std::process::Child) -> i32 {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("wait for an agent") {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > until {
            if let Ok(group) = i32::try_from(child.id()) {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            let _ = child.wait();
            return -1;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the agents have logged on this host.
pub(super) fn log(host: &Host) -> String {
    let bytes = host.run(|| std::fs::read(LOG)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
