//! One case: calls at a steady rate, a fault among them, and what came of it.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempPath;

use crate::calls::fault::Fault;
use crate::calls::outcome::{Call, Calls, Gap, Statistics};
use crate::calls::parts::Parts;
use crate::calls::phones::{self, Phones};
use crate::calls::sipp::{self, Alice, Answering, BOB_PORT, Load, Told};
use crate::daemon::Daemon;
use crate::pair::Pair;
use crate::scenario::{self, Changes, Example, Fencing, peer, repository};
use crate::witness::Witness;

/// A stall of the machine that is worth telling.
const STALL: Duration = Duration::from_millis(5);
/// For how long after the last action of an agent a gap is one of the move.
const AFTER: Duration = Duration::from_secs(1);
/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// What came of a case. Times are since the epoch.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The pair's configuration.
    pub example: Example,
    /// What happened.
    pub fault: Fault,
    /// The node that it happened to.
    pub struck_node: String,
    /// SIPp's counters.
    pub statistics: Statistics,
    /// Each call.
    pub calls: Calls,
    /// What SIPp says about calls that went wrong.
    pub errors: String,
    /// What came of the phones that did something else.
    pub phones: Vec<phones::Told>,
    /// When the fault was about to be made.
    pub struck: Duration,
    /// What Pacemaker says about it, on the node that serves afterwards.
    pub parts: Parts,
    /// The same on the other node, unless that has no power.
    pub left: Parts,
    /// Dialogs that the node in reserve knew just before the fault; a hot standby's alone.
    pub dialogs_at_peer: Option<u64>,
    /// Dialogs that the node which serves afterwards still knew when every call had ended.
    pub dialogs_left: Option<u64>,
    /// The machine's own stalls meanwhile: when they began, since the epoch, and how long they were.
    pub stalls: Vec<(Duration, Duration)>,
}

/// What callers wait for, one after the other, in a move.
fn waited_for(example: Example) -> &'static [(&'static str, &'static str)] {
    let all = &[("vip", "stop"), ("vip", "start"), ("opensips", "stop"), ("opensips", "start")];
    match example {
        Example::ActiveStandby | Example::ThreeNodes => all,
        Example::HotStandby => &all[..2],
    }
}

impl Outcome {
    /// Makes the pair well again.
    ///
    /// # Errors
    /// It isn't in time.
    pub fn mend(&self, pair: &Pair) -> Result<(), String> {
        self.fault.mend(pair, &self.struck_node, PATIENCE)
    }

    /// The longest time between two answered INVITEs from the first action that callers wait for until they
    /// had time to call again; of all where there is none, or where the node that had the service is dead.
    /// Before it the service is where it was: what callers miss then is the machine's doing, which also
    /// runs the administrator's command.
    pub fn gap(&self) -> Option<Gap> {
        let waited_for = waited_for(self.example);
        let runs = || self.parts.waited_for(&self.left, waited_for).into_iter();
        let begun = runs().map(|run| run.ended.saturating_sub(run.took)).min();
        match (begun, runs().map(|run| run.ended).max()) {
            (Some(begun), Some(end)) if self.parts.fenced.is_none() => {
                self.calls.longest_gap_within(begun, end + AFTER)
            }
            _ => self.calls.longest_gap(),
        }
    }

    /// What that time consists of, in order.
    pub fn way(&self) -> Vec<(&'static str, Duration)> {
        let Some(gap) = self.gap() else { return Vec::new() };
        self.parts.way(&self.left, waited_for(self.example), (gap.from, gap.to))
    }

    /// Whether the machine itself stood still within it.
    pub fn stalled(&self) -> bool {
        self.gap().is_some_and(|gap| {
            self.stalls.iter().any(|(from, took)| *from < gap.to && *from + *took > gap.from)
        })
    }

    /// Calls that were up when the fault struck.
    pub fn up(&self) -> impl Iterator<Item = &Call> {
        self.calls.up_at(self.struck)
    }

    /// Those of them whose BYE was answered.
    pub fn ended(&self) -> usize {
        self.up().filter(|call| call.ended.is_some()).count()
    }

    /// What the agents themselves took between fencing (where nothing was fenced: the last answer
    /// before the longest gap) and the first answer after it.
    pub fn agents_share(&self) -> Option<Duration> {
        let gap = self.gap()?;
        Some(self.parts.agents_share(self.parts.fenced.unwrap_or(gap.from), gap.to))
    }
}

/// A pair that is ready for calls through a failover, with fencing. The hot standby's configuration finds Bob
/// where he has registered. Active/standby forgets registrations with the daemon, and what is measured is
/// what callers lose by the failover itself: a gateway takes the calls ([`with_gateway`]).
///
/// # Errors
/// Whatever kept the lab or its cluster from coming up.
pub fn pair(
    example: Example,
    name: &str,
    agents: &Path,
    daemon: &Daemon,
    token_ms: u32,
) -> Result<Pair, String> {
    let config = match example {
        Example::HotStandby => None,
        Example::ActiveStandby | Example::ThreeNodes => Some(written(&with_gateway()?)?),
    };
    let changes =
        Changes { config: config.as_ref().map(|file| file.to_path_buf()), ..Changes::default() };
    let lab = scenario::up_with(example, name, agents, daemon, token_ms, changes)?;
    scenario::configure_as(example, &lab, Fencing::On)?;
    sipp::prepare(&lab)?;
    Ok(Pair::new(lab, example).keeping(config))
}

/// The configuration of active/standby, with a gateway where it looks for a registration.
///
/// # Errors
/// It can't be read, or has no such place.
pub fn with_gateway() -> Result<String, String> {
    let from = repository().join("pcs-examples/opensips-active-standby.cfg");
    let text = std::fs::read_to_string(&from).map_err(|e| format!("{}: {e}", from.display()))?;
    let place = "\tif (!lookup(\"location\")) {\n\t\tsend_reply(404, \"Not Found\");\n\t\texit;\n\t}\n\
                 \troute(relay);\n}\n";
    if text.matches(place).count() != 1 {
        return Err(format!("{}: no place for a gateway", from.display()));
    }
    let gateway = format!(
        "\tif ($rU == \"carol\")\n\t\t$du = \"sip:{}\";\n\telse\n\t\t$du = \"sip:{}\";\n\t\
         route(relay);\n}}\n",
        phones::CAROL_AT,
        sipp::BOB
    );
    Ok(text.replace(place, &gateway))
}

/// A file of it, which OpenSIPS may read under any user.
fn written(config: &str) -> Result<TempPath, String> {
    let mode = Permissions::from_mode(0o644);
    let file = tempfile::Builder::new().prefix("smartvox-calls-").permissions(mode).tempfile();
    let mut file = file.map_err(|error| format!("a configuration of OpenSIPS: {error}"))?;
    let written = file.write_all(config.as_bytes());
    written.map_err(|error| format!("{}: {error}", file.path().display()))?;
    Ok(file.into_temp_path())
}

/// Runs a case on a pair that is well; [`Outcome::mend`] makes it well again. The fault strikes when
/// `before` is over.
///
/// # Errors
/// Whatever kept the case from being measured, as one sentence or with what crm_mon shows.
pub fn run(pair: &Pair, fault: Fault, load: Load, before: Duration) -> Result<Outcome, String> {
    let active = pair.wait_placed(PATIENCE, |_| true)?;
    if pair.example == Example::HotStandby {
        sipp::register(&pair.lab, "bob", BOB_PORT)?;
    }
    let _bob = Answering::bob(&pair.lab)?;
    let begin = || Phones::begin(&pair.lab, pair.example, load);
    let phones = load.phones.then(begin).transpose()?;
    let alice = Alice::call(&pair.lab, load)?;
    let (witness, zero) = (Witness::start(STALL), (Instant::now(), SystemTime::now()));
    std::thread::sleep(before);
    let dialogs = |node: &str| match pair.example {
        Example::HotStandby => pair.dialogs(node).map(Some),
        Example::ActiveStandby | Example::ThreeNodes => Ok(None),
    };
    let dialogs_at_peer = dialogs(peer(&active))?;
    let begun = SystemTime::now();
    fault.strike(pair, &active)?;
    let finished = alice.finish(&pair.lab);
    let stalls = witness.finish();
    let phones = phones.map(|phones| phones.finish(&pair.lab)).transpose()?.unwrap_or_default();
    let Told { statistics, calls, errors } = finished?;
    let fits = |node: &str| match fault {
        Fault::Nothing => node == active,
        // Restarted in place, or moved: as the example says.
        Fault::Kill => true,
        _ => node == peer(&active),
    };
    // Not the whole pair: a node in standby, or one that has failed, has nothing until it is mended.
    let serving = lab::wait_for("the address is where it should be", PATIENCE, || {
        pair.lab.resource_location("vip").filter(|node| fits(node))
    })
    .map_err(|error| error.to_string())?;
    let dialogs_left = dialogs(&serving)?;
    let told = |node: &str| {
        let zone = pair.run(node, &["date", "+%z"])?;
        let log = pair.run(node, &["cat", "/var/log/pacemaker/pacemaker.log"])?;
        Ok::<_, String>(Parts::parse(&log, zone.trim(), begun))
    };
    let parts = told(&serving)?;
    Ok(Outcome {
        example: pair.example,
        fault,
        struck_node: active,
        statistics,
        calls,
        errors,
        phones,
        struck: begun.duration_since(UNIX_EPOCH).unwrap_or_default(),
        parts,
        left: told(peer(&serving)).unwrap_or_default(),
        dialogs_at_peer,
        dialogs_left,
        stalls: stalls.iter().map(|stall| (since_epoch(zero, stall.from), stall.length)).collect(),
    })
}

/// The time of an instant, by a pair of the same moment.
fn since_epoch((zero, then): (Instant, SystemTime), at: Instant) -> Duration {
    let then = then.duration_since(UNIX_EPOCH).unwrap_or_default();
    then + at.saturating_duration_since(zero)
}
