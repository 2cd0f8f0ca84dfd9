//! Calls through a hot standby: a planned move beside that of a resource whose agent does nothing,
//! and the agents' own share of a power cut. Needs a real OpenSIPS.

use std::path::Path;
use std::time::Duration;

use lab::Bind;
use suites::calls::case;
use suites::calls::fault::Fault;
use suites::calls::outcome::Gap;
use suites::calls::sipp::{self, Load};
use suites::daemon::Daemon;
use suites::pair::Pair;
use suites::scenario::{self, Changes, Example, Fencing};

use crate::figures::{Samples, ms, ratio};
use crate::moves::settled;

const NOTHING: &str = "nothing";
/// Corosync's own default.
const TOKEN: u32 = 3_000;
/// For a move: long enough for it, on both sides of the strike.
const MOVE: Load = Load { rate: 50, length: Duration::from_secs(10), talk: Duration::from_secs(2) };
/// For a power cut: token, consensus, fencing.
const CUT: Load = Load { length: Duration::from_secs(20), ..MOVE };
const BEFORE: Duration = Duration::from_secs(4);

/// Prints the tables.
pub(crate) fn measure(agents: &Path, rounds: usize) -> Result<(), String> {
    println!("\n## Calls through a hot standby, {} a second\n", MOVE.rate);
    let Some(daemon) = Daemon::real().into_iter().next() else {
        println!("skipped: the stand-in routes no calls; OPENSIPS_BIN names a real OpenSIPS");
        return Ok(());
    };
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let nothing = Bind {
        source: beside.with_file_name("nothing"),
        destination: "/usr/lib/ocf/resource.d/suites/nothing".into(),
    };
    let (example, changes) = (Example::HotStandby, Changes { binds: vec![nothing], config: None });
    let lab = scenario::up_with(example, "bench-calls", agents, &daemon, TOKEN, changes)?;
    scenario::configure_as(example, &lab, Fencing::On)?;
    let create = ["pcs", "resource", "create", NOTHING, "ocf:suites:nothing"];
    scenario::run(&lab, "node1", &create)?;
    sipp::prepare(&lab)?;
    let pair = Pair { lab, example };
    let (mut idle, mut gaps, mut failed) = (Samples::default(), Samples::default(), 0);
    for _ in 0..rounds {
        idle.add(move_of_nothing(&pair)?);
        let outcome = case::run(&pair, Fault::PlannedMove, MOVE, BEFORE)?;
        outcome.mend(&pair)?;
        failed += outcome.statistics.failed;
        gaps.add(outcome.gap().ok_or("no call was answered")?.length());
    }
    println!("| planned move ({rounds} rounds, taking turns) | ms min / median / max |\n|---|---|");
    for (name, samples) in [
        ("longest gap between answered calls", &gaps),
        ("a resource whose agent does nothing: stop begun to start ended", &idle),
    ] {
        let (min, median, max) = (samples.min(), samples.median(), samples.max());
        println!("| {name} | {} / {} / {} |", ms(min), ms(median), ms(max));
    }
    // Calls come one by one: of an outage of nothing they would see this much.
    let pace = Duration::from_secs(1) / MOVE.rate;
    println!(
        "\nCalls failed: {failed}. Gap to the move of nothing: {} (min), {} (median); less the pace of \
         the calls, {} ms: {}, {}",
        ratio(gaps.min(), idle.min()),
        ratio(gaps.median(), idle.median()),
        pace.as_millis(),
        ratio(gaps.min().saturating_sub(pace), idle.min()),
        ratio(gaps.median().saturating_sub(pace), idle.median())
    );
    let outcome = case::run(&pair, Fault::PowerCut, CUT, BEFORE)?;
    println!("\n| power cut, fencing | |\n|---|---|");
    println!("| calls failed | {} |", outcome.statistics.failed);
    println!("| longest gap ms | {} |", ms(outcome.gap().map(Gap::length).unwrap_or_default()));
    println!("| agents' own share ms | {} |", ms(outcome.agents_share().unwrap_or_default()));
    Ok(())
}

/// How long Pacemaker takes to move a resource whose agent does nothing.
fn move_of_nothing(pair: &Pair) -> Result<Duration, String> {
    let from = settled(&pair.lab, NOTHING, |_| true)?;
    let to = scenario::peer(&from);
    pair.run(&from, &["crm_resource", "--move", "-r", NOTHING, "-N", to])?;
    settled(&pair.lab, NOTHING, |node| node == to)?;
    let stopped = last(pair, &from, "stop")?;
    let started = last(pair, to, "start")?;
    pair.run(to, &["crm_resource", "--clear", "-r", NOTHING])?;
    Ok(started.saturating_sub(stopped))
}

/// The time of the agent's last such action on a node, from its record; since the epoch.
fn last(pair: &Pair, node: &str, action: &str) -> Result<Duration, String> {
    let record = pair.run(node, &["cat", "/run/nothing.record"])?;
    let found =
        record.lines().rev().find_map(|line| line.strip_prefix(action)?.trim().parse().ok());
    found.map(Duration::from_micros).ok_or_else(|| format!("{node}: no {action} in\n{record}"))
}
