//! The processes of PID namespaces, watched to their end from outside, through a /proc that was
//! mounted outside.
//!
//! waitpid(2) on a namespace's first process would be simpler, and can hang: it returns when every
//! process of the namespace is *reaped*, also those that `lab exec` or a test started from outside
//! and that are waited for by no one just now. Dead is enough here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{error::Result, wait::poll};

/// PID namespaces, each as its link in /proc names it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PidNamespaces(BTreeSet<PathBuf>);

impl PidNamespaces {
    /// Those of a process and of its descendants.
    pub(crate) fn of_tree(root: i32) -> Self {
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for pid in pids() {
            if let Some(parent) = stat(&process(pid)).and_then(|(_, parent)| parent) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let (mut namespaces, mut open) = (BTreeSet::new(), vec![root]);
        while let Some(pid) = open.pop() {
            namespaces.extend(namespace(pid));
            open.extend(children.remove(&pid).unwrap_or_default());
        }
        Self(namespaces)
    }

    /// Waits until no process in them lives.
    pub(crate) fn wait_until_empty(&self, deadline: Duration) -> Result<()> {
        let empty = || {
            let mut inside =
                pids().filter(|pid| namespace(*pid).is_some_and(|name| self.0.contains(&name)));
            inside.all(has_ended).then_some(())
        };
        poll("the killed processes end", deadline, Duration::from_millis(2), empty)
    }
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn process(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn namespace(pid: i32) -> Option<PathBuf> {
    fs::read_link(process(pid).join("ns/pid")).ok()
}

/// State (field 3) and parent (field 4) of a process or a thread; proc_pid_stat(5).
fn stat(directory: &Path) -> Option<(char, Option<i32>)> {
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next().and_then(|parent| parent.parse().ok())))
}

/// Whether all threads of a process have ended: a leader can be a zombie before its threads are.
fn has_ended(pid: i32) -> bool {
    let Ok(threads) = fs::read_dir(process(pid).join("task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let thread = thread.path();
        stat(&thread).is_none_or(|(state, _)| matches!(state, 'Z' | 'X'))
            || (is_first(pid) && has_given_up_namespaces(&thread))
    })
}

/// Whether it is the first process of its PID namespace. The last thread of such a process waits,
/// its files closed and its namespaces left, until all others are reaped: state S
/// (zap_pid_ns_processes() of the kernel).
fn is_first(pid: i32) -> bool {
    fs::read_to_string(process(pid).join("status")).is_ok_and(|status| {
        let pids = status.lines().find_map(|line| line.strip_prefix("NStgid:"));
        pids.is_some_and(|pids| pids.split_ascii_whitespace().next_back() == Some("1"))
    })
}

fn has_given_up_namespaces(thread: &Path) -> bool {
    fs::read_link(thread.join("ns/net")).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::Error;

    #[test]
    fn an_unreaped_child_has_ended() {
        let mut child = Command::new("sleep").arg("300").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(!has_ended(pid));
        child.kill().unwrap();
        poll("a zombie", Duration::from_secs(60), Duration::from_millis(1), || {
            has_ended(pid).then_some(())
        })
        .unwrap();
        assert!(process(pid).exists());
        child.wait().unwrap();
    }

    #[test]
    fn the_own_namespace_is_not_empty() {
        let own = PidNamespaces::of_tree(crate::state::own_pid().unwrap());
        assert!(!own.0.is_empty());
        assert!(matches!(own.wait_until_empty(Duration::ZERO), Err(Error::Deadline { .. })));
        assert_eq!(PidNamespaces::of_tree(i32::MAX), PidNamespaces::default());
    }
}
