//! When the announcements go out. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Most announcements of one schedule.
const MOST: usize = 32;
/// Most announcements of a regular one.
const MOST_REGULAR: u32 = 1000;
/// Latest announcement.
const LATEST: Duration = Duration::from_secs(600);

/// Times after the address came up; strictly increasing, the first is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule(Vec<Duration>);

impl Schedule {
    /// The times, the first of which is zero.
    pub(crate) fn times(&self) -> &[Duration] {
        &self.0
    }

    /// So many, that far apart.
    ///
    /// # Errors
    /// [`InvalidSchedule::TooLate`], and [`InvalidSchedule::Order`] for no time between them.
    pub(crate) fn regular(count: u32, interval: Duration) -> Result<Self, InvalidSchedule> {
        if interval.is_zero() {
            return Err(InvalidSchedule::Order);
        }
        let times: Vec<_> = (0..count.clamp(1, MOST_REGULAR))
            .map(|number| interval.saturating_mul(number))
            .collect();
        match times.last() {
            Some(last) if *last > LATEST => Err(InvalidSchedule::TooLate),
            _ => Ok(Self(times)),
        }
    }

    /// When the last one is due.
    pub(crate) fn end(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSchedule {
    /// Not a list of numbers.
    #[error("not a list of milliseconds: give whole numbers with commas, like 0,50,250")]
    Syntax,
    /// It begins later.
    #[error("it must begin with 0: the first announcement goes out before start returns")]
    LateBegin,
    /// Not sorted, or twice the same.
    #[error("each time must be later than the one before it")]
    Order,
    /// More than 32.
    #[error("too many: {MOST} announcements at most")]
    TooMany,
    /// Later than ten minutes.
    #[error("too late: {} ms (ten minutes) at most", LATEST.as_millis())]
    TooLate,
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    /// Milliseconds, separated by commas; blanks around them don't matter.
    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        match Self::reread(text) {
            Ok(schedule) if schedule.0.len() > MOST => Err(InvalidSchedule::TooMany),
            read => read,
        }
    }
}

impl Schedule {
    /// As [`FromStr`], of a text that was made of a schedule, be it a regular one.
    ///
    /// # Errors
    /// Those of [`InvalidSchedule`]
    pub(crate) fn reread(text: &str) -> Result<Self, InvalidSchedule> {
        let most = usize::try_from(MOST_REGULAR).unwrap_or(usize::MAX);
        let mut times: Vec<Duration> = Vec::new();
        for word in text.split(',') {
            let word = word.trim_matches(' ');
            if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(InvalidSchedule::Syntax);
            }
            // Digits that don't fit are a number all the same.
            let milliseconds = word.parse().map_err(|_| InvalidSchedule::TooLate)?;
            let time = Duration::from_millis(milliseconds);
            if times.len() == most {
                return Err(InvalidSchedule::TooMany);
            }
            match times.last() {
                None if !time.is_zero() => return Err(InvalidSchedule::LateBegin),
                Some(last) if time <= *last => return Err(InvalidSchedule::Order),
                _ if time > LATEST => return Err(InvalidSchedule::TooLate),
                _ => times.push(time),
            }
        }
        Ok(Self(times))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, time) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", time.as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        let schedule: Schedule = "0, 50,250".parse().unwrap();
        assert_eq!(schedule.times().len(), 3);
        assert_eq!(schedule.end(), Duration::from_millis(250));
        assert_eq!(schedule.to_string(), "0,50,250");
        assert_eq!("0".parse::<Schedule>().map(|s| s.end()), Ok(Duration::ZERO));
        assert!("0,600000".parse::<Schedule>().is_ok());
        for (text, why) in [
            ("", InvalidSchedule::Syntax),
            ("0,", InvalidSchedule::Syntax),
            ("0,-1", InvalidSchedule::Syntax),
            ("0,+1", InvalidSchedule::Syntax),
            ("0;1", InvalidSchedule::Syntax),
            ("0,1.5", InvalidSchedule::Syntax),
            ("100", InvalidSchedule::LateBegin),
            ("0,50,50", InvalidSchedule::Order),
            ("0,50,20", InvalidSchedule::Order),
            ("0,600001", InvalidSchedule::TooLate),
            ("0,99999999999999999999999", InvalidSchedule::TooLate),
        ] {
            assert_eq!(text.parse::<Schedule>(), Err(why), "{text}");
        }
        let list = |n: u32| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
        assert!(list(32).parse::<Schedule>().is_ok());
        assert_eq!(list(33).parse::<Schedule>(), Err(InvalidSchedule::TooMany));
        assert_eq!(list(1001).parse::<Schedule>(), Err(InvalidSchedule::TooMany));
    }

    #[test]
    fn regular_ones() {
        let regular = |count, ms| Schedule::regular(count, Duration::from_millis(ms));
        assert_eq!(regular(3, 200).unwrap().to_string(), "0,200,400");
        assert_eq!(regular(1, 200).unwrap().to_string(), "0");
        assert_eq!(regular(2, 0), Err(InvalidSchedule::Order));
        assert_eq!(regular(1000, 60_000), Err(InvalidSchedule::TooLate));
        let longest = regular(1000, 600).unwrap();
        assert_eq!(Schedule::reread(&longest.to_string()), Ok(longest));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(gaps in prop::collection::vec(1u64..18_000, 0..31)) {
            let mut text = "0".to_owned();
            let mut time = 0;
            for gap in gaps {
                time += gap;
                text.push_str(&format!(",{time}"));
            }
            prop_assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }

        #[test]
        fn any_text_is_judged(text: String) {
            let _ = text.parse::<Schedule>();
        }
    }
}
