//! Judgements of the daemon itself: its configuration (`opensips -C`) and its version (`-V`). The
//! agent does not parse the configuration, whose language changes with every version.

use std::io;
use std::path::Path;
use std::time::Instant;

use deadline::Deadline;
use hostproc::{Output, output};

use crate::daemon::environment::clean;
use crate::daemon::release::{FIRST_WITH_JSON_RPC, Release};
use crate::daemon::words::{complaint, last_line};
use crate::daemon::{Error, Result};
use crate::params::Params;
use crate::sockets::listener::{Listener, declared_listeners};

/// The longest output that is read, in bytes; what matters comes first.
pub(super) const OUTPUT_LIMIT: usize = 256 * 1024;

/// Has the daemon check its configuration, and returns the listeners that it declares.
///
/// The check ends before the daemon touches pid file, FIFO or sockets, so a running instance is not
/// affected. A preprocessor (`-p`) that outlives the deadline is killed with it.
///
/// # Errors
/// [`Error::ConfigFault`], [`Error::CheckFailed`], [`Error::CheckTimedOut`], [`Error::Execute`]
pub(crate) fn config(params: &Params, deadline: Deadline) -> Result<Vec<Listener>> {
    let started = Instant::now();
    let checked = run(&params.binary, params.invocation().check(), deadline)?;
    let Some(Output { status, stdout, stderr }) = checked else {
        let (path, waited) = (params.binary.clone(), started.elapsed());
        return Err(Error::CheckTimedOut { path, waited });
    };
    if status.success() {
        return Ok(declared_listeners(&stdout));
    }
    Err(match complaint(&stderr) {
        Some(found) if found.of_the_configuration => Error::ConfigFault { said: found.text },
        Some(found) => Error::CheckFailed { status, said: found.text },
        None => {
            let silent = || "no error was printed (log_level in the configuration?)".into();
            Error::CheckFailed { status, said: last_line(&stderr).unwrap_or_else(silent) }
        }
    })
}

/// The version as `-V` prints it first: `opensips 3.6.8 (x86_64/linux)`.
///
/// # Errors
/// [`Error::Execute`], [`Error::VersionTimedOut`]
pub(crate) fn version(binary: &Path, deadline: Deadline) -> Result<Option<String>> {
    let started = Instant::now();
    let Some(printed) = run(binary, ["-V"], deadline)? else {
        let (path, waited) = (binary.to_owned(), started.elapsed());
        return Err(Error::VersionTimedOut { path, waited });
    };
    let first = printed.stdout.lines().next();
    Ok(first.and_then(|line| line.strip_prefix("version: ")).map(str::to_owned))
}

/// Refuses `mi` with a daemon whose MI is another one: 2.x has lines of text, and does not even
/// refuse JSON in its FIFO. An unknown release is accepted.
///
/// # Errors
/// [`Error::MiTooOld`]
pub(crate) fn refuse_old_mi(params: &Params, release: Option<Release>) -> Result<()> {
    match release.filter(|release| params.mi.is_some() && *release < FIRST_WITH_JSON_RPC) {
        Some(release) => Err(Error::MiTooOld { path: params.binary.clone(), release }),
        None => Ok(()),
    }
}

fn run<A: AsRef<std::ffi::OsStr>>(
    binary: &Path,
    arguments: impl IntoIterator<Item = A>,
    deadline: Deadline,
) -> Result<Option<Output>> {
    let failed = |source: io::Error| Error::Execute { path: binary.to_owned(), source };
    output(clean(binary).args(arguments), OUTPUT_LIMIT, deadline).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_version_that_does_not_come_is_told_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("hangs");
        testnet::write_program(&binary, "#!/bin/sh\nexec sleep 600\n");
        let error = version(&binary, Deadline::after(Duration::ZERO)).unwrap_err();
        assert!(error.to_string().contains("hangs -V did not end"), "{error}");
    }
}
