//! Many rounds, one after the other, on one cluster; where it has to be helped, on a new one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::draw::{self, Dice, Drawn};
use super::fault::Fault;
use super::inspect;
use super::record::{Kind, Record, Violation};
use super::round;
use crate::scenario;
use crate::site::setup::{Configuration, Contender, Setup};
use crate::site::up::{Means, served, wait_served};
use crate::site::watch::Watch;
use crate::site::{PATIENCE, Site};

/// A cluster alone makes some process wait for a processor in less than this share of the time, in percent.
const BUSY: u64 = 60;

/// What is played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The configuration; with fencing.
    pub configuration: Configuration,
    /// From which everything follows.
    pub seed: u64,
    /// The first round.
    pub first: u64,
    /// How many.
    pub rounds: u64,
    /// Only faults with one of these in their names; empty: all.
    pub only: Vec<String>,
    /// In how many rounds of a hundred a second fault strikes within the first.
    pub combined: u64,
    /// How long a cluster may take to be whole again after a fault: a node that was fenced boots.
    pub patience: Duration,
    /// Where records and explanations go.
    pub directory: PathBuf,
}

impl Plan {
    fn is_hot(&self) -> bool {
        self.configuration == Configuration::HotStandby
    }

    /// The faults that can be drawn.
    #[must_use]
    pub fn faults(&self) -> Vec<&'static Fault> {
        let named = |fault: &&Fault| {
            self.only.is_empty() || self.only.iter().any(|text| fault.name.contains(text.as_str()))
        };
        super::faults(self.is_hot()).into_iter().filter(named).collect()
    }

    /// The command that plays rounds again.
    #[must_use]
    pub fn command(&self, first: u64, rounds: u64) -> String {
        let mut command = format!(
            "make chaos TOPOLOGY={} SEED={} ROUND={first} ROUNDS={rounds}",
            self.configuration.example().name(),
            self.seed
        );
        if !self.only.is_empty() {
            command += &format!(" FAULT={}", self.only.join(","));
        }
        if self.combined > 0 {
            command += &format!(" COMBINED={}", self.combined);
        }
        command
    }

    /// The faults of a round: one, or two.
    fn drawn(&self, number: u64) -> Option<Vec<Drawn>> {
        let faults = self.faults();
        let first = draw::round(self.seed, number, &faults, self.is_hot())?;
        let mut all = vec![first];
        let mut dice = Dice::of(self.seed.rotate_left(32), number);
        if dice.number(1, 100) <= self.combined {
            let other = dice.number(1, u64::MAX / 2);
            all.extend(draw::round(self.seed, other, &faults, self.is_hot()));
        }
        Some(all)
    }

    /// The file of the records.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        let name = self.configuration.example().name();
        let combined = if self.combined > 0 { "-combined" } else { "" };
        self.directory.join(format!("{name}{combined}.jsonl"))
    }
}

/// Plays the rounds of a plan, telling each line.
///
/// # Errors
/// No cluster can be had.
pub fn run(plan: &Plan, means: &Means, tell: &dyn Fn(&str)) -> Result<Vec<Record>, String> {
    std::fs::create_dir_all(&plan.directory)
        .map_err(|error| format!("{}: {error}", plan.directory.display()))?;
    let mut records = Vec::new();
    let mut site: Option<Site> = None;
    let end = plan.first + plan.rounds;
    let mut labs = 0_u64;
    for number in plan.first..end {
        let ready = match site.take() {
            Some(site) if is_well(&site, tell) => site,
            other => {
                drop(other);
                labs += 1;
                new_site(plan, means, labs)?
            }
        };
        let record = play_round(plan, means, &ready, number, tell)?;
        record.append(&plan.records())?;
        site = Some(ready);
        records.push(record);
    }
    if let Some(site) = site {
        let left = end_cleanly(site);
        left.iter().for_each(|left| tell(&format!("LEFT at the end: {left}")));
        if let (Some(record), false) = (records.last_mut(), left.is_empty()) {
            let text = format!("left at the end: {}", left.join("; "));
            record.violations.push(Violation::new(Kind::Orphan, text));
        }
    }
    Ok(records)
}

fn new_site(plan: &Plan, means: &Means, number: u64) -> Result<Site, String> {
    let topology = plan.configuration.example().name();
    let name = format!("chaos-{}-{topology}-{number}", std::process::id());
    let (site, _) = served(Setup::fenced(plan.configuration), Contender::Ours, means, &name)?;
    Ok(site)
}

fn play_round(
    plan: &Plan,
    means: &Means,
    site: &Site,
    number: u64,
    tell: &dyn Fn(&str),
) -> Result<Record, String> {
    let drawn = plan.drawn(number).ok_or("no such fault")?;
    let token = Duration::from_millis(u64::from(means.token));
    let prepared =
        drawn.iter().map(|one| round::prepare(site, token, one)).collect::<Result<Vec<_>, _>>()?;
    let lines: Vec<String> = prepared.iter().map(round::Prepared::line).collect();
    let names: Vec<&str> = drawn.iter().map(|one| one.fault.name).collect();
    let moment = prepared.first().map(round::Prepared::moment).unwrap_or_default();
    let line = format!("{}, {moment}", lines.join("; meanwhile "));
    tell(&format!("round {number}: {line}"));
    let record = Record {
        topology: plan.configuration.example().name().to_owned(),
        daemon: means.daemon.name().to_owned(),
        seed: plan.seed,
        round: number,
        fault: names.join(" + "),
        line,
        silent: Duration::ZERO,
        limit: Duration::ZERO,
        stalled: Duration::ZERO,
        busy: 0,
        fenced: Vec::new(),
        violations: Vec::new(),
    };
    let (record, mark, seen) = round::play(site, &prepared, plan.patience, record)?;
    tell(&words(&record));
    for violation in &record.violations {
        tell(&format!("  VIOLATION: {violation}"));
    }
    if !record.is_good() {
        let name = format!("{}-{}-{number}.txt", record.topology, plan.seed);
        let path = plan.directory.join(name);
        let violations: String = record.violations.iter().map(|v| format!("{v}\n")).collect();
        let status = scenario::status(&site.lab);
        let text = format!("{}\n{violations}{seen}\n{status}\n{}", record.line, mark.written());
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        tell(&format!("  alone: {}", plan.command(number, 1)));
        tell(&format!("  from the start: {}", plan.command(1, number)));
        tell(&format!("  logs: {}", path.display()));
    }
    Ok(record)
}

/// `  0.3 s without SIP (limit 3.0 s), fenced: node2`.
fn words(record: &Record) -> String {
    let (silent, limit) = (record.silent.as_secs_f64(), record.limit.as_secs_f64());
    let mut words = format!("  {silent:.1} s without SIP (limit {limit:.1} s)");
    if !record.fenced.is_empty() {
        words += &format!(", fenced: {}", record.fenced.join(", "));
    }
    if record.stalled > Duration::ZERO {
        let stalled = record.stalled.as_secs_f64();
        words += &format!(", the machine stood still for {stalled:.1} s");
    }
    if record.busy >= BUSY {
        words += &format!(", processors were waited for in {} % of the time", record.busy);
    }
    words
}

/// Makes the cluster well for the next round, as an administrator would after each incident: failures
/// are forgotten. Whether it is.
fn is_well(site: &Site, tell: &dyn Fn(&str)) -> bool {
    let well = || -> Result<(), String> {
        let timeout = format!("--timeout={}", PATIENCE.as_secs());
        let text = |error: lab::Error| error.to_string();
        if site.lab.powered_nodes().map_err(text)?.len() < site.nodes().len() {
            return Err("a node is off".to_owned());
        }
        site.lab.wait_online(Duration::from_secs(30)).map_err(text)?;
        let node = site.nodes().into_iter().next().ok_or("no node")?;
        site.run(&node, &["crm_resource", "--wait", &timeout])?;
        if site.run(&node, &["crm_mon", "-1", "--include=none,failcounts"])?.contains("fail-count=")
        {
            site.run(&node, &["crm_resource", "--cleanup"])?;
        }
        // What ocf:pacemaker:ping has published can be lost with a controller; it does not tell it again.
        site.run(&node, &["attrd_updater", "--refresh"])?;
        // What an agent of ours has published and the attribute daemon has lost, a probe tells again: else the
        // next round would count it, too.
        if site.nodes().iter().any(|node| !inspect::attributes(site, node).is_empty()) {
            site.run(&node, &["crm_resource", "--refresh"])?;
        }
        wait_served(site, &Watch::start(&site.lab)?)
    };
    let well = well();
    if let Err(error) = &well {
        let line = error.lines().next().unwrap_or_default();
        tell(&format!("  the cluster is not well, a new one is made: {line}"));
    }
    well.is_ok()
}

/// All is stopped: nothing of it may be left in the nodes. Then the lab ends: nothing of it may be left on
/// the machine.
fn end_cleanly(site: Site) -> Vec<String> {
    let mut left = Vec::new();
    let nodes = site.nodes();
    let stop =
        "crm_attribute --name stop-all-resources --update true; crm_resource --wait --timeout=120";
    match site.shell(nodes.first().map_or("", String::as_str), stop) {
        Ok(_) => left.extend(nodes.iter().flat_map(|node| left_in(&site, node))),
        Err(error) => left.push(error),
    }
    let (rack, state) = (site.lab.rack(), site.lab.state_directory());
    drop(site);
    if rack.is_some_and(lab::Process::is_alive) {
        left.push("the lab's first process".to_owned());
    }
    left.extend(Some(state.display().to_string()).filter(|_| state.exists()));
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    left.extend(mounts.lines().filter(|line| is_below(line, &state)).map(str::to_owned));
    left
}

fn is_below(mount: &str, state: &Path) -> bool {
    mount.split(' ').nth(1).is_some_and(|target| Path::new(target).starts_with(state))
}

/// What a node has of the resources when all are stopped: processes, addresses, rules, locks, files of theirs
/// in /tmp.
fn left_in(site: &Site, node: &str) -> Vec<String> {
    let looks = [
        ("pgrep -lx 'opensips|opensips-vip|opensips-ocf'", "process"),
        ("ip -o addr | grep -F ' 192.0.2.10/'", "address"),
        ("ip rule | grep -vE '^(0|32766|32767):'", "rule"),
        ("ls -d /run/smartvox/*.lock /run/smartvox/*.async-monitor /run/opensips/*", "file"),
        ("ls -A /tmp", "in /tmp"),
    ];
    let mut left = Vec::new();
    for (look, what) in looks {
        let shown = site.run(node, &["sh", "-c", &format!("{look} 2>/dev/null || true")]);
        let shown = shown.unwrap_or_else(|error| error);
        left.extend(shown.lines().map(|line| format!("{node}: {what} {line}")));
    }
    left
}
