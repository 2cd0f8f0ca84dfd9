//! Failovers of the whole service, as a client sees them that asks OPTIONS at the virtual IP address:
//! our agents in both topologies, IPaddr2 with OpenSIPS as a service, keepalived with a notify script,
//! and the shell loop of many guides.

mod cluster;
mod keepalived;
mod plain;
mod shell_loop;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use lab::Lab;
use suites::daemon::Daemon;
use suites::probe::{Prober, Question, Record};
use suites::scenario::{self, VIP};
use suites::witness::Witness;

use crate::figures::{Samples, ms, ratio};
use crate::picture::{Bar, bars};
use crate::report::Report;

/// Time between two questions.
const PACE: Duration = Duration::from_millis(5);
/// An answer that comes later is none.
const LATE: Duration = Duration::from_millis(500);
/// SIP has been answered for that long without a pause: it is back.
const STEADY: Duration = Duration::from_secs(4);
/// A late effect of a fault shows by then.
const LEAST: Duration = Duration::from_secs(10);
/// A stall of the machine that makes a round worthless.
const STALL: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(240);
/// A service that is not back by then does not come back by itself.
const NEVER: Duration = Duration::from_secs(90);

/// What happens to the node that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Standby,
    Cable,
    Kill,
    PowerCut,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Standby, Self::Cable, Self::Kill, Self::PowerCut];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standby => "handed over for maintenance",
            Self::Cable => "public cable pulled",
            Self::Kill => "kill -9 of every process of OpenSIPS",
            Self::PowerCut => "power cut",
        })
    }
}

/// The moments of one failover, since the fault; each is as late as the one before it, or later.
#[derive(Clone, Debug, Default)]
struct Parts(Vec<(&'static str, Duration)>);

/// What one round has shown.
#[derive(Clone, Debug)]
struct Round {
    /// Nothing where it did not come back.
    silent: Option<Duration>,
    stalled: bool,
    parts: Parts,
}

/// A pair of servers that fails over.
trait Contender {
    /// As the tables name it.
    fn name(&self) -> &str;
    /// The lab that it is on.
    fn lab(&self) -> &Lab;
    /// Waits until the pair is well, and says which node serves.
    fn ready(&self) -> Result<String, String>;
    /// Whether the fault is measured with it.
    fn has(&self, fault: Fault) -> bool;
    /// Makes the fault happen to the node that serves.
    fn strike(&self, fault: Fault, active: &str) -> Result<(), String>;
    /// The moments that are known besides the first frame and the first answer.
    fn moments(&self, since: SystemTime, survivor: &str) -> Result<Parts, String>;
    /// Repairs what an administrator would have to repair.
    fn mend(&self, fault: Fault, active: &str) -> Result<(), String>;
}

/// Measures every fault for every contender, `rounds` times without a stall.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = beside.parent().ok_or("the program has no directory")?;
    let daemon = Daemon::real().into_iter().next().or_else(|| Daemon::stand_in(beside));
    let daemon = daemon.ok_or("no OpenSIPS and no stand-in: build with `make bench`")?;
    let mut all = Vec::new();
    let mut names = Vec::new();
    // One after the other: seven pairs of servers at once would disturb each other.
    for number in 0..7 {
        let Some(contender) = contender(number, agents, &daemon)? else { continue };
        names.push(contender.name().to_owned());
        all.push(faults(contender.as_ref(), rounds)?);
    }
    tell(&names, &all, &daemon, report);
    Ok(())
}

fn contender(
    number: usize,
    agents: &Path,
    daemon: &Daemon,
) -> Result<Option<Box<dyn Contender>>, String> {
    Ok(match number {
        0 => Some(cluster::hot_standby(agents, daemon)?),
        1 => Some(cluster::tuned(agents, daemon)?),
        2 => Some(cluster::active_standby(agents, daemon)?),
        3 => Some(cluster::peer(agents, daemon)?),
        4 => keepalived::pair("1", daemon)?,
        5 => keepalived::pair("0.1", daemon)?,
        _ => Some(shell_loop::pair(daemon)?),
    })
}

/// Each fault's rounds; nothing where there is no such fault.
fn faults(
    contender: &dyn Contender,
    rounds: usize,
) -> Result<Vec<Option<(Samples, Round)>>, String> {
    let mut all = Vec::new();
    for fault in Fault::ALL {
        let (mut samples, mut seen) = (Samples::default(), Vec::new());
        for _ in 0..rounds * 3 {
            if samples.len() == rounds || !contender.has(fault) {
                break;
            }
            let round = play(contender, fault)?;
            let silent = round.silent.map_or_else(|| "not back".to_owned(), ms);
            eprintln!("bench: {}, {fault}: {silent}", contender.name());
            match round.silent {
                Some(_) if round.stalled => samples.stalled(),
                // Once is enough: it would be watched in vain again.
                None => {
                    seen = vec![round];
                    break;
                }
                Some(silent) => {
                    samples.add(silent);
                    seen.push(round);
                }
            }
        }
        // The round of the median is the one whose parts are shown.
        let middle = seen
            .into_iter()
            .find(|round| round.silent.is_none_or(|silent| silent == samples.median()));
        all.push(middle.map(|round| (samples, round)));
    }
    Ok(all)
}

fn play(contender: &dyn Contender, fault: Fault) -> Result<Round, String> {
    let active = contender.ready()?;
    let lab = contender.lab();
    let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
    let client = Prober::start(&netns, Question::Sip(scenario::sip()), PACE)
        .map_err(|error| error.to_string())?;
    if !back(&client, STEADY, PATIENCE) {
        let (name, status) = (contender.name(), scenario::status(contender.lab()));
        return Err(format!("{name}: SIP is not answered\n{status}"));
    }
    let frames = Frames::listen(lab)?;
    let witness = Witness::start(STALL);
    let (struck, zero) = (Instant::now(), SystemTime::now());
    contender.strike(fault, &active)?;
    let back = back(&client, LEAST, NEVER);
    let stalls = witness.finish();
    let heard = frames.finish();
    let record = client.finish();
    let outages = record.outages(struck, 2);
    let silent = back.then(|| outages.iter().map(suites::probe::Outage::length).sum());
    let stalled = stalls.iter().any(|stall| {
        outages.iter().any(|out| stall.from < out.to && stall.from + stall.length > out.from)
    });
    let parts = match fault {
        Fault::PowerCut if back => moments(contender, &active, &record, &heard, (struck, zero))?,
        _ => Parts::default(),
    };
    contender.mend(fault, &active)?;
    Ok(Round { silent, stalled, parts })
}

/// The moments of a power cut, in order.
fn moments(
    contender: &dyn Contender,
    active: &str,
    record: &Record,
    heard: &str,
    (struck, zero): (Instant, SystemTime),
) -> Result<Parts, String> {
    let survivor = scenario::peer(active);
    let mut parts = contender.moments(zero, survivor)?;
    let address = ["cat", "/sys/class/net/eth0/address"];
    let mac = scenario::run(contender.lab(), survivor, &address)?;
    let frames = suites::timeline::announcements(heard, &VIP.to_string());
    if let Some((at, _)) = frames.iter().find(|(at, from)| *at >= zero && from == mac.trim()) {
        parts.add("address on the other node", at.duration_since(zero).unwrap_or_default());
    }
    let back = record.outages(struck, 2).last().map(|outage| outage.to - struck);
    parts.add("OpenSIPS answers", back.unwrap_or_default());
    Ok(parts)
}

impl Parts {
    fn add(&mut self, name: &'static str, at: Duration) {
        let last = self.0.last().map_or(Duration::ZERO, |(_, last)| *last);
        self.0.push((name, at.max(last)));
    }

    /// How long each of them took.
    fn lengths(&self) -> Vec<(&'static str, Duration)> {
        let before = std::iter::once(Duration::ZERO).chain(self.0.iter().map(|(_, at)| *at));
        self.0.iter().zip(before).map(|((name, at), before)| (*name, *at - before)).collect()
    }
}

/// Waits until SIP is answered steadily, for `least` at the least; false if it is not within `most`.
fn back(client: &Prober, least: Duration, most: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < most {
        std::thread::sleep(Duration::from_millis(250));
        if begun.elapsed() >= least && client.so_far().steady(STEADY, LATE) {
            return true;
        }
    }
    false
}

/// ARP as the client hears it.
struct Frames {
    listener: std::process::Child,
}

impl Frames {
    fn listen(lab: &Lab) -> Result<Self, String> {
        let mut tcpdump = std::process::Command::new("tcpdump");
        tcpdump.args(["-i", "eth0", "-tt", "-e", "-n", "-l", "arp"]);
        tcpdump.stdin(std::process::Stdio::null());
        tcpdump.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        let listener = lab.spawn("client", &mut tcpdump).map_err(|error| error.to_string())?;
        Ok(Self { listener })
    }

    fn finish(mut self) -> String {
        let _ = self.listener.kill();
        let mut heard = String::new();
        if let Some(mut stdout) = self.listener.stdout.take() {
            let _ = std::io::Read::read_to_string(&mut stdout, &mut heard);
        }
        let _ = self.listener.wait();
        heard
    }
}

/// What was measured of a contender, fault by fault.
type Measured = Vec<Option<(Samples, Round)>>;

fn tell(names: &[String], all: &[Measured], daemon: &Daemon, report: &mut Report) {
    report.section("Failovers of the service");
    report.line(format!(
        "Time without SIP as a client sees it that asks OPTIONS at the virtual address every {} ms; {}. \
         Corosync's\ndefault token of 3 s, fencing on, with the lab's power switch, which takes \
         milliseconds (`FENCE_DELAY=1s`). keepalived\nand the shell loop fence nothing. A round in which \
         the machine stood still within the outage is repeated.\n",
        PACE.as_millis(),
        daemon.name()
    ));
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        report.line(format!("\n### {fault}\n"));
        let of = |measured: &'_ Measured| measured.get(number).cloned().flatten();
        let measured: Vec<_> = all.iter().map(of).collect();
        let first = measured.first().cloned().flatten().map(|(samples, _)| samples.median());
        let mut rows = Vec::new();
        for (name, found) in names.iter().zip(&measured) {
            let Some((samples, round)) = found else { continue };
            let (spread, ratio) = match (round.silent, first) {
                (None, _) => (format!("not back within {} s", NEVER.as_secs()), String::new()),
                (_, None) => (samples.spread(), String::new()),
                (_, Some(first)) => (samples.spread(), ratio(first, samples.median())),
            };
            let (rounds, repeated) = (samples.len().to_string(), samples.repeated().to_string());
            rows.push(vec![name.clone(), rounds, repeated, spread, ratio]);
        }
        let head =
            ["who", "rounds", "repeated", "ms, min / median / max", "first row to it, median"];
        report.table(&head, &rows);
        let listed: Vec<_> = names
            .iter()
            .zip(&measured)
            .filter_map(|(name, found)| Some((name.clone(), &found.as_ref()?.0)))
            .collect();
        report.samples("All of them in ms", &listed);
        if fault == Fault::PowerCut {
            parts(names, &measured, report);
        }
    }
}

/// What the power cut's seconds are made of, in the round of the median.
fn parts(names: &[String], measured: &[Option<(Samples, Round)>], report: &mut Report) {
    let mut pictured = Vec::new();
    report.line("\nThe parts of the round with the median, in ms, one after the other:\n");
    for (name, found) in names.iter().zip(measured) {
        let Some((_, round)) = found.as_ref().filter(|(_, round)| round.silent.is_some()) else {
            continue;
        };
        let lengths = round.parts.lengths();
        let words: Vec<_> =
            lengths.iter().map(|(part, took)| format!("{part} {}", ms(*took))).collect();
        report.line(format!("- {name}: {}", words.join(", ")));
        let parts = lengths.iter().map(|(part, took)| ((*part).to_owned(), took.as_secs_f64()));
        pictured.push(Bar { name: name.clone(), parts: parts.collect() });
    }
    let title = "Power cut: seconds until SIP is answered again";
    report.picture("power-cut", title, bars(title, "s", &pictured));
}
