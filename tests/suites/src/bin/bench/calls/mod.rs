//! Calls through both examples while the service is handed over: how many are lost, and the gap between
//! answered calls beside the move of a resource whose agent does nothing. Needs a real OpenSIPS.

use std::path::Path;
use std::time::Duration;

use suites::calls::case::{self, Outcome};
use suites::calls::fault::Fault;
use suites::calls::outcome::Gap;
use suites::calls::sipp::{self, Load};
use suites::daemon::Daemon;
use suites::pair::Pair;
use suites::scenario::{self, Example, Fencing};

use crate::figures::{Samples, ms, ratio};
use crate::moves::{NOTHING, agent_that_does_nothing, move_of_nothing};
use crate::report::Report;

/// Corosync's own default.
const TOKEN: u32 = 3_000;
/// For a move: long enough for it, on both sides of the strike.
const MOVE: Load =
    Load { rate: 100, length: Duration::from_secs(10), talk: Duration::from_secs(2) };
/// For a power cut: token, consensus, fencing.
const CUT: Load = Load { length: Duration::from_secs(20), ..MOVE };
const BEFORE: Duration = Duration::from_secs(4);

/// What is compared: where OpenSIPS is stopped before the address there is nothing to drain.
const VARIANTS: [(Example, &str); 3] =
    [(Example::HotStandby, "0"), (Example::HotStandby, "20ms"), (Example::ActiveStandby, "0")];

/// What came of all rounds with one fault.
#[derive(Debug, Default)]
struct Sum {
    calls: u64,
    failed: u64,
    taken_and_lost: usize,
    again: u64,
    gaps: Samples,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) -> Result<(), String> {
        self.calls += outcome.statistics.calls;
        self.failed += outcome.statistics.failed;
        self.again += outcome.statistics.retransmissions;
        self.taken_and_lost += outcome.calls.taken_and_lost();
        self.gaps.add(outcome.gap().ok_or("no call was answered")?.length());
        if outcome.statistics.failed > 0 {
            eprintln!("bench: {} calls failed:\n{}", outcome.statistics.failed, outcome.errors);
        }
        Ok(())
    }
}

/// Measures both examples, and one power cut of the hot standby.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    report.section("Calls while the service is handed over");
    let Some(daemon) = Daemon::real().into_iter().next() else {
        report.line(
            "Not measured: the stand-in routes no calls; OPENSIPS_BIN names a real OpenSIPS.",
        );
        return Ok(());
    };
    report.line(format!(
        "SIPp, {} calls a second from the neighbour through the virtual address, {} s of talk; {}. \
         \"Outage\": the gap\nless the pace of the calls, {} ms. \"Floor\": a resource whose agent does \
         nothing, moved in the same rounds.\n",
        MOVE.rate,
        MOVE.talk.as_secs(),
        daemon.version,
        pace().as_millis()
    ));
    let mut rows = Vec::new();
    let mut all = Vec::new();
    let mut cut = None;
    for (example, drain) in VARIANTS {
        let pair = pair(example, agents, &daemon)?;
        let set = format!("drain={drain}");
        scenario::run(&pair.lab, "node1", &["pcs", "resource", "update", "vip", &set])?;
        let example_name = format!("{}, `{set}`", example.name());
        let mut floor = Samples::default();
        let mut sums = [Fault::PlannedMove, Fault::Standby].map(|fault| (fault, Sum::default()));
        for _ in 0..rounds {
            floor.add(move_of_nothing(&pair.lab)?);
            for (fault, sum) in &mut sums {
                let outcome = case::run(&pair, *fault, MOVE, BEFORE)?;
                outcome.mend(&pair)?;
                sum.add(&outcome)?;
            }
        }
        for (fault, sum) in sums {
            let name = format!("{example_name}, {fault}");
            rows.push(row(&name, &sum, &floor));
            all.push((name, sum.gaps));
        }
        all.push((format!("{example_name}, floor"), floor));
        if cut.is_none() {
            cut = Some(case::run(&pair, Fault::PowerCut, CUT, BEFORE)?);
        }
    }
    let head = [
        "",
        "calls",
        "failed",
        "taken and lost",
        "requests sent again",
        "longest gap ms, min / median / max",
        "floor ms, median",
        "outage to floor, median",
    ];
    report.table(&head, &rows);
    let listed: Vec<_> = all.iter().map(|(name, samples)| (name.clone(), samples)).collect();
    report.samples("All gaps and floors in ms", &listed);
    if let Some(outcome) = cut {
        report.line("\nOne power cut of the hot standby, with fencing:\n");
        let value = |duration: Option<Duration>| ms(duration.unwrap_or_default());
        let (calls, failed) = (outcome.statistics.calls, outcome.statistics.failed);
        let (gap, share) = (value(outcome.gap().map(Gap::length)), value(outcome.agents_share()));
        let row = vec![calls.to_string(), failed.to_string(), gap, share];
        report.table(&["calls", "failed", "longest gap ms", "agents' own share ms"], &[row]);
    }
    Ok(())
}

fn pair(example: Example, agents: &Path, daemon: &Daemon) -> Result<Pair, String> {
    let mut changes = case::changes(example)?;
    changes.binds.push(agent_that_does_nothing()?);
    let config = changes.config.clone();
    let lab = scenario::up_with(example, "bench-calls", agents, daemon, TOKEN, changes);
    // The nodes have it open.
    config.map(std::fs::remove_file);
    let lab = lab?;
    scenario::configure_as(example, &lab, Fencing::On)?;
    let create = ["pcs", "resource", "create", NOTHING, "ocf:suites:nothing"];
    scenario::run(&lab, "node1", &create)?;
    sipp::prepare(&lab)?;
    Ok(Pair { lab, example })
}

/// Calls come one by one: of an outage of nothing they would see this much.
fn pace() -> Duration {
    Duration::from_secs(1) / MOVE.rate
}

fn row(name: &str, sum: &Sum, floor: &Samples) -> Vec<String> {
    let outage = sum.gaps.median().saturating_sub(pace());
    vec![
        name.to_owned(),
        sum.calls.to_string(),
        sum.failed.to_string(),
        sum.taken_and_lost.to_string(),
        sum.again.to_string(),
        sum.gaps.spread(),
        ms(floor.median()),
        ratio(outage, floor.median()),
    ]
}
