//! Runs an agent as Pacemaker does.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::host::{Host, own_group};

/// An agent on a host, with nothing in its environment but what it is given.
#[derive(Debug, Clone)]
pub struct Agent {
    host: Host,
    path: PathBuf,
    environment: Vec<(OsString, OsString)>,
    options: Vec<OsString>,
    /// A program that runs the agent, with its arguments.
    before: Vec<OsString>,
    timeout: Duration,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// The last `ocf-exit-reason:` line of it, without that word: what `crm_mon` would show.
    pub exit_reason: Option<String>,
    /// How long it ran, until its pipes were closed.
    pub took: Duration,
}

/// The agent whose executable is `path`, to be run on `host`.
#[must_use]
pub fn agent(host: &Host, path: impl AsRef<Path>) -> Agent {
    Agent {
        host: host.clone(),
        path: path.as_ref().to_owned(),
        environment: Vec::new(),
        options: Vec::new(),
        before: Vec::new(),
        timeout: Duration::from_secs(60),
    }
}

impl Agent {
    /// With this variable. The last setting of a variable counts.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// With the resource parameter `name` (`OCF_RESKEY_name`).
    #[must_use]
    pub fn param(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env(format!("OCF_RESKEY_{name}"), value)
    }

    /// With the environment that Pacemaker's executor gives to the resource `instance`.
    #[must_use]
    pub fn under_pacemaker(self, instance: &str) -> Self {
        let kind = self.path.file_name().unwrap_or_default().to_owned();
        self.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("OCF_ROOT", "/usr/lib/ocf")
            .env("OCF_RA_VERSION_MAJOR", "1")
            .env("OCF_RA_VERSION_MINOR", "1")
            .env("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:")
            .env("OCF_RESOURCE_INSTANCE", instance)
            .env("OCF_RESOURCE_TYPE", kind)
            .env("OCF_RESOURCE_PROVIDER", "smartvox")
    }

    /// With further arguments behind the action.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.options.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Run by another program, such as `strace`: its path and its arguments, which the agent's path follows.
    #[must_use]
    pub fn under<S: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.before = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// With another limit than 60 s, after which the test fails.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs an action to its end. As for Pacemaker, it has ended when the process has *and*
    /// its output pipes are closed.
    ///
    /// # Panics
    /// If it can't be started, or has not ended within the timeout; its process group is
    /// killed then.
    #[must_use]
    pub fn action(&self, action: &str) -> Outcome {
        let mut words = self.before.iter().map(OsString::as_os_str).chain([self.path.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or(self.path.as_os_str()));
        command.args(words).arg(action).args(&self.options).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = self.host.spawn(own_group(&mut command));
        let stdout = reader(child.stdout.take().expect("piped"));
        let stderr = reader(child.stderr.take().expect("piped"));
        let until = started + self.timeout;
        let output = |pipe: &mpsc::Receiver<Vec<u8>>| {
            let bytes = pipe.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (out, err) = (output(&stdout), output(&stderr));
        let took = started.elapsed();
        // The pipes close at the end of the process at the latest, so it is over in a moment,
        // or it has closed them and hangs.
        let mut status = None;
        while out.is_some() && err.is_some() && status.is_none() && Instant::now() < until {
            status = child.try_wait().expect("wait for an agent");
            if status.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let (Some(stdout), Some(stderr), Some(status)) = (out, err, status) else {
            let ended = child.try_wait().expect("wait for an agent");
            let group = Pid::from_raw(i32::try_from(child.id()).expect("pid"));
            let _ = killpg(group, Signal::SIGKILL);
            let _ = child.wait();
            let state = match ended {
                Some(status) => format!("ended ({status}), but something keeps its pipes open"),
                None => "still runs".to_owned(),
            };
            panic!("{} {action}: {state} after {:?}", self.path.display(), self.timeout);
        };
        let exit_reason = stderr
            .lines()
            .filter_map(|line| line.split_once("ocf-exit-reason:"))
            .next_back()
            .map(|(_, reason)| reason.to_owned());
        Outcome { code: status.code().unwrap_or(-1), stdout, stderr, exit_reason, took }
    }
}

/// Reads a pipe to its end in a thread. If the end never comes, the thread ends when the host
/// is dropped, for that kills whoever holds the pipe.
fn reader(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}
