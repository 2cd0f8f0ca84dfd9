//! `make compare`: the faults of ocf:heartbeat:IPaddr2, put to it and to our agent side by side.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use suites::compare::output::{Column, json, markdown};
use suites::compare::{Contender, PEER, SCENARIOS, Scenario, awk, ocft, ocft_tool, peer_version};

/// Puts the faults of ocf:heartbeat:IPaddr2 to it and to our agent
#[derive(Parser)]
struct Arguments {
    /// Directory with the built agents
    #[arg(long, default_value = "target/agents", value_name = "DIR")]
    agents: PathBuf,
    /// Which agents
    #[arg(long, value_enum, default_value = "both")]
    agent: Which,
    /// Output
    #[arg(long, value_enum, default_value = "markdown")]
    format: Format,
    /// Only these scenarios, by number
    #[arg(long, value_delimiter = ',', value_name = "N,...")]
    only: Vec<u8>,
    /// Instead: the cases of resource-agents' `ocft` for IPaddr2
    #[arg(long)]
    ocft: bool,
    /// Instead: `ocft` itself, with the agent in the place of IPaddr2 (minutes)
    #[arg(long, conflicts_with = "ocft")]
    run_ocft: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Peer,
    Ours,
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Markdown,
    Json,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::from(2)
        }
    }
}

/// Tells whether our column is clean.
fn run(arguments: &Arguments) -> Result<bool, String> {
    if let Some(reason) = testnet::missing_privilege() {
        return Err(reason.to_owned());
    }
    let mut contenders = Vec::new();
    if arguments.agent != Which::Ours {
        let peer = Path::new(PEER);
        peer.is_file().then_some(()).ok_or_else(|| format!("{PEER} is not there: `make setup`"))?;
        contenders.push((format!("IPaddr2 {}", peer_version()), Contender::peer(peer), false));
    }
    if arguments.agent != Which::Peer {
        let program = arguments.agents.join("opensips-vip");
        let program = program
            .canonicalize()
            .map_err(|error| format!("{}: {error}: `make build`", program.display()))?;
        contenders.push(("opensips-vip".to_owned(), Contender::ours(&program), true));
    }
    if arguments.ocft {
        return Ok(ocft::compare(&contenders));
    }
    if arguments.run_ocft {
        return ocft_tool::run(&contenders);
    }
    let scenarios: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| arguments.only.is_empty() || arguments.only.contains(&scenario.number))
        .collect();
    // What a scenario could not do is in its record; its panic is no news here.
    std::panic::set_hook(Box::new(|_| {}));
    let mut clean = true;
    let mut columns = Vec::new();
    for (name, contender, ours) in &contenders {
        let mut records = Vec::new();
        for scenario in &scenarios {
            eprintln!("{name}: {} {}", scenario.number, scenario.name);
            let record = scenario.put_through(contender);
            clean &= !ours || record.is_right();
            records.push(record);
        }
        columns.push(Column { name: name.clone(), peer: !ours, records });
    }
    match arguments.format {
        Format::Json => {
            println!("{:#}", json(&scenarios, &columns, &awk(), &peer_version()));
        }
        Format::Markdown => {
            println!("resource-agents {}, awk: {}\n", peer_version(), awk());
            print!("{}", markdown(&scenarios, &columns));
        }
    }
    Ok(clean)
}
