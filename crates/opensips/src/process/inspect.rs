//! What `/proc` shows of a process.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hostproc::{Pid, ProcFs};

use crate::process::command_line::Arguments;

pub(crate) fn arguments_of(proc: &ProcFs, pid: Pid) -> hostproc::Result<Arguments> {
    let words = proc.cmdline(pid)?.unwrap_or_default();
    Ok(Arguments::read(words.get(1..).unwrap_or_default()))
}

/// The directories to which the relative paths of a process's arguments may refer: its working
/// directory, and the one in which it was started, because a daemon changes to `/`.
pub(crate) fn working_directories(pid: Pid) -> Vec<PathBuf> {
    let now = working_directory(pid);
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let shell = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"PWD="));
    let then = shell.map(|path| PathBuf::from(OsStr::from_bytes(path)));
    now.into_iter().chain(then).filter(|path| path.is_absolute()).collect()
}

/// `None` if the process is gone.
pub(crate) fn working_directory(pid: Pid) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// Network and pid namespace, as far as the agent is permitted to see them.
pub(crate) fn namespaces_of(pid: Pid) -> Vec<PathBuf> {
    ["net", "pid"]
        .iter()
        .filter_map(|kind| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .collect()
}

/// The name of a program for a message.
pub(crate) fn program_name(executable: &Path) -> String {
    ocf::shown(executable.file_name().unwrap_or(OsStr::new("?")).as_bytes())
}
