//! The command that a supervisor runs, up to the point where a daemon is on its own: checks, the
//! double fork, and the wait for the daemon's word that all workers are up.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, setsid};

use crate::attendant;
use crate::command_line::{self, Action, CommandLine};
use crate::config::Config;
use crate::error::Error;
use crate::faults::{self, Faults};
use crate::inheritance::{Inheritance, Role};
use crate::listener::{self, Listener};
use crate::log::{self, Level};
use crate::pid_file::PidFiles;

/// What the daemon's `main` returns for any failure: −1.
const FAILURE: u8 = 255;

/// The command: `arguments` with the program's name first. Returns the exit code.
pub(crate) fn command(arguments: &[OsString]) -> u8 {
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            log::error(&error);
            log::line(Level::Notice, "core:main", "Exiting....");
            FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<u8, Error> {
    let mut command_line = CommandLine::parse(arguments.get(1..).unwrap_or_default())?;
    match command_line.action {
        Action::Version => print(&command_line::version_text()),
        Action::Help => print(&command_line::help_text()),
        Action::Run | Action::Check => {}
    }
    if matches!(command_line.action, Action::Version | Action::Help) {
        return Ok(0);
    }
    let config = match Config::read(&command_line.config_file) {
        Ok(config) => config,
        Err(error) => {
            log::error(&error);
            let file = command_line.config_file.display();
            log::line(Level::Error, "core:main", format!("failed to parse config file {file}"));
            log::line(Level::Notice, "core:main", "Exiting....");
            return Ok(FAILURE);
        }
    };
    command_line.debug |= config.debug_mode;
    let checking = command_line.action == Action::Check;
    configure_log(&command_line, &config);
    let faults = Faults::read(&config.text, faults::environment())?;
    log::line(
        Level::Info,
        "core:fix_poll_method",
        "using epoll as the IO watch method (auto detected)",
    );
    let listeners = declared_listeners(&command_line, &config).inspect_err(|error| {
        // The daemon cleans up after this one error, and so deletes the pid file named by -P.
        if matches!(error, Error::NoTransport) {
            log::line(Level::Info, "core:cleanup", "cleanup");
            PidFiles::of(&command_line).remove();
        }
    })?;
    let listening = listener::listening_text(&listeners);
    if faults.listening_elsewhere {
        print(&listening.replace("Listening on", "Sockets"));
    } else {
        print(&listening);
    }
    if checking {
        thread::sleep(faults.check_delay);
        log::line(Level::Notice, "core:main", "config file ok, exiting...");
        return Ok(0);
    }
    let inheritance = Inheritance::new(config.text);
    if !command_line.debug {
        env::set_current_dir(&command_line.working_directory).map_err(|source| {
            let path = command_line.working_directory.clone();
            Error::WorkingDirectory { path, source }
        })?;
    }
    if command_line.debug || command_line.foreground {
        return Ok(attendant::foreground(&inheritance, arguments));
    }
    daemonize(&inheritance, arguments)
}

/// Log settings that begin to count when the configuration has been read; while it is only
/// checked, and in debug mode, stderr stays on.
pub(crate) fn configure_log(command_line: &CommandLine, config: &Config) {
    let forced = command_line.debug || command_line.action == Action::Check;
    let level = if command_line.debug { 4 } else { config.log_level };
    log::configure(config.stderror_enabled || forced, config.syslog_enabled && !forced, level);
}

/// The sockets of the configuration or of `-l`, for the addresses of this moment.
pub(crate) fn declared_listeners(
    command_line: &CommandLine,
    config: &Config,
) -> Result<Vec<Listener>, Error> {
    Ok(listener::listeners(&config.socket_specs(&command_line.listen)?))
}

fn print(text: &str) {
    // Nobody to tell when stdout is gone.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// First half of the double fork, in the command; the daemon keeps stderr.
fn daemonize(inheritance: &Inheritance, arguments: &[OsString]) -> Result<u8, Error> {
    let failed = |source| Error::System { what: "fork", source };
    let session = Inheritance { role: Role::Session, ..inheritance.clone() };
    let (status, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| Error::system("pipe", errno))?;
    let mut child =
        session.command(arguments).stdin(Stdio::null()).stdout(writer).spawn().map_err(failed)?;
    let code = wait_for_status(File::from(status));
    child.wait().map_err(failed)?;
    log::line(
        Level::Info,
        "core:daemonize",
        format!("pre-daemon process exiting with {}", if code == 0 { 0 } else { -1 }),
    );
    Ok(code)
}

/// The attendant writes one zero when all workers are up; its end without it is a failed start.
fn wait_for_status(mut status: File) -> u8 {
    let mut byte = [FAILURE];
    match status.read(&mut byte) {
        Ok(1) if byte == [0] => 0,
        _ => FAILURE,
    }
}

/// Second half: leads a new session, starts the attendant in it and leaves.
pub(crate) fn session(inheritance: &Inheritance, arguments: &[OsString]) -> u8 {
    // As the daemon: nothing but the standard streams is inherited. Mostly there is none.
    for descriptor in 3..32 {
        let _ = nix::unistd::close(descriptor);
    }
    let attendant = Inheritance { role: Role::Attendant, ..inheritance.clone() };
    let started = setsid().map_err(|errno| Error::system("setsid", errno)).and_then(|_| {
        let spawned = attendant.command(arguments).stdin(Stdio::null()).spawn();
        spawned.map_err(|source| Error::System { what: "fork", source })
    });
    match started {
        Ok(_) => 0,
        Err(error) => {
            log::error(&error);
            FAILURE
        }
    }
}
