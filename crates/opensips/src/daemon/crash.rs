//! What tells why an instance died: the daemon's own words, and a core file.

use std::fmt;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use hostproc::{Pid, Signal};

use crate::daemon::core_file::{self, Core};
use crate::daemon::words::{complaint, last_lines};
use crate::host::files::{Links, open_regular};
use crate::process::state::State;

/// As much of the end of the daemon's output is read: monitor has to stay cheap.
const TAIL: u64 = 64 * 1024;

/// The process that died first, as the daemon tells it; the others follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// `None` for the main process.
    worker: Option<Pid>,
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Signal(i32),
    Status(i32),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.worker {
            Some(pid) => write!(f, "worker {pid} ended ")?,
            None => f.write_str("main process ended ")?,
        }
        match self.how {
            How::Signal(number) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "by {signal}"),
                Err(_) => write!(f, "by signal {number}"),
            },
            How::Status(code) => write!(f, "with status {code}"),
        }
    }
}

/// Everything that is known about a death; may be nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    death: Option<Death>,
    complaint: Option<String>,
    core: Option<Core>,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.death, &self.complaint) {
            (Some(death), _) => write!(f, "{death}")?,
            (None, Some(complaint)) => f.write_str(complaint)?,
            (None, None) => f.write_str("see the system's log")?,
        }
        match &self.core {
            Some(core) => write!(f, ", {core}"),
            None => Ok(()),
        }
    }
}

impl Evidence {
    /// Of an instance that is remembered, from the file of its output; logs the last lines of it,
    /// for which a reason has no room.
    pub(crate) fn of(state: &State, memory: &Path, output: &Path) -> Self {
        let text = tail_of(output).unwrap_or_default();
        for line in last_lines(&text) {
            log::error!("daemon=\"{line}\"");
        }
        // It was written when the instance served, so a core of it is younger.
        let since = std::fs::metadata(memory).and_then(|metadata| metadata.modified());
        let core = since.ok().and_then(|since| core_file::find(state, since));
        Self::from_words(&text, core)
    }

    pub(crate) fn from_words(text: &str, core: Option<Core>) -> Self {
        let complaint = complaint(text).map(|found| found.text);
        Self { death: death(text), complaint, core }
    }
}

/// The first death that the daemon tells of (signals.c; main.c in 2.4): at level INFO that of a
/// worker, at CRITICAL a fault of the main process, which can't tell anything afterwards.
pub(crate) fn death(text: &str) -> Option<Death> {
    text.lines().find_map(|line| {
        if line.contains("segfault in attendant") {
            return Some(Death { worker: None, how: How::Signal(Signal::SIGSEGV as i32) });
        }
        let (_, rest) = line.split_once("child process ")?;
        let (pid, rest) = rest.split_once(' ')?;
        let number = |text: &str| text.split_ascii_whitespace().next()?.parse().ok();
        let how = match rest.strip_prefix("exited by a signal ") {
            Some(signal) => How::Signal(number(signal)?),
            None => How::Status(number(rest.strip_prefix("exited normally, status=")?)?),
        };
        Some(Death { worker: Some(pid.parse().ok()?), how })
    })
}

fn tail_of(path: &Path) -> io::Result<String> {
    let file = open_regular(path, Links::Refused)?;
    let start = file.metadata()?.len().saturating_sub(TAIL);
    let mut tail = vec![0; usize::try_from(TAIL).unwrap_or_default()];
    let length = file.read_at(&mut tail, start)?;
    tail.truncate(length);
    Ok(String::from_utf8_lossy(&tail).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // 3.6.8, as printed.
    const WORKER: &str = "\
Nov 24 19:00:01 [8] ERROR:core:some_function: earlier trouble
Nov 24 19:00:02 [9] CRITICAL:core:sig_usr: segfault in process pid: 4712, id: 3
Nov 24 19:00:02 [8] INFO:core:handle_sigs: child process 4712 exited by a signal 11
Nov 24 19:00:02 [8] INFO:core:handle_sigs: core was not generated
Nov 24 19:00:02 [8] INFO:core:handle_sigs: terminating due to SIGCHLD
Nov 24 19:00:02 [8] INFO:core:handle_sigs: child process 4713 exited by a signal 9
";

    fn words(text: &str) -> String {
        Evidence::from_words(text, None).to_string()
    }

    #[test]
    fn the_first_death_is_the_cause() {
        assert_eq!(words(WORKER), "worker 4712 ended by SIGSEGV");
        let exited = "x INFO:core:handle_sigs: child process 12 exited normally, status=255\n";
        assert_eq!(words(exited), "worker 12 ended with status 255");
        let main = "x CRITICAL:core:sig_usr: segfault in attendant (starter) process!\n";
        assert_eq!(words(main), "main process ended by SIGSEGV");
        assert_eq!(
            words("x INFO:core:handle_sigs: child process 12 exited by a signal 64\n"),
            "worker 12 ended by signal 64"
        );
    }

    #[test]
    fn without_a_death_its_complaint_must_do() {
        assert_eq!(words("x ERROR:core:fm_malloc: no memory left\n"), "no memory left");
        assert_eq!(words(""), "see the system's log");
        assert_eq!(words("child process x exited by a signal y\n"), "see the system's log");
    }

    #[test]
    fn the_end_of_a_long_output() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.out");
        std::fs::write(&path, format!("{}\n{WORKER}", "x".repeat(100_000))).unwrap();
        assert!(tail_of(&path).unwrap().ends_with(WORKER));
        assert!(tail_of(directory.path()).is_err());
    }

    proptest! {
        #[test]
        fn any_words_are_read(text: String) {
            let _ = words(&text);
        }
    }
}
