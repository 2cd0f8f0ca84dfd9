//! `make calls`: SIPp calls through both examples while something happens to them; what callers
//! notice, as a table.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use suites::calls::case::{self, Outcome};
use suites::calls::fault::Fault;
use suites::calls::outcome::Gap;
use suites::calls::phones;
use suites::calls::sipp::Load;
use suites::daemon::Daemon;
use suites::scenario::{self, Example};

/// Calls through a pair of SIP servers, at a steady rate, while it fails over
#[derive(Parser)]
struct Arguments {
    /// Directory with the built agents
    #[arg(long, default_value = "target/agents", value_name = "DIR")]
    agents: PathBuf,
    /// Calls begun in a second
    #[arg(long, default_value_t = 50, value_name = "N")]
    rate: u32,
    /// Seconds for which calls are begun, in each case
    #[arg(long, default_value_t = 25, value_name = "S")]
    length: u64,
    /// Seconds that a call is up
    #[arg(long, default_value_t = 5, value_name = "S")]
    talk: u64,
    /// Corosync's token timeout in milliseconds, its own default
    #[arg(long, default_value_t = 3_000, value_name = "MS")]
    token: u32,
    /// Only this example
    #[arg(long, value_enum)]
    example: Option<Which>,
    /// Only these cases, by a part of their name
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,
    /// How often each case is played
    #[arg(long, default_value_t = 1, value_name = "N")]
    rounds: u32,
    /// Parameter of the address, as `drain=20ms`; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    vip: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Address and OpenSIPS on one node
    ActiveStandby,
    /// OpenSIPS on both
    HotStandby,
}

/// When the fault strikes, after the first call.
const BEFORE: Duration = Duration::from_secs(6);

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("calls: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let daemon = Daemon::real().into_iter().next().ok_or(
        "no OpenSIPS found, and the stand-in routes no calls: install OpenSIPS 3.6 or 4.0, or name \
         one: OPENSIPS_BIN=/path/to/opensips make calls",
    )?;
    let load = Load {
        rate: arguments.rate,
        length: Duration::from_secs(arguments.length),
        talk: Duration::from_secs(arguments.talk),
        phones: true,
    };
    println!(
        "{daemon}; {} calls/s for {} s, each up for {} s",
        load.rate, arguments.length, arguments.talk
    );
    for (which, example) in
        [(Which::ActiveStandby, Example::ActiveStandby), (Which::HotStandby, Example::HotStandby)]
    {
        if arguments.example.is_none_or(|only| only == which) {
            measure(arguments, &daemon, example, load)?;
        }
    }
    Ok(())
}

fn measure(
    arguments: &Arguments,
    daemon: &Daemon,
    example: Example,
    load: Load,
) -> Result<(), String> {
    let pair = case::pair(example, "calls", &arguments.agents, daemon, arguments.token)?;
    for parameter in &arguments.vip {
        pair.run("node1", &["pcs", "resource", "update", "vip", parameter])?;
    }
    println!("\n## {}\n", example.name());
    println!(
        "| | calls | failed | never answered, of them taken and lost | sent again | longest gap ms | \
         up at the fault, ended by BYE | dialogs left | agents' own ms | machine stalls |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut told = Vec::new();
    for fault in Fault::ALL {
        let name = fault.to_string();
        if arguments.case.as_ref().is_some_and(|text| !name.contains(text.as_str())) {
            continue;
        }
        for _ in 0..arguments.rounds {
            let explain = |error| format!("{name}: {error}\n{}", scenario::status(&pair.lab));
            let outcome = case::run(&pair, fault, load, BEFORE).map_err(explain)?;
            println!("{}", row(&name, &outcome));
            outcome.mend(&pair).map_err(explain)?;
            told.push((name.clone(), outcome));
        }
    }
    println!("\n| | {} |\n|{}", phones::HEAD.join(" | "), "---|".repeat(phones::HEAD.len() + 1));
    for (name, outcome) in &told {
        for phones in &outcome.phones {
            println!("| {name} | {} |", phones.cells().join(" | "));
        }
    }
    for (name, outcome) in told {
        println!("\n{name}, ms since the fault:{}", parts(&outcome));
        if outcome.statistics.failed > 0 {
            println!("SIPp says: {}", outcome.errors.chars().take(1500).collect::<String>());
        }
    }
    Ok(())
}

fn row(name: &str, outcome: &Outcome) -> String {
    let statistics = outcome.statistics;
    let ms = |duration: Option<Duration>| {
        duration.map_or_else(|| "?".to_owned(), |d| d.as_millis().to_string())
    };
    let longest = outcome.stalls.iter().map(|(_, took)| *took).max().unwrap_or_default();
    let stalls = outcome.stalls.len();
    format!(
        "| {name} | {} | {} | {}, {} | {} | {} | {}, {} | {} | {} | {stalls}, longest {} ms |",
        statistics.calls,
        statistics.failed,
        outcome.calls.never_answered(),
        outcome.calls.taken_and_lost(),
        statistics.retransmissions,
        ms(outcome.gap().map(Gap::length)),
        outcome.up().count(),
        outcome.ended(),
        outcome.dialogs_left.map_or_else(|| "-".to_owned(), |left| left.to_string()),
        ms(outcome.agents_share()),
        longest.as_millis()
    )
}

/// The outage in order: last answer, loss, fencing, the agents' runs, first answer.
fn parts(outcome: &Outcome) -> String {
    let mut events = Vec::new();
    if let Some(gap) = outcome.gap() {
        events.push((gap.from, "last answer before the longest gap".to_owned()));
        events.push((gap.to, "first answer after it".to_owned()));
    }
    events.extend(outcome.parts.lost.map(|at| (at, "node lost".to_owned())));
    events.extend(outcome.parts.fenced.map(|at| (at, "fenced".to_owned())));
    for run in outcome.left.runs.iter().chain(&outcome.parts.runs) {
        events.push((run.ended, format!("{} ended ({} ms)", run.what, run.took.as_millis())));
    }
    for call in outcome.calls.iter().filter(|call| call.answered.is_none()) {
        events.extend(
            call.invited.map(|at| (at, "INVITE of a call that was never answered".to_owned())),
        );
        events.extend(call.trying.map(|at| (at, "its 100".to_owned())));
    }
    events.sort();
    let since = |at: Duration| at.as_secs_f64() * 1e3 - outcome.struck.as_secs_f64() * 1e3;
    events.iter().map(|(at, what)| format!("\n{:>9.1}  {what}", since(*at))).collect()
}
