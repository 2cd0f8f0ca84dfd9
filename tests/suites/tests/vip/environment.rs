//! No network, no log, no Pacemaker: still right.

use std::process::Command;

use testnet::{Host, agent, wait_until};

use super::{
    LONG, Site, VIP, Wire, announcer, ends, fails, hasty, instances, locks, program, shell,
};

#[test]
fn by_hand_with_an_empty_environment() {
    testnet::root_or_skip!();
    let site = Site::new();
    let by_hand = |options: &[&str]| agent(&site.a, program()).args(options.iter().copied());
    let options = ["--ip", VIP, "--nic=eth0", "--cidr_netmask", "24"];
    ends(&by_hand(&options).action("monitor"), 7);
    let started = by_hand(&options).action("start");
    ends(&started, 0);
    // One line with what happened; no log to look into.
    assert_eq!(started.stderr.lines().count(), 1, "{}", started.stderr);
    for words in ["action=start vip=192.0.2.10 nic=eth0 ", "prefix=24", "state=added", "took_ms="] {
        assert!(started.stderr.contains(words), "{}", started.stderr);
    }
    ends(&by_hand(&["--ip", VIP]).action("monitor"), 0);
    assert!(announcer(&site.a).is_some());
    // Without an instance name, stop finds the same announcer.
    ends(&by_hand(&["--ip", VIP]).action("stop"), 0);
    assert!(instances(&site.a).is_empty() && locks(&site.a).is_empty());
    fails(&by_hand(&[]).action("start"), 6, "ip is missing");
    ends(&by_hand(&[]).action("stop"), 0);
    let stopped = by_hand(&["--ip", "nonsense\nx"]).action("stop");
    ends(&stopped, 0);
    let line = "warning: action=stop vip=\"nonsense\\\\nx\" note=\"not an IP address";
    assert!(stopped.stderr.starts_with(line), "{}", stopped.stderr);
}

#[test]
fn help_names_every_parameter() {
    testnet::root_or_skip!();
    let host = Host::new("host");
    let help = agent(&host, program()).action("--help");
    ends(&help, 0);
    let meta_data = agent(&host, program()).action("meta-data").stdout;
    let document = roxmltree::Document::parse(&meta_data).unwrap();
    let names: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("parameter"))
        .filter_map(|node| node.attribute("name"))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(help.stdout.contains(&format!("--{name} ")), "{name}");
    }
}

#[test]
fn without_dev_log_or_with_one_that_nobody_reads() {
    testnet::root_or_skip!();
    let site = Site::new();
    let logging = site.vip().env("HA_LOGFACILITY", "daemon").env("HA_LOGFILE", "/run/no/such/file");
    let all = || {
        for action in ["start", "monitor", "stop"] {
            let outcome = logging.action(action);
            ends(&outcome, 0);
            assert_eq!(outcome.stderr, "");
        }
    };
    shell(&site.a, "mount -t tmpfs dev /dev; mknod -m 666 /dev/null c 1 3");
    all();
    // A daemon that has hung: its socket is there and never read, so it fills up.
    let socket = site.a.run(|| std::os::unix::net::UnixDatagram::bind("/dev/log").unwrap());
    for _ in 0..20 {
        all();
    }
    let mut record = [0; 2048];
    let length = socket.recv(&mut record).unwrap();
    let record = String::from_utf8_lossy(&record[..length]);
    assert!(record.contains("opensips-vip(vip)[") && record.contains("state=added"), "{record}");
}

#[test]
fn the_log_file_of_the_cluster() {
    testnet::root_or_skip!();
    let site = Site::new();
    site.a.run(|| std::fs::write("/run/cluster.log", "").unwrap());
    let logging = site.vip().env("HA_LOGFACILITY", "none").env("HA_LOGFILE", "/run/cluster.log");
    for action in ["start", "monitor", "start", "stop", "stop"] {
        ends(&logging.action(action), 0);
    }
    let log = site.a.run(|| std::fs::read_to_string("/run/cluster.log").unwrap());
    // One line per change of state: not for monitor, not for a stop of what is stopped.
    let states: Vec<_> = log
        .lines()
        .filter_map(|line| line.split("state=").nth(1)?.split_whitespace().next())
        .collect();
    assert_eq!(states, ["added", "adopted", "removed"], "{log}");
    assert_eq!(log.lines().count(), 3, "{log}");
}

#[test]
fn a_host_with_nothing_but_loopback() {
    testnet::root_or_skip!();
    let host = Host::new("host");
    let agent = super::vip(&host);
    ends(&agent.action("validate-all"), 0);
    ends(&agent.action("monitor"), 7);
    fails(
        &hasty(&agent).action("start"),
        1,
        "no connected network of this node contains 192.0.2.10",
    );
    ends(&agent.action("stop"), 0);
    host.ip("link set lo down");
    ends(&agent.action("monitor"), 7);
    ends(&agent.action("stop"), 0);
    let agent = agent.param("nic", "lo").param("cidr_netmask", "32");
    ends(&agent.action("start"), 0);
    ends(&agent.action("monitor"), 0);
    ends(&agent.action("stop"), 0);
}

/// A run directory that can't be used: start sends the whole schedule itself.
fn announces_itself(prepare: &str) {
    let site = Site::new();
    shell(&site.a, prepare);
    let wire = Wire::of(&site);
    let agent = site.vip().param("announce_schedule", "0,40,80");
    let outcome = agent.clone().env("PCMK_service", "").action("start");
    ends(&outcome, 0);
    let note = "no announcer: start sends the announcements itself";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    assert_eq!(wire.announcements().len(), 3);
    ends(&agent.action("monitor"), 0);
    ends(&agent.action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    // More than the action has time for: what fits, then 0.
    let long = site.vip().param("announce_schedule", "0,50,600000");
    ends(&long.env("OCF_RESKEY_CRM_meta_timeout", "4000").action("start"), 0);
    ends(&site.vip().action("monitor"), 0);
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn a_full_run_directory() {
    testnet::root_or_skip!();
    announces_itself("mount -t tmpfs -o size=4k,nr_inodes=1 full /run");
}

/// Every announcer of the host, whatever it could write down.
fn announcers(host: &Host) -> Vec<i32> {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let own = host.run(|| namespace("thread-self"));
    let processes = std::fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    pids.filter(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == b"--announcer") && namespace(pid) == own
    })
    .filter_map(|pid| pid.parse().ok())
    .collect()
}

/// Room for files, but not for a byte in them: the announcer can't leave its number, and stop finds it
/// all the same.
#[test]
fn an_announcer_that_can_leave_no_note() {
    testnet::root_or_skip!();
    let site = Site::new();
    shell(&site.a, "mount -t tmpfs -o size=4k full /run; head -c 4096 /dev/zero > /run/full");
    let agent = site.vip().param("announce_schedule", "0,600000");
    ends(&agent.action("start"), 0);
    let first = announcers(&site.a);
    assert_eq!(first.len(), 1);
    // A second start replaces it.
    ends(&agent.action("start"), 0);
    let second = announcers(&site.a);
    assert!(second.len() == 1 && second != first, "{first:?} {second:?}");
    ends(&agent.action("monitor"), 0);
    ends(&agent.action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    wait_until("it has been buried", LONG, || announcers(&site.a).is_empty());
}

#[test]
fn a_read_only_run_directory() {
    testnet::root_or_skip!();
    announces_itself("mount -o remount,ro /run");
    announces_itself("mkdir /run/smartvox; mount -o remount,ro /run");
}

#[test]
fn without_proc() {
    testnet::root_or_skip!();
    let site = Site::new();
    shell(&site.a, "mount -t tmpfs none /proc");
    // No announcer without /proc/self/exe.
    ends(&site.vip().param("announce_schedule", "0,10").action("start"), 0);
    ends(&site.vip().action("monitor"), 0);
    ends(&site.vip().action("stop"), 0);
    assert!(instances(&site.a).is_empty());
}

#[test]
fn the_same_address_in_two_namespaces_of_one_host() {
    testnet::root_or_skip!();
    let site = Site::new();
    // Another network namespace that shares /run with node A.
    let lock_of_a = {
        ends(&site.vip().param("announce_schedule", "0,60000").action("start"), 0);
        locks(&site.a)
    };
    let script = format!(
        "ip link set lo up; ip link add eth0 type veth peer name far0; ip link set far0 up; \
         ip link set eth0 up; {0} start --ip {VIP} --nic eth0 --cidr_netmask 24 --link_wait 60s; \
         {0} stop --ip {VIP}",
        program().display()
    );
    let output = site.a.output(Command::new("unshare").args(["-n", "sh", "-ec", &script]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The stop in there has left this one alone.
    assert_eq!(locks(&site.a), lock_of_a);
    assert!(announcer(&site.a).is_some());
    ends(&site.vip().action("stop"), 0);
    wait_until("nothing is left", LONG, || locks(&site.a).is_empty());
}

/// What `crm resource trace` and `crm_resource -VV` ask for.
#[test]
fn a_trace_has_each_step_with_its_time() {
    testnet::root_or_skip!();
    let site = Site::new();
    let logging = site.vip().env("HA_LOGFACILITY", "none").env("HA_LOGFILE", "/run/ha.log");
    site.a.run(|| std::fs::write("/run/ha.log", "").unwrap());
    let read = |path: &str| site.a.run(|| std::fs::read_to_string(path).unwrap());
    let traced = logging.clone().param("trace_ra", "1").param("trace_dir", "/run/trace_ra");
    let outcome = traced.action("start");
    ends(&outcome, 0);
    assert_eq!(outcome.stderr, "");
    let names = || -> Vec<String> {
        let entries = site.a.run(|| std::fs::read_dir("/run/trace_ra/opensips-vip").unwrap());
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let names = names();
    let [name] = names.as_slice() else { panic!("{names:?}") };
    assert!(name.starts_with("vip.start.20"), "{name}");
    let trace = read(&format!("/run/trace_ra/opensips-vip/{name}"));
    for words in ["parameter_ip=192.0.2.10", "step=announce", "state=added", "rc=0"] {
        let line = trace.lines().find(|line| line.contains(words));
        let line = line.unwrap_or_else(|| panic!("{words} is not in\n{trace}"));
        assert!(line.starts_with("+ ") && line.contains(": action=start "), "{line}");
    }
    // The log is what it is without a trace, and the parameters are not logged as unknown.
    let log = read("/run/ha.log");
    assert!(log.contains("state=added") && !log.contains("step="), "{log}");
    assert!(!log.contains("trace_"), "{log}");

    let traced = logging.env("OCF_TRACE_RA", "1").env("OCF_TRACE_FILE", "/dev/stderr");
    let monitor = traced.action("monitor");
    ends(&monitor, 0);
    assert!(monitor.stderr.contains(": action=monitor ") && monitor.stderr.contains("rc=0"));
    // A file that can't be written is no reason to fail.
    let stop = traced.env("OCF_TRACE_FILE", "/proc/none/file").action("stop");
    ends(&stop, 0);
    assert!(read("/run/ha.log").contains("no trace is written"));
}
