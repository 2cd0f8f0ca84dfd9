//! Waiting with a deadline.

use std::{
    fs::File,
    io::{Read, Seek},
    os::fd::OwnedFd,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::{Error, Result, call};

/// Asks until `condition` gives a value, every 50 ms, at least once.
///
/// # Errors
/// [`Error::Deadline`] naming `what`.
pub fn wait_for<T>(
    what: &str,
    deadline: Duration,
    condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    poll(what, deadline, Duration::from_millis(50), condition)
}

/// The same with the time between two questions, for conditions that are dear to ask.
pub(crate) fn poll<T>(
    what: &str,
    deadline: Duration,
    interval: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T> {
    let until = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if Instant::now() >= until {
            return Err(Error::Deadline { what: what.to_owned(), after: deadline });
        }
        thread::sleep(interval);
    }
}

/// Runs a command to its end and collects its output in memory files: a daemon that it leaves
/// behind holds nobody up by keeping them open. At the deadline the command is killed.
pub(crate) fn output(
    command: &mut Command,
    deadline: Option<Duration>,
    spawn: impl FnOnce(&mut Command) -> Result<Child>,
) -> Result<Output> {
    let (mut stdout, mut stderr) = (memory_file("stdout")?, memory_file("stderr")?);
    let copy = |file: &File| file.try_clone().map_err(crate::error::at("memfd"));
    command.stdin(Stdio::null()).stdout(copy(&stdout)?).stderr(copy(&stderr)?);
    let mut child = spawn(command)?;
    let lost = |source| Error::Spawn { program: words(command), source };
    let status = match deadline {
        None => child.wait().map_err(lost)?,
        Some(deadline) => {
            let ended = wait_for_child(&mut child, deadline);
            if ended.is_none() {
                let _ = child.kill();
            }
            // A child that was found ended keeps its status.
            let status = child.wait().map_err(lost)?;
            if ended.is_none() {
                let what = format!("`{}` ends", words(command));
                return Err(Error::Deadline { what, after: deadline });
            }
            status
        }
    };
    Ok(Output { status, stdout: content(&mut stdout)?, stderr: content(&mut stderr)? })
}

fn wait_for_child(child: &mut Child, deadline: Duration) -> Option<()> {
    let until = Instant::now() + deadline;
    let mut pause = Duration::from_millis(1);
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(pause);
        // Quick programs are answered quickly, slow ones asked rarely.
        pause = (pause * 3 / 2).min(Duration::from_millis(20));
    }
    Some(())
}

/// The output of a command that succeeded.
///
/// # Errors
/// [`Error::Program`] with what it wrote.
pub(crate) fn succeeded(command: &Command, output: Output) -> Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Err(Error::Program {
        program: words(command),
        status: output.status.to_string(),
        words: [stderr, stdout].join("\n").trim().to_owned(),
    })
}

fn words(command: &Command) -> String {
    let all = [command.get_program()].into_iter().chain(command.get_args());
    all.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn memory_file(name: &str) -> Result<File> {
    let fd: OwnedFd = memfd_create(name, MFdFlags::MFD_CLOEXEC).map_err(call("memfd_create"))?;
    Ok(File::from(fd))
}

fn content(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(crate::error::at("memfd"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plainly(command: &mut Command) -> Result<Child> {
        command.spawn().map_err(crate::error::at("child"))
    }

    #[test]
    fn a_daemon_that_keeps_the_output_open_holds_up_nobody() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 300 & echo $!; exit 3"]);
        let output = output(&mut command, None, plainly).unwrap();
        let pid: i32 = String::from_utf8(output.stdout.clone()).unwrap().trim().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(matches!(succeeded(&command, output), Err(Error::Program { .. })));
    }

    #[test]
    fn a_command_is_killed_at_its_deadline() {
        let mut command = Command::new("sleep");
        let result = output(command.arg("300"), Some(Duration::from_millis(50)), plainly);
        assert!(matches!(result, Err(Error::Deadline { .. })));
    }

    #[test]
    fn conditions_are_asked_at_least_once() {
        assert_eq!(wait_for("now", Duration::ZERO, || Some(7)).unwrap(), 7);
        let never = wait_for("never", Duration::ZERO, || None::<()>);
        assert_eq!(never.unwrap_err().to_string(), "not within 0 s: never");
    }
}
