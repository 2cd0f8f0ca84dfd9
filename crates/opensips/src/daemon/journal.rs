//! What the daemon logs to syslog alone (`stderror_enabled=no`, the stock setting): on its stderr is nothing
//! then after its configuration is read, unless it only checks it (`-C` keeps stderr).
//!
//! The launched daemon lives for months, and its messages belong into the log of this host: no /dev/log of
//! this agent is in its way. They are read from the journal, and only after it has ended: a start that succeeds
//! executes nothing for it, not even for a cursor.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadline::Deadline;
use hostproc::{Pid, output};

/// How much the clock of the journal may be behind, in seconds.
const MARGIN: u64 = 1;

/// The last lines that are read.
const LINES: &str = "--lines=1000";

/// How long the journal may take to get what was logged before this moment.
const LATENESS: Duration = Duration::from_millis(100);

/// Where journald keeps it, in memory or for good; where neither is there, nobody writes one.
const JOURNALS: [&str; 2] = ["/run/log/journal", "/var/log/journal"];

/// The directories of systemd's tools.
const PATH: &str = "/usr/bin:/bin";

/// What processes have logged to syslog since then, in the daemon's plain format, as soon as it is
/// anything that `is_telling`; empty where there is no journal. `concerns` tells by pid which processes count.
pub(super) fn read(
    since: SystemTime,
    limit: usize,
    concerns: impl Fn(Pid) -> bool,
    is_telling: impl Fn(&str) -> bool,
    deadline: Deadline,
) -> String {
    if !JOURNALS.iter().any(|directory| Path::new(directory).is_dir()) {
        return String::new();
    }
    let since = since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    loop {
        let mut command = Command::new("journalctl");
        command
            .args(["--quiet", "--no-pager", "--no-hostname", "--output=short", LINES])
            .arg(format!("--since=@{}", since.saturating_sub(MARGIN)))
            .arg("_TRANSPORT=syslog")
            .env_clear()
            .envs([("PATH", PATH), ("LC_ALL", "C")]);
        let Ok(Some(ran)) = output(&mut command, limit, deadline) else {
            return String::new();
        };
        let concerns = |entry: &&str| parts(entry).is_some_and(|(_, pid, _)| concerns(pid));
        let lines = ran.stdout.lines().filter(concerns).filter_map(plain_line);
        let log: String = lines.map(|line| line + "\n").collect();
        if is_telling(&log) || !deadline.sleep(LATENESS) {
            return log;
        }
    }
}

/// `Nov 29 04:42:07 opensips[11671]: ERROR:core:main: text`: time, pid and message. The ident may be a path.
fn parts(entry: &str) -> Option<(&str, Pid, &str)> {
    let (time, rest) = entry.split_at_checked(15)?;
    let (ident, message) = rest.strip_prefix(' ')?.split_once(": ")?;
    let (_, pid) = ident.strip_suffix(']')?.rsplit_once('[')?;
    Some((time, pid.parse().ok()?, message.trim()))
}

/// As the daemon prints it on stderr.
pub(super) fn plain_line(entry: &str) -> Option<String> {
    let (time, pid, message) = parts(entry)?;
    // `syslog_log_format` of 3.4 and newer; the object has time and pid in it.
    let object = message.strip_prefix("@cee:").unwrap_or(message).trim_start();
    if object.starts_with('{') {
        return Some(object.to_owned());
    }
    Some(format!("{time} [{pid}] {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_is_a_line_of_the_plain_format() {
        let plain = "Nov 29 04:42:07 [7] ERROR:core:main: a: b";
        for entry in [
            "Nov 29 04:42:07 opensips[7]: ERROR:core:main: a: b",
            "Nov 29 04:42:07 /usr/sbin/opensips[7]: ERROR:core:main: a: b",
        ] {
            assert_eq!(plain_line(entry).unwrap(), plain);
        }
        for object in ["{\"a\": 1}", "@cee: {\"a\": 1}"] {
            let entry = format!("Nov 29 04:42:07 opensips[7]: {object}");
            assert_eq!(plain_line(&entry).unwrap(), "{\"a\": 1}");
        }
        for other in ["-- No entries --", "", "Nov 29 04:42:07 kernel: x", "          continued: x"]
        {
            assert_eq!(plain_line(other), None);
        }
    }

    proptest! {
        #[test]
        fn any_entry_is_read(entry: String) {
            let _ = plain_line(&entry);
        }
    }
}
