//! The main process: pid file, modules, UDP sockets, privileges, workers; then it waits for
//! signals, and stops everything when it is told to or when one worker dies.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, ChildStdin, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::SockaddrStorage;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stdout, setgid, setuid};

use crate::command_line::CommandLine;
use crate::config::Config;
use crate::daemonize::{configure_log, declared_listeners};
use crate::error::Error;
use crate::faults::{self, Faults};
use crate::inheritance::{Inheritance, Role, WorkerRole};
use crate::listener::{Listener, Protocol, bound_socket, ip_text, sctp_socket};
use crate::log::{self, Level};
use crate::mi;
use crate::pid_file::PidFiles;
use crate::shared::{Process, Shared};
use crate::worker;

/// `auto_scaling_cycle` by default.
const AUTO_SCALING_CYCLE: Duration = Duration::from_secs(1);

/// As the detached main process of a daemon.
pub(crate) fn daemon(inheritance: &Inheritance, arguments: &[OsString]) -> u8 {
    run(inheritance, arguments, true)
}

/// In the command's own process, for `-F` and `-D`.
pub(crate) fn foreground(inheritance: &Inheritance, arguments: &[OsString]) -> u8 {
    run(inheritance, arguments, false)
}

fn run(inheritance: &Inheritance, arguments: &[OsString], detached: bool) -> u8 {
    match Attendant::new(inheritance, arguments) {
        Ok(mut attendant) => match attendant.start() {
            Ok(()) => {
                if detached {
                    report_success();
                }
                attendant.serve()
            }
            Err(error) => {
                log::error(&error);
                attendant.clean_up();
                log::line(Level::Notice, "core:main", "Exiting....");
                255
            }
        },
        Err(error) => {
            log::error(&error);
            255
        }
    }
}

/// Reports to the waiting command, whose pipe is this process's stdout, that all workers are up. Like
/// the daemon, it replaces stdout before that.
fn report_success() {
    let Ok(status) = io::stdout().as_fd().try_clone_to_owned() else { return };
    if let Ok(null) = fs::File::options().write(true).open("/dev/null") {
        let _ = dup2_stdout(null);
    }
    // The command may have been killed; the daemon runs on all the same.
    let _ = fs::File::from(status).write_all(&[0]);
}

/// A running worker; its stdin is how the attendant asks it to terminate.
struct Worker {
    id: usize,
    kind: String,
    child: Child,
    control: Option<ChildStdin>,
}

struct Attendant {
    inheritance: Inheritance,
    arguments: Vec<OsString>,
    command_line: CommandLine,
    config: Config,
    faults: Faults,
    listeners: Vec<Listener>,
    pid_files: Option<PidFiles>,
    modules_initialised: bool,
    shared: Shared,
    /// Open for as long as the process lives: inherited by all workers.
    sockets: Vec<OwnedFd>,
    workers: Vec<Worker>,
}

impl Attendant {
    fn new(inheritance: &Inheritance, arguments: &[OsString]) -> Result<Self, Error> {
        // Before anything is started that could die.
        worker::handled_signals()
            .thread_block()
            .map_err(|errno| Error::system("sigprocmask", errno))?;
        inheritance.take_name()?;
        let mut command_line = CommandLine::parse(arguments.get(1..).unwrap_or_default())?;
        let mut config = Config::inherited(inheritance.config.clone())?;
        command_line.debug |= config.debug_mode;
        if command_line.debug {
            (config.udp_workers, config.tcp_workers) = (2, 2);
        }
        configure_log(&command_line, &config);
        Ok(Self {
            listeners: declared_listeners(&command_line, &config)?,
            faults: Faults::read(&config.text, faults::environment())?,
            pid_files: (!command_line.debug).then(|| PidFiles::of(&command_line)),
            modules_initialised: false,
            inheritance: inheritance.clone(),
            arguments: arguments.to_vec(),
            command_line,
            config,
            shared: Shared::create()?,
            sockets: Vec::new(),
            workers: Vec::new(),
        })
    }

    fn start(&mut self) -> Result<(), Error> {
        if let Some(pid_files) = &self.pid_files {
            pid_files.write()?;
        }
        let CommandLine { shared_memory, private_memory, .. } = self.command_line;
        for text in [
            format!("version: opensips {}", crate::VERSION),
            format!("using {shared_memory} MB of shared memory, allocator: NONE"),
            format!("using {private_memory} MB of private process memory, allocator: NONE"),
        ] {
            log::line(Level::Notice, "core:main", text);
        }
        self.initialise_modules()?;
        thread::sleep(self.faults.start_delay);
        let mut plan = self.bind_udp()?;
        self.bind_sctp()?;
        self.drop_privileges()?;
        // As the daemon starts them: modules first, TCP main last.
        let mut workers = self.module_workers()?;
        workers.push((WorkerRole::Idle, "time_keeper".to_owned()));
        workers.push((WorkerRole::Idle, "timer".to_owned()));
        workers.append(&mut plan);
        let tcp = self.listeners.iter().any(|listener| listener.protocol.is_over_tcp());
        if tcp {
            let receiver = (WorkerRole::Idle, "TCP receiver".to_owned());
            workers.extend(vec![receiver; self.config.tcp_workers]);
        }
        workers.push((WorkerRole::Idle, "Timer handler".to_owned()));
        if tcp {
            workers.push((WorkerRole::TcpMain, "TCP main".to_owned()));
        }
        self.write_process(0, std::process::id(), "attendant")?;
        for (index, (role, kind)) in workers.into_iter().enumerate() {
            self.start_worker(index + 1, role, kind)?;
        }
        Ok(())
    }

    /// The checks that `mi_fifo` and `mi_datagram` make, and the old files that they delete.
    fn initialise_modules(&mut self) -> Result<(), Error> {
        if self.config.has_module("mi_fifo") {
            mi::remove_old(mi::fifo_path(&self.config));
            let path = mi::reply_directory(&self.config);
            fs::metadata(&path).map_err(|source| Error::ReplyDirectory { path, source })?;
        }
        if self.config.has_module("mi_datagram") {
            let name = mi::datagram_name(&self.config).ok_or(Error::NoDatagramSocketName)?;
            if !name.starts_with("udp:") {
                mi::remove_old(name.into());
            }
        }
        self.modules_initialised = true;
        Ok(())
    }

    /// Opens the UDP sockets; they don't notice that a port is in use (`SO_REUSEADDR`).
    fn bind_udp(&mut self) -> Result<Vec<(WorkerRole, String)>, Error> {
        let mut workers = Vec::new();
        for listener in &self.listeners {
            if listener.protocol != Protocol::Udp {
                continue;
            }
            let socket = bound_socket(&SockaddrStorage::from(listener.address), true).map_err(
                |(descriptor, errno)| Error::UdpBind {
                    descriptor,
                    address: listener.address,
                    errno,
                },
            )?;
            let address = listener.address;
            let kind = format!("SIP receiver udp:{}:{}", ip_text(address.ip()), address.port());
            let worker = (WorkerRole::Udp(socket.as_raw_fd()), kind);
            workers.extend(vec![worker; listener.workers.unwrap_or(self.config.udp_workers)]);
            self.sockets.push(socket);
        }
        Ok(workers)
    }

    /// Opens the SCTP sockets, which need a kernel that has SCTP.
    fn bind_sctp(&mut self) -> Result<(), Error> {
        for &Listener { protocol, address, .. } in &self.listeners {
            if protocol == Protocol::Sctp {
                let bound = sctp_socket(&SockaddrStorage::from(address));
                self.sockets.push(bound.map_err(|errno| Error::SctpBind { address, errno })?);
            }
        }
        Ok(())
    }

    fn drop_privileges(&self) -> Result<(), Error> {
        let CommandLine { user, group, .. } = self.command_line;
        if let Some(pid_files) =
            self.pid_files.as_ref().filter(|_| user.is_some() || group.is_some())
        {
            pid_files.hand_over(user, group)?;
        }
        if let Some(group) = group {
            setgid(group).map_err(|errno| Error::Privileges { what: "gid", errno })?;
        }
        if let Some(user) = user {
            setuid(user).map_err(|errno| Error::Privileges { what: "uid", errno })?;
        }
        // setuid took the readability of /proc/PID away; the daemon gives it back for its cores.
        nix::sys::prctl::set_dumpable(true).map_err(|errno| Error::system("PR_SET_DUMPABLE", errno))
    }

    /// The module list of the daemon is in the reverse order of loading.
    fn module_workers(&mut self) -> Result<Vec<(WorkerRole, String)>, Error> {
        let mut workers = Vec::new();
        if let Some(name) = mi::datagram_name(&self.config) {
            let address = mi::datagram_address(name)?;
            let socket = bound_socket(address.as_ref(), false)
                .map_err(|(_, errno)| Error::DatagramBind { name: name.to_owned(), errno })?;
            let role = WorkerRole::MiDatagram(socket.as_raw_fd());
            workers.push((role, "MI Datagram".to_owned()));
            self.sockets.push(socket);
        }
        if self.config.has_module("mi_fifo") {
            workers.push((WorkerRole::MiFifo, "MI FIFO".to_owned()));
        }
        Ok(workers)
    }

    fn write_process(&self, id: usize, pid: u32, kind: &str) -> Result<(), Error> {
        self.shared
            .set_process(&Process { id, pid, kind: kind.to_owned() })
            .map_err(|source| Error::System { what: "process table", source })
    }

    fn start_worker(&mut self, id: usize, role: WorkerRole, kind: String) -> Result<(), Error> {
        let failed = |source| Error::WorkerStart { id, source };
        let table = self.shared.descriptor();
        let worker =
            Inheritance { role: Role::Worker(role), id, table, ..self.inheritance.clone() };
        let mut child = worker
            .command(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        self.write_process(id, child.id(), &kind)?;
        let mut ready =
            child.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        ready.read_exact(&mut [0]).map_err(failed)?;
        let control = child.stdin.take();
        self.workers.push(Worker { id, kind, child, control });
        Ok(())
    }

    /// Waits for signals until one of them ends the instance; returns the exit code.
    fn serve(&mut self) -> u8 {
        // The daemon loses what arrives before it is here; a dead child it does notice.
        let mut asking = worker::handled_signals();
        asking.remove(Signal::SIGCHLD);
        while let Ok(Some(_)) =
            SignalFd::with_flags(&asking, SfdFlags::SFD_NONBLOCK).and_then(|fd| fd.read_signal())
        {
        }
        let mut lost = self.faults.lost_terms;
        loop {
            let mut status = 0;
            match worker::handled_signals().wait() {
                Ok(Signal::SIGTERM | Signal::SIGINT) => {
                    if self.faults.ignore_term {
                        continue;
                    }
                    if lost > 0 {
                        lost -= 1;
                        continue;
                    }
                }
                Ok(Signal::SIGCHLD) => match self.reap_unexpected() {
                    Some(child_status) => status = child_status,
                    None => continue,
                },
                // SIGHUP, SIGUSR1 and SIGUSR2 are ignored; EINTR is no signal.
                _ => continue,
            }
            self.shut_down();
            return status;
        }
    }

    /// Notes the workers that ended by themselves; the exit status that follows, if any did.
    fn reap_unexpected(&mut self) -> Option<u8> {
        let mut overall = None;
        let retires = self.faults.retire_after.is_some();
        if retires {
            // The daemon sleeps between two looks at the load (main.c).
            thread::sleep(AUTO_SCALING_CYCLE);
        }
        while let Some((pid, status)) = reap() {
            let before = self.workers.len();
            self.workers.retain(|worker| worker.child.id() != pid);
            if self.workers.len() == before {
                continue;
            }
            let origin = "core:handle_sigs";
            let bits = match status {
                Ended::Code(0) if retires => {
                    log::line(
                        Level::Notice,
                        origin,
                        format!("process 1/{pid} did selfexit with status 0"),
                    );
                    continue;
                }
                Ended::Code(code) => {
                    let text = format!("child process {pid} exited normally, status={code}");
                    log::line(Level::Info, origin, text);
                    // The daemon hands the raw wait status to exit(): a code is lost in it.
                    0
                }
                Ended::Signal(number) => {
                    let text = format!("child process {pid} exited by a signal {number}");
                    log::line(Level::Info, origin, text);
                    log::line(Level::Info, origin, "core was not generated");
                    number
                }
            };
            overall = Some(overall.unwrap_or(0) | bits);
        }
        if overall.is_some() {
            log::line(Level::Info, "core:handle_sigs", "terminating due to SIGCHLD");
        }
        overall
    }

    /// Asks all workers to terminate, waits for the grace, kills the rest, cleans up.
    fn shut_down(&mut self) {
        for worker in &mut self.workers {
            if let Some(control) = &mut worker.control {
                // A worker that is gone by now is reaped below.
                let _ = control.write_all(&[1]);
            }
        }
        let patience = Instant::now() + self.faults.kill_grace;
        let mut killed = false;
        while !self.workers.is_empty() {
            while let Some((pid, _)) = reap() {
                let waiting_for = self.workers.len().saturating_sub(1);
                if let Some(at) = self.workers.iter().position(|one| one.child.id() == pid) {
                    let Worker { id, kind, .. } = self.workers.remove(at);
                    let text = format!(
                        "process {id}({pid}) [{kind}] terminated, \
                         still waiting for {waiting_for} more"
                    );
                    log::line(Level::Info, "core:shutdown_opensips", text);
                }
            }
            if !killed && Instant::now() >= patience {
                killed = true;
                for worker in &self.workers {
                    if let Ok(pid) = i32::try_from(worker.child.id()) {
                        // ESRCH: it ended meanwhile.
                        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                    }
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
        thread::sleep(self.faults.stop_delay);
        self.clean_up();
        log::farewell();
    }

    fn clean_up(&self) {
        log::line(Level::Info, "core:cleanup", "cleanup");
        if self.modules_initialised && self.config.has_module("mi_fifo") {
            mi::remove_old(mi::fifo_path(&self.config));
        }
        if let Some(name) = mi::datagram_name(&self.config).filter(|_| self.modules_initialised) {
            mi::remove_old(name.into());
        }
        if let Some(pid_files) = &self.pid_files {
            pid_files.remove();
        }
    }
}

enum Ended {
    Code(i32),
    Signal(u8),
}

/// The next child that has ended, if any.
fn reap() -> Option<(u32, Ended)> {
    let (pid, ended) = match waitpid(None, Some(WaitPidFlag::WNOHANG)).ok()? {
        WaitStatus::Exited(pid, code) => (pid, Ended::Code(code)),
        WaitStatus::Signaled(pid, signal, _) => {
            (pid, Ended::Signal(u8::try_from(signal as i32).unwrap_or(0)))
        }
        _ => return None,
    };
    Some((pid.as_raw().unsigned_abs(), ended))
}
