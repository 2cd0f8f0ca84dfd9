//! What `/proc/PID` says about one process (proc(5)).

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read};
use std::num::NonZeroI32;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};

/// A process number: positive, for 0 and negative numbers mean groups to kill(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(NonZeroI32);

impl Pid {
    /// `None` unless positive.
    #[must_use]
    pub fn new(pid: i32) -> Option<Self> {
        NonZeroI32::new(pid).filter(|pid| pid.is_positive()).map(Self)
    }

    /// The calling process.
    #[must_use]
    pub fn own() -> Self {
        // Always positive; the largest number, which nobody has, stands for the impossible.
        Self::new(nix::unistd::getpid().as_raw()).unwrap_or(Self(NonZeroI32::MAX))
    }

    /// The number.
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

/// Text that is no pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a process number is a positive decimal number")]
pub struct InvalidPid;

impl FromStr for Pid {
    type Err = InvalidPid;

    /// Decimal digits only: no sign, no white space.
    fn from_str(text: &str) -> std::result::Result<Self, InvalidPid> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidPid);
        }
        text.parse().ok().and_then(Self::new).ok_or(InvalidPid)
    }
}

/// The identity of a process: no later process has both numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

/// The state of a process (field 3 of `/proc/PID/stat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Running or waiting for something (`R`, `S`, `I`).
    Alive,
    /// In an uninterruptible sleep (`D`): signals have no effect until it wakes.
    Uninterruptible,
    /// Stopped by a signal or a tracer (`T`, `t`).
    Stopped,
    /// Ended (`Z`, `X`): it holds no file, socket or memory, and waits for its parent.
    Ended,
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Who it is.
    pub process: Process,
    /// Its state.
    pub state: State,
    /// Its parent; `None` for the first process of a pid namespace, and for one whose parent
    /// is outside of the namespace.
    pub parent: Option<Pid>,
    /// Its process group's number.
    pub group: i32,
    /// Its session's number.
    pub session: i32,
}

/// The executable file of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// Where it was when the process started it.
    pub path: PathBuf,
    /// The file has been removed or replaced since, as a package upgrade does.
    pub deleted: bool,
}

/// A mounted proc file system; `/proc` by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcFs {
    root: PathBuf,
}

impl Default for ProcFs {
    fn default() -> Self {
        Self::at("/proc")
    }
}

impl ProcFs {
    /// A proc file system mounted elsewhere.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Who has this number now; `None` if nobody.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn process(&self, pid: Pid) -> Result<Option<Process>> {
        Ok(self.stat(pid)?.map(|stat| stat.process))
    }

    /// The calling process.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`]; [`Error::Malformed`] if this is not our `/proc`.
    pub fn own(&self) -> Result<Process> {
        let pid = Pid::own();
        self.process(pid)?.ok_or_else(|| Error::Malformed {
            path: self.path(pid, "stat"),
            content: "no entry for the calling process".to_owned(),
        })
    }

    /// Whether this very process, not a successor with its number, is there and has not
    /// ended.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn is_alive(&self, process: &Process) -> Result<bool> {
        Ok(self
            .stat(process.pid)?
            .is_some_and(|stat| stat.process == *process && stat.state != State::Ended))
    }

    /// State, family and start time; `None` if there is no such process.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`], [`Error::Malformed`]
    pub fn stat(&self, pid: Pid) -> Result<Option<Stat>> {
        let path = self.path(pid, "stat");
        let Some(content) = unless_gone(&path, read(&path))? else { return Ok(None) };
        parse_stat(pid, &content).map(Some).ok_or_else(|| Error::Malformed {
            path,
            content: String::from_utf8_lossy(&content).into_owned(),
        })
    }

    /// Its executable; `None` if the process is gone, has ended, or is a kernel thread.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for a process of another user, [`Error::Unreadable`]
    pub fn exe(&self, pid: Pid) -> Result<Option<Executable>> {
        let path = self.path(pid, "exe");
        let target = unless_gone(&path, std::fs::read_link(&path))?;
        Ok(target.map(|target| {
            // The kernel marks the path of a file that has no name any more (d_path()).
            match target.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
                Some(path) => Executable {
                    path: PathBuf::from(OsString::from_vec(path.to_vec())),
                    deleted: true,
                },
                None => Executable { path: target, deleted: false },
            }
        }))
    }

    /// Its arguments, the program's name first; empty if it has ended or is a kernel thread;
    /// `None` if it is gone. The process may have written over them.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`]
    pub fn cmdline(&self, pid: Pid) -> Result<Option<Vec<OsString>>> {
        let path = self.path(pid, "cmdline");
        let content = unless_gone(&path, read(&path))?;
        Ok(content.map(|content| {
            let content = content.strip_suffix(b"\0").unwrap_or(&content);
            if content.is_empty() {
                return Vec::new();
            }
            let arguments = content.split(|byte| *byte == 0);
            arguments.map(|argument| OsString::from_vec(argument.to_vec())).collect()
        }))
    }

    fn path(&self, pid: Pid, file: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(file)
    }
}

/// A file of `/proc`, which claims to be empty: `std::fs::read` would ask for its size and then
/// read it in small pieces. One read for nearly all of them, and one that finds the end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(1024);
    std::fs::File::open(path)?.take(u64::MAX).read_to_end(&mut content)?;
    Ok(content)
}

/// Gone before (`ENOENT`) or during (`ESRCH`) the read is `None`; everything else is an error.
pub(crate) fn unless_gone<T>(path: &Path, read: io::Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
            Err(Error::NotPermitted { path: path.to_owned(), source })
        }
        Err(source) => Err(Error::Unreadable { path: path.to_owned(), source }),
    }
}

/// `pid (comm) state ppid pgrp session tty_nr ... starttime ...`: comm is whatever the process
/// calls itself, parentheses and spaces included, so fields count from the last `)`.
pub(crate) fn parse_stat(pid: Pid, content: &[u8]) -> Option<Stat> {
    let close = content.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(content.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    struct Ended(Child);
    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    fn pid_of(child: &Child) -> Pid {
        Pid::new(i32::try_from(child.id()).unwrap()).unwrap()
    }

    #[test]
    fn names_with_parentheses_and_spaces() {
        let pid = Pid::new(42).unwrap();
        let line = b"42 (a) S 1 (b) Z 7 40 39 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 11 22\n";
        let stat = parse_stat(pid, line).unwrap();
        assert_eq!(stat.state, State::Ended);
        assert_eq!((stat.parent, stat.group, stat.session), (Pid::new(7), 40, 39));
        assert_eq!(stat.process.start_time, 987_654);
        for bad in [&b""[..], b"42", b"42 (x", b"42 (x)", b"42 (x) S 1 2", b"\xff) S \xff"] {
            assert_eq!(parse_stat(pid, bad), None);
        }
    }

    #[test]
    fn pids_are_positive_digits() {
        assert_eq!("17".parse::<Pid>().unwrap().get(), 17);
        for bad in ["", "0", "-1", "+1", " 1", "1\n", "99999999999", "x"] {
            assert!(bad.parse::<Pid>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_child_is_seen_as_it_is() {
        let child = Command::new("sleep").arg("600").arg0_is("sleep").spawn().unwrap();
        let child = Ended(child);
        let proc = ProcFs::default();
        let pid = pid_of(&child.0);
        let stat = proc.stat(pid).unwrap().unwrap();
        assert_eq!(stat.parent, Some(Pid::own()));
        assert!(proc.is_alive(&stat.process).unwrap());
        let another = Process { start_time: stat.process.start_time + 1, ..stat.process };
        assert!(!proc.is_alive(&another).unwrap());
        // The parent of a vfork goes on before the new program's arguments are in their place
        // (begin_new_exec() in fs/exec.c): for a moment there are none.
        let arguments = loop {
            let arguments = proc.cmdline(pid).unwrap().unwrap();
            if !arguments.is_empty() {
                break arguments;
            }
            std::thread::yield_now();
        };
        assert_eq!(arguments.last().unwrap(), "600");
        assert!(!proc.exe(pid).unwrap().unwrap().deleted);
    }

    trait Arg0 {
        fn arg0_is(&mut self, name: &str) -> &mut Command;
    }
    impl Arg0 for Command {
        fn arg0_is(&mut self, name: &str) -> &mut Command {
            std::os::unix::process::CommandExt::arg0(self, name)
        }
    }

    #[test]
    fn an_ended_child_is_not_alive_and_a_reaped_one_gone() {
        let mut child = Command::new("true").stdout(Stdio::null()).spawn().unwrap();
        let proc = ProcFs::default();
        let pid = pid_of(&child);
        let process = proc.process(pid).unwrap().unwrap();
        // Not waited for: it becomes a zombie and stays one.
        while proc.stat(pid).unwrap().unwrap().state != State::Ended {
            std::thread::yield_now();
        }
        assert!(!proc.is_alive(&process).unwrap());
        assert_eq!(proc.exe(pid).unwrap(), None);
        assert_eq!(proc.cmdline(pid).unwrap(), Some(Vec::new()));
        child.wait().unwrap();
        assert_eq!(proc.stat(pid).unwrap(), None);
        assert_eq!(proc.cmdline(pid).unwrap(), None);
    }

    #[test]
    fn a_replaced_executable_keeps_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("daemon");
        testnet::copy_program("/bin/sleep", &program);
        // Another thread that forks while the copy was open for writing would hold it open:
        // "text file busy".
        let child = loop {
            match Command::new(&program).arg("600").spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    std::thread::yield_now();
                }
                child => break Ended(child.unwrap()),
            }
        };
        let upgraded = directory.path().join("daemon.new");
        testnet::copy_program("/bin/sleep", &upgraded);
        std::fs::rename(&upgraded, &program).unwrap();
        let exe = ProcFs::default().exe(pid_of(&child.0)).unwrap().unwrap();
        assert_eq!(exe, Executable { path: program, deleted: true });
    }

    #[test]
    fn gone_and_not_permitted_are_different() {
        let path = Path::new("/proc/1/exe");
        let refused = |errno| unless_gone::<()>(path, Err(io::Error::from_raw_os_error(errno)));
        assert_eq!(refused(nix::libc::ENOENT).unwrap(), None);
        assert_eq!(refused(nix::libc::ESRCH).unwrap(), None);
        assert!(matches!(refused(nix::libc::EACCES), Err(Error::NotPermitted { .. })));
        assert!(matches!(refused(nix::libc::EPERM), Err(Error::NotPermitted { .. })));
        assert!(matches!(refused(nix::libc::EIO), Err(Error::Unreadable { .. })));
    }

    #[test]
    fn another_root() {
        let directory = tempfile::tempdir().unwrap();
        let proc = ProcFs::at(directory.path());
        assert_eq!(proc.stat(Pid::own()).unwrap(), None);
        let entry = directory.path().join(Pid::own().to_string());
        std::fs::create_dir(&entry).unwrap();
        std::fs::write(entry.join("stat"), "nonsense").unwrap();
        assert!(matches!(proc.stat(Pid::own()), Err(Error::Malformed { .. })));
    }
}
