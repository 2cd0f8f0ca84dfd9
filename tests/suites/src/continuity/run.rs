//! Plays a sequence with one contender on a cluster of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::{Bind, Lab};

use super::configure::{SERVICE, SERVICE_SOURCE, configure};
use super::outcome::{Outcome, inspect};
use super::sequence::{Configuration, Contender, Sequence, Setup};
use super::site::{NODES, PATIENCE, Site};
use super::watch::{Seen, Watch};
use crate::daemon::Daemon;
use crate::gateway;
use crate::scenario::{self, Changes, repository};
use crate::witness::Witness;

/// A stall of the machine that is worth noting.
const STALL: Duration = Duration::from_millis(200);

/// SIP has been answered for that long without a pause: it is back.
const STEADY: Duration = Duration::from_secs(10);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// What a run needs.
#[derive(Clone, Debug)]
pub struct Means {
    /// Directory with the built agents.
    pub agents: PathBuf,
    /// Which OpenSIPS.
    pub daemon: Daemon,
    /// Corosync's token timeout in milliseconds.
    pub token: u32,
    /// Where to put what the cluster said, if anywhere.
    pub details: Option<PathBuf>,
}

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

/// A cluster on which the service runs, and a client that is answered.
///
/// # Errors
/// What kept it from that, as one sentence or with what `crm_mon` shows.
pub fn served(
    setup: Setup,
    contender: Contender,
    means: &Means,
    name: &str,
) -> Result<(Site, Watch), String> {
    let lab = bring_up(setup, contender, means, name)?;
    let site = Site::new(lab, setup, contender);
    configure(&site.lab, setup, contender)?;
    let watch = Watch::start(&site.lab)?;
    wait_served(&site, &watch)?;
    Ok((site, watch))
}

/// The same, made ready for a sequence.
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

fn bring_up(setup: Setup, contender: Contender, means: &Means, name: &str) -> Result<Lab, String> {
    let mut changes = Changes::default();
    if contender == Contender::Peer {
        let source = repository().join(SERVICE_SOURCE);
        changes.binds.push(Bind { source, destination: PathBuf::from(SERVICE) });
    }
    let example = setup.configuration.example();
    scenario::up_with(example, name, &means.agents, &means.daemon, means.token, changes)
}

/// Waits until SIP is answered without a pause and nothing is going on in the cluster: a cause that
/// came while a gateway is still being asked for the first time would meet a cluster that is busy.
///
/// # Errors
/// It is not so in time.
pub fn wait_served(site: &Site, watch: &Watch) -> Result<(), String> {
    let served = || watch.so_far().steady(Duration::from_secs(3)) && idle(site);
    site.wait("SIP answered and the cluster idle", served)?;
    let timeout = format!("--timeout={}", PATIENCE.as_secs());
    site.run("node1", &["crm_resource", "--wait", &timeout])?;
    if watches_gateway(site.setup.configuration) {
        gateway::wait_known(&site.lab, |_| true, PATIENCE)?;
    }
    site.wait("SIP answered and the cluster idle", served)?;
    site.set_active(serving_node(site)?);
    Ok(())
}

/// Whether the configuration has a resource that asks the gateway.
fn watches_gateway(configuration: Configuration) -> bool {
    matches!(configuration, Configuration::ActiveStandby | Configuration::HotStandby)
}

/// Whether no action is pending, and every node that has power is online.
fn idle(site: &Site) -> bool {
    let Ok(status) = site.lab.cluster_status() else { return false };
    let busy = |resource: &lab::ResourceStatus| resource.pending.is_some();
    status.nodes.iter().all(|node| !node.pending && !node.unclean)
        && !status.resources.iter().any(busy)
}

fn serving_node(site: &Site) -> Result<String, String> {
    site.wait("the address is somewhere", || site.lab.resource_location("vip").is_some())?;
    site.lab.resource_location("vip").ok_or_else(|| "the address has gone".to_owned())
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
