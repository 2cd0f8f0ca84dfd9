//! What `/proc` shows of a process that may be the daemon.

use std::path::PathBuf;

use hostproc::{Namespaces, Pid, ProcFs};

use crate::process::command_line::Arguments;

pub(crate) fn arguments_of(proc: &ProcFs, pid: Pid) -> hostproc::Result<Arguments> {
    let words = proc.cmdline(pid)?.unwrap_or_default();
    Ok(Arguments::read(words.get(1..).unwrap_or_default()))
}

/// The directories to which the relative paths of a process's arguments may refer: its working
/// directory, and the one in which it was started, because a daemon changes to `/`.
pub(crate) fn working_directories(proc: &ProcFs, pid: Pid) -> Vec<PathBuf> {
    let now = proc.working_directory(pid).ok().flatten();
    let then = proc.environment_variable(pid, "PWD").ok().flatten().map(PathBuf::from);
    now.into_iter().chain(then).filter(|path| path.is_absolute()).collect()
}

/// `None` where the agent is not permitted to see them.
pub(crate) fn namespaces_of(proc: &ProcFs, pid: Pid) -> Option<Namespaces> {
    proc.namespaces(pid).ok().flatten()
}
