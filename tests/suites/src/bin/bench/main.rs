//! `make bench`: our address agent and ocf:heartbeat:IPaddr2 side by side in one run, as ratios.
//!
//! The machine may be slow, shared and stall: variants take turns, round by round; the minimum is
//! what the program costs, the median what it costs here; a round across a stall is repeated.

mod calls;
mod figures;
mod fleet;
mod moves;
mod process;
mod sip_probe;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// Measures our agents beside ocf:heartbeat:IPaddr2
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
    /// Only this part
    #[arg(long, value_enum)]
    only: Option<Part>,
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
    /// Planned move on the lab, as a client sees it
    Move,
    /// Calls through a hot standby that is moved, or loses power
    Calls,
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
    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    if wanted(Part::Process) {
        process::measure(&agents, arguments.rounds)?;
    }
    if wanted(Part::Wire) {
        wire::measure(&agents, arguments.rounds)?;
    }
    if wanted(Part::Fleet) {
        fleet::measure(&agents, arguments.rounds)?;
    }
    if wanted(Part::SipProbe) {
        sip_probe::measure(&agents, arguments.rounds)?;
    }
    if wanted(Part::Move) {
        moves::measure(&agents, arguments.moves)?;
    }
    if wanted(Part::Calls) {
        calls::measure(&agents, arguments.moves)?;
    }
    Ok(())
}
