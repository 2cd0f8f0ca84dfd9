//! Judgements of the daemon itself: its configuration (`opensips -C`) and its version (`-V`). The
//! agent does not parse the configuration, whose language changes with every version.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostproc::{Output, output};

use crate::daemon::advice::{Advised, advised};
use crate::daemon::config_text::module_paths;
use crate::daemon::environment::{clean, variables};
use crate::daemon::json_log::as_plain;
use crate::daemon::release::{FIRST_WITH_JSON_RPC, Release};
use crate::daemon::words::{complaint, is_about_a_name, last_line, left_out_sockets};
use crate::daemon::{Error, Result};
use crate::params::Params;
use crate::sockets::listener::Declared;

/// The longest output that is read, in bytes; what matters comes first.
pub(super) const OUTPUT_LIMIT: usize = 256 * 1024;

/// How often a name that does not resolve is tried again.
const RESOLVE_AGAIN: Duration = Duration::from_millis(500);

/// What the daemon makes of its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) declared: Declared,
    /// What it says of the declared sockets that it leaves out.
    pub(crate) left_out: Vec<String>,
}

impl Checked {
    /// # Errors
    /// [`Error::SocketLeftOut`]
    pub(crate) fn complete(self) -> Result<Declared> {
        match self.left_out.into_iter().next() {
            Some(said) => Err(Error::SocketLeftOut { said }),
            None => Ok(self.declared),
        }
    }

    /// What an operator should know about a daemon that runs with this configuration.
    pub(crate) fn remarks(&self, params: &Params) -> Vec<String> {
        let left_out = self.left_out.iter().cloned().map(|said| Error::SocketLeftOut { said });
        let left_out = left_out.map(|error| error.to_string());
        left_out.chain(unknown_sockets(&self.declared, params)).collect()
    }
}

/// The sockets are not all known: the agent waits for none that it does not know, and misses none.
pub(crate) fn unknown_sockets(declared: &Declared, params: &Params) -> Option<String> {
    let why = declared.unknown.as_ref().filter(|_| params.listeners.is_empty())?;
    Some(format!("the sockets of this configuration are not known ({why}): name them in listeners"))
}

/// As [`config`], with all of the sockets. A name server may come up a moment after this host, so a name
/// that does not resolve is tried again while there is `patience`.
///
/// # Errors
/// [`Error::SocketLeftOut`], and those of [`config`].
pub(crate) fn complete_config(
    params: &Params,
    patience: Deadline,
    deadline: Deadline,
) -> Result<Declared> {
    loop {
        let checked = config(params, deadline).and_then(Checked::complete);
        let about_a_name = match &checked {
            Err(Error::SocketLeftOut { said } | Error::CheckFailed { said, .. }) => {
                is_about_a_name(said)
            }
            Ok(_) | Err(_) => false,
        };
        if !about_a_name || patience.has_passed() {
            return checked;
        }
        patience.sleep(RESOLVE_AGAIN);
    }
}

/// Has the daemon check its configuration.
///
/// The check ends before the daemon touches pid file, FIFO or sockets, so a running instance is not
/// affected. A preprocessor (`-p`) that outlives the deadline is killed with it.
///
/// # Errors
/// [`Error::ConfigFault`], [`Error::CheckFailed`], [`Error::CheckTimedOut`], [`Error::Execute`]
pub(crate) fn config(params: &Params, deadline: Deadline) -> Result<Checked> {
    let started = Instant::now();
    let mut command = clean(&params.binary);
    command.args(params.invocation().check()).envs(variables(params)?);
    let checked = run(&params.binary, &mut command, deadline)?;
    let Some(Output { status, stdout, stderr }) = checked else {
        let (path, waited) = (params.binary.clone(), started.elapsed());
        return Err(Error::CheckTimedOut { path, waited });
    };
    if status.success() {
        let declared = Declared::read(&stdout);
        return Ok(Checked { declared, left_out: left_out_sockets(&stderr) });
    }
    let Some(found) = complaint(&stderr) else {
        let silent = || "no error was printed (log_level in the configuration?)".into();
        return Err(Error::CheckFailed { status, said: last_line(&stderr).unwrap_or_else(silent) });
    };
    let Advised { text: said, of_the_configuration } =
        advised(&found.text, || module_paths(&params.config));
    if found.of_the_configuration || of_the_configuration {
        return Err(Error::ConfigFault { said });
    }
    Err(Error::CheckFailed { status, said })
}

/// The version as `-V` prints it first: `opensips 3.6.8 (x86_64/linux)`.
///
/// # Errors
/// [`Error::Execute`], [`Error::VersionTimedOut`]
pub(crate) fn version(binary: &Path, deadline: Deadline) -> Result<Option<String>> {
    let started = Instant::now();
    let Some(printed) = run(binary, clean(binary).arg("-V"), deadline)? else {
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

fn run(binary: &Path, command: &mut Command, deadline: Deadline) -> Result<Option<Output>> {
    let failed = |source: io::Error| Error::Execute { path: binary.to_owned(), source };
    let run = output(command, OUTPUT_LIMIT, deadline).map_err(failed)?;
    Ok(run.map(|run| Output { stderr: as_plain(&run.stderr).into_owned(), ..run }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_does_not_come_is_told_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("hangs");
        testnet::write_program(&binary, "#!/bin/sh\nexec sleep 600\n");
        let error = version(&binary, Deadline::after(Duration::ZERO)).unwrap_err();
        assert!(error.to_string().contains("hangs -V did not end"), "{error}");
    }
}
