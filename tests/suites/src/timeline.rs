//! The plot of a failover: what happened when, from every witness there is, as milliseconds since
//! the fault.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Events with the wall clock's time, which all hosts of a lab share.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Vec<(SystemTime, String)>);

impl Timeline {
    /// Adds an event.
    pub fn add(&mut self, at: SystemTime, event: impl Into<String>) {
        self.0.push((at, event.into()));
    }

    /// The events in order, in milliseconds since `zero`.
    pub fn since(&self, zero: SystemTime) -> Rows {
        let mut rows: Vec<(i128, String)> = self
            .0
            .iter()
            .map(|(at, event)| (milliseconds(*at) - milliseconds(zero), event.clone()))
            .collect();
        rows.sort();
        Rows(rows)
    }
}

/// A timeline as it is printed, one event a line.
#[derive(Clone, Debug)]
pub struct Rows(Vec<(i128, String)>);

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(ms, event)| writeln!(f, "{ms:>8} ms  {event}"))
    }
}

fn milliseconds(at: SystemTime) -> i128 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_millis()).unwrap_or(i128::MAX)
}

/// Gratuitous ARP for an address in the output of `tcpdump -tt -e -n arp`: when, and from which
/// hardware address.
///
/// A line: `1790149045.123456 02:00:00:00:01:0c > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806),
/// length 42: Request who-has 192.0.2.10 (ff:ff:ff:ff:ff:ff) tell 192.0.2.10, length 28`.
pub fn announcements(tcpdump: &str, address: &str) -> Vec<(SystemTime, String)> {
    let request = format!("who-has {address}");
    let sender = format!("tell {address},");
    tcpdump
        .lines()
        .filter(|line| line.contains(&request) && line.contains(&sender))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let seconds: f64 = words.next()?.parse().ok()?;
            let at = UNIX_EPOCH + Duration::try_from_secs_f64(seconds).ok()?;
            Some((at, words.next()?.to_owned()))
        })
        .collect()
}

/// What a node's Pacemaker wrote into its log about a failover: a peer lost, fenced, a resource
/// started. `zone` is the node's, as `date +%z` says it; entries before `since` are left out.
///
/// A line: `Nov 23 07:45:05.280 node1 pacemaker-controld  [29] (log_executor_event) \tnotice: Result
/// of start operation for vip on node1: ok | CIB update 16, …`. It has no year: the day of `since`
/// is taken, and the day after it for earlier hours.
pub fn pacemaker_events(log: &str, zone: &str, since: SystemTime) -> Vec<(SystemTime, String)> {
    let mut seen = std::collections::BTreeSet::new();
    lines_since(log, zone, since)
        .filter_map(|(at, line)| {
            let event = event_of(line)?;
            seen.insert(event.clone()).then_some((at, event))
        })
        .collect()
}

/// The lines of Pacemaker's log from `since` on, with their time; see [`pacemaker_events`].
pub fn lines_since<'l>(
    log: &'l str,
    zone: &str,
    since: SystemTime,
) -> impl Iterator<Item = (SystemTime, &'l str)> + use<'l> {
    const DAY: i128 = 86_400_000;
    let since_ms = milliseconds(since) + zone_ms(zone);
    log.lines().filter_map(move |line| {
        let after = (time_of_day_ms(line.split_whitespace().nth(2)?)? - since_ms).rem_euclid(DAY);
        // What lies "ahead" by more than half a day was before the fault.
        let after = u64::try_from(after).ok().filter(|after| i128::from(*after) < DAY / 2)?;
        Some((since + Duration::from_millis(after), line))
    })
}

fn event_of(line: &str) -> Option<String> {
    let message = line.split_once("notice: ")?.1;
    let message = message.split(" | ").next()?.trim();
    let tells = (message.starts_with("Node ") && message.ends_with("state is now lost"))
        || (message.starts_with("Peer ") && message.contains(" was terminated "))
        || (message.starts_with("Result of start operation for ") && message.ends_with(": ok"));
    tells.then(|| format!("Pacemaker: {message}"))
}

/// `07:45:05.280` in milliseconds.
fn time_of_day_ms(text: &str) -> Option<i128> {
    let (hms, fraction) = text.split_once('.')?;
    let mut parts = hms.split(':').map(str::parse::<i128>);
    let mut part = || parts.next()?.ok();
    let (hours, minutes, seconds) = (part()?, part()?, part()?);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction.get(..3)?.parse::<i128>().ok()?)
}

/// `+0130` in milliseconds.
fn zone_ms(zone: &str) -> i128 {
    let number: i128 = zone.parse().unwrap_or(0);
    (number / 100 * 60 + number % 100) * 60_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pacemakers_log_tells_loss_fencing_and_starts() {
        // 2026-11-23 07:45:00 UTC, in a zone one hour ahead.
        let zero = UNIX_EPOCH + Duration::from_secs(1_795_419_900);
        let log = "\
Nov 23 08:44:59.000 node2 pacemaker-controld  [29] (log_executor_event) \tnotice: Result of start operation for d on node2: ok | CIB
Nov 23 08:45:01.250 node2 pacemaker-controld  [29] (f) \tnotice: Node node1 state is now lost | nodeid=1
Nov 23 08:45:01.251 node2 pacemaker-fenced  [25] (f) \tnotice: Node node1 state is now lost | nodeid=1
Nov 23 08:45:02.000 node2 pacemaker-controld  [29] (log_executor_event) \tinfo: something else
Nov 23 08:45:02.500 node2 pacemaker-controld  [29] (log_executor_event) \tnotice: Result of start operation for vip on node2: ok | CIB
";
        let events: Vec<_> = pacemaker_events(log, "+0100", zero)
            .into_iter()
            .map(|(at, event)| (at.duration_since(zero).unwrap().as_millis(), event))
            .collect();
        assert_eq!(
            events,
            [
                (1250, "Pacemaker: Node node1 state is now lost".to_owned()),
                (2500, "Pacemaker: Result of start operation for vip on node2: ok".to_owned()),
            ]
        );
    }

    #[test]
    fn in_order_and_relative() {
        let zero = UNIX_EPOCH + Duration::from_secs(1000);
        let mut timeline = Timeline::default();
        timeline.add(zero + Duration::from_millis(1500), "answered");
        timeline.add(zero - Duration::from_millis(20), "last answer");
        let text = timeline.since(zero).to_string();
        assert_eq!(text, "     -20 ms  last answer\n    1500 ms  answered\n");
    }

    #[test]
    fn announcements_are_told_from_questions() {
        let lines = "\
1000.250000 02:00:00:00:01:0c > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has 192.0.2.10 (ff:ff:ff:ff:ff:ff) tell 192.0.2.10, length 28
1000.300000 02:00:00:00:01:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has 192.0.2.10 tell 192.0.2.1, length 28
nonsense
";
        let found = announcements(lines, "192.0.2.10");
        assert_eq!(
            found,
            [(UNIX_EPOCH + Duration::from_millis(1_000_250), "02:00:00:00:01:0c".into())]
        );
    }
}
