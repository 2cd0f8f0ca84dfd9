//! Start, monitor, stop, and each of them again.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::site::{PIDFILE, children, is_alive, write};
use crate::{Site, ends, every_daemon, fails};

#[test]
fn each_action_twice() {
    testnet::root_or_skip!();
    every_daemon("each_action_twice", |site| {
        ends(&site.monitor(), 7);
        ends(&site.agent().action("stop"), 0);

        let started = site.start();
        // Quiet on success, for Pacemaker.
        assert_eq!((started.stdout.as_str(), started.stderr.as_str()), ("", ""));
        assert!(site.answers("127.0.0.1:5060"));
        for listener in ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"] {
            assert!(site.state().contains(&format!("listener {listener} ")), "{}", site.state());
        }
        let main = site.main();
        let processes = site.processes();
        ends(&site.monitor(), 0);
        // A probe sees the same.
        ends(&site.agent().action("monitor"), 0);

        site.start();
        assert_eq!(site.main(), main, "executed twice");
        assert_eq!(site.processes(), processes);
        ends(&site.monitor(), 0);

        site.stop();
        assert_eq!(site.files("/run/smartvox"), [""; 0]);
        ends(&site.monitor(), 7);
        site.stop();
    });
}

#[test]
fn two_starts_at_once_make_one_instance() {
    testnet::root_or_skip!();
    every_daemon("two_starts_at_once_make_one_instance", |site| {
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..3).map(|_| scope.spawn(|| site.agent().action("start"))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        for outcome in &outcomes {
            ends(outcome, 0);
        }
        // A second instance would stay.
        testnet::wait_until("all processes are of one instance", crate::LONG, || {
            let mut tree = children(site.main());
            tree.push(site.main());
            tree.sort_unstable();
            site.processes() == tree
        });
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn by_hand_with_options() {
    testnet::root_or_skip!();
    every_daemon("by_hand_with_options", |site| {
        let binary = site.binary.to_str().unwrap().to_owned();
        let config = site.config().to_str().unwrap().to_owned();
        let mut options = vec!["--binary", &binary, "--config", &config];
        options.extend(["--user", "nobody", "--group", "nogroup", "--instance", "by-hand"]);
        let agent = testnet::agent(&site.host, testnet::binary("opensips"))
            .args(&options)
            .timeout(crate::LONG);
        let started = agent.action("start");
        ends(&started, 0);
        assert!(started.stderr.contains("action=start pid="), "{}", started.stderr);
        assert_eq!(site.files("/run/opensips"), ["by-hand.pid"]);
        ends(&agent.action("monitor"), 0);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn what_the_daemon_gets_and_does_not_get() {
    testnet::root_or_skip!();
    every_daemon("what_the_daemon_gets_and_does_not_get", |site| {
        let agent = site
            .agent()
            .param("open_files", "1000")
            .param("shm_memory", "48")
            .param("pkg_memory", "6")
            .param("extra_options", "-w '/var'")
            .env("SECRET", "x")
            .env("LANG", "C.UTF-8");
        ends(&agent.action("start"), 0);
        let main = site.main();
        let read = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(format!("/proc/{main}/{name}")).unwrap())
                .replace('\0', " ")
        };
        let cmdline = read("cmdline");
        for words in
            ["-m 48", "-M 6", "-w /var", "-u nobody -g nogroup", "-P /run/opensips/sip.pid"]
        {
            assert!(cmdline.contains(words), "{words} is not in {cmdline}");
        }
        assert!(read("limits").contains("Max open files            1000                 1000"));
        let environment = read("environ");
        assert!(environment.contains("LANG=C.UTF-8") && environment.contains("PATH="));
        for name in ["OCF_", "PCMK_", "SECRET"] {
            assert!(!environment.contains(name), "{environment}");
        }
        let uid = Command::new("id").args(["-u", "nobody"]).output().unwrap();
        let uid = String::from_utf8(uid.stdout).unwrap();
        assert!(read("status").contains(&format!("Uid:\t{}\t", uid.trim())));
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn memory_as_the_node_has_it() {
    testnet::root_or_skip!();
    every_daemon("memory_as_the_node_has_it", |site| {
        use nix::mount::{MsFlags, mount};
        let file = "/etc/default/opensips";
        site.on_host(|| {
            let none = None::<&str>;
            mount(none, "/etc/default", Some("tmpfs"), MsFlags::empty(), none).unwrap();
            std::fs::write(file, "S_MEMORY=\"48\"\nP_MEMORY=$(reboot)\n").unwrap();
        });
        let log = site.path("agent.log");
        std::fs::write(&log, "").unwrap();
        let agent = site.agent().env("HA_LOGFILE", &log);
        let options = |agent: &testnet::Agent| {
            ends(&agent.action("start"), 0);
            let cmdline = std::fs::read(format!("/proc/{}/cmdline", site.main())).unwrap();
            ends(&agent.action("stop"), 0);
            String::from_utf8_lossy(&cmdline).replace('\0', " ")
        };
        let words = options(&agent);
        assert!(words.contains(" -m 48 ") && !words.contains(" -M "), "{words}");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(
            log.contains(
                "file=/etc/default/opensips key=P_MEMORY value=$(reboot) note=\"ignored: not a"
            ),
            "{log}"
        );
        let words = options(&agent.param("shm_memory", "40").param("pkg_memory", "6"));
        assert!(words.contains(" -m 40 -M 6 "), "{words}");
    });
}

#[test]
fn what_ends_the_agents_group_does_not_end_the_daemon() {
    testnet::root_or_skip!();
    every_daemon("what_ends_the_agents_group_does_not_end_the_daemon", |site| {
        let mut start = site.command("start");
        // As Pacemaker starts an action: in a group of its own.
        let mut start = site.host.spawn(start.process_group(0));
        let group = i32::try_from(start.id()).unwrap();
        assert!(start.wait().unwrap().success());
        let session = nix::unistd::getsid(None).unwrap().as_raw();
        for pid in site.processes() {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let fields: Vec<i32> = stat
                .rsplit_once(") ")
                .unwrap()
                .1
                .split_whitespace()
                .skip(2)
                .take(2)
                .map(|field| field.parse().unwrap())
                .collect();
            assert!(!fields.contains(&group) && !fields.contains(&session), "{stat}");
        }
        site.stop();
    });
}

#[test]
fn as_many_open_files_as_the_system_allows() {
    testnet::root_or_skip!();
    every_daemon("as_many_open_files_as_the_system_allows", |site| {
        let agent = site.agent().param("open_files", "2147483584");
        ends(&agent.action("start"), 0);
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn output_goes_to_a_file_and_never_to_the_caller() {
    testnet::root_or_skip!();
    every_daemon("output_goes_to_a_file_and_never_to_the_caller", |site| {
        // With stderror_enabled=yes the daemon keeps stderr for ever; Pacemaker would wait for the
        // end of its pipe, and so does the runner of this test.
        let config = site.config_with(&["udp:127.0.0.1:5060"]).text();
        site.write(&config.replace("stderror_enabled=no", "stderror_enabled=yes"));
        site.start();
        for descriptor in ["0", "1", "2"] {
            let target = std::fs::read_link(format!("/proc/{}/fd/{descriptor}", site.main()));
            let target = target.unwrap();
            assert!(!target.to_string_lossy().starts_with("pipe:"), "{target:?}");
        }
        // A log that grows in memory is emptied by monitor.
        let log = "/run/smartvox/opensips-sip.out";
        site.on_host(|| std::fs::write(log, vec![b'x'; 2 << 20]).unwrap());
        ends(&site.monitor(), 0);
        let length = site.on_host(|| std::fs::metadata(log).unwrap().len());
        assert!(length < 1 << 20, "{length}");
        site.stop();
    });
}

#[test]
fn a_lost_memory_is_made_up_for() {
    testnet::root_or_skip!();
    every_daemon("a_lost_memory_is_made_up_for", |site| {
        site.start();
        let main = site.main();
        let state = "/run/smartvox/opensips-sip.state";
        for spoilt in [None, Some("nonsense"), Some("main 1 1\nend\n")] {
            site.on_host(|| match spoilt {
                None => std::fs::remove_file(state).unwrap(),
                Some(content) => std::fs::write(state, content).unwrap(),
            });
            ends(&site.monitor(), 0);
            site.start();
            assert_eq!(site.main(), main);
            let content = site.on_host(|| std::fs::read_to_string(state).unwrap());
            assert!(content.contains("listener udp:127.0.0.1:5060 "), "{content}");
        }
        site.forget();
        site.stop();
    });
}

#[test]
fn a_spoilt_configuration_ends_nothing_that_serves() {
    testnet::root_or_skip!();
    every_daemon("a_spoilt_configuration_ends_nothing_that_serves", |site| {
        site.start();
        let main = site.main();
        let good = std::fs::read_to_string(site.config()).unwrap();
        for check in ["yes", "no"] {
            for spoilt in [Some("no such word in its language\n"), None] {
                site.forget();
                match spoilt {
                    Some(text) => site.write(text),
                    None => std::fs::remove_file(site.config()).unwrap(),
                }
                let agent = site.agent().param("start_check", check);
                ends(&agent.action("start"), 0);
                assert_eq!(site.main(), main, "start_check={check}");
                assert!(site.state().contains("listener udp:127.0.0.1:5060 "), "{}", site.state());
                ends(&site.monitor(), 0);
                site.write(&good);
            }
        }
        // What does not serve is ended all the same, and the file is told.
        site.forget();
        site.write("no such word in its language\n");
        for worker in site.workers() {
            testnet::suspend(worker);
        }
        let hurried = site.agent().param("sip_probe_timeout", "200ms");
        fails(&hurried.action("start"), 2, "configuration check failed: ");
        assert!(is_alive(main), "ended before the file was looked at");
        site.stop();
    });
}

#[test]
fn stale_pid_files_are_no_hindrance() {
    testnet::root_or_skip!();
    every_daemon("stale_pid_files_are_no_hindrance", |site| {
        for content in ["999999999\n", "", "nonsense\n", "-1\n", "1\n"] {
            write(site, PIDFILE, content);
            ends(&site.monitor(), 7);
            site.start();
            site.stop();
            write(site, PIDFILE, content);
            ends(&site.agent().action("stop"), 0);
            site.nothing_is_left();
        }
    });
}

#[test]
fn monitor_starts_no_process() {
    testnet::root_or_skip!();
    if Command::new("strace").arg("-V").output().is_err() {
        return testnet::skipped("lifecycle::monitor_starts_no_process", "needs strace");
    }
    every_daemon("monitor_starts_no_process", |site| {
        site.start();
        for (state, code) in [("running", 0), ("stopped", 7)] {
            let trace = site.path("trace");
            let outcome = traced(site, &trace);
            assert_eq!(outcome, Some(code), "{state}");
            let trace = std::fs::read_to_string(&trace).unwrap();
            // The probe asks several sockets at the same time, in threads of its own.
            let processes = || trace.lines().filter(|line| !line.contains("CLONE_THREAD"));
            let count = |calls: &[&str]| {
                let lines = processes().filter(|line| {
                    let call = line.split_once('(').map_or("", |(call, _)| call);
                    calls.contains(&call.split_whitespace().next_back().unwrap_or_default())
                });
                lines.count()
            };
            assert_eq!(count(&["execve", "execveat"]), 1, "{state}");
            assert_eq!(count(&["clone", "clone3", "fork", "vfork"]), 0, "{state}");
            println!("monitor, {state}: {} system calls", trace.lines().count() - 1);
            if state == "running" {
                assert!(count(&["sendto"]) >= 1, "no OPTIONS in\n{trace}");
                site.stop();
            }
        }
    });
}

fn traced(site: &Site, trace: &std::path::Path) -> Option<i32> {
    let mut strace = Command::new("strace");
    strace.arg("-f").arg("-o").arg(trace).arg(testnet::binary("opensips")).arg("monitor");
    strace.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    strace.env("PCMK_service", "x").env("OCF_RESOURCE_INSTANCE", "sip");
    strace.env("OCF_RESKEY_CRM_meta_interval", "10000");
    strace.env("OCF_RESKEY_binary", &site.binary).env("OCF_RESKEY_config", site.config());
    strace.env("OCF_RESKEY_user", "nobody").env("OCF_RESKEY_group", "nogroup");
    site.host.output(&mut strace).status.code()
}
