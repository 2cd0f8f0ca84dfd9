//! All processes of the host at one time, to find those that belong together.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::process::Pid;
use crate::procfs::{ProcFs, Stat, State};

/// How many passes over `/proc` are made until one is complete, and the pause between two.
const PASSES: u32 = 5;
const PASS_AGAIN: Duration = Duration::from_millis(10);

/// Every process of the pid namespace, from one pass over `/proc`. It is not atomic: a child that a
/// process forks during the pass may be missing. To be sure that all of them are gone, take snapshots
/// until two of them agree.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    by_pid: HashMap<Pid, Stat>,
}

impl ProcFs {
    /// Looks at every process once. Those that end meanwhile are left out. A pass that has not found the
    /// caller, which lives, may have missed any other process: it is made again.
    ///
    /// # Errors
    /// Those of [`ProcFs::pids`] and [`ProcFs::stat`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        for _ in 1..PASSES {
            match self.pass() {
                Err(Error::Incomplete { .. }) => std::thread::sleep(PASS_AGAIN),
                other => return other,
            }
        }
        self.pass()
    }

    fn pass(&self) -> Result<Snapshot> {
        let mut by_pid = HashMap::new();
        for pid in self.pids()? {
            if let Some(stat) = self.stat(pid)? {
                by_pid.insert(pid, stat);
            }
        }
        if by_pid.contains_key(&Pid::own()) {
            Ok(Snapshot { by_pid })
        } else {
            Err(self.incomplete())
        }
    }
}

impl Snapshot {
    /// A snapshot of these processes, for decisions that are tested as values.
    #[must_use]
    pub fn of(processes: impl IntoIterator<Item = Stat>) -> Self {
        Self { by_pid: processes.into_iter().map(|stat| (stat.process.pid, stat)).collect() }
    }

    /// The process with this number.
    #[must_use]
    pub fn get(&self, pid: Pid) -> Option<&Stat> {
        self.by_pid.get(&pid)
    }

    /// Every process that has not ended.
    pub fn alive(&self) -> impl Iterator<Item = &Stat> {
        self.by_pid.values().filter(|stat| stat.state != State::Ended)
    }

    /// The members of a process group that have not ended.
    pub fn group(&self, group: i32) -> impl Iterator<Item = &Stat> {
        self.alive().filter(move |stat| stat.group == group)
    }

    /// The members of a session that have not ended.
    pub fn session(&self, session: i32) -> impl Iterator<Item = &Stat> {
        self.alive().filter(move |stat| stat.session == session)
    }

    /// The children of a process that have not ended.
    pub fn children(&self, pid: Pid) -> impl Iterator<Item = &Stat> {
        self.alive().filter(move |stat| stat.parent == Some(pid))
    }

    /// The descendants of a process that have not ended, without itself. A process whose parent has
    /// ended is a child of init and not among them; it can be found by its group or session.
    #[must_use]
    pub fn descendants(&self, pid: Pid) -> Vec<&Stat> {
        let mut seen = HashSet::from([pid]);
        let mut found = Vec::new();
        let mut open = vec![pid];
        while let Some(parent) = open.pop() {
            for child in self.children(parent) {
                if seen.insert(child.process.pid) {
                    found.push(child);
                    open.push(child.process.pid);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use crate::testing::{first_line, spawn};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    fn stat(pid: i32, parent: i32, group: i32, state: State) -> Stat {
        let process = Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
        Stat { process, state, parent: Pid::new(parent), group, session: 9 }
    }

    #[test]
    fn descendants_groups_and_sessions() {
        let snapshot = Snapshot::of([
            stat(10, 1, 10, State::Alive),
            stat(11, 10, 10, State::Alive),
            stat(12, 11, 10, State::Uninterruptible),
            stat(13, 10, 10, State::Ended),
            stat(14, 1, 10, State::Alive),
            stat(20, 1, 20, State::Alive),
            // If numbers are used again while /proc is read, two processes can be each other's parent.
            stat(30, 31, 30, State::Alive),
            stat(31, 30, 30, State::Alive),
        ]);
        let pids = |found: Vec<&Stat>| {
            let mut pids: Vec<i32> = found.iter().map(|stat| stat.process.pid.get()).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(pids(snapshot.descendants(Pid::new(10).unwrap())), [11, 12]);
        assert_eq!(pids(snapshot.group(10).collect()), [10, 11, 12, 14]);
        assert_eq!(pids(snapshot.children(Pid::new(10).unwrap()).collect()), [11]);
        assert_eq!(pids(snapshot.descendants(Pid::new(30).unwrap())), [31]);
        assert_eq!(snapshot.session(9).count(), 7);
    }

    #[test]
    fn a_pass_without_the_caller_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let proc = ProcFs::at(directory.path());
        assert!(matches!(proc.snapshot(), Err(Error::Incomplete { .. })));
        // In the list, and gone when it is looked at.
        std::fs::create_dir(directory.path().join(Pid::own().to_string())).unwrap();
        assert_eq!(proc.pids().unwrap(), [Pid::own()]);
        assert!(matches!(proc.snapshot(), Err(Error::Incomplete { .. })));
        let nowhere = ProcFs::at(directory.path().join("none"));
        assert!(matches!(nowhere.snapshot(), Err(Error::Unreadable { .. })));
    }

    #[test]
    fn a_real_tree() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]).process_group(0);
        let mut shell = spawn(command.stdout(Stdio::piped()));
        let grandchild: Pid = first_line(&mut shell).parse().unwrap();
        let pid = Pid::of(&shell);
        let snapshot = ProcFs::default().snapshot().unwrap();

        let found: Vec<Pid> =
            snapshot.descendants(pid).iter().map(|stat| stat.process.pid).collect();
        let members = snapshot.group(pid.get()).count();
        let ours =
            snapshot.descendants(Pid::own()).iter().any(|stat| stat.process.pid == grandchild);

        for pid in [grandchild, pid] {
            let process = snapshot.get(pid).unwrap().process;
            let handle = crate::PidFd::open(&ProcFs::default(), &process).unwrap().unwrap();
            handle.signal(crate::Signal::SIGKILL).unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(found, [grandchild]);
        assert_eq!(members, 2);
        assert!(ours);
    }
}
