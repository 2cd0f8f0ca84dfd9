//! What came of the calls, from SIPp's own files: its statistics (`-trace_stat`), and the time of
//! each message (`-trace_shortmsg`).

use std::collections::BTreeMap;
use std::time::Duration;

/// The counters of SIPp's last row of statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Calls that were begun.
    pub calls: u64,
    /// Calls that SIPp gave up, whatever the reason.
    pub failed: u64,
    /// Requests that were sent again because nobody answered in time.
    pub retransmissions: u64,
}

impl Statistics {
    /// Reads the file: a header, then rows; fields are separated by semicolons.
    ///
    /// # Errors
    /// A column is missing, or there is no row.
    pub fn parse(csv: &str) -> Result<Self, String> {
        let mut lines = csv.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        let last: Vec<&str> = lines.next_back().ok_or("no statistics")?.split(';').collect();
        let column = |name: &str| {
            let at = header.iter().position(|column| *column == name);
            let field = at.and_then(|at| last.get(at)).and_then(|field| field.parse().ok());
            field.ok_or_else(|| format!("SIPp's statistics have no {name}"))
        };
        Ok(Self {
            calls: column("TotalCallCreated")?,
            failed: column("FailedCall(C)")?,
            retransmissions: column("Retransmissions(C)")?,
        })
    }
}

/// The life of one call as its caller saw it; times since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The first INVITE was sent.
    pub invited: Option<Duration>,
    /// The first 100 to it came: from now on the caller waits and does not send it again.
    pub trying: Option<Duration>,
    /// The first 200 to it came.
    pub answered: Option<Duration>,
    /// The first BYE was sent.
    pub hung_up: Option<Duration>,
    /// The first 200 to it came.
    pub ended: Option<Duration>,
}

/// All calls of a run, by Call-ID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls(BTreeMap<String, Call>);

/// The longest time without an answer to an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last answer before it, since the epoch.
    pub from: Duration,
    /// The first answer after it.
    pub to: Duration,
}

impl Gap {
    /// How long it was.
    pub fn length(self) -> Duration {
        self.to.saturating_sub(self.from)
    }
}

impl Calls {
    /// Reads the caller's messages. A line, separated by tabs: date, time, seconds since the epoch,
    /// S(ent) or R(eceived), Call-ID, `CSeq:1 INVITE`, the first line of the message.
    pub fn parse(messages: &str) -> Self {
        let mut calls = Self::default();
        for line in messages.lines() {
            let mut fields = line.split('\t').skip(2);
            let mut field = || fields.next();
            let (Some(at), Some(way), Some(id), Some(cseq), Some(first)) =
                (field().and_then(seconds), field(), field(), field(), field())
            else {
                continue;
            };
            let call = calls.0.entry(id.to_owned()).or_default();
            let method = cseq.split(' ').nth(1).unwrap_or_default();
            let moment = match (way, method, first.starts_with("SIP/2.0 200 ")) {
                ("S", "INVITE", false) => &mut call.invited,
                ("R", "INVITE", false) if first.starts_with("SIP/2.0 100 ") => &mut call.trying,
                ("R", "INVITE", true) => &mut call.answered,
                ("S", "BYE", false) => &mut call.hung_up,
                ("R", "BYE", true) => &mut call.ended,
                _ => continue,
            };
            moment.get_or_insert(at);
        }
        calls
    }

    /// The calls.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.0.values()
    }

    /// The longest time between two answered INVITEs.
    pub fn longest_gap(&self) -> Option<Gap> {
        self.longest_gap_within(Duration::ZERO, Duration::MAX)
    }

    /// The same, of the gaps that reach into a time: what a machine did before or after is no part of a
    /// move.
    pub fn longest_gap_within(&self, from: Duration, to: Duration) -> Option<Gap> {
        let mut answers: Vec<Duration> = self.iter().filter_map(|call| call.answered).collect();
        answers.sort_unstable();
        let gap = |(from, to): (&Duration, &Duration)| Gap { from: *from, to: *to };
        let gaps = answers.iter().zip(answers.iter().skip(1)).map(gap);
        gaps.filter(|gap| gap.to > from && gap.from < to).max_by_key(|gap| gap.length())
    }

    /// Calls that nobody ever answered.
    pub fn never_answered(&self) -> usize {
        self.iter().filter(|call| call.answered.is_none()).count()
    }

    /// Those of them that a node had taken (100 Trying) before it lost the address: the transaction
    /// is lost with it, and the caller does not send again what was taken.
    pub fn taken_and_lost(&self) -> usize {
        self.iter().filter(|call| call.answered.is_none() && call.trying.is_some()).count()
    }

    /// Calls that were up at a moment: answered before, and hung up after it.
    pub fn up_at(&self, moment: Duration) -> impl Iterator<Item = &Call> {
        self.iter().filter(move |call| {
            call.answered.is_some_and(|at| at < moment) && call.ended.is_none_or(|at| at > moment)
        })
    }
}

fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = "\
2026-11-24\t19:16:55.1\t10.125\tS\t1-16@192.0.2.1\tCSeq:1 INVITE\tINVITE sip:bob@192.0.2.10 SIP/2.0
2026-11-24\t19:16:55.1\t10.250\tR\t1-16@192.0.2.1\tCSeq:1 INVITE\tSIP/2.0 100 Giving it a try
2026-11-24\t19:16:55.1\t10.500\tR\t1-16@192.0.2.1\tCSeq:1 INVITE\tSIP/2.0 200 OK
2026-11-24\t19:16:55.1\t10.750\tR\t1-16@192.0.2.1\tCSeq:1 INVITE\tSIP/2.0 200 OK
2026-11-24\t19:16:55.1\t11\tS\t2-16@192.0.2.1\tCSeq:1 INVITE\tINVITE sip:bob@192.0.2.10 SIP/2.0
2026-11-24\t19:16:55.1\t11.500\tS\t2-16@192.0.2.1\tCSeq:1 INVITE\tINVITE sip:bob@192.0.2.10 SIP/2.0
2026-11-24\t19:16:55.1\t12\tS\t3-16@192.0.2.1\tCSeq:1 INVITE\tINVITE sip:bob@192.0.2.10 SIP/2.0
2026-11-24\t19:16:55.1\t12.500\tR\t3-16@192.0.2.1\tCSeq:1 INVITE\tSIP/2.0 200 OK
2026-11-24\t19:16:55.1\t13\tS\t1-16@192.0.2.1\tCSeq:2 BYE\tBYE sip:bob@192.0.2.1:5080 SIP/2.0
2026-11-24\t19:16:55.1\t13.250\tR\t1-16@192.0.2.1\tCSeq:2 BYE\tSIP/2.0 200 OK
half a line";

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn messages_tell_each_calls_life() {
        let calls = Calls::parse(MESSAGES);
        let lives: Vec<Call> = calls.iter().copied().collect();
        let first = Call {
            invited: Some(at(10.125)),
            trying: Some(at(10.25)),
            answered: Some(at(10.5)),
            hung_up: Some(at(13.0)),
            ended: Some(at(13.25)),
        };
        assert_eq!(lives.first(), Some(&first));
        assert_eq!(lives.len(), 3);
        assert_eq!((calls.never_answered(), calls.taken_and_lost()), (1, 0));
        assert_eq!(calls.longest_gap(), Some(Gap { from: at(10.5), to: at(12.5) }));
        assert_eq!(calls.longest_gap_within(at(12.5), at(20.0)), None);
        assert_eq!(calls.longest_gap_within(at(11.0), at(11.5)), calls.longest_gap());
        assert_eq!(calls.up_at(at(11.0)).count(), 1);
        assert_eq!(calls.up_at(at(12.75)).count(), 2);
        assert_eq!(calls.up_at(at(14.0)).count(), 1);
        assert_eq!(Calls::default().longest_gap(), None);
    }

    #[test]
    fn statistics_are_found_by_the_names_of_their_columns() {
        let csv = "StartTime;TotalCallCreated;FailedCall(P);FailedCall(C);Retransmissions(C);\n\
                   x;100;0;0;0;\nx;1000;1;2;39;\n";
        let expected = Statistics { calls: 1000, failed: 2, retransmissions: 39 };
        assert_eq!(Statistics::parse(csv), Ok(expected));
        assert!(Statistics::parse("TotalCallCreated;\n5;\n").unwrap_err().contains("FailedCall"));
        assert!(Statistics::parse("").is_err());
    }
}
