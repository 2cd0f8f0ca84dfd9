use super::*;

#[test]
fn reasons_are_for_people() {
    let main = Pid::new(4711).unwrap();
    let silent = Error::Silent {
        main,
        target: "192.0.2.12:5060".parse().unwrap(),
        patience: Patience { attempts: 3, timeout: Duration::from_secs(2) },
    };
    assert_eq!(
        silent.to_string(),
        "main process 4711 alive, no answer to OPTIONS at udp:192.0.2.12:5060 within 3 x 2s"
    );
    let absent = Error::AbsentAddress { listener: "udp:[2001:db8::10]:5060".parse().unwrap() };
    assert_eq!(
        absent.to_string(),
        "udp:[2001:db8::10]:5060: 2001:db8::10 is not on this host: start OpenSIPS after its \
         address, or set net.ipv6.ip_nonlocal_bind=1 (nonlocal_bind=ensure does)"
    );
    assert_eq!(Seconds(Duration::from_millis(1_250)).to_string(), "1.3s");
    assert_eq!(Seconds(Duration::from_millis(500)).to_string(), "0.5s");
    assert_eq!(
        Error::Locked { holder: None }.to_string(),
        "another start or stop of this instance is at work"
    );
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
    assert_eq!(exit(Error::ConfigUnreadable { path, source: source() }), Exit::Args);
    assert_eq!(exit(Error::NotRoot { action: ocf::Action::Start }), Exit::Permission);
    assert_eq!(exit(Error::NoWorkers { main: Pid::new(1).unwrap() }), Exit::Generic);
}
