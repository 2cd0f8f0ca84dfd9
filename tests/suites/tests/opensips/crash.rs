//! What is told about a daemon that died.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testnet::wait_until;

use crate::site::{is_alive, signal};
use crate::{LONG, ends, every_daemon, fails};

/// The daemon's own handler takes the first SIGSEGV, which comes again where the fault is a real one;
/// then it is the kernel's.
fn crash(pid: i32) {
    wait_until("it has died of it", LONG, || {
        let _ = kill(Pid::from_raw(pid), Signal::SIGSEGV);
        !is_alive(pid)
    });
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
        let reason = format!("OpenSIPS (pid {main}) died: worker {worker} ended by SIGSEGV");
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
        fails(&outcome, 1, "orphans of OpenSIPS are alive");
        fails(&outcome, 1, "its main process died: see the log of OpenSIPS");
        for pid in site.processes() {
            signal(pid, Signal::SIGKILL);
        }
        wait_until("nothing is left", LONG, || site.processes().is_empty());
        fails(&site.monitor(), 7, &format!("OpenSIPS (pid {main}) died: see the log of OpenSIPS"));
        site.stop();
    });
}
