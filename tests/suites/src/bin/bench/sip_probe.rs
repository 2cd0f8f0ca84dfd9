//! What a monitor with the SIP probe costs beyond the answer of the daemon that it asks.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use opensips_stand_in::{ConfigFile, module_path};
use suites::daemon::Daemon;
use suites::sip;
use testnet::Host;

use crate::figures::{Samples, ms};
use crate::process::{self, calls_of, children_cpu};
use crate::report::Report;

const ASKED: &str = "127.0.0.1:5060";

/// A monitor to measure.
pub(crate) struct Variant {
    name: &'static str,
    sip_probe: &'static str,
    level: &'static str,
    pub(crate) wall: Samples,
    pub(crate) cpu: Samples,
}

impl Variant {
    pub(crate) fn new(name: &'static str, sip_probe: &'static str, level: &'static str) -> Self {
        Self { name, sip_probe, level, wall: Samples::default(), cpu: Samples::default() }
    }
}

/// A daemon on a host of its own, under the agent.
pub(crate) struct Site<'a> {
    agent: &'a Path,
    daemon: &'a Daemon,
    pub(crate) host: Host,
    config: String,
}

impl<'a> Site<'a> {
    /// Starts it with so many workers for UDP and for TCP.
    pub(crate) fn start(
        agent: &'a Path,
        daemon: &'a Daemon,
        workers: usize,
    ) -> Result<Self, String> {
        let host = Host::new("node");
        // The host's own /run goes with it.
        let config = ConfigFile {
            sockets: ["udp", "tcp"].map(|protocol| format!("{protocol}:{ASKED}")).to_vec(),
            module_path: module_path(&daemon.binary),
            workers,
            ..ConfigFile::default()
        };
        let path = "/run/opensips.cfg".to_owned();
        host.run(|| std::fs::write(&path, config.text())).map_err(|error| error.to_string())?;
        let site = Site { agent, daemon, host, config: path };
        site.run("start")?;
        Ok(site)
    }

    pub(crate) fn command(&self, action: &str, sip_probe: &str, level: &str) -> Command {
        let mut command = process::agent(self.agent, action, "sip");
        command
            .env("OCF_RESKEY_binary", &self.daemon.binary)
            .env("OCF_RESKEY_config", &self.config)
            .env("OCF_RESKEY_user", "nobody")
            .env("OCF_RESKEY_group", "nogroup")
            .env("OCF_RESKEY_sip_probe", sip_probe)
            .env("OCF_RESKEY_CRM_meta_timeout", "60000")
            .env("OCF_CHECK_LEVEL", level);
        command
    }

    pub(crate) fn run(&self, action: &str) -> Result<(), String> {
        let code = self.host.run(|| self.command(action, "auto", "0").status());
        match code.ok().and_then(|status| status.code()) {
            Some(0) => Ok(()),
            code => Err(format!("{}: {action}: exit code {code:?}", self.daemon)),
        }
    }

    pub(crate) fn measure(&self, variant: &mut Variant) -> Result<(), String> {
        let (wall, cpu, code) = self.host.run(|| {
            let before = children_cpu();
            let begun = Instant::now();
            let status = self.command("monitor", variant.sip_probe, variant.level).status();
            (begun.elapsed(), children_cpu() - before, status.ok().and_then(|s| s.code()))
        });
        if code != Some(0) {
            return Err(format!("{}: monitor, {}: exit code {code:?}", self.daemon, variant.name));
        }
        variant.wall.add(wall);
        variant.cpu.add(cpu);
        Ok(())
    }

    /// The daemon's own answer, from a socket that is open.
    fn answer(&self, number: u64) -> Result<Duration, String> {
        let target: SocketAddr = ASKED.parse().map_err(|_| "an address")?;
        self.host
            .run(|| {
                let socket = UdpSocket::bind((target.ip(), 0))?;
                socket.set_read_timeout(Some(Duration::from_secs(60)))?;
                let request = sip::options(target, socket.local_addr()?, number);
                let begun = Instant::now();
                socket.send_to(&request, target)?;
                socket.recv(&mut [0; 4096])?;
                Ok::<_, std::io::Error>(begun.elapsed())
            })
            .map_err(|error| format!("{}: {error}", self.daemon))
    }
}

/// Prints a table for each daemon: the stand-in, and the real ones of `OPENSIPS_BIN` or PATH.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let stand_in = program.parent().and_then(Daemon::stand_in);
    let daemons = stand_in.into_iter().chain(Daemon::real());
    for daemon in daemons {
        measure_with(&agents.join("opensips"), &daemon, rounds, report)?;
    }
    Ok(())
}

fn measure_with(
    agent: &Path,
    daemon: &Daemon,
    rounds: usize,
    report: &mut Report,
) -> Result<(), String> {
    let site = Site::start(agent, daemon, 2)?;
    let measured = table(&site, rounds, report);
    site.run("stop")?;
    measured
}

fn table(site: &Site<'_>, rounds: usize, report: &mut Report) -> Result<(), String> {
    let mut answers = Samples::default();
    let mut all = [
        Variant::new("without the probe", "none", "0"),
        Variant::new("over UDP", "auto", "0"),
        Variant::new("over TCP", "tcp:127.0.0.1:5060", "0"),
        Variant::new("every listener (level 20)", "auto", "20"),
    ];
    for number in (0..).take(rounds) {
        answers.add(site.answer(number)?);
        for variant in &mut all {
            site.measure(variant)?;
        }
    }
    report.line(format!(
        "\n## monitor of opensips with the SIP probe ({rounds} rounds, taking turns)\n"
    ));
    report.line(format!("{}; its answer to OPTIONS over UDP alone:", site.daemon.name()));
    report.line(format!("{} / {} ms (min / median)\n", ms(answers.min()), ms(answers.median())));
    report.line(
        "| probe | wall ms min / median | beyond the daemon's answer, ms | CPU ms min / median \
         | processes and threads started |",
    );
    report.line("|---|---|---|---|---|");
    for Variant { name, sip_probe, level, wall, cpu } in &all {
        let beyond = |wall: Duration, answer: Duration| match *sip_probe {
            "none" => ms(wall),
            _ => ms(wall.saturating_sub(answer)),
        };
        let calls = calls_of(&site.host, &site.command("monitor", sip_probe, level))?;
        let starts = ["clone", "clone3", "fork", "vfork"];
        report.line(format!(
            "| {name} | {} / {} | {} / {} | {} / {} | {} |",
            ms(wall.min()),
            ms(wall.median()),
            beyond(wall.min(), answers.min()),
            beyond(wall.median(), answers.median()),
            ms(cpu.min()),
            ms(cpu.median()),
            calls.iter().filter(|call| starts.contains(&call.as_str())).count(),
        ));
    }
    Ok(())
}
