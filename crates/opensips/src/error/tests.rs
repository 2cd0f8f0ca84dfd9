use super::*;
use crate::sip::target::Transport;
use ocf::{Exit, Verdict};

#[test]
fn reasons_are_for_people() {
    let main = Pid::new(4711).unwrap();
    let silent = Error::Silent {
        main,
        target: Target { transport: Transport::Udp, address: "192.0.2.12:5060".parse().unwrap() },
        silence: Silence::NoAnswer,
        patience: Patience { attempts: 3, timeout: Duration::from_secs(2) },
    };
    assert_eq!(
        silent.to_string(),
        "main process 4711 alive, no answer to OPTIONS at udp:192.0.2.12:5060 within 3 x 2s"
    );
    let absent =
        sockets::Error::AbsentAddress { listener: "udp:[2001:db8::10]:5060".parse().unwrap() };
    assert_eq!(
        absent.to_string(),
        "udp:[2001:db8::10]:5060 is not on this host: start its address first or set \
         nonlocal_bind=ensure (net.ipv6.ip_nonlocal_bind=1)"
    );
    assert_eq!(Seconds(Duration::from_millis(1_250)).to_string(), "1.3s");
    assert_eq!(Seconds(Duration::from_millis(500)).to_string(), "0.5s");
    assert_eq!(
        Error::Locked { holder: None }.to_string(),
        "another start or stop of this instance is at work"
    );
}

#[test]
fn a_foreign_path_is_fit_for_a_reason() {
    let found = PathBuf::from(format!("/tmp/\u{1b}[2J\n{}", "x".repeat(4000)));
    let pid = Pid::own();
    let reason = Error::OtherExecutable { pid, found, expected: "/x".into() }.to_string();
    assert!(!reason.contains(char::is_control) && reason.len() < 250, "{reason}");
}

#[test]
fn exit_codes() {
    let exit = |error: Error| Verdict::from(error).exit;
    let path = PathBuf::from("/x");
    let source = || io::Error::from(io::ErrorKind::NotFound);
    assert_eq!(
        exit(Error::BinaryMissing { path: path.clone(), source: source() }),
        Exit::Installed
    );
    let execute = |errno| {
        let source = io::Error::from_raw_os_error(errno);
        exit(Error::Execute { path: path.clone(), source })
    };
    assert_eq!(execute(nix::libc::ENOEXEC), Exit::Installed);
    assert_eq!(execute(nix::libc::ENOENT), Exit::Installed);
    assert_eq!(execute(nix::libc::EAGAIN), Exit::Generic);
    assert_eq!(exit(Error::ConfigUnreadable { path, source: source() }), Exit::Args);
    assert_eq!(exit(Error::NotRoot { action: ocf::Action::Start }), Exit::Permission);
    let still_alive = process::Error::StillAlive { pids: "7".to_owned() };
    assert_eq!(exit(still_alive.into()), Exit::Generic);
    let hidden = hostproc::Error::NotPermitted { path: "/proc/7/exe".into(), source: source() };
    assert_eq!(exit(hidden.into()), Exit::Permission);
    let listener: Listener = "sctp:192.0.2.10:5060".parse().unwrap();
    let sockets = |error: sockets::Error| exit(error.into());
    let nonlocal_bind = |source| sockets::Error::NonlocalBind { ip: listener.local.ip(), source };
    let path = || PathBuf::from("/proc/sys/net/ipv4/ip_nonlocal_bind");
    let denied = hostnet::Error::SysctlDenied { path: path(), source: source() };
    let missing = hostnet::Error::SysctlMissing { path: path(), source: source() };
    let absent = sockets::Error::AbsentAddress { listener: listener.clone() };
    assert_eq!(sockets(nonlocal_bind(denied)), Exit::Permission);
    assert_eq!(sockets(nonlocal_bind(missing)), Exit::Generic);
    assert_eq!(sockets(sockets::Error::NoSctp { listener: listener.clone() }), Exit::Installed);
    // It may arrive at any moment.
    assert_eq!(sockets(absent), Exit::Generic);
    let refused = mi::Error::Refused { command: "ps", code: 500, message: "no".to_owned() };
    assert_eq!(exit(refused.into()), Exit::Generic);
    let evidence = Evidence::default();
    assert_eq!(
        exit(Error::Gone { main: Pid::own(), evidence: evidence.clone() }),
        Exit::NotRunning
    );
    let source = Box::new(Error::NoWorkers { main: Pid::own() });
    assert_eq!(exit(Error::Crashed { source, evidence }), Exit::Generic);
    assert_eq!(exit(Error::NoWorkers { main: Pid::new(1).unwrap() }), Exit::Generic);
}

/// Pacemaker keeps and crm_mon shows as many bytes of an exit reason.
const SHOWN: usize = 128;

#[test]
fn what_matters_is_within_what_crm_mon_shows() {
    // As long as they come: a full IPv6 address, the largest pid, a path as people make them.
    let main = Pid::new(4_194_304).unwrap();
    let text = "udp:[2001:0db8:1234:5678:9abc:def0:1234:5678]:50600";
    let listener: Listener = text.replace(":0db8", ":1db8").parse().unwrap();
    let local = listener.local;
    let target = Target { transport: Transport::Udp, address: local };
    let owner = || Owner { local, process: Some((main, "opensips".into())) };
    let path = || PathBuf::from(format!("/etc/opensips/{}/opensips.cfg", "x".repeat(40)));
    let tag = || "virtual-address-of-the-cluster/1".parse::<SharingTag>().unwrap();
    let patience = Patience { attempts: 3, timeout: Duration::from_secs(2) };
    let source = || io::Error::from_raw_os_error(2);
    let endpoint = || "fifo:/run/opensips/opensips_fifo".parse::<mi::Endpoint>().unwrap();
    let silent = |silence| Error::Silent { main, target, silence, patience };
    let pid = main;
    let death = "Nov 24 19:00:02 [4194304] INFO:core:handle_sigs: \
                 child process 4194304 exited by a signal 11";
    let evidence = || Evidence::from_words(death, main);
    let cases = [
        (Error::NotRoot { action: ocf::Action::ValidateAll }, "needs root"),
        (Error::BinaryMissing { path: path(), source: source() }, "is not installed"),
        (Error::BinaryNotExecutable { path: path() }, "is not an executable file"),
        (Error::BinaryIsScript { path: path() }, "give the OpenSIPS executable itself"),
        (Error::ConfigUnreadable { path: path(), source: source() }, "No such file"),
        (
            Error::CheckTimedOut { path: path(), waited: Duration::from_secs(100) },
            "did not end within 100s",
        ),
        (
            Error::VersionTimedOut { path: path(), waited: Duration::from_secs(100) },
            "-V did not end within 100s",
        ),
        (
            sockets::Error::AbsentAddress { listener: listener.clone() }.into(),
            "nonlocal_bind=ensure",
        ),
        (sockets::Error::TentativeAddress { listener: listener.clone() }.into(), "stays tentative"),
        (
            sockets::Error::ForeignSocket { listener: listener.clone(), owner: owner() }.into(),
            "(pid 4194304)",
        ),
        (Error::ForeignPidFile { path: path(), pid }, "another instance of OpenSIPS (pid 4194304)"),
        (Error::StartedElsewhere { pid, pidfile: path() }, "started by something else, systemd?"),
        (
            Error::UnitEnabled { unit: "opensips.service".into(), link: path() },
            "systemctl disable opensips.service",
        ),
        (
            Error::UnitActive { unit: "opensips.service".into(), pid },
            "systemd runs OpenSIPS (pid 4194304)",
        ),
        (Error::File { operation: "remove", path: path(), source: source() }, "No such file"),
        (Error::Execute { path: path(), source: source() }, "its dynamic loader is missing"),
        (
            Error::OtherExecutable { pid, found: path(), expected: path() },
            "give the OpenSIPS executable itself",
        ),
        (Error::Gone { main, evidence: evidence() }, "worker 4194304 ended by SIGSEGV"),
        (
            Error::Crashed {
                source: Box::new(Error::DeadWorker { main, worker: main }),
                evidence: evidence(),
            },
            "worker 4194304 ended by SIGSEGV",
        ),
        (Error::SocketLeft { listener: listener.clone(), owner: owner() }, "(pid 4194304)"),
        (Error::NoSockets { main }, "no UDP or TCP socket"),
        (
            sockets::Error::Closed { main, listener: listener.clone() }.into(),
            "does not listen on udp:[2001:1db8:1234:5678:9abc:def0:1234:5678]:50600",
        ),
        (
            sockets::Error::NotOwn { listener: listener.clone(), owner: owner() }.into(),
            "(pid 4194304)",
        ),
        (Error::Taken { main, listener: listener.clone(), owner: owner() }, "(pid 4194304)"),
        (sockets::Error::NoSctp { listener: listener.clone() }.into(), "this kernel does not have"),
        (silent(Silence::NoAnswer), "within 3 x 2s"),
        (silent(Silence::Closed), "closed before an answer"),
        (silent(Silence::TlsRefused), "TLS refused"),
        (
            Error::UnexpectedAnswer { main, target, code: 503, reason: "x".repeat(100) },
            "answered 503, not among sip_probe_codes",
        ),
        (Error::Unasked { main, target, source: source() }, "can't be sent"),
        (
            mi::Error::Unreachable { endpoint: endpoint(), source: source() }.into(),
            "can't be reached (No such file or directory)",
        ),
        (
            mi::Error::TimedOut { endpoint: endpoint(), waited: patience.timeout, received: 7 }
                .into(),
            "gave no complete answer within 2000 ms",
        ),
        (
            mi::Error::UnknownCommand {
                command: "clusterer_shtag_set_active",
                module: "clusterer",
            }
            .into(),
            "load module clusterer",
        ),
        (Error::TagLost { tag: tag() }, "does not stay active on this node"),
        (Error::TagActive { tag: tag() }, "cluster/1=backup"),
        (Error::TagDeclaredActive { tag: tag(), path: path() }, "cluster/1=backup"),
    ];
    for (error, essential) in cases {
        let reason = error.to_string();
        let end = reason.find(essential).map(|at| at + essential.len());
        assert!(end.is_some_and(|end| end <= SHOWN), "{essential:?} ends at {end:?} in {reason:?}");
    }
}
