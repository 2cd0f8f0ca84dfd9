//! Processes in new and in existing namespaces, without fork and without unsafe: a namespace is
//! entered by a thread of its own (setns(2) and unshare(2) act on the calling thread), the process
//! is spawned from that thread, and the thread ends.

use std::{
    fs::File,
    os::fd::OwnedFd,
    process::{Child, Command},
    thread,
};

use nix::sched::{CloneFlags, setns, unshare};

use crate::{
    error::{Error, Result, at, call},
    state::Process,
};

/// Runs `work` on a thread of its own and gives its result.
fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("namespace".to_owned())
            .spawn_scoped(scope, work)
            .map_err(|error| Error::Thread(error.to_string()))?;
        thread.join().unwrap_or_else(|_| Err(Error::Thread("panic".to_owned())))
    })
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|source| Error::Spawn {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })
}

/// A new network namespace that lives as long as the descriptor.
pub(crate) fn new_network() -> Result<OwnedFd> {
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(call("unshare(CLONE_NEWNET)"))?;
        let path = "/proc/thread-self/ns/net";
        Ok(File::open(path).map_err(at(path))?.into())
    })
}

/// Spawns the first process of new PID, mount, IPC and UTS namespaces, in the network namespace
/// `network` or in a new one. When that process ends, the kernel kills all others in its PID
/// namespace, nested ones included (pid_namespaces(7)).
pub(crate) fn spawn_first(command: &mut Command, network: Option<&OwnedFd>) -> Result<Child> {
    on_thread(|| {
        let mut flags = CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS;
        match network {
            Some(network) => {
                setns(network, CloneFlags::CLONE_NEWNET).map_err(call("setns(net)"))?;
            }
            None => flags |= CloneFlags::CLONE_NEWNET,
        }
        unshare(flags).map_err(|errno| match errno {
            nix::errno::Errno::EPERM => Error::NotRoot,
            errno => call("unshare")(errno),
        })?;
        spawn(command)
    })
}

/// Spawns a process in all namespaces of another.
///
/// # Errors
/// [`Error::PowerOff`] with an empty host if the process ended meanwhile.
pub(crate) fn spawn_beside(process: Process, command: &mut Command) -> Result<Child> {
    // The mount namespace last: afterwards the descriptors' paths mean something else.
    let kinds = [
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("net", CloneFlags::CLONE_NEWNET),
        ("pid", CloneFlags::CLONE_NEWPID),
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    let mut namespaces = Vec::with_capacity(kinds.len());
    for (name, flag) in kinds {
        let path = format!("/proc/{}/ns/{name}", process.pid);
        namespaces.push((name, flag, File::open(&path).map_err(at(path))?));
    }
    // Looked at after opening: a pid that was reused meanwhile has another start time.
    if !process.is_alive() {
        return Err(Error::PowerOff { host: String::new() });
    }
    on_thread(|| {
        // setns(CLONE_NEWNS) refuses a thread that shares its root and working directory.
        unshare(CloneFlags::CLONE_FS).map_err(call("unshare(CLONE_FS)"))?;
        for (name, flag, namespace) in &namespaces {
            setns(namespace, *flag).map_err(call(format!("setns({name})")))?;
        }
        spawn(command)
    })
}
