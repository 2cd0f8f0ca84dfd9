//! The fault switches of the stand-in, each given as its users give it.

// Functions that tests share may fail them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use nix::sys::signal::Signal;
use opensips_stand_in::ConfigFile;
use serde_json::{Value, json};
use support::process::Process;
use support::{CONFIG, DEADLINE, Daemon, FIFO, HERE, Instance, PID_FILE};
use testnet::{root_or_skip, wait_until};

const UDP: &str = "127.0.0.1:5060";

fn stand_in() -> Instance {
    Instance::new(Daemon::stand_in())
}

/// The usual configuration with switches in its comments.
fn with(instance: &Instance, switches: &[&str]) -> ConfigFile {
    let comment = |switch: &&str| format!("# OPENSIPS_STAND_IN_{switch}\n");
    ConfigFile { more: switches.iter().map(comment).collect(), ..instance.config() }
}

#[test]
fn a_switch_that_does_not_exist_is_refused() {
    root_or_skip!();
    let instance = stand_in();
    assert_eq!(instance.start_with(&with(&instance, &["SIP_ANSWR=none"]), &[]), Some(255));
    assert!(instance.errors().contains("OPENSIPS_STAND_IN_SIP_ANSWR: no such switch or value"));
}

#[test]
fn requests_are_swallowed_or_refused() {
    root_or_skip!();
    let instance = stand_in();
    let running = instance.start(&with(&instance, &["SIP_ANSWER=none"]));
    assert!(instance.silent_udp(UDP));
    assert!(instance.mi("uptime", Value::Null)["result"].is_object());
    running.stop(Signal::SIGTERM);
    instance.start(&with(&instance, &["SIP_ANSWER=503"]));
    assert_eq!(instance.status(UDP, "OPTIONS", "sip:example.org", 70), Some(503));
}

#[test]
fn mi_is_silent_and_shared_memory_full() {
    root_or_skip!();
    let instance = stand_in();
    let mi_datagram = Some(format!("udp:{HERE}:8888"));
    let config = with(&instance, &["MI_ANSWER=none"]);
    let running = instance.start(&ConfigFile { mi_datagram: mi_datagram.clone(), ..config });
    let uptime = json!({"jsonrpc": "2.0", "id": 1, "method": "uptime"}).to_string();
    let to = "127.0.0.1:8888";
    assert_eq!(instance.exchange(to, &[&uptime], Duration::from_secs(1)), None);
    assert!(instance.serves_udp(UDP));
    running.stop(Signal::SIGTERM);
    let config = with(&instance, &["SHMEM_USED_PERCENT=95"]);
    instance.start(&ConfigFile { mi_datagram, ..config });
    let statistics = instance.mi("get_statistics", json!([["shmem:"]]));
    let figure = |name: &str| statistics["result"][name].as_u64().unwrap();
    assert_eq!(figure("shmem:used_size") * 100 / figure("shmem:total_size"), 94);
}

#[test]
fn a_slow_start_has_its_pid_file_before_it_serves() {
    root_or_skip!();
    let instance = stand_in();
    let config = with(&instance, &["START_DELAY_MS=600000"]);
    instance.write(CONFIG, &config.text());
    let mut command = instance.spawn(&["-f", CONFIG, "-P", PID_FILE]);
    wait_until("the pid file is there", DEADLINE, || instance.read(PID_FILE).ends_with('\n'));
    assert_eq!(command.try_wait().unwrap(), None);
    assert!(instance.silent_udp(UDP));
    instance.running().attendant.signal(Signal::SIGKILL);
    assert_eq!(command.wait().unwrap().code(), Some(255), "its end is noticed");
}

/// Sends SIGTERM and waits until the attendant has taken it from the kernel.
fn term(attendant: &Process) {
    attendant.signal(Signal::SIGTERM);
    wait_until("the signal is taken", DEADLINE, || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", attendant.pid));
        let status = status.unwrap_or_default();
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:\t"));
        // A process that has ended has no pending signals.
        let pending = pending.map_or(0, |mask| u64::from_str_radix(mask, 16).unwrap());
        pending & 1 << (Signal::SIGTERM as u32 - 1) == 0
    });
}

#[test]
fn terms_are_lost_or_ignored() {
    root_or_skip!();
    let instance = stand_in();
    let running = instance.start(&with(&instance, &["LOSE_TERMS=2"]));
    let mut sent = 0;
    // A further one may be lost before the main loop, as with the real daemon.
    while Process::read(running.attendant.pid).is_some() {
        term(&running.attendant);
        sent += 1;
    }
    assert!(sent >= 3, "{sent}");
    running.assert_gone();

    let running = instance.start(&with(&instance, &["IGNORE_TERM=yes"]));
    for _ in 0..3 {
        term(&running.attendant);
        assert!(instance.serves_udp(UDP));
    }
    assert_eq!(running.processes().len(), 10);
}

#[test]
fn stopping_takes_its_time() {
    root_or_skip!();
    let instance = stand_in();
    let running = instance.start(&with(&instance, &["STOP_DELAY_MS=600000", "KILL_GRACE_MS=50"]));
    running.workers()[4].suspend();
    running.ask_until(Signal::SIGTERM, "the workers are gone", || running.workers().is_empty());
    assert_eq!(running.processes().len(), 1);
    assert!(instance.exists(PID_FILE) && instance.exists(FIFO), "files go last");
}

#[test]
fn it_dies_by_itself() {
    root_or_skip!();
    let instance = stand_in();
    let config = with(&instance, &["DIE_AFTER_MS=100"]);
    assert_eq!(instance.start_with(&config, &[]), Some(0));
    instance.assert_nothing_left();
    assert!(!instance.exists(PID_FILE));
}

#[test]
fn a_worker_retires_and_the_instance_goes_on() {
    root_or_skip!();
    let instance = stand_in();
    let running = instance.start(&with(&instance, &["RETIRE_AFTER_MS=1000"]));
    // All nine are up when start returns. On a machine that stalls, the first may have retired by now.
    wait_until("one is gone", DEADLINE, || running.workers().len() == 8);
    assert!(instance.serves_udp(UDP));
    running.stop(Signal::SIGTERM);
    instance.assert_nothing_left();
}

#[test]
fn a_late_failure_that_is_seen_leaves_the_other_workers() {
    root_or_skip!();
    let instance = stand_in();
    let _busy = instance.host.run(|| std::net::TcpListener::bind((HERE, 5060)).unwrap());
    assert_eq!(instance.start_with(&with(&instance, &["LATE_FAILURE=seen"]), &[]), Some(255));
    assert!(!instance.exists(PID_FILE));
    assert!(instance.serves_udp(UDP));
    wait_until("the orphans are adopted", DEADLINE, || {
        let orphans: Vec<Process> = instance.processes();
        orphans.len() == 8 && orphans.iter().all(|orphan| orphan.parent == 1)
    });
}

#[test]
fn the_environment_wins_over_the_configuration() {
    root_or_skip!();
    let instance = stand_in();
    instance.write(CONFIG, &with(&instance, &["SIP_ANSWER=none"]).text());
    let mut command = std::process::Command::new(&instance.daemon.binary);
    command.args(["-f", CONFIG]).env("OPENSIPS_STAND_IN_SIP_ANSWER", "500");
    let nothing = std::process::Stdio::null;
    command.stdout(nothing()).stderr(nothing());
    assert!(instance.host.run(|| command.status().unwrap()).success());
    assert_eq!(instance.status(UDP, "OPTIONS", "sip:example.org", 70), Some(500));
}
