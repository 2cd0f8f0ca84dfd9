//! Executes the daemon: limits, user, and files for what it prints.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Child;
use std::time::SystemTime;

use deadline::Deadline;
use hostfs::retry;
use hostproc::{OutputFile, Pid, text_of};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use ocf::{InstanceName, LogLine};

use crate::daemon::check::OUTPUT_LIMIT;
use crate::daemon::crash::{Death, death};
use crate::daemon::environment::{clean, variables};
use crate::daemon::json_log::as_plain;
use crate::daemon::words::{complaint, last_line, last_lines, left_out_sockets};
use crate::daemon::{Error, Result, journal};
use crate::params::Params;
use crate::process::inspect::RESOURCE;
use crate::sockets::listener::Declared;

/// In bytes. monitor empties a longer file of the daemon's output: it is in memory, and with
/// `stderror_enabled=yes` the daemon logs into it as long as it lives.
const TRIMMED_FROM: u64 = 1024 * 1024;

/// What the daemon prints. Files and never a pipe: 3.4 to 4.0 keep stderr open for ever, and the
/// reader of a pipe would wait for as long.
#[derive(Debug)]
pub(crate) struct Output {
    /// The daemon closes it when it goes into the background.
    stdout: OutputFile,
    stderr: File,
    /// When it was empty: nothing of the daemon is older.
    since: SystemTime,
}

impl Output {
    /// An empty one, with stderr in this file. It is opened to append, so that after it was emptied
    /// the daemon goes on at its beginning.
    ///
    /// # Errors
    /// [`Error::File`]
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let failed = |source| hostfs::Error { operation: "write", path: path.to_owned(), source };
        let stdout = retry(OutputFile::new).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let stderr = retry(|| options.open(path)).map_err(failed)?;
        retry(|| stderr.set_len(0)).map_err(failed)?;
        Ok(Self { stdout, stderr, since: SystemTime::now() })
    }

    /// The sockets that the starting daemon declares.
    pub(crate) fn declared(&self) -> Declared {
        Declared::read(&self.stdout.text(OUTPUT_LIMIT))
    }

    /// Fails if it has left out one of them.
    ///
    /// # Errors
    /// [`Error::SocketLeftOut`]
    pub(crate) fn refuse_left_out(&self) -> Result<()> {
        let left_out = left_out_sockets(&self.printed()).into_iter().next();
        left_out.map_or(Ok(()), |said| Err(Error::SocketLeftOut { said }))
    }

    /// The error that it has printed ([`complaint`]).
    pub(crate) fn complaint(&self) -> Option<String> {
        complaint(&self.printed()).map(|found| found.text)
    }

    /// The error that it has logged to syslog, by the journal of this host; `concerns` tells which
    /// processes may be its own.
    pub(crate) fn complaint_in_the_journal(
        &self,
        concerns: impl Fn(Pid) -> bool,
        deadline: Deadline,
    ) -> Option<String> {
        let found = |log: &str| complaint(&as_plain(log)).map(|found| found.text);
        let is_telling = |log: &str| found(log).is_some();
        let log = journal::read(self.since, OUTPUT_LIMIT, concerns, is_telling, deadline);
        found(&log).map(|text| format!("{text} (from the journal)"))
    }

    /// The death of one of its processes, in the words of the main process where that is known.
    pub(crate) fn death(&self, main: Option<Pid>) -> Option<Death> {
        death(&self.printed(), main)
    }

    /// The last line that it has printed, which need not be an error.
    pub(crate) fn last_word(&self) -> Option<String> {
        last_line(&self.printed())
    }

    /// The last lines that are not routine, fit for a log.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        last_lines(&self.printed())
    }

    fn printed(&self) -> String {
        as_plain(&text_of(&self.stderr, OUTPUT_LIMIT)).into_owned()
    }
}

/// Empties the file of the daemon's output if it has grown too long.
pub(crate) fn trim_output(path: &Path) {
    let grown = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > TRIMMED_FROM);
    if grown
        && let Err(error) =
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(0))
    {
        let line = LogLine::new().field("file", path.display());
        log::warn!("{}", line.note(format!("can't be emptied: {}", ocf::cause(&error))));
    }
}

/// Executes the daemon. It goes into the background by itself: the child that is returned ends with 0
/// when all processes have initialised themselves.
///
/// # Errors
/// [`Error::Execute`], [`Error::EnvironmentUnreadable`]
pub(crate) fn launch(params: &Params, resource: &InstanceName, output: &Output) -> Result<Child> {
    let execute = |source| Error::Execute { path: params.binary.clone(), source };
    let variables = variables(params)?;
    limit_open_files(params.open_files);
    let mut command = clean(&params.binary);
    let (user, group) = (params.user.as_str(), params.group.as_str());
    let (stdout, stderr) = (|| output.stdout.for_child(), || output.stderr.try_clone());
    command
        .args(params.invocation().serve(&params.pidfile, user, group))
        .envs(variables)
        .env(RESOURCE, resource.without_clone_number().as_str())
        .stdout(retry(stdout).map_err(execute)?)
        .stderr(retry(stderr).map_err(execute)?);
    retry(|| command.spawn()).map_err(execute)
}

/// Sets RLIMIT_NOFILE of this process, which the daemon inherits; the highest limit that is allowed
/// without CAP_SYS_RESOURCE, and beyond fs.nr_open.
fn limit_open_files(wanted: u64) {
    let wanted: rlim_t = wanted;
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
        return;
    }
    let ceiling = std::fs::read_to_string("/proc/sys/fs/nr_open");
    let ceiling = ceiling.ok().and_then(|text| text.trim().parse::<rlim_t>().ok());
    let allowed = wanted.min(ceiling.unwrap_or(wanted));
    let line = LogLine::new().field("open_files", wanted);
    if setrlimit(Resource::RLIMIT_NOFILE, allowed, allowed).is_ok() {
        log::warn!("{}", line.field("limit", allowed).note("limited by fs.nr_open"));
        return;
    }
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard);
    let line = match setrlimit(Resource::RLIMIT_NOFILE, most, most) {
        Ok(()) => line.field("limit", most).note("limited for lack of CAP_SYS_RESOURCE"),
        Err(errno) => line.note(format!("can't be set: {}", errno.desc())),
    };
    log::warn!("{line}");
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
        assert_eq!(output.declared().listeners, []);
        let mut daemon = output.stderr.try_clone().unwrap();
        writeln!(daemon, "Nov 1 [2] ERROR:core:main: no memory left").unwrap();
        writeln!(daemon, "Nov 1 [2] INFO:core:cleanup: cleanup").unwrap();
        writeln!(daemon, "Thank you for running opensips").unwrap();
        assert_eq!(output.complaint(), Some("no memory left".into()));
        assert_eq!(output.last_lines(), ["Nov 1 [2] ERROR:core:main: no memory left"]);

        trim_output(&path);
        assert!(output.complaint().is_some());
        let filler = vec![b'x'; usize::try_from(TRIMMED_FROM).unwrap()];
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
