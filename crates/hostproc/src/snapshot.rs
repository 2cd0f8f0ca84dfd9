//! All processes at one moment, to find the members of a family.

use std::collections::HashMap;
use std::collections::HashSet;

use crate::error::Result;
use crate::process::Pid;
use crate::procfs::{ProcFs, Stat, State};

/// Every process of the pid namespace, from one pass over `/proc`. Not atomic: a process that
/// forks during the pass may be missed, so whoever needs to know that a family is gone looks
/// again until two passes agree.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    by_pid: HashMap<Pid, Stat>,
}

impl ProcFs {
    /// Looks at every process once. Those that end meanwhile are left out.
    ///
    /// # Errors
    /// [`crate::Error::Unreadable`] if `/proc` can't be listed, and those of
    /// [`ProcFs::stat`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut by_pid = HashMap::new();
        for pid in self.pids()? {
            if let Some(stat) = self.stat(pid)? {
                by_pid.insert(pid, stat);
            }
        }
        Ok(Snapshot { by_pid })
    }
}

impl Snapshot {
    /// From values, for decisions that are tested as values.
    #[must_use]
    pub fn of(processes: impl IntoIterator<Item = Stat>) -> Self {
        Self { by_pid: processes.into_iter().map(|stat| (stat.process.pid, stat)).collect() }
    }

    /// One process.
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

    /// The direct children that have not ended.
    pub fn children(&self, pid: Pid) -> impl Iterator<Item = &Stat> {
        self.alive().filter(move |stat| stat.parent == Some(pid))
    }

    /// Children, their children and so on, that have not ended, without `pid` itself. Those
    /// whose parent has ended belong to init, no longer to the family: they are found by
    /// group or session.
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
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    fn stat(pid: i32, parent: i32, group: i32, state: State) -> Stat {
        let process = Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
        Stat { process, state, parent: Pid::new(parent), group, session: 9 }
    }

    #[test]
    fn families_as_values() {
        let snapshot = Snapshot::of([
            stat(10, 1, 10, State::Alive),
            stat(11, 10, 10, State::Alive),
            stat(12, 11, 10, State::Uninterruptible),
            stat(13, 10, 10, State::Ended),
            stat(14, 1, 10, State::Alive),
            stat(20, 1, 20, State::Alive),
            // Numbers that were used again while /proc was read may form a ring.
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
    fn a_real_tree() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 600 & echo $!; wait"])
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let grandchild: Pid = line.trim().parse().unwrap();
        let pid = Pid::new(i32::try_from(shell.id()).unwrap()).unwrap();
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
