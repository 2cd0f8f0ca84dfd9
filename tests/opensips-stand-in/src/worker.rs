//! The workers: one role each, ready when they say so on stdout, ended by a byte on stdin. The end
//! of stdin without that byte means that the attendant is dead: like the daemon's, an orphan goes on
//! serving, and ignores SIGTERM all along.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::dup2_stdout;

use crate::answer::Answerer;
use crate::command_line::CommandLine;
use crate::config::Config;
use crate::daemonize::{configure_log, declared_listeners};
use crate::error::Error;
use crate::faults::{self, Faults};
use crate::inheritance::{Inheritance, WorkerRole};
use crate::log;
use crate::mi;
use crate::mi_commands::Commands;
use crate::shared::Shared;
use crate::tcp;
use crate::tls;

/// What the daemon's processes handle or ignore: nothing of it ends a worker. (Blocked here, since
/// handlers need `unsafe`; the attendant waits for them.)
pub(crate) fn handled_signals() -> SigSet {
    [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGCHLD,
    ]
    .into_iter()
    .collect()
}

/// Returns only for an error, with the exit code.
pub(crate) fn run(inheritance: &Inheritance, role: WorkerRole, arguments: &[OsString]) -> u8 {
    match serve(inheritance, role, arguments) {
        Ok(never) => match never {},
        Err(error) => {
            log::error(&error);
            255
        }
    }
}

/// What a role that ends only by failing returns.
pub(crate) enum Never {}

fn serve(
    inheritance: &Inheritance,
    role: WorkerRole,
    arguments: &[OsString],
) -> Result<Never, Error> {
    handled_signals().thread_block().map_err(|errno| Error::system("sigprocmask", errno))?;
    inheritance.take_name()?;
    let command_line = CommandLine::parse(arguments.get(1..).unwrap_or_default())?;
    let config = Config::inherited(inheritance.config.clone())?;
    configure_log(&command_line, &config);
    let faults = Faults::read(&config.text, faults::environment())?;
    let shared = Shared::open(inheritance.table)?;
    thread::spawn(obey_attendant);
    for (life, status) in [(faults.die_after, 1), (faults.retire_after, 0)] {
        if let Some(life) = life.filter(|_| inheritance.id == 1) {
            thread::spawn(move || {
                thread::sleep(life);
                std::process::exit(status);
            });
        }
    }
    // Where the daemon's children say that they are up before they have opened what they serve.
    let early = !faults.late_failure_seen;
    let commands = |shared| Commands {
        config: &config,
        config_file: &command_line.config_file,
        faults: &faults,
        started: inheritance.started,
        shared_memory: command_line.shared_memory * 1024 * 1024,
        shared,
    };
    if early {
        say_ready()?;
    }
    let ready = || if early { Ok(()) } else { say_ready() };
    match role {
        WorkerRole::Idle => {
            ready()?;
            loop {
                thread::park();
            }
        }
        WorkerRole::Udp(socket) => {
            ready()?;
            Answerer::new(&faults, shared, inheritance.id).serve_udp(socket)
        }
        WorkerRole::TcpMain => {
            let listeners = declared_listeners(&command_line, &config)?;
            let bound = tcp::bind(&listeners)?;
            ready()?;
            let tls = tls::server(&config);
            tcp::serve(bound, &Answerer::new(&faults, shared, inheritance.id), tls.as_ref())
        }
        WorkerRole::MiFifo => {
            let fifo = mi::open_fifo(&config)?;
            ready()?;
            mi::serve_fifo(fifo, &commands(shared))
        }
        WorkerRole::MiDatagram(socket) => {
            ready()?;
            mi::serve_datagram(socket, &commands(shared))
        }
    }
}

fn obey_attendant() {
    if let Ok(1) = io::stdin().read(&mut [0]) {
        std::process::exit(0);
    }
}

fn say_ready() -> Result<(), Error> {
    let failed = |source| Error::System { what: "status pipe", source };
    let mut stdout = io::stdout();
    stdout.write_all(&[0]).and_then(|()| stdout.flush()).map_err(failed)?;
    let null = fs::File::options().write(true).open("/dev/null").map_err(failed)?;
    dup2_stdout(null).map_err(|errno| Error::system("status pipe", errno))
}
