//! Plays a sequence with one contender on a cluster of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use super::outcome::{Outcome, inspect};
use super::sequence::Sequence;
use crate::scenario;
use crate::site::setup::{Contender, Setup};
use crate::site::up::{Means, idle, served, wait_served};
use crate::site::watch::{Seen, Watch};
use crate::site::{NODES, Site};
use crate::witness::Witness;

/// A stall of the machine that is worth noting.
const STALL: Duration = Duration::from_millis(200);

/// SIP has been answered for that long without a pause: it is back.
const STEADY: Duration = Duration::from_secs(10);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Plays a sequence. `lab` is the name of the cluster; `ready` is called when the service runs, before
/// the cause: two contenders wait for each other there.
///
/// # Errors
/// What kept the sequence from being played, as one sentence or with what `crm_mon` shows.
pub fn play(
    sequence: &Sequence,
    setup: Setup,
    contender: Contender,
    means: &Means,
    lab: &str,
    ready: impl FnOnce(),
) -> Result<Outcome, String> {
    let prepared = prepare(sequence, setup, contender, means, lab);
    // Also where it failed: the other one must not wait for ever.
    ready();
    let (site, watch) = prepared?;
    let result = observe(sequence, &site, &watch);
    if let Some(directory) = &means.details {
        record_details(directory, sequence, &site, &watch.so_far())?;
    }
    result.map_err(|error| format!("{error}\n{}", scenario::status(&site.lab)))
}

/// A cluster made ready for a sequence.
fn prepare(
    sequence: &Sequence,
    setup: Setup,
    contender: Contender,
    means: &Means,
    name: &str,
) -> Result<(Site, Watch), String> {
    let (site, watch) = served(setup, contender, means, name)?;
    (sequence.prepare)(&site)?;
    wait_served(&site, &watch)?;
    (sequence.stage)(&site)?;
    Ok((site, watch))
}

/// The cause, its end, and the time after it.
fn observe(sequence: &Sequence, site: &Site, watch: &Watch) -> Result<Outcome, String> {
    let witness = Witness::start(STALL);
    let struck = Instant::now();
    (sequence.strike)(site)?;
    while struck.elapsed() < sequence.lasts {
        (sequence.meanwhile)(site)?;
        std::thread::sleep(LOOK);
    }
    let mended = Instant::now();
    (sequence.mend)(site)?;
    let ended = Instant::now();
    while ended.elapsed() < sequence.watch {
        let long_enough = ended.elapsed() >= sequence.least;
        if long_enough && watch.so_far().steady(STEADY) && idle(site) {
            break;
        }
        std::thread::sleep(LOOK.max(Duration::from_secs(1)));
    }
    let seen = watch.so_far();
    let stalled = witness.finish().iter().map(|stall| stall.length).sum();
    let serves = seen.steady(Duration::from_secs(5));
    let (operator, remarks) = inspect(site, serves)?;
    Ok(Outcome {
        silent: seen.silent(struck),
        silent_after: seen.silent(mended),
        serves,
        served: who(site, &seen, struck),
        operator,
        remarks,
        stalled,
    })
}

/// `A, B from 5.2 s`: who served, by the letters of the table.
fn who(site: &Site, seen: &Seen, since: Instant) -> String {
    let letter = |node: &str| match node {
        node if node == site.active() => "A".to_owned(),
        node if NODES.contains(&node) => "B".to_owned(),
        other => other.to_owned(),
    };
    let served = seen.served(since);
    let mut words: Vec<String> = Vec::new();
    for (number, (at, node)) in served.iter().enumerate() {
        let at = at.as_secs_f64();
        words.push(match number {
            0 if at < 1.0 => letter(node),
            _ => format!("{} from {at:.1} s", letter(node)),
        });
    }
    match words.as_slice() {
        [] => "nobody".to_owned(),
        [first @ .., last] if words.len() > 4 => {
            let first: Vec<_> = first.iter().take(2).cloned().collect();
            format!("{}, … ({} changes), {last}", first.join(", "), words.len() - 1)
        }
        all => all.join(", "),
    }
}

/// What the cluster said, for a row that needs an explanation.
fn record_details(
    directory: &Path,
    sequence: &Sequence,
    site: &Site,
    seen: &Seen,
) -> Result<(), String> {
    let name = format!(
        "{}-{}-{}.txt",
        sequence.name,
        site.setup.to_string().replace([' ', '/', ','], "_"),
        site.contender.name()
    );
    let mut text = format!("{seen}\n{}\n", scenario::status(&site.lab));
    for node in NODES {
        for path in site.lab.log_paths(node).unwrap_or_default() {
            let log = std::fs::read(&path).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            text += &format!("== {node} {}\n", path.display());
            let words = ["warning:", "error:", "crit:", "Result of ", "notice:"];
            for line in log.lines().filter(|line| words.iter().any(|word| line.contains(word))) {
                text += line;
                text.push('\n');
            }
        }
    }
    let path = directory.join(name);
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}
