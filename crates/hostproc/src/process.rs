//! What names a process.

use std::fmt;
use std::num::NonZeroI32;
use std::process::Child;
use std::str::FromStr;

/// A process number. It is positive: 0 and negative numbers mean groups to kill(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(NonZeroI32);

impl Pid {
    /// `None` unless the number is positive.
    #[must_use]
    pub fn new(pid: i32) -> Option<Self> {
        NonZeroI32::new(pid).filter(|pid| pid.is_positive()).map(Self)
    }

    /// The number of the calling process.
    #[must_use]
    pub fn own() -> Self {
        Self::or_impossible(Self::new(nix::unistd::getpid().as_raw()))
    }

    /// The number of a child of the calling process.
    #[must_use]
    pub fn of(child: &Child) -> Self {
        Self::or_impossible(i32::try_from(child.id()).ok().and_then(Self::new))
    }

    /// The kernel gives positive numbers below 2^22 only (`PID_MAX_LIMIT`); the largest number, which
    /// no process has, stands for the impossible.
    fn or_impossible(pid: Option<Self>) -> Self {
        pid.unwrap_or(Self(NonZeroI32::MAX))
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0.get()
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not a process number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a process number is a positive decimal number")]
pub struct InvalidPid;

impl FromStr for Pid {
    type Err = InvalidPid;

    /// Decimal digits only: no sign, no white space.
    fn from_str(text: &str) -> Result<Self, InvalidPid> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidPid);
        }
        text.parse().ok().and_then(Self::new).ok_or(InvalidPid)
    }
}

/// The identity of a process: no later process has the same two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// The time at which it started, in clock ticks since boot (field 22 of `/proc/PID/stat`,
    /// proc(5)).
    pub start_time: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_are_positive_digits() {
        assert_eq!("17".parse::<Pid>().unwrap().get(), 17);
        for bad in ["", "0", "-1", "+1", " 1", "1\n", "99999999999", "x"] {
            assert!(bad.parse::<Pid>().is_err(), "{bad:?}");
        }
    }
}
