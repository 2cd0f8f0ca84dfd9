//! The kernel's answer comes too late, and two stops meet.

use std::process::Command;

use testnet::wait_until;

use super::{
    HeldLock, LONG, Site, VIP, announcer, ends, has_strace, instances, locks, program, state,
};

/// Which message to the kernel an action sends first of that type, counted from 1, and runs it by that.
pub(super) fn number_of(site: &Site, action: &str, kind: &str) -> u32 {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-e", "trace=sendto", "-o", "/run/trace"]);
    strace.arg(program()).args([action, "--ip", VIP, "--announce_schedule=0"]).env_clear();
    let output = site.a.output(&mut strace);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trace = site.a.run(|| std::fs::read_to_string("/run/trace").unwrap());
    let at = trace.lines().position(|line| line.contains(kind)).expect(kind);
    u32::try_from(at + 1).unwrap()
}

/// Whether strace has delayed a message of that type, according to /run/trace. An action that the machine has
/// stalled probes again, and then its messages have other numbers.
pub(super) fn is_delayed(site: &Site, kind: &str) -> bool {
    let trace = site.a.run(|| std::fs::read_to_string("/run/trace").unwrap());
    trace.lines().any(|line| line.contains("(DELAYED)") && line.contains(kind))
}

/// Runs an action of five seconds whose message of that type takes longer than that.
fn delayed(site: &Site, action: &str, kind: &str) -> (Option<i32>, String) {
    let opposite = if action == "start" { "stop" } else { "start" };
    for _ in 0..10 {
        let number = number_of(site, action, kind);
        ends(&site.vip().action(opposite), 0);
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-o", "/run/trace", "-e", "trace=sendto"]);
        strace.arg(format!("--inject=sendto:delay_exit=5000000:when={number}"));
        strace.arg(program()).args([action, "--ip", VIP, "--announce_schedule=0"]).env_clear();
        let output = site.a.output(strace.env("OCF_RESKEY_CRM_meta_timeout", "5000"));
        if is_delayed(site, kind) {
            return (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
        }
        ends(&site.vip().action(opposite), 0);
    }
    panic!("{kind} was never delayed");
}

#[test]
fn a_start_that_is_answered_too_late_takes_back_what_it_may_have_done() {
    testnet::root_or_skip!();
    if !has_strace("late::a_start_that_is_answered_too_late") {
        return;
    }
    let site = Site::new();
    let before = state(&site.a);
    let has_taken_it_back = || {
        let (code, said) = delayed(&site, "start", "RTM_NEWADDR");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("no answer before the deadline"), "{said}");
        let is_as_before = state(&site.a) == before;
        // A machine that stands still for a quarter of a second has no time for it, and start says so.
        assert!(is_as_before || said.contains(&format!("{VIP}/24 on eth0")), "{said}");
        ends(&site.vip().action("stop"), 0);
        is_as_before
    };
    assert!((0..10).any(|_| has_taken_it_back()));
}

#[test]
fn a_stop_that_is_answered_too_late_sees_that_it_has_done_it() {
    testnet::root_or_skip!();
    if !has_strace("late::a_stop_that_is_answered_too_late") {
        return;
    }
    let site = Site::new();
    ends(&site.vip().action("start"), 0);
    let (code, said) = delayed(&site, "stop", "RTM_DELADDR");
    assert!(instances(&site.a).is_empty());
    assert_eq!(code, Some(0), "{said}");
}

/// A stop holds the announcer's lock while it works, and is none.
#[test]
fn a_stop_does_not_end_another_stop() {
    testnet::root_or_skip!();
    let site = Site::new();
    // The VIP is the primary address of its subnet: stop takes a lock for that, which is held here.
    site.a.ip("addr flush dev eth0");
    let agent = site.vip().param("nic", "eth0").param("cidr_netmask", "24");
    let agent = agent.param("announce_schedule", "0,600000");
    ends(&agent.action("start"), 0);
    site.a.ip("addr add 192.0.2.1/24 dev eth0");
    let announcer = announcer(&site.a).unwrap();
    let other = HeldLock::of_promotion(&site.a);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| agent.action("stop"));
        wait_until("the first has ended the announcer", LONG, || {
            super::announcer(&site.a).is_some_and(|holder| holder != announcer)
        });
        let short = agent.clone().env("OCF_RESKEY_CRM_meta_timeout", "3000");
        let second = short.action("stop");
        drop(other);
        ends(&first.join().unwrap(), 0);
        ends(&second, 0);
    });
    assert!(instances(&site.a).is_empty());
    assert_eq!(super::others(&site.a), ["eth0 192.0.2.1/24"]);
    ends(&agent.action("stop"), 0);
    // A first stop that could not wait so long for the lock of this test leaves its file.
    let mut left = locks(&site.a);
    left.retain(|path| !path.to_string_lossy().contains("/promote-secondaries-"));
    assert!(left.is_empty(), "{left:?}");
}
