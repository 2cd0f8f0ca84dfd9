//! A moment without descriptors must fail nothing that a stop does. The test executes this program
//! again, with a limit of its own.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadline::Deadline;
use hostproc::{LockFile, Pid, ProcFs, RunDirectory, output};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use testnet::wait_until;

/// The directory in which a child works.
const CHILD: &str = "HOSTPROC_TEST_SHORTAGE";
/// Longer than any machine under load takes.
const LONG: Duration = Duration::from_secs(120);

#[test]
fn no_descriptor_is_left_for_a_moment() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
    let done = command.env(CHILD, directory.path()).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{text}");
}

#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let run = RunDirectory::at(directory);
    let proc = ProcFs::default();
    let own = proc.own().unwrap();
    run_out(|| assert!(proc.is_alive(&own).unwrap()));
    run_out(|| assert!(proc.pids().unwrap().contains(&own.pid)));
    run_out(|| assert!(proc.snapshot().unwrap().get(own.pid).is_some()));
    run_out(|| assert!(proc.descriptors(Pid::own()).unwrap().is_some()));
    let path = run.file("lock");
    let mut lock = None;
    run_out(|| lock = LockFile::try_acquire(&path).unwrap());
    run_out(|| assert_eq!(LockFile::holder(&path).unwrap(), Some(own)));
    run_out(|| assert_eq!(LockFile::holder_by_kernel(&path).unwrap(), Some(own)));
    drop(lock);
    run_out(|| run.write("note", b"one\n").unwrap());
    run_out(|| assert_eq!(run.read("note").unwrap(), b"one\n"));
    run_out(|| {
        let until = Deadline::after(LONG);
        let done = output(Command::new("/bin/echo").arg("one"), 100, until).unwrap().unwrap();
        assert_eq!(done.stdout, "one\n");
    });
}

/// Does `action` while no descriptor is left until it pauses.
fn run_out(action: impl FnOnce()) {
    // Opened before; read again and again, it has the state at that time.
    let state = File::open("/proc/thread-self/stat").unwrap();
    let begun = AtomicBool::new(false);
    let files = take_all_descriptors();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("the action has begun", LONG, || begun.load(Ordering::SeqCst));
            wait_until("it pauses or is done", LONG, || sleeps(&state));
            drop(files);
        });
        begun.store(true, Ordering::SeqCst);
        action();
    });
}

fn take_all_descriptors() -> Vec<File> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, most).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn sleeps(state: &File) -> bool {
    let mut content = [0; 256];
    let length = state.read_at(&mut content, 0).unwrap();
    let content = String::from_utf8_lossy(content.get(..length).unwrap()).into_owned();
    content.rsplit_once(") ").unwrap().1.starts_with('S')
}
