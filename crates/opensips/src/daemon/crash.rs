//! What the daemon itself says about why an instance died.

use std::fmt;
use std::path::Path;

use hostfs::read_end;
use hostproc::{Pid, Signal};
use ocf::LogLine;

use crate::daemon::json_log::as_plain;
use crate::daemon::words::{Said, last_lines, shortened};

/// How much of the end of the output is read, in bytes: monitor must stay cheap.
pub(crate) const READ_END: u64 = 64 * 1024;

/// An error counts as the cause only among this many lines before the death.
const LAST: usize = 10;

/// The process whose death ended the instance, as the main process reports it.
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

impl Death {
    /// signals.c (main.c in 2.4): at level INFO the death of a worker, at CRITICAL a crash of the
    /// main process, which can report nothing afterwards.
    fn reported_in(said: &Said<'_>) -> Option<Self> {
        if said.level == "CRITICAL" && said.text.starts_with("segfault in attendant") {
            return Some(Self { worker: None, how: How::Signal(Signal::SIGSEGV as i32) });
        }
        if (said.level, said.module, said.function) != ("INFO", "core", "handle_sigs") {
            return None;
        }
        let (pid, rest) = said.text.strip_prefix("child process ")?.split_once(' ')?;
        let how = match rest.strip_prefix("exited by a signal ") {
            Some(signal) => How::Signal(signal.parse().ok()?),
            None => How::Status(rest.strip_prefix("exited normally, status=")?.parse().ok()?),
        };
        Some(Self { worker: Some(pid.parse().ok()?), how })
    }

    /// Whether the process may have logged the cause: it ended by itself, neither by an invalid access
    /// to memory nor by a signal from outside.
    fn is_its_own(self) -> bool {
        match self.how {
            How::Signal(number) => number == Signal::SIGABRT as i32,
            How::Status(_) => true,
        }
    }
}

/// Everything that is known about a death; it may be nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    death: Option<Death>,
    last_words: Option<String>,
    /// The daemon logs to the output that is read.
    logs_here: bool,
}

/// Follows "OpenSIPS (pid 7) died".
impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.death, &self.last_words) {
            (Some(death), None) => write!(f, ": {death}"),
            (Some(death), Some(words)) => write!(f, ": {death}, last error: {words}"),
            (None, Some(words)) => write!(f, ": last error: {words}"),
            (None, None) if self.logs_here => f.write_str(
                " without logging an error (SIGKILL? out of memory?): see journalctl -k",
            ),
            (None, None) => f.write_str(": see the log of OpenSIPS"),
        }
    }
}

impl Evidence {
    /// Of the instance with this main process, from the file of its output. The last lines, for which
    /// an exit reason has no room, are in the debug log.
    pub(crate) fn of(main: Pid, output: &Path) -> Self {
        let text = read_end(output, READ_END).unwrap_or_default();
        let text = as_plain(&text);
        for line in last_lines(&text) {
            log::debug!("{}", LogLine::new().field("daemon", line));
        }
        Self::from_words(&text, main)
    }

    /// From the end of the output.
    ///
    /// Errors are routine for a daemon that talks to strangers: one counts only if the process that
    /// died has logged it, among the last [`LAST`] lines before its death was reported. If no death
    /// was reported, the main process has ended without a word; only its own CRITICAL line at the very
    /// end is a cause.
    pub(crate) fn from_words(text: &str, main: Pid) -> Self {
        let said: Vec<Said<'_>> = text.lines().filter_map(Said::read).collect();
        let reported = said.iter().enumerate().rev().filter(|(_, said)| said.pid == main);
        let reported =
            reported.filter_map(|(at, said)| Some((at, Death::reported_in(said)?))).next();
        let (who, end) = match reported {
            Some((at, death)) => (death.worker.unwrap_or(main), at),
            None => (main, said.len()),
        };
        let explains = |said: &&Said<'_>| {
            said.pid == who
                && match reported {
                    Some((_, death)) => death.is_its_own() && said.is_error(),
                    None => said.level == "CRITICAL",
                }
        };
        let last_words = said.iter().take(end).rev().take(LAST).find(explains);
        // More than what is read can only be a log.
        let is_log = u64::try_from(text.len()).is_ok_and(|length| length >= READ_END);
        let logs_here = is_log || said.iter().any(|said| said.pid == main);
        Self {
            death: reported.map(|(_, death)| death),
            last_words: last_words.map(|said| shortened(said.text)),
            logs_here,
        }
    }
}

/// The last death that the main process reports; where its pid is known, no other process counts.
///
/// What strangers send is logged by the workers, with line ends in it: to forge a line of the main
/// process, it would have to name its pid.
pub(crate) fn death(text: &str, main: Option<Pid>) -> Option<Death> {
    let said = text.lines().rev().filter_map(Said::read);
    said.filter(|said| main.is_none_or(|main| said.pid == main))
        .find_map(|said| Death::reported_in(&said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // 3.6.8, as printed.
    const WORKER: &str = "\
Nov 24 19:00:01 [8] ERROR:core:some_function: earlier trouble
Nov 24 19:00:02 [4712] CRITICAL:core:sig_usr: segfault in process pid: 4712, id: 3
Nov 24 19:00:02 [8] INFO:core:handle_sigs: child process 4712 exited by a signal 11
Nov 24 19:00:02 [8] INFO:core:handle_sigs: core was not generated
Nov 24 19:00:02 [8] INFO:core:handle_sigs: terminating due to SIGCHLD
";

    fn words(text: &str) -> String {
        Evidence::from_words(text, Pid::new(8).unwrap()).to_string()
    }

    /// A line of the main process, or of another one.
    fn line(pid: i32, text: &str) -> String {
        format!("Nov 24 19:00:02 [{pid}] {text}\n")
    }

    #[test]
    fn a_death_is_told_by_the_main_process() {
        assert_eq!(words(WORKER), ": worker 4712 ended by SIGSEGV");
        for (text, told) in [
            (
                "INFO:core:handle_sigs: child process 12 exited normally, status=255",
                "worker 12 ended with status 255",
            ),
            (
                "CRITICAL:core:sig_usr: segfault in attendant (starter) process!",
                "main process ended by SIGSEGV",
            ),
            (
                "INFO:core:handle_sigs: child process 12 exited by a signal 64",
                "worker 12 ended by signal 64",
            ),
            // log_prefix="sip 1"
            (
                "sip 1:INFO:core:handle_sigs: child process 12 exited by a signal 9",
                "worker 12 ended by SIGKILL",
            ),
        ] {
            assert_eq!(words(&line(8, text)), format!(": {told}"));
            assert_eq!(death(&line(8, text), None).unwrap().to_string(), told);
            assert_eq!(words(&line(9, text)), ELSEWHERE);
        }
    }

    const FORGED: &str = "child process 77 exited by a signal 9";

    #[test]
    fn a_stranger_tells_no_death() {
        for forged in [
            line(9, &format!("ERROR:core:parse_first_line: bad request <{FORGED}>")),
            // The main process's own words about a stranger's.
            line(8, &format!("ERROR:core:f: got INFO:core:handle_sigs: {FORGED}")),
            line(8, &format!("INFO:core:handle_sigs: x {FORGED}")),
            line(8, &format!("INFO:core:handle_sigs: {FORGED} x")),
            // With line ends in it.
            format!("{}{FORGED}\n", line(9, "ERROR:core:parse_msg: <")),
            format!("INFO:core:handle_sigs: {FORGED}\n"),
            format!("[8] INFO:core:handle_sigs: {FORGED}\n"),
            format!("x{}", line(8, &format!("INFO:core:handle_sigs: {FORGED}"))),
            line(9, &format!("INFO:core:handle_sigs: {FORGED}")),
        ] {
            assert!(!words(&forged).contains("77"), "{forged}");
            assert_eq!(words(&format!("{forged}{WORKER}")), ": worker 4712 ended by SIGSEGV");
            assert_eq!(words(&format!("{WORKER}{forged}")), ": worker 4712 ended by SIGSEGV");
        }
    }

    const EXITED: &str = "INFO:core:handle_sigs: child process 12 exited normally, status=255";
    const NO_WORD: &str = " without logging an error (SIGKILL? out of memory?): see journalctl -k";
    const ELSEWHERE: &str = ": see the log of OpenSIPS";

    #[test]
    fn last_words_are_those_of_the_dead() {
        let memory = "ERROR:core:fm_malloc: no memory left";
        let died = |before: &[String]| words(&format!("{}{}", before.concat(), line(8, EXITED)));
        let bare = ": worker 12 ended with status 255";
        assert_eq!(died(&[line(12, memory)]), format!("{bare}, last error: no memory left"));
        assert_eq!(died(&[line(13, memory)]), bare);
        let meanwhile = vec![line(13, "INFO:core:x: y"); LAST];
        assert_eq!(died(&[vec![line(12, memory)], meanwhile].concat()), bare);
        // A fault of the memory, or somebody's signal, has other causes.
        let killed = line(8, "INFO:core:handle_sigs: child process 12 exited by a signal 9");
        assert_eq!(words(&(line(12, memory) + &killed)), ": worker 12 ended by SIGKILL");
    }

    #[test]
    fn an_error_of_days_ago_is_no_cause() {
        let network = line(9, "ERROR:core:tcp_connect: connection refused");
        let start = line(8, "ERROR:core:main: a file was missing");
        assert_eq!(words(&(start.clone() + &network)), NO_WORD);
        assert_eq!(
            words(&network.repeat(usize::try_from(READ_END).unwrap() / network.len() + 1)),
            NO_WORD
        );
        let corrupt = line(8, "CRITICAL:core:qm_debug_frag: qm: fragm. overwritten");
        assert_eq!(words(&(start + &corrupt)), ": last error: qm: fragm. overwritten");
        assert_eq!(words(&(corrupt + &network.repeat(LAST))), NO_WORD);
    }

    #[test]
    fn where_it_logs_elsewhere_that_is_the_place() {
        assert_eq!(words(""), ELSEWHERE);
        assert_eq!(words("child process x exited by a signal y\n"), ELSEWHERE);
    }

    proptest! {
        #[test]
        fn any_words_are_read(text: String) {
            let _ = words(&text);
        }

        #[test]
        fn nothing_behind_another_prefix_is_a_death(
            pid in 9..40_000_i32,
            before in "[ -~\n]{0,80}",
            after in "[ -~\n]{0,80}",
        ) {
            let text = line(pid, &format!("DBG:core:parse_msg: {before}{FORGED}{after}"));
            prop_assert_eq!(death(&text, Pid::new(8)), None);
        }
    }
}
