//! Times as Pacemaker reads them (`crm_get_msec`).

use std::time::Duration;

/// A number with a unit: seconds without one. `None` for anything else, such as an ISO 8601 duration.
pub(super) fn duration(text: &str) -> Option<Duration> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
