//! Configurations that are wrong, and hosts that lack something.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use opensips_stand_in::Version;

use crate::site::recurring;
use crate::{ends, every_daemon, fails};

/// How a daemon of this version says where a fault is.
fn place(version: Version, config: &Path, line: usize) -> String {
    match version {
        Version::V2_4 => format!("config file {}, line {line}, ", config.display()),
        _ => format!("{}:{line}:", config.display()),
    }
}

#[test]
fn a_fault_is_told_with_file_and_line() {
    testnet::root_or_skip!();
    every_daemon("a_fault_is_told_with_file_and_line", |site| {
        let good = site.config_with(&["udp:127.0.0.1:5060"]).text();
        // The third line.
        let bad = good.replacen("log_level=3", "\nno_such_setting=3", 1);
        let line = 1 + bad.lines().position(|line| line == "no_such_setting=3").unwrap();
        site.write(&bad);
        let place = place(site.version, &site.config(), line);
        fails(&site.agent().action("start"), 2, &place);
        site.nothing_is_left();
        let validate = site.agent().env("OCF_CHECK_LEVEL", "10");
        fails(&validate.action("validate-all"), 2, &place);
        ends(&site.agent().action("validate-all"), 0);
        // Without the check, the daemon fails and says the same.
        fails(&site.agent().param("start_check", "no").action("start"), 1, &place);
        site.nothing_is_left();
        site.write(&good);
        site.start();
        // A fault that comes while it runs concerns the next start.
        site.write(&bad);
        ends(&site.monitor(), 0);
        site.start();
        site.stop();
    });
}

#[test]
fn a_fault_in_an_included_file() {
    testnet::root_or_skip!();
    every_daemon("a_fault_in_an_included_file", |site| {
        let included = site.path("included.cfg");
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.more = format!("include_file \"{}\"\n", included.display());
        site.write(&config.text());
        std::fs::write(&included, "# nothing\n\nno_such_setting=3\n").unwrap();
        let place = place(site.version, &included, 3);
        fails(&site.agent().action("start"), 2, &place);
        fails(&site.agent().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 2, &place);
        std::fs::remove_file(&included).unwrap();
        fails(&site.agent().action("start"), 1, &included.display().to_string());
        site.nothing_is_left();
        std::fs::write(&included, "# nothing\n").unwrap();
        site.start();
        site.stop();
    });
}

#[test]
fn a_configuration_that_only_root_may_read() {
    testnet::root_or_skip!();
    every_daemon("a_configuration_that_only_root_may_read", |site| {
        // Passwords are in it. The daemon reads it before it becomes its user.
        let config = site.config();
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
        ends(&site.agent().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 0);
        site.start();
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn what_the_node_lacks() {
    testnet::root_or_skip!();
    every_daemon("what_the_node_lacks", |site| {
        let plain = site.path("plain");
        std::fs::write(&plain, "").unwrap();
        let script = site.path("script");
        testnet::write_program(&script, "#!/bin/sh\nexec opensips \"$@\"\n");
        let program = |name: &str, content: &[u8]| {
            let path = site.path(name);
            testnet::write_program(&path, content);
            path.into_os_string().into_string().unwrap()
        };
        let own = std::fs::read(&site.binary).unwrap();
        // e_type ET_REL; e_machine EM_S390, which no machine beside runs.
        let patched = |at: usize, value: u8| {
            let mut bytes = own.clone();
            (bytes[at], bytes[at + 1]) = if own[5] == 1 { (value, 0) } else { (0, value) };
            bytes
        };
        let object = program("object", &patched(16, 1));
        let elsewhere =
            program("elsewhere", &patched(18, if cfg!(target_arch = "s390x") { 8 } else { 22 }));
        // Of another distribution: PT_INTERP names a loader that is not here.
        let mut bytes = own.clone();
        let loader = bytes.windows(8).position(|word| word == b"ld-linux").expect("PT_INTERP");
        bytes[loader..loader + 8].copy_from_slice(b"no-linux");
        let foreign = program("foreign", &bytes);
        // Nothing but the first bytes: the kernel refuses it, and execvp(3) would give it to a shell.
        let half = program("half", &own[..64]);
        let (empty, text) = (program("empty", b""), program("text", b"opensips\n"));
        let cases: [(&str, &str, i32, &str); 14] = [
            ("binary", &object, 5, "is not a program for this machine"),
            ("binary", &elsewhere, 5, "is not a program for this machine"),
            ("binary", &foreign, 5, "its dynamic loader is missing"),
            ("binary", &half, 5, "is not a program for this machine"),
            ("binary", &empty, 5, "is not a program for this machine"),
            ("binary", &text, 5, "is not a program for this machine"),
            ("binary", "/no/such/opensips", 5, "/no/such/opensips is not installed"),
            ("binary", plain.to_str().unwrap(), 5, "is not an executable file"),
            ("binary", "/run", 5, "is not an executable file"),
            ("binary", script.to_str().unwrap(), 2, "is a script"),
            ("config", "/no/such.cfg", 2, "can't be read"),
            ("config", "/run", 2, "can't be read"),
            ("user", "no-such-user", 2, "user no-such-user does not exist"),
            ("group", "no-such-group", 2, "group no-such-group does not exist"),
        ];
        // Without the check it is start itself that can't execute it, when it has begun to make files.
        let unchecked = site.agent().param("binary", &foreign).param("start_check", "no");
        fails(&unchecked.action("start"), 5, "its dynamic loader is missing");
        site.nothing_is_left();
        for (name, value, code, words) in cases {
            println!("{name}={value}");
            let lacking = site.agent().param(name, value);
            fails(&lacking.action("start"), code, words);
            site.nothing_is_left();
            ends(&lacking.action("monitor"), 7);
            ends(&recurring(&lacking), 7);
            ends(&lacking.action("stop"), 0);
            ends(&lacking.action("validate-all"), 0);
            let host = lacking.env("OCF_CHECK_LEVEL", "10");
            fails(&host.action("validate-all"), code, words);
        }
        // A node that lacks everything: defaults, none of which is here.
        let bare = site.plain();
        ends(&bare.action("monitor"), 7);
        ends(&bare.action("stop"), 0);
        ends(&bare.action("validate-all"), 0);
    });
}

#[test]
fn the_pid_directory_belongs_to_the_user() {
    testnet::root_or_skip!();
    every_daemon("the_pid_directory_belongs_to_the_user", |site| {
        use std::os::unix::fs::MetadataExt;
        site.start();
        let owner = site.on_host(|| std::fs::metadata("/run/opensips").unwrap().uid());
        assert_eq!(owner, nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw());
        site.stop();
        // A directory that is there stays as it is.
        site.on_host(|| {
            std::os::unix::fs::chown("/run/opensips", Some(0), Some(0)).unwrap();
        });
        site.start();
        assert_eq!(site.on_host(|| std::fs::metadata("/run/opensips").unwrap().uid()), 0);
        site.stop();
    });
}

#[test]
fn a_daemon_that_stays_in_the_foreground_is_told_in_seconds() {
    testnet::root_or_skip!();
    every_daemon("a_daemon_that_stays_in_the_foreground_is_told_in_seconds", |site| {
        let included = site.path("included.cfg");
        std::fs::write(&included, "debug_mode=yes\n").unwrap();
        let mut direct = site.config_with(&["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
        let mut including = direct.clone();
        direct.more.push_str("debug_mode=yes\n");
        including.more.push_str(&format!("include_file \"{}\"\n", included.display()));
        let mut configurations = vec![direct];
        // The stand-in includes nothing.
        configurations.extend((!site.is_stand_in()).then_some(including));
        for config in configurations {
            site.write(&config.text());
            for check in ["yes", "no"] {
                // The runner gives up after two minutes.
                let hour = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "3600000");
                let start = hour.param("start_check", check).action("start");
                fails(&start, 1, "stays in the foreground: set debug_mode=no in ");
                site.nothing_is_left();
            }
        }
        for option in ["-F", "-n 4 -D"] {
            let agent = site.agent().param("extra_options", option);
            for action in ["validate-all", "start"] {
                fails(&agent.action(action), 6, "keeps OpenSIPS in the foreground: remove it");
            }
        }
    });
}

#[test]
fn a_script_that_answers_no_options_is_told_in_seconds() {
    testnet::root_or_skip!();
    every_daemon("a_script_that_answers_no_options_is_told_in_seconds", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]).text();
        let (head, _) = text.split_once("\nroute").unwrap();
        site.write(&format!("# OPENSIPS_STAND_IN_SIP_ANSWER=none\n{head}\nroute {{ exit; }}\n"));
        // The runner gives up after two minutes.
        let agent = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "3600000");
        let start = agent.param("sip_probe_timeout", "500ms").action("start");
        fails(&start, 1, "OPTIONS at udp:127.0.0.1:5060 ");
        fails(&start, 1, "or set sip_probe=none");
        site.nothing_is_left();
        ends(&site.agent().param("sip_probe", "none").action("start"), 0);
        site.stop();
    });
}
