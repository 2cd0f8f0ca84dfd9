//! A host: a network namespace and a mount namespace with a `/run` of its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A host of its own on this machine. Clones are the same host; it goes when the last clone,
/// and the last [`crate::Cable`] and [`crate::Capture`] on it, are dropped.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Namespaces>,
}

/// The namespaces live as long as these descriptors are open, without any thread or name.
#[derive(Debug)]
struct Namespaces {
    name: String,
    network: File,
    mounts: File,
    /// Identifies the network namespace: the inode of `/proc/*/ns/net`.
    inode: u64,
}

impl Host {
    /// Makes a host with the loopback interface up, an empty `/run` and a `/sys` of its own.
    /// `name` is for messages; several hosts may have the same.
    ///
    /// # Panics
    /// Without the privilege; see [`crate::root_or_skip`].
    #[must_use]
    pub fn new(name: &str) -> Self {
        // Namespaces belong to threads: a new one makes them and may end then.
        let made = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
            let none = None::<&str>;
            // Else the mounts below would spread to everybody.
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
            let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount(Some("run"), "/run", Some("tmpfs"), safe, Some("mode=0755"))?;
            // A sysfs shows the network interfaces of the namespace it was mounted in.
            mount(Some("sysfs"), "/sys", Some("sysfs"), safe, none)?;
            let network = File::open("/proc/thread-self/ns/net")?;
            let mounts = File::open("/proc/thread-self/ns/mnt")?;
            Ok::<_, io::Error>((network, mounts))
        });
        let (network, mounts) =
            made.join().expect("no panic").unwrap_or_else(|error| panic!("host {name}: {error}"));
        let inode = network.metadata().expect("inode of a namespace").ino();
        let inner = Namespaces { name: name.to_owned(), network, mounts, inode };
        let host = Self { inner: Arc::new(inner) };
        host.ip("link set lo up");
        host
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Runs `action` on this host: in a thread inside its namespaces, so that the sockets it
    /// opens and the programs it starts belong to the host. Several may run at a time.
    ///
    /// # Panics
    /// If `action` does, with its own message.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.inner.enter();
                action()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts a thread on this host that may outlive the call.
    pub(crate) fn thread<T: Send + 'static>(
        &self,
        action: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let host = self.clone();
        std::thread::spawn(move || {
            host.inner.enter();
            action()
        })
    }

    /// Runs a program to its end.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn output(&self, command: &mut Command) -> Output {
        self.run(|| command.output())
            .unwrap_or_else(|error| panic!("{}: {command:?}: {error}", self.name()))
    }

    /// Starts a program.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn spawn(&self, command: &mut Command) -> Child {
        self.run(|| command.spawn())
            .unwrap_or_else(|error| panic!("{}: {command:?}: {error}", self.name()))
    }

    /// Runs `ip` (iproute2) with these arguments, separated by white space, and returns what
    /// it prints.
    ///
    /// # Panics
    /// If it fails, with what it says.
    pub fn ip(&self, arguments: &str) -> String {
        let output = self.output(Command::new("ip").args(arguments.split_whitespace()));
        assert!(
            output.status.success(),
            "{}: ip {arguments}: {}",
            self.name(),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Sets a setting such as `net/ipv4/ip_forward`.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = Path::new("/proc/sys").join(name);
        self.run(|| std::fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{}: {}: {error}", self.name(), path.display()));
    }

    /// The processes on this host.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        self.inner.processes()
    }

    /// A path by which `ip link ... netns PATH` finds the network namespace.
    pub(crate) fn netns_path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        let descriptor = self.inner.network.as_raw_fd();
        PathBuf::from(format!("/proc/{}/fd/{descriptor}", std::process::id()))
    }
}

impl Namespaces {
    fn enter(&self) {
        let entered = || -> io::Result<()> {
            // Threads share their directory and root; setns() wants a thread that does not.
            let directory = std::env::current_dir()?;
            unshare(CloneFlags::CLONE_FS)?;
            setns(&self.mounts, CloneFlags::CLONE_NEWNS)?;
            setns(&self.network, CloneFlags::CLONE_NEWNET)?;
            // setns() has moved us to the root of the mount namespace.
            std::env::set_current_dir(directory)
        };
        entered().unwrap_or_else(|error| panic!("host {}: {error}", self.name));
    }

    /// Whether the process is in this network namespace. A process that has ended is in none.
    fn has(&self, pid: i32) -> bool {
        std::fs::metadata(format!("/proc/{pid}/ns/net"))
            .is_ok_and(|metadata| metadata.ino() == self.inode)
    }

    /// The processes in this namespace. Never this one: its first thread is in no host's.
    fn processes(&self) -> Vec<i32> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| self.has(*pid)).collect()
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for pid in &left {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            if Instant::now() > until {
                let message = format!("host {}: processes {left:?} do not die", self.name);
                assert!(std::thread::panicking(), "{message}");
                eprintln!("{message}");
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// In a process group of its own, so that a timeout can end a whole tree.
pub(crate) fn own_group(command: &mut Command) -> &mut Command {
    command.process_group(0)
}
