//! When a duplicate address check sends a probe, and how long a silence has to be until it proves that the
//! address is free. Pure.
//!
//! A silence proves something only where an answer would have been received. A control is a neighbour that is
//! known to answer. It is asked in the same moment as the owner of the address, if there is one, so its answer
//! proves that the link forwards in both directions, and its delay tells how long an answer takes there.

use std::collections::VecDeque;
use std::time::Duration;

use hostnet::MacAddress;

/// A frame can be lost: a short silence has two probes, a longer one a probe in each of these intervals.
/// Switches disable a port that sends more than 15 ARP frames in a second (Dynamic ARP Inspection), the
/// requests to controls and the announcements included.
const INTERVAL: Duration = Duration::from_millis(100);
/// The interval after the first [`FREQUENT`] probes, and that between two probes for a host that answers.
pub(crate) const LONG_INTERVAL: Duration = Duration::from_millis(250);
const FREQUENT: u32 = 10;

/// The shortest silence after the answer of a control. Kernels answer while they receive, in less than a
/// millisecond, but on a busy host a thread does it, which waits for its turn: one tick of a kernel with
/// `HZ=250`.
const SHORTEST: Duration = Duration::from_millis(4);
/// The silence after the answer of a control, in delays of that control. With one delay before the answer and
/// two after it, the owner has three times as long as the control needed: the first time-out that TCP derives
/// from one measured round trip (RFC 6298 section 2.2). Of several controls the slowest one counts that answers
/// in this time: it can be the node that had the address, under a load that slows its answers down.
const DELAYS: u32 = 2;

/// The controls that are asked together with a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controls {
    None,
    All,
    /// The one that has answered before.
    One(usize),
}

/// The progress of one check. Times are relative to its begin.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    /// How long to listen after each of the probes that are still to be sent.
    pauses: VecDeque<Duration>,
    /// The pause after the probe that is sent next.
    pause: Duration,
    /// The end of the pause after the last probe of the fixed sequence.
    due: Duration,
    /// When all controls were asked.
    asked: Duration,
    /// Those that have answered.
    answered: Vec<usize>,
    calibration: Calibration,
}

/// How far the controls have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calibration {
    /// There are no controls, or their answers prove nothing.
    Off,
    Begin,
    Asked,
    /// Any frame can be lost, so the first one is asked a second time, together with a second probe.
    Answered {
        control: Answer,
        delay: Duration,
    },
    AskedAgain {
        control: Answer,
        delay: Duration,
        at: Duration,
    },
    /// The control has answered twice.
    Done {
        end: Duration,
    },
}

/// A control, and the MAC address with which it has answered. On some hosts each interface answers.
type Answer = (usize, MacAddress);

impl Silence {
    /// The whole time, whoever answers.
    pub(crate) fn whole(silence: Duration) -> Self {
        Self::new(pauses(silence), Calibration::Off)
    }

    /// The whole time with one probe.
    pub(crate) fn of_one_probe(silence: Duration) -> Self {
        Self::new(VecDeque::from([silence]), Calibration::Off)
    }

    /// A shorter time, if one of the controls answers.
    pub(crate) fn calibrated(silence: Duration) -> Self {
        Self::new(pauses(silence), Calibration::Begin)
    }

    fn new(pauses: VecDeque<Duration>, calibration: Calibration) -> Self {
        let (pause, due, asked) = Default::default();
        Self { pauses, pause, due, asked, answered: Vec::new(), calibration }
    }

    /// What to send now, besides a probe; `None`: the silence was long enough. To be called at the begin, and
    /// when nothing more was received until [`Silence::end`].
    pub(crate) fn next(&mut self) -> Option<Controls> {
        match self.calibration {
            Calibration::Answered { control: (control, _), .. } => Some(Controls::One(control)),
            Calibration::Done { .. } => None,
            Calibration::Begin => {
                self.pause = self.pauses.pop_front()?;
                Some(Controls::All)
            }
            Calibration::Off | Calibration::Asked | Calibration::AskedAgain { .. } => {
                self.calibration = Calibration::Off;
                self.pause = self.pauses.pop_front()?;
                Some(Controls::None)
            }
        }
    }

    /// It was sent. From the end of the send on: a full queue delays it, and a host that was not asked can't
    /// answer.
    pub(crate) fn sent(&mut self, now: Duration) {
        self.calibration = match self.calibration {
            Calibration::Answered { control, delay } => {
                // The pause of the fixed sequence goes on.
                self.calibration = Calibration::AskedAgain { control, delay, at: now };
                return;
            }
            Calibration::Begin => {
                self.asked = now;
                Calibration::Asked
            }
            other => other,
        };
        self.due = now + self.pause;
    }

    /// Until when to listen.
    pub(crate) fn end(&self) -> Duration {
        match self.calibration {
            Calibration::Answered { .. } => Duration::ZERO,
            Calibration::Done { end } => end,
            _ => self.due,
        }
    }

    /// A control has answered this host. One that is slower than the pause between two probes shortens
    /// nothing.
    pub(crate) fn answered(&mut self, control: usize, mac: MacAddress, now: Duration) {
        if now > self.end().max(self.due) {
            return;
        }
        let is_first = !self.answered.contains(&control);
        self.answered.push(control);
        let since_asked = now.saturating_sub(self.asked);
        let answer = (control, mac);
        self.calibration = match self.calibration {
            Calibration::Asked => Calibration::Answered { control: answer, delay: since_asked },
            Calibration::Answered { control, delay } if is_first => {
                Calibration::Answered { control, delay: delay.max(since_asked) }
            }
            Calibration::AskedAgain { control, delay, at } if is_first => {
                Calibration::AskedAgain { control, delay: delay.max(since_asked), at }
            }
            Calibration::AskedAgain { control, delay, at } if control == answer => {
                let delay = delay.max(now.saturating_sub(at));
                Calibration::Done { end: self.end_after(now, delay) }
            }
            Calibration::Done { end } if is_first => {
                Calibration::Done { end: end.max(self.end_after(now, since_asked)) }
            }
            other => other,
        };
    }

    /// The end of the silence after an answer that has taken that time.
    fn end_after(&self, now: Duration, delay: Duration) -> Duration {
        (now + SHORTEST.max(DELAYS * delay)).min(self.last_end())
    }

    /// Another host probes for the address, too: it can add it while nothing of it is heard, so that only the
    /// whole time is long enough.
    pub(crate) fn has_another_prober(&mut self) {
        self.calibration = Calibration::Off;
    }

    /// The end of the whole time.
    fn last_end(&self) -> Duration {
        self.due + self.pauses.iter().sum::<Duration>()
    }
}

/// How long to listen after each probe of a silence of this length.
fn pauses(silence: Duration) -> VecDeque<Duration> {
    if silence < 2 * INTERVAL {
        return VecDeque::from([silence / 2; 2]);
    }
    let mut pauses = VecDeque::new();
    let mut left = silence;
    for count in 0.. {
        let interval = if count < FREQUENT { INTERVAL } else { LONG_INTERVAL };
        // The last probe has at least as much time as the others.
        if left < 2 * interval {
            break;
        }
        pauses.push_back(interval);
        left -= interval;
    }
    pauses.push_back(left);
    pauses
}

#[cfg(test)]
mod tests;
