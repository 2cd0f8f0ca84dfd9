//! The announcer: a detached process of this same binary that sends what the schedule has after
//! start has returned, and that stop ends before it removes the address.
//!
//! It is in a session of its own with nothing open of Pacemaker's, so that Pacemaker neither waits
//! for it nor kills it with the action. It holds a lock named after the address for as long as it
//! lives; whoever has that lock knows that there is no announcer. It has no environment and no log:
//! everything it needs stands in its arguments, everything it sees is seen by the next monitor too.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use deadline::Deadline;
use hostnet::{LinkIndex, Netlink, Network, PacketSocket};
use hostproc::{LockFile, Pid, PidFd, ProcFs, Process, Signal};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::announce::{PATIENCE, Subject};
use crate::params::Form;
use crate::schedule::Schedule;

/// The first argument of an announcer. It begins with two hyphens like an option, so it is no
/// action, and no option of that name is offered.
pub(crate) const ARGUMENT: &str = "--announcer";

/// What the announcer says on its standard output once it holds the lock.
const READY: &str = "ready";

/// How long a new announcer waits for the lock: the one before it has been ended, so it is free but
/// for a reader.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// The work of one announcer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) subject: Subject,
    pub(crate) schedule: Schedule,
    /// The entry of the schedule to begin with.
    pub(crate) next: usize,
    /// The file that it locks.
    pub(crate) lock: PathBuf,
}

/// Why there is no announcer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("can't make its directory: {0}")]
    Directory(#[source] io::Error),
    #[error("can't start it: {0}")]
    Spawn(#[source] io::Error),
    #[error("it did not report in time")]
    NoReport,
    #[error("it reported: {0}")]
    Failed(String),
}

/// Starts an announcer; returns when it holds its lock. The announcer also closes start's packet
/// socket, for start has no time for that ([`PacketSocket::into_descriptor`]).
pub(crate) fn spawn(job: &Job, socket: PacketSocket, until: Deadline) -> Result<Child, Error> {
    let mut child = Command::new("/proc/self/exe")
        .arg0(crate::description::DESCRIPTION.name)
        .arg(ARGUMENT)
        .args(job.to_arguments())
        .env_clear()
        .stdin(socket.into_descriptor())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Error::Spawn)?;
    match read_report(&mut child, until) {
        Ok(report) if report == READY => Ok(child),
        report => {
            end_child(&mut child);
            Err(match report {
                Ok(report) => Error::Failed(ocf::shown(report.as_bytes())),
                Err(error) => error,
            })
        }
    }
}

/// Ends an announcer that this process has started.
pub(crate) fn end_child(child: &mut Child) {
    // It fails only for one that has ended.
    let _ = child.kill();
    let _ = child.wait();
}

/// Everything the child says until it closes its end.
fn read_report(child: &mut Child, until: Deadline) -> Result<String, Error> {
    let mut pipe = child.stdout.take().ok_or(Error::NoReport)?;
    let mut report = Vec::new();
    loop {
        let left = until.remaining();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, timeout) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(0) | Err(_) => return Err(Error::NoReport),
            Ok(_) => {}
        }
        let mut bytes = [0; 256];
        match pipe.read(&mut bytes) {
            Ok(0) => return Ok(String::from_utf8_lossy(&report).trim_end().to_owned()),
            Ok(count) => report.extend(bytes.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Spawn(error)),
        }
    }
}

/// That no announcer for the address is there; none can come up while this is held.
#[derive(Debug)]
pub(crate) struct Silence(Option<LockFile>);

impl Silence {
    /// Lets a new announcer come up, and leaves no file behind.
    pub(crate) fn end(self) {
        if let Some(lock) = self.0
            && let Err(error) = lock.remove()
        {
            log::debug!("{error}");
        }
    }
}

/// Ends the announcer that holds this lock, if there is one, and waits until it is dead.
///
/// # Errors
/// It is still there, or it can't be known.
pub(crate) fn silence(lock: &Path, until: Deadline) -> Result<Silence, NotSilent> {
    // The usual case, and then no file is made.
    if !lock.try_exists().unwrap_or(true) {
        return Ok(Silence(None));
    }
    let proc = ProcFs::default();
    loop {
        // Another stop holds the lock in the same way, and is waited for: killed, it would be a stop
        // that failed.
        if let Some(process) = holder(lock)?
            && let Some(handle) = PidFd::open(&proc, &process)?
            && is_announcer(&proc, process.pid)?
        {
            log::debug!("ending announcer {}", process.pid);
            // Nothing in it needs an orderly end, and a signal that can be handled can be late.
            handle.signal(Signal::SIGKILL)?;
            if !handle.wait_gone(until)? {
                return Err(NotSilent::Alive { pid: process.pid.get() });
            }
        }
        // Only the lock proves it: the holder may just not have written its name yet.
        if let Some(lock) = LockFile::try_acquire(lock)? {
            return Ok(Silence(Some(lock)));
        }
        if until.has_passed() {
            return Err(NotSilent::Locked);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Who holds the announcer's lock: by the note that he has left in it, or, where the file system is too
/// full for one, by the kernel's list.
pub(crate) fn holder(lock: &Path) -> Result<Option<Process>, hostproc::Error> {
    match LockFile::holder(lock)? {
        None => LockFile::holder_by_kernel(lock),
        noted => Ok(noted),
    }
}

/// By its arguments: an action of this agent has others.
fn is_announcer(proc: &ProcFs, pid: Pid) -> Result<bool, hostproc::Error> {
    let words = proc.cmdline(pid)?.unwrap_or_default();
    Ok(is_meant(words.get(1).map(OsString::as_os_str)))
}

/// Why an announcer may still be there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSilent {
    #[error("announcer {pid} does not end")]
    Alive { pid: i32 },
    #[error("its lock is held by a process that does not say which")]
    Locked,
    #[error(transparent)]
    Process(#[from] hostproc::Error),
}

impl Job {
    fn to_arguments(&self) -> Vec<OsString> {
        let Subject { ip, prefix, link, form, targets } = &self.subject;
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        vec![
            format!("{ip}/{prefix}").into(),
            link.to_string().into(),
            form.name().into(),
            self.schedule.to_string().into(),
            self.next.to_string().into(),
            targets.join(",").into(),
            self.lock.clone().into(),
        ]
    }

    fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [address, link, form, schedule, next, targets, lock] = arguments else { return None };
        let address = address.to_str()?;
        let (ip, _) = address.split_once('/')?;
        Some(Self {
            subject: Subject {
                ip: ip.parse().ok()?,
                prefix: address.parse::<Network>().ok()?.prefix(),
                link: LinkIndex::new(link.to_str()?.parse().ok()?)?,
                form: Form::from_name(form.to_str()?)?,
                targets: targets
                    .to_str()?
                    .split(',')
                    .filter(|text| !text.is_empty())
                    .map(|text| text.parse().ok())
                    .collect::<Option<_>>()?,
            },
            schedule: Schedule::reread(schedule.to_str()?).ok()?,
            next: next.to_str()?.parse().ok()?,
            lock: lock.into(),
        })
    }

    /// The address it is about.
    pub(crate) fn ip(&self) -> IpAddr {
        self.subject.ip
    }
}

/// Whether this process was started as an announcer.
pub(crate) fn is_meant(first_argument: Option<&OsStr>) -> bool {
    first_argument == Some(OsStr::new(ARGUMENT))
}

/// The whole life of an announcer, with the arguments behind [`ARGUMENT`].
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let Some(job) = Job::from_arguments(arguments) else {
        eprintln!("{ARGUMENT} is used by start only");
        return ExitCode::FAILURE;
    };
    close_inherited();
    // The report goes through a copy: it must come after the streams were left behind. So does
    // start's socket: closed now, it would keep start waiting for the report.
    let Ok(report) = io::stdout().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let mut report = std::fs::File::from(report);
    // For ps and top, which would show "exe" otherwise.
    let _ = nix::sys::prctl::set_name(c"opensips-vip");
    let lock = match hostproc::detach()
        .and_then(|()| LockFile::acquire(&job.lock, Deadline::after(LOCK_WAIT)))
    {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            let _ = writeln!(report, "another announcer for {} is running", job.ip());
            return ExitCode::FAILURE;
        }
        Err(error) => {
            let _ = writeln!(report, "{error}");
            return ExitCode::FAILURE;
        }
    };
    let netlink = match Netlink::open() {
        Ok(netlink) => netlink,
        Err(error) => {
            let _ = writeln!(report, "{error}");
            return ExitCode::FAILURE;
        }
    };
    let _ = writeln!(report, "{READY}");
    drop(report);
    drop::<OwnedFd>(socket);
    let until = Deadline::after(job.schedule.end() + PATIENCE);
    job.subject.burst(&netlink, &job.schedule, job.next, until);
    let _ = lock.remove();
    ExitCode::SUCCESS
}

/// Closes what the caller of start had left open. Pacemaker leaves nothing; a shell script or a test
/// may wait for the end of a pipe that this process would keep open for seconds.
fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // Nothing of this process is open yet but 0 to 2.
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = nix::unistd::close(descriptor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostnet::{Family, Prefix};

    #[test]
    fn a_job_survives_the_command_line() {
        let job = Job {
            subject: Subject {
                ip: "192.0.2.10".parse().unwrap(),
                prefix: Prefix::new(Family::V4, 24).unwrap(),
                targets: vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
                link: LinkIndex::new(7).unwrap(),
                form: Form::Both,
            },
            schedule: "0,50,250".parse().unwrap(),
            next: 1,
            lock: "/run/smartvox/announcer-192.0.2.10@4026531840.lock".into(),
        };
        let arguments = job.to_arguments();
        assert_eq!(Job::from_arguments(&arguments), Some(job.clone()));
        let ipv6 = Job {
            subject: Subject {
                ip: "2001:db8::10".parse().unwrap(),
                prefix: Prefix::new(Family::V6, 64).unwrap(),
                targets: Vec::new(),
                ..job.subject.clone()
            },
            ..job
        };
        assert_eq!(Job::from_arguments(&ipv6.to_arguments()), Some(ipv6));
        for missing in 0..arguments.len() {
            assert_eq!(Job::from_arguments(&arguments[..missing]), None);
        }
    }

    #[test]
    fn no_action_is_an_announcer() {
        assert!(is_meant(Some(OsStr::new("--announcer"))));
        for other in [None, Some(OsStr::new("start")), Some(OsStr::new("announcer"))] {
            assert!(!is_meant(other));
        }
    }
}
