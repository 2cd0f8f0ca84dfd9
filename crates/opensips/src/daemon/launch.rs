//! Executing the daemon: limits, user, and a file for what it says.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Child;

use hostproc::Pid;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use crate::daemon::config::{Memory, text_of};
use crate::daemon::crash::{Death, death};
use crate::daemon::environment::clean;
use crate::daemon::words::{complaint, last_line, last_lines};
use crate::error::{Error, Result};
use crate::params::Params;
use crate::sockets::listener::{Listener, declared_listeners};

/// From here on the file of the daemon's output is emptied: it is in memory, and a configuration
/// with `stderror_enabled=yes` logs into it for as long as the daemon lives.
const OUTPUT_LIMIT: u64 = 1024 * 1024;

/// What the daemon says. Files and never a pipe: 3.4 to 4.0 keep stderr open for ever, and a pipe's
/// reader would wait for as long.
#[derive(Debug)]
pub(crate) struct Output {
    /// The daemon lets go of it when it goes into the background.
    stdout: Memory,
    stderr: File,
}

impl Output {
    /// An empty one, with stderr in this file. Opened to append, so that what comes after it was
    /// emptied starts at its beginning.
    ///
    /// # Errors
    /// [`Error::File`]
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let failed = |source| Error::File { operation: "write", path: path.to_owned(), source };
        let stdout = Memory::new().map_err(failed)?;
        let mut options = OpenOptions::new();
        let stderr = options.read(true).append(true).create(true).mode(0o600).open(path);
        let stderr = stderr.map_err(failed)?;
        stderr.set_len(0).map_err(failed)?;
        Ok(Self { stdout, stderr })
    }

    /// The sockets that the starting daemon declares.
    pub(crate) fn declared_listeners(&self) -> Vec<Listener> {
        declared_listeners(&self.stdout.text())
    }

    /// What it complains of.
    pub(crate) fn complaint(&self) -> Option<String> {
        complaint(&text_of(&self.stderr)).map(|found| found.text)
    }

    /// Which of its processes it saw die, in the words of the main process where that is known.
    pub(crate) fn death(&self, main: Option<Pid>) -> Option<Death> {
        death(&text_of(&self.stderr), main)
    }

    /// The last it said, which may be no more than a farewell.
    pub(crate) fn last_word(&self) -> Option<String> {
        last_line(&text_of(&self.stderr))
    }

    /// The end of what it said out of the ordinary, line by line, fit for a log.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        last_lines(&text_of(&self.stderr))
    }
}

/// Empties the file of a daemon's output where it has grown too long.
pub(crate) fn trim_output(path: &Path) {
    let grown = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > OUTPUT_LIMIT);
    if grown
        && let Err(error) =
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0))
    {
        log::warn!("can't empty {}: {error}", path.display());
    }
}

/// Executes the daemon; it goes into the background by itself, and the child that is given back
/// ends with 0 when all its processes are up.
///
/// # Errors
/// [`Error::Execute`]
pub(crate) fn launch(params: &Params, output: &Output) -> Result<Child> {
    let execute = |source| Error::Execute { path: params.binary.clone(), source };
    limit_open_files(params.open_files);
    let (user, group) = (params.user.as_str(), params.group.as_str());
    clean(&params.binary)
        .args(params.invocation().serve(&params.pidfile, user, group))
        .stdout(output.stdout.for_child().map_err(execute)?)
        .stderr(output.stderr.try_clone().map_err(execute)?)
        .spawn()
        .map_err(execute)
}

/// Sets RLIMIT_NOFILE of this process, which the daemon inherits. Without CAP_SYS_RESOURCE, or
/// beyond fs.nr_open, as much as is allowed.
fn limit_open_files(wanted: u64) {
    let wanted: rlim_t = wanted;
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
        return;
    }
    let ceiling = std::fs::read_to_string("/proc/sys/fs/nr_open");
    let ceiling = ceiling.ok().and_then(|text| text.trim().parse::<rlim_t>().ok());
    let allowed = wanted.min(ceiling.unwrap_or(wanted));
    if setrlimit(Resource::RLIMIT_NOFILE, allowed, allowed).is_ok() {
        log::warn!("open_files={wanted} limited_to={allowed} reason=fs.nr_open");
        return;
    }
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard);
    match setrlimit(Resource::RLIMIT_NOFILE, most, most) {
        Ok(()) => log::warn!(
            "open_files={wanted} limited_to={most} reason=\"CAP_SYS_RESOURCE is missing\""
        ),
        Err(errno) => log::warn!("open_files={wanted} not set: {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn output_is_read_while_it_is_written_and_emptied_when_it_grows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.out");
        let output = Output::create(&path).unwrap();
        assert_eq!(output.complaint(), None);
        assert_eq!(output.declared_listeners(), []);
        let mut daemon = output.stderr.try_clone().unwrap();
        writeln!(daemon, "Nov 1 [2] ERROR:core:main: no memory left").unwrap();
        writeln!(daemon, "Nov 1 [2] INFO:core:cleanup: cleanup").unwrap();
        writeln!(daemon, "Thank you for running opensips").unwrap();
        assert_eq!(output.complaint(), Some("no memory left".into()));
        assert_eq!(output.last_lines(), ["Nov 1 [2] ERROR:core:main: no memory left"]);

        trim_output(&path);
        assert!(output.complaint().is_some());
        let filler = vec![b'x'; usize::try_from(OUTPUT_LIMIT).unwrap()];
        daemon.write_all(&filler).unwrap();
        trim_output(&path);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        writeln!(daemon, "Nov 1 [2] ERROR:core:main: later").unwrap();
        assert_eq!(output.complaint(), Some("later".into()));
        // A second start begins with an empty file.
        let again = Output::create(&path).unwrap();
        assert_eq!(again.complaint(), None);
        trim_output(&directory.path().join("none"));
    }
}
