//! Makes a process independent of its caller.

use std::fs::OpenOptions;
use std::io;

use nix::errno::Errno;
use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, getpid, getsid, setsid};

use crate::error::{Error, Result};

/// Makes the calling process independent of the one that started it: it gets a session of its own,
/// the working directory `/`, and `/dev/null` as descriptors 0 to 2.
///
/// For a process that must outlive an action. Pacemaker kills the whole process *group* of an action
/// at its timeout, and an action ends for it only when the output pipes are closed: a process that
/// kept them open would make the action time out.
///
/// The process must not lead a process group; one that is started by `Command` does not unless told
/// to. It does not fork, so call it before anything else.
///
/// # Errors
/// [`Error::Detach`]
pub fn detach() -> Result<()> {
    let failed =
        |step: &'static str| move |errno: Errno| Error::Detach { step, source: errno.into() };
    match setsid() {
        Ok(_) => {}
        // It leads a process group. That is fine if it leads a session already.
        Err(Errno::EPERM) if getsid(None) == Ok(getpid()) => {}
        Err(errno) => return Err(failed("setsid")(errno)),
    }
    chdir("/").map_err(failed("chdir /"))?;
    let opened = OpenOptions::new().read(true).write(true).open("/dev/null");
    let null =
        opened.map_err(|source: io::Error| Error::Detach { step: "open /dev/null", source })?;
    dup2_stdin(&null).map_err(failed("dup2 to 0"))?;
    dup2_stdout(&null).map_err(failed("dup2 to 1"))?;
    dup2_stderr(&null).map_err(failed("dup2 to 2"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{LONG, spawn};
    use crate::{Pid, PidFd, ProcFs, Signal};
    use std::io::Read;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use testnet::wait_until;

    const CHILD: &str = "HOSTPROC_TEST_DETACHED_CHILD";

    /// Run by the test below in a process of its own.
    #[test]
    fn child() {
        let Some(file) = std::env::var_os(CHILD) else { return };
        super::detach().unwrap();
        std::fs::write(&file, "detached\n").unwrap();
        // Lives until it is killed.
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn a_detached_process_keeps_nothing_of_its_parent() {
        let directory = tempfile::tempdir().unwrap();
        let sign = directory.path().join("sign");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "detach::tests::child", "--nocapture", "--test-threads=1"]);
        command.env(CHILD, &sign).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(command.stderr(Stdio::piped()));
        let pid = Pid::of(&child);
        let proc = ProcFs::default();
        let process = proc.process(pid).unwrap().unwrap();
        let handle = PidFd::open(&proc, &process).unwrap().unwrap();

        wait_until("the child has detached", LONG, || sign.exists());
        let stat = proc.stat(pid).unwrap().unwrap();
        let links = ["cwd", "fd/0", "fd/1", "fd/2"]
            .map(|name| std::fs::read_link(format!("/proc/{pid}/{name}")).unwrap());
        // The read ends at once, though the process lives: it has closed its end of the pipe.
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        let alive = proc.is_alive(&process).unwrap();
        handle.signal(Signal::SIGKILL).unwrap();
        child.wait().unwrap();

        assert!(alive);
        assert_eq!((stat.session, stat.group), (pid.get(), pid.get()));
        let null = Path::new("/dev/null");
        assert_eq!(links, [Path::new("/"), null, null, null]);
    }
}
