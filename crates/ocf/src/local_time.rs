//! The date of a line in a log file, and the time of one in a trace. The owner of the crate tz-rs.
//!
//! The agents are static binaries without unsafe code, so the C library's `localtime_r` is out of
//! reach; tz-rs reads the same files and rules.

use std::ffi::OsStr;
use std::time::SystemTime;

use tz::{DateTime, TimeZone, TimeZoneSettings};

/// The date and the time of day, such as `Nov 28 22:29:00`: what `date "+%b %d %T"` prints in the
/// C locale, the format of `ocf_log` (`HA_DATEFMT` in resource-agents' ocf-directories).
///
/// `tz` is the variable `TZ`. Without it the zone is that of `/etc/localtime`; where the zone can't
/// be read, and where `TZ` is empty, it is UTC, as for the C library.
pub(crate) fn stamp(time: SystemTime, tz: Option<&OsStr>) -> String {
    stamp_by(&TimeZoneSettings::DEFAULT, time, tz)
}

/// The date and the time of day in the same zone, such as `2026-11-28.22:29:00`: `date +%F.%T`, the end
/// of the names of trace files.
pub(crate) fn file_stamp(time: SystemTime, tz: Option<&OsStr>) -> String {
    let Some(date) = date(&TimeZoneSettings::DEFAULT, time, tz) else { return String::new() };
    let (year, month, day) = (date.year(), date.month(), date.month_day());
    format!("{year:04}-{month:02}-{day:02}.{}", time_of_day(&date))
}

/// The time of day in the same zone, such as `22:29:00.123`.
pub(crate) fn clock(time: SystemTime, tz: Option<&OsStr>) -> String {
    let Some(date) = date(&TimeZoneSettings::DEFAULT, time, tz) else { return String::new() };
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}", time_of_day(&date), since.subsec_millis())
}

fn stamp_by(settings: &TimeZoneSettings<'_>, time: SystemTime, tz: Option<&OsStr>) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Some(date) = date(settings, time, tz) else { return String::new() };
    let month = usize::from(date.month()).checked_sub(1).and_then(|month| MONTHS.get(month));
    let (month, day) = (month.copied().unwrap_or_default(), date.month_day());
    format!("{month} {day:02} {}", time_of_day(&date))
}

fn time_of_day(date: &DateTime) -> String {
    format!("{:02}:{:02}:{:02}", date.hour(), date.minute(), date.second())
}

/// The date in the zone that [`stamp`] describes.
fn date(settings: &TimeZoneSettings<'_>, time: SystemTime, tz: Option<&OsStr>) -> Option<DateTime> {
    let zone = match tz {
        None => settings.parse_local().ok(),
        Some(tz) => tz.to_str().and_then(|tz| settings.parse_posix_tz(tz).ok()),
    };
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default();
    zone.and_then(|zone| DateTime::from_timespec(seconds, 0, zone.as_ref()).ok())
        .or_else(|| DateTime::from_timespec(seconds, 0, TimeZone::utc().as_ref()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// 2026-11-28 21:29:00 UTC.
    const SECONDS: u64 = 1_795_901_340;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// A host whose only zone file is `/etc/localtime`, one hour east of Greenwich.
    fn only_localtime() -> TimeZoneSettings<'static> {
        TimeZoneSettings::new(&["/usr/share/zoneinfo"], |path| match path {
            "/etc/localtime" => Ok(zone_file()),
            path => Err(format!("{path} is missing").into()),
        })
    }

    /// A file of one zone without transitions (RFC 9636, version 1).
    fn zone_file() -> Vec<u8> {
        let mut file = b"TZif".to_vec();
        file.extend([0; 16]);
        // No leap seconds and no transitions; one local time type, four bytes of names.
        for count in [0_u32, 0, 0, 0, 1, 4] {
            file.extend(count.to_be_bytes());
        }
        file.extend(3600_i32.to_be_bytes());
        file.extend(b"\0\0CET\0");
        file
    }

    fn stamp_of(settings: &TimeZoneSettings<'_>, tz: Option<&str>) -> String {
        stamp_by(settings, at(SECONDS), tz.map(OsStr::new))
    }

    #[test]
    fn without_tz_the_zone_is_that_of_the_host() {
        assert_eq!(stamp_of(&only_localtime(), None), "Nov 28 22:29:00");
    }

    #[test]
    fn tz_is_a_rule_or_names_a_file() {
        let settings = only_localtime();
        assert_eq!(stamp_of(&settings, Some("EST5EDT,M3.2.0,M11.1.0")), "Nov 28 16:29:00");
        assert_eq!(stamp_of(&settings, Some(":/etc/localtime")), "Nov 28 22:29:00");
        let summer = at(SECONDS - 120 * 86_400);
        let rule = OsStr::new("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(stamp_by(&settings, summer, Some(rule)), "Jul 31 23:29:00");
    }

    #[test]
    fn without_a_zone_it_is_utc() {
        let missing = TimeZoneSettings::new(&[], |_| Err("missing".into()));
        assert_eq!(stamp_of(&missing, None), "Nov 28 21:29:00");
        let settings = only_localtime();
        for tz in ["", "Europe/Nowhere", "no zone", ":/no/file"] {
            assert_eq!(stamp_of(&settings, Some(tz)), "Nov 28 21:29:00", "{tz}");
        }
        let broken = TimeZoneSettings::new(&[], |_| Ok(b"TZif".to_vec()));
        assert_eq!(stamp_of(&broken, None), "Nov 28 21:29:00");
    }

    #[test]
    fn days_and_hours_have_two_digits() {
        let utc = Some(OsStr::new("UTC0"));
        assert_eq!(stamp(at(0), utc), "Jan 01 00:00:00");
        assert_eq!(file_stamp(at(0), utc), "1970-01-01.00:00:00");
        assert_eq!(file_stamp(at(SECONDS), Some(OsStr::new("CET-1"))), "2026-11-28.22:29:00");
        let time = at(SECONDS) + Duration::from_millis(7);
        assert_eq!(clock(time, utc), "21:29:00.007");
    }
}
