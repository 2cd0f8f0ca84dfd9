use super::*;
use crate::daemon::crash::Evidence;
use crate::daemon::release::Release;
use crate::params::SharingTag;
use crate::process::survey::{Elsewhere, Starter};
use crate::sip::probe::{Patience, Silence};
use crate::sip::target::{Target, Transport};
use crate::sockets::listener::Listener;
use crate::sockets::owner::{Holder, Owner};
use hostproc::Pid;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

fn missing() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::ENOENT)
}

#[test]
fn reasons_are_for_people() {
    let main = Pid::new(4711).unwrap();
    let silent = health::Error::Silent {
        main,
        target: Target { transport: Transport::Udp, address: "192.0.2.12:5060".parse().unwrap() },
        silence: Silence::NoAnswer,
        patience: Patience { attempts: 3, timeout: Duration::from_secs(2) },
    };
    assert_eq!(
        silent.to_string(),
        "OpenSIPS (pid 4711) does not serve: no answer to OPTIONS at udp:192.0.2.12:5060 within 3 x \
         2s"
    );
    let absent =
        sockets::Error::AbsentAddress { listener: "udp:[2001:db8::10]:5060".parse().unwrap() };
    assert_eq!(
        absent.to_string(),
        "udp:[2001:db8::10]:5060 is not on this host: start its address first or set \
         nonlocal_bind=ensure (net.ipv6.ip_nonlocal_bind=1)"
    );
    let seconds = |millis| daemon::Seconds(Duration::from_millis(millis)).to_string();
    assert_eq!((seconds(1_250), seconds(500)), ("1.3s".into(), "0.5s".into()));
    assert_eq!(
        instance::Error::Locked { holder: None }.to_string(),
        "another start or stop of this instance is running: wait for its end"
    );
    let gone = health::Error::Gone { main, evidence: Evidence::default() };
    assert_eq!(gone.to_string(), "OpenSIPS (pid 4711) died: see the log of OpenSIPS");
    let logged = "Nov 24 19:00:02 [4711] INFO:core:main: x";
    let gone = health::Error::Gone { main, evidence: Evidence::from_words(logged, main) };
    assert_eq!(
        gone.to_string(),
        "OpenSIPS (pid 4711) died without logging an error (SIGKILL? out of memory?): see journalctl -k"
    );
}

#[test]
fn a_foreign_path_is_fit_for_a_reason() {
    let found = PathBuf::from(format!("/tmp/\u{1b}[2J\n{}", "x".repeat(4000)));
    let pid = Pid::own();
    let reason = daemon::Error::OtherExecutable { pid, found, expected: "/x".into() }.to_string();
    assert!(!reason.contains(char::is_control) && reason.len() < 300, "{reason}");
}

fn exit(error: impl Into<Error>) -> Exit {
    Verdict::from(error.into()).exit
}

#[test]
fn exit_codes_of_start() {
    let path = || PathBuf::from("/x");
    let execute = |errno| {
        let source = io::Error::from_raw_os_error(errno);
        exit(daemon::Error::Execute { path: path(), source })
    };
    assert_eq!(execute(nix::libc::ENOEXEC), Exit::Installed);
    assert_eq!(execute(nix::libc::ENOENT), Exit::Installed);
    assert_eq!(execute(nix::libc::EAGAIN), Exit::Generic);
    let no_binary = daemon::Error::BinaryMissing { path: path(), source: missing() };
    assert_eq!(exit(no_binary), Exit::Installed);
    let no_config = daemon::Error::ConfigUnreadable { path: path(), source: missing() };
    assert_eq!(exit(no_config), Exit::Args);
    // A file that may be there after a moment is no reason to bar the node.
    let of_file = |errno| {
        let unreadable = |path, source| daemon::Error::ConfigUnreadable { path, source };
        let source = io::Error::from_raw_os_error(errno);
        exit(daemon::Error::of_file(&path(), source, unreadable))
    };
    for errno in [nix::libc::EIO, nix::libc::ESTALE, nix::libc::ENOMEM, nix::libc::EINTR] {
        assert_eq!(of_file(errno), Exit::Generic);
    }
    assert_eq!(of_file(nix::libc::ENOENT), Exit::Args);
    assert_eq!(of_file(nix::libc::EACCES), Exit::Args);
    let of_account = || daemon::Error::NoSuchAccount { kind: "user", name: "x".into() };
    assert_eq!(exit(health::Error::from(of_account())), Exit::Args);
    assert_eq!(exit(promotion::Error::from(of_account())), Exit::Args);
    assert_eq!(exit(instance::Error::NotRoot { action: ocf::Action::Start }), Exit::Permission);
    assert_eq!(exit(instance::Error::Stopped { action: ocf::Action::Start }), Exit::Generic);
    let tag: SharingTag = "vip/1".parse().unwrap();
    assert_eq!(exit(promotion::Error::TagActive { tag: tag.clone() }), Exit::Args);
    assert_eq!(exit(promotion::Error::TagLost { tag }), Exit::Generic);
    assert_eq!(exit(promotion::Error::NothingToPromote), Exit::Generic);
}

/// The hard codes of a start: each names what only a change of the definition or of this node's files heals.
#[test]
fn hard_exit_codes_of_start() {
    let (path, tag) = (|| PathBuf::from("/x"), || "vip/1".parse::<SharingTag>().unwrap());
    let (pid, unit) = (Pid::own(), || "opensips.service".to_owned());
    let release = Release::of("opensips 2.4.11").unwrap();
    for error in [
        Error::from(daemon::Error::BinaryIsScript { path: path() }),
        daemon::Error::OtherExecutable { pid, found: path(), expected: path() }.into(),
        daemon::Error::ConfigFault { said: String::new() }.into(),
        daemon::Error::UnitEnabled { unit: unit(), link: path() }.into(),
        daemon::Error::MiTooOld { path: path(), release }.into(),
        daemon::Error::EnvironmentUnreadable { path: path(), source: missing() }.into(),
        daemon::Error::NoSuchAccount { kind: "user", name: String::new() }.into(),
        promotion::Error::TagDeclaredActive { tag: tag(), path: path() }.into(),
        promotion::Error::TagUndeclared { tag: tag() }.into(),
    ] {
        let text = error.to_string();
        assert_eq!(exit(error), Exit::Args, "{text}");
    }
    assert_eq!(exit(daemon::Error::BinaryNotExecutable { path: path() }), Exit::Installed);
    assert_eq!(exit(daemon::Error::NoPtrace { user: String::new() }), Exit::Permission);
    let not_implemented = Error::NotImplemented(ocf::Action::Notify);
    assert_eq!(exit(not_implemented), Exit::Unimplemented);
}

#[test]
fn an_error_is_a_finding_with_its_code() {
    let findings = Error::NotImplemented(ocf::Action::Notify).into_findings();
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(finding.exit, Exit::Unimplemented);
}

/// What can be over at the next attempt bars no node.
#[test]
fn exit_codes_of_what_can_pass() {
    let (path, tag) = (|| PathBuf::from("/x"), || "vip/1".parse::<SharingTag>().unwrap());
    let second = Duration::from_secs(1);
    for error in [
        Error::from(daemon::Error::UnitActive { unit: String::new(), pid: Pid::own() }),
        daemon::Error::AccountLookup { kind: "user", name: String::new(), source: missing() }
            .into(),
        daemon::Error::CheckTimedOut { path: path(), waited: second }.into(),
        daemon::Error::VersionTimedOut { path: path(), waited: second }.into(),
        daemon::Error::SocketLeftOut { said: String::new() }.into(),
        daemon::Error::Foreground { pid: Pid::own(), config: path() }.into(),
        hostfs::Error { operation: "write", path: path(), source: missing() }.into(),
        promotion::Error::NoClusterer { tag: tag() }.into(),
        promotion::Error::DeclarationUnknown { tag: tag(), path: path(), source: missing() }.into(),
    ] {
        let text = error.to_string();
        assert_eq!(exit(error), Exit::Generic, "{text}");
    }
}

#[test]
fn exit_codes_of_sockets_and_processes() {
    let listener: Listener = "sctp:192.0.2.10:5060".parse().unwrap();
    let nonlocal_bind = |source| sockets::Error::NonlocalBind { ip: listener.local.ip(), source };
    let path = || PathBuf::from("/proc/sys/net/ipv4/ip_nonlocal_bind");
    let denied = || hostnet::Error::SysctlDenied { path: path(), source: missing() };
    let no_setting = hostnet::Error::SysctlMissing { path: path(), source: missing() };
    assert_eq!(exit(nonlocal_bind(denied())), Exit::Permission);
    assert_eq!(exit(health::Error::from(nonlocal_bind(denied()))), Exit::Permission);
    assert_eq!(exit(nonlocal_bind(no_setting)), Exit::Generic);
    assert_eq!(exit(sockets::Error::AbsentAddress { listener: listener.clone() }), Exit::Generic);
    assert_eq!(exit(sockets::Error::NoSctp { listener }), Exit::Installed);

    let hidden = || hostproc::Error::NotPermitted { path: "/proc/7/exe".into(), source: missing() };
    assert_eq!(exit(hidden()), Exit::Permission);
    assert_eq!(exit(instance::Error::from(hidden())), Exit::Permission);
    assert_eq!(exit(daemon::Error::from(hidden())), Exit::Permission);
    assert_eq!(exit(health::Error::from(hidden())), Exit::Permission);
    assert_eq!(exit(process::Error::StillAlive { pids: "7".to_owned() }), Exit::Generic);

    let (main, evidence) = (Pid::own(), Evidence::default());
    assert_eq!(exit(health::Error::NoWorkers { main }), Exit::Generic);
    let source = Box::new(health::Error::NoWorkers { main });
    assert_eq!(exit(health::Error::Crashed { source, evidence: evidence.clone() }), Exit::Generic);
    let source = Box::new(health::Error::from(hidden()));
    let crashed = health::Error::Crashed { source, evidence: evidence.clone() };
    assert_eq!(exit(crashed), Exit::Permission);
    assert_eq!(exit(health::Error::Gone { main, evidence }), Exit::NotRunning);
}

/// Pacemaker keeps and crm_mon shows as many bytes of an exit reason.
const SHOWN: usize = 128;

fn assert_shown(cases: Vec<(Error, &str)>) {
    for (error, essential) in cases {
        let reason = error.to_string();
        let end = reason.find(essential).map(|at| at + essential.len());
        assert!(end.is_some_and(|end| end <= SHOWN), "{essential:?} ends at {end:?} in {reason:?}");
    }
}

/// The largest pid.
fn pid() -> Pid {
    Pid::new(4_194_304).unwrap()
}

/// As long as people make paths.
fn path() -> PathBuf {
    PathBuf::from(format!("/etc/opensips/{}/opensips.cfg", "x".repeat(40)))
}

/// A full IPv6 address.
fn listener() -> Listener {
    "udp:[2001:1db8:1234:5678:9abc:def0:1234:5678]:50600".parse().unwrap()
}

fn owner() -> Owner {
    let holder = Holder { pid: pid(), name: "opensips".into(), resource: None };
    Owner { local: listener().local, process: Some(Box::new(holder)) }
}

fn elsewhere(starter: Starter) -> Error {
    let elsewhere = Elsewhere { pid: pid(), pidfile: Some(path()), starter };
    instance::Error::from(elsewhere).into()
}

#[test]
fn what_matters_of_a_start_is_within_what_crm_mon_shows() {
    let waited = Duration::from_secs(100);
    let unit = || "opensips.service".to_owned();
    let file = || hostfs::Error { operation: "remove", path: path(), source: missing() };
    assert_shown(vec![
        (
            instance::Error::NotRoot { action: ocf::Action::ValidateAll }.into(),
            "is not permitted: run it as root",
        ),
        (
            instance::Error::ForeignPidFile { path: path(), pid: pid(), resource: None }.into(),
            "another OpenSIPS (pid 4194304)",
        ),
        (elsewhere(Starter::Unknown), "run \"systemctl disable --now opensips\""),
        (
            elsewhere(Starter::Resource("opensips".to_owned())),
            "resource opensips: set another config",
        ),
        (elsewhere(Starter::Unit(unit())), "run systemctl disable --now opensips.service"),
        (
            instance::Error::ConfigLocked { config: path(), holder: Some(pid()) }.into(),
            "give each its own config",
        ),
        (file().into(), "No such file"),
        (
            daemon::Error::BinaryMissing { path: path(), source: missing() }.into(),
            "is not installed",
        ),
        (daemon::Error::BinaryNotExecutable { path: path() }.into(), "is not an executable file"),
        (
            daemon::Error::BinaryIsScript { path: path() }.into(),
            "is a script: set binary to the OpenSIPS",
        ),
        (
            daemon::Error::ConfigUnreadable { path: path(), source: missing() }.into(),
            "No such file",
        ),
        (daemon::Error::CheckTimedOut { path: path(), waited }.into(), "did not end within 100s"),
        (
            daemon::Error::VersionTimedOut { path: path(), waited }.into(),
            "-V did not end within 100s",
        ),
        (
            daemon::Error::UnitEnabled { unit: unit(), link: path() }.into(),
            "systemctl disable opensips.service",
        ),
        (
            daemon::Error::UnitActive { unit: unit(), pid: pid() }.into(),
            "run systemctl disable --now opensips.service",
        ),
        (
            daemon::Error::Execute { path: path(), source: missing() }.into(),
            "its dynamic loader is missing",
        ),
        (
            daemon::Error::OtherExecutable { pid: pid(), found: path(), expected: path() }.into(),
            "set binary to the OpenSIPS executable itself",
        ),
    ]);
}

#[test]
fn what_matters_of_a_socket_is_within_what_crm_mon_shows() {
    assert_shown(vec![
        (sockets::Error::AbsentAddress { listener: listener() }.into(), "nonlocal_bind=ensure"),
        (sockets::Error::TentativeAddress { listener: listener() }.into(), "stays tentative"),
        (
            sockets::Error::ForeignSocket { listener: listener(), owner: owner() }.into(),
            "(pid 4194304)",
        ),
        (sockets::Error::NoSctp { listener: listener() }.into(), "this kernel does not have"),
    ]);
}

#[test]
fn what_matters_of_a_monitor_is_within_what_crm_mon_shows() {
    let main = pid();
    let target = Target { transport: Transport::Udp, address: listener().local };
    let patience = Patience { attempts: 3, timeout: Duration::from_secs(2) };
    let silent = |silence| Error::from(health::Error::Silent { main, target, silence, patience });
    let death = "Nov 24 19:00:02 [4194304] INFO:core:handle_sigs: \
                 child process 4194304 exited by a signal 11";
    let evidence = || Evidence::from_words(death, main);
    let dead_worker = || Box::new(health::Error::DeadWorker { main, worker: main });
    assert_shown(vec![
        (
            health::Error::Gone { main, evidence: evidence() }.into(),
            "worker 4194304 ended by SIGSEGV",
        ),
        (
            health::Error::Crashed { source: dead_worker(), evidence: evidence() }.into(),
            "worker 4194304 ended by SIGSEGV",
        ),
        (
            health::Error::StaleSocket { listener: listener(), owner: owner() }.into(),
            "(pid 4194304)",
        ),
        (health::Error::NoSockets { main }.into(), "no UDP or TCP socket"),
        (
            sockets::Error::Closed { main, listener: listener() }.into(),
            "does not listen on udp:[2001:1db8:1234:5678:9abc:def0:1234:5678]:50600",
        ),
        (sockets::Error::NotOwn { listener: listener(), owner: owner() }.into(), "(pid 4194304)"),
        (health::Error::Taken { listener: listener(), owner: owner() }.into(), "(pid 4194304)"),
        (silent(Silence::NoAnswer), "within 3 x 2s"),
        (silent(Silence::Closed), "closed before an answer"),
        (silent(Silence::TlsRefused), "TLS refused"),
        (
            health::Error::UnexpectedAnswer { target, code: 503, reason: "x".repeat(100) }.into(),
            "is answered with 503, not among sip_probe_codes",
        ),
        (health::Error::Unasked { target, source: missing() }.into(), "can't be sent"),
    ]);
}

#[test]
fn what_matters_of_a_role_is_within_what_crm_mon_shows() {
    let tag = || "virtual-address-of-the-cluster/1".parse::<SharingTag>().unwrap();
    let endpoint = || mi::Endpoint::Fifo(PathBuf::from("/run/opensips/instance-1/fifo"));
    let waited = Duration::from_secs(2);
    assert_shown(vec![
        (
            mi::Error::Unreachable { endpoint: endpoint(), source: missing() }.into(),
            "can't be reached (No such file or directory)",
        ),
        (
            mi::Error::TimedOut { endpoint: endpoint(), waited, received: 7 }.into(),
            "gave no complete answer within 2000 ms",
        ),
        (promotion::Error::NoClusterer { tag: tag() }.into(), "load clusterer.so"),
        (promotion::Error::TagUndeclared { tag: tag() }.into(), "OpenSIPS has no such sharing tag"),
        (
            promotion::Error::DeclarationUnknown { tag: tag(), path: path(), source: missing() }
                .into(),
            "can't be read (No such file or directory)",
        ),
        (promotion::Error::TagLost { tag: tag() }.into(), "does not stay active on this node"),
        (
            promotion::Error::TagActive { tag: tag() }.into(),
            "is active after start, which takes it from the active node",
        ),
        (
            promotion::Error::TagDeclaredActive { tag: tag(), path: path() }.into(),
            "declares sharing tag virtual-address-of-the-cluster/1=active",
        ),
    ]);
}
