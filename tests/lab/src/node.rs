//! A host from the inside: its first process builds the file systems, configures the interfaces,
//! starts the cluster and then reaps the orphans, as a machine's init does.

use std::{ffi::OsString, fs, path::Path, process::ExitCode};

use clap::Args;
use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
};
use serde_json::json;

use crate::{
    cluster,
    error::{Error, Result, at, call},
    file_systems::FileSystems,
    hosts::CLIENT,
    message,
    network::{self, Cable, HostNumber, Network},
    options::{Cluster, Options},
    state::{Directory, own_pid},
};

/// The directories that each node has for itself: writable, over the machine's, which stay as
/// they are.
pub(crate) const PRIVATE_DIRECTORIES: [&str; 6] = ["/etc", "/opt", "/root", "/srv", "/usr", "/var"];

/// What a host's first process is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct NodeArguments {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Name of the host.
    #[arg(long)]
    pub(crate) host: String,
}

impl NodeArguments {
    /// The command line that parses to this value.
    pub(crate) fn command_line(&self) -> impl Iterator<Item = OsString> {
        [OsString::from("node"), OsString::from("--host"), OsString::from(&self.host)]
            .into_iter()
            .chain(self.options.arguments())
    }

    /// `None` for the client.
    fn node_number(&self) -> Option<u8> {
        let position = self.options.node_names().position(|name| name == self.host)?;
        u8::try_from(position).ok()?.checked_add(1)
    }
}

/// The first process of a host. Standard output goes to the rack.
pub(crate) fn run(arguments: &NodeArguments) -> ExitCode {
    let result = boot(arguments);
    if let Err(error) = &result {
        eprintln!("{error}");
    }
    let failed = result.is_err();
    say(&message::reply(&result.map(|()| json!(null))));
    if failed {
        return ExitCode::FAILURE;
    }
    match reap_forever() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn say(value: &serde_json::Value) {
    // The rack lives longer than this process: it can't be gone.
    let _ = message::send(&mut std::io::stdout(), value);
}

fn boot(arguments: &NodeArguments) -> Result<()> {
    // While /proc is still the machine's, which knows this process by its outer pid.
    say(&json!({"pid": own_pid()?}));
    let report = |what: &str| say(&message::event(&arguments.host, what));
    nix::unistd::setsid().map_err(call("setsid"))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));

    let options = &arguments.options;
    let directory = Directory::of(&options.place)?;
    FileSystems::open(options, &directory, &arguments.host)?.mount()?;
    let number = arguments.node_number();
    configure_kernel(&arguments.host)?;
    let networks = if number.is_some() { &Network::ALL[..] } else { &[Network::Public] };
    let cables: Vec<Cable> = networks.iter().copied().map(Cable::new).collect();
    network::configure_host(
        number.map_or(HostNumber::CLIENT, HostNumber::node),
        &cables,
        Path::new("/proc/sys/net/ipv6").exists(),
    )?;
    report("file systems and network ready");
    if number.is_some() && options.cluster == Cluster::Pacemaker {
        cluster::provision(options)?;
        cluster::start_corosync()?;
        report("corosync answers");
        cluster::start_pacemaker()?;
        report("pacemaker started");
    }
    Ok(())
}

/// Sysctls of the host's own namespaces (the reader's, whatever /proc shows them).
fn configure_kernel(host: &str) -> Result<()> {
    let set = |name: &str, value: &str| {
        let path = Path::new("/proc/sys").join(name);
        fs::write(&path, value).map_err(at(path))
    };
    set("kernel/hostname", host)?;
    if Path::new("/proc/sys/net/ipv6").exists() {
        // Containers are often started with IPv6 off, and new namespaces inherit that.
        for scope in ["all", "default"] {
            set(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "0")?;
        }
    }
    if host == CLIENT {
        set("net/ipv4/ip_forward", "1")?;
        if Path::new("/proc/sys/net/ipv6").exists() {
            set("net/ipv6/conf/all/forwarding", "1")?;
        }
    }
    Ok(())
}

/// Daemons and the children of those that `lab exec` ran become children of this process.
fn reap_forever() -> Result<std::convert::Infallible> {
    let mut child_ended = SigSet::empty();
    child_ended.add(Signal::SIGCHLD);
    // Blocked and awaited: no end can slip between the last waitpid() and the wait.
    child_ended.thread_block().map_err(call("sigprocmask"))?;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => {
                child_ended.wait().map_err(call("sigwait"))?;
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::System { call: "waitpid".to_owned(), source: errno }),
        }
    }
}
