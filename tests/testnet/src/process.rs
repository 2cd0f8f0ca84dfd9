//! Signals whose effect a test relies on.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait_until;

/// Long enough for a machine that is stalled.
const LONG: Duration = Duration::from_secs(120);

/// Stops a process, and returns when it is stopped. Until then it may still read a request that it never
/// answers.
///
/// # Panics
/// If there is no such process.
pub fn suspend(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("a process to be stopped");
    wait_until("the process is stopped", LONG, || {
        // proc(5): PID (NAME) STATE …
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    });
}

/// Lets a stopped process go on.
///
/// # Panics
/// If there is no such process.
pub fn resume(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("a process that was stopped");
}
