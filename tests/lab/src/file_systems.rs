//! The file systems of a host: the machine's, or those of a root directory, with everything that a cluster writes to laid over.
//! What is on the host's disk survives a power cut; /run, /tmp and /dev/shm don't.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{PermissionsExt, chown},
    },
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, open},
    mount::{MsFlags, mount},
    sys::stat::Mode,
    unistd::{Gid, Uid, User},
};

use crate::{
    cluster,
    error::{Error, Result, at, call},
    network::{HostNumber, Network},
    node::PRIVATE_DIRECTORIES,
    options::Options,
    power_switch, root,
    state::Directory,
};

const NONE: Option<&str> = None;

/// Directories that start empty in a node, whatever the machine has in its own.
const EMPTY_DIRECTORIES: [(&str, u32); 5] = [
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
    ("/var/lib/pacemaker", 0o755),
    ("/var/lib/corosync", 0o755),
    ("/var/lib/pcsd", 0o700),
];

/// Where resource agents of this provider are looked for.
const AGENTS: &str = "/usr/lib/ocf/resource.d/smartvox";

/// What will be mounted. The sources are open already: once /run and /tmp are the host's own,
/// paths of the machine below them are out of reach.
pub(crate) struct FileSystems {
    host: String,
    root: Option<PathBuf>,
    disk: PathBuf,
    users: Vec<String>,
    nodes: Vec<String>,
    binds: Vec<(OwnedFd, PathBuf)>,
}

impl FileSystems {
    pub(crate) fn open(options: &Options, directory: &Directory, host: &str) -> Result<Self> {
        let program = directory.disks().join("lab");
        let mut wanted = vec![
            (directory.power_socket(), PathBuf::from(power_switch::SOCKET_IN_NODES)),
            (program.clone(), PathBuf::from("/usr/sbin/fence_lab")),
            // pcs starts, stops and looks at services through it; there is no systemd in a node.
            (program, PathBuf::from("/usr/bin/systemctl")),
            (directory.disks().join("authkey"), PathBuf::from(cluster::KEY_FROM_RACK)),
        ];
        if let Some(agents) = &options.agents {
            wanted.push((agents.clone(), PathBuf::from(AGENTS)));
        }
        wanted.extend(
            options.binds.iter().map(|bind| (bind.source.clone(), bind.destination.clone())),
        );
        let open_source = |(source, destination): (PathBuf, PathBuf)| {
            open(&source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
                .map(|fd| (fd, destination))
                .map_err(|errno| Error::BindSource { path: source, source: errno.into() })
        };
        Ok(Self {
            host: host.to_owned(),
            root: options.root_of(host).map(Path::to_owned),
            disk: directory.disk(host),
            users: options.users.clone(),
            nodes: options.node_names().collect(),
            binds: wanted.into_iter().map(open_source).collect::<Result<_>>()?,
        })
    }

    /// Builds everything, in the calling process's mount namespace.
    pub(crate) fn mount(&mut self) -> Result<()> {
        mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
            .map_err(call("mount(/, private)"))?;
        if let Some(root) = &self.root {
            self.disk = root::below(root::enter(root)?, &self.disk);
        }
        for directory in PRIVATE_DIRECTORIES.map(Path::new) {
            if directory.is_dir() && !directory.is_symlink() {
                self.overlay(directory)?;
            }
        }
        for (directory, mode) in EMPTY_DIRECTORIES {
            self.empty(Path::new(directory), mode)?;
        }
        let nothing = MsFlags::empty();
        let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        for (kind, target, flags, data) in [
            ("proc", "/proc", safe | MsFlags::MS_NOEXEC, NONE),
            ("sysfs", "/sys", safe | MsFlags::MS_NOEXEC, NONE),
            ("tmpfs", "/dev/shm", safe, Some("mode=1777")),
            ("tmpfs", "/tmp", nothing, Some("mode=1777")),
            // Last: the lab's own directory is usually below it.
            ("tmpfs", "/run", safe, Some("mode=755")),
        ] {
            mount(Some(kind), target, Some(kind), flags, data)
                .map_err(call(format!("mount({kind} on {target})")))?;
        }
        self.add_users()?;
        self.write_names()?;
        for (directory, mode) in
            [("/run/lock", 0o1777), ("/run/resource-agents", 0o1755), ("/run/lab", 0o755)]
        {
            make_directory(directory, mode)?;
        }
        for (source, destination) in &self.binds {
            bind(source, destination)?;
        }
        if self.root.is_some() {
            root::leave_machine()?;
        }
        Ok(())
    }

    /// A writable layer of the host's own over the machine's directory.
    fn overlay(&self, directory: &Path) -> Result<()> {
        let layer = self.disk.join(directory.file_name().unwrap_or_default());
        let (upper, work) = (layer.join("upper"), layer.join("work"));
        for path in [&upper, &work] {
            fs::create_dir_all(path).map_err(at(path))?;
        }
        // The top of the merged tree shows the mode of the upper layer.
        let mode = fs::metadata(directory).map_err(at(directory))?.permissions();
        fs::set_permissions(&upper, mode).map_err(at(&upper))?;
        let data = format!(
            "lowerdir={},upperdir={},workdir={}",
            directory.display(),
            upper.display(),
            work.display()
        );
        mount(Some("overlay"), directory, Some("overlay"), MsFlags::empty(), Some(data.as_str()))
            .map_err(call(format!("mount(overlay on {})", directory.display())))
    }

    /// A directory of the host's disk in place of the machine's.
    fn empty(&self, directory: &Path, mode: u32) -> Result<()> {
        let name = directory.strip_prefix("/").unwrap_or(directory);
        let source = self.disk.join("empty").join(name);
        make_directory(&source, mode)?;
        fs::create_dir_all(directory).map_err(at(directory))?;
        mount(Some(&source), directory, NONE, MsFlags::MS_BIND, NONE)
            .map_err(call(format!("mount(bind on {})", directory.display())))
    }

    /// Users that configurations name. In the host's own /etc: the machine's stays as it is.
    fn add_users(&self) -> Result<()> {
        for user in &self.users {
            if User::from_name(user).map_err(call("getpwnam"))?.is_some() {
                continue;
            }
            // Debian's range for system accounts, from the top (adduser takes from the bottom).
            let taken = |id: &u32| {
                matches!(User::from_uid(Uid::from_raw(*id)), Ok(None))
                    && matches!(nix::unistd::Group::from_gid(Gid::from_raw(*id)), Ok(None))
            };
            let id = (200..=999).rev().find(taken).unwrap_or(999);
            append(
                "/etc/passwd",
                &format!("{user}:x:{id}:{id}::/nonexistent:/usr/sbin/nologin\n"),
            )?;
            append("/etc/group", &format!("{user}:x:{id}:\n"))?;
        }
        Ok(())
    }

    fn write_names(&self) -> Result<()> {
        let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
        for (node, number) in self.nodes.iter().zip(1..) {
            let number = HostNumber::node(number);
            hosts.push_str(&format!("{} {node}\n", Network::Lan.ipv4(number)));
            hosts.push_str(&format!("{} {node}-public\n", Network::Public.ipv4(number)));
        }
        let client = Network::Public.ipv4(HostNumber::CLIENT);
        hosts.push_str(&format!("{client} {}\n", crate::hosts::CLIENT));
        fs::write("/etc/hosts", hosts).map_err(at("/etc/hosts"))?;
        fs::write("/etc/hostname", format!("{}\n", self.host)).map_err(at("/etc/hostname"))
    }
}

fn append(path: &str, line: &str) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(at(path))
}

/// Makes a directory with this mode, whatever the umask.
pub(crate) fn make_directory(path: impl AsRef<Path>, mode: u32) -> Result<()> {
    let path = path.as_ref();
    fs::create_dir_all(path).map_err(at(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(at(path))
}

/// The same, owned by a user and its group.
pub(crate) fn make_owned_directory(path: &str, mode: u32, owner: &User) -> Result<()> {
    make_directory(path, mode)?;
    chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).map_err(at(path))
}

/// Mounts what the descriptor stands for, and makes the mount point on the host's own layers.
fn bind(source: &OwnedFd, destination: &Path) -> Result<()> {
    let source_path = PathBuf::from(format!("/proc/self/fd/{}", source.as_raw_fd()));
    if !destination.exists() {
        let own = ["/run", "/tmp"].iter().chain(&PRIVATE_DIRECTORIES);
        if !own.into_iter().any(|directory| destination.starts_with(directory)) {
            return Err(Error::BindDestination(destination.to_owned()));
        }
        let (directory, file) = if source_path.is_dir() {
            (Some(destination), None)
        } else {
            (destination.parent(), Some(destination))
        };
        if let Some(directory) = directory {
            fs::create_dir_all(directory).map_err(at(directory))?;
        }
        if let Some(file) = file {
            fs::write(file, "").map_err(at(file))?;
        }
    }
    mount(Some(&source_path), destination, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
        .map_err(call(format!("mount(bind on {})", destination.display())))
}
