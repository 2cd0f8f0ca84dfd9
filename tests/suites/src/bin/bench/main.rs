//! `make bench`: our agents beside what a user would take instead, in one run, as ratios.
//!
//! The machine may be slow, shared and stall: variants take turns, round by round; the minimum is
//! what the program costs, the median what it costs here; a round across a stall is repeated.

mod calls;
mod failover;
mod figures;
mod fleet;
mod kamailio;
mod machine;
mod moves;
mod page;
mod picture;
mod process;
mod recurring;
mod report;
mod scale;
mod sip_probe;
mod wire;
mod workers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::report::Report;

/// Measures our agents beside IPaddr2, keepalived and a shell loop
#[derive(Parser)]
struct Arguments {
    /// Directory with the built agents (release)
    #[arg(long, default_value = "target/agents", value_name = "DIR")]
    agents: PathBuf,
    /// Rounds of each action
    #[arg(long, default_value_t = 40, value_name = "N")]
    rounds: usize,
    /// Planned moves of each agent that count
    #[arg(long, default_value_t = 7, value_name = "N")]
    moves: usize,
    /// Rounds of each failover that count
    #[arg(long, default_value_t = 3, value_name = "N")]
    failovers: usize,
    /// Only this part; repeatable
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Directory to write the page and its pictures to
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Cost of the actions as whole processes, system calls, sizes
    Process,
    /// From the address to the first ARP frame
    Wire,
    /// Fifty addresses; start with the duplicate check
    Fleet,
    /// Monitor of the daemon with the SIP probe, beside the daemon's own answer
    SipProbe,
    /// Monitor of the daemon with 1 to 200 workers
    Workers,
    /// Start, stop and monitor of the service agent beside those of ocf:heartbeat:kamailio
    Kamailio,
    /// Monitors every second: what Pacemaker itself spends on them
    Recurring,
    /// Planned move on the lab, as a client sees it
    Move,
    /// Maintenance, cable, kill -9, power cut: time without SIP
    Failover,
    /// Calls through a hot standby that is moved, or loses power; has a page of its own
    Calls,
    /// Up to 20 addresses and 10 OpenSIPS on a pair, and up to 16 nodes; has a page of its own
    Scale,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let agents = arguments
        .agents
        .canonicalize()
        .map_err(|error| format!("{}: {error}: `make build` first", arguments.agents.display()))?;
    let page = match arguments.only.as_slice() {
        [] => Some(&page::BENCHMARKS),
        [Part::Calls] => Some(&page::HAND_OVERS),
        [Part::Scale] => Some(&page::SCALE),
        _ => None,
    };
    let file = page.unwrap_or(&page::BENCHMARKS).file;
    if let (Some(directory), None) = (&arguments.report, page) {
        report::refuse_to_replace(&directory.join(file))?;
    }
    let mut report = Report::default();
    machine::describe(page, &mut report);
    let of_its_own = |part| matches!(part, Part::Calls | Part::Scale);
    let wanted =
        |part| arguments.only.contains(&part) || arguments.only.is_empty() && !of_its_own(part);
    if wanted(Part::Move) {
        moves::measure(&agents, arguments.moves, &mut report)?;
    }
    if wanted(Part::Failover) {
        failover::measure(&agents, arguments.failovers, &mut report)?;
    }
    if wanted(Part::Calls) {
        calls::measure(&agents, arguments.moves, &mut report)?;
    }
    if wanted(Part::Recurring) {
        recurring::measure(&agents, &mut report)?;
    }
    if wanted(Part::Process) {
        process::measure(&agents, arguments.rounds, &mut report)?;
    }
    if wanted(Part::Wire) {
        wire::measure(&agents, arguments.rounds, &mut report)?;
    }
    if wanted(Part::Fleet) {
        fleet::measure(&agents, arguments.rounds, &mut report)?;
    }
    if wanted(Part::SipProbe) {
        sip_probe::measure(&agents, arguments.rounds, &mut report)?;
    }
    if wanted(Part::Workers) {
        workers::measure(&agents, arguments.rounds, &mut report)?;
    }
    if wanted(Part::Kamailio) {
        kamailio::measure(&agents, arguments.rounds, &mut report)?;
    }
    if wanted(Part::Scale) {
        scale::measure(&agents, arguments.moves, &mut report)?;
    }
    arguments.report.as_deref().map_or(Ok(()), |directory| report.keep(directory, file))
}
