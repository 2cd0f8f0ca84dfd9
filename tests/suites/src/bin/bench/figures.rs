//! Samples and how they are shown.

use std::time::Duration;

/// Samples of one quantity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// In order of size.
    sorted: Vec<Duration>,
    /// Rounds that were repeated because the machine stood still in them.
    stalled: usize,
}

impl Samples {
    pub(crate) fn add(&mut self, sample: Duration) {
        self.sorted.push(sample);
        self.sorted.sort_unstable();
    }

    /// Notes a round that has to be repeated.
    pub(crate) fn stalled(&mut self) {
        self.stalled += 1;
    }

    pub(crate) fn repeated(&self) -> usize {
        self.stalled
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    pub(crate) fn min(&self) -> Duration {
        self.sorted.first().copied().unwrap_or_default()
    }

    /// The middle one; of an even number, the higher of the two.
    pub(crate) fn median(&self) -> Duration {
        self.sorted.get(self.sorted.len() / 2).copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.sorted.last().copied().unwrap_or_default()
    }

    /// `min / median / max` in milliseconds.
    pub(crate) fn spread(&self) -> String {
        match self.len() {
            0 => "none".to_owned(),
            _ => format!("{} / {} / {}", ms(self.min()), ms(self.median()), ms(self.max())),
        }
    }

    /// All of them in milliseconds, from the least.
    pub(crate) fn listed(&self) -> String {
        self.sorted.iter().map(|sample| ms(*sample)).collect::<Vec<_>>().join(", ")
    }
}

/// Milliseconds: with two digits behind the point where they are few, with none where they are many.
pub(crate) fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    match ms {
        _ if ms < 100.0 => format!("{ms:.2}"),
        _ => format!("{ms:.0}"),
    }
}

/// `a / b`, with a digit or two.
pub(crate) fn ratio(a: Duration, b: Duration) -> String {
    let ratio = a.as_secs_f64() / b.as_secs_f64();
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}
