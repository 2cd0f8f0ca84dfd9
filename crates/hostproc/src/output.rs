//! Runs a program for what it prints.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::{Command, ExitStatus, Stdio};

use deadline::Deadline;
use hostfs::{retry_briefly, retry_until};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::child::wait;

/// A file in memory for the output of a child: there is no name to clash and nothing to clean up,
/// the child never waits for a reader, and the reader never waits for a process that keeps the file
/// open, as it would with a pipe.
#[derive(Debug)]
pub struct OutputFile(File);

impl OutputFile {
    /// An empty file.
    ///
    /// # Errors
    /// Those of memfd_create(2).
    pub fn new() -> io::Result<Self> {
        Ok(Self(memfd_create("output", MFdFlags::MFD_CLOEXEC)?.into()))
    }

    /// The end that a child writes to, for [`Command::stdout`] or [`Command::stderr`].
    ///
    /// # Errors
    /// Those of dup(2).
    pub fn for_child(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }

    /// What has been written so far ([`text_of`]).
    #[must_use]
    pub fn text(&self, limit: usize) -> String {
        text_of(&self.0, limit)
    }
}

/// The first `limit` bytes of a regular file as text, as much of them as can be read; what is not UTF-8 is
/// replaced (U+FFFD). The file may be written to meanwhile, and its offset stays where it is.
#[must_use]
pub fn text_of(file: &File, limit: usize) -> String {
    let length = retry_briefly(|| file.metadata()).map_or(0, |metadata| metadata.len());
    let mut content = vec![0; usize::try_from(length).unwrap_or(limit).min(limit)];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // By position: the child has the same offset and writes.
        match retry_briefly(|| file.read_at(rest, u64::try_from(filled).unwrap_or(u64::MAX))) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    content.truncate(filled);
    String::from_utf8_lossy(&content).into_owned()
}

/// How a program has ended and what it has printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output, cut off at the limit.
    pub stdout: String,
    /// Its standard error, cut off at the limit.
    pub stderr: String,
}

/// Runs a program without input and keeps the first `limit` bytes of each of its two outputs. At the
/// deadline it is killed with all that it has started, and `None` is given ([`wait`]).
///
/// Where the kernel has no memory, no descriptor or no room for a process, tries again until half of
/// the time to the deadline has passed.
///
/// Does not wait for a process that the program leaves behind, even if that has its output open.
///
/// # Errors
/// The program cannot be executed, or a shortage lasts.
pub fn output(
    command: &mut Command,
    limit: usize,
    deadline: Deadline,
) -> io::Result<Option<Output>> {
    let give_up = deadline.share(2);
    let new = || OutputFile::new();
    let (stdout, stderr) = (retry_until(give_up, new)?, retry_until(give_up, new)?);
    let end_of = |file: &OutputFile| retry_until(give_up, || file.for_child());
    command.stdin(Stdio::null()).stdout(end_of(&stdout)?).stderr(end_of(&stderr)?);
    let status = wait(retry_until(give_up, || command.spawn())?, deadline)?;
    let text = |file: &OutputFile| file.text(limit);
    Ok(status.map(|status| Output { status, stdout: text(&stdout), stderr: text(&stderr) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::LONG;

    fn shell(script: &str, limit: usize, deadline: Deadline) -> io::Result<Option<Output>> {
        output(Command::new("/bin/sh").args(["-c", script]), limit, deadline)
    }

    #[test]
    fn both_outputs_and_the_status() {
        let found = shell("echo out; echo err >&2; read x || exit 3", 100, Deadline::after(LONG));
        let found = found.unwrap().unwrap();
        assert_eq!(found.status.code(), Some(3));
        assert_eq!((found.stdout.as_str(), found.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_long_output_is_cut_off_and_never_waited_for() {
        let script = "head -c 300000 /dev/zero | tr '\\0' x; printf '\\377' >&2";
        let found = shell(script, 1000, Deadline::after(LONG)).unwrap().unwrap();
        assert_eq!(found.stdout, "x".repeat(1000));
        assert_eq!(found.stderr, "\u{fffd}");
    }

    #[test]
    fn a_process_that_is_left_behind_is_not_waited_for() {
        let found = shell("sleep 5 & echo done", 100, Deadline::after(LONG)).unwrap().unwrap();
        assert_eq!(found.stdout, "done\n");
    }

    #[test]
    fn a_program_that_does_not_end() {
        assert_eq!(shell("sleep 600", 100, Deadline::now()).unwrap(), None);
        let missing = output(&mut Command::new("/no/such/program"), 100, Deadline::after(LONG));
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_read_while_it_is_written() {
        let file = OutputFile::new().unwrap();
        assert_eq!(file.text(100), "");
        let mut child = Command::new("/bin/sh");
        child.args(["-c", "echo one"]).stdout(file.for_child().unwrap());
        assert!(child.status().unwrap().success());
        assert_eq!(file.text(100), "one\n");
        assert!(child.status().unwrap().success());
        assert_eq!(file.text(100), "one\none\n");
    }
}
