//! Pid and process group files, with the daemon's manners: a living process in the file fails the
//! start, and a failed start removes the file, whose ever it is.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Gid, Pid, Uid, getpgrp, getpid};

use crate::command_line::CommandLine;
use crate::error::Error;
use crate::log::{self, Level};

/// `-P` and `-G`, where given.
#[derive(Debug)]
pub(crate) struct PidFiles {
    pid: Option<PathBuf>,
    pgid: Option<PathBuf>,
}

impl PidFiles {
    pub(crate) fn of(command_line: &CommandLine) -> Self {
        Self { pid: command_line.pid_file.clone(), pgid: command_line.pgid_file.clone() }
    }

    /// By the attendant, before modules and sockets are initialised.
    pub(crate) fn write(&self) -> Result<(), Error> {
        if let Some(path) = &self.pid {
            if let Ok(content) = fs::read_to_string(path) {
                examine(path, &content)?;
            }
            write_number("pid", path, getpid())?;
        }
        if let Some(path) = &self.pgid {
            write_number("pgid", path, getpgrp())?;
        }
        Ok(())
    }

    /// To the user that the daemon will be.
    pub(crate) fn hand_over(&self, user: Option<Uid>, group: Option<Gid>) -> Result<(), Error> {
        for path in [&self.pid, &self.pgid].into_iter().flatten() {
            chown(path, user.map(Uid::as_raw), group.map(Gid::as_raw))
                .map_err(|source| Error::PidFile { what: "pid", path: path.clone(), source })?;
        }
        Ok(())
    }

    /// Without looking whose they are, as the daemon does.
    pub(crate) fn remove(&self) {
        for path in [&self.pid, &self.pgid].into_iter().flatten() {
            // A file that is gone, or that the user may not remove, stays as it is.
            let _ = fs::remove_file(path);
        }
    }
}

fn examine(path: &Path, content: &str) -> Result<(), Error> {
    let number = content.trim_start().split(|c: char| !c.is_ascii_digit()).next();
    let Some(pid) = number.and_then(|digits| digits.parse::<i32>().ok()) else {
        let text = format!(
            "pid file {} exists, but doesn't contain a valid pid number, replacing...",
            path.display()
        );
        log::line(Level::Warning, "core:daemonize", text);
        return Ok(());
    };
    match kill(Pid::from_raw(pid), None) {
        Ok(()) | Err(Errno::EPERM) => Err(Error::AlreadyRunning(path.to_owned())),
        Err(_) => {
            log::line(Level::Warning, "core:daemonize", "pid file contains old pid, replacing pid");
            Ok(())
        }
    }
}

fn write_number(what: &'static str, path: &Path, number: Pid) -> Result<(), Error> {
    let created = fs::File::create(path);
    let mut file =
        created.map_err(|source| Error::PidFile { what, path: path.to_owned(), source })?;
    // As the daemon, whose buffer reaches the file in an fclose() that nobody asks how it went.
    let _ = writeln!(file, "{number}");
    Ok(())
}
