//! Each call of an action gets each fault; what may follow, and what may not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use testnet::Outcome;

use super::fault::{Call, FAULTS, Fault, calls, of_each_kind};
use super::subject::{Case, State, Subject};

/// On the host of the subject.
const RECORD: &str = "/run/faults.strace";
/// Long enough for a machine that is stalled.
const LONG: Duration = Duration::from_secs(120);
/// What a monitor says of a resource that serves: 0, promoted, degraded, degraded and promoted.
const SERVES: [i32; 4] = [0, 8, 190, 191];
const NOT_RUNNING: i32 = 7;
/// After an action that only reads, the resource is stopped and started this seldom.
const READS: usize = 10;

/// Which of the faults of a case are put: each `of`-th, beginning with number `first`.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// To the first and the last call of each kind alone.
    pub kinds: bool,
    /// The first one, from 0.
    pub first: usize,
    /// The distance to the next one.
    pub of: usize,
}

/// What came of a case.
#[derive(Debug)]
pub struct Tally {
    /// The case.
    pub case: Case,
    /// The system calls of the action, from the beginning of `main`.
    pub calls: usize,
    /// The faults that were put, and met a call.
    pub faults: usize,
    /// The errors after which the action ended otherwise than without one, and how. A start may fail, for instance.
    pub other: Vec<String>,
    /// What must never be, each with the fault that it followed.
    pub violations: Vec<String>,
}

/// Puts the faults of a case, or those of them that `wanted` accepts by what they are called.
///
/// # Errors
/// If the case can't be played: strace is missing, or the resource can't be brought into its state.
pub fn play(
    subject: &dyn Subject,
    case: Case,
    share: Share,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Tally, String> {
    bring(subject, case.before)?;
    let usual = act(subject, case, &[]);
    let record = subject.host().run(|| std::fs::read_to_string(RECORD));
    let record = record.map_err(|error| format!("{RECORD}: {error}: install strace"))?;
    let calls = calls(&record).ok_or("the record of strace does not show where main begins")?;
    let mut tally =
        Tally { case, calls: calls.len(), faults: 0, other: Vec::new(), violations: Vec::new() };
    let calls = if share.kinds { of_each_kind(&calls) } else { calls };
    let each = calls.iter().flat_map(|call| FAULTS.map(|fault| (call, fault)));
    let takes = each.filter(|(call, fault)| call.takes(*fault));
    for (call, fault) in takes.skip(share.first).step_by(share.of.max(1)) {
        let place = format!("{}: {case}: {call}: {fault}", subject.name());
        if wanted(&place) {
            put(subject, (call, fault), usual.code, &mut tally, &place)?;
        }
    }
    bring(subject, State::Stopped)?;
    Ok(tally)
}

/// One fault, and what follows it.
fn put(
    subject: &dyn Subject,
    (call, fault): (&Call, Fault),
    usual: i32,
    tally: &mut Tally,
    place: &str,
) -> Result<(), String> {
    let case = tally.case;
    bring(subject, case.before)?;
    // The runner of agents panics when the time is over, and has killed the agent then.
    let acted = catch_unwind(AssertUnwindSafe(|| act(subject, case, &[call.injection(fault)])));
    let Ok(outcome) = acted else {
        tally.faults += 1;
        tally.violations.push(format!("{place}: has not ended after {LONG:?}"));
        return Ok(());
    };
    let record = subject.host().run(|| std::fs::read_to_string(RECORD)).unwrap_or_default();
    if !record.contains("(INJECTED)") && !record.contains("+++ killed by SIGKILL +++") {
        // A call that this run did not make.
        return Ok(());
    }
    tally.faults += 1;
    let said = outcome.stderr.lines().last().unwrap_or_default();
    let ending = format!("exit {}; {said}", outcome.code);
    if fault != Fault::Kill && outcome.code != usual {
        tally.other.push(format!("{place}: {ending}"));
    }
    let alive = subject.is_alive();
    let verdict = monitor(subject);
    let broken =
        [verdict_of(case, fault, &outcome, alive), verdict_afterwards(case, verdict, alive)];
    let reads = matches!(case.action, "monitor" | "validate-all");
    let cleaned =
        if reads && !tally.faults.is_multiple_of(READS) { Ok(()) } else { clean(subject) };
    for sentence in broken.into_iter().flatten().chain(cleaned.err()) {
        tally.violations.push(format!("{place}: {sentence} ({ending})"));
    }
    Ok(())
}

/// What is wrong with how the action ended.
fn verdict_of(case: Case, fault: Fault, outcome: &Outcome, alive: bool) -> Option<String> {
    let Outcome { code, .. } = outcome;
    let killed = fault == Fault::Kill;
    let serves = SERVES.contains(code);
    let wrong = match case.action {
        _ if *code < 0 && !killed => "ended by a signal",
        "monitor" if *code == NOT_RUNNING && alive => "monitor says 7, and it is there",
        "monitor" if !killed && alive && !serves => {
            "for one look that failed, monitor fails what serves"
        }
        "monitor" if fault.passes() && !alive && *code != NOT_RUNNING => {
            "for a shortage that passes, monitor does not say 7"
        }
        "monitor" if serves && !alive => "monitor says that it serves, and it is not there",
        "start" | "promote" | "demote" | "reload-agent" if fault.passes() && *code != 0 => {
            "for a shortage that passes, it has failed"
        }
        "start" if *code == 0 && !alive => "start says 0, and it is not there",
        "stop" if *code == 0 && alive => "stop says 0, and it is still there",
        "stop" if *code != 0 && !killed => "stop failed",
        "stop" => return None,
        _ if case.before != State::Stopped && !alive => "it has ended what was running",
        _ => return None,
    };
    Some(wrong.to_owned())
}

/// What is wrong with a monitor after the action.
fn verdict_afterwards(case: Case, verdict: i32, alive: bool) -> Option<String> {
    let serves = SERVES.contains(&verdict);
    if alive && verdict == NOT_RUNNING {
        return Some("a monitor afterwards says 7, and it is there".into());
    }
    if serves && !alive {
        return Some("a monitor afterwards says that it serves, and it is not there".into());
    }
    let touched = case.before == State::Stopped || case.action == "stop";
    (!touched && !serves).then(|| format!("a monitor afterwards says {verdict}"))
}

/// After anything: stop is 0 and leaves nothing, start is 0, and it serves.
fn clean(subject: &dyn Subject) -> Result<(), String> {
    stopped(subject).map_err(|why| format!("afterwards {why}"))?;
    started(subject).map_err(|why| format!("afterwards {why}"))
}

/// The action under strace.
fn act(subject: &dyn Subject, case: Case, injections: &[String]) -> Outcome {
    let words = ["/usr/bin/strace", "-qq", "-o", RECORD].map(str::to_owned);
    let agent = subject.agent().under(words.into_iter().chain(injections.iter().cloned()));
    let agent = agent.env("OCF_CHECK_LEVEL", case.level);
    let agent = subject.in_particular(case, agent);
    let recurring = case.action == "monitor" && case.before != State::Stopped;
    let interval = if recurring { "10000" } else { "0" };
    timed(agent).env("OCF_RESKEY_CRM_meta_interval", interval).action(case.action)
}

/// With the time-out that the examples give to start.
fn timed(agent: testnet::Agent) -> testnet::Agent {
    agent.env("OCF_RESKEY_CRM_meta_timeout", "60000").timeout(LONG)
}

fn monitor(subject: &dyn Subject) -> i32 {
    timed(subject.agent()).env("OCF_RESKEY_CRM_meta_interval", "10000").action("monitor").code
}

/// Brings the resource into a state, by an agent that nothing is put to.
fn bring(subject: &dyn Subject, state: State) -> Result<(), String> {
    let is = match (subject.is_alive(), monitor(subject)) {
        (false, NOT_RUNNING) if subject.left().is_empty() => Some(State::Stopped),
        (true, 8 | 191) => Some(State::Promoted),
        (true, 0 | 190) => Some(State::Started),
        _ => None,
    };
    if is == Some(state) {
        return Ok(());
    }
    if is != Some(State::Stopped) {
        stopped(subject)?;
    }
    if state != State::Stopped {
        started(subject)?;
    }
    if state == State::Promoted {
        let outcome = timed(subject.agent()).action("promote");
        ended("promote", &outcome)?;
    }
    Ok(())
}

fn stopped(subject: &dyn Subject) -> Result<(), String> {
    ended("stop", &timed(subject.agent()).action("stop"))?;
    let until = Instant::now() + LONG;
    // What was ended may take a moment to go.
    while !subject.left().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    match subject.left() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("stop has left {left:?}")),
    }
}

fn started(subject: &dyn Subject) -> Result<(), String> {
    ended("start", &timed(subject.agent()).action("start"))?;
    match monitor(subject) {
        verdict if SERVES.contains(&verdict) => Ok(()),
        verdict => Err(format!("a monitor after start says {verdict}")),
    }
}

fn ended(action: &str, outcome: &Outcome) -> Result<(), String> {
    if outcome.code == 0 {
        return Ok(());
    }
    Err(format!("{action} says {}: {}", outcome.code, outcome.stderr.trim()))
}
