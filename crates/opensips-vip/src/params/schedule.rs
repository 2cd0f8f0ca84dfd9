//! The times at which announcements are sent. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Limit of `announce_schedule`.
const MAX_COUNT: usize = 32;
/// Limit of `arp_count`, as in IPaddr2.
const MAX_REGULAR_COUNT: u32 = 1000;
/// Limit of every time.
const MAX_TIME: Duration = Duration::from_secs(600);

/// Times after the address was added; strictly increasing, the first is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule(Vec<Duration>);

impl Schedule {
    pub(crate) fn times(&self) -> &[Duration] {
        &self.0
    }

    /// A schedule of `count` announcements, `interval` apart.
    ///
    /// # Errors
    /// [`InvalidSchedule::TooLate`], and [`InvalidSchedule::Order`] for an interval of zero.
    pub(crate) fn regular(count: u32, interval: Duration) -> Result<Self, InvalidSchedule> {
        if interval.is_zero() {
            return Err(InvalidSchedule::Order);
        }
        let times: Vec<_> = (0..count.clamp(1, MAX_REGULAR_COUNT))
            .map(|number| interval.saturating_mul(number))
            .collect();
        match times.last() {
            Some(last) if *last > MAX_TIME => Err(InvalidSchedule::TooLate),
            _ => Ok(Self(times)),
        }
    }
}

/// Why a text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSchedule {
    #[error("not a list of milliseconds: use whole numbers and commas, like 0,50,250")]
    Syntax,
    #[error(
        "does not begin with 0: begin with 0, because start sends the first announcement itself"
    )]
    LateBegin,
    #[error("not in increasing order: sort the times and remove duplicates")]
    Order,
    #[error("too many announcements: use at most {MAX_COUNT}")]
    TooMany,
    #[error("too late: use at most {} ms (ten minutes)", MAX_TIME.as_millis())]
    TooLate,
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    /// Parses milliseconds separated by commas, with or without spaces.
    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        match Self::parse_any(text) {
            Ok(schedule) if schedule.0.len() > MAX_COUNT => Err(InvalidSchedule::TooMany),
            read => read,
        }
    }
}

impl Schedule {
    /// Parses the text of any schedule, including a regular one, which may be longer than
    /// `announce_schedule` allows.
    pub(crate) fn parse_any(text: &str) -> Result<Self, InvalidSchedule> {
        let max = usize::try_from(MAX_REGULAR_COUNT).unwrap_or(usize::MAX);
        let mut times: Vec<Duration> = Vec::new();
        for word in text.split(',') {
            let word = word.trim_matches(' ');
            if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(InvalidSchedule::Syntax);
            }
            // Too many digits for the type are still a number.
            let milliseconds = word.parse().map_err(|_| InvalidSchedule::TooLate)?;
            let time = Duration::from_millis(milliseconds);
            if times.len() == max {
                return Err(InvalidSchedule::TooMany);
            }
            match times.last() {
                None if !time.is_zero() => return Err(InvalidSchedule::LateBegin),
                Some(last) if time <= *last => return Err(InvalidSchedule::Order),
                _ if time > MAX_TIME => return Err(InvalidSchedule::TooLate),
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
        assert_eq!(schedule.times().last(), Some(&Duration::from_millis(250)));
        assert_eq!(schedule.to_string(), "0,50,250");
        assert_eq!("0".parse::<Schedule>().unwrap().times(), [Duration::ZERO]);
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
        assert_eq!(Schedule::parse_any(&longest.to_string()), Ok(longest));
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
