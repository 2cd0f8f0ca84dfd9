//! The service agent beside the one that a user of Kamailio takes: `ocf:heartbeat:kamailio` with Debian's
//! Kamailio. Start and stop contain what the daemons themselves need; monitor compares the agents.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use suites::daemon::Daemon;
use testnet::Host;

use crate::figures::{Samples, ratio};
use crate::process::{self, calls_of, children_cpu};
use crate::report::Report;
use crate::sip_probe::Site;

const PEER: &str = "/usr/lib/ocf/resource.d/heartbeat/kamailio";
const BINARY: &str = "/usr/sbin/kamailio";
/// What the agent asks with.
const SIPSAK: &str = "/usr/bin/sipsak";
/// Answers OPTIONS, by two workers for each socket, as OpenSIPS does beside it.
const CONFIG: &str = r#"children=2
loadmodule "sl.so"
request_route {
    if (method == "OPTIONS") { sl_send_reply("200", "OK"); exit; }
    sl_send_reply("404", "Not found");
}
"#;
/// Its start and its stop sleep for whole seconds.
const STARTS: usize = 5;

/// The actions of one agent, measured.
#[derive(Default)]
struct Measured {
    start: Samples,
    stop: Samples,
    monitor: Samples,
    cpu: Samples,
}

/// Kamailio on a host of its own, under its agent.
struct Peer {
    host: Host,
}

impl Peer {
    fn new() -> Result<Self, String> {
        let host = Host::new("kamailio");
        let prepared = host.run(|| {
            std::fs::create_dir_all("/run/resource-agents")?;
            std::fs::write("/run/kamailio.cfg", CONFIG)
        });
        prepared.map_err(|error| format!("/run of Kamailio's host: {error}"))?;
        Ok(Self { host })
    }

    /// As its meta-data has it, with the probe over UDP alone, as ours has it by default.
    fn command(action: &str) -> Command {
        let mut command = process::agent(PEER, action, "sip");
        command
            .env("OCF_RESKEY_conffile", "/run/kamailio.cfg")
            .env("OCF_RESKEY_pidfile", "/run/kamailio.pid")
            .env("OCF_RESKEY_listen_address", "127.0.0.2")
            .env("OCF_RESKEY_proto", "udp")
            // Without a second question by kamctl, which ours does not ask either.
            .env("OCF_RESKEY_kamctlrc", "")
            .env("OCF_RESKEY_CRM_meta_timeout", "60000");
        command
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing is left, also after a round that failed.
        let _ = self.host.run(|| Self::command("stop").status());
    }
}

/// How long a command takes, and the CPU of all that it waits for. An exit code that is not 0 is an error.
fn taken(host: &Host, mut command: Command) -> Result<(Duration, Duration), String> {
    host.run(|| {
        let before = children_cpu();
        let begun = Instant::now();
        let status = command.status().map_err(|error| error.to_string())?;
        let (wall, cpu) = (begun.elapsed(), children_cpu() - before);
        if !status.success() {
            return Err(format!("{command:?}: {status}"));
        }
        Ok((wall, cpu))
    })
}

/// Prints the tables.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    report.section("The agent of the service beside ocf:heartbeat:kamailio");
    let Some(daemon) = Daemon::real().into_iter().next() else {
        report.line("Not measured: it needs a real OpenSIPS; OPENSIPS_BIN names one.");
        return Ok(());
    };
    if ![PEER, BINARY, SIPSAK].iter().all(|path| Path::new(path).exists()) {
        report.line("Not measured: Kamailio, its agent or sipsak is not installed.");
        return Ok(());
    }
    let agent = agents.join("opensips");
    let site = Site::start(&agent, &daemon, 2)?;
    let peer = Peer::new()?;
    let ours = |action: &str| site.command(action, "udp:127.0.0.1:5060", "0");
    let (mut own, mut theirs) = (Measured::default(), Measured::default());
    taken(&peer.host, Peer::command("start"))?;
    for _ in 0..STARTS {
        for (host, measured, command) in [
            (&site.host, &mut own, &ours as &dyn Fn(&str) -> Command),
            (&peer.host, &mut theirs, &Peer::command),
        ] {
            measured.stop.add(taken(host, command("stop"))?.0);
            measured.start.add(taken(host, command("start"))?.0);
        }
    }
    for _ in 0..rounds {
        for (host, measured, command) in [
            (&site.host, &mut own, ours("monitor")),
            (&peer.host, &mut theirs, Peer::command("monitor")),
        ] {
            let (wall, cpu) = taken(host, command)?;
            measured.monitor.add(wall);
            measured.cpu.add(cpu);
        }
    }
    let calls =
        [calls_of(&site.host, &ours("monitor"))?, calls_of(&peer.host, &Peer::command("monitor"))?];
    site.run("stop")?;
    tell(&daemon, rounds, [&own, &theirs], &calls, report);
    Ok(())
}

fn tell(
    daemon: &Daemon,
    rounds: usize,
    [own, theirs]: [&Measured; 2],
    [own_calls, their_calls]: &[Vec<String>; 2],
    report: &mut Report,
) {
    report.line(format!(
        "{} and Debian's Kamailio, each with two workers for UDP, each agent with a question by OPTIONS over UDP \
         in monitor.\nStart and stop ({STARTS} rounds) contain the daemon's own; our start returns after half a second \
         in which it watches what it\nhas started, and SIP is answered meanwhile. Monitor ({rounds} rounds, taking \
         turns) is the agent's.\n",
        daemon.name()
    ));
    let count = |calls: &[String], names: &[&str]| {
        calls.iter().filter(|call| names.contains(&call.as_str())).count().to_string()
    };
    let row = |name: &str, measured: &Measured, calls: &[String]| {
        vec![
            name.to_owned(),
            measured.start.spread(),
            measured.stop.spread(),
            measured.monitor.spread(),
            measured.cpu.spread(),
            ratio(own.cpu.median(), measured.cpu.median()),
            calls.len().to_string(),
            count(calls, &["clone", "clone3", "fork", "vfork"]),
        ]
    };
    let head = [
        "agent",
        "start ms, min / median / max",
        "stop ms, min / median / max",
        "monitor ms, min / median / max",
        "CPU of monitor ms, min / median / max",
        "CPU of ours to it, median",
        "system calls of monitor",
        "processes and threads started",
    ];
    let rows = [
        row("ocf:smartvox:opensips", own, own_calls),
        row("ocf:heartbeat:kamailio", theirs, their_calls),
    ];
    report.table(&head, &rows);
    let kinds = [("ours", own), ("kamailio", theirs)];
    let listed: Vec<_> = kinds
        .iter()
        .flat_map(|(name, measured)| {
            [
                (format!("{name}, start"), &measured.start),
                (format!("{name}, stop"), &measured.stop),
                (format!("{name}, CPU of monitor"), &measured.cpu),
            ]
        })
        .collect();
    report.samples("All of them in ms", &listed);
}
