//! The `lab` command. The same binary is `fence_lab` and `systemctl` in the nodes.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus},
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    Error, Lab, Network, Options, Place, Result, fence_agent,
    hosts::CLIENT,
    node, rack,
    status::{cluster_json, table},
    systemctl,
};

/// How long `lab boot` waits for its node to be online.
const ONLINE_DEADLINE: Duration = Duration::from_secs(180);

/// A real Corosync + Pacemaker cluster in namespaces on this machine.
///
/// Each node has its own network, processes, /etc, /usr, /var, /run and /tmp; what is changed in a
/// node is gone with the lab. The machine's own network and files are not touched. Needs root.
#[derive(Parser)]
#[command(name = "lab", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Subcommands,
}

const EXAMPLES: &str = "\
Networks:
  public  192.0.2.0/24, 2001:db8:0:1::/64      client .1 (router), node1 .11, node2 .12   eth0
  lan     198.51.100.0/24, 2001:db8:0:2::/64   node1 .11, node2 .12 (Corosync)            eth1

Examples:
  lab up --nodes 2
  lab exec node1 -- pcs resource create web-ip ocf:heartbeat:IPaddr2 ip=192.0.2.100
  lab exec node1 -- crm_mon -1
  lab exec client -- arping -c 3 192.0.2.100
  lab kill node1              # power cut; `lab boot node1` brings it back
  lab partition node1         # the LAN splits; `lab heal` joins it
  lab exec node1 -- pcs stonith create fence-node1 fence_lab pcmk_host_list=node1
  lab down";

#[derive(Subcommand)]
enum Subcommands {
    /// Start a lab, wait until its nodes are online, print how long each step took
    Up(Options),
    /// Take a lab down; nothing of it is left
    Down(Place),
    /// Show hosts, power, cables and the cluster's nodes
    Status(Status),
    /// Run a command in a node or in the client (default: a shell); exits with its status
    Exec(Exec),
    /// Cut a host's power: its links go down, every process is killed at once
    Kill(OneHost),
    /// Switch a host on again and wait until it is online
    Boot(Boot),
    /// Separate hosts from the others in a network; all keep their carrier
    Partition(Partition),
    /// End all partitions
    Heal(Place),
    /// Pull a cable: the host loses its carrier
    Unplug(CableEnd),
    /// Plug a cable in again
    Plug(CableEnd),
    /// Show a host's boot, Corosync and Pacemaker logs; also of a host that is off
    Logs(Logs),
    #[command(hide = true)]
    Rack(Options),
    #[command(hide = true)]
    Node(node::NodeArguments),
}

#[derive(Args)]
struct Status {
    #[command(flatten)]
    place: Place,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Args)]
struct Exec {
    #[command(flatten)]
    place: Place,
    /// client, node1, node2, ...
    host: String,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, default_value = "bash")]
    command: Vec<OsString>,
}

#[derive(Args)]
struct OneHost {
    #[command(flatten)]
    place: Place,
    /// client, node1, node2, ...
    host: String,
}

#[derive(Args)]
struct Boot {
    #[command(flatten)]
    host: OneHost,
    /// Return when the daemons are started
    #[arg(long)]
    no_wait: bool,
    /// Boot this root directory from now on, as after an upgrade; what the node has written to /etc and
    /// /var stays
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

#[derive(Args)]
struct Partition {
    #[command(flatten)]
    place: Place,
    /// The hosts of one side; the others are the other side
    #[arg(required = true)]
    hosts: Vec<String>,
    /// Which network
    #[arg(long, default_value = "lan")]
    network: Network,
}

#[derive(Args)]
struct CableEnd {
    #[command(flatten)]
    host: OneHost,
    /// eth0 (public) or eth1 (lan)
    interface: Network,
}

#[derive(Args)]
struct Logs {
    #[command(flatten)]
    host: OneHost,
    /// Last lines of each log
    #[arg(long, short = 'n', default_value_t = 50)]
    lines: u32,
    /// Go on with what is added
    #[arg(long, short)]
    follow: bool,
}

/// The program, under whichever of its names it was called.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    let called = arguments.peek().map(PathBuf::from).unwrap_or_default();
    match called.file_name().and_then(|name| name.to_str()) {
        Some("fence_lab") => return fence_agent::run(arguments.skip(1)),
        Some("systemctl") => return systemctl::run(arguments.skip(1)),
        _ => {}
    }
    let result = match CommandLine::parse_from(arguments).command {
        Subcommands::Node(arguments) => return node::run(&arguments),
        Subcommands::Rack(options) => rack::run(&options).map(|()| ExitCode::SUCCESS),
        Subcommands::Exec(exec) => execute(&exec),
        other => perform(other).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("lab: {error}");
        ExitCode::FAILURE
    })
}

fn perform(command: Subcommands) -> Result<()> {
    match command {
        Subcommands::Up(options) => up(&options),
        Subcommands::Down(place) => {
            if Lab::down_at(&place)? {
                Ok(())
            } else {
                Err(Error::NotUp { name: place.name.to_string() })
            }
        }
        Subcommands::Status(status) => show_status(&status),
        Subcommands::Kill(OneHost { place, host }) => Lab::attach(&place)?.kill(&host),
        Subcommands::Boot(boot) => self::boot(&boot),
        Subcommands::Partition(Partition { place, hosts, network }) => {
            Lab::attach(&place)?.partition(hosts, network)
        }
        Subcommands::Heal(place) => Lab::attach(&place)?.heal(),
        Subcommands::Unplug(CableEnd { host, interface }) => {
            Lab::attach(&host.place)?.unplug(&host.host, interface)
        }
        Subcommands::Plug(CableEnd { host, interface }) => {
            Lab::attach(&host.place)?.plug(&host.host, interface)
        }
        Subcommands::Logs(logs) => show_logs(&logs),
        // Dealt with by the caller.
        Subcommands::Exec(_) | Subcommands::Rack(_) | Subcommands::Node(_) => Ok(()),
    }
}

fn up(options: &Options) -> Result<()> {
    let lab = Lab::up_telling(options, |after, host, what| {
        println!("{:>7} ms  {host}: {what}", after.as_millis());
    })?;
    lab.keep()
}

fn boot(Boot { host: OneHost { place, host }, no_wait, root }: &Boot) -> Result<()> {
    let (lab, began) = (Lab::attach(place)?, Instant::now());
    if let Some(root) = root {
        lab.reinstall(host, root)?;
    }
    let tell =
        |host: &str, what: &str| println!("{:>7} ms  {host}: {what}", began.elapsed().as_millis());
    lab.boot_telling(host, tell)?;
    let has_cluster =
        host != CLIENT && lab.exec(host, ["systemctl", "is-active", "pacemaker"])?.status.success();
    if has_cluster && !no_wait {
        lab.wait_online(ONLINE_DEADLINE)?;
        tell(host, "online");
    }
    Ok(())
}

fn execute(Exec { place, host, command }: &Exec) -> Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let lab = Lab::attach(place)?;
    let mut child = lab.spawn(host, Command::new(program).args(arguments))?;
    let status = child.wait().map_err(|source| Error::Spawn {
        program: program.to_string_lossy().into_owned(),
        source,
    })?;
    Ok(ExitCode::from(code(status)))
}

/// As a shell tells it: the exit status, or 128 + the signal's number.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn show_logs(Logs { host, lines, follow }: &Logs) -> Result<()> {
    let lab = Lab::attach(&host.place)?;
    let mut tail = Command::new("tail");
    tail.arg("-n").arg(lines.to_string());
    if *follow {
        tail.arg("-F");
    }
    tail.args(lab.log_paths(&host.host)?);
    let status =
        tail.status().map_err(|source| Error::Spawn { program: "tail".to_owned(), source })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Program {
        program: "tail".to_owned(),
        status: status.to_string(),
        words: String::new(),
    })
}

fn show_status(Status { place, format }: &Status) -> Result<()> {
    let lab = Lab::attach(place)?;
    let hosts = lab.describe()?;
    let cluster = lab.cluster_status().ok();
    let text = match format {
        Format::Json => {
            let rack = lab.rack().map(|rack| rack.pid);
            let value = json!({
                "name": place.name.to_string(),
                "state": lab.state_directory(),
                "rack": {"pid": rack},
                "hosts": hosts,
                "cluster": cluster.as_ref().map(cluster_json),
            });
            format!("{value:#}\n")
        }
        Format::Table => table(&hosts, cluster.as_ref())?,
    };
    io::stdout().write_all(text.as_bytes()).map_err(crate::error::at(Path::new("standard output")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_hidden_command_of_a_node_parses() {
        let arguments =
            node::NodeArguments { options: Options::default(), host: "node1".to_owned() };
        let line = [OsString::from("lab")].into_iter().chain(arguments.command_line());
        assert!(matches!(CommandLine::parse_from(line).command, Subcommands::Node(_)));
    }

    #[test]
    fn commands_keep_their_own_options() {
        let line = ["lab", "exec", "--name", "a", "node1", "--", "crm_mon", "-1", "--name", "b"];
        let Subcommands::Exec(exec) = CommandLine::parse_from(line).command else {
            panic!("no exec");
        };
        assert_eq!(exec.place.name.to_string(), "a");
        assert_eq!(exec.command, ["crm_mon", "-1", "--name", "b"].map(OsString::from));
    }

    #[test]
    fn exit_codes_are_a_shell_s() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
