//! Wrong input on every action, and surroundings that lack everything.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::site::recurring;
use crate::{ends, every_daemon, fails};

#[test]
fn each_wrong_parameter_on_every_action() {
    testnet::root_or_skip!();
    every_daemon("each_wrong_parameter_on_every_action", |site| {
        let long = format!("/{}", "x".repeat(100_000));
        let cases: [(&str, &OsStr); 18] = [
            ("binary", OsStr::new("opensips")),
            ("config", OsStr::new("/etc/opensips/\nocf-exit-reason:forged")),
            ("config", OsStr::from_bytes(b"/etc/\xff\xfe.cfg")),
            ("config", OsStr::new(&long)),
            ("pidfile", OsStr::new("-P")),
            ("user", OsStr::new("$(touch /tmp/x)")),
            ("group", OsStr::new("a b")),
            ("shm_memory", OsStr::new("-1")),
            ("pkg_memory", OsStr::new("99999999999999999999")),
            ("open_files", OsStr::new("many")),
            ("extra_options", OsStr::new("-n 4 -D")),
            ("vip", OsStr::new("192.0.2.256")),
            ("nonlocal_bind", OsStr::new("maybe")),
            ("sip_probe", OsStr::new("udp:localhost:5060")),
            ("sip_probe_codes", OsStr::new("2xx")),
            ("sip_probe_attempts", OsStr::new("0")),
            ("stop_grace", OsStr::new("-1s")),
            ("systemd_unit", OsStr::new("../opensips.service")),
        ];
        for (name, value) in cases {
            println!("{name}={}", value.to_string_lossy().chars().take(60).collect::<String>());
            let wrong = site.agent().param(name, value);
            let words = format!("{name}=");
            for action in ["start", "monitor", "validate-all", "reload-agent"] {
                let outcome = wrong.action(action);
                fails(&outcome, 6, &words);
                assert!(outcome.stderr.len() < 1000, "{}", outcome.stderr.len());
            }
            ends(&wrong.action("stop"), 0);
        }
        site.nothing_is_left();
        assert!(!std::path::Path::new("/tmp/x").exists());
    });
}

#[test]
fn every_finding_is_told() {
    testnet::root_or_skip!();
    every_daemon("every_finding_is_told", |site| {
        let wrong = site.agent().param("vip", "x").param("nonlocal_bind", "y");
        let outcome = wrong.action("validate-all");
        fails(&outcome, 6, "vip=x");
        fails(&outcome, 6, "nonlocal_bind=y");
        let lacking = site.agent().param("user", "no-user").param("group", "no-group");
        let outcome = lacking.env("OCF_CHECK_LEVEL", "10").action("validate-all");
        fails(&outcome, 2, "no-user");
        fails(&outcome, 2, "no-group");
    });
}

#[test]
fn empty_values_count_as_not_set() {
    testnet::root_or_skip!();
    every_daemon("empty_values_count_as_not_set", |site| {
        let names = ["pidfile", "vip", "sip_probe", "extra_options", "stop_grace", "shm_memory"];
        let agent = names.iter().fold(site.agent(), |agent, name| agent.param(name, ""));
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn unknown_actions() {
    testnet::root_or_skip!();
    every_daemon("unknown_actions", |site| {
        for action in ["status", "notify", "reload", "START", ""] {
            fails(&site.agent().action(action), 3, "is not implemented");
        }
    });
}

#[test]
fn meta_data_and_parameters_need_nobody() {
    testnet::root_or_skip!();
    every_daemon("meta_data_and_parameters_need_nobody", |site| {
        let run = |action: &str| {
            let mut command = Command::new(testnet::binary("opensips"));
            command.arg(action).env_clear().uid(65534).gid(65534).current_dir("/");
            site.host.output(&mut command)
        };
        let output = run("meta-data");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert!(output.stdout.ends_with(b"</resource-agent>\n"));
        assert!(run("validate-all").status.success());
        for action in ["start", "stop", "monitor", "promote", "demote"] {
            let output = run(action);
            assert_eq!(output.status.code(), Some(4), "{action}: {output:?}");
            assert!(
                String::from_utf8_lossy(&output.stderr)
                    .contains("is not permitted: run it as root"),
                "{output:?}"
            );
        }
    });
}

#[test]
fn a_unit_that_is_enabled_beside_pacemaker() {
    testnet::root_or_skip!();
    every_daemon("a_unit_that_is_enabled_beside_pacemaker", |site| {
        let validate =
            |agent: testnet::Agent| agent.env("OCF_CHECK_LEVEL", "10").action("validate-all");
        ends(&validate(site.agent()), 0);
        // As `systemctl enable --runtime` makes it.
        let link = "/run/systemd/system/multi-user.target.wants/opensips.service";
        site.on_host(|| {
            std::fs::create_dir_all(std::path::Path::new(link).parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/lib/systemd/system/opensips.service", link).unwrap();
        });
        let reason =
            format!("enabled besides Pacemaker: run systemctl disable opensips.service ({link})");
        fails(&validate(site.agent()), 2, &reason);
        ends(&validate(site.agent().param("systemd_unit", "none")), 0);
        ends(&validate(site.agent().param("systemd_unit", "other.service")), 0);
        let log = site.path("agent.log");
        std::fs::write(&log, "").unwrap();
        ends(&site.agent().env("HA_LOGFILE", &log).action("start"), 0);
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains(&reason), "{log}");
        site.stop();
    });
}
