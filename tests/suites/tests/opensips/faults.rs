//! Daemons that die, hang, or half die.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use testnet::wait_until;

use crate::site::{Site, every_daemon_with_mi, is_alive, signal, stand_in_alone, write};
use crate::{LONG, ends, every_daemon, fails};

#[test]
fn a_killed_main_process_is_seen_and_recovered_from() {
    testnet::root_or_skip!();
    every_daemon("a_killed_main_process_is_seen_and_recovered_from", |site| {
        site.start();
        ends(&site.monitor(), 0);
        let killed = site.kill_main();
        // The orphans go on answering: that proves nothing.
        assert!(site.answers("127.0.0.1:5060"));
        fails(&site.monitor(), 1, "orphans of OpenSIPS are alive");
        site.start();
        let main = site.main();
        assert_ne!(main, killed);
        let tree: Vec<i32> = site.processes().into_iter().filter(|pid| *pid != main).collect();
        assert_eq!(tree.len(), site.workers().len(), "orphans survived");
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn orphans_are_stopped() {
    testnet::root_or_skip!();
    every_daemon("orphans_are_stopped", |site| {
        site.start();
        site.kill_main();
        site.stop_without_need_of_a_deadline();
        ends(&site.monitor(), 7);
    });
}

#[test]
fn a_killed_worker_takes_the_instance_along() {
    testnet::root_or_skip!();
    every_daemon("a_killed_worker_takes_the_instance_along", |site| {
        site.start();
        signal(*site.workers().last().unwrap(), Signal::SIGKILL);
        wait_until("monitor sees it", LONG, || site.monitor().code != 0);
        site.start();
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn stopped_workers_are_seen_by_the_probe_and_ended() {
    testnet::root_or_skip!();
    every_daemon("stopped_workers_are_seen_by_the_probe_and_ended", |site| {
        site.start();
        let main = site.main();
        for worker in site.workers() {
            testnet::suspend(worker);
        }
        let asked =
            site.agent().param("sip_probe_timeout", "300ms").param("sip_probe_attempts", "2");
        let reason = format!(
            "OpenSIPS (pid {main}) does not serve: no answer to OPTIONS at udp:127.0.0.1:5060 within 2 x 0.3s"
        );
        fails(&crate::site::recurring(&asked), 1, &reason);
        site.stop();
    });
}

#[test]
fn an_instance_that_does_not_serve_is_started_anew() {
    testnet::root_or_skip!();
    every_daemon("an_instance_that_does_not_serve_is_started_anew", |site| {
        site.start();
        let main = site.main();
        for worker in site.workers() {
            testnet::suspend(worker);
        }
        let asked = site.agent().param("sip_probe_timeout", "300ms");
        ends(&asked.action("start"), 0);
        assert_ne!(site.main(), main);
        assert!(!is_alive(main));
        assert_eq!(site.processes().len(), 1 + site.workers().len());
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn a_stopped_worker_beside_others_is_a_remark() {
    testnet::root_or_skip!();
    every_daemon("a_stopped_worker_beside_others_is_a_remark", |site| {
        // One of several serves nothing that another one does not: TCP is served by one alone.
        site.configure(&["udp:127.0.0.1:5060"]);
        site.start();
        let worker = *site.workers().last().unwrap();
        testnet::suspend(worker);
        fails(
            &site.monitor(),
            190,
            &format!("are stopped (SIGSTOP): send SIGCONT to pid {worker}"),
        );
        signal(worker, Signal::SIGCONT);
        wait_until("all is well again", LONG, || site.monitor().code == 0);
        site.stop();
    });
}

#[test]
fn a_stopped_main_process_is_a_remark_and_can_be_stopped() {
    testnet::root_or_skip!();
    every_daemon("a_stopped_main_process_is_a_remark_and_can_be_stopped", |site| {
        site.start();
        testnet::suspend(site.main());
        fails(&site.monitor(), 190, "is stopped (SIGSTOP)");
        site.stop_without_need_of_a_deadline();
    });
}

/// A process that nothing ends: frozen by the freezer of cgroup v1, whose processes do not act upon
/// SIGKILL (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst). Thawed with the value.
struct Frozen(PathBuf);

impl Frozen {
    /// `None` where there is no such freezer; that of v2 lets SIGKILL through.
    fn new(pid: i32) -> Option<Self> {
        let group = Path::new("/sys/fs/cgroup/freezer").join(format!("smartvox-test-{pid}"));
        std::fs::create_dir(&group).ok()?;
        let frozen = Self(group);
        std::fs::write(frozen.0.join("cgroup.procs"), pid.to_string()).ok()?;
        std::fs::write(frozen.0.join("freezer.state"), "FROZEN").ok()?;
        wait_until("it is frozen", LONG, || {
            std::fs::read(frozen.0.join("freezer.state")).is_ok_and(|state| state == b"FROZEN\n")
        });
        Some(frozen)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("freezer.state"), "THAWED");
        let until = Instant::now() + LONG;
        // Until its process has left it.
        while std::fs::remove_dir(&self.0).is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn an_agent_that_is_killed_at_any_moment_of_a_start() {
    testnet::root_or_skip!();
    every_daemon("an_agent_that_is_killed_at_any_moment_of_a_start", |site| {
        for milliseconds in [0, 20, 60, 150, 300, 450, 600] {
            let mut start = site.command("start");
            let mut start = site.host.spawn(start.process_group(0));
            // No wait for anything: the moment is what is tried.
            std::thread::sleep(Duration::from_millis(milliseconds));
            // As Pacemaker does at the timeout: the whole group.
            let group = Pid::from_raw(i32::try_from(start.id()).unwrap());
            let _ = killpg(group, Signal::SIGKILL);
            start.wait().unwrap();
            // Whatever is left is either known as running, or as a fault, or it is nothing.
            let code = site.monitor().code;
            assert!([0, 1, 7].contains(&code), "{code} after {milliseconds} ms");
            if code == 7 {
                wait_until("what was killed is gone", LONG, || site.processes().is_empty());
            }
            if milliseconds % 20 == 0 {
                site.start();
                ends(&site.monitor(), 0);
            }
            site.stop_without_need_of_a_deadline();
        }
    });
}

#[test]
fn a_process_that_nothing_ends_fails_the_stop_in_time() {
    testnet::root_or_skip!();
    every_daemon("a_process_that_nothing_ends_fails_the_stop_in_time", |site| {
        site.start();
        let worker = *site.workers().last().unwrap();
        let Some(frozen) = Frozen::new(worker) else {
            site.stop();
            return testnet::skipped(
                "faults::a_process_that_nothing_ends_fails_the_stop_in_time",
                "needs the freezer of cgroup v1",
            );
        };
        // The runner gives up after two minutes, Pacemaker would after these 6 s.
        let hurried = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "6000");
        let outcome = hurried.action("stop");
        fails(
            &outcome,
            1,
            &format!("still alive after SIGKILL (pid {worker}, blocked in the kernel)"),
        );
        assert!(outcome.took < Duration::from_secs(60), "{:?}", outcome.took);
        fails(&site.monitor(), 1, "orphans of OpenSIPS are alive");
        let start = hurried.action("start");
        fails(&start, 1, &format!("still alive after SIGKILL (pid {worker}"));
        assert_eq!(site.processes(), [worker], "executed beside it");
        drop(frozen);
        site.stop();
        ends(&site.monitor(), 7);
    });
}

#[test]
fn everything_stopped_and_no_grace() {
    testnet::root_or_skip!();
    every_daemon("everything_stopped_and_no_grace", |site| {
        site.start();
        for pid in site.processes() {
            testnet::suspend(pid);
        }
        ends(&site.agent().param("stop_grace", "0").action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn monitor_keeps_its_deadline() {
    testnet::root_or_skip!();
    every_daemon("monitor_keeps_its_deadline", |site| {
        site.start();
        for worker in site.workers() {
            testnet::suspend(worker);
        }
        // 100 x 600 s were wished; the action has 3 s. The runner fails a test after two minutes.
        let patient = site
            .agent()
            .param("sip_probe_timeout", "600s")
            .param("sip_probe_attempts", "100")
            .env("OCF_RESKEY_CRM_meta_timeout", "3000");
        fails(&crate::site::recurring(&patient), 1, "no answer to OPTIONS");
        site.stop();
    });
}

#[test]
fn a_daemon_that_dies_at_once_fails_the_start_with_its_own_words() {
    testnet::root_or_skip!();
    every_daemon("a_daemon_that_dies_at_once_fails_the_start_with_its_own_words", |site| {
        // The check knows nothing of addresses; the daemon can't bind.
        site.configure(&["udp:192.0.2.77:5060"]);
        let outcome = site.agent().param("nonlocal_bind", "ignore").action("start");
        fails(&outcome, 1, "OpenSIPS ended with status 255: ");
        fails(&outcome, 1, "192.0.2.77");
        site.nothing_is_left();
        // It said nothing: our own trial says why.
        let mut silent = site.config_with(&["udp:192.0.2.77:5060"]);
        silent.stderror = false;
        site.write(&silent.text());
        let outcome = site.agent().param("nonlocal_bind", "ignore").action("start");
        fails(&outcome, 1, "udp:192.0.2.77:5060 can't be opened: ");
        site.nothing_is_left();
    });
}

#[test]
fn a_late_death_fails_the_start() {
    testnet::root_or_skip!();
    every_daemon("a_late_death_fails_the_start", |site| {
        // The FIFO's process can't make it, after the daemon has reported success.
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.mi_fifo = Some("/no/such/directory/fifo".into());
        site.write(&config.text());
        let outcome = site.agent().action("start");
        fails(&outcome, 1, "OpenSIPS ");
        site.nothing_is_left();
    });
}

#[test]
fn faults_of_a_starting_and_stopping_daemon() {
    testnet::root_or_skip!();
    stand_in_alone("faults_of_a_starting_and_stopping_daemon", |site| {
        let with = |switch: &str| {
            let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
            site.write(&format!("# OPENSIPS_STAND_IN_{switch}\n{text}"));
        };
        // A SIGTERM that is lost is sent again.
        with("LOSE_TERMS=2");
        site.start();
        site.stop_without_need_of_a_deadline();
        // One that is ignored is followed by SIGKILL.
        with("IGNORE_TERM=yes");
        site.start();
        let main = site.main();
        ends(&site.agent().param("stop_grace", "1s").action("stop"), 0);
        assert!(!is_alive(main));
        site.nothing_is_left();
        // Without stop_grace, in time for Pacemaker: of 4 s, 2 are kept for the kill.
        site.start();
        ends(&site.agent().env("OCF_RESKEY_CRM_meta_timeout", "4000").action("stop"), 0);
        site.nothing_is_left();
        // It never answers: start fails by itself long before its timeout, and leaves nothing.
        for (switch, words) in [
            ("SIP_ANSWER=none", "or set sip_probe=none"),
            ("SIP_ANSWER=404", "is answered with 404, not among sip_probe_codes"),
        ] {
            with(switch);
            let hour = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "3600000");
            let short = hour.param("sip_probe_codes", "200").param("sip_probe_timeout", "300ms");
            fails(&short.action("start"), 1, words);
            site.nothing_is_left();
        }
        // It takes its time to initialise.
        with("START_DELAY_MS=600000");
        let start = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "8000").action("start");
        fails(&start, 1, "still initialising after ");
        site.nothing_is_left();
        // It dies just after it has answered.
        with("DIE_AFTER_MS=250");
        fails(&site.agent().action("start"), 1, "OpenSIPS died just after its start");
        site.nothing_is_left();
        // Its check hangs.
        with("CHECK_DELAY_MS=600000");
        let start = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "8000").action("start");
        fails(&start, 1, "did not end within ");
        site.nothing_is_left();
    });
}

#[test]
fn a_start_that_was_killed_is_cleaned_up() {
    testnet::root_or_skip!();
    stand_in_alone("a_start_that_was_killed_is_cleaned_up", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
        site.write(&format!("# OPENSIPS_STAND_IN_START_DELAY_MS=600000\n{text}"));
        let mut start = site.host.spawn(&mut site.command("start"));
        wait_until("the daemon has begun", LONG, || {
            site.files("/run/opensips").contains(&"sip.pid".to_owned())
        });
        // As Pacemaker does at the timeout.
        start.kill().unwrap();
        start.wait().unwrap();
        assert_ne!(site.monitor().code, 0);
        site.stop_without_need_of_a_deadline();
    });
}

/// Executes what follows it under a filter of system calls that has no pidfds: pidfd_send_signal(2)
/// is 424, pidfd_open(2) 434 on every architecture, ENOSYS 38 (as Linux before 5.3 has it).
const WITHOUT_PIDFDS: &str = "\
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = [(0x20, 0, 0, 0), (0x15, 1, 0, 434), (0x15, 0, 1, 424), (6, 0, 0, 0x50026), (6, 0, 0, 0x7fff0000)]
filters = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in code))
program = struct.pack('HxxxxxxP', len(code), ctypes.addressof(filters))
no_new_privs, seccomp, filter_mode = 38, 22, 2
if libc.prctl(no_new_privs, 1, 0, 0, 0) or libc.prctl(seccomp, filter_mode, program, 0, 0):
    sys.exit('no filter: ' + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
";

/// An action of the agent under that filter: its exit code, and what it says.
fn without_pidfds(site: &Site, action: &str) -> (Option<i32>, String) {
    let agent = site.command(action);
    let mut filtered = std::process::Command::new("python3");
    filtered.args(["-c", WITHOUT_PIDFDS]).arg(agent.get_program()).args(agent.get_args());
    filtered.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = site.host.output(&mut filtered);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn without_pidfds_nothing_is_left_either() {
    testnet::root_or_skip!();
    every_daemon("without_pidfds_nothing_is_left_either", |site| {
        let (code, said) = without_pidfds(site, "monitor");
        if code != Some(7) {
            return testnet::skipped(
                "faults::without_pidfds_nothing_is_left_either",
                &format!("needs python3 and seccomp: {said}"),
            );
        }
        assert_eq!(without_pidfds(site, "start"), (Some(0), String::new()));
        ends(&site.monitor(), 0);
        // A shutdown by the daemon itself, and a kill of what does not listen.
        assert_eq!(without_pidfds(site, "stop"), (Some(0), String::new()));
        site.nothing_is_left();
        site.start();
        site.kill_main();
        assert_eq!(without_pidfds(site, "stop"), (Some(0), String::new()));
        site.nothing_is_left();
        // A start that fails takes down what has come up.
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.mi_fifo = Some("/no/such/directory/fifo".into());
        site.write(&config.text());
        let (code, said) = without_pidfds(site, "start");
        assert_eq!(code, Some(1), "{said}");
        site.nothing_is_left();
    });
}

#[test]
fn a_preprocessor_does_not_outlive_the_start_that_gave_it_up() {
    testnet::root_or_skip!();
    // Option -p came with 3.4; the stand-in does not execute what it names.
    every_daemon_with_mi("a_preprocessor_does_not_outlive_the_start_that_gave_it_up", |site| {
        if site.is_stand_in() {
            return;
        }
        let (script, pids) = (site.path("preprocess"), site.path("pids"));
        let text = format!("sleep 600 & echo $$ $! >{}; wait", pids.display());
        write(site, script.to_str().unwrap(), &text);
        for (check, words) in [("yes", "did not end within "), ("no", "initialising after ")] {
            let agent = site
                .agent()
                .param("extra_options", format!("-p '/bin/sh {}'", script.display()))
                .param("start_check", check)
                .env("OCF_RESKEY_CRM_meta_timeout", "6000");
            fails(&agent.action("start"), 1, words);
            for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
                let pid: i32 = pid.parse().unwrap();
                wait_until("nothing of it is alive", LONG, || !is_alive(pid));
            }
            site.nothing_is_left();
        }
    });
}
