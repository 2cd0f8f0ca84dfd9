//! Reads `/proc/PID`: what the kernel tells about one process (proc(5)).
//!
//! A process that is gone is `None` everywhere: before the read (`ENOENT`) or during it (`ESRCH`).

mod descriptors;
pub(crate) mod stat;
pub(crate) mod surroundings;

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use hostfs::retry;

use crate::error::{Error, Result};
use crate::process::{Pid, Process};

pub use stat::{Stat, State};
pub use surroundings::{ControlGroup, Namespaces};

/// The executable file of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executable {
    /// Its path when the process executed it.
    pub path: PathBuf,
    /// Whether the file has been removed or replaced since, as a package upgrade does.
    pub deleted: bool,
}

impl Executable {
    /// The name of the program: the last part of the path. It is as the host has it, so it may hold
    /// anything.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or(OsStr::new("?"))
    }
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
    /// A proc file system that is mounted elsewhere.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The numbers of all processes at this moment, in no order. A list without the caller is none: that
    /// a process is not in it would mean nothing.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if the directory cannot be listed, [`Error::Incomplete`]
    pub fn pids(&self) -> Result<Vec<Pid>> {
        let names = hostfs::names(&self.root)
            .map_err(|source| Error::Unreadable { path: self.root.clone(), source })?;
        let pids: Vec<Pid> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
        if pids.contains(&Pid::own()) { Ok(pids) } else { Err(self.incomplete()) }
    }

    pub(crate) fn incomplete(&self) -> Error {
        Error::Incomplete { path: self.root.clone() }
    }

    /// The process that has this number now; `None` if none has it.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn process(&self, pid: Pid) -> Result<Option<Process>> {
        Ok(self.stat(pid)?.map(|stat| stat.process))
    }

    /// The calling process.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`]; [`Error::Malformed`] if this is not the `/proc` of the caller.
    pub fn own(&self) -> Result<Process> {
        let pid = Pid::own();
        let missing = || {
            let content = "no entry for the calling process".to_owned();
            Error::Malformed { path: self.path(pid, "stat"), content }
        };
        self.process(pid)?.ok_or_else(missing)
    }

    /// Whether this very process, not a successor with its number, exists and has not ended.
    ///
    /// # Errors
    /// Those of [`ProcFs::stat`].
    pub fn is_alive(&self, process: &Process) -> Result<bool> {
        Ok(self
            .stat(process.pid)?
            .is_some_and(|stat| stat.process == *process && stat.state != State::Ended))
    }

    /// The executable; `None` if the process is gone, has ended, or is a kernel thread.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for a process that may not be traced, [`Error::Unreadable`]
    pub fn exe(&self, pid: Pid) -> Result<Option<Executable>> {
        let path = self.path(pid, "exe");
        let target = unless_gone(&path, retry(|| std::fs::read_link(&path)))?;
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

    /// The arguments, the name of the program first; empty if the process has ended or is a kernel
    /// thread; `None` if it is gone. The process may have overwritten them.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`]
    pub fn cmdline(&self, pid: Pid) -> Result<Option<Vec<OsString>>> {
        let content = self.read(&self.path(pid, "cmdline"))?;
        Ok(content.map(|content| {
            let content = content.strip_suffix(b"\0").unwrap_or(&content);
            if content.is_empty() {
                return Vec::new();
            }
            let arguments = content.split(|byte| *byte == 0);
            arguments.map(|argument| OsString::from_vec(argument.to_vec())).collect()
        }))
    }

    /// Another daemon of the manager that has started the parent of this process, both by the file names of their
    /// executables. A manager that was killed is started again and adopts its daemons: then init is their parent, and
    /// that of the manager, which has those that it has started since. `None` if there is none, or if it can't be
    /// looked at.
    #[must_use]
    pub fn daemon_beside_parent(&self, manager: &str, daemon: &str) -> Option<Process> {
        let parent_of = |pid| self.stat(pid).ok().flatten()?.parent;
        let children = |pid| self.children(pid).ok().flatten().unwrap_or_default();
        let is = |pid: Pid, name: &str| {
            let executable = self.exe(pid).ok().flatten();
            executable.is_some_and(|found| found.path.ends_with(name))
        };
        let child_of = |pid, name| children(pid).into_iter().find(|child| is(*child, name));
        let above = parent_of(parent_of(Pid::own())?)?;
        let of_a_new_manager = || child_of(child_of(above, manager)?, daemon);
        // The parent of this process was started since, and the other daemon was not.
        let adopted = || child_of(parent_of(above).filter(|_| is(above, manager))?, daemon);
        let found = child_of(above, daemon).or_else(of_a_new_manager).or_else(adopted)?;
        self.process(found).ok().flatten()
    }

    /// The children of the main thread of a process, those that have ended included, without a pass
    /// over all processes. `None` if the process is gone, or if the kernel has no such list
    /// (`CONFIG_PROC_CHILDREN`); [`ProcFs::snapshot`] has the children then. A child that is reaped
    /// meanwhile may hide others (proc(5)).
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Unreadable`], [`Error::Malformed`]
    pub fn children(&self, pid: Pid) -> Result<Option<Vec<Pid>>> {
        let path = self.path(pid, &format!("task/{pid}/children"));
        let Some(content) = self.read(&path)? else { return Ok(None) };
        let pids = std::str::from_utf8(&content)
            .ok()
            .and_then(|text| text.split_ascii_whitespace().map(|word| word.parse().ok()).collect());
        pids.map(Some).ok_or_else(|| Error::malformed(&path, &content))
    }

    fn path(&self, pid: Pid, file: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(file)
    }

    /// A file of `/proc` has the length 0: `std::fs::read` would ask for it and then read in small
    /// pieces. One read is enough for nearly all of them, and one finds the end.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let read = || {
            let mut content = Vec::with_capacity(1024);
            std::fs::File::open(path)?.take(u64::MAX).read_to_end(&mut content)?;
            Ok(content)
        };
        unless_gone(path, retry(read))
    }
}

/// `None` for a process that is gone, and for a path that is too long for the kernel to tell (`d_path()`,
/// `proc_cgroup_show()`): any user can run a program in such a directory or control group, it is none that somebody
/// has configured, and as an error it would keep every look at the processes of this host from ending. Every other
/// failure is an error.
fn unless_gone<T>(path: &Path, read: io::Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ENAMETOOLONG) => Ok(None),
        Err(source) => Err(failed(path, source)),
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied => Error::NotPermitted { path, source },
        _ => Error::Unreadable { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{first_line, has_ended, has_executed, spawn};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// Any user can do this, and it must not keep anybody from looking at the processes of the host.
    #[test]
    fn a_path_that_is_too_long_to_be_told_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let deep = "name=$(printf %0250d 0); \
                    i=0; while [ $i -lt 18 ]; do mkdir $name; cd -P $name; i=$((i+1)); done; \
                    cp \"$(command -v sleep)\" here; exec ./here 600";
        let mut command = Command::new("sh");
        let child = spawn(command.args(["-ec", deep]).current_dir(directory.path()));
        let (proc, pid) = (ProcFs::default(), Pid::of(&child));
        let begun = std::time::Instant::now();
        let ours = |words: Option<Vec<OsString>>| {
            words.is_some_and(|words| words.first().is_some_and(|word| word == "./here"))
        };
        while !ours(proc.cmdline(pid).unwrap()) {
            assert!(begun.elapsed().as_secs() < 60, "{:?}", proc.cmdline(pid));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let link = std::fs::read_link(format!("/proc/{}/cwd", child.id()));
        assert_eq!(link.unwrap_err().raw_os_error(), Some(nix::libc::ENAMETOOLONG));
        assert_eq!(proc.working_directory(pid).unwrap(), None);
        assert!(proc.exe(pid).unwrap().is_none());
    }

    #[test]
    fn a_child_is_seen_as_it_is() {
        let child = spawn(Command::new("sleep").arg0("sleep").arg("600"));
        let (proc, pid) = (ProcFs::default(), Pid::of(&child));
        let stat = proc.stat(pid).unwrap().unwrap();
        assert_eq!(stat.parent, Some(Pid::own()));
        assert!(proc.is_alive(&stat.process).unwrap());
        let another = Process { start_time: stat.process.start_time + 1, ..stat.process };
        assert!(!proc.is_alive(&another).unwrap());
        has_executed(&proc, pid);
        assert_eq!(proc.cmdline(pid).unwrap().unwrap(), ["sleep", "600"]);
        let exe = proc.exe(pid).unwrap().unwrap();
        assert!(!exe.deleted && exe.path.is_absolute());
        assert!(proc.pids().unwrap().contains(&pid));
        // The thread of this test has spawned it, and only the main thread has a list.
        assert!(proc.children(pid).unwrap().is_none_or(|children| children.is_empty()));
        assert_eq!(proc.children(Pid::new(i32::MAX).unwrap()).unwrap(), None);
    }

    /// A `/proc` with these processes: number, parent, file name.
    fn proc_of(processes: &[(i32, i32, &str)]) -> (tempfile::TempDir, ProcFs) {
        let root = tempfile::tempdir().unwrap();
        for (pid, parent, name) in processes {
            let entry = root.path().join(pid.to_string());
            let task = entry.join(format!("task/{pid}"));
            std::fs::create_dir_all(&task).unwrap();
            let rest = " 0".repeat(17);
            std::fs::write(
                entry.join("stat"),
                format!("{pid} ({name}) S {parent}{rest} {pid}1 0 0"),
            )
            .unwrap();
            std::os::unix::fs::symlink(format!("/usr/sbin/{name}"), entry.join("exe")).unwrap();
            let children = processes.iter().filter(|(_, its, _)| its == pid);
            let children: String = children.map(|(child, ..)| format!("{child} ")).collect();
            std::fs::write(task.join("children"), children).unwrap();
        }
        let proc = ProcFs::at(root.path());
        (root, proc)
    }

    #[test]
    fn a_daemon_of_the_same_manager() {
        let own = Pid::own().get();
        let found = |processes: &[(i32, i32, &str)]| {
            let all = [&[(1, 0, "systemd"), (own, 30, "agent")], processes].concat();
            let (_root, proc) = proc_of(&all);
            proc.daemon_beside_parent("managerd", "attrd").map(|found| found.pid.get())
        };
        let managed = [(20, 1, "managerd"), (30, 20, "execd"), (31, 20, "attrd")];
        assert_eq!(found(&managed), Some(31));
        // That of another manager is none.
        let other = [(20, 1, "managerd"), (30, 20, "execd"), (40, 1, "other"), (41, 40, "attrd")];
        assert_eq!(found(&other), None);
        // The manager was killed, and its successor has adopted both.
        assert_eq!(found(&[(21, 1, "managerd"), (30, 1, "execd"), (31, 1, "attrd")]), Some(31));
        // Then one of them was killed, too.
        assert_eq!(found(&[(21, 1, "managerd"), (30, 1, "execd"), (32, 21, "attrd")]), Some(32));
        assert_eq!(found(&[(21, 1, "managerd"), (30, 21, "execd"), (31, 1, "attrd")]), Some(31));
        assert_eq!(found(&[(30, 1, "sh")]), None);
    }

    #[test]
    fn the_children_of_a_process() {
        let mut shell = spawn(
            Command::new("sh")
                .args(["-c", "sleep 600 & echo $!; wait"])
                .stdout(std::process::Stdio::piped()),
        );
        let child: Pid = first_line(&mut shell).parse().unwrap();
        let proc = ProcFs::default();
        let Some(children) = proc.children(Pid::of(&shell)).unwrap() else {
            return testnet::skipped("procfs::the_children", "needs CONFIG_PROC_CHILDREN");
        };
        crate::kill_tree(&proc, &proc.process(Pid::of(&shell)).unwrap().unwrap()).unwrap();
        assert_eq!(children, [child]);
    }

    #[test]
    fn an_ended_child_is_not_alive_and_a_reaped_one_gone() {
        let mut child = spawn(&mut Command::new("true"));
        let (proc, pid) = (ProcFs::default(), Pid::of(&child));
        let process = has_ended(&proc, pid);
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
        let child = spawn(Command::new(&program).arg("600"));
        let upgraded = directory.path().join("daemon.new");
        testnet::copy_program("/bin/sleep", &upgraded);
        std::fs::rename(&upgraded, &program).unwrap();
        let exe = ProcFs::default().exe(Pid::of(&child)).unwrap().unwrap();
        assert_eq!(exe.name(), "daemon");
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
}
