use super::*;
use std::ffi::OsStr;
use std::path::Path;

fn read(pairs: &[(&str, &str)]) -> Result<Params, String> {
    let values = pairs.iter().copied().collect();
    Params::read(&values, &InstanceName::new(OsStr::new("sip:0")))
        .map_err(|findings| findings.to_string())
}

fn asked(params: &Params) -> String {
    match params.probe.target {
        ProbeTarget::At(target) => target.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn defaults() {
    let params = read(&[]).unwrap();
    assert_eq!(params.binary, Path::new("/usr/sbin/opensips"));
    // Without the number of the clone's instance, which changes over time.
    assert_eq!(params.pidfile, Path::new("/run/opensips/sip.pid"));
    assert_eq!(params.open_files, 262_144);
    assert_eq!(params.nonlocal_bind, NonlocalBind::Check);
    assert_eq!(params.probe.target, ProbeTarget::Auto);
    assert_eq!(params.probe.question, Question::default());
    let patience = Patience { attempts: 3, timeout: Duration::from_secs(2) };
    assert_eq!(params.probe.patience, patience);
    assert_eq!((params.mi, params.demote, params.shm_limit), (None, Demote::Keep, 90));
    assert_eq!(params.mi_reply_dir, Path::new("/tmp"));
    assert!(params.sharing_tags.is_empty());
    assert!(params.start_check && params.vips.is_empty() && params.stop_grace.is_none());
}

#[test]
fn values() {
    let params = read(&[
        ("pidfile", "/run/x.pid"),
        ("user", "1000"),
        ("vip", "192.0.2.10, 2001:DB8:0::10"),
        ("sip_probe", "udp:[::1]:5070"),
        ("sip_probe_codes", "200"),
        ("extra_options", "-n 4"),
        ("stop_grace", "30s"),
        ("start_check", "no"),
    ])
    .unwrap();
    assert_eq!(params.pidfile, Path::new("/run/x.pid"));
    assert_eq!(params.user.number(), Some(1000));
    let vips: Vec<IpAddr> = vec!["192.0.2.10".parse().unwrap(), "2001:db8::10".parse().unwrap()];
    assert_eq!(params.vips, vips);
    assert_eq!(asked(&params), "udp:[::1]:5070");
    assert_eq!(params.extra_options, ["-n", "4"]);
    assert_eq!(params.stop_grace, Some(Duration::from_secs(30)));
    assert!(!params.start_check);
    let standby = read(&[
        ("mi", "fifo:/run/opensips/fifo"),
        ("mi_reply_dir", "/run/smartvox/mi/"),
        ("mi_fallback", "datagram:127.0.0.1:8080"),
        ("mi_timeout", "500ms"),
        ("sharing_tag", "vip/1 sip/2"),
        ("demote", "restart"),
    ])
    .unwrap();
    assert_eq!(standby.mi_reply_dir, Path::new("/run/smartvox/mi"));
    assert_eq!(standby.sharing_tags.len(), 2);
    assert_eq!(standby.mi_timeout, Duration::from_millis(500));
    let endpoints: Vec<String> = standby.endpoints().map(ToString::to_string).collect();
    assert_eq!(endpoints, ["fifo:/run/opensips/fifo", "datagram:127.0.0.1:8080"]);
    assert_eq!(standby.demote, Demote::Restart);
    for (probe, expected) in [
        ("udp:0.0.0.0:5060", "udp:127.0.0.1:5060"),
        ("tcp:192.0.2.10:5060", "tcp:192.0.2.10:5060"),
        ("tls:[2001:DB8::10]:5061", "tls:[2001:db8::10]:5061"),
        ("wss:192.0.2.10:443", "wss:192.0.2.10:443"),
    ] {
        assert_eq!(asked(&read(&[("sip_probe", probe)]).unwrap()), expected);
    }
}

#[test]
fn each_wrong_value_has_its_sentence() {
    for (name, value) in [
        ("binary", "opensips"),
        ("config", "/etc/opensips/"),
        ("config", "/etc/a\nocf-exit-reason:b"),
        ("pidfile", "x.pid"),
        ("user", "a b"),
        ("user", "-x"),
        ("group", "$(reboot)"),
        ("shm_memory", "0"),
        ("shm_memory", "64MB"),
        ("pkg_memory", "-1"),
        ("open_files", "none"),
        ("extra_options", "-f /etc/other.cfg"),
        ("extra_options", "'"),
        ("vip", "192.0.2.256"),
        ("vip", "0.0.0.0"),
        ("vip", "192.0.2.10/24"),
        ("nonlocal_bind", "yes"),
        ("listeners", "udp:192.0.2.10"),
        ("listeners", "udp:192.0.2.10:5060,dns:192.0.2.10:53"),
        ("sip_probe", "bin:127.0.0.1:5060"),
        ("sip_probe", "sctp:127.0.0.1:5060"),
        ("sip_probe", "tcp:127.0.0.1"),
        ("sip_probe", "udp:[fe80::1]:5060"),
        ("sip_probe", "127.0.0.1"),
        ("sip_probe_codes", "2xx"),
        ("sip_probe_timeout", "0"),
        ("sip_probe_timeout", "soon"),
        ("sip_probe_attempts", "0"),
        ("mi", "/run/opensips/fifo"),
        ("mi", "http://192.0.2.1:80/mi"),
        ("mi_fallback", "/run/opensips/fifo"),
        ("mi_fallback", "fifo:/run/opensips/fifo"),
        ("mi_fallback", "datagram:127.0.0.1:8080"),
        ("mi_timeout", "0"),
        ("mi_timeout", "long"),
        ("mi_reply_dir", "tmp"),
        ("mi_reply_dir", "/"),
        ("sharing_tag", "vip"),
        ("sharing_tag", "vip/1"),
        ("demote", "restart"),
        ("demote", "stop"),
        ("shm_limit", "0"),
        ("shm_limit", "101"),
        ("start_check", "maybe"),
        ("stop_grace", "2h"),
    ] {
        let error = read(&[(name, value)]).unwrap_err();
        assert!(error.starts_with(&format!("{name}=")), "{name}={value}: {error}");
        assert!(!error.contains('\n') && !error.contains("; "), "{error}");
    }
    let long = "/".repeat(1 << 20);
    assert!(read(&[("config", &long)]).unwrap_err().len() < 200);
    let two = read(&[("vip", "x"), ("user", " ")]).unwrap_err();
    assert_eq!(two.split("; ").count(), 2, "{two}");
}

#[test]
fn a_wrong_name_is_none_and_the_others_stay() {
    let values = [("config", "relative"), ("pidfile", "/run/x.pid"), ("vip", "x")];
    let values: Values = values.into_iter().collect();
    let names = Names::read(&values, &InstanceName::new(OsStr::new("sip")));
    assert_eq!(names.config, None);
    assert_eq!(names.pidfile.as_deref(), Some(Path::new("/run/x.pid")));
    assert_eq!(names.binary.as_deref(), Some(Path::new("/usr/sbin/opensips")));
    let values: Values = [("pidfile", "relative")].into_iter().collect();
    assert_eq!(Names::read(&values, &InstanceName::new(OsStr::new("sip"))).pidfile, None);
}
