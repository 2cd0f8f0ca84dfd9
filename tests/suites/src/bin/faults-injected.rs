//! `make faults-injected`: each system call of each action of both agents fails, in each way, one in each run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use suites::daemon::Daemon;
use suites::faults::{Address, Case, Service, Share, Subject, Tally, play};

/// Makes each system call of each action of both agents fail, one in each run
#[derive(Parser)]
struct Arguments {
    /// Directory with the built agents
    #[arg(long, default_value = "target/agents", value_name = "DIR")]
    agents: PathBuf,
    /// Which agents
    #[arg(long, value_enum, default_value = "both")]
    agent: Which,
    /// One fault in N alone
    #[arg(long, default_value_t = 1, value_name = "N")]
    share: usize,
    /// The first of those, from 0 to N-1
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    first: usize,
    /// Only the first and the last call of each kind: of one name, about the same path but for numbers
    #[arg(long)]
    kinds: bool,
    /// Only this action in this state, as the table names them, or several; all without
    #[arg(long, value_name = "ACTION, STATE")]
    case: Vec<String>,
    /// Only faults whose name, as in the message of a violation, contains every such text
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Also print the errors after which an action ended otherwise than without one
    #[arg(long)]
    other: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    OpensipsVip,
    Opensips,
    Both,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults-injected: {error}");
            ExitCode::from(2)
        }
    }
}

/// Tells how many violations there were.
fn run(arguments: &Arguments) -> Result<usize, String> {
    if let Some(reason) = testnet::missing_privilege() {
        return Err(reason.to_owned());
    }
    let agents = arguments.agents.canonicalize();
    let agents = agents.map_err(|error| format!("{}: {error}", arguments.agents.display()))?;
    println!(
        "| agent | action, before it | system calls | faults | of errors, ended otherwise | violations |"
    );
    println!("|---|---|---|---|---|---|");
    let mut violations = 0;
    if arguments.agent != Which::Opensips {
        violations += all_of(&Address::new(&agents), arguments)?;
    }
    if arguments.agent != Which::OpensipsVip {
        let here = std::env::current_exe().map_err(|error| error.to_string())?;
        let stand_in = here.parent().and_then(Daemon::stand_in);
        // As the suites: every daemon that OPENSIPS_BIN names, else that of PATH, else the stand-in.
        let real = Daemon::real();
        let daemons = if real.is_empty() { Vec::from_iter(stand_in) } else { real };
        if daemons.is_empty() {
            return Err("there is no OpenSIPS".into());
        }
        for daemon in daemons {
            eprintln!("{daemon}");
            let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
            violations += all_of(&Service::new(&agents, &daemon, directory.path())?, arguments)?;
        }
    }
    Ok(violations)
}

fn all_of(subject: &dyn Subject, arguments: &Arguments) -> Result<usize, String> {
    let share = Share { kinds: arguments.kinds, first: arguments.first, of: arguments.share };
    let wanted = |place: &str| arguments.only.iter().all(|text| place.contains(text));
    let mut violations = 0;
    let of = |case: &Case| arguments.case.is_empty() || arguments.case.contains(&case.to_string());
    for case in subject.cases().into_iter().filter(of) {
        let Tally { case, calls, faults, other, violations: found } =
            play(subject, case, share, &wanted)?;
        for sentence in other.iter().filter(|_| arguments.other) {
            eprintln!("otherwise: {sentence}");
        }
        for sentence in &found {
            eprintln!("violation: {sentence}");
        }
        let (other, count) = (other.len(), found.len());
        println!("| {} | {case} | {calls} | {faults} | {other} | {count} |", subject.name());
        violations += count;
    }
    Ok(violations)
}
