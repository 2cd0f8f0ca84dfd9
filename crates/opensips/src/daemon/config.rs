//! The configuration, judged by the daemon itself (`opensips -C`): never parsed here, for its
//! language changes with every version.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Instant;

use deadline::Deadline;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::daemon::environment::clean;
use crate::daemon::release::{FIRST_WITH_JSON_RPC, Release};
use crate::daemon::words::{complaint, last_line};
use crate::error::{Error, Result};
use crate::params::Params;
use crate::sockets::listener::{Listener, declared_listeners};

/// Longest output that is read; what matters comes first.
const LIMIT: usize = 256 * 1024;

/// Has the daemon check its configuration; gives the listeners that it declares.
///
/// The check ends before the daemon touches pid file, FIFO or sockets, so a running instance does
/// not notice.
///
/// # Errors
/// [`Error::ConfigFault`], [`Error::CheckFailed`], [`Error::CheckTimedOut`], [`Error::Execute`]
pub(crate) fn check(params: &Params, deadline: Deadline) -> Result<Vec<Listener>> {
    let started = Instant::now();
    let execute = |source| Error::Execute { path: params.binary.clone(), source };
    let (output, errors) = (Memory::new().map_err(execute)?, Memory::new().map_err(execute)?);
    let child = clean(&params.binary)
        .args(params.invocation().check())
        .stdout(output.for_child().map_err(execute)?)
        .stderr(errors.for_child().map_err(execute)?)
        .spawn()
        .map_err(execute)?;
    let Some(status) = wait(child, deadline).map_err(execute)? else {
        return Err(Error::CheckTimedOut {
            path: params.binary.clone(),
            waited: started.elapsed(),
        });
    };
    if status.success() {
        return Ok(declared_listeners(&output.text()));
    }
    let errors = errors.text();
    match complaint(&errors) {
        Some(found) if found.of_the_configuration => Err(Error::ConfigFault { said: found.text }),
        Some(found) => Err(Error::CheckFailed { status, said: found.text }),
        None => Err(Error::CheckFailed {
            status,
            said: last_line(&errors)
                .unwrap_or_else(|| "it said nothing (log_level in the configuration?)".into()),
        }),
    }
}

/// The daemon's version, as `-V` prints it first: `opensips 3.6.8 (x86_64/linux)`.
///
/// # Errors
/// [`Error::Execute`], [`Error::VersionTimedOut`]
pub(crate) fn version(binary: &Path, deadline: Deadline) -> Result<Option<String>> {
    let started = Instant::now();
    let execute = |source| Error::Execute { path: binary.to_owned(), source };
    let output = Memory::new().map_err(execute)?;
    let child = clean(binary)
        .arg("-V")
        .stdout(output.for_child().map_err(execute)?)
        .stderr(Stdio::null())
        .spawn()
        .map_err(execute)?;
    match wait(child, deadline).map_err(execute)? {
        Some(_) => Ok(output
            .text()
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("version: "))
            .map(str::to_owned)),
        None => Err(Error::VersionTimedOut { path: binary.to_owned(), waited: started.elapsed() }),
    }
}

/// Refuses `mi` with a daemon whose MI is another one (2.x has lines of text, and does not even
/// refuse JSON in its FIFO); a release that can't be read is no reason.
///
/// # Errors
/// [`Error::MiTooOld`]
pub(crate) fn refuse_old_mi(params: &Params, release: Option<Release>) -> Result<()> {
    match release.filter(|release| params.mi.is_some() && *release < FIRST_WITH_JSON_RPC) {
        Some(release) => Err(Error::MiTooOld { path: params.binary.clone(), release }),
        None => Ok(()),
    }
}

/// Waits for the end of a child. At the deadline gives `None`, and the child is killed with all that
/// it has started: a preprocessor (`-p`) would outlive it.
pub(crate) fn wait(child: Child, deadline: Deadline) -> io::Result<Option<ExitStatus>> {
    hostproc::wait(child, deadline)
}

/// A file in memory: no name to clash, nothing to clean up, and no pipe that a child of the child
/// could keep open.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(memfd_create("opensips-output", MFdFlags::MFD_CLOEXEC)?.into()))
    }

    pub(crate) fn for_child(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }

    pub(crate) fn text(&self) -> String {
        text_of(&self.0)
    }
}

/// What a file holds, as text; as much as can be read.
pub(crate) fn text_of(file: &File) -> String {
    let mut content = vec![0; LIMIT];
    let mut length = 0;
    while let Some(rest) = content.get_mut(length..).filter(|rest| !rest.is_empty()) {
        // By position: the child shares the offset and is writing.
        match file.read_at(rest, u64::try_from(length).unwrap_or(u64::MAX)) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    content.truncate(length);
    String::from_utf8_lossy(&content).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn within(seconds: u64) -> Deadline {
        Deadline::after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_version_that_does_not_come_is_told_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("hangs");
        testnet::write_program(&binary, "#!/bin/sh\nexec sleep 600\n");
        let error = version(&binary, within(600).within(Duration::ZERO)).unwrap_err();
        assert!(error.to_string().contains("hangs -V did not end"), "{error}");
    }
}
