//! A lab's directory: the record of its rack (pid and start time), its lock, its sockets.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    error::{Error, Result, at, call},
    options::{DEFAULT_STATE, Place},
    processes::PidNamespaces,
};

/// Longest path of a lab's directory: sun_path of unix(7) has 108 bytes, the longest name in the
/// directory takes 15.
pub(crate) const LONGEST_DIRECTORY: usize = 90;

/// How long killed processes may take to end.
pub(crate) const END_DEADLINE: Duration = Duration::from_secs(60);

/// A process that can't be mistaken for another that got its pid later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id as the machine sees it.
    pub pid: i32,
    /// Start time in clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)).
    pub start_time: u64,
}

impl Process {
    /// The process that has this pid now; `None` if there is none or it is a zombie.
    #[must_use]
    pub fn with_pid(pid: i32) -> Option<Self> {
        let (state, process) = Self::look(pid)?;
        (state != 'Z' && state != 'X').then_some(process)
    }

    /// A child that nobody has waited for yet, also one that has ended: its pid is still its own,
    /// and what it wrote before its end is still to be read.
    pub(crate) fn of_child(pid: i32) -> Option<Self> {
        Some(Self::look(pid)?.1)
    }

    /// State and identity of what has this pid now.
    fn look(pid: i32) -> Option<(char, Self)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, start_time) = parse_stat(&stat)?;
        Some((state, Self { pid, start_time }))
    }

    /// Whether this very process is there and not a zombie.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::with_pid(self.pid) == Some(self)
    }

    pub(crate) fn to_json(self) -> Value {
        json!({"pid": self.pid, "start_time": self.start_time})
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            pid: value.get("pid")?.as_i64()?.try_into().ok()?,
            start_time: value.get("start_time")?.as_u64()?,
        })
    }

    /// Kills it and waits for the end of every process in its PID namespace and in those below.
    pub(crate) fn kill_tree(self) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let namespaces = PidNamespaces::of_tree(self.pid);
        match kill(Pid::from_raw(self.pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => namespaces.wait_until_empty(END_DEADLINE),
            Err(errno) => Err(call(format!("kill({})", self.pid))(errno)),
        }
    }
}

/// State (field 3) and start time (field 22). The command in field 2 may hold blanks and
/// parentheses: fields count from the last `)`.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// The directory of one lab.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
}

impl Directory {
    pub(crate) fn of(place: &Place) -> Result<Self> {
        let path = place.state.join(place.name.to_string());
        let text = path.as_os_str().as_encoded_bytes();
        if !path.is_absolute()
            || text.len() > LONGEST_DIRECTORY
            || text.iter().any(|b| b",:\\\n".contains(b))
        {
            return Err(Error::StateDirectory(path));
        }
        Ok(Self { path })
    }

    /// Takes the lab's lock, waiting for whoever holds it; makes the directory.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.path.join("lock");
        loop {
            fs::create_dir_all(&self.path).map_err(at(&self.path))?;
            let file = match OpenOptions::new().write(true).create(true).truncate(false).open(&path)
            {
                Ok(file) => file,
                // Removed between the two calls by a `lab down`.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(at(&path)(error)),
            };
            let lock = Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, errno)| call("flock")(errno))?;
            // The one who held it may have removed the file: then this lock locks nothing.
            let mine = lock.metadata().map_err(at(&path))?;
            if fs::metadata(&path)
                .is_ok_and(|now| (now.dev(), now.ino()) == (mine.dev(), mine.ino()))
            {
                return Ok(Lock { _file: lock });
            }
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    pub(crate) fn rack(&self) -> Option<Process> {
        let text = fs::read_to_string(self.path.join("rack.json")).ok()?;
        Process::from_json(&serde_json::from_str(&text).ok()?)
    }

    pub(crate) fn record_rack(&self, process: Process) -> Result<()> {
        let (path, new) = (self.path.join("rack.json"), self.path.join("rack.new"));
        fs::write(&new, process.to_json().to_string()).map_err(at(&new))?;
        fs::rename(&new, &path).map_err(at(&path))
    }

    pub(crate) fn control_socket(&self) -> PathBuf {
        self.path.join("control.socket")
    }

    pub(crate) fn power_socket(&self) -> PathBuf {
        self.path.join("power.socket")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("rack.log")
    }

    /// Mount point of the nodes' disks, in the rack's mount namespace only.
    pub(crate) fn disks(&self) -> PathBuf {
        self.path.join("disks")
    }

    pub(crate) fn disk(&self, host: &str) -> PathBuf {
        self.disks().join(host)
    }

    /// Removes the directory, and the one of all labs if this was the last. Only with the lock.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(&self.path)(error)),
            _ => {}
        }
        // Fails while other labs are in it. A directory that was named by the user is the user's.
        let _ = fs::remove_dir(DEFAULT_STATE);
        Ok(())
    }

    /// Removes what is in the directory except for the lock. Only with the lock.
    pub(crate) fn empty(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path).map_err(at(&self.path))? {
            let path = entry.map_err(at(&self.path))?.path();
            let removed = match path.file_name() {
                Some(name) if name == "lock" => Ok(()),
                _ if path.is_dir() => fs::remove_dir_all(&path),
                _ => fs::remove_file(&path),
            };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(at(path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Kills what the record names and removes the directory. Whether there was a lab.
    pub(crate) fn clean(&self) -> Result<bool> {
        let rack = self.rack();
        if let Some(rack) = rack {
            rack.kill_tree()?;
        }
        self.remove()?;
        Ok(rack.is_some())
    }
}

/// The lab's lock; released on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

/// The calling process as /proc shows it, which may be mounted for an outer PID namespace.
pub(crate) fn own_pid() -> Result<i32> {
    let path = Path::new("/proc/self");
    let target = fs::read_link(path).map_err(at(path))?;
    target
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Message(format!("/proc/self -> {}", target.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_parentheses_in_the_command() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(parse_stat(&format!("42 (a ) R (b)) {rest}")), Some(('S', 4711)));
        assert_eq!(parse_stat("42 (short) S 1"), None);
    }

    #[test]
    fn a_process_is_itself_and_no_other() {
        let me = Process::with_pid(own_pid().unwrap()).unwrap();
        assert!(me.is_alive());
        assert!(!Process { start_time: me.start_time + 1, ..me }.is_alive());
        assert_eq!(Process::from_json(&me.to_json()), Some(me));
    }

    #[test]
    fn a_child_that_has_ended_is_known_until_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let born = Process::of_child(pid).unwrap();
        let ended = || (!born.is_alive()).then_some(());
        crate::wait_for("the child has ended", END_DEADLINE, ended).unwrap();
        assert_eq!(Process::of_child(pid), Some(born));
        child.wait().unwrap();
        assert_ne!(Process::of_child(pid), Some(born));
    }

    #[test]
    fn paths_that_cannot_hold_a_lab() {
        let place = |state: &str| Place { state: state.into(), ..Place::default() };
        for bad in ["relative", "/with,comma", "/with:colon", &format!("/{}", "x".repeat(90))] {
            assert!(matches!(Directory::of(&place(bad)), Err(Error::StateDirectory(_))), "{bad}");
        }
        assert!(Directory::of(&place("/run/x")).is_ok());
    }
}
