//! Plays a round: a cluster that is well, a fault, its end, and the time until it is well again.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::draw::Drawn;
use super::fault::{Allowed, Case, Circumstances, Role};
use super::inspect;
use super::journal::Mark;
use super::owners::{Owners, host};
use super::record::{Kind, Record, Violation};
use crate::site::Site;
use crate::site::up::idle;
use crate::site::watch::Watch;
use crate::witness::{Witness, waited_for_processor};

/// A stall of the machine that is worth noting.
const STALL: Duration = Duration::from_millis(200);

/// SIP has been answered for that long without a pause: it is back.
const STEADY: Duration = Duration::from_secs(4);

/// What is wrong after that is not on its way any more.
const SETTLED: Duration = Duration::from_secs(60);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Two faults, one in the other, are begun within this time.
const APART: Duration = Duration::from_secs(4);

/// A fault on its cluster, with what is allowed of it.
#[derive(Debug)]
pub struct Prepared<'s> {
    drawn: Drawn,
    case: Case<'s>,
    allowed: Allowed,
}

/// Resolves who is struck.
///
/// # Errors
/// The address is nowhere.
pub fn prepare<'s>(site: &'s Site, token: Duration, drawn: &Drawn) -> Result<Prepared<'s>, String> {
    let serving = site.lab.resource_location("vip").ok_or("the address is nowhere")?;
    let mut dice = drawn.dice.clone();
    let others: Vec<String> = site.nodes().into_iter().filter(|node| *node != serving).collect();
    let other = dice.choice(&others).cloned().unwrap_or_else(|| serving.clone());
    let (victims, other) = match drawn.role {
        Role::Serving => (vec![serving], other),
        Role::Standby => (vec![other], serving),
        Role::All => (site.nodes(), serving),
    };
    let circumstances =
        Circumstances { role: drawn.role, hot: site.is_hot(), lasts: drawn.lasts, token };
    let allowed = (drawn.fault.allowed)(&circumstances);
    let (dice, stopped) = (RefCell::new(dice), RefCell::default());
    let case = Case { site, victims, other, circumstances, dice, stopped };
    Ok(Prepared { drawn: drawn.clone(), case, allowed })
}

impl Prepared<'_> {
    /// What happens, to whom, for how long.
    #[must_use]
    pub fn line(&self) -> String {
        let lasts = self.drawn.lasts.as_secs_f64();
        let how_long = if lasts > 0.0 { format!(" for {lasts:.1} s") } else { String::new() };
        format!("{} {}{how_long}", self.drawn.fault.what, self.case.victim_words())
    }

    /// When: `1.3 s after it was well`.
    #[must_use]
    pub fn moment(&self) -> String {
        format!("{:.1} s after it was well", self.drawn.moment.as_secs_f64())
    }
}

/// What watches a round.
struct Observers {
    watch: Watch,
    owners: Owners,
    witness: Witness,
    mark: Mark,
}

/// Plays faults, the second one (if there are two) within the first; fills what came of it into a record.
///
/// # Errors
/// The observers can't be started.
pub fn play(
    site: &Site,
    prepared: &[Prepared<'_>],
    patience: Duration,
    mut record: Record,
) -> Result<(Record, Mark, String), String> {
    let (watch, owners) = (Watch::start(&site.lab)?, Owners::start(&site.lab)?);
    let mark = Mark::now(&site.lab, &site.nodes());
    let observers = Observers { watch, owners, witness: Witness::start(STALL), mark };
    let (begun, waited) = (Instant::now(), waited_for_processor());
    std::thread::sleep(prepared.first().map_or(Duration::ZERO, |first| first.drawn.moment));
    let struck = Instant::now();
    let mended = strike_and_mend(prepared, &mut record.violations);
    let back = await_whole(site, prepared, &observers.watch, mended, patience);
    let Observers { watch, owners, witness, mark } = observers;
    let seen = watch.so_far();
    let stalls = witness.finish();
    record.stalled = stalls.iter().map(|stall| stall.length).sum();
    record.busy = percent(waited_for_processor().saturating_sub(waited), begun.elapsed());
    record.silent = seen.silent(struck);
    record.fenced = mark.fenced();
    if let Some(text) = back {
        record.violations.push(Violation::new(Kind::NotBack, text));
    }
    record.violations.extend(inspect::settled(site, &owners, patience.min(SETTLED)));
    judge(&mut record, prepared, &mark);
    let until = |allowed: &Allowed| allowed.two_owners.map(|after| mended + after);
    let allowed_until = prepared.iter().filter_map(|one| until(&one.allowed)).max();
    record.violations.extend(two_owners(&owners, struck, allowed_until));
    Ok((record, mark, seen.to_string()))
}

fn percent(part: Duration, of: Duration) -> u64 {
    let percent = (part * 100).as_millis().checked_div(of.as_millis()).unwrap_or_default();
    u64::try_from(percent).unwrap_or(u64::MAX)
}

fn judge(record: &mut Record, prepared: &[Prepared<'_>], mark: &Mark) {
    let was_fenced = !record.fenced.is_empty();
    record.limit = prepared.iter().map(|one| one.allowed.limit(was_fenced)).sum();
    if record.silent > record.limit && record.is_timed() {
        let (silent, limit) = (record.silent.as_secs_f64(), record.limit.as_secs_f64());
        let text = format!("{silent:.1} s, limit {limit:.1} s");
        record.violations.push(Violation::new(Kind::Silent, text));
    }
    for stop in mark.failed_stops() {
        record.violations.push(Violation::new(Kind::FailedStop, stop));
    }
    if !record.fenced.is_empty() && !prepared.iter().any(|one| one.allowed.fencing) {
        record.violations.push(Violation::new(Kind::Fencing, record.fenced.join(", ")));
    }
}

/// Moments with two owners, outside of the time that is allowed for them.
fn two_owners(owners: &Owners, struck: Instant, until: Option<Instant>) -> Option<Violation> {
    let asked = owners.so_far();
    let twice = asked.iter().filter(|asked| asked.answered.len() > 1);
    let wrong: Vec<_> = twice.filter(|asked| until.is_none_or(|until| asked.at > until)).collect();
    let (first, last) = (wrong.first()?, wrong.last()?);
    let after = |at: Instant| at.saturating_duration_since(struck).as_secs_f64();
    let who: Vec<String> = first.answered.iter().map(|mac| host(mac)).collect();
    let text = format!(
        "{} answered at the same time, {} times, from {:.2} s to {:.2} s after it began",
        who.join(" and "),
        wrong.len(),
        after(first.at),
        after(last.at)
    );
    Some(Violation::new(Kind::Owners, text))
}

/// The faults from beginning to end. Returns when the last one ended.
fn strike_and_mend(prepared: &[Prepared<'_>], violations: &mut Vec<Violation>) -> Instant {
    let mut told = |what: &str, result: Result<(), String>| {
        if let Err(error) = result {
            violations.push(Violation::new(Kind::NotPlayed, format!("{what}: {error}")));
        }
    };
    let mut active: Vec<(&Prepared<'_>, Instant)> = Vec::new();
    for one in prepared {
        if !active.is_empty() {
            let pause = one.case.dice.borrow_mut().time(Duration::ZERO, APART);
            std::thread::sleep(pause);
        }
        told("strike", (one.drawn.fault.strike)(&one.case));
        active.push((one, Instant::now()));
    }
    let is_over = |(one, since): &(&Prepared<'_>, Instant)| since.elapsed() >= one.drawn.lasts;
    while !active.is_empty() {
        for (one, _) in active.iter().filter(|one| is_over(one)) {
            told("mend", (one.drawn.fault.mend)(&one.case));
        }
        active.retain(|one| !is_over(one));
        for (one, _) in &active {
            told("meanwhile", (one.drawn.fault.meanwhile)(&one.case));
        }
        let left =
            active.iter().map(|(one, since)| one.drawn.lasts.saturating_sub(since.elapsed()));
        std::thread::sleep(left.min().unwrap_or_default().min(LOOK));
    }
    Instant::now()
}

/// Waits until SIP is answered, nothing is going on and every node is a member. Returns what is missing
/// where that does not come by itself.
fn await_whole(
    site: &Site,
    prepared: &[Prepared<'_>],
    watch: &Watch,
    mended: Instant,
    patience: Duration,
) -> Option<String> {
    let least = prepared.iter().map(|one| one.drawn.fault.least).max().unwrap_or_default();
    loop {
        let steady = watch.so_far().steady(STEADY);
        let whole = is_whole(site);
        let elapsed = mended.elapsed();
        if elapsed >= least && steady && whole {
            return None;
        }
        if elapsed > least + patience {
            let words = if steady { "a node or a resource is missing" } else { "no SIP" };
            return Some(format!("{words}\n{}", crate::scenario::status(&site.lab)));
        }
        std::thread::sleep(LOOK * 3);
    }
}

/// Whether every node is a member, every resource where it belongs, and no action pending.
fn is_whole(site: &Site) -> bool {
    let nodes = site.nodes();
    let whole = |status: lab::ClusterStatus| {
        status.are_online(nodes.iter().map(String::as_str)) && inspect::is_placed(site, &status)
    };
    site.lab.cluster_status().is_ok_and(whole) && idle(site)
}
