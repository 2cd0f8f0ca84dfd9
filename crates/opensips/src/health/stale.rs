//! What is left of an instance without a main process.

use deadline::Deadline;

use super::{Error, Result};
use crate::instance::Instance;
use crate::process::survey::{Pids, Survey};
use crate::sockets::owner::Owner;
use crate::sockets::table::SocketTable;

/// # Errors
/// [`Error::Orphans`]
pub(crate) fn refuse_orphans(survey: &Survey) -> Result<()> {
    if survey.is_empty() {
        return Ok(());
    }
    Err(Error::Orphans { pids: Pids(&survey.members).to_string() })
}

/// A process still holds a socket that the instance had: the instance is not completely stopped.
///
/// # Errors
/// [`Error::StaleSocket`], [`Error::Sockets`]
pub(crate) fn refuse_stale_sockets(instance: &Instance<'_>, deadline: Deadline) -> Result<()> {
    let Some(state) = &instance.state else { return Ok(()) };
    let table = SocketTable::of(state.listeners.iter().map(|(listener, _)| listener), deadline)?;
    for (listener, inode) in &state.listeners {
        if let Some(socket) = table.at(listener).find(|socket| socket.inode == *inode) {
            let owner = Owner::of(&instance.proc, socket);
            return Err(Error::StaleSocket { listener: listener.clone(), owner });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostproc::{Pid, Process, Stat, State};

    fn stat(pid: i32) -> Stat {
        let process = Process { pid: Pid::new(pid).unwrap(), start_time: 1 };
        Stat { process, state: State::Alive, parent: Pid::new(1), group: 1, session: 1 }
    }

    #[test]
    fn orphans() {
        assert!(refuse_orphans(&Survey::default()).is_ok());
        let survey = Survey { members: vec![stat(12), stat(13)], ..Survey::default() };
        assert_eq!(
            refuse_orphans(&survey).unwrap_err().to_string(),
            "orphans of OpenSIPS are alive (pid 12, 13): its main process died"
        );
    }
}
