//! What a seed says: which fault strikes whom, when, and for how long. The only room that knows the
//! generator.

use std::time::Duration;

use super::fault::{Fault, Role};

/// A source of numbers that all follow from a seed.
#[derive(Clone, Debug)]
pub struct Dice(fastrand::Rng);

impl Dice {
    /// Those of a round: independent of the rounds before it, so that it can be played alone.
    #[must_use]
    pub fn of(seed: u64, number: u64) -> Self {
        // Neighbouring seeds of this generator give unrelated numbers, and so do those of a product with an
        // odd constant (2^64 divided by the golden ratio), which keeps seed and number apart.
        Self(fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// A time in this range, to the millisecond.
    pub fn time(&mut self, from: Duration, to: Duration) -> Duration {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.0.u64(milliseconds(from)..=milliseconds(to.max(from))))
    }

    /// A whole number in this range.
    pub fn number(&mut self, from: u64, to: u64) -> u64 {
        self.0.u64(from..=to.max(from))
    }

    /// One of these.
    pub fn choice<'t, T>(&mut self, of: &'t [T]) -> Option<&'t T> {
        self.0.choice(of)
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        self.0.shuffle(all);
    }
}

/// A round as the seed has it.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Its number, from 1.
    pub number: u64,
    /// What strikes.
    pub fault: &'static Fault,
    /// Whom.
    pub role: Role,
    /// How long after the cluster was found well.
    pub moment: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// For what else the fault leaves to chance.
    pub dice: Dice,
}

/// The longest time between a cluster that is well and the fault: more than an interval of each monitor.
const LATEST: Duration = Duration::from_secs(3);

/// Draws a round. Of every `faults.len()` rounds each has another fault, in an order that the seed gives.
#[must_use]
pub fn round(seed: u64, number: u64, faults: &[&'static Fault], hot: bool) -> Option<Drawn> {
    let every = u64::try_from(faults.len()).ok().filter(|every| *every > 0)?;
    let before = number.saturating_sub(1);
    let mut order = faults.to_vec();
    Dice::of(!seed, before / every).shuffle(&mut order);
    let fault = *order.get(usize::try_from(before % every).ok()?)?;
    let mut dice = Dice::of(seed, number);
    let role = *dice.choice(fault.victims(hot))?;
    let moment = dice.time(Duration::ZERO, LATEST);
    let lasts = dice.time(fault.lasts.0, fault.lasts.1);
    Some(Drawn { number, fault, role, moment, lasts, dice })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chaos::faults;

    fn told(seed: u64, number: u64) -> String {
        let drawn = round(seed, number, &faults(true), true).unwrap();
        let mut dice = drawn.dice.clone();
        let chance = dice.number(0, u64::MAX);
        format!(
            "{} {:?} {:?} {:?} {chance}",
            drawn.fault.name, drawn.role, drawn.moment, drawn.lasts
        )
    }

    #[test]
    fn a_seed_says_all_of_a_round_whatever_was_played_before() {
        let first: Vec<String> = (1..=200).map(|number| told(7, number)).collect();
        let again: Vec<String> = (1..=200).rev().map(|number| told(7, number)).collect();
        assert!(first.iter().eq(again.iter().rev()));
        assert_ne!(first, (1..=200).map(|number| told(8, number)).collect::<Vec<_>>());
        // What a report says was played is played by the next version of the generator, too; else it has to
        // stay at this one.
        assert_eq!(Dice::of(1, 1).number(0, 999_999), 586_478);
    }

    #[test]
    fn every_fault_has_its_turn() {
        for hot in [false, true] {
            let all = faults(hot);
            let rounds = u64::try_from(all.len()).unwrap();
            for seed in [1, 2, u64::MAX] {
                let names: BTreeSet<_> =
                    (1..=rounds).map(|n| round(seed, n, &all, hot).unwrap().fault.name).collect();
                assert_eq!(names.len(), all.len());
            }
        }
    }

    #[test]
    fn times_are_within_what_the_fault_says() {
        let mut dice = Dice::of(3, 3);
        let (from, to) = (Duration::from_millis(500), Duration::from_millis(501));
        assert!((0..100).all(|_| (from..=to).contains(&dice.time(from, to))));
        assert_eq!(dice.time(to, from), to);
        assert_eq!(round(1, 1, &[], true).map(|drawn| drawn.number), None);
    }
}
