use super::*;
use ocf::InstanceName;
use std::ffi::OsStr;

fn params(pairs: &[(&str, &str)]) -> Params {
    let values = pairs.iter().copied().collect();
    Params::read(&values, &InstanceName::new(OsStr::new("x"))).unwrap()
}

fn texts(targets: &[Target]) -> Vec<String> {
    targets.iter().map(ToString::to_string).collect()
}

fn listeners(texts: &[&str]) -> Vec<Listener> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_failure_of_a_socket_that_was_asked_is_told_first() {
    let target = Target::of(&"udp:192.0.2.10:5060".parse().unwrap()).unwrap();
    let unasked = || Error::Unasked { target, source: io::Error::other("x") };
    let answered = || Error::UnexpectedAnswer { target, code: 503, reason: String::new() };
    let first = |failures| {
        let asked = Asked { remarks: vec![], failures, best_answers: false, one_answers: false };
        asked.first_failure()
    };
    assert!(first(vec![]).is_none());
    assert!(matches!(first(vec![unasked()]), Some(Error::Unasked { .. })));
    for failures in [vec![unasked(), answered()], vec![answered(), unasked()]] {
        assert!(matches!(first(failures), Some(Error::UnexpectedAnswer { .. })));
    }
}

#[test]
fn a_refused_transport_is_no_fault_where_no_socket_is_named() {
    let no_fault = |pairs: &[(&str, &str)], reach, silence| {
        let probing = Probing { params: &params(pairs), main: Pid::own(), listeners: &[], reach };
        probing.is_no_fault(silence)
    };
    let refused = Silence::TlsRefused;
    assert!(no_fault(&[], Reach::Groups, refused));
    assert!(!no_fault(&[], Reach::Every, refused));
    assert!(!no_fault(&[("sip_probe", "tls:127.0.0.1:5061")], Reach::Groups, refused));
    assert!(!no_fault(&[], Reach::Groups, Silence::NoAnswer));
}

#[test]
fn the_order_of_the_candidates() {
    let listeners = listeners(&[
        "tls:127.0.0.1:5061",
        "tcp:127.0.0.1:5060",
        "udp:0.0.0.0:5062",
        "hep_udp:127.0.0.1:9060",
        "tcp:192.0.2.10:5060",
        "udp:192.0.2.10:5060",
        "ws:127.0.0.1:80",
    ]);
    let candidates =
        |pairs: &[(&str, &str)], reach| texts(&candidates(&params(pairs), &listeners, reach));
    let all = [
        "udp:127.0.0.1:5062",
        "udp:192.0.2.10:5060",
        "tcp:127.0.0.1:5060",
        "tcp:192.0.2.10:5060",
        "tls:127.0.0.1:5061",
        "ws:127.0.0.1:80",
    ];
    assert_eq!(candidates(&[], Reach::Groups), all);
    assert_eq!(candidates(&[], Reach::Every), all);
    // The virtual address is what the clients use; UDP is still the first.
    assert_eq!(
        candidates(&[("vip", "192.0.2.10")], Reach::Groups),
        [
            "udp:192.0.2.10:5060",
            "udp:127.0.0.1:5062",
            "tcp:192.0.2.10:5060",
            "tcp:127.0.0.1:5060",
            "tls:127.0.0.1:5061",
            "ws:127.0.0.1:80",
        ]
    );
    let named = [("sip_probe", "tcp:127.0.0.1:5060")];
    assert_eq!(candidates(&named, Reach::Groups), ["tcp:127.0.0.1:5060"]);
    assert_eq!(candidates(&named, Reach::Every), all);
    for reach in [Reach::Groups, Reach::Every] {
        assert!(candidates(&[("sip_probe", "none")], reach).is_empty());
    }
}

#[test]
fn one_socket_of_each_group() {
    let targets = |texts: &[&str]| -> Vec<Target> {
        listeners(texts).iter().filter_map(Target::of).collect()
    };
    let all = [
        "udp:192.0.2.10:5060",
        "udp:127.0.0.1:5060",
        "tcp:192.0.2.10:5060",
        "tcp:192.0.2.11:5060",
        "tcp:127.0.0.1:5060",
        "tls:127.0.0.1:5061",
        "tls:127.0.0.1:5062",
        "ws:127.0.0.1:80",
        "wss:127.0.0.1:443",
    ];
    let vips = ["192.0.2.10", "192.0.2.11"].map(|ip| ip.parse().unwrap());
    assert_eq!(
        texts(&one_of_each_group(targets(&all), &vips)),
        [&all[..4], &["tls:127.0.0.1:5061", "ws:127.0.0.1:80", "wss:127.0.0.1:443"]].concat()
    );
    let without = texts(&one_of_each_group(targets(&all), &[]));
    assert_eq!(without[..4], [all[0], all[1], all[2], all[5]]);
}

#[test]
fn a_standby_never_probes_the_active_node() {
    let listeners = listeners(&["udp:192.0.2.10:5060", "tcp:127.0.0.1:5060"]);
    let nothing = LocalAddresses::default();
    let targets = |pairs: &[(&str, &str)], listeners: &[Listener], reach| {
        let candidates = candidates(&params(pairs), listeners, reach);
        texts(&on_this_host(candidates, &nothing))
    };
    for reach in [Reach::Groups, Reach::Every] {
        // The virtual address is elsewhere: the other socket is probed.
        let vip = [("vip", "192.0.2.10")];
        assert_eq!(targets(&vip, &listeners, reach), ["tcp:127.0.0.1:5060"]);
        assert_eq!(targets(&vip, &listeners[..1], reach), [""; 0]);
    }
    let elsewhere = [("sip_probe", "udp:192.0.2.10:5060")];
    assert_eq!(targets(&elsewhere, &listeners, Reach::Groups), [""; 0]);
}

/// Of two sockets: how many failures and remarks there are, whether the best one answers, and whether one does.
fn weighed(
    pairs: &[(&str, &str)],
    reach: Reach,
    outcomes: [io::Result<Outcome>; 2],
) -> (usize, usize, bool, bool) {
    let params = params(pairs);
    let probing = Probing { params: &params, main: Pid::own(), listeners: &[], reach };
    let both = listeners(&["udp:192.0.2.10:5060", "tls:192.0.2.10:5061"]);
    let targets: Vec<Target> = both.iter().filter_map(Target::of).collect();
    let (failures, asked) = probing.weigh(&targets, Vec::from(outcomes));
    assert!(asked.failures.is_empty());
    (failures.len(), asked.remarks.len(), asked.best_answers, asked.one_answers)
}

#[test]
fn what_the_outcomes_mean() {
    let patience = Patience { attempts: 1, timeout: Duration::from_secs(1) };
    let alive = |code| Ok(Outcome::Alive { code: Some(code), took: Duration::ZERO });
    let silent = |silence| Ok(Outcome::Silent { silence, patience });
    let (groups, every) = (Reach::Groups, Reach::Every);
    assert_eq!(weighed(&[], groups, [alive(200), alive(200)]), (0, 0, true, true));
    assert_eq!(weighed(&[], groups, [silent(Silence::NoAnswer), alive(200)]), (1, 0, false, true));
    let none = [silent(Silence::NoAnswer), silent(Silence::NoAnswer)];
    assert_eq!(weighed(&[], groups, none), (2, 0, false, false));
    let unexpected = Ok(Outcome::Unexpected { code: 503, reason: String::new() });
    assert_eq!(weighed(&[], groups, [alive(200), unexpected]), (1, 0, true, true));
    let unasked = || Err(io::Error::other("x"));
    assert_eq!(weighed(&[], groups, [unasked(), unasked()]), (2, 0, false, false));
    // Degraded is what the administrator calls so.
    let degraded = [("sip_probe_codes", "any,503=degraded")];
    assert_eq!(weighed(&degraded, groups, [alive(200), alive(503)]), (0, 1, true, true));
    // A transport that is refused, and a connection that is closed, where another socket answers.
    let refused = |reach| weighed(&[], reach, [alive(200), silent(Silence::TlsRefused)]);
    assert_eq!((refused(groups), refused(every)), ((0, 0, true, true), (1, 0, true, true)));
    let closed = |reach| weighed(&[], reach, [alive(200), silent(Silence::Closed)]);
    assert_eq!((closed(groups), closed(every)), ((0, 1, true, true), (1, 0, true, true)));
    for silence in [Silence::TlsRefused, Silence::Closed] {
        let alone = [silent(Silence::NoAnswer), silent(silence)];
        assert_eq!(weighed(&[], groups, alone), (2, 0, false, false), "{silence:?}");
    }
}
