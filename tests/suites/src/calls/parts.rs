//! The parts of an outage, from Pacemaker's log on the node that took over.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::timeline::lines_since;

/// One run of an agent, as Pacemaker's executor has logged its end; times since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it ended.
    pub ended: Duration,
    /// Resource and action: `vip start`.
    pub what: String,
    /// How long it ran.
    pub took: Duration,
}

/// What a node's log tells of a failover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// When the cluster had agreed that the other node is lost.
    pub lost: Option<Duration>,
    /// When the other node was known to be fenced.
    pub fenced: Option<Duration>,
    /// The runs of our agents, in order.
    pub runs: Vec<Run>,
}

impl Parts {
    /// Reads the log; `zone` as `date +%z` says it; what was before `since` is left out.
    pub fn parse(log: &str, zone: &str, since: SystemTime) -> Self {
        let mut parts = Self::default();
        for (at, line) in lines_since(log, zone, since) {
            let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            if line.contains("state is now lost") {
                parts.lost.get_or_insert(at);
            } else if line.contains(" was terminated (") && line.contains(": OK") {
                parts.fenced.get_or_insert(at);
            } else {
                parts.runs.extend(run(at, line));
            }
        }
        parts
    }

    /// What the agents themselves took of an outage: the time in it in which at least one of them
    /// ran. Monitors are left out: nothing waits for them.
    pub fn agents_share(&self, from: Duration, to: Duration) -> Duration {
        let mut spans: Vec<_> =
            self.runs.iter().map(|run| (run.ended.saturating_sub(run.took), run.ended)).collect();
        spans.sort_unstable();
        let (mut share, mut reached) = (Duration::ZERO, from);
        for (begun, ended) in spans {
            let (begun, ended) = (begun.max(reached), ended.min(to));
            share += ended.saturating_sub(begun);
            reached = reached.max(ended);
        }
        share
    }

    /// The runs that callers wait for, in order: stops on the node that had the service, of which `left` is
    /// what its log tells, and starts on this one.
    pub fn waited_for(&self, left: &Self, actions: &[(&str, &str)]) -> Vec<Run> {
        let of = |parts: &Self, wanted: &str| {
            let fits = |run: &&Run| {
                let (resource, action) = run.what.split_once(' ').unwrap_or_default();
                action == wanted && actions.contains(&(resource, action))
            };
            parts.runs.iter().filter(fits).cloned().collect::<Vec<_>>()
        };
        let mut runs = [of(left, "stop"), of(self, "start")].concat();
        runs.sort_by_key(|run| run.ended);
        runs
    }

    /// What an outage consists of, in order: those runs, and what is between them.
    pub fn way(
        &self,
        left: &Self,
        actions: &[(&str, &str)],
        (from, to): (Duration, Duration),
    ) -> Vec<(&'static str, Duration)> {
        let (mut way, mut reached) = (Vec::new(), from);
        for run in self.waited_for(left, actions) {
            let (begun, ended) = (run.ended.saturating_sub(run.took).min(to), run.ended.min(to));
            let before = if way.is_empty() { "before the stop" } else { "Pacemaker" };
            let what = match run.what.as_str() {
                "vip stop" => "address: stop",
                "vip start" => "address: start",
                "opensips stop" => "OpenSIPS: stop",
                _ => "OpenSIPS: start",
            };
            way.push((before, begun.saturating_sub(reached)));
            way.push((what, ended.saturating_sub(begun.max(reached))));
            reached = reached.max(ended);
        }
        way.push(("first call", to.saturating_sub(reached)));
        way.retain(|(_, took)| !took.is_zero());
        way
    }
}

/// A line: `Nov 24 19:17:34.882 node2 pacemaker-execd [25] (log_finished) \tinfo: vip start (call
/// 32, PID 275) exited with status 0 (execution time 92ms after being queued 6ms)`.
fn run(ended: Duration, line: &str) -> Option<Run> {
    let words = line.split_once("info: ")?.1;
    let (what, rest) = words.split_once(" (call ")?;
    let ours = what.starts_with("vip ") || what.starts_with("opensips ");
    let took = rest.split_once("(execution time ")?.1;
    let unit = took.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = (took.get(..unit)?.parse::<f64>().ok()?, took.get(unit..)?);
    let seconds = if unit.starts_with("ms") { number / 1e3 } else { number };
    (ours && !what.ends_with(" monitor")).then_some(())?;
    Some(Run { ended, what: what.to_owned(), took: Duration::try_from_secs_f64(seconds).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_pacemaker() {
        // 2026-11-24 19:17:00 UTC
        let zero = Duration::from_secs(1_795_547_820);
        let log = "\
Nov 24 19:16:59.000 node2 pacemaker-execd     [25] (log_finished) \tinfo: vip stop (call 30, PID 2) exited with status 0 (execution time 5ms)
Nov 24 19:17:02.500 node2 pacemaker-controld  [28] (x) \tnotice: Node node1 state is now lost | nodeid=1
Nov 24 19:17:03.000 node2 pacemaker-fenced    [25] (x) \tnotice: Peer node1 was terminated (reboot) by node2 on behalf of pacemaker-controld.7: OK | event
Nov 24 19:17:03.250 node2 pacemaker-execd     [25] (log_finished) \tinfo: opensips promote (call 31, PID 272) exited with status 0 (execution time 65ms)
Nov 24 19:17:03.300 node2 pacemaker-execd     [25] (log_finished) \tinfo: opensips monitor (call 32, PID 273) exited with status 8 (execution time 20ms)
Nov 24 19:17:03.400 node2 pacemaker-execd     [25] (log_finished) \tinfo: vip start (call 33, PID 275) exited with status 0 (execution time 92ms after being queued 6ms)
Nov 24 19:17:09.000 node2 pacemaker-execd     [25] (log_finished) \tinfo: vip start (call 34, PID 276) exited with status 0 (execution time 1.5s)
";
        let parts = Parts::parse(log, "+0000", UNIX_EPOCH + zero);
        let at = |ms| zero + Duration::from_millis(ms);
        assert_eq!((parts.lost, parts.fenced), (Some(at(2500)), Some(at(3000))));
        let runs: Vec<_> = parts.runs.iter().map(|r| (r.what.as_str(), r.took)).collect();
        let ms = Duration::from_millis;
        let expected =
            [("opensips promote", ms(65)), ("vip start", ms(92)), ("vip start", ms(1500))];
        assert_eq!(runs, expected);
        // The second start began after the end.
        assert_eq!(parts.agents_share(at(3000), at(3500)), ms(157));
        assert_eq!(parts.agents_share(at(3000), at(3350)), ms(107));
        assert_eq!(parts.agents_share(at(3000), at(9000)), ms(65 + 92 + 1500));
        assert_eq!(parts.agents_share(at(3200), at(3240)), ms(40));
    }

    #[test]
    fn an_outage_is_told_in_order() {
        let ms = Duration::from_millis;
        let parts = |runs: &[(&str, u64, u64)]| {
            let run = |(what, from, to): &(&str, u64, u64)| Run {
                ended: ms(*to),
                what: (*what).to_owned(),
                took: ms(to - from),
            };
            Parts { runs: runs.iter().map(run).collect(), ..Parts::default() }
        };
        let left =
            parts(&[("opensips demote", 90, 170), ("vip stop", 95, 105), ("vip start", 1, 2)]);
        let new = parts(&[("vip start", 130, 140), ("opensips promote", 180, 190)]);
        let way = new.way(&left, &[("vip", "stop"), ("vip", "start")], (ms(100), ms(148)));
        let expected =
            [("address: stop", 5), ("Pacemaker", 25), ("address: start", 10), ("first call", 8)];
        assert_eq!(way, expected.map(|(what, took)| (what, ms(took))));
        assert_eq!(way.iter().map(|(_, took)| *took).sum::<Duration>(), ms(48));
        // An outage that ends before the log's coarse clock says that the start has ended.
        let way = new.way(&left, &[("vip", "stop"), ("vip", "start")], (ms(90), ms(135)));
        assert_eq!(way.iter().map(|(_, took)| *took).sum::<Duration>(), ms(45));
        assert_eq!(way.first(), Some(&("before the stop", ms(5))));
    }

    #[test]
    fn what_ran_at_the_same_time_counts_once() {
        let ms = Duration::from_millis;
        let run = |ended, took| Run { ended: ms(ended), what: String::new(), took: ms(took) };
        let parts = Parts { runs: vec![run(120, 50), run(100, 50)], ..Parts::default() };
        assert_eq!(parts.agents_share(ms(0), ms(200)), ms(70));
    }
}
