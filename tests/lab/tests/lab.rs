//! Real labs. Needs root, and corosync, pacemaker and pcs for the cluster's test; where they are
//! missing these tests fail with the lab's own sentence about it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use lab::{Bind, Cluster, Error, Lab, Network, Options, Place, Process, Root, wait_for};

/// Generous: the machine may be slow and shared.
const DEADLINE: Duration = Duration::from_secs(180);

const PROGRAM: &str = env!("CARGO_BIN_EXE_lab");

/// A state directory of a test's own, removed with everything that is in it.
struct State(PathBuf);

impl State {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("lab-test-{}-{count}", std::process::id())))
    }

    fn options(&self, cluster: Cluster) -> Options {
        let place = Place { state: self.0.clone(), ..Place::default() };
        Options { place, cluster, program: Some(PROGRAM.into()), ..Options::default() }
    }

    fn place(&self) -> Place {
        self.options(Cluster::None).place
    }

    fn lab(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg(arguments[0]).arg("--state").arg(&self.0).args(&arguments[1..]);
        command
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.lab(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = Lab::down_at(&self.place());
        let _ = fs::remove_dir_all(&self.0);
    }
}

const NAMESPACES: [&str; 5] = ["net", "pid", "mnt", "ipc", "uts"];

/// What a lab consists of, to be looked for when it is down.
struct Parts {
    processes: Vec<Process>,
    namespaces: BTreeSet<PathBuf>,
    directory: PathBuf,
}

impl Parts {
    fn of(lab: &Lab) -> Self {
        let hosts = lab.hosts().unwrap();
        let processes: Vec<_> =
            hosts.iter().filter_map(|host| host.process).chain(lab.rack()).collect();
        let namespaces = processes
            .iter()
            .flat_map(|process| NAMESPACES.map(|kind| format!("/proc/{}/ns/{kind}", process.pid)))
            .map(|path| fs::read_link(path).unwrap())
            .collect();
        Self { processes, namespaces, directory: lab.state_directory() }
    }

    /// No process, namespace, mount or file of the lab is left. The dead may be reaped a moment
    /// later, by whoever adopted the rack.
    fn assert_gone(&self) {
        assert!(!self.directory.exists(), "{} is left", self.directory.display());
        let ended = || self.processes.iter().all(|process| !process.is_alive()).then_some(());
        wait_for("the lab's processes are gone", DEADLINE, ended).unwrap();
        let left = || self.holders().is_empty().then_some(());
        wait_for("nobody is in the lab's namespaces", DEADLINE, left).unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let directory = self.directory.to_str().unwrap();
        assert!(!mounts.contains(directory) && !mounts.contains("lab-disks"), "{mounts}");
    }

    /// Processes in namespaces of the lab.
    fn holders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let inside = |process: &PathBuf| {
            let link = |kind| fs::read_link(process.join("ns").join(kind));
            NAMESPACES.iter().any(|kind| link(kind).is_ok_and(|ns| self.namespaces.contains(&ns)))
        };
        entries.filter(inside).collect()
    }
}

fn machine_links() -> BTreeSet<String> {
    let entries = fs::read_dir("/sys/class/net").unwrap().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn a_cluster_lives_through_power_cuts_and_a_partition() {
    let state = State::new();
    let lab = Lab::up_telling(&state.options(Cluster::Pacemaker), |after, host, what| {
        println!("{:>7} ms  {host}: {what}", after.as_millis());
    })
    .unwrap();
    let parts = Parts::of(&lab);
    let located = |what: &str, right: &dyn Fn(&str) -> bool| {
        let found = || lab.resource_location("dummy").filter(|node| right(node));
        wait_for(what, DEADLINE, found).unwrap()
    };
    let create = ["pcs", "resource", "create", "dummy", "ocf:heartbeat:Dummy"];
    lab.run("node1", create).unwrap();
    let first = located("dummy runs", &|_| true);

    // Without fencing: nobody switches the node on again.
    lab.kill(&first).unwrap();
    assert!(matches!(lab.node_pid(&first), Err(Error::PowerOff { .. })));
    let second = located("dummy runs on the other node", &|node| node != first);
    assert!(matches!(lab.node_pid(&first), Err(Error::PowerOff { .. })));
    lab.boot(&first).unwrap();
    lab.wait_online(DEADLINE).unwrap();

    // Each side of a partition sees the other one go, and come back when it is healed.
    let online = |viewer: &str, name: &str| {
        let status = lab.crm_mon_xml_of(viewer).ok()?;
        Some(lab::ClusterStatus::parse(&status).unwrap().are_online([name]))
    };
    lab.partition([&first], Network::Lan).unwrap();
    for (viewer, other) in [(&first, &second), (&second, &first)] {
        let gone = || (online(viewer, other) == Some(false)).then_some(());
        wait_for("the other side is offline", DEADLINE, gone).unwrap();
        let there = || (online(viewer, viewer) == Some(true)).then_some(());
        wait_for("this side is online", DEADLINE, there).unwrap();
    }
    lab.heal().unwrap();
    lab.wait_online(DEADLINE).unwrap();

    // With fencing: the survivor has the power switch reboot the dead node.
    for node in ["node1", "node2"] {
        let (device, list) = (format!("fence-{node}"), format!("pcmk_host_list={node}"));
        lab.run("node1", ["pcs", "stonith", "create", &device, "fence_lab", &list]).unwrap();
    }
    lab.run("node1", ["pcs", "property", "set", "stonith-enabled=true"]).unwrap();
    let fences = || {
        let status = lab.cluster_status().ok()?;
        ["fence-node1", "fence-node2"].iter().all(|id| status.location(id).is_some()).then_some(())
    };
    wait_for("the fence devices run", DEADLINE, fences).unwrap();
    let place = located("dummy runs once", &|_| true);
    let dead = lab.process(&place).unwrap();
    lab.kill(&place).unwrap();
    located("dummy runs on the survivor", &|node| node != place);
    wait_for("the dead node is rebooted", DEADLINE, || lab.process(&place).ok()).unwrap();
    assert_ne!(lab.process(&place).unwrap(), dead);
    lab.wait_online(DEADLINE).unwrap();
    // node1 may be the one that was rebooted: it learns of it from the other one, after it is online.
    let told = || {
        let history = lab.run("node1", ["pcs", "stonith", "history"]).ok()?;
        history.contains(&format!("reboot of {place} successful")).then_some(())
    };
    wait_for("the reboot is in the history", DEADLINE, told).unwrap();

    let rebooted = Parts::of(&lab);
    lab.down().unwrap();
    parts.assert_gone();
    rebooted.assert_gone();
}

#[test]
fn nodes_have_networks_files_and_users_of_their_own() {
    let state = State::new();
    let mut options = state.options(Cluster::None);
    fs::create_dir_all(state.0.join("agents")).unwrap();
    fs::write(state.0.join("agents/probe"), "an agent").unwrap();
    options.agents = Some(state.0.join("agents"));
    let file = format!("{}:/usr/sbin/not-on-this-machine", state.0.join("agents/probe").display());
    options.binds.push(file.parse::<Bind>().unwrap());
    let before = machine_links();
    let lab = Lab::up(&options).unwrap();
    let parts = Parts::of(&lab);
    assert_eq!(machine_links(), before);

    // Networks: neighbours, carrier, partition.
    let ping = |from: &str, to: &str| {
        lab.exec(from, ["ping", "-n", "-c", "1", "-W", "2", to]).unwrap().status.success()
    };
    // A network that has just come up may lose a packet.
    let reaches = |from: &str, to: &str| {
        wait_for(&format!("{from} reaches {to}"), DEADLINE, || ping(from, to).then_some(()))
            .unwrap();
    };
    reaches("client", "192.0.2.12");
    reaches("node1", "198.51.100.12");
    reaches("node2", "2001:db8:0:1::1");
    let carrier = |link: &str| lab.run("node1", ["cat", &format!("/sys/class/net/{link}/carrier")]);
    lab.unplug("node1", Network::Public).unwrap();
    assert_eq!((carrier("eth0").unwrap().trim(), carrier("eth1").unwrap().trim()), ("0", "1"));
    lab.plug("node1", Network::Public).unwrap();
    assert_eq!(carrier("eth0").unwrap().trim(), "1");
    lab.partition(["node1"], Network::Lan).unwrap();
    assert_eq!(carrier("eth1").unwrap().trim(), "1");
    assert!(!ping("node1", "198.51.100.12"));
    reaches("node1", "192.0.2.12");
    lab.heal().unwrap();
    reaches("node1", "198.51.100.12");

    // Files and users: on the nodes, not on the machine; disks outlive a power cut, /run doesn't.
    assert_eq!(lab.run("node1", ["hostname"]).unwrap(), "node1\n");
    let agent = "/usr/lib/ocf/resource.d/smartvox/probe";
    assert_eq!(lab.run("node1", ["cat", agent]).unwrap(), "an agent");
    assert_eq!(lab.run("node2", ["cat", "/usr/sbin/not-on-this-machine"]).unwrap(), "an agent");
    let owned = "install -d -o opensips -g opensips /etc/of-the-node /run/of-the-node";
    lab.run("node1", ["sh", "-c", owned]).unwrap();
    assert!(!lab.exec("node2", ["test", "-e", "/etc/of-the-node"]).unwrap().status.success());
    lab.unplug("node1", Network::Lan).unwrap();
    // A power cut doesn't wait until someone asks for the status of what ran there.
    let mut unreaped = lab.spawn("node1", Command::new("sleep").arg("300")).unwrap();
    lab.kill("node1").unwrap();
    assert!(!unreaped.wait().unwrap().success());
    let again = lab.kill("node1");
    assert!(matches!(again, Err(Error::Refused(words)) if words.contains("node1 is off")));
    lab.boot("node1").unwrap();
    assert_eq!(carrier("eth1").unwrap().trim(), "0", "a pulled cable stays pulled");
    assert!(lab.exec("node1", ["test", "-d", "/etc/of-the-node"]).unwrap().status.success());
    assert!(!lab.exec("node1", ["test", "-e", "/run/of-the-node"]).unwrap().status.success());
    for path in ["/etc/of-the-node", "/run/of-the-node", "/usr/sbin/not-on-this-machine"] {
        assert!(!PathBuf::from(path).exists(), "{path} is on the machine");
    }
    let namespace = fs::read_link(lab.netns_path("client").unwrap()).unwrap();
    assert_ne!(namespace, fs::read_link("/proc/self/ns/net").unwrap());

    drop(lab);
    parts.assert_gone();
}

/// Makes the root directory of another system: three programs of the machine with their libraries.
fn make_root(root: &Path) {
    let directories =
        ["dev", "etc", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr", "var"];
    for directory in directories {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for (file, text) in [("system", "another"), ("passwd", ""), ("group", "")] {
        fs::write(root.join("etc").join(file), text).unwrap();
    }
    for program in ["ip", "cat", "touch"] {
        let files = r#"path=$(command -v "$0") && echo "$path" && ldd "$path" | grep -o '/[^ ]*'"#;
        let output = Command::new("sh").args(["-c", files, program]).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        for file in String::from_utf8(output.stdout).unwrap().lines() {
            let copy = root.join(file.trim_start_matches('/'));
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(file, copy).unwrap();
        }
    }
}

#[test]
fn a_node_runs_another_system() {
    let state = State::new();
    let root = state.0.join("another root");
    make_root(&root);
    let mut options = state.options(Cluster::None);
    options.roots.push(format!("node2={}", root.display()).parse::<Root>().unwrap());
    options.binds.push("/etc/hostname:/usr/share/of-the-machine".parse::<Bind>().unwrap());
    let lab = Lab::up(&options).unwrap();
    let parts = Parts::of(&lab);

    let system = |host: &str| lab.run(host, ["cat", "/etc/system"]).ok();
    assert_eq!((system("client"), system("node1")), (None, None));
    assert_eq!(system("node2").as_deref(), Some("another"));
    let addresses = lab.run("node2", ["ip", "-o", "address", "show", "dev", "eth0"]).unwrap();
    assert!(addresses.contains(" 192.0.2.12/"), "{addresses}");
    lab.run("node2", ["cat", "/usr/share/of-the-machine"]).unwrap();
    // What a node writes, it writes to its own disk; the machine's files are out of its reach.
    lab.run("node2", ["touch", "/etc/of-the-node"]).unwrap();
    assert!(lab.run("node2", ["touch", "/of-the-node"]).is_err());
    assert!(!root.join("etc/of-the-node").exists());
    assert!(lab.run("node2", ["cat", "/mnt/etc/passwd"]).is_err());

    // An upgrade: from the machine's system to the other one, with the disk that the node has.
    lab.run("node1", ["touch", "/etc/of-the-node"]).unwrap();
    let running = lab.reinstall("node1", &root);
    assert!(matches!(running, Err(Error::Refused(words)) if words == "node1 is on already"));
    lab.kill("node1").unwrap();
    let absent = lab.reinstall("node1", Path::new("/nonexistent"));
    assert!(matches!(absent, Err(Error::BindSource { .. })));
    lab.reinstall("node1", &root).unwrap();
    lab.boot("node1").unwrap();
    assert_eq!(system("node1").as_deref(), Some("another"));
    lab.run("node1", ["cat", "/etc/of-the-node"]).unwrap();

    drop(lab);
    parts.assert_gone();
    assert!(root.join("usr").is_dir() && root.join("dev").read_dir().unwrap().next().is_none());
}

/// Two nodes that have each other's power cut at the same moment: one lives.
#[test]
fn the_power_switch_ignores_the_dead() {
    let state = State::new();
    let lab = Lab::up(&state.options(Cluster::None)).unwrap();
    for _ in 0..10 {
        // Both agents are at the ready before either may start.
        let ready = |from: &str, target: &str| {
            let script = "read _ && exec fence_lab -o off -n \"$0\"";
            let mut agent = Command::new("sh");
            agent.args(["-c", script, target]).stdin(Stdio::piped()).stderr(Stdio::null());
            lab.spawn(from, &mut agent).unwrap()
        };
        let mut agents = [ready("node1", "node2"), ready("node2", "node1")];
        for agent in &mut agents {
            // The slower one may be dead by now.
            let _ = agent.stdin.take().unwrap().write_all(b"go\n");
        }
        for agent in &mut agents {
            agent.wait().unwrap();
        }
        let powered = lab.powered_nodes().unwrap();
        assert_eq!(powered.len(), 1, "{powered:?} live");
        let (alive, dead) = match powered[0].as_str() {
            "node1" => ("node1", "node2"),
            _ => ("node2", "node1"),
        };
        let agent = |action: &str| lab.exec(alive, ["fence_lab", "-o", action, "-n", dead]);
        assert_eq!(agent("status").unwrap().status.code(), Some(2));
        assert_eq!(agent("on").unwrap().status.code(), Some(0));
        assert_eq!(agent("status").unwrap().status.code(), Some(0));
        let booted = || lab.hosts().ok()?.iter().all(|host| host.booted).then_some(());
        wait_for("the dead node has booted", DEADLINE, booted).unwrap();
    }
    assert_eq!(lab.run("node1", ["fence_lab", "-o", "list"]).unwrap(), "node1,\nnode2,\n");
}

#[test]
fn the_command_line_from_up_to_down() {
    let state = State::new();
    state.succeed(&["up", "--cluster", "none", "--nodes", "3"]);
    let parts = Parts::of(&Lab::attach(&state.place()).unwrap());
    let second = state.lab(&["up", "--cluster", "none"]).output().unwrap();
    assert!(!second.status.success());
    let words = String::from_utf8(second.stderr).unwrap();
    assert!(words.contains("already up (node1, node2, node3)"), "{words}");

    assert_eq!(state.succeed(&["exec", "node3", "--", "hostname"]), "node3\n");
    let failing = state.lab(&["exec", "client", "sh", "-c", "exit 7"]).status().unwrap();
    assert_eq!(failing.code(), Some(7));
    state.succeed(&["kill", "node2"]);
    state.succeed(&["unplug", "node1", "eth1"]);
    let table = state.succeed(&["status"]);
    assert!(table.contains("node2   off") && table.contains("198.51.100.11 unplugged"), "{table}");
    let json: serde_json::Value =
        serde_json::from_str(&state.succeed(&["status", "--format", "json"])).unwrap();
    assert_eq!(json.pointer("/hosts/2/power").unwrap(), "off");
    let booted = state.succeed(&["boot", "node2"]);
    assert!(booted.contains("node2: file systems and network ready"), "{booted}");
    state.succeed(&["logs", "node2"]);

    state.succeed(&["down"]);
    parts.assert_gone();
    let words = String::from_utf8(state.lab(&["down"]).output().unwrap().stderr).unwrap();
    assert!(words.contains("no lab `lab` is up"), "{words}");
}

#[test]
fn a_lab_is_gone_with_its_starter_and_a_crashed_one_is_replaced() {
    let state = State::new();
    // Killed in the midst of its start.
    let mut up = state.lab(&["up", "--nodes", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("node1: file")));
    let lab = Lab::attach(&state.place());
    let parts = lab.as_ref().map(Parts::of);
    up.kill().unwrap();
    up.wait().unwrap();
    assert!(line.is_some());
    let parts = parts.unwrap();
    let gone = || (!parts.directory.exists()).then_some(());
    wait_for("the rack has noticed and tidied up", DEADLINE, gone).unwrap();
    parts.assert_gone();

    // A rack that was killed leaves its directory; the next start takes it over.
    state.succeed(&["up", "--cluster", "none"]);
    let crashed = Lab::attach(&state.place()).unwrap();
    let (rack, log) = (crashed.rack().unwrap(), crashed.state_directory().join("rack.log"));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(rack.pid), nix::sys::signal::SIGKILL)
        .unwrap();
    wait_for("the rack ends", DEADLINE, || (!rack.is_alive()).then_some(())).unwrap();
    assert!(matches!(Lab::attach(&state.place()), Err(Error::NotUp { .. })));
    assert!(log.exists());
    let lab = Lab::up(&state.options(Cluster::None)).unwrap();
    assert_ne!(lab.rack(), Some(rack));
    assert_eq!(lab.run("node1", ["hostname"]).unwrap(), "node1\n");
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    let state = State::new();
    let mut options = state.options(Cluster::None);
    options.binds.push("/etc/hostname:/no-such-directory/file".parse().unwrap());
    let Err(Error::Refused(words)) = Lab::up(&options) else {
        panic!("a mount point outside of the nodes' own directories was accepted");
    };
    assert!(words.contains("/no-such-directory/file doesn't exist"), "{words}");
    assert!(!state.0.join("lab").exists() && !PathBuf::from("/no-such-directory").exists());
    options.binds = vec!["/no/such/source:/etc/x".parse().unwrap()];
    assert!(matches!(Lab::up(&options), Err(Error::BindSource { .. })));
}
