//! The client: it asks OPTIONS at the virtual IP address without a pause, and notes from which node's
//! hardware address each answer came.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lab::{HostNumber, Lab, Network};

use crate::probe::{Exchange, Prober, Question};
use crate::scenario::{self, VIP};

/// Time between two questions.
const PACE: Duration = Duration::from_millis(50);

/// An answer that comes later is none: the caller has sent its request again, twice.
const LATE: Duration = Duration::from_secs(1);

/// Who answered, and when.
type Answers = Arc<Mutex<Vec<(Instant, String)>>>;

/// A client at work.
#[derive(Debug)]
pub struct Watch {
    prober: Option<Prober>,
    listener: Child,
    reader: Option<JoinHandle<()>>,
    answers: Answers,
}

/// What it has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    asked: Vec<Exchange>,
    answers: Vec<(Instant, String)>,
}

/// A time without SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// When the first question was asked that had no answer.
    pub from: Instant,
    /// When the next one was asked that had; at the latest, the end of the watch.
    pub to: Instant,
}

impl Watch {
    /// Starts to ask.
    ///
    /// # Errors
    /// The client's host can't be entered, or has no tcpdump.
    pub fn start(lab: &Lab) -> Result<Self, String> {
        let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
        let mut tcpdump = Command::new("tcpdump");
        let filter = format!("udp and src host {VIP} and src port 5060");
        tcpdump.args(["-i", "eth0", "-e", "-n", "-l", "-q", &filter]);
        tcpdump.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut listener = lab.spawn("client", &mut tcpdump).map_err(|e| e.to_string())?;
        let answers = Answers::default();
        let noted = Arc::clone(&answers);
        let stdout = listener.stdout.take();
        let reader = Some(std::thread::spawn(move || note(stdout, &noted)));
        let mut watch = Self { prober: None, listener, reader, answers };
        let prober = Prober::start(&netns, Question::Sip(scenario::sip()), PACE);
        watch.prober = Some(prober.map_err(|error| error.to_string())?);
        Ok(watch)
    }

    /// What it has seen so far.
    #[must_use]
    pub fn so_far(&self) -> Seen {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let record = self.prober.as_ref().map(Prober::so_far).unwrap_or_default();
        Seen { asked: record.exchanges().to_vec(), answers }
    }

    /// Whether something asked since then was answered.
    #[must_use]
    pub fn answered_since(&self, since: Instant) -> bool {
        self.prober.as_ref().is_some_and(|prober| prober.answered_since(since))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.prober.take().map(Prober::finish);
        let _ = self.listener.kill();
        let _ = self.listener.wait();
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

/// A line: `07:45:05.280123 02:00:00:00:01:0b > 02:00:00:00:01:01, IPv4, length 300: …`.
fn note(stdout: Option<ChildStdout>, answers: &Answers) {
    let Some(stdout) = stdout else { return };
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let Some(mac) = line.split_whitespace().nth(1) else { continue };
        let host = (1..=16)
            .find(|number| Network::Public.mac(HostNumber::node(*number)) == mac)
            .map_or_else(|| mac.to_owned(), |number| format!("node{number}"));
        answers.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), host));
    }
}

impl Seen {
    /// The times without SIP since `from`. One question alone without an answer is a lost packet. What
    /// was asked just now may still be answered: it does not count.
    #[must_use]
    pub fn silences(&self, from: Instant) -> Vec<Silence> {
        let newest = self.asked.last().map_or(from, |exchange| exchange.asked);
        let mut silences = Vec::new();
        let mut open: Option<(Instant, usize)> = None;
        let mut close = |open: &mut Option<(Instant, usize)>, to: Instant| {
            if let Some((from, questions)) = open.take()
                && questions > 1
            {
                silences.push(Silence { from, to });
            }
        };
        for exchange in &self.asked {
            if exchange.asked < from || newest.saturating_duration_since(exchange.asked) < LATE {
                continue;
            }
            let answered = exchange.answered.is_some_and(|at| at - exchange.asked < LATE);
            match &mut open {
                _ if answered => close(&mut open, exchange.asked),
                Some((_, questions)) => *questions += 1,
                None => open = Some((exchange.asked, 1)),
            }
        }
        close(&mut open, newest.checked_sub(LATE).unwrap_or(newest));
        silences
    }

    /// How long it was silent since `from`, in all.
    #[must_use]
    pub fn silent(&self, from: Instant) -> Duration {
        self.silences(from).iter().map(|silence| silence.to - silence.from).sum()
    }

    /// Whether everything asked in the last `span` was answered, as far as that is known.
    #[must_use]
    pub fn steady(&self, span: Duration) -> bool {
        let last = self.asked.last().map(|exchange| exchange.asked);
        let Some(from) = last.and_then(|last| last.checked_sub(span + LATE)) else { return false };
        self.asked.first().is_some_and(|first| first.asked <= from)
            && self.silences(from).is_empty()
    }

    /// Who served since `from`: the nodes in order, each with the time of its first answer.
    #[must_use]
    pub fn served(&self, from: Instant) -> Vec<(Duration, String)> {
        let mut served: Vec<(Duration, String)> = Vec::new();
        for (at, host) in &self.answers {
            let Some(since) = at.checked_duration_since(from) else { continue };
            if served.last().is_none_or(|(_, last)| last != host) {
                served.push((since, host.clone()));
            }
        }
        served
    }
}

impl fmt::Display for Seen {
    /// The silences and the answering nodes since the first question, in seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.asked.first().map(|exchange| exchange.asked) else { return Ok(()) };
        for silence in self.silences(first) {
            let (from, to) = (silence.from - first, silence.to - first);
            writeln!(f, "silent from {:.2} to {:.2}", from.as_secs_f64(), to.as_secs_f64())?;
        }
        for (at, node) in self.served(first) {
            writeln!(f, "{node} serves from {:.2}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question every 100 ms; `answered` says after how many milliseconds the answer came.
    fn seen(start: Instant, answered: impl Fn(u64) -> Option<u64>) -> Seen {
        let at = |ms| start + Duration::from_millis(ms);
        let exchange = |number: u64| Exchange {
            asked: at(number * 100),
            answered: answered(number).map(|after| at(number * 100 + after)),
        };
        let answers = [(50, "node1"), (60, "node1"), (900, "node2")];
        Seen {
            asked: (0..=100).map(exchange).collect(),
            answers: answers.into_iter().map(|(ms, node)| (at(ms), node.to_owned())).collect(),
        }
    }

    #[test]
    fn silence_is_what_two_questions_in_a_row_show() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let seen = seen(start, |number| match number {
            3 | 10..=19 => None,
            // Answered when nobody waits for it any more.
            40 | 41 => Some(5_000),
            _ => Some(2),
        });
        let silences: Vec<_> = seen
            .silences(start)
            .into_iter()
            .map(|silence| (silence.from - start, silence.to - start))
            .collect();
        assert_eq!(silences, [(ms(1_000), ms(2_000)), (ms(4_000), ms(4_200))]);
        assert_eq!(seen.silent(start + ms(1_500)), ms(700));
        assert!(seen.steady(ms(4_000)) && !seen.steady(ms(5_000)) && !seen.steady(ms(20_000)));
        let served = seen.served(start + ms(20));
        assert_eq!(served, [(ms(30), "node1".to_owned()), (ms(880), "node2".to_owned())]);
    }

    #[test]
    fn a_silence_that_goes_on_ends_with_what_is_known() {
        let start = Instant::now();
        let seen = seen(start, |number| (number < 50).then_some(1));
        assert_eq!(seen.silent(start), Duration::from_secs(4));
        assert!(!seen.steady(Duration::from_secs(1)));
        assert_eq!(Seen::default().silences(start), []);
    }
}
