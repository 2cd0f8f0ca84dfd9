//! Messages in the daemon's format: `Nov 23 07:19:09 [4711] ERROR:core:main: text` on stderr.

use std::fmt::Display;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Error;

/// Severity with the daemon's number for it (`log_level` in the configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Critical,
    Error,
    Warning,
    Notice,
    Info,
}

impl Level {
    fn number(self) -> i32 {
        match self {
            Self::Critical => -2,
            Self::Error => -1,
            Self::Warning => 1,
            Self::Notice => 2,
            Self::Info => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
        }
    }
}

/// Until the configuration is read, everything up to NOTICE goes to stderr.
static ENABLED: AtomicBool = AtomicBool::new(true);
static LEVEL: AtomicI32 = AtomicI32::new(2);

static SYSLOG: AtomicBool = AtomicBool::new(false);

/// Where syslog(3) sends to.
const DEVICE: &str = "/dev/log";

/// Facility `daemon`, severity `err`, whatever the level is.
const PRIORITY: u32 = 27;

/// Applies `stderror_enabled`, `syslog_enabled` and `log_level` of the configuration.
pub(crate) fn configure(enabled: bool, syslog: bool, level: i32) {
    ENABLED.store(enabled, Ordering::Relaxed);
    SYSLOG.store(syslog, Ordering::Relaxed);
    LEVEL.store(level, Ordering::Relaxed);
}

/// One message; `origin` is `module:function`, empty where the daemon gives none.
pub(crate) fn line(level: Level, origin: &str, text: impl Display) {
    if level.number() > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let separator = if origin.is_empty() { "" } else { ": " };
    let message = format!("{}:{origin}{separator}{text}\n", level.name());
    let (time, pid) = (timestamp(SystemTime::now()), std::process::id());
    // Nobody to tell when stderr or syslog is gone.
    if ENABLED.load(Ordering::Relaxed) {
        let _ = std::io::stderr().write_all(format!("{time} [{pid}] {message}").as_bytes());
    }
    if SYSLOG.load(Ordering::Relaxed)
        && let Ok(socket) = UnixDatagram::unbound()
    {
        let entry = format!("<{PRIORITY}>{time} opensips[{pid}]: {message}");
        let _ = socket.send_to(entry.as_bytes(), DEVICE);
    }
}

/// An error in the words and with the origin of the daemon.
pub(crate) fn error(error: &Error) {
    for message in error.messages() {
        line(message.level, message.origin, message.text);
    }
}

/// The text that the daemon prints to stderr whatever its log settings say.
pub(crate) fn farewell() {
    let _ = std::io::stderr().write_all(b"Thank you for running opensips\n");
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

struct Date {
    weekday: &'static str,
    year: u64,
    month: &'static str,
    day: u64,
    time: String,
}

/// UTC, from the days since 1970-01-01 (a Thursday).
fn date(time: SystemTime) -> Date {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let (mut year, mut day) = (1970, days);
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if day < length {
            break;
        }
        day -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = "Dec";
    for (name, length) in
        MONTHS.into_iter().zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    {
        if day < length {
            month = name;
            break;
        }
        day -= length;
    }
    let weekday = usize::try_from(days % 7).ok().and_then(|index| WEEKDAYS.get(index).copied());
    Date {
        weekday: weekday.unwrap_or("Thu"),
        year,
        month,
        day: day + 1,
        time: format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60),
    }
}

fn timestamp(time: SystemTime) -> String {
    let Date { month, day, time, .. } = date(time);
    format!("{month} {day:2} {time}")
}

/// As `ctime(3)` without the newline: `Mon Nov 23 07:20:00 2026`, in UTC.
pub(crate) fn ctime(time: SystemTime) -> String {
    let Date { weekday, year, month, day, time } = date(time);
    format!("{weekday} {month} {day:2} {time} {year}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_as_ctime_writes_them() {
        let at = |seconds| ctime(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "Thu Jan  1 00:00:00 1970");
        assert_eq!(at(951_782_400), "Tue Feb 29 00:00:00 2000");
        assert_eq!(at(1_795_418_400), "Mon Nov 23 07:20:00 2026");
        assert_eq!(at(1_798_761_599), "Thu Dec 31 23:59:59 2026");
    }
}
