//! What `/proc` shows of a process that may be the daemon.

use std::path::PathBuf;

use hostproc::{ControlGroup, Error, Namespaces, Pid, ProcFs, Result};

use crate::process::command_line::Arguments;

/// What is read of a process, `None` also where the agent is not permitted to see it. Every other failure is an
/// error: a daemon that can't be looked at for a moment would count as another one's, and stop would leave it alive.
fn unless_hidden<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(Error::NotPermitted { .. }) => Ok(None),
        read => read,
    }
}

pub(crate) fn arguments_of(proc: &ProcFs, pid: Pid) -> Result<Arguments> {
    let words = proc.cmdline(pid)?.unwrap_or_default();
    Ok(Arguments::read(words.get(1..).unwrap_or_default()))
}

/// The directories to which the relative paths of a process's arguments may refer: its working
/// directory, and the one in which it was started, because a daemon changes to `/`.
///
/// # Errors
/// `/proc` can't be read.
pub(crate) fn working_directories(proc: &ProcFs, pid: Pid) -> Result<Vec<PathBuf>> {
    let now = unless_hidden(proc.working_directory(pid))?;
    let then = unless_hidden(proc.environment_variable(pid, "PWD"))?.map(PathBuf::from);
    Ok(now.into_iter().chain(then).filter(|path| path.is_absolute()).collect())
}

/// `None` where the agent is not permitted to see them.
///
/// # Errors
/// `/proc` can't be read.
pub(crate) fn namespaces_of(proc: &ProcFs, pid: Pid) -> Result<Option<Namespaces>> {
    unless_hidden(proc.namespaces(pid))
}

/// The variable in the daemon's environment that names the resource that has started it. Unlike the files
/// in /run, it lives exactly as long as the process, and orphans have it, too.
pub(crate) const RESOURCE: &str = "SMARTVOX_RESOURCE";

/// The resource that has started a process; `None` where that is not known.
///
/// # Errors
/// `/proc` can't be read.
pub(crate) fn resource_of(proc: &ProcFs, pid: Pid) -> Result<Option<String>> {
    let name = unless_hidden(proc.environment_variable(pid, RESOURCE))?;
    Ok(name.and_then(|name| name.into_string().ok()).filter(|name| !name.is_empty()))
}

/// Whether a process is in the control group of a systemd unit.
///
/// # Errors
/// `/proc` can't be read.
pub(crate) fn is_process_of_unit(unit: &str, proc: &ProcFs, pid: Pid) -> Result<bool> {
    let groups = unless_hidden(proc.control_groups(pid))?.unwrap_or_default();
    Ok(groups.iter().any(|group| is_within(unit, group)))
}

/// A unit may have control groups below its own. In those of a user's manager (user@1000.service), a user
/// gives units what names it likes.
fn is_within(unit: &str, group: &ControlGroup) -> bool {
    let of_a_user = || group.path.split('/').any(|part| part.starts_with("user@"));
    group.is_of_systemd() && group.path.split('/').any(|part| part == unit) && !of_a_user()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups() {
        let within = |controllers: &str, path: &str| {
            let group = ControlGroup { controllers: controllers.into(), path: path.into() };
            is_within("opensips.service", &group)
        };
        assert!(within("", "/system.slice/opensips.service"));
        assert!(within("", "/system.slice/opensips.service/worker"));
        assert!(within("name=systemd", "/system.slice/opensips.service"));
        assert!(!within(
            "",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/opensips.service"
        ));
        assert!(!within("", "/system.slice/pacemaker.service"));
        assert!(!within("", "/system.slice/my-opensips.service"));
        // A group of that name in a hierarchy that is not systemd's.
        assert!(!within("memory", "/opensips.service"));
    }
}
