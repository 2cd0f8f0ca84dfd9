//! The daemon's pid file, which another instance may have, too.

use std::path::Path;

use hostproc::Pid;
use ocf::LogLine;

use super::{Error, Instance, Result};
use crate::process::inspect::resource_of;
use crate::process::survey::PidFile;

/// Fails if another instance that is alive has this pid file.
///
/// # Errors
/// [`Error::ForeignPidFile`], [`Error::Processes`]
pub(crate) fn refuse_foreign(instance: &Instance<'_>, path: &Path) -> Result<()> {
    match owner_besides(instance, path)? {
        Some(pid) => {
            let resource = resource_of(&instance.proc, pid)?;
            Err(Error::ForeignPidFile { path: path.to_owned(), pid, resource })
        }
        None => Ok(()),
    }
}

/// Removes the pid file, unless another instance that is alive has it. No process of this instance
/// may be alive.
///
/// # Errors
/// [`Error::File`], [`Error::Processes`]
pub(crate) fn remove(instance: &Instance<'_>, path: &Path) -> Result<()> {
    match owner_besides(instance, path)? {
        Some(pid) => {
            let line = LogLine::of(instance.action()).field("pidfile", path.display());
            log::warn!("{}", line.field("pid", pid).note("kept: another OpenSIPS has it"));
            Ok(())
        }
        None => Ok(hostfs::remove(path)?),
    }
}

/// Another instance that runs with this very pid file.
fn owner_besides(instance: &Instance<'_>, path: &Path) -> Result<Option<Pid>> {
    let Instance { identity, proc, .. } = instance;
    let PidFile::Names(pid) = PidFile::read(path) else { return Ok(None) };
    let Some(stat) = proc.stat(pid)? else { return Ok(None) };
    if !identity.may_be_the_daemon(proc, pid)? || !identity.trusts(proc, &stat)? {
        return Ok(None);
    }
    Ok(identity.has_pidfile(proc, pid, path)?.then_some(pid))
}
