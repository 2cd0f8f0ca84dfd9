//! `make chaos`: random faults at random moments on a real cluster.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use suites::chaos::report;
use suites::chaos::run::{Plan, run};
use suites::daemon::Daemon;
use suites::site::setup::Configuration;
use suites::site::up::Means;

/// Random faults at random moments on a real cluster, with the invariants looked at after each
#[derive(Parser)]
struct Arguments {
    /// Directory with the built agents
    #[arg(long, default_value = "target/agents", value_name = "DIR")]
    agents: PathBuf,
    /// Which of pcs-examples: active-standby, hot-standby or three-nodes
    #[arg(long, default_value = "active-standby", value_name = "NAME")]
    topology: String,
    /// How many rounds; 0: none, for the page alone
    #[arg(long, default_value_t = 20, value_name = "N")]
    rounds: u64,
    /// From which faults, victims and moments follow; without it, one that the clock gives
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The first round
    #[arg(long, default_value_t = 1, value_name = "N")]
    round: u64,
    /// Only faults with one of these in their names
    #[arg(long, value_delimiter = ',', value_name = "TEXT,...")]
    fault: Vec<String>,
    /// In how many rounds of a hundred a second fault strikes within the first; their limits are added
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(0..=100))]
    combined: u64,
    /// Corosync's token timeout in milliseconds, its own default
    #[arg(long, default_value_t = 3_000, value_name = "MS")]
    token: u32,
    /// Where to keep what came of each round
    #[arg(long, default_value = "target/chaos", value_name = "DIR")]
    details: PathBuf,
    /// Write the page about all rounds that are kept into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Print the faults and end
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match play(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether nothing was violated.
fn play(arguments: &Arguments) -> Result<bool, String> {
    let plan = plan(arguments)?;
    if arguments.list {
        for fault in plan.faults() {
            println!("{}: {}", fault.name, fault.what);
        }
        return Ok(true);
    }
    if arguments.rounds == 0 {
        return write_page(arguments).map(|()| true);
    }
    if plan.faults().is_empty() {
        return Err("no such fault: --list".to_owned());
    }
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = beside.parent().ok_or("this program has no directory")?;
    let daemon = Daemon::real()
        .into_iter()
        .next()
        .or_else(|| Daemon::stand_in(beside))
        .ok_or("no OpenSIPS and no stand-in: build with `make chaos`")?;
    let means =
        Means { agents: arguments.agents.clone(), daemon, token: arguments.token, details: None };
    println!("{}\n{}\n", means.daemon, plan.command(plan.first, plan.rounds));
    let records = run(&plan, &means, &|line| println!("{line}"))?;
    println!("\n{}", report::table(&records));
    let violated = records.iter().filter(|record| !record.is_good()).count();
    println!("{} rounds, {violated} with a violation", records.len());
    write_page(arguments)?;
    Ok(violated == 0)
}

/// The page about all rounds that are kept, where one is wanted.
fn write_page(arguments: &Arguments) -> Result<(), String> {
    let Some(directory) = &arguments.report else { return Ok(()) };
    let kept = report::kept(&arguments.details)?;
    let page = report::page(&kept, &report::place("make chaos REPORT=docs"));
    let path = directory.join("chaos.md");
    std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))
}

fn plan(arguments: &Arguments) -> Result<Plan, String> {
    let all = [Configuration::ActiveStandby, Configuration::HotStandby, Configuration::ThreeNodes];
    let configuration = all
        .into_iter()
        .find(|configuration| configuration.example().name() == arguments.topology)
        .ok_or_else(|| format!("{}: no such topology", arguments.topology))?;
    let clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.unwrap_or_default().as_secs()
    };
    Ok(Plan {
        configuration,
        seed: arguments.seed.unwrap_or_else(clock),
        first: arguments.round.max(1),
        rounds: arguments.rounds,
        only: arguments.fault.clone(),
        combined: arguments.combined,
        patience: Duration::from_secs(100),
        directory: arguments.details.clone(),
    })
}
