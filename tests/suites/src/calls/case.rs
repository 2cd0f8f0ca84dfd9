//! One case: calls at a steady rate, a fault among them, and what came of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::calls::fault::Fault;
use crate::calls::outcome::{Call, Calls, Gap, Statistics};
use crate::calls::parts::Parts;
use crate::calls::sipp::{self, Alice, Bob, Load, Told};
use crate::pair::Pair;
use crate::scenario::{Changes, Example, peer, repository};
use crate::witness::Witness;

/// A stall of the machine that is worth telling.
const STALL: Duration = Duration::from_millis(25);
/// How long anything may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// What came of a case. Times are since the epoch.
#[derive(Clone, Debug)]
pub struct Outcome {
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
    /// When the fault was about to be made.
    pub struck: Duration,
    /// What Pacemaker says about it.
    pub parts: Parts,
    /// Dialogs that the node in reserve knew just before the fault; a hot standby's alone.
    pub dialogs_at_peer: Option<u64>,
    /// Dialogs that the node which serves afterwards still knew when every call had ended.
    pub dialogs_left: Option<u64>,
    /// The machine's own stalls meanwhile: how many, and the longest.
    pub stalls: (usize, Duration),
}

impl Outcome {
    /// Makes the pair well again.
    ///
    /// # Errors
    /// It isn't in time.
    pub fn mend(&self, pair: &Pair) -> Result<(), String> {
        self.fault.mend(pair, &self.struck_node, PATIENCE)
    }

    /// The longest time between two answered INVITEs.
    pub fn gap(&self) -> Option<Gap> {
        self.calls.longest_gap()
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

/// The changes to an example for calls through a failover. The hot standby's configuration finds Bob
/// where he has registered. Active/standby forgets registrations with the daemon, and what is measured is
/// what callers lose by the failover itself: a gateway takes the calls.
///
/// # Errors
/// The example's configuration has no such place, or the file can't be written.
pub fn changes(example: Example) -> Result<Changes, String> {
    if example == Example::HotStandby {
        return Ok(Changes::default());
    }
    let from = repository().join("pcs-examples/opensips-active-standby.cfg");
    let text = std::fs::read_to_string(&from).map_err(|e| format!("{}: {e}", from.display()))?;
    let place = "\tif (!lookup(\"location\")) {\n\t\tsend_reply(404, \"Not Found\");\n\t\texit;\n\t}\n\
                 \troute(relay);\n}\n";
    if text.matches(place).count() != 1 {
        return Err(format!("{}: no place for a gateway", from.display()));
    }
    let gateway = format!("\t$du = \"sip:{}\";\n\troute(relay);\n}}\n", sipp::BOB);
    let config = std::env::temp_dir().join(format!("smartvox-calls-{}.cfg", std::process::id()));
    std::fs::write(&config, text.replace(place, &gateway))
        .map_err(|e| format!("{}: {e}", config.display()))?;
    Ok(Changes { config: Some(config), ..Changes::default() })
}

/// Runs a case on a pair that is well; [`Outcome::mend`] makes it well again. The fault strikes when
/// `before` is over.
///
/// # Errors
/// Whatever kept the case from being measured, as one sentence or with what crm_mon shows.
pub fn run(pair: &Pair, fault: Fault, load: Load, before: Duration) -> Result<Outcome, String> {
    let active = pair.wait_placed(PATIENCE, |_| true)?;
    if pair.example == Example::HotStandby {
        sipp::register(&pair.lab)?;
    }
    let _bob = Bob::answer(&pair.lab)?;
    let alice = Alice::call(&pair.lab, load)?;
    let witness = Witness::start(STALL);
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
    let zone = pair.run(&serving, &["date", "+%z"])?;
    let log = pair.run(&serving, &["cat", "/var/log/pacemaker/pacemaker.log"])?;
    Ok(Outcome {
        fault,
        struck_node: active,
        statistics,
        calls,
        errors,
        struck: begun.duration_since(UNIX_EPOCH).unwrap_or_default(),
        parts: Parts::parse(&log, zone.trim(), begun),
        dialogs_at_peer,
        dialogs_left,
        stalls: (stalls.len(), stalls.iter().map(|stall| stall.length).max().unwrap_or_default()),
    })
}
