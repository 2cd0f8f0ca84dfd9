//! What is told about a daemon that died.

use std::fs::File;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testnet::wait_until;

use crate::site::{is_alive, recurring, signal};
use crate::{LONG, ends, every_daemon, fails};

/// The daemon's own handler takes the first SIGSEGV, which comes again where the fault is a real one;
/// then it is the kernel's.
fn crash(pid: i32) {
    wait_until("it has died of it", LONG, || {
        let _ = kill(Pid::from_raw(pid), Signal::SIGSEGV);
        !is_alive(pid)
    });
}

/// The relative name that cores have everywhere unless somebody has changed it; the tests can't: it
/// is one for the whole machine.
fn cores_are_named_core() -> bool {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let uses_pid = std::fs::read_to_string("/proc/sys/kernel/core_uses_pid").unwrap();
    pattern.trim() == "core" && uses_pid.trim() == "0"
}

#[test]
fn the_death_of_a_worker_is_told_with_its_signal() {
    testnet::root_or_skip!();
    every_daemon("the_death_of_a_worker_is_told_with_its_signal", |site| {
        site.start();
        let main = site.main();
        let worker = *site.workers().last().unwrap();
        crash(worker);
        wait_until("the instance is gone", LONG, || site.processes().is_empty());
        let reason = format!("main process {main} has ended: worker {worker} ended by SIGSEGV");
        fails(&site.monitor(), 7, &reason);
        // A probe asks whether it runs, and Pacemaker expects nothing else of it.
        let probe = site.agent().action("monitor");
        ends(&probe, 7);
        assert_eq!(probe.exit_reason, None);
        site.start();
        ends(&site.monitor(), 0);
        site.stop();
        // What was stopped is no death.
        let outcome = site.monitor();
        ends(&outcome, 7);
        assert_eq!(outcome.exit_reason, None);
    });
}

#[test]
fn without_words_of_the_daemon_its_log_is_named() {
    testnet::root_or_skip!();
    every_daemon("without_words_of_the_daemon_its_log_is_named", |site| {
        let mut silent = site.config_with(&["udp:127.0.0.1:5060"]);
        silent.stderror = false;
        site.write(&silent.text());
        site.start();
        let main = site.kill_main();
        let outcome = site.monitor();
        fails(&outcome, 1, "main process is gone, ");
        fails(&outcome, 1, "; see the system's log");
        for pid in site.processes() {
            signal(pid, Signal::SIGKILL);
        }
        wait_until("nothing is left", LONG, || site.processes().is_empty());
        fails(&site.monitor(), 7, &format!("main process {main} has ended: see the system's log"));
        site.stop();
    });
}

#[test]
fn a_core_is_named_where_there_is_one() {
    testnet::root_or_skip!();
    if !cores_are_named_core() {
        return testnet::skipped(
            "crash::a_core_is_named_where_there_is_one",
            "needs core_pattern=core",
        );
    }
    every_daemon("a_core_is_named_where_there_is_one", |site| {
        let directory = "/run/opensips/cores";
        let core = format!("{directory}/core");
        let agent = site.agent().param("extra_options", format!("-w {directory}"));
        site.on_host(|| std::fs::create_dir_all(directory).unwrap());
        ends(&agent.action("start"), 0);
        let worker = *site.workers().last().unwrap();
        crash(worker);
        wait_until("the instance is gone", LONG, || site.processes().is_empty());
        let reason = |content: &[u8]| {
            site.on_host(|| std::fs::write(&core, content).unwrap());
            let outcome = recurring(&agent);
            ends(&outcome, 7);
            outcome.exit_reason.unwrap()
        };
        let death = format!("worker {worker} ended by SIGSEGV");
        assert!(reason(b"no core").ends_with(&death));
        // Many hosts allow no cores (ulimit -c 0): one as the kernel begins it (ET_CORE).
        let begun = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[4, 0, 62, 0]].concat();
        assert!(reason(&begun).ends_with(&format!("{death}, core {core}")));
        // One of an earlier life.
        site.on_host(|| {
            let yesterday = SystemTime::now() - Duration::from_secs(86_400);
            File::options().write(true).open(&core).unwrap().set_modified(yesterday).unwrap();
        });
        let outcome = recurring(&agent);
        assert!(outcome.exit_reason.unwrap().ends_with(&death));
        site.on_host(|| std::fs::remove_dir_all(directory).unwrap());
        ends(&agent.action("stop"), 0);
    });
}
