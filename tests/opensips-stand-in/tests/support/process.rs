//! The process table, from `/proc`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A living process; one that only waits to be reaped does not live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) name: String,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    pub(crate) arguments: Vec<String>,
    pub(crate) user: u32,
}

impl Process {
    pub(crate) fn read(pid: i32) -> Option<Self> {
        // proc(5): PID (NAME) STATE PPID PGRP SESSION …
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.split_once('(')?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        if ["Z", "X"].contains(&fields[0]) {
            return None;
        }
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        Some(Self {
            pid,
            name: name.to_owned(),
            parent: fields[1].parse().ok()?,
            group: fields[2].parse().ok()?,
            session: fields[3].parse().ok()?,
            arguments: arguments.split_terminator('\0').map(str::to_owned).collect(),
            user: fs::metadata(format!("/proc/{pid}")).ok()?.uid(),
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended a moment ago.
        assert!(matches!(kill(Pid::from_raw(self.pid), signal), Ok(()) | Err(Errno::ESRCH)));
    }

    /// Stops it with SIGSTOP.
    pub(crate) fn suspend(&self) {
        testnet::suspend(self.pid);
    }

    /// Its network namespace; None once it is dead.
    pub(crate) fn network(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/ns/net", self.pid)).ok()
    }

    /// What the kernel calls the file behind a descriptor.
    pub(crate) fn descriptor(&self, number: i32) -> String {
        let link = fs::read_link(format!("/proc/{}/fd/{number}", self.pid)).unwrap();
        link.display().to_string()
    }
}

/// All living processes of a group.
pub(crate) fn of_group(group: i32) -> Vec<Process> {
    all().filter(|process| process.group == group).collect()
}

/// All living processes that run a program.
pub(crate) fn of_binary(binary: &Path) -> Vec<Process> {
    let binary = binary.to_string_lossy().into_owned();
    all().filter(|process| process.arguments.first() == Some(&binary)).collect()
}

fn all() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
}
