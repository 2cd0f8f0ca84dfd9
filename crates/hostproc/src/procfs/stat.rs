//! `/proc/PID/stat`: state, family and start time of a process.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::error::{Error, Result};
use crate::process::{Pid, Process};
use crate::procfs::ProcFs;

/// The state of a process (field 3 of `/proc/PID/stat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs or waits for something (`R`, `S`, `I`).
    Alive,
    /// It is in an uninterruptible sleep (`D`): signals have no effect until it wakes.
    Uninterruptible,
    /// It is stopped by a signal or a tracer (`T`, `t`).
    Stopped,
    /// It has ended (`Z`, `X`): it holds no file, socket or memory, and waits for its parent.
    Ended,
}

/// One process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub process: Process,
    /// Its state.
    pub state: State,
    /// Its parent; `None` for the first process of a pid namespace, and for one whose parent is
    /// outside of the namespace.
    pub parent: Option<Pid>,
    /// The number of its process group.
    pub group: i32,
    /// The number of its session.
    pub session: i32,
}

impl ProcFs {
    /// State, family and start time; `None` if there is no such process.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`], [`Error::Malformed`]
    pub fn stat(&self, pid: Pid) -> Result<Option<Stat>> {
        self.read_stat(pid, |fields| parse(pid, fields))
    }

    /// How a process has ended that waits for its parent; `None` if it is alive or gone.
    ///
    /// Only a process that may be traced ([`ProcFs::may_trace`]) shows its status: any other one
    /// shows 0.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn exit_status(&self, process: &Process) -> Result<Option<ExitStatus>> {
        let parsed = self.read_stat(process.pid, |fields| {
            let stat = parse(process.pid, fields)?;
            let status = field(fields, 52)?.parse().ok()?;
            Some((stat, ExitStatus::from_raw(status)))
        })?;
        let of_ended =
            |(stat, _): &(Stat, _)| stat.process == *process && stat.state == State::Ended;
        Ok(parsed.filter(of_ended).map(|(_, status)| status))
    }

    /// Whether the caller may trace a living process, which it may not in a container without
    /// CAP_SYS_PTRACE; `None` if the process is gone. The kernel then hides some fields: it shows 1
    /// for the address of the code (field 26) and 0 for the exit status (`do_task_stat()` in
    /// fs/proc/array.c, `PTRACE_MODE_READ_FSCREDS`).
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn may_trace(&self, pid: Pid) -> Result<Option<bool>> {
        self.read_stat(pid, |fields| Some(field(fields, 26)? != "1"))
    }

    /// The scheduling policy of a process by its number in sched(7): 0 for `SCHED_OTHER`, which processes
    /// have unless told otherwise; `None` if it is gone.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn scheduling_policy(&self, pid: Pid) -> Result<Option<u32>> {
        self.read_stat(pid, |fields| field(fields, 41)?.parse().ok())
    }

    /// The name is whatever the process calls itself, parentheses, spaces and newlines included, so
    /// the fields begin behind the last `)`: the first of them is number 3.
    fn read_stat<T>(&self, pid: Pid, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        let path = self.path(pid, "stat");
        let Some(content) = self.read(&path)? else { return Ok(None) };
        fields_of(&content)
            .and_then(parse)
            .map(Some)
            .ok_or_else(|| Error::malformed(&path, &content))
    }
}

/// Fields 3 and following.
pub(crate) fn fields_of(content: &[u8]) -> Option<&str> {
    let close = content.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(content.get(close + 1..)?).ok()
}

/// `state ppid pgrp session tty_nr ... starttime ...`, fields 3 and following.
pub(crate) fn parse(pid: Pid, fields: &str) -> Option<Stat> {
    let mut fields = fields.split_ascii_whitespace();
    let state = match fields.next()? {
        "Z" | "X" | "x" => State::Ended,
        "D" => State::Uninterruptible,
        "T" | "t" => State::Stopped,
        _ => State::Alive,
    };
    let parent: i32 = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Fields 7 to 21 are skipped; 22 is the start time.
    let start_time = fields.nth(15)?.parse().ok()?;
    let process = Process { pid, start_time };
    Some(Stat { process, state, parent: Pid::new(parent), group, session })
}

/// A field by its number in proc(5).
fn field(fields: &str, number: usize) -> Option<&str> {
    fields.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{has_ended, spawn};
    use std::process::Command;

    /// A `/proc` with one process, whose file `stat` has this content.
    fn proc_with(pid: Pid, content: &[u8]) -> (tempfile::TempDir, ProcFs) {
        let directory = tempfile::tempdir().unwrap();
        let proc = ProcFs::at(directory.path());
        let path = proc.path(pid, "stat");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        (directory, proc)
    }

    #[test]
    fn names_with_parentheses_and_spaces() {
        let pid = Pid::new(42).unwrap();
        let line = b"42 (a) S 1 (b) Z 7 40 39 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 11 22\n";
        let (_directory, proc) = proc_with(pid, line);
        let stat = proc.stat(pid).unwrap().unwrap();
        assert_eq!(stat.state, State::Ended);
        assert_eq!((stat.parent, stat.group, stat.session), (Pid::new(7), 40, 39));
        assert_eq!(stat.process.start_time, 987_654);
        for bad in [&b""[..], b"42", b"42 (x", b"42 (x)", b"42 (x) S 1 2", b"\xff) S \xff"] {
            let (_directory, proc) = proc_with(pid, bad);
            assert!(matches!(proc.stat(pid), Err(Error::Malformed { .. })));
        }
    }

    #[test]
    fn another_root() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(ProcFs::at(directory.path()).stat(Pid::own()).unwrap(), None);
    }

    #[test]
    fn how_a_child_has_ended() {
        let proc = ProcFs::default();
        assert_eq!(proc.may_trace(Pid::own()).unwrap(), Some(true));
        assert!(proc.scheduling_policy(Pid::own()).unwrap().is_some());
        for (script, code) in [("exit 0", Some(0)), ("exit 7", Some(7)), ("kill -9 $$", None)] {
            let mut child = spawn(Command::new("/bin/sh").args(["-c", script]));
            let process = has_ended(&proc, Pid::of(&child));
            let status = proc.exit_status(&process).unwrap();
            assert_eq!(status.map(|status| status.code()), Some(code), "{script}");
            let successor = Process { start_time: process.start_time + 1, ..process };
            assert_eq!(proc.exit_status(&successor).unwrap(), None);
            child.wait().unwrap();
            assert_eq!(proc.exit_status(&process).unwrap(), None);
            assert_eq!(proc.may_trace(process.pid).unwrap(), None);
        }
        let own = proc.own().unwrap();
        assert_eq!(proc.exit_status(&own).unwrap(), None);
    }

    #[test]
    fn what_may_not_be_traced() {
        let pid = Pid::new(42).unwrap();
        let line = |address| {
            let fields: Vec<_> =
                (3..=52).map(|number| if number == 26 { address } else { "7" }).collect();
            format!("42 (a) {}\n", fields.join(" "))
        };
        let (_directory, proc) = proc_with(pid, line("1").as_bytes());
        assert_eq!(proc.may_trace(pid).unwrap(), Some(false));
        let (_directory, proc) = proc_with(pid, line("94000000").as_bytes());
        assert_eq!(proc.may_trace(pid).unwrap(), Some(true));
    }
}
