//! The kernel gives the announcer no answer, or a wrong one: it goes on.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testnet::{Capture, Host, wait_until};

use super::{
    LONG, Site, VIP, announcements, announcer, ends, has_strace, is_up, program, second_interface,
    shell,
};

/// strace on the announcer, which makes its system calls fail.
struct Faults(Child);

impl Faults {
    /// `None` if nothing may be traced here.
    fn of(host: &Host, pid: i32, faults: &[&str]) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-o", "/run/trace", "-p", &pid.to_string()]);
        for fault in faults {
            strace.arg(format!("--inject={fault}"));
        }
        let mut child = host.spawn(strace.stdout(Stdio::null()).stderr(Stdio::null()));
        let mut ended = false;
        wait_until("strace has attached", LONG, || {
            ended = child.try_wait().unwrap().is_some();
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let tracer = format!("TracerPid:\t{}\n", child.id());
            ended || status.contains(&tracer)
        });
        (!ended).then_some(Self(child))
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every system call by which it looks at the host fails for a while, in each way that the kernel knows.
#[test]
fn a_failed_request_is_made_again() {
    const NAME: &str = "announcer_faults::a_failed_request_is_made_again";
    testnet::root_or_skip!();
    if !has_strace(NAME) {
        return;
    }
    let site = Site::new();
    for faults in [
        // The answer found no place in the socket's buffer.
        &["recvfrom:error=ENOBUFS:when=1..4"][..],
        // The kernel had no memory for the request, for its answer, for a new socket.
        &["sendto:error=ENOBUFS:when=1..4"],
        &["sendto:error=ENOMEM:when=1..4"],
        &["recvfrom:error=ENOMEM:when=1..4"],
        &["recvfrom:error=EIO:when=1..4", "socket:error=EMFILE:when=1..4"],
        &["epoll_wait:error=EINTR:when=1..4", "sendto:error=EINTR:when=1..2"],
    ] {
        let capture = Capture::start(&site.neighbour, "eth0");
        let agent = site.vip().param("announce_schedule", "0,1000,2000,3000,4000,5000");
        ends(&agent.action("start"), 0);
        let pid = announcer(&site.a).unwrap();
        let Some(strace) = Faults::of(&site.a, pid, faults) else {
            testnet::skipped(NAME, "needs strace");
            return;
        };
        let before = announcements(&capture).len();
        wait_until("it announces again", LONG, || {
            announcements(&capture).len() >= before + 2 || announcer(&site.a).is_none()
        });
        assert!(announcements(&capture).len() >= before + 2, "{faults:?}");
        let injected = site.a.run(|| std::fs::read_to_string("/run/trace").unwrap());
        assert!(injected.contains("(INJECTED)"), "{faults:?}: {injected}");
        drop(strace);
        ends(&agent.action("stop"), 0);
    }
}

/// What changes while it is stopped, and what no event tells, is seen when it goes on, not at the next entry.
#[test]
fn a_pause_is_followed_by_a_look() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().param("announce_schedule", "0,600000").action("start"), 0);
    let pid = announcer(&site.a).unwrap();
    testnet::suspend(pid);
    site.a.ip(&format!("addr del {VIP}/24 dev eth0"));
    std::thread::sleep(Duration::from_secs(3));
    testnet::resume(pid);
    wait_until("the announcer ends", LONG, || !site.a.processes().contains(&pid));
    ends(&site.vip().action("stop"), 0);
}

/// More events than the buffer of the socket holds: the kernel reports that with ENOBUFS.
#[test]
fn a_storm_of_events_does_not_end_it() {
    testnet::root_or_skip!();
    let site = Site::new();
    second_interface(&site.a);
    let capture = Capture::start(&site.neighbour, "eth0");
    let agent = site.vip().param("announce_schedule", "0,600000");
    ends(&agent.action("start"), 0);
    let pid = announcer(&site.a).unwrap();
    testnet::suspend(pid);
    shell(
        &site.a,
        "i=0; while [ $i -lt 400 ]; do echo \"link set far1 mtu $((1400 + i % 100))\"; i=$((i + 1)); done > /run/batch
         ip -batch /run/batch",
    );
    testnet::resume(pid);
    // It is still woken by the next event, and announces again what the link has lost.
    let before = announcements(&capture).len();
    site.cable_a.unplug(&site.a);
    wait_until("no carrier", LONG, || !is_up(&site.a, "eth0"));
    site.cable_a.plug(&site.a);
    wait_until("it is announced again", LONG, || announcements(&capture).len() > before);
    assert_eq!(announcer(&site.a), Some(pid));
    ends(&agent.action("stop"), 0);
}

/// The same before it listens to events: start has returned by then.
#[test]
fn a_carrier_that_is_lost_before_it_listens() {
    testnet::root_or_skip!();
    if !has_strace("announcer_faults::a_carrier_that_is_lost_before_it_listens") {
        return;
    }
    let site = Site::new();
    let capture = Capture::start(&site.neighbour, "eth0");
    // The subscription is the only bind(2) of the announcer.
    shell(
        &site.a,
        &format!(
            "strace -D -f -qq -o /run/trace -e trace=bind --inject=bind:delay_enter=3000000:when=1 \
             {} start --ip {VIP} --announce_schedule 0,600000 > /run/out 2>&1",
            program().display()
        ),
    );
    site.cable_a.unplug(&site.a);
    wait_until("no carrier", LONG, || !is_up(&site.a, "eth0"));
    site.cable_a.plug(&site.a);
    wait_until("eth0 is up", LONG, || is_up(&site.a, "eth0"));
    wait_until("it is announced again", LONG, || announcements(&capture).len() > 1);
    ends(&site.vip().action("stop"), 0);
}

/// The announcer gets the processor late, and the carrier was lost meanwhile.
#[test]
fn a_carrier_that_is_lost_before_its_first_look() {
    testnet::root_or_skip!();
    let site = Site::new();
    let capture = Capture::start(&site.neighbour, "eth0");
    let agent = site.vip().param("announce_schedule", "0,600000");
    ends(&agent.action("start"), 0);
    let pid = announcer(&site.a).unwrap();
    testnet::suspend(pid);
    site.cable_a.unplug(&site.a);
    wait_until("no carrier", LONG, || !is_up(&site.a, "eth0"));
    site.cable_a.plug(&site.a);
    wait_until("eth0 is up", LONG, || is_up(&site.a, "eth0"));
    let before = announcements(&capture).len();
    testnet::resume(pid);
    wait_until("it is announced again", LONG, || announcements(&capture).len() > before);
    ends(&agent.action("stop"), 0);
}
