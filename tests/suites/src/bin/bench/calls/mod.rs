//! Calls through both examples while the service is handed over: how many are lost, and the gap between
//! answered calls beside the same hand-over with agents that do nothing. Needs a real OpenSIPS.

mod floor;
mod own;

use std::path::Path;
use std::time::Duration;

use suites::calls::case::{self, Outcome};
use suites::calls::fault::Fault;
use suites::calls::outcome::Gap;
use suites::calls::phones::{self, Told};
use suites::calls::sipp::Load;
use suites::daemon::Daemon;
use suites::pair::Pair;
use suites::scenario::Example;

use crate::figures::{Samples, ms, ratio};
use crate::picture::{Bar, bars};
use crate::report::Report;

use floor::Idle;

/// Corosync's own default.
const TOKEN: u32 = 3_000;
/// For a move: long enough for it, on both sides of the strike.
const MOVE: Load =
    Load { rate: 100, length: Duration::from_secs(10), talk: Duration::from_secs(2), phones: true };
/// For a power cut: token, consensus, fencing.
const CUT: Load = Load { length: Duration::from_secs(20), phones: false, ..MOVE };
const BEFORE: Duration = Duration::from_secs(4);
/// How often a round is repeated because the machine stood still in it.
const REPEATED: usize = 3;

/// What is compared: where OpenSIPS is stopped before the address there is nothing to drain.
const VARIANTS: [(Example, &str); 3] =
    [(Example::HotStandby, "0"), (Example::HotStandby, "20ms"), (Example::ActiveStandby, "0")];

/// The parts of an outage, in order.
type Way = Vec<(&'static str, Duration)>;

/// What came of all rounds of a variant with one fault.
#[derive(Debug)]
struct Row {
    name: String,
    /// What no agent can save: Pacemaker's own time is added to it.
    besides: Duration,
    calls: u64,
    failed: u64,
    taken_and_lost: usize,
    again: u64,
    gaps: Samples,
    floor: Samples,
    ways: Vec<(Duration, Way)>,
    phones: Vec<Told>,
}

impl Row {
    fn new(name: String, besides: Duration) -> Self {
        let (gaps, floor) = (Samples::default(), Samples::default());
        Self {
            name,
            besides,
            calls: 0,
            failed: 0,
            taken_and_lost: 0,
            again: 0,
            gaps,
            floor,
            ways: Vec::new(),
            phones: Vec::new(),
        }
    }

    /// Every call counts; the gap only if the machine did not stand still in it, or always does.
    fn add(&mut self, outcome: &Outcome, last: bool) -> Result<bool, String> {
        self.calls += outcome.statistics.calls;
        self.failed += outcome.statistics.failed;
        self.again += outcome.statistics.retransmissions;
        self.taken_and_lost += outcome.calls.taken_and_lost();
        match self.phones.as_mut_slice() {
            [] => self.phones.clone_from(&outcome.phones),
            all => all.iter_mut().zip(&outcome.phones).for_each(|(sum, told)| sum.add(told)),
        }
        if outcome.statistics.failed > 0 {
            eprintln!("bench: {} calls failed:\n{}", outcome.statistics.failed, outcome.errors);
        }
        // There is none where the calls were over before a machine that is too busy had moved it.
        let gap = outcome.gap().filter(|_| last || !outcome.stalled());
        let Some(gap) = gap.map(Gap::length) else {
            let late =
                "no call was answered after the hand-over: too much else runs on this machine";
            self.gaps.stalled();
            return if last { Err(late.to_owned()) } else { Ok(false) };
        };
        self.gaps.add(gap);
        self.ways.push((gap, outcome.way()));
        Ok(true)
    }

    fn floor(&self) -> Duration {
        self.floor.median() + self.besides
    }

    fn cells(&self) -> Vec<String> {
        let outage = self.gaps.median().saturating_sub(pace());
        vec![
            self.name.clone(),
            self.calls.to_string(),
            self.failed.to_string(),
            self.taken_and_lost.to_string(),
            self.again.to_string(),
            self.gaps.repeated().to_string(),
            self.gaps.spread(),
            ms(self.floor()),
            ratio(outage, self.floor()),
        ]
    }

    /// The parts of the round with the median gap.
    fn way(&self) -> Way {
        let found = self.ways.iter().find(|(gap, _)| *gap == self.gaps.median());
        found.map(|(_, way)| way.clone()).unwrap_or_default()
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
    let own = own::stop_and_start(&daemon, rounds.max(5))?;
    let (mut rows, mut cut) = (Vec::new(), None);
    for example in [Example::HotStandby, Example::ActiveStandby] {
        let idle = Idle::up(example, &daemon)?;
        let besides = match example {
            Example::HotStandby => Duration::ZERO,
            Example::ActiveStandby | Example::ThreeNodes => own.iter().map(Samples::median).sum(),
        };
        for (_, drain) in VARIANTS.iter().filter(|(of, _)| *of == example) {
            let pair = pair(example, drain, agents, &daemon)?;
            rows.extend(hand_overs(&pair, drain, &idle, besides, rounds)?);
            if cut.is_none() {
                cut = Some(case::run(&pair, Fault::PowerCut, CUT, BEFORE)?);
            }
        }
    }
    tell(&rows, &own, &daemon, report);
    tell_phones(&rows, report);
    tell_cut(cut.as_ref(), report);
    Ok(())
}

fn hand_overs(
    pair: &Pair,
    drain: &str,
    idle: &Idle,
    besides: Duration,
    rounds: usize,
) -> Result<[Row; 2], String> {
    let mut rows = [Fault::PlannedMove, Fault::Standby].map(|fault| {
        let name = format!("{}, `drain={drain}`, {fault}", pair.example.name());
        (fault, Row::new(name, besides))
    });
    for _ in 0..rounds {
        for (fault, row) in &mut rows {
            row.floor.add(idle.took(*fault)?);
            for attempt in 1..=REPEATED {
                let outcome = case::run(pair, *fault, MOVE, BEFORE)?;
                outcome.mend(pair)?;
                if row.add(&outcome, attempt == REPEATED)? {
                    break;
                }
            }
        }
    }
    Ok(rows.map(|(_, row)| row))
}

fn tell(rows: &[Row], own: &[Samples; 2], daemon: &Daemon, report: &mut Report) {
    let [stop, start] = own;
    report.line(format!(
        "SIPp, {} calls a second from the neighbour through the virtual address, {} s of talk; {}. \
         \"Outage\": the gap\nless the pace of the calls, {} ms. \"Floor\": the same example, the same \
         command and the same operations in a\nsecond cluster whose agents do nothing, in turn with it; in \
         active/standby, besides, what OpenSIPS alone needs to end\n({} ms) and to answer after its start \
         ({} ms), medians without agent and cluster. Both clusters, the callers and the\ncallee share this \
         machine's cores: Pacemaker has them alone only in the floor. A round in which the machine stood \
         still\nfor more than 5 ms within the gap is repeated; its calls count.\n",
        MOVE.rate,
        MOVE.talk.as_secs(),
        daemon.name(),
        pace().as_millis(),
        ms(stop.median()),
        ms(start.median()),
    ));
    let head = [
        "",
        "calls",
        "failed",
        "taken and lost",
        "requests sent again",
        "repeated",
        "longest gap ms, min / median / max",
        "floor ms, median",
        "outage to floor, median",
    ];
    report.table(&head, &rows.iter().map(Row::cells).collect::<Vec<_>>());
    let mut listed: Vec<_> = Vec::new();
    for row in rows {
        listed.push((row.name.clone(), &row.gaps));
        listed.push((format!("{}, floor", row.name), &row.floor));
    }
    listed.push(("OpenSIPS alone, end".to_owned(), stop));
    listed.push(("OpenSIPS alone, start".to_owned(), start));
    report.samples("All gaps and floors in ms", &listed);
    report.line(
        "\nThe parts of the gap with the median, in ms, one after the other, by Pacemaker's log (its clock \
         steps by 4 ms):\n",
    );
    let mut pictured = Vec::new();
    for row in rows {
        let way = row.way();
        let words: Vec<_> =
            way.iter().map(|(part, took)| format!("{part} {}", ms(*took))).collect();
        report.line(format!("- {}: {}", row.name, words.join(", ")));
        let parts =
            way.iter().map(|(part, took)| ((*part).to_owned(), took.as_secs_f64() * 1e3)).collect();
        pictured.push(Bar { name: row.name.replace("pcs node ", ""), parts });
        let floor = vec![("floor".to_owned(), row.floor().as_secs_f64() * 1e3)];
        pictured.push(Bar { name: "its floor".to_owned(), parts: floor });
    }
    let title = "Gap between answered calls in milliseconds, median";
    report.picture("calls", title, bars(title, "ms", &pictured));
}

/// What else phones did in the same rounds.
fn tell_phones(rows: &[Row], report: &mut Report) {
    report.line(
        "\nIn the same rounds, registrations that are refreshed every 2 s, calls whose session is refreshed by \
         re-INVITEs, and phones\nthat register over TCP every 0.5 s. A TCP connection ends with the node that \
         held it: the phone notices when it sends,\nconnects and registers again. \"Failed\": never \
         answered, or over TCP not registered in the end.\n",
    );
    let head: Vec<_> = std::iter::once("").chain(phones::HEAD).collect();
    let of = |row: &Row| -> Vec<_> {
        let named = |told: &Told| [vec![row.name.clone()], told.cells()].concat();
        row.phones.iter().map(named).collect()
    };
    report.table(&head, &rows.iter().flat_map(of).collect::<Vec<_>>());
}

fn tell_cut(cut: Option<&Outcome>, report: &mut Report) {
    let Some(outcome) = cut else { return };
    report.line("\nOne power cut of the hot standby, with fencing:\n");
    let value = |duration: Option<Duration>| ms(duration.unwrap_or_default());
    let (calls, failed) = (outcome.statistics.calls, outcome.statistics.failed);
    let (gap, share) = (value(outcome.gap().map(Gap::length)), value(outcome.agents_share()));
    let row = vec![calls.to_string(), failed.to_string(), gap, share];
    report.table(&["calls", "failed", "longest gap ms", "agents' own share ms"], &[row]);
}

fn pair(example: Example, drain: &str, agents: &Path, daemon: &Daemon) -> Result<Pair, String> {
    let pair = case::pair(example, "bench-calls", agents, daemon, TOKEN)?;
    let set = format!("drain={drain}");
    pair.run("node1", &["pcs", "resource", "update", "vip", &set])?;
    Ok(pair)
}

/// Calls come one by one: of an outage of nothing they would see this much.
fn pace() -> Duration {
    Duration::from_secs(1) / MOVE.rate
}
