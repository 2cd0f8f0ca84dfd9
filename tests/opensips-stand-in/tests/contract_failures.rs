//! The daemon contract, second half: checks of the configuration, and starts that fail, against
//! the stand-in and every real OpenSIPS found (see `contract.rs`).

// Functions that tests share may fail them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::net::TcpListener;

use nix::sys::signal::Signal;
use opensips_stand_in::ConfigFile;
use support::expected::Failure;
use support::{CONFIG, DEADLINE, FIFO, HERE, Instance, OUTPUT, PID_FILE, against_all, say};
use testnet::{root_or_skip, wait_until};

const UDP: &str = "127.0.0.1:5060";

#[test]
fn version_is_the_first_word() {
    root_or_skip!();
    against_all("-V", |instance| {
        assert_eq!(instance.command(&["-V"]), Some(0));
        let text = instance.read(OUTPUT);
        let version = text.strip_prefix("version: opensips ").unwrap();
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{text}");
        assert_eq!(version.contains("stand-in; not OpenSIPS"), instance.daemon.is_stand_in);
        assert_eq!(instance.command(&["-h"]), Some(0));
        for refused in ["-E", "-Q", "-f"] {
            if refused == "-E" && instance.daemon.expected().has_option_e {
                continue;
            }
            assert_eq!(instance.command(&[refused]), Some(255), "{refused}");
            let errors = instance.errors();
            assert!(errors.contains("ERROR:core:main: "), "{errors}");
        }
    });
}

#[test]
fn a_good_configuration_is_checked_and_its_sockets_are_told() {
    root_or_skip!();
    against_all("good check", |instance| {
        let sockets = ["tcp:127.0.0.1:5060", "udp:[::1]:5070", "udp:192.0.2.77"];
        let sockets = sockets.map(str::to_owned).to_vec();
        instance.write(CONFIG, &ConfigFile { sockets, ..instance.config() }.text());
        for check in ["-c", "-C"] {
            assert_eq!(instance.command(&[check, "-f", CONFIG]), Some(0), "{}", instance.errors());
            assert_eq!(
                instance.read(OUTPUT),
                "Listening on \n             udp: 0:0:0:0:0:0:0:1 [[0:0:0:0:0:0:0:1]]:5070\n\
                 \x20            udp: 192.0.2.77 [192.0.2.77]:5060\n\
                 \x20            tcp: 127.0.0.1 [127.0.0.1]:5060\nAliases: \n\n"
            );
            assert!(instance.errors().contains("NOTICE:core:main: config file ok, exiting..."));
        }
    });
}

/// Whatever the configuration says of the log: the agent reads the errors of a check there.
#[test]
fn a_check_prints_its_errors_on_stderr() {
    root_or_skip!();
    against_all("check with syslog alone", |instance| {
        let quiet = ConfigFile { stderror: false, ..instance.config() }.text();
        instance.write(CONFIG, &quiet.replace("loadmodule \"proto_tcp.so\"", ""));
        assert_eq!(instance.command(&["-C", "-f", CONFIG]), Some(255));
        let words = "listeners found for protocol tcp, but no module can handle it";
        assert!(instance.errors().contains(words), "{}", instance.errors());
    });
}

#[test]
fn a_check_leaves_a_running_instance_alone() {
    root_or_skip!();
    against_all("check beside a running instance", |instance| {
        let running = instance.start(&instance.config());
        wait_until("the FIFO is there", DEADLINE, || instance.exists(FIFO));
        assert_eq!(instance.command(&["-c", "-f", CONFIG, "-P", PID_FILE]), Some(0));
        assert!(instance.exists(PID_FILE) && instance.exists(FIFO));
        // But for this error, which is followed by a clean-up.
        let without = ConfigFile { sockets: Vec::new(), ..instance.config() };
        instance.write(CONFIG, &without.text());
        assert_eq!(instance.command(&["-c", "-f", CONFIG, "-P", PID_FILE]), Some(255));
        assert!(!instance.exists(PID_FILE));
        assert_eq!(running.processes().len(), 10);
    });
}

/// The number of the first line that contains `text`.
fn line_of(config: &str, text: &str) -> usize {
    config.lines().position(|line| line.contains(text)).unwrap() + 1
}

#[test]
fn what_is_wrong_in_a_configuration_is_told_with_file_and_line() {
    root_or_skip!();
    against_all("bad check", |instance| {
        let good = ConfigFile { more: "# here\n".into(), ..instance.config() }.text();
        let expected = instance.daemon.expected();
        let (workers, others) = expected.workers;
        for (wrong, place) in [
            (good.replace(&format!("\n{workers}="), "\nwrkers="), "wrkers"),
            (good.replace("# here", "garbage here {"), "garbage"),
            (good.replace("# here", &format!("{others}=4")), others),
            (good.replace(&format!("{workers}=2"), &format!("{workers}=\"a\"")), workers),
            (good.replace("maxfwd.so", "nosuchmodule.so"), "nosuchmodule"),
            (good.replace("udp:127.0.0.1:5060", "udp:127.0.0.1.1:5060"), "127.0.0.1.1"),
            (good.replace("# here", "modparam(\"nosuch\", \"p\", 1)"), "\"nosuch\""),
            (good.replace("# here", "modparam(\"mi_fifo\", \"fifo_name\" 1)"), "fifo_name\" 1"),
        ] {
            instance.write(CONFIG, &wrong);
            for arguments in [&["-c", "-f", CONFIG][..], &["-f", CONFIG, "-P", PID_FILE]] {
                assert_eq!(instance.command(arguments), Some(255), "{place}");
                let errors = instance.errors();
                let reason = (expected.parse_error)(CONFIG, line_of(&wrong, place));
                assert!(errors.contains(&reason), "{reason} in {errors}");
                let last = (expected.bad_config)(CONFIG);
                assert!(errors.contains(&last), "{errors}");
                assert!(errors.ends_with("NOTICE:core:main: Exiting....\n"), "{errors}");
                assert!(!instance.exists(PID_FILE), "{place}");
            }
        }
    });
}

#[test]
fn included_files_are_read_and_missed() {
    root_or_skip!();
    against_all("include_file", |instance| {
        let more = "include_file \"/run/opensips/more.cfg\"\n".to_owned();
        let config = ConfigFile { more, ..instance.config() }.text();
        instance.write(CONFIG, &config);
        let check = || instance.command(&["-c", "-f", CONFIG]);
        assert_eq!(check(), Some(255));
        let expected = instance.daemon.expected();
        let missing = expected.missing_include;
        assert!(instance.errors().contains(missing), "{}", instance.errors());
        let socket = expected.accepts[0].replace("5070", "5099");
        instance.write("/run/opensips/more.cfg", &format!("{socket}\n"));
        assert_eq!(check(), Some(0), "{}", instance.errors());
        assert!(instance.read(OUTPUT).contains("udp: 127.0.0.1 [127.0.0.1]:5099\n"));
        instance.write("/run/opensips/more.cfg", "\n\nrubbish\n");
        assert_eq!(check(), Some(255));
        let place = (expected.parse_error)("/run/opensips/more.cfg", 3);
        assert!(instance.errors().contains(&place), "{}", instance.errors());
    });
}

#[test]
fn what_else_a_check_refuses() {
    root_or_skip!();
    against_all("refused check", |instance| {
        let good = instance.config().text();
        let without_module = good.replace("loadmodule \"proto_tcp.so\"\n", "");
        for (config, reason) in [
            (without_module, "listeners found for protocol tcp, but no module can handle it"),
            (good.rsplit_once('}').unwrap().0.to_owned(), "core:yyerror: parse error in"),
        ] {
            instance.write(CONFIG, &config);
            assert_eq!(instance.command(&["-c", "-f", CONFIG]), Some(255), "{reason}");
            assert!(instance.errors().contains(reason), "{}", instance.errors());
        }
        assert_eq!(instance.command(&["-c", "-f", "/run/none.cfg"]), Some(255));
        let reason = (instance.daemon.expected().missing_config)("/run/none.cfg");
        assert!(instance.errors().contains(&reason), "{}", instance.errors());
    });
}

#[test]
fn a_second_start_fails_and_deletes_the_running_instances_pid_file() {
    root_or_skip!();
    against_all("double start", |instance| {
        let running = instance.start(&instance.config());
        wait_until("the FIFO is there", DEADLINE, || instance.exists(FIFO));
        assert_eq!(instance.start_with(&instance.config(), &[]), Some(255));
        let reason = format!("running process found in the pid file {PID_FILE}");
        assert!(instance.errors().contains(&reason), "{}", instance.errors());
        assert!(!instance.exists(PID_FILE));
        assert!(instance.exists(FIFO), "modules were not initialised yet");
        assert!(instance.serves_udp(UDP));
        running.stop(Signal::SIGTERM);
    });
}

#[test]
fn what_the_pid_file_held_before() {
    root_or_skip!();
    against_all("old pid file", |instance| {
        let warned = |text: &str| {
            assert!(instance.errors().contains(text), "{}", instance.errors());
        };
        for (content, warning) in [
            // Beyond what the kernel gives (pid_max is at most 2^22).
            ("9999999\n", "WARNING:core:daemonize: pid file contains old pid, replacing pid"),
            ("garbage\n", "exists, but doesn't contain a valid pid number, replacing..."),
        ] {
            instance.write(PID_FILE, content);
            let running = instance.start(&instance.config());
            warned(warning);
            running.stop(Signal::SIGTERM);
        }
        // Any living process will do: here, this test.
        instance.write(PID_FILE, &format!("{}\n", std::process::id()));
        assert_eq!(instance.start_with(&instance.config(), &[]), Some(255));
        warned("running process found in the pid file");
        assert!(!instance.exists(PID_FILE));
    });
}

#[test]
fn what_fails_at_once() {
    root_or_skip!();
    against_all("failing start", |instance| {
        instance.write(CONFIG, &instance.config().text());
        let reply_dir = instance.config().text().replace("\"/run/opensips/\"", "\"/run/none/\"");
        instance.write("/run/opensips/reply_dir.cfg", &reply_dir);
        for (arguments, reason) in [
            (
                &["-f", CONFIG, "-P", "/run/none/pid"][..],
                "unable to create pid file /run/none/pid: No such file or directory",
            ),
            (&["-f", CONFIG, "-u", "no-such-user"], "bad user name/uid number: -u no-such-user"),
            (&["-f", CONFIG, "-g", "no-such-group"], "bad group name/gid number: -u no-such-group"),
            (&["-f", "/run/opensips/reply_dir.cfg"], "directory stat failed: No such file"),
        ] {
            assert_eq!(instance.command(arguments), Some(255), "{arguments:?}");
            assert!(instance.errors().contains(reason), "{}", instance.errors());
        }
        instance.assert_nothing_left();
    });
}

#[test]
fn keywords_of_other_versions_are_errors() {
    root_or_skip!();
    against_all("keywords", |instance| {
        let expected = instance.daemon.expected();
        let accepted = expected.accepts.iter().map(|line| (line, 0));
        for (line, code) in accepted.chain(expected.refuses.iter().map(|line| (line, 255))) {
            let config = ConfigFile { more: format!("{line}\n"), ..instance.config() };
            instance.write(CONFIG, &config.text());
            let errors = || instance.errors();
            assert_eq!(instance.command(&["-c", "-f", CONFIG]), Some(code), "{line} {}", errors());
        }
    });
}

fn fails(instance: &Instance, config: &ConfigFile, when: Failure, reason: &str) {
    let code = instance.start_with(config, &[]);
    if when == Failure::Late && code == Some(255) && !instance.daemon.is_stand_in {
        let left = instance.processes().len();
        say(&format!("{}: saw its failure, left {left} processes", instance.daemon.label));
    } else {
        let expected = if when == Failure::Late { 0 } else { 255 };
        assert_eq!(code, Some(expected), "{}", instance.errors());
        instance.assert_nothing_left();
        assert!(!instance.exists(PID_FILE));
    }
    assert!(instance.errors().contains(reason), "{}", instance.errors());
}

#[test]
fn a_busy_tcp_port_ends_an_instance_that_had_started() {
    root_or_skip!();
    against_all("busy TCP port", |instance| {
        let _busy = instance.host.run(|| TcpListener::bind((HERE, 5060)).unwrap());
        let when = instance.daemon.expected().busy_tcp_port;
        fails(instance, &instance.config(), when, "Address already in use");
    });
}

#[test]
fn a_fifo_that_cannot_be_made_ends_an_instance_that_had_started() {
    root_or_skip!();
    against_all("FIFO in a missing directory", |instance| {
        // The directory of the replies is looked at before.
        let text = instance.config().text().replace(FIFO, "/run/none/fifo");
        let more = text.lines().find(|line| line.contains("/run/none/fifo")).unwrap();
        let config = ConfigFile { more: format!("{more}\n"), ..instance.config() };
        let reason = "can't create FIFO: No such file or directory";
        fails(instance, &config, Failure::Late, reason);
    });
}
