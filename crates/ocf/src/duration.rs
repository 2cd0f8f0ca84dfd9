//! Durations as text.

use std::time::Duration;

/// The text is not a duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: give a number with a unit, like 500ms, 3s or 2m")]
pub struct ParseDurationError;

/// Parses a duration as Pacemaker writes it: a whole number and one of the units `ms`, `msec`, `s`,
/// `sec`, `m`, `min`, `h` and `hr`. Without a unit the number is in seconds.
///
/// # Errors
/// [`ParseDurationError`] for any other text, and if the milliseconds do not fit into 64 bits.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| ParseDurationError)?;
    let milliseconds = match unit.trim_start() {
        "ms" | "msec" => Some(number),
        "" | "s" | "sec" => number.checked_mul(1_000),
        "m" | "min" => number.checked_mul(60_000),
        "h" | "hr" => number.checked_mul(3_600_000),
        _ => None,
    };
    milliseconds.map(Duration::from_millis).ok_or(ParseDurationError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(parse_duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(parse_duration("3s"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_duration("3"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "-1s", "1.5s", "3 days", "3s ", "18446744073709551615m"] {
            assert_eq!(parse_duration(bad), Err(ParseDurationError), "{bad}");
        }
    }
}
