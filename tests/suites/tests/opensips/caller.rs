//! Whatever the caller of the agent is (Pacemaker, a root shell, a container): the daemon runs as a service
//! does, and what can't be known is no "nothing".

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::site::{PIDFILE, every_daemon, stand_in_alone, write};
use crate::{Site, ends, fails};

/// An action of the agent, executed by this program with these arguments: its exit code, and what it says.
fn through(site: &Site, program: &[&str], action: &str) -> (Option<i32>, String) {
    let agent = site.command(action);
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(agent.get_program()).args(agent.get_args());
    command.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = site.host.output(&mut command);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// An empty file for what the agent logs, and the variable that names it.
fn log_of(site: &Site) -> (PathBuf, String) {
    let log = site.path("log");
    std::fs::write(&log, "").unwrap();
    let variable = format!("HA_LOGFILE={}", log.display());
    (log, variable)
}

/// The words after `NAME:` in `/proc/PID/status`.
fn status(pid: i32, name: &str) -> Vec<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().split_whitespace().map(str::to_owned).collect()
}

/// Fields of `/proc/PID/stat`, by their numbers in proc(5).
fn field(pid: i32, number: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    fields.split_whitespace().nth(number - 3).unwrap().to_owned()
}

fn mode_of(site: &Site, path: &str) -> u32 {
    site.on_host(|| std::fs::metadata(path).unwrap().permissions().mode() & 0o777)
}

/// A group of this host that the daemon's user is a member of.
fn with_group(site: &Site) {
    let groups = site.path("group");
    let known = std::fs::read_to_string("/etc/group").unwrap();
    std::fs::write(&groups, format!("{known}keys:x:4712:nobody\n")).unwrap();
    let mut mount = Command::new("mount");
    mount.arg("--bind").arg(&groups).arg("/etc/group");
    assert!(site.on_host(|| mount.status()).unwrap().success());
}

#[test]
fn the_daemon_has_its_own_groups_umask_and_priority() {
    testnet::root_or_skip!();
    every_daemon("the_daemon_has_its_own_groups_umask_and_priority", |site| {
        with_group(site);
        // Some machines have no real time for anyone.
        let real_time = site.host.output(Command::new("chrt").args(["--rr", "1", "true"]));
        let chrt = if real_time.status.success() { "chrt --rr 1" } else { "" };
        let shell = format!("umask 0077; exec setpriv --groups=0,4,6 {chrt} \"$0\" \"$@\"");
        let (code, said) = through(site, &["/bin/sh", "-c", &shell], "start");
        assert_eq!(code, Some(0), "{said}");
        let main = site.main();
        let mut workers = site.workers();
        workers.push(main);
        for pid in workers {
            assert_eq!(status(pid, "Groups"), ["4712", "65534"], "those of nobody:nogroup");
            assert_eq!(field(pid, 41), "0", "SCHED_OTHER");
            assert_ne!(field(pid, 6), field(std::process::id().try_into().unwrap(), 6));
        }
        assert_eq!(mode_of(site, "/run/smartvox"), 0o755);
        assert_eq!(mode_of(site, "/run/opensips"), 0o755);
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn a_patient_caller_makes_no_slow_daemon() {
    testnet::root_or_skip!();
    every_daemon("a_patient_caller_makes_no_slow_daemon", |site| {
        // Some machines let nobody have a higher priority than he has.
        let back = "nice -n 5 nice -n -5 nice";
        let raised = site.host.output(Command::new("/bin/sh").args(["-c", back]));
        let may_raise = raised.stdout == b"0\n";
        let nice = if may_raise { "nice -n 10" } else { "" };
        let shell =
            format!("echo 300 >/proc/self/oom_score_adj; exec {nice} chrt --batch 0 \"$0\" \"$@\"");
        let (code, said) = through(site, &["/bin/sh", "-c", &shell], "start");
        assert_eq!(code, Some(0), "{said}");
        let mut pids = site.workers();
        pids.push(site.main());
        for pid in pids {
            assert_eq!(field(pid, 19), "0", "nice");
            assert_eq!(field(pid, 41), "0", "SCHED_OTHER");
            let adjusted = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
            assert_eq!(adjusted, "0\n");
        }
        site.stop();
    });
}

/// As from SCHED_IDLE without CAP_SYS_NICE, in which no test ends on a busy machine.
#[test]
fn a_scheduling_policy_that_can_not_be_changed_is_no_reason_to_fail() {
    testnet::root_or_skip!();
    every_daemon("a_scheduling_policy_that_can_not_be_changed", |site| {
        let (log, file) = log_of(site);
        let (chrt, refused) = (site.path("chrt"), site.path("refused"));
        std::fs::copy("/usr/bin/chrt", &chrt).unwrap();
        testnet::write_program(&refused, "#!/bin/sh\necho 'not permitted' >&2\nexit 1\n");
        let mut mount = Command::new("mount");
        mount.arg("--bind").arg(&refused).arg("/usr/bin/chrt");
        assert!(site.on_host(|| mount.status()).unwrap().success());
        let chrt = chrt.display().to_string();
        let (code, said) = through(site, &["env", &file, &chrt, "--batch", "0"], "start");
        assert_eq!(code, Some(0), "{said}");
        let logged = std::fs::read_to_string(log).unwrap();
        let told = "keeps the scheduling policy of the caller: not permitted";
        assert!(logged.contains(told), "{logged}");
        assert_eq!(field(site.main(), 41), "3", "SCHED_BATCH");
        site.stop();
    });
}

#[test]
fn the_umask_is_that_of_a_service() {
    testnet::root_or_skip!();
    // The real daemon sets its own.
    stand_in_alone("the_umask_is_that_of_a_service", |site| {
        let shell = "umask 0077; exec \"$0\" \"$@\"";
        let (code, said) = through(site, &["/bin/sh", "-c", shell], "start");
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(status(site.main(), "Umask"), ["0022"]);
        site.stop();
    });
}

#[test]
fn variables_come_from_a_file() {
    testnet::root_or_skip!();
    every_daemon("variables_come_from_a_file", |site| {
        let file = "/run/variables";
        write(site, file, "# of a module\nMODULE_KEY=\"a b\"\nSMARTVOX_RESOURCE=other\n");
        let agent = site.agent().param("environment_file", file);
        ends(&agent.action("start"), 0);
        let environment = std::fs::read(format!("/proc/{}/environ", site.main())).unwrap();
        let environment = String::from_utf8_lossy(&environment).replace('\0', "\n");
        assert!(environment.contains("MODULE_KEY=a b\n"), "{environment}");
        assert!(environment.contains("SMARTVOX_RESOURCE=sip\n"), "{environment}");
        ends(&crate::site::recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        let missing = site.agent().param("environment_file", "/run/no-such-file");
        fails(&missing.action("start"), 2, "environment_file /run/no-such-file can't be read");
        site.nothing_is_left();
        let checked = missing.env("OCF_CHECK_LEVEL", "10").action("validate-all");
        assert!(
            checked.stderr.contains("environment_file /run/no-such-file"),
            "{}",
            checked.stderr
        );
    });
}

#[test]
fn without_the_right_to_look_nothing_is_launched() {
    const TEST: &str = "without_the_right_to_look_nothing_is_launched";
    testnet::root_or_skip!();
    every_daemon(TEST, |site| {
        let blind = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"];
        let (code, said) = through(site, &blind, "start");
        if said.starts_with("setpriv:") {
            return testnet::skipped(TEST, &said);
        }
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("lacks CAP_SYS_PTRACE and could not recognise OpenSIPS"), "{said}");
        site.nothing_is_left();
        // What there is to say about nothing needs no right.
        assert_eq!(through(site, &blind, "monitor").0, Some(7));
        assert_eq!(through(site, &blind, "stop").0, Some(0));
        site.start();
        site.stop();
    });
}

/// Executes what follows it under a filter of system calls in which getdents64(2) finds nothing: SECCOMP_RET_ERRNO
/// with ENOENT (2). It is 217 on x86-64 and 61 on aarch64.
const WITHOUT_LISTS: &str = "\
import ctypes, os, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number = {'x86_64': 217, 'aarch64': 61}.get(platform.machine()) or sys.exit('no filter: ' + platform.machine())
code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50002), (6, 0, 0, 0x7fff0000)]
filters = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in code))
program = struct.pack('HxxxxxxP', len(code), ctypes.addressof(filters))
no_new_privs, seccomp, filter_mode = 38, 22, 2
if libc.prctl(no_new_privs, 1, 0, 0, 0) or libc.prctl(seccomp, filter_mode, program, 0, 0):
    sys.exit('no filter: ' + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
";

/// The same with pidfd_open(2), 434 everywhere, that does not exist (ENOSYS, 38): a kernel before 5.3.
fn without_pidfds() -> String {
    let number = "number = {'x86_64': 217, 'aarch64': 61}.get(platform.machine())";
    assert!(WITHOUT_LISTS.contains(number) && WITHOUT_LISTS.contains("0x50002"));
    WITHOUT_LISTS.replace(number, "number = 434").replace("0x50002", "0x50026")
}

#[test]
fn a_monitor_does_not_try_what_this_kernel_can_not_do() {
    const TEST: &str = "a_monitor_does_not_try_what_this_kernel_can_not_do";
    testnet::root_or_skip!();
    stand_in_alone(TEST, |site| {
        let (log, file) = log_of(site);
        let logged = || std::fs::read_to_string(&log).unwrap();
        let program = without_pidfds();
        let recurring = "OCF_RESKEY_CRM_meta_interval=10000";
        let filtered = ["env", recurring, &file, "python3", "-c", &program];
        let (code, said) = through(site, &filtered, "start");
        if said.starts_with("no filter") {
            return testnet::skipped(TEST, &said);
        }
        assert_eq!(code, Some(0), "{said}");
        assert!(logged().contains("no asynchronous monitor: "), "{}", logged());
        std::fs::write(&log, "").unwrap();
        // Told once, and no process more for each monitor.
        let (code, said) = through(site, &filtered, "monitor");
        assert_eq!(code, Some(0), "{said}");
        assert!(!logged().contains("asynchronous monitor"), "{}", logged());
        assert_eq!(site.async_monitors(), [0; 0]);
        site.stop();
    });
}

#[test]
fn a_list_of_processes_that_is_not_complete_is_no_list() {
    const TEST: &str = "a_list_of_processes_that_is_not_complete_is_no_list";
    testnet::root_or_skip!();
    every_daemon(TEST, |site| {
        site.start();
        let alive = site.processes();
        site.on_host(|| std::fs::remove_file(PIDFILE).unwrap());
        let memory = site.state();
        site.forget();
        let filtered = ["python3", "-c", WITHOUT_LISTS];
        let (code, said) = through(site, &filtered, "monitor");
        if said.starts_with("no filter") {
            return testnet::skipped(TEST, &said);
        }
        let why = "/proc does not list this process";
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        for action in ["stop", "start"] {
            let (code, said) = through(site, &filtered, action);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(site.processes(), alive, "neither ended nor executed twice");
        write(site, crate::site::STATE, &memory);
        site.stop();
    });
}

/// A directory service that hangs, as after a power cut of the site, must not keep the daemon from its start.
#[test]
fn a_name_service_that_hangs_delays_the_start_and_no_more() {
    testnet::root_or_skip!();
    stand_in_alone("a_name_service_that_hangs_delays_the_start_and_no_more", |site| {
        let program = site.path("getent");
        testnet::write_program(&program, "#!/bin/sh\nexec sleep 3600\n");
        let mut mount = Command::new("mount");
        mount.arg("--bind").arg(&program).arg("/usr/bin/getent");
        assert!(site.on_host(|| mount.status()).unwrap().success());
        // An hour, of which it takes seconds.
        let agent = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "3600000");
        ends(&agent.action("start"), 0);
        site.stop();
    });
}
