//! What an action costs as a whole process, with everything it starts and waits for.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use testnet::Host;

use crate::figures::{Samples, ms, ratio};
use crate::report::Report;

/// The address of every measurement, and the interface it belongs on.
const VIP: &str = "192.0.2.10";
pub(crate) const PEER: &str = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2";

/// A command to measure, and what has to be done before each round.
struct Variant {
    name: &'static str,
    program: String,
    action: &'static str,
    /// Puts the host into the state in which the action is measured.
    prepare: fn(&Host, &Variant),
    wall: Samples,
    cpu: Samples,
}

impl Variant {
    fn new(
        name: &'static str,
        program: &Path,
        action: &'static str,
        prepare: fn(&Host, &Self),
    ) -> Self {
        let program = program.display().to_string();
        Self { name, program, action, prepare, wall: Samples::default(), cpu: Samples::default() }
    }

    fn command(&self, action: &str) -> Command {
        let mut command = agent(&self.program, action, "vip");
        command
            .env("OCF_RESKEY_ip", VIP)
            .env("OCF_RESKEY_nic", "eth0")
            .env("OCF_RESKEY_cidr_netmask", "24")
            .env("OCF_RESKEY_CRM_meta_timeout", "20000");
        command
    }

    fn run(&self, host: &Host, action: &str) -> Option<i32> {
        host.run(|| self.command(action).status()).ok()?.code()
    }

    /// One round; CPU is that of the process and of every child that it waited for.
    fn measure(&mut self, host: &Host) -> Result<(), String> {
        (self.prepare)(host, self);
        let (wall, cpu, code) = host.run(|| {
            let before = children_cpu();
            let begun = Instant::now();
            let code = self.command(self.action).status().ok().and_then(|status| status.code());
            (begun.elapsed(), children_cpu() - before, code)
        });
        if code != Some(0) {
            return Err(format!("{} {}: exit code {code:?}", self.name, self.action));
        }
        self.wall.add(wall);
        self.cpu.add(cpu);
        Ok(())
    }
}

/// An action of an agent as Pacemaker calls it, without parameters and its timeout.
pub(crate) fn agent(program: impl AsRef<OsStr>, action: &str, resource: &str) -> Command {
    let mut command = Command::new(program);
    command
        .arg(action)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("OCF_ROOT", "/usr/lib/ocf")
        .env("OCF_RA_VERSION_MAJOR", "1")
        .env("OCF_RA_VERSION_MINOR", "0")
        .env("OCF_RESOURCE_INSTANCE", resource)
        .env("OCF_RESKEY_CRM_meta_interval", "10000")
        .env("HA_LOGFACILITY", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// CPU of every child that this process has waited for.
pub(crate) fn children_cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            Duration::from_secs(time.tv_sec().unsigned_abs())
                + Duration::from_micros(time.tv_usec().unsigned_abs())
        })
        .sum()
}

fn nothing(_: &Host, _: &Variant) {}

fn absent(host: &Host, variant: &Variant) {
    variant.run(host, "stop");
}

fn present(host: &Host, variant: &Variant) {
    variant.run(host, "start");
}

/// Prints the tables.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let node = Host::new("node");
    let neighbour = Host::new("neighbour");
    let _cable = testnet::cable(
        (&node, "eth0", "02:00:00:00:01:0b"),
        (&neighbour, "eth0", "02:00:00:00:01:01"),
    );
    node.ip("addr add 192.0.2.11/24 dev eth0");
    neighbour.ip("addr add 192.0.2.1/24 dev eth0");
    node.run(|| std::fs::create_dir_all("/run/resource-agents")).map_err(|e| e.to_string())?;

    let vip = agents.join("opensips-vip");
    let (peer, none) = (Path::new(PEER), Path::new("/bin/true"));
    // Each action of both agents in turn, so that a slow minute of the machine meets both.
    let mut all = vec![
        Variant::new("/bin/true", none, "monitor", nothing),
        Variant::new("opensips-vip", &vip, "monitor", present),
        Variant::new("IPaddr2", peer, "monitor", present),
        Variant::new("opensips-vip", &vip, "stop", present),
        Variant::new("IPaddr2", peer, "stop", present),
        Variant::new("opensips-vip", &vip, "start", absent),
        Variant::new("IPaddr2", peer, "start", absent),
        Variant::new("opensips-vip", &vip, "meta-data", nothing),
        Variant::new("IPaddr2", peer, "meta-data", nothing),
    ];
    for _ in 0..rounds {
        for variant in &mut all {
            variant.measure(&node)?;
        }
    }

    report.line(format!(
        "\n## Cost of an action as a whole process ({rounds} rounds, taking turns)\n"
    ));
    report.line("| action | program | wall ms min / median | CPU ms min / median | CPU of ours to it, min |");
    report.line("|---|---|---|---|---|");
    for variant in &all {
        let ours = all.iter().find(|v| v.name == "opensips-vip" && v.action == variant.action);
        let share = ours
            .filter(|_| variant.name != "opensips-vip")
            .map_or_else(String::new, |ours| ratio(ours.cpu.min(), variant.cpu.min()));
        report.line(format!(
            "| {} | {} | {} / {} | {} / {} | {share} |",
            variant.action,
            variant.name,
            ms(variant.wall.min()),
            ms(variant.wall.median()),
            ms(variant.cpu.min()),
            ms(variant.cpu.median()),
        ));
    }
    let wall = |action: &str| {
        all.iter().find(|v| v.name == "opensips-vip" && v.action == action).map(|v| v.wall.median())
    };
    if let (Some(stop), Some(monitor)) = (wall("stop"), wall("monitor")) {
        report.line(format!(
            "\nstop to monitor of opensips-vip, wall, median: {}",
            ratio(stop, monitor)
        ));
    }
    report.line(
        "start found no neighbour that it could ask, and waited for `duplicate_timeout`; see below.",
    );
    let monitors: Vec<_> = all.iter().filter(|v| v.action == "monitor").collect();
    if let [_, ours, theirs] = monitors.as_slice() {
        let factor = theirs.cpu.min().as_secs_f64() / ours.cpu.min().as_secs_f64();
        report.line(format!("IPaddr2's monitor costs {factor:.0} times the CPU of ours."));
    }
    system_calls(&node, &all, report)?;
    sizes(agents, report);
    Ok(())
}

fn system_calls(node: &Host, all: &[Variant], report: &mut Report) -> Result<(), String> {
    report.section("System calls and instructions of a monitor");
    report.line(
        "By `strace -f` and callgrind, of all processes that it starts: the same under any load.\n",
    );
    let mut rows = Vec::new();
    for variant in all.iter().filter(|v| v.action == "monitor") {
        present(node, variant);
        rows.push(counted(node, variant, variant.name)?);
    }
    // The address agent reads the addresses of the host.
    let ours = all.iter().find(|v| v.name == "opensips-vip" && v.action == "monitor");
    if let Some(ours) = ours {
        for (from, to) in [(0, 50), (50, 500)] {
            for number in from..to {
                node.ip(&format!("addr add 10.9.{}.{}/32 dev eth0", number / 250, number % 250));
            }
            present(node, ours);
            rows.push(counted(node, ours, &format!("opensips-vip, with {to} more addresses"))?);
        }
    }
    let head = ["program", "system calls", "forks", "execs", "instructions, millions"];
    report.table(&head, &rows);
    Ok(())
}

fn counted(node: &Host, variant: &Variant, name: &str) -> Result<Vec<String>, String> {
    let calls = calls_of(node, &variant.command("monitor"))
        .map_err(|error| format!("{name}: monitor under strace: {error}"))?;
    let count = |names: &[&str]| calls.iter().filter(|c| names.contains(&c.as_str())).count();
    let instructions = instructions_of(node, &variant.command("monitor")).map_or_else(
        || "not measured: no valgrind".to_owned(),
        |count| {
            let thousands = count / 1000;
            format!("{}.{:02}", thousands / 1000, thousands % 1000 / 10)
        },
    );
    Ok(vec![
        name.to_owned(),
        calls.len().to_string(),
        count(&["clone", "clone3", "fork", "vfork"]).to_string(),
        count(&["execve"]).to_string(),
        instructions,
    ])
}

/// The instructions that a command and all that it starts executes in user space; `None` without
/// valgrind.
fn instructions_of(host: &Host, command: &Command) -> Option<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--trace-children=yes", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        value.map(|value| valgrind.env(name, value));
    }
    valgrind.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // A host of the bench sees the whole machine but for its network.
    let output = host.run(|| valgrind.output()).ok()?;
    // Each process tells it at its end: `==PID== Collected : 1306371`.
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let counts = told
        .lines()
        .filter_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
    Some(counts.sum()).filter(|sum| *sum > 0)
}

/// The system calls of a command and of all that it starts, in order, under strace.
pub(crate) fn calls_of(host: &Host, command: &Command) -> Result<Vec<String>, String> {
    let file = std::env::temp_dir().join(format!("smartvox-bench-{}", std::process::id()));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&file).arg("--").arg(command.get_program());
    strace.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        value.map(|value| strace.env(name, value));
    }
    let traced = host.output(&mut strace);
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string());
    let _ = std::fs::remove_file(&file);
    if !traced.status.success() {
        return Err(traced.status.to_string());
    }
    // `PID NAME(…`: a call that was interrupted by another process's line is told twice, the second
    // time as "<... NAME resumed>".
    let name = |line: &str| Some(line.split_whitespace().nth(1)?.split_once('(')?.0.to_owned());
    Ok(text?.lines().filter_map(name).collect())
}

fn sizes(agents: &Path, report: &mut Report) {
    report.line("\n## Size of the binaries\n");
    report.line("| agent | MB |\n|---|---|");
    for agent in ["opensips-vip", "opensips"] {
        if let Ok(metadata) = std::fs::metadata(agents.join(agent)) {
            let kilobytes = metadata.len() / 1000;
            report.line(format!("| {agent} | {}.{:02} |", kilobytes / 1000, kilobytes % 1000 / 10));
        }
    }
}
