//! Fifty addresses on one node, and a start with the duplicate check.

use std::path::Path;
use std::time::{Duration, Instant};

use testnet::{Agent, Host, agent};

use crate::figures::{Samples, ms, ratio};
use crate::process::{PEER, children_cpu};
use crate::report::Report;

/// Addresses of the fleet.
const FLEET: u8 = 50;
/// How often each of them is monitored, as the meta-data suggest.
const INTERVAL: Duration = Duration::from_secs(10);

/// Prints the tables.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let node = Host::new("node");
    let neighbour = Host::new("neighbour");
    let _cable = testnet::cable(
        (&node, "eth0", "02:00:00:00:01:0b"),
        (&neighbour, "eth0", "02:00:00:00:01:01"),
    );
    node.ip("addr add 192.0.2.1/24 dev eth0");
    // What the duplicate check knows of its neighbours.
    neighbour.ip("addr add 192.0.2.2/24 dev eth0");
    node.ip("neigh replace 192.0.2.2 lladdr 02:00:00:00:01:01 nud reachable dev eth0");
    node.run(|| std::fs::create_dir_all("/run/resource-agents")).map_err(|e| e.to_string())?;
    let ours = agents.join("opensips-vip");
    starts(&node, &ours, rounds, report)?;
    report.line(format!("\n## {FLEET} addresses, each monitored every {} s\n", INTERVAL.as_secs()));
    report.line(
        "| agent | CPU ms of all monitors once, min of some rounds | of one core |\n|---|---|---|",
    );
    let mut totals = Vec::new();
    for (name, program) in [("opensips-vip", ours.as_path()), ("IPaddr2", Path::new(PEER))] {
        let total = fleet(&node, program, rounds)?;
        let share = total.as_secs_f64() / INTERVAL.as_secs_f64() * 100.0;
        report.line(format!("| {name} | {} | {share:.2} % |", ms(total)));
        totals.push(total);
    }
    if let [ours, theirs] = totals.as_slice() {
        report.line(format!("\nCPU of ours to IPaddr2's: {}", ratio(*ours, *theirs)));
    }
    Ok(())
}

fn resource(node: &Host, program: &Path, last: u8) -> Agent {
    agent(node, program)
        .under_pacemaker("vip")
        .env("PCMK_service", "pacemaker-execd")
        .env("HA_LOGFACILITY", "none")
        .param("ip", format!("192.0.2.{last}"))
        .param("nic", "eth0")
        .param("cidr_netmask", "24")
        .param("CRM_meta_interval", "10000")
        .param("CRM_meta_timeout", "60000")
}

fn succeeds(agent: &Agent, action: &str) -> Result<Duration, String> {
    let outcome = agent.action(action);
    if outcome.code == 0 { Ok(outcome.took) } else { Err(outcome.stderr) }
}

/// A start by each way of the duplicate check.
fn starts(node: &Host, program: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let vip = resource(node, program, 10);
    let mut ways = ["no", "calibrated", "yes"]
        .map(|way| (way, vip.clone().param("duplicate_check", way), Samples::default()));
    for _ in 0..rounds {
        for (_, agent, samples) in &mut ways {
            samples.add(succeeds(agent, "start")?);
            succeeds(agent, "stop")?;
        }
    }
    report.section(&format!("start of opensips-vip, wall ms min / median ({rounds} rounds)"));
    let row = |way: &str, samples: &Samples| {
        vec![way.to_owned(), ms(samples.min()), ms(samples.median())]
    };
    let rows: Vec<_> = ways.iter().map(|(way, _, samples)| row(way, samples)).collect();
    report.table(&["duplicate_check", "min", "median"], &rows);
    let [(_, _, without), (_, _, calibrated), _] = &ways;
    let ratio = ratio(calibrated.median(), without.median());
    report.line(format!("\nWith the default to without: {ratio}"));
    Ok(())
}

/// What one monitor of each address costs in all; the cheapest round.
fn fleet(node: &Host, program: &Path, rounds: usize) -> Result<Duration, String> {
    let resources: Vec<Agent> =
        (100..100 + FLEET).map(|last| resource(node, program, last)).collect();
    for resource in &resources {
        // No announcers that would run beside the measurement.
        succeeds(&resource.clone().param("arp_count", "1"), "start")?;
    }
    let mut samples = Samples::default();
    // A round is fifty processes: a tenth of the rounds is as many calls.
    let begun = Instant::now();
    for round in 0..rounds.div_ceil(10).max(3) {
        let before = children_cpu();
        for resource in &resources {
            succeeds(resource, "monitor")?;
        }
        samples.add(children_cpu() - before);
        if begun.elapsed() > Duration::from_secs(120) && round > 0 {
            break;
        }
    }
    for resource in &resources {
        succeeds(resource, "stop")?;
    }
    Ok(samples.min())
}
