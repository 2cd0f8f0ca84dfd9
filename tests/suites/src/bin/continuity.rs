//! `make continuity`: each sequence that a telephone service meets, played on a real cluster with our
//! agents and with ocf:heartbeat:IPaddr2, as a table in Markdown.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

use clap::Parser;
use suites::continuity::FAMILIES;
use suites::continuity::outcome::Verdict;
use suites::continuity::run::play;
use suites::continuity::sequence::Sequence;
use suites::continuity::table::{self, Played};
use suites::daemon::Daemon;
use suites::site::setup::{Contender, Setup};
use suites::site::up::Means;

/// Sequences that a telephone service meets, played with our agents and with IPaddr2
#[derive(Parser)]
struct Arguments {
    /// Directory with the built agents
    #[arg(long, default_value = "target/agents", value_name = "DIR")]
    agents: PathBuf,
    /// Only these sequences, by a part of their name
    #[arg(long, value_delimiter = ',', value_name = "TEXT,...")]
    sequence: Vec<String>,
    /// Only these configurations, by a part of their name
    #[arg(long, value_name = "TEXT")]
    configuration: Option<String>,
    /// Without IPaddr2
    #[arg(long)]
    ours_only: bool,
    /// Rows that are played at the same time, with two clusters each
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Corosync's token timeout in milliseconds, its own default
    #[arg(long, default_value_t = 3_000, value_name = "MS")]
    token: u32,
    /// Where to write what each cluster said
    #[arg(long, default_value = "target/continuity", value_name = "DIR")]
    details: PathBuf,
    /// Print the names of the sequences and end
    #[arg(long)]
    list: bool,
}

/// A line of the table.
type Row = (&'static Sequence, Setup);

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("continuity: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether every verdict is good.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let rows = chosen(arguments);
    if arguments.list {
        for (sequence, setup) in &rows {
            println!("{} ({setup}): {}", sequence.name, sequence.what);
        }
        return Ok(true);
    }
    if rows.is_empty() {
        return Err("no such sequence: --list".to_owned());
    }
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = beside.parent().ok_or("this program has no directory")?;
    let daemon = Daemon::real()
        .into_iter()
        .next()
        .or_else(|| Daemon::stand_in(beside))
        .ok_or("no OpenSIPS and no stand-in: build with `make continuity`")?;
    let means = Means {
        agents: arguments.agents.clone(),
        daemon,
        token: arguments.token,
        details: Some(arguments.details.clone()),
    };
    println!("{}; {} rows\n\n{}", means.daemon, rows.len(), table::HEAD);
    let (next, good) = (AtomicUsize::new(0), Mutex::new(true));
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&(sequence, setup)) = rows.get(number) else { break };
                    eprintln!("{}/{}: {}, {setup}", number + 1, rows.len(), sequence.name);
                    let played = play_row(sequence, setup, &means, number, arguments.ours_only);
                    let mut good = good.lock().unwrap_or_else(PoisonError::into_inner);
                    println!("{}", table::row(sequence, setup, &played));
                    *good &= table::verdict(sequence, &played) == Some(Verdict::Good);
                }
            });
        }
    });
    Ok(good.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn chosen(arguments: &Arguments) -> Vec<Row> {
    let named = |sequence: &&Sequence| {
        arguments.sequence.is_empty()
            || arguments.sequence.iter().any(|text| sequence.name.contains(text.as_str()))
    };
    let configured = |setup: &Setup| {
        let text = arguments.configuration.as_ref();
        text.is_none_or(|text| setup.to_string().contains(text.as_str()))
    };
    FAMILIES
        .into_iter()
        .flatten()
        .filter(named)
        .flat_map(|sequence| sequence.setups.iter().map(move |setup| (sequence, *setup)))
        .filter(|(_, setup)| configured(setup))
        .collect()
}

/// Both contenders at the same time: whatever the machine does meanwhile, it does to both.
fn play_row(
    sequence: &Sequence,
    setup: Setup,
    means: &Means,
    number: usize,
    ours_only: bool,
) -> Played {
    let both = Barrier::new(if ours_only { 1 } else { 2 });
    let one = |contender: Contender| {
        // Two runs of this program can be up at once.
        let lab = format!("continuity-{}-{number}-{}", std::process::id(), contender.name());
        let result = play(sequence, setup, contender, means, &lab, || {
            both.wait();
        });
        if let Err(error) = &result {
            eprintln!("{}, {setup}, {}: {error}", sequence.name, contender.name());
        }
        result
    };
    thread::scope(|scope| {
        let peer = (!ours_only).then(|| scope.spawn(|| one(Contender::Peer)));
        let ours = one(Contender::Ours);
        let peer = peer
            .map(|thread| thread.join().unwrap_or_else(|_| Err("the thread panicked".to_owned())));
        (ours, peer)
    })
}
