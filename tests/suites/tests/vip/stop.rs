//! stop when something resists it.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testnet::wait_until;

use super::{LONG, Site, VIP, announcer, ends, has_strace, instances, locks, shell};

#[test]
fn an_announcer_that_is_stopped_ends_too() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().param("announce_schedule", "0,60000").action("start"), 0);
    let pid = announcer(&site.a).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    ends(&site.vip().action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    assert!(locks(&site.a).is_empty());
}

#[test]
fn a_lock_that_nobody_gives_up_does_not_hold_the_address() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().param("announce_schedule", "0,60000").action("start"), 0);
    let lock = locks(&site.a).remove(0);
    ends(&site.vip().action("stop"), 0);
    site.a.ip(&format!("addr add {VIP}/24 dev eth0"));
    let mut command = Command::new("flock");
    let mut holder = site.a.spawn(command.arg(&lock).args(["sleep", "600"]));
    wait_until("the lock is held", LONG, || {
        let mut try_lock = Command::new("flock");
        !site.a.output(try_lock.arg("-n").arg(&lock).arg("true")).status.success()
    });
    let agent = site.vip().env("OCF_RESKEY_CRM_meta_timeout", "5000");
    ends(&agent.timeout(Duration::from_secs(30)).action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    // flock and its sleep go with the host; this one is ours to wait for.
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_record_of_another_process_is_not_believed() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().param("announce_schedule", "0,60000").action("start"), 0);
    let lock = locks(&site.a).remove(0);
    ends(&site.vip().action("stop"), 0);
    let mut victim = site.a.spawn(Command::new("sleep").arg("600"));
    // Its number, but another start time: a lock file of before the last boot.
    site.a.run(|| std::fs::write(&lock, format!("{} 1\n", victim.id())).unwrap());
    ends(&site.vip().action("start"), 0);
    ends(&site.vip().action("stop"), 0);
    assert!(victim.try_wait().unwrap().is_none());
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[test]
fn no_time_at_all() {
    testnet::root_or_skip!();
    let site = Site::new();
    for timeout in ["0", "1", "50", "18446744073709551615"] {
        ends(&site.vip().action("start"), 0);
        let agent = site.vip().env("OCF_RESKEY_CRM_meta_timeout", timeout);
        let outcome = agent.timeout(Duration::from_secs(30)).action("stop");
        // Too late is no success, and success is true.
        assert!(outcome.code == 1 || instances(&site.a).is_empty(), "{}", outcome.stderr);
        ends(&site.vip().action("stop"), 0);
    }
    // 0 is no timeout at all.
    for timeout in ["0", "10000", "18446744073709551615"] {
        let agent = site.vip().env("OCF_RESKEY_CRM_meta_timeout", timeout);
        let agent = agent.timeout(Duration::from_secs(30));
        ends(&agent.action("stop"), 0);
        ends(&site.vip().action("start"), 0);
        ends(&agent.action("stop"), 0);
        assert!(instances(&site.a).is_empty(), "{timeout}");
    }
}

#[test]
fn somebody_who_puts_it_back_again_and_again() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().action("start"), 0);
    let script = format!("while :; do ip addr replace {VIP}/24 dev eth0; done");
    let mut rival = site.a.spawn(Command::new("sh").args(["-c", &script]));
    for _ in 0..10 {
        let outcome = site.vip().action("stop");
        // 0: there was a complete look without it; else 1, and what is left.
        if outcome.code != 0 {
            super::fails(&outcome, 1, "192.0.2.10/24 on eth0 is still there after stop");
        }
    }
    rival.kill().unwrap();
    rival.wait().unwrap();
    shell(&site.a, "true");
    wait_until("the last of its ip commands is over", LONG, || {
        ends(&site.vip().action("stop"), 0);
        instances(&site.a).is_empty()
    });
}

/// stop, with its message number `when` to the kernel refused.
fn refused(site: &Site, when: &str, parameters: &[&str]) -> (Option<i32>, String) {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=sendto"]);
    strace.arg(format!("--inject=sendto:error=ENOBUFS:when={when}"));
    strace.arg(super::program()).args(["stop", "--ip", VIP]).args(parameters).env_clear();
    let output = site.a.output(strace.env("OCF_RESKEY_CRM_meta_timeout", "3000"));
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn tables_that_cannot_be_read_are_no_reason_to_be_fenced() {
    testnet::root_or_skip!();
    if !has_strace("stop::tables_that_cannot_be_read") {
        return;
    }
    let site = Site::new();
    for when in ["1", "2"] {
        ends(&site.vip().action("start"), 0);
        let (code, said) = refused(&site, when, &[]);
        assert_eq!(code, Some(0), "{when}: {said}");
        assert!(instances(&site.a).is_empty());
        // Where routing was asked for it is tried again, and all is gone.
        let routed = site.vip().param("gateway", "192.0.2.99");
        ends(&routed.action("start"), 0);
        let (code, said) = refused(&site, when, &["--gateway=192.0.2.99"]);
        assert_eq!(code, Some(0), "{when}: {said}");
        assert!(instances(&site.a).is_empty());
        assert!(!site.a.ip("rule").contains(VIP));
    }
}

/// Such a fault ends the agent's own event loop, so nothing that the process itself tries again could help.
#[test]
fn a_fault_of_the_agent_itself_ends_no_service_and_fences_nobody() {
    testnet::root_or_skip!();
    if !has_strace("stop::a_fault_of_the_agent_itself") {
        return;
    }
    let site = Site::new();
    ends(&site.vip().action("start"), 0);
    let fault = "--inject=epoll_wait:error=EIO:when=1";
    let broken = site.vip().under(["/usr/bin/strace", "-qq", "-o", "/run/trace", fault]);
    let injected = || {
        let record = site.a.run(|| std::fs::read_to_string("/run/trace").unwrap());
        assert!(record.contains("(INJECTED)"), "{record}");
    };
    ends(&super::recurring(&broken), 0);
    injected();
    ends(&broken.action("stop"), 0);
    injected();
    assert!(instances(&site.a).is_empty());
    ends(&broken.action("start"), 0);
    injected();
    ends(&site.vip().action("stop"), 0);
}
