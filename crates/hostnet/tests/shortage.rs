//! System calls that fail once, for want of memory, buffers or descriptors. Each test executes this
//! program again for one of the children below: under strace, which makes a call fail, or with a
//! limit of its own. The end of a shortage is the message of a further attempt.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{LONG, link, soon, two_hosts};
use deadline::Deadline;
use hostnet::{
    Error, EtherType, EventGroup, Events, Family, LinkIndex, NamespaceName, Netlink,
    NetworkNamespace, NewAddress, PacketSocket, Prefix, Protocol, Route, RouteKind, RouteProtocol,
    RouteRecord, Rule, Scope, SockDiag, Sysctl, TABLE_MAIN, arp,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use testnet::{Host, wait_until};

/// What a child is to do.
const CHILD: &str = "HOSTNET_TEST_CHILD";
/// Of the routes.
const DESTINATION: &str = "203.0.113.0/24";

fn child_of(host: &Host, before: &[&str], task: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    let mut words = before.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    words.push(program.display().to_string());
    words.extend(["--exact", "child", "--nocapture", "--test-threads=1"].map(str::to_owned));
    let mut command = Command::new(&words[0]);
    host.output(command.args(&words[1..]).env(CHILD, task))
}

fn assert_success(task: &str, output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{task}: {text}");
}

#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    match task.as_str() {
        "descriptors" => without_descriptors(),
        "queue" => into_a_full_queue(),
        change => ask(change),
    }
}

/// The calls of netlink of which the first one fails: the request is not sent; the answer to a
/// request that was carried out is lost.
const FAULTS: [&str; 2] = ["sendto:error=ENOBUFS", "recvfrom:error=ENOBUFS"];

/// What is done, what `ip` does before it, and what it shows afterwards: with these words, and
/// without those.
const REQUESTS: [(&str, &[&str], &str, &str, &str); 9] = [
    ("add address", &[], "addr show dev eth0", "192.0.2.10/24", "nothing else"),
    (
        "delete address",
        &["addr add 192.0.2.10/24 dev eth0"],
        "addr show dev eth0",
        "eth0",
        "0.2.10",
    ),
    ("add route", &[], "route show", "203.0.113.0/24 dev eth0", "nothing else"),
    ("prepend route", &[], "route show", "203.0.113.0/24 dev eth0", "nothing else"),
    (
        "delete route",
        // To the kernel the first one fits a request for a route of any metric.
        &[
            "route add 203.0.113.0/24 dev eth0 proto 176",
            "route add 203.0.113.0/24 dev eth0 metric 7",
        ],
        "route show",
        "metric 7",
        "proto 176",
    ),
    ("add rule", &[], "rule show", "lookup 4711", "nothing else"),
    (
        "delete rule",
        // Likewise with fewer selectors.
        &["rule add pref 10 lookup 4711", "rule add pref 10 from 192.0.2.9 lookup 4711"],
        "rule show",
        "from 192.0.2.9 lookup 4711",
        "from all lookup 4711",
    ),
    ("set link up", &["link set eth0 down"], "link show dev eth0", "state UP", "nothing else"),
    ("list", &[], "link show", "eth0", "nothing else"),
];

#[test]
fn a_request_or_an_answer_that_is_lost() {
    testnet::root_or_skip!();
    if Command::new("strace").arg("-V").output().is_err() {
        return testnet::skipped("shortage::a_request_or_an_answer", "needs strace");
    }
    for (task, before, show, with, without) in REQUESTS {
        for fault in FAULTS {
            let (a, _b, _cable) = two_hosts();
            before.iter().for_each(|command| drop(a.ip(command)));
            let call = fault.split(':').next().unwrap();
            let (trace, inject) = (format!("trace={call}"), format!("inject={fault}:when=1"));
            let strace = ["strace", "-f", "-qq", "-o", "/run/trace", "-e", &trace, "-e", &inject];
            let output = child_of(&a, &strace, task);
            assert_success(&format!("{task}, {fault}"), &output);
            let trace = a.run(|| std::fs::read_to_string("/run/trace")).unwrap();
            assert!(trace.contains("(INJECTED)"), "{task}: {trace}");
            wait_until("the change is made", LONG, || a.ip(show).contains(with));
            assert!(!a.ip(show).contains(without), "{task}, {fault}: {}", a.ip(show));
        }
    }
}

/// Does what is asked in a thread of its own: strace counts the calls of each thread.
fn ask(task: &str) {
    let rules = || Netlink::open().unwrap().rules(Family::V4, soon()).unwrap();
    let eth0 = in_a_thread(|| link(&Netlink::open().unwrap(), "eth0").index);
    let prefix = Prefix::new(Family::V4, 24).unwrap();
    let new = NewAddress::new(eth0, "192.0.2.10".parse().unwrap(), prefix);
    let addresses =
        in_a_thread(|| Netlink::open().unwrap().addresses(Family::V4, Some(eth0), soon()).unwrap());
    let rules = in_a_thread(rules);
    let route = RouteRecord::new(&route_on(eth0));
    let rule = Rule::from_source("192.0.2.10/32".parse().unwrap(), 4711, 10);
    let until = soon();
    in_a_thread(|| {
        let netlink = Netlink::open().unwrap();
        match task {
            "add address" => netlink.add_address(&new, until).unwrap(),
            "delete address" => assert!(netlink.delete_address(&addresses[0], until).unwrap()),
            "add route" => netlink.add_route(&route, until).unwrap(),
            "prepend route" => netlink.prepend_route(&route, until).unwrap(),
            "delete route" => assert!(netlink.delete_route(&route, until).unwrap()),
            "add rule" => netlink.add_rule(&rule, until).unwrap(),
            "delete rule" => {
                let of_all = |rule: &&Rule| rule.priority == 10 && rule.from.is_none();
                let rule = rules.iter().find(of_all).unwrap();
                assert!(netlink.delete_rule(rule, until).unwrap());
            }
            "set link up" => netlink.set_link_up(eth0, until).unwrap(),
            "list" => {
                assert_eq!(netlink.links(until).unwrap().len(), 2);
                let kernel = SockDiag::open().unwrap();
                let found = kernel.bound_sockets(Protocol::Udp, Family::V4, until).unwrap();
                assert_eq!(found, []);
            }
            other => panic!("{other}"),
        }
    });
}

fn in_a_thread<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(action).join().unwrap())
}

fn route_on(link: LinkIndex) -> Route {
    Route {
        destination: DESTINATION.parse().unwrap(),
        link: Some(link),
        gateway: None,
        preferred_source: None,
        scope: Scope::Link,
        table: TABLE_MAIN,
        protocol: RouteProtocol::OWN,
        kind: RouteKind::Unicast,
        metric: 0,
    }
}

#[test]
fn no_descriptor_is_left_for_a_moment() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    a.ip("netns add blue");
    let output = child_of(&a, &[], "descriptors");
    a.ip("netns del blue");
    assert_success("descriptors", &output);
}

fn without_descriptors() {
    log::set_logger(&Relief).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let eth0 = link(&Netlink::open().unwrap(), "eth0");
    let blue: NamespaceName = "blue".parse().unwrap();
    let own = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
    run_out(|| assert_eq!(Netlink::open().unwrap().links(soon()).unwrap().len(), 2));
    run_out(|| {
        let kernel = SockDiag::open().unwrap();
        assert_eq!(kernel.bound_sockets(Protocol::Tcp, Family::V4, soon()).unwrap(), []);
    });
    run_out(|| drop(Events::subscribe(&[EventGroup::Link]).unwrap()));
    run_out(|| drop(PacketSocket::open(&eth0, EtherType::Arp).unwrap()));
    run_out(|| drop(NetworkNamespace::open(&blue).unwrap()));
    run_out(|| assert!(NetworkNamespace::of_number(own).is_some()));
    run_out(|| assert!(Sysctl::default().ip_nonlocal_bind(Family::V4).is_ok()));
    run_out(|| Sysctl::default().set_ip_nonlocal_bind(Family::V4, true).unwrap());
    // A shortage that lasts is told as what it is, before the deadline.
    relieve(|| ());
    let _files = take_all_descriptors();
    let netlink = Netlink::open().unwrap();
    let until = Deadline::after(Duration::from_secs(6));
    let refused = netlink.links(until).unwrap_err();
    assert!(refused.is_transient() && !until.has_passed(), "{refused:?}");
    assert_eq!(refused.to_string(), "cannot open a netlink socket: Too many open files");
}

/// Does `action` while no descriptor is left until it tries again.
fn run_out(action: impl FnOnce()) {
    let files = take_all_descriptors();
    relieve(move || drop(files));
    action();
    assert!(RELIEVED.load(Ordering::SeqCst), "nothing was tried again");
}

fn take_all_descriptors() -> Vec<File> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, most).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn a_frame_that_finds_no_place() {
    testnet::root_or_skip!();
    let (a, _b, _cable) = two_hosts();
    let output = child_of(&a, &[], "queue");
    assert_success("queue", &output);
}

/// A queue for no packets drops each one, which the sender is told (`net_xmit_errno()`,
/// linux/netdevice.h).
fn into_a_full_queue() {
    log::set_logger(&Relief).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let eth0 = link(&Netlink::open().unwrap(), "eth0");
    let frame = arp::probe(eth0.mac.unwrap(), [192, 0, 2, 10].into());
    let mut socket = PacketSocket::open(&eth0, EtherType::Arp).unwrap();
    tc(&["add", "dev", "eth0", "root", "pfifo", "limit", "0"]);
    let refused = socket.send(&frame).unwrap_err();
    assert!(matches!(refused, Error::SendFailed { .. }) && refused.is_transient(), "{refused:?}");
    let text = "cannot send on interface eth0: No buffer space available";
    assert_eq!(refused.to_string(), text);
    relieve(|| tc(&["del", "dev", "eth0", "root"]));
    socket.send(&frame).unwrap();
    assert!(RELIEVED.load(Ordering::SeqCst), "nothing was sent again");
}

fn tc(arguments: &[&str]) {
    let output = Command::new("tc").arg("qdisc").args(arguments).output().unwrap();
    assert_success("tc", &output);
}

/// Ends a shortage when an attempt that met it is followed by another one.
struct Relief;

static RELIEF: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);
static RELIEVED: AtomicBool = AtomicBool::new(false);

fn relieve(relief: impl FnOnce() + Send + 'static) {
    RELIEVED.store(false, Ordering::SeqCst);
    *RELIEF.lock().unwrap() = Some(Box::new(relief));
}

impl log::Log for Relief {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("hostnet")
            && record.args().to_string().contains("trying again")
            && let Some(relief) = RELIEF.lock().unwrap().take()
        {
            relief();
            RELIEVED.store(true, Ordering::SeqCst);
        }
    }

    fn flush(&self) {}
}
