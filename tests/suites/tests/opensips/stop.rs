//! A stop that says 0, and what must not be there then.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use testnet::wait_until;

use crate::identity::second;
use crate::site::{STATE, is_alive, recurring, signal, stand_in_alone, write};
use crate::{LONG, Site, ends, every_daemon, fails};

#[test]
fn orphans_of_an_instance_whose_configuration_was_changed() {
    testnet::root_or_skip!();
    every_daemon("orphans_of_an_instance_whose_configuration_was_changed", |site| {
        let second = second(site);
        ends(&second.action("start"), 0);
        let theirs = site.processes();
        site.start();
        site.kill_main();
        let changed = site.agent().param("config", site.path("other.cfg"));
        fails(&recurring(&changed), 1, "orphans of OpenSIPS are alive");
        ends(&changed.action("stop"), 0);
        assert_eq!(site.processes(), theirs);
        ends(&recurring(&second), 0);
        ends(&second.action("stop"), 0);
        site.nothing_is_left();
    });
}

/// Takes a copy of a socket of another process by pidfd_getfd(2), 438 on every architecture, and holds
/// it in a session whose leader has ended, as what a daemon has started does. Tells its pid and that
/// session.
const HOLDER: &str = "\
import ctypes, os, sys
main, inode = int(sys.argv[1]), sys.argv[2]
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
libc = ctypes.CDLL(None, use_errno=True)
user = int(sys.argv[3])
handle = libc.syscall(434, main, 0)
for name in os.listdir('/proc/%d/fd' % main):
    if os.readlink('/proc/%d/fd/%s' % (main, name)) == 'socket:[%s]' % inode:
        held = libc.syscall(438, handle, int(name), 0)
os.setresuid(user, user, user)
print(os.getpid() if held >= 0 else 0, os.getsid(0), flush=True)
null = os.open('/dev/null', os.O_RDWR)
for standard in range(3):
    os.dup2(null, standard)
import signal
while True:
    signal.pause()
";

/// Somebody who holds a socket of the instance, and his session.
struct Holder {
    pid: i32,
    session: i32,
}

impl Holder {
    /// `None` where there can't be one.
    fn of(site: &Site, user: u32) -> Option<Self> {
        let state = site.state();
        let listener = state.lines().find(|line| line.starts_with("listener udp:"))?;
        let inode = listener.rsplit(' ').next()?;
        let mut command = Command::new("python3");
        command.args(["-c", HOLDER, &site.main().to_string(), inode, &user.to_string()]);
        let line = String::from_utf8(site.host.output(&mut command).stdout).ok()?;
        let (pid, session) = line.trim().split_once(' ')?;
        let (pid, session) = (pid.parse().ok()?, session.parse().ok()?);
        (pid > 0).then_some(Self { pid, session })
    }
}

/// Kills every process of the daemon.
fn kill_all(site: &Site) {
    for pid in site.processes() {
        signal(pid, Signal::SIGKILL);
    }
    wait_until("nothing of the daemon is left", LONG, || site.processes().is_empty());
}

#[test]
fn a_socket_that_outlived_the_instance() {
    testnet::root_or_skip!();
    every_daemon("a_socket_that_outlived_the_instance", |site| {
        site.start();
        let Some(holder) = Holder::of(site, 0) else {
            site.stop();
            return testnet::skipped(
                "stop::a_socket_that_outlived_the_instance",
                "needs python3 and pidfd_getfd",
            );
        };
        let held = "udp:127.0.0.1:5060 is held by python3";
        // The daemon ends as it should; a stranger has its socket.
        fails(&site.agent().action("stop"), 1, held);
        assert_eq!(site.processes(), [0; 0]);
        fails(&site.monitor(), 1, held);
        fails(&site.agent().action("stop"), 1, held);
        assert!(is_alive(holder.pid), "a stranger");
        signal(holder.pid, Signal::SIGKILL);
        wait_until("he is gone", LONG, || !is_alive(holder.pid));
        ends(&site.agent().action("stop"), 0);
        site.nothing_is_left();
        ends(&site.monitor(), 7);

        // One whom a worker has started, in the session of the daemon.
        site.start();
        let holder = Holder::of(site, 0).unwrap();
        let state = site.state();
        let session = state.lines().find(|line| line.starts_with("session ")).unwrap();
        write(site, STATE, &state.replace(session, &format!("session {}", holder.session)));
        kill_all(site);
        fails(&site.monitor(), 1, held);
        ends(&site.agent().action("stop"), 0);
        assert!(!is_alive(holder.pid));
        site.nothing_is_left();
        ends(&site.monitor(), 7);

        // One in a session of his own, who acts as the daemon's user: he has it from the daemon.
        site.start();
        let holder = Holder::of(site, 65534).unwrap();
        ends(&site.agent().param("user", "65534").action("stop"), 0);
        assert!(!is_alive(holder.pid));
        site.nothing_is_left();
        ends(&site.monitor(), 7);
    });
}

#[test]
fn a_start_by_hand_that_is_at_work_does_not_bring_it_up_afterwards() {
    testnet::root_or_skip!();
    stand_in_alone("a_start_by_hand_that_is_at_work_does_not_bring_it_up_afterwards", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
        site.write(&format!("# OPENSIPS_STAND_IN_CHECK_DELAY_MS=30000\n{text}"));
        let mut start = site.command("start");
        let mut start = site.host.spawn(start.env("OCF_RESKEY_CRM_meta_timeout", "900000"));
        wait_until("it checks the configuration", LONG, || !site.processes().is_empty());
        ends(&site.agent().env("OCF_RESKEY_CRM_meta_timeout", "6000").action("stop"), 0);
        assert_eq!(start.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
        wait_until("its check is gone", LONG, || site.processes().is_empty());
        ends(&site.monitor(), 7);
        site.nothing_is_left();
    });
}

#[test]
fn a_stranger_on_the_lock_is_no_reason_to_fail() {
    testnet::root_or_skip!();
    every_daemon("a_stranger_on_the_lock_is_no_reason_to_fail", |site| {
        site.start();
        let lock = "/run/smartvox/opensips-sip.lock";
        let held = site.on_host(|| {
            let file = std::fs::File::options().create(true).append(true).open(lock).unwrap();
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).unwrap()
        });
        ends(&site.agent().env("OCF_RESKEY_CRM_meta_timeout", "9000").action("stop"), 0);
        drop(held);
        site.nothing_is_left();
    });
}
