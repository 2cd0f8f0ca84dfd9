//! A planned move of an address, as a client sees it that asks every millisecond: our agent, ours
//! without its duplicate-address check, IPaddr2, keepalived, and the floor: a resource whose agent does
//! nothing, under the same Pacemaker.

mod floor;
mod keepalived;
mod pacemaker;

use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lab::{Bind, Lab};
use suites::daemon::Daemon;
use suites::probe::{Outage, Prober, Question};
use suites::scenario::{self, Changes, Example};
use suites::witness::{Stall, Witness};

use crate::figures::{Samples, ratio};
use crate::picture::{Bar, bars};
use crate::report::Report;

pub(crate) use pacemaker::settled;

/// A stall of the machine that makes a round worthless.
const STALL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(240);
/// The agent that does nothing.
pub(crate) const NOTHING: &str = "nothing";

/// Something that moves an address between two nodes when it is told to.
trait Contender {
    /// As the table names it.
    fn name(&self) -> &str;
    /// One move to the other node; nothing where the machine stood still meanwhile.
    fn round(&mut self) -> Result<Option<Duration>, String>;
}

/// Where the agent that does nothing appears in a node.
pub(crate) fn agent_that_does_nothing() -> Result<Bind, String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(Bind {
        source: beside.with_file_name("nothing"),
        destination: "/usr/lib/ocf/resource.d/suites/nothing".into(),
    })
}

/// Measures `wanted` rounds without a stall for each contender, taking turns.
pub(crate) fn measure(agents: &Path, wanted: usize, report: &mut Report) -> Result<(), String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    // No OpenSIPS runs in this part; the lab's recipe wants one to bind.
    let daemon = Daemon::stand_in(beside.parent().ok_or("no directory")?)
        .ok_or("the stand-in is missing: build with `make bench`")?;
    let changes = Changes { binds: vec![agent_that_does_nothing()?], ..Changes::default() };
    let lab = scenario::up_with(Example::ActiveStandby, "bench", agents, &daemon, 10_000, changes)?;
    let lab = Rc::new(lab);
    scenario::run(&lab, "node1", &["pcs", "property", "set", "stonith-enabled=false"])?;
    let mut contenders: Vec<Box<dyn Contender>> = pacemaker::contenders(&lab)?;
    contenders.push(Box::new(floor::Floor::create(&lab)?));
    match keepalived::contenders()? {
        found if found.is_empty() => report.line(
            "\nkeepalived is not installed, and has no rows: `tests/setup keepalived`, as root.",
        ),
        found => contenders.extend(found),
    }
    let mut samples = vec![Samples::default(); contenders.len()];
    // At most four times the rounds: a machine that always stalls gets a table that says so.
    for _ in 0..wanted * 4 {
        for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
            if samples.len() < wanted {
                match contender.round()? {
                    Some(outage) => samples.add(outage),
                    None => samples.stalled(),
                }
            }
        }
    }
    let names: Vec<String> = contenders.iter().map(|c| c.name().to_owned()).collect();
    tell(&names, &samples, report);
    Ok(())
}

fn tell(names: &[String], samples: &[Samples], report: &mut Report) {
    report.section("Planned move of an address");
    report.line(
        "What a client sees that sends an ICMP echo request every millisecond, on a pair that is \
         idle otherwise.\nContenders take turns. A round in which the machine itself stood still for \
         more than 5 ms within the outage is repeated.\n",
    );
    let [ours, ..] = samples else { return };
    let mut rows = Vec::new();
    for (name, all) in names.iter().zip(samples) {
        rows.push(vec![
            name.clone(),
            all.len().to_string(),
            all.repeated().to_string(),
            all.spread(),
            ratio(ours.median(), all.median()),
        ]);
    }
    let head = ["who", "rounds", "repeated", "outage ms, min / median / max", "ours to it, median"];
    report.table(&head, &rows);
    let listed: Vec<_> = names.iter().cloned().zip(samples).collect();
    report.samples("All outages in ms", &listed);
    let bar = |(name, all): (&String, &Samples)| Bar {
        name: name.clone(),
        parts: vec![("outage".to_owned(), all.median().as_secs_f64() * 1e3)],
    };
    let picture = names.iter().zip(samples).map(bar).collect::<Vec<_>>();
    let title = "Planned move of an address: outage in milliseconds, median";
    report.picture("planned-move", title, bars(title, "ms", &picture));
}

/// A client that asks an address every millisecond, and the witness beside it.
struct Watch {
    client: Prober,
    witness: Witness,
}

impl Watch {
    /// Starts it; returns when the address answers.
    fn start(lab: &Lab, address: Ipv4Addr) -> Result<Self, String> {
        let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
        let client = Prober::start(&netns, Question::Echo(address), Duration::from_millis(1))
            .map_err(|error| error.to_string())?;
        answered(&client, Instant::now())?;
        Ok(Self { client, witness: Witness::start(STALL) })
    }

    /// Waits until it answers again, and tells the outage, unless the machine stood still in it.
    fn finish(self) -> Result<Option<Duration>, String> {
        answered(&self.client, Instant::now())?;
        let stalls = self.witness.finish();
        let outage = self.client.finish().longest_outage().ok_or("no outage was seen")?;
        let hit = stalls.iter().any(|stall| within(stall, outage));
        Ok((!hit).then(|| outage.length()))
    }
}

fn within(stall: &Stall, outage: Outage) -> bool {
    stall.from < outage.to && stall.from + stall.length > outage.from
}

fn answered(client: &Prober, since: Instant) -> Result<(), String> {
    while !client.answered_since(since) {
        if since.elapsed() > PATIENCE {
            return Err("the address doesn't answer".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
