//! Which processes of an instance are alive, and which of them is the main process. Decided on
//! values.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use hostfs::{Links, read_regular};
use hostproc::{Pid, Process, Snapshot, Stat};

/// In bytes; longer than any pid with its newline.
const PID_FILE_LIMIT: u64 = 32;

/// The living processes of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The main process ("attendant"), if it is alive.
    pub(crate) main: Option<Stat>,
    /// Every living process of the instance, including the main process.
    pub(crate) members: Vec<Stat>,
    /// The command that starts the daemon is still waiting: the daemon ignores SIGTERM.
    pub(crate) initialising: bool,
    /// A daemon with this instance's configuration or pid file that is not this instance's. It is no
    /// member, and no action but start is concerned with it.
    pub(crate) elsewhere: Option<Elsewhere>,
}

/// A daemon that this resource has not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    pub(crate) pid: Pid,
    /// `None` where it runs without one.
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) starter: Starter,
}

/// What has started such a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    /// Another resource of this agent.
    Resource(String),
    /// systemd, with this unit.
    Unit(String),
    /// A person, or another program.
    Unknown,
}

/// The content of a pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PidFile {
    Missing,
    /// It is there and does not hold a pid.
    Unreadable,
    /// The pid may have been used again since.
    Names(Pid),
}

impl PidFile {
    /// Reads it as OpenSIPS writes it: a decimal number and a newline.
    pub(crate) fn read(path: &Path) -> Self {
        // The daemon's user owns the directory and can put anything there, also a link to any file.
        match read_regular(path, Links::Refused, PID_FILE_LIMIT) {
            Ok(content) => Self::parse(&content),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Self::Missing,
            Err(_) => Self::Unreadable,
        }
    }

    pub(crate) fn parse(content: &[u8]) -> Self {
        let text = std::str::from_utf8(content).unwrap_or_default();
        text.trim().parse().map_or(Self::Unreadable, Self::Names)
    }
}

/// A process that is recognised as the instance's daemon by its executable and arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Daemon {
    pub(crate) stat: Stat,
    /// It has left the session of the process that started it (`setsid()` in daemonize.c).
    pub(crate) own_session: bool,
}

/// The process to which the others belong: it has no parent among them, and is named by the pid
/// file, or remembered, or the only one with children. The orphans of a killed main process are
/// none of these.
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

/// Whether the leader of a session is alive and not a daemon of the instance, or invisible: before
/// a starting daemon has made a session, it is in that of Pacemaker or of a shell.
fn is_foreign_session(snapshot: &Snapshot, daemons: &[Daemon], session: i32) -> bool {
    Pid::new(session).is_none_or(|leader| {
        !daemons.iter().any(|daemon| daemon.stat.process.pid == leader)
            && snapshot.alive().any(|stat| stat.process.pid == leader)
    })
}

/// A daemon next to the main process that is still in a foreign session is the command that starts
/// it, which exits when the initialisation ends.
fn is_initialising(snapshot: &Snapshot, daemons: &[Daemon], main: Option<Stat>) -> bool {
    main.is_some_and(|main| {
        daemons.iter().any(|daemon| {
            daemon.stat.session != main.session
                && is_foreign_session(snapshot, daemons, daemon.stat.session)
        })
    })
}

/// A main process, and the session that start has seen it make.
type Remembered = (Process, i32);

/// The other processes of the session that the main process has made, which are not older than it:
/// programs that a worker started and that outlived it.
///
/// The session must be a remembered one: a daemon in a session whose leader is dead need not have
/// made it. The command that starts the daemon runs in the session of its caller, for example a
/// shell that has exited, together with everything else that was started there.
fn others_in_session(
    snapshot: &Snapshot,
    daemons: &[Daemon],
    (main, session): Remembered,
    own: Pid,
) -> Vec<Stat> {
    let own_session = snapshot.get(own).map(|stat| stat.session);
    if Some(session) == own_session || is_foreign_session(snapshot, daemons, session) {
        return Vec::new();
    }
    let younger = |stat: &&Stat| stat.process.start_time >= main.start_time;
    snapshot.session(session).filter(younger).copied().collect()
}

/// The processes of the instance's session that hold its sockets, where no daemon of it is alive.
/// The kernel does not reuse the number of a session with processes; and a process that holds a
/// socket of the instance has inherited it in that session, not in a later one with its number.
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

/// The daemons, their descendants, and the other processes of the session that they made.
fn members(
    snapshot: &Snapshot,
    daemons: &[Daemon],
    remembered: Option<Remembered>,
    own: Pid,
) -> Vec<Stat> {
    let mut members: Vec<Stat> = daemons.iter().map(|daemon| daemon.stat).collect();
    for daemon in daemons {
        members.extend(snapshot.descendants(daemon.stat.process.pid));
        // The number belongs to the same session as long as one of them is in it.
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

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Pids for a message: `4711, 4712, 4713 and 8 more`.
pub(crate) struct Pids<'a>(pub(crate) &'a [Stat]);

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
        // A pid of another program, of a worker, and no pid.
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
        // Two trees: ambiguous.
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
        // The daemon or a shell that has exited may have made that session.
        assert_eq!(pids(None), [11, 12, 15]);
        assert_eq!(pids(Some((main, 9))), [11, 12, 15]);
        // Older than the daemon.
        assert_eq!(pids(Some((Process { start_time: 2, ..main }, 10))), [11, 12, 15]);
    }

    #[test]
    fn holders_of_a_socket_in_the_session_are_left_over() {
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
        // Another session has the number: its leader is alive, or the agent is in it.
        assert_eq!(found(&[&others[..], &[younger(10, 1)]].concat(), own), [0; 0]);
        assert_eq!(found(&others, pid(17)), [0; 0]);
    }

    #[test]
    fn a_foreign_session_is_left_alone() {
        let own = Pid::new(60).unwrap();
        let count = |daemons: &[Daemon], others: &[Stat]| {
            let all = daemons.iter().map(|daemon| daemon.stat).chain(others.iter().copied());
            let remembered = daemons.first().map(|one| (one.stat.process, one.stat.session));
            members(&Snapshot::of(all), daemons, remembered, own).len()
        };
        // Just forked and still in Pacemaker's session.
        assert_eq!(count(&[daemon(11, 60, 50)], &[stat(50, 1, 50), stat(51, 50, 50)]), 1);
        // In the foreground of a shell that has exited.
        let foreground = Daemon { own_session: false, ..daemon(11, 1, 50) };
        assert_eq!(count(&[foreground], &[stat(51, 1, 50)]), 1);
        // In the agent's session.
        assert_eq!(count(&[daemon(11, 60, 50)], &[stat(60, 1, 50), stat(51, 1, 50)]), 1);
        // Session 0: its leader is outside of the pid namespace.
        assert_eq!(count(&[daemon(11, 1, 0)], &[stat(51, 1, 0)]), 1);
    }

    #[test]
    fn a_daemon_whose_command_still_waits_is_initialising() {
        let main = daemon(12, 1, 11);
        let command = daemon(10, 50, 50);
        let snapshot = Snapshot::of([main.stat, command.stat, stat(50, 1, 50)]);
        assert!(is_initialising(&snapshot, &[main, command], Some(main.stat)));
        assert!(!is_initialising(&snapshot, &[main], Some(main.stat)));
        // In the foreground the main process stays in the session.
        let foreground = Daemon { own_session: false, ..daemon(10, 50, 50) };
        assert!(!is_initialising(&snapshot, &[foreground], Some(foreground.stat)));
        // With orphans of an earlier instance, whose session leader is gone.
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
