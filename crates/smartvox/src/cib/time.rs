//! Times as Pacemaker reads them (`crm_get_msec`, `crm_time_new`).

use std::time::Duration;

/// A number with a unit: seconds without one. `None` for anything else, such as an ISO 8601 duration.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "" | "s" | "sec" => number.checked_mul(1000)?,
        "ms" | "msec" => number,
        "us" | "usec" => number / 1000,
        "m" | "min" => number.checked_mul(60_000)?,
        "h" | "hr" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(milliseconds))
}

/// A point in time as Pacemaker writes it, such as `2026-11-29 21:00:00Z` or `2026-11-29 22:00:00 +01:00`, in
/// seconds since 1970. `None` for anything else: without a time zone it depends on the host.
pub(super) fn point(text: &str) -> Option<i64> {
    let (date, rest) = text.trim().split_once([' ', 'T'])?;
    let (time, zone) = rest.split_at(rest.find(['Z', '+', '-'])?);
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time.trim(), ':')?;
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && year <= 9999;
    let fits = fits && hour <= 24 && minute < 60 && second <= 60;
    let local = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(local - offset(zone)?).filter(|_| fits)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts = text.split(separator).map(|part| Some(i64::from(part.parse::<u32>().ok()?)));
    parts.collect::<Option<Vec<i64>>>()?.try_into().ok()
}

/// The seconds by which a time zone such as `+01:00` is before UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (east, digits) = match zone.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let of = |text: &str| text.parse::<u16>().ok().filter(|value| *value < 60).map(i64::from);
    let seconds = of(hours)? * 3600 + of(minutes)? * 60;
    Some(if east { seconds } else { -seconds })
}

/// The days from 1970-01-01 to a date of the Gregorian calendar. The year begins in March here, so that the
/// leap day is its last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // The months from March on have 31, 30, 31, 30, 31 days, and again.
    let before_month = (153 * month + 2) / 5;
    365 * year + leap_days + before_month + day - 1 - DAYS_TO_1970
}

/// From the first of March of the year 0 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points() {
        for (text, seconds) in [
            ("1970-01-01 00:00:00Z", 0),
            ("2000-02-29 12:00:00Z", 951_825_600),
            ("2026-11-29 21:00:00Z", 1_795_986_000),
            ("2026-11-29 22:00:00 +01:00", 1_795_986_000),
            ("2026-11-29T16:30:00 -0430", 1_795_986_000),
        ] {
            assert_eq!(point(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "2026-11-29",
            "2026-11-29 21:00:00",
            "2026-11-29 21:00Z",
            "2026-13-29 21:00:00Z",
            "2026-W48-7 21:00:00Z",
            "2026-11-29 21:00:00 +1",
        ] {
            assert_eq!(point(text), None, "{text}");
        }
    }

    #[test]
    fn units() {
        for (text, milliseconds) in
            [("20", 20_000), ("20s", 20_000), ("500ms", 500), ("2min", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "PT20S", "-1", "20 parsecs"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
