//! What of the instance is alive, and which of it is the main process. Decided on values.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use hostproc::{Pid, Process, Snapshot, Stat};

use crate::host::files::{Links, read_regular};

/// Longer than any pid with its newline.
const PID_FILE_LIMIT: u64 = 32;

/// What is left of, or alive as, the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The main process ("attendant"), if it is alive.
    pub main: Option<Stat>,
    /// Every process of the instance that is alive, the main process included.
    pub members: Vec<Stat>,
    /// The command that starts it still waits for it: it is initialising, and ignores SIGTERM.
    pub initialising: bool,
    /// The main process was started by somebody else: with this instance's configuration, and
    /// this pid file. So are all the others, then.
    pub elsewhere: Option<(Pid, PathBuf)>,
}

/// What a pid file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PidFile {
    /// There is none.
    Missing,
    /// It holds no pid.
    Unreadable,
    /// It names a process, which may be anybody by now.
    Names(Pid),
}

impl PidFile {
    /// Reads it as OpenSIPS writes it: a decimal number and a newline.
    pub fn read(path: &Path) -> Self {
        // The directory is the daemon's user's: what is there may be anything, a link to anywhere
        // among it.
        match read_regular(path, Links::Refused, PID_FILE_LIMIT) {
            Ok(content) => {
                let text = std::str::from_utf8(&content).unwrap_or_default();
                text.trim().parse().map_or(Self::Unreadable, Self::Names)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Missing,
            Err(_) => Self::Unreadable,
        }
    }
}

/// A process that is the instance's daemon by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Daemon {
    pub(crate) stat: Stat,
    /// It has left the session of whoever started it (`setsid()` in daemonize.c).
    pub(crate) own_session: bool,
}

/// The one that the others belong to: it has no parent among them, and is named by the pid file,
/// or remembered, or the only one with children. What a killed main process leaves behind are
/// processes without parent, memory or children.
fn main_process(daemons: &[Daemon], pidfile: PidFile, remembered: Option<Process>) -> Option<Stat> {
    let pids: HashSet<Pid> = daemons.iter().map(|daemon| daemon.stat.process.pid).collect();
    let parents: HashSet<Pid> = daemons.iter().filter_map(|daemon| daemon.stat.parent).collect();
    let roots: Vec<Stat> = daemons
        .iter()
        .map(|daemon| daemon.stat)
        .filter(|stat| stat.parent.is_none_or(|parent| !pids.contains(&parent)))
        .collect();
    let with_children: Vec<Stat> =
        roots.iter().copied().filter(|stat| parents.contains(&stat.process.pid)).collect();
    let named = roots.iter().find(|stat| pidfile == PidFile::Names(stat.process.pid));
    let recalled = roots.iter().find(|stat| remembered == Some(stat.process));
    let only = match with_children.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    named.or(recalled).or(only).copied()
}

/// Whether a session is that of somebody else: before a starting daemon has made its own, it is in
/// Pacemaker's, or in somebody's shell. Its leader is alive and no daemon of ours, or can't be seen.
fn is_led_by_others(snapshot: &Snapshot, daemons: &[Daemon], session: i32) -> bool {
    Pid::new(session).is_none_or(|leader| {
        !daemons.iter().any(|daemon| daemon.stat.process.pid == leader)
            && snapshot.alive().any(|stat| stat.process.pid == leader)
    })
}

/// A daemon beside the main process that has not left the session of whoever started it is the
/// command itself, which ends when the initialisation does.
fn is_initialising(snapshot: &Snapshot, daemons: &[Daemon], main: Option<Stat>) -> bool {
    main.is_some_and(|main| {
        daemons.iter().any(|daemon| {
            daemon.stat.session != main.session
                && is_led_by_others(snapshot, daemons, daemon.stat.session)
        })
    })
}

/// A main process with the session that it was seen to have made.
type Remembered = (Process, i32);

/// Who else is in the session that the main process has made: a program that a worker started and
/// that outlived it. Nobody that was there before the main process was.
///
/// Only of a session that is remembered: a daemon that is found in one whose leader is dead need not
/// have made it. The command that starts it is in the session of whoever executed it, a shell that
/// has ended, say, and so is everything else that was started there.
fn others_in_session(
    snapshot: &Snapshot,
    daemons: &[Daemon],
    (main, session): Remembered,
    own: Pid,
) -> Vec<Stat> {
    let own_session = snapshot.get(own).map(|stat| stat.session);
    if Some(session) == own_session || is_led_by_others(snapshot, daemons, session) {
        return Vec::new();
    }
    let younger = |stat: &&Stat| stat.process.start_time >= main.start_time;
    snapshot.session(session).filter(younger).copied().collect()
}

/// What is left of the instance's session among those who hold its sockets, though no daemon of it
/// is alive. The number of a session is not used again while somebody is in it; who holds a socket of
/// the instance is in that session, and not in a later one with its number, for it is from there
/// that sockets are inherited.
pub(crate) fn remains(
    snapshot: &Snapshot,
    remembered: Remembered,
    holders: &HashSet<Pid>,
    own: Pid,
) -> Vec<Stat> {
    let mut found = others_in_session(snapshot, &[], remembered, own);
    found.retain(|stat| holders.contains(&stat.process.pid));
    found
}

/// The daemons, whatever they started, and who else is in the session that they made.
fn members(
    snapshot: &Snapshot,
    daemons: &[Daemon],
    remembered: Option<Remembered>,
    own: Pid,
) -> Vec<Stat> {
    let mut members: Vec<Stat> = daemons.iter().map(|daemon| daemon.stat).collect();
    for daemon in daemons {
        members.extend(snapshot.descendants(daemon.stat.process.pid));
        // While one of them is in it, the number is that of the same session.
        if let Some(remembered) = remembered
            && daemon.own_session
            && daemon.stat.session == remembered.1
        {
            members.extend(others_in_session(snapshot, daemons, remembered, own));
        }
    }
    members.retain(|stat| stat.process.pid != own);
    members.sort_unstable_by_key(|stat| stat.process.pid);
    members.dedup_by_key(|stat| stat.process.pid);
    members
}

impl Survey {
    /// Judges the daemons of the instance among all processes.
    pub(crate) fn of(
        snapshot: &Snapshot,
        daemons: &[Daemon],
        pidfile: PidFile,
        remembered: Option<Remembered>,
        own: Pid,
    ) -> Self {
        let main = main_process(daemons, pidfile, remembered.map(|(main, _)| main));
        Self {
            main,
            elsewhere: None,
            members: members(snapshot, daemons, remembered, own),
            initialising: is_initialising(snapshot, daemons, main),
        }
    }

    /// Whether nothing of the instance is alive.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members beside the main process.
    pub fn others(&self) -> impl Iterator<Item = &Stat> {
        let main = self.main.map(|stat| stat.process);
        self.members.iter().filter(move |stat| Some(stat.process) != main)
    }
}

/// Pids for a message: `4711, 4712, 4713 and 8 more`.
pub struct Pids<'a>(pub &'a [Stat]);

impl fmt::Display for Pids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        for (at, stat) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{}", stat.process.pid)?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::State as Alive;

    fn stat(pid: i32, parent: i32, session: i32) -> Stat {
        let process = Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
        Stat { process, state: Alive::Alive, parent: Pid::new(parent), group: session, session }
    }

    fn daemon(pid: i32, parent: i32, session: i32) -> Daemon {
        Daemon { stat: stat(pid, parent, session), own_session: true }
    }

    fn pid(stat: Option<Stat>) -> Option<i32> {
        stat.map(|stat| stat.process.pid.get())
    }

    #[test]
    fn the_main_process_is_the_one_with_the_others_below() {
        let tree = [daemon(11, 1, 10), daemon(12, 11, 10), daemon(13, 11, 10)];
        let named = |number| PidFile::Names(Pid::new(number).unwrap());
        assert_eq!(pid(main_process(&tree, named(11), None)), Some(11));
        assert_eq!(pid(main_process(&tree, PidFile::Missing, None)), Some(11));
        // A foreign pid, a worker's pid, nonsense.
        for pidfile in [named(99), named(12), PidFile::Unreadable] {
            assert_eq!(pid(main_process(&tree, pidfile, None)), Some(11));
        }
    }

    #[test]
    fn orphans_have_no_main_process() {
        let orphans = [daemon(12, 1, 10), daemon(13, 1, 10), daemon(14, 1, 10)];
        let gone = Process { pid: Pid::new(11).unwrap(), start_time: 1 };
        assert_eq!(main_process(&orphans, PidFile::Missing, Some(gone)), None);
        assert_eq!(main_process(&orphans[..1], PidFile::Names(gone.pid), Some(gone)), None);
        // Two trees: which is meant is not guessed.
        let two = [daemon(11, 1, 10), daemon(12, 11, 10), daemon(21, 1, 20), daemon(22, 21, 20)];
        assert_eq!(main_process(&two, PidFile::Missing, None), None);
    }

    #[test]
    fn what_the_daemon_started_belongs_to_it() {
        let daemons = [daemon(11, 1, 10), daemon(12, 11, 10)];
        let snapshot = Snapshot::of([
            stat(1, 0, 1),
            daemons[0].stat,
            daemons[1].stat,
            stat(15, 12, 15),
            stat(16, 1, 10),
            stat(50, 1, 50),
        ]);
        let own = Pid::new(60).unwrap();
        let pids = |remembered: Option<Remembered>| -> Vec<i32> {
            let found = members(&snapshot, &daemons, remembered, own);
            found.iter().map(|stat| stat.process.pid.get()).collect()
        };
        let main = daemons[0].stat.process;
        assert_eq!(pids(Some((main, 10))), [11, 12, 15, 16]);
        // Nobody knows whether the daemon has made that session, or a shell that has ended.
        assert_eq!(pids(None), [11, 12, 15]);
        assert_eq!(pids(Some((main, 9))), [11, 12, 15]);
        // There before the daemon was.
        assert_eq!(pids(Some((Process { start_time: 2, ..main }, 10))), [11, 12, 15]);
    }

    #[test]
    fn what_holds_a_socket_in_the_session_is_a_remnant() {
        let pid = |number| Pid::new(number).unwrap();
        let main = Process { pid: pid(11), start_time: 5 };
        let younger = |pid, session| {
            let mut stat = stat(pid, 1, session);
            stat.process.start_time = 7;
            stat
        };
        let others = [younger(16, 10), younger(17, 10), stat(18, 1, 10), younger(50, 50)];
        let holders = HashSet::from([16, 18, 50].map(pid));
        let found = |processes: &[Stat], own| {
            let found =
                remains(&Snapshot::of(processes.iter().copied()), (main, 10), &holders, own);
            found.iter().map(|stat| stat.process.pid.get()).collect::<Vec<_>>()
        };
        let own = pid(60);
        assert_eq!(found(&others, own), [16]);
        // The number is another session's: its leader is alive, or we are in it ourselves.
        assert_eq!(found(&[&others[..], &[younger(10, 1)]].concat(), own), [0; 0]);
        assert_eq!(found(&others, pid(17)), [0; 0]);
    }

    #[test]
    fn a_session_of_others_is_never_taken() {
        let own = Pid::new(60).unwrap();
        let count = |daemons: &[Daemon], others: &[Stat]| {
            let all = daemons.iter().map(|daemon| daemon.stat).chain(others.iter().copied());
            let remembered = daemons.first().map(|one| (one.stat.process, one.stat.session));
            members(&Snapshot::of(all), daemons, remembered, own).len()
        };
        // Just forked, still in Pacemaker's session.
        assert_eq!(count(&[daemon(11, 60, 50)], &[stat(50, 1, 50), stat(51, 50, 50)]), 1);
        // In the foreground of a shell that has ended.
        let foreground = Daemon { own_session: false, ..daemon(11, 1, 50) };
        assert_eq!(count(&[foreground], &[stat(51, 1, 50)]), 1);
        // In our own session.
        assert_eq!(count(&[daemon(11, 60, 50)], &[stat(60, 1, 50), stat(51, 1, 50)]), 1);
        // Session 0: its leader is outside of our pid namespace.
        assert_eq!(count(&[daemon(11, 1, 0)], &[stat(51, 1, 0)]), 1);
    }

    #[test]
    fn a_start_that_is_still_waited_for() {
        let main = daemon(12, 1, 11);
        let command = daemon(10, 50, 50);
        let snapshot = Snapshot::of([main.stat, command.stat, stat(50, 1, 50)]);
        assert!(is_initialising(&snapshot, &[main, command], Some(main.stat)));
        assert!(!is_initialising(&snapshot, &[main], Some(main.stat)));
        // In the foreground, it is the main process itself that has not left the session.
        let foreground = Daemon { own_session: false, ..daemon(10, 50, 50) };
        assert!(!is_initialising(&snapshot, &[foreground], Some(foreground.stat)));
        // Orphans of an earlier life beside it: their session's leader is gone.
        let orphan = daemon(9, 1, 8);
        let snapshot = Snapshot::of([main.stat, orphan.stat]);
        assert!(!is_initialising(&snapshot, &[main, orphan], Some(main.stat)));
    }

    #[test]
    fn pid_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.pid");
        assert_eq!(PidFile::read(&path), PidFile::Missing);
        for (content, read) in [
            ("4711\n", PidFile::Names(Pid::new(4711).unwrap())),
            ("", PidFile::Unreadable),
            ("-1\n", PidFile::Unreadable),
            ("x", PidFile::Unreadable),
            ("4711 4712", PidFile::Unreadable),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(PidFile::read(&path), read, "{content:?}");
        }
        assert_eq!(PidFile::read(directory.path()), PidFile::Unreadable);
        let link = directory.path().join("link");
        std::fs::write(&path, "4711\n").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(PidFile::read(&link), PidFile::Unreadable);
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(PidFile::read(&fifo), PidFile::Unreadable);
    }

    #[test]
    fn pids_for_people() {
        let stats: Vec<Stat> = (1..=5).map(|pid| stat(pid, 0, 0)).collect();
        assert_eq!(Pids(&stats).to_string(), "1, 2, 3 and 2 more");
        assert_eq!(Pids(&stats[..3]).to_string(), "1, 2, 3");
        assert_eq!(Pids(&[]).to_string(), "");
    }
}
