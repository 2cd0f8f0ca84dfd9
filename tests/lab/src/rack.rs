//! The rack: the one process that a lab hangs on. It is the first process of the lab's PID
//! namespace, its network namespace holds the bridges, its mount namespace holds the nodes' disks
//! (a tmpfs). Whatever kills it takes the whole lab along: processes, namespaces and mounts.
//!
//! It sits outside of the nodes, so it is also their power switch.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, Read},
    os::{fd::AsFd, unix::net::UnixListener, unix::net::UnixStream},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};

use crate::{
    control,
    error::{Error, Result, at, call},
    hosts::{Host, Hosts, Power},
    message,
    namespaces::{new_network, spawn_first},
    network,
    node::NodeArguments,
    options::Options,
    power_switch, requirements,
    root::Root,
    state::{Directory, Process, own_pid},
};

/// A host that was switched on and tells how far it is.
pub(crate) struct Booting {
    process: Process,
    words: BufReader<ChildStdout>,
}

/// See the module.
pub(crate) struct Rack {
    /// [`Rack::reinstall`] changes the roots.
    options: Mutex<Options>,
    directory: Directory,
    /// As the machine's /proc shows it, which stays mounted here.
    pid: i32,
    hosts: Mutex<Hosts>,
}

/// Assembles the lab and stays until it is killed, or until the starter's end of standard input
/// closes before it said `"keep"`.
pub(crate) fn run(options: &Options) -> Result<()> {
    // The terminal whose command started the lab may close.
    nix::unistd::setsid().map_err(call("setsid"))?;
    let stdin = Path::new("/dev/stdin");
    let starter = std::io::stdin().as_fd().try_clone_to_owned().map_err(at(stdin))?;
    let starter = UnixStream::from(starter);
    let rack = Arc::new(Rack::new(options)?);

    let (watcher, watched) = (Arc::clone(&rack), starter.try_clone().map_err(at(stdin))?);
    thread::spawn(move || watcher.watch_starter(watched));

    let starter = Mutex::new(starter);
    let say = |value: &Value| {
        let mut starter = starter.lock().unwrap_or_else(PoisonError::into_inner);
        // A starter that is gone is the watcher's business.
        let _ = message::send(&mut *starter, value);
    };
    let result = rack.assemble(&|host, what| {
        eprintln!("{host}: {what}");
        say(&message::event(host, what));
    });
    if let Err(error) = &result {
        eprintln!("{error}");
    }
    // After an error too: the starter, which has the lab's lock, clears everything away.
    say(&message::reply(&result.map(|()| json!(null))));
    loop {
        thread::park();
    }
}

impl Rack {
    fn new(options: &Options) -> Result<Self> {
        Ok(Self {
            options: Mutex::new(options.clone()),
            directory: Directory::of(&options.place)?,
            pid: own_pid()?,
            hosts: Mutex::new(Hosts::new(options.node_names())),
        })
    }

    pub(crate) fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn options(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a node that is off another root, from its next boot on.
    pub(crate) fn reinstall(&self, name: &str, root: &Path) -> Result<()> {
        if self.hosts().is_on(name)? {
            return Err(Error::PowerOn { host: name.to_owned() });
        }
        let mut options = self.options().clone();
        options.roots.push(Root { node: Some(name.to_owned()), directory: root.to_owned() });
        requirements::check(&options)?;
        *self.options() = options;
        Ok(())
    }

    fn assemble(self: &Arc<Self>, report: &(dyn Fn(&str, &str) + Sync)) -> Result<()> {
        self.mount_disks()?;
        network::make_bridges()?;
        let listen = |path| UnixListener::bind(&path).map_err(at(path));
        let (control, power) =
            (listen(self.directory.control_socket())?, listen(self.directory.power_socket())?);
        let (rack, other) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || control::serve(&rack, &control));
        thread::spawn(move || power_switch::serve(&other, &power));
        report("rack", "networks and power switch ready");

        let names: Vec<String> = self.hosts().names().map(str::to_owned).collect();
        thread::scope(|scope| {
            let boots: Vec<_> = names
                .iter()
                .map(|name| scope.spawn(move || self.boot(name, &|what| report(name, what))))
                .collect();
            // Every thread is awaited, the first error is told.
            boots
                .into_iter()
                .map(|boot| {
                    boot.join().unwrap_or_else(|_| Err(Error::Thread("boot panicked".to_owned())))
                })
                .fold(Ok(()), Result::and)
        })
    }

    /// The disks are memory: quick, possible where / itself is an overlay, and gone with the rack.
    fn mount_disks(&self) -> Result<()> {
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .map_err(call("mount(/, private)"))?;
        let disks = self.directory.disks();
        fs::create_dir_all(&disks).map_err(at(&disks))?;
        mount(Some("lab-disks"), &disks, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
            .map_err(call(format!("mount({}, tmpfs)", disks.display())))?;
        // A copy: the nodes run the same program after a new build as before it.
        let program = disks.join("lab");
        fs::copy("/proc/self/exe", &program).map_err(at(&program))?;
        // The key that Corosync's nodes share: corosync-keygen(8) makes 256 bytes by default.
        let (random, key) = (Path::new("/dev/urandom"), disks.join("authkey"));
        let mut bytes = [0; 256];
        File::open(random).and_then(|mut file| file.read_exact(&mut bytes)).map_err(at(random))?;
        fs::write(&key, bytes).map_err(at(key))
    }

    /// Switches a host on and waits until its first process has done its work.
    pub(crate) fn boot(&self, name: &str, report: &dyn Fn(&str)) -> Result<()> {
        let booting = self.switch_on(&mut self.hosts(), name)?;
        self.follow(name, booting, report)
    }

    /// Switches a host on.
    pub(crate) fn switch_on(&self, hosts: &mut Hosts, name: &str) -> Result<Booting> {
        let host = hosts.get(name)?;
        if host.process().is_some() {
            return Err(Error::PowerOn { host: name.to_owned() });
        }
        let started = self.start_first_process(name, host);
        match started {
            Ok((child, booting)) => {
                host.power = Power::On { child, process: booting.process, booted: false };
                Ok(booting)
            }
            Err(error) => {
                network::detach(name, &host.cables);
                Err(error)
            }
        }
    }

    fn start_first_process(&self, name: &str, host: &Host) -> Result<(Child, Booting)> {
        let disk = self.directory.disk(name);
        fs::create_dir_all(&disk).map_err(at(&disk))?;
        let path = disk.join("boot.log");
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(at(path))?;
        let network = new_network()?;
        network::attach(name, host.number, &host.cables, &network, self.pid)?;
        let arguments = NodeArguments { options: self.options().clone(), host: name.to_owned() };
        let mut child = spawn_first(
            Command::new(self.directory.disks().join("lab"))
                .args(arguments.command_line())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(log),
            Some(&network),
        )?;
        let mut first_words = || {
            let mut words = BufReader::new(child.stdout.take()?);
            let pid = message::receive(&mut words).ok()??.get("pid")?.as_i64()?;
            Some(Booting { process: Process::of_child(pid.try_into().ok()?)?, words })
        };
        match first_words() {
            Some(booting) => Ok((child, booting)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                let reason = "its first process ended at once".to_owned();
                Err(Error::Boot { host: name.to_owned(), reason })
            }
        }
    }

    /// Listens to a booting host to the end of its boot.
    pub(crate) fn follow(
        &self,
        name: &str,
        mut booting: Booting,
        report: &dyn Fn(&str),
    ) -> Result<()> {
        let booted = message::receive_reply(&mut booting.words, |_, what| report(what));
        let mut hosts = self.hosts();
        let host = hosts.get(name)?;
        match (&mut host.power, booted) {
            (Power::On { process, booted, .. }, Ok(_)) if *process == booting.process => {
                *booted = true;
                Ok(())
            }
            (_, booted) => {
                let reason = match booted {
                    Err(Error::Refused(words)) => words,
                    _ => "the power was cut while it booted".to_owned(),
                };
                if host.process() == Some(booting.process)
                    && let Err(error) = hosts.cut(name)
                {
                    // What is told is why it did not boot.
                    eprintln!("{name}: {error}");
                }
                Err(Error::Boot { host: name.to_owned(), reason })
            }
        }
    }

    /// Ends the lab unless the starter lives to say `"keep"`.
    fn watch_starter(&self, starter: UnixStream) {
        let kept = matches!(message::receive(&mut BufReader::new(starter)), Ok(Some(_)));
        if kept {
            return;
        }
        eprintln!("the starter is gone: so is the lab");
        self.hosts().kill_all();
        // Waits for a starter that tidies up itself, or for the next `up`, which kills this process.
        if let Ok(_lock) = self.directory.lock() {
            let me = Process::with_pid(self.pid);
            if self.directory.rack().is_none_or(|recorded| Some(recorded) == me) {
                let _ = umount2(&self.directory.disks(), MntFlags::MNT_DETACH);
                let _ = self.directory.remove();
            }
        }
        std::process::exit(1);
    }
}
