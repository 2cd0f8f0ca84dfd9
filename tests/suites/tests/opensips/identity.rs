//! Whose process is whose: pid files that lie, second instances, things that vanished.

use nix::sys::signal::Signal;

use crate::site::{PIDFILE, STATE, children, is_alive, recurring, signal, stand_in_alone, write};
use crate::stranger::Stranger;
use crate::{LONG, Site, ends, every_daemon, fails};
use testnet::{Agent, wait_until};

#[test]
fn a_missing_pid_file() {
    testnet::root_or_skip!();
    every_daemon("a_missing_pid_file", |site| {
        site.start();
        let main = site.main();
        site.on_host(|| std::fs::remove_file(PIDFILE).unwrap());
        ends(&site.monitor(), 0);
        site.start();
        assert!(is_alive(main), "executed twice");
        // Without pid file and without memory.
        site.forget();
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn a_pid_file_that_names_a_stranger() {
    testnet::root_or_skip!();
    every_daemon("a_pid_file_that_names_a_stranger", |site| {
        let stranger = Stranger::new(site);
        let lie = format!("{}\n", stranger.pid());
        write(site, PIDFILE, &lie);
        ends(&site.monitor(), 7);
        ends(&site.agent().action("stop"), 0);
        write(site, PIDFILE, &lie);
        site.start();
        assert_ne!(site.main(), stranger.pid());
        write(site, PIDFILE, &lie);
        ends(&site.monitor(), 0);
        site.stop();
        assert!(stranger.is_alive());
    });
}

#[test]
fn a_pid_file_that_names_a_worker() {
    testnet::root_or_skip!();
    every_daemon("a_pid_file_that_names_a_worker", |site| {
        site.start();
        let worker = site.workers()[0];
        write(site, PIDFILE, &format!("{worker}\n"));
        site.forget();
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn a_user_of_the_host_pretends_to_be_the_daemon() {
    const TEST: &str = "a_user_of_the_host_pretends_to_be_the_daemon";
    testnet::root_or_skip!();
    every_daemon(TEST, |site| {
        let config = site.config();
        let line = ["-P", PIDFILE, "-u", "nobody", "-g", "nogroup", "-f", config.to_str().unwrap()];
        let Some((_stranger, pid)) = Stranger::stopped_daemon(site, &line) else {
            return testnet::skipped(TEST, "needs python3 and ptrace");
        };
        let probe = site.agent().action("monitor");
        ends(&probe, 7);
        // Its number may come to be in a pid file that a power cut has left.
        write(site, PIDFILE, &format!("{pid}\n"));
        ends(&site.agent().action("monitor"), 7);
        ends(&site.agent().action("stop"), 0);
        assert!(is_alive(pid), "no business of ours");
        write(site, PIDFILE, &format!("{pid}\n"));
        site.start();
        assert_ne!(site.main(), pid);
        ends(&site.monitor(), 0);
        // Nor where nothing is remembered.
        site.forget();
        ends(&site.monitor(), 0);
        ends(&site.agent().action("stop"), 0);
        assert_eq!(site.processes(), [pid]);
    });
}

/// Another resource with the same program and user.
pub(crate) fn second(site: &Site) -> Agent {
    let config = site.path("second.cfg");
    std::fs::write(&config, site.config_with(&["udp:127.0.0.1:5070", "tcp:127.0.0.1:5070"]).text())
        .unwrap();
    site.agent().env("OCF_RESOURCE_INSTANCE", "second").param("config", config)
}

#[test]
fn a_second_instance_is_left_alone() {
    testnet::root_or_skip!();
    every_daemon("a_second_instance_is_left_alone", |site| {
        let second = second(site);
        ends(&second.action("start"), 0);
        let main = site.main_of("/run/opensips/second.pid");
        let mut theirs = children(main);
        theirs.push(main);
        theirs.sort_unstable();

        ends(&site.monitor(), 7);
        ends(&site.agent().action("stop"), 0);
        site.start();
        ends(&recurring(&second), 0);
        site.kill_main();
        fails(&site.monitor(), 1, "orphans of OpenSIPS are alive");
        ends(&site.agent().action("stop"), 0);
        assert_eq!(site.processes(), theirs);
        ends(&recurring(&second), 0);

        // A number that came round: both our pid file and our memory name its main process.
        site.start();
        let memory = site.state();
        let ours = format!("main {} ", site.main());
        assert!(memory.starts_with(&ours), "{memory}");
        ends(&site.agent().action("stop"), 0);
        write(site, PIDFILE, &format!("{main}\n"));
        write(site, STATE, &memory.replacen(&ours, &format!("main {main} "), 1));
        ends(&site.agent().action("monitor"), 7);
        ends(&site.agent().action("stop"), 0);
        write(site, PIDFILE, &format!("{main}\n"));
        site.start();
        assert_ne!(site.main(), main);
        ends(&site.agent().action("stop"), 0);
        assert_eq!(site.processes(), theirs);
        ends(&recurring(&second), 0);

        // Nor is its pid file taken away, when it is given as ours by mistake.
        let mistaken = site.agent().param("pidfile", "/run/opensips/second.pid");
        fails(&mistaken.action("start"), 1, "belongs to another OpenSIPS");
        ends(&mistaken.action("stop"), 0);
        assert_eq!(site.main_of("/run/opensips/second.pid"), main);
        // However its path is written.
        site.on_host(|| std::os::unix::fs::symlink("opensips", "/run/alias").unwrap());
        let mistaken = site.agent().param("pidfile", "/run/alias/second.pid");
        ends(&mistaken.action("stop"), 0);
        assert_eq!(site.main_of("/run/opensips/second.pid"), main);
        ends(&recurring(&second), 0);
        ends(&second.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn the_same_daemon_in_another_namespace_is_another_instance() {
    testnet::root_or_skip!();
    every_daemon("the_same_daemon_in_another_namespace_is_another_instance", |site| {
        site.start();
        // A container with the same paths, seen from here with the same arguments.
        let container = testnet::Host::new("container");
        let inside = site.agent_on(&container);
        ends(&inside.action("monitor"), 7);
        ends(&inside.action("start"), 0);
        ends(&inside.action("stop"), 0);
        ends(&site.monitor(), 0);
        site.stop();
    });
}

#[test]
fn a_zombie_is_no_instance() {
    testnet::root_or_skip!();
    every_daemon("a_zombie_is_no_instance", |site| {
        // In the foreground, with a parent that does not wait for it: as in a container without init.
        site.on_host(|| std::fs::create_dir_all("/run/opensips").unwrap());
        let mut command = std::process::Command::new(&site.binary);
        command.args(["-F", "-P", PIDFILE, "-f"]).arg(site.config());
        let null = std::process::Stdio::null;
        let mut child = site.host.spawn(command.stdin(null()).stdout(null()).stderr(null()));
        let main = i32::try_from(child.id()).unwrap();
        wait_until("it serves", LONG, || site.answers("127.0.0.1:5060"));
        ends(&site.monitor(), 0);
        signal(main, Signal::SIGKILL);
        wait_until("it is a zombie", LONG, || !is_alive(main));
        fails(&site.monitor(), 1, "orphans of OpenSIPS are alive");
        ends(&site.agent().action("stop"), 0);
        ends(&site.agent().action("monitor"), 7);
        write(site, PIDFILE, &format!("{main}\n"));
        ends(&site.agent().action("monitor"), 7);
        site.start();
        assert_ne!(site.main(), main);
        site.stop();
        child.wait().unwrap();
    });
}

#[test]
fn the_agent_is_no_instance() {
    testnet::root_or_skip!();
    every_daemon("the_agent_is_no_instance", |site| {
        // The agent's file is called opensips too; given as the daemon, its processes would be
        // seen as the instance if names or executables alone counted.
        let mistaken = site.agent().param("binary", testnet::binary("opensips"));
        ends(&recurring(&mistaken), 7);
        ends(&mistaken.action("stop"), 0);
    });
}

#[test]
fn a_check_is_no_instance() {
    testnet::root_or_skip!();
    stand_in_alone("a_check_is_no_instance", |site| {
        let slow = site.config_with(&["udp:127.0.0.1:5060"]);
        site.write(&format!("# OPENSIPS_STAND_IN_CHECK_DELAY_MS=600000\n{}", slow.text()));
        let mut check = std::process::Command::new(&site.binary);
        let mut check = site.host.spawn(check.arg("-C").arg("-f").arg(site.config()));
        let pid = i32::try_from(check.id()).unwrap();
        wait_until("the check runs", LONG, || site.processes() == [pid]);
        ends(&site.monitor(), 7);
        ends(&site.agent().action("stop"), 0);
        assert!(is_alive(pid));
        check.kill().unwrap();
        check.wait().unwrap();
    });
}

#[test]
fn stop_without_what_start_needed() {
    testnet::root_or_skip!();
    every_daemon("stop_without_what_start_needed", |site| {
        let spoil: [(&str, &str); 7] = [
            ("binary", "/no/such/opensips"),
            ("binary", "not absolute"),
            ("config", "not absolute"),
            ("pidfile", "not absolute"),
            ("user", "no-such-user"),
            ("vip", "nonsense"),
            ("stop_grace", "nonsense"),
        ];
        for (name, value) in spoil {
            println!("{name}={value}");
            let spoilt = site.agent().param(name, value);
            ends(&spoilt.action("stop"), 0);
            site.start();
            ends(&spoilt.action("stop"), 0);
            assert_eq!(site.processes(), [0; 0]);
        }
        site.start();
        std::fs::remove_file(site.config()).unwrap();
        site.stop();
    });
}

#[test]
fn an_upgraded_executable_is_still_the_instance() {
    testnet::root_or_skip!();
    every_daemon("an_upgraded_executable_is_still_the_instance", |site| {
        // Only a copy can be replaced; a real daemon finds its modules by the configuration.
        let copy = site.path("upgraded/opensips");
        std::fs::create_dir(copy.parent().unwrap()).unwrap();
        testnet::copy_program(&site.binary, &copy);
        let agent = site.agent().param("binary", &copy);
        ends(&agent.action("start"), 0);
        let main = site.main();
        let new = site.path("upgraded/opensips.new");
        testnet::copy_program(&site.binary, &new);
        std::fs::rename(&new, &copy).unwrap();
        ends(&recurring(&agent), 0);
        ends(&agent.action("start"), 0);
        assert_eq!(site.main(), main, "executed twice");
        std::fs::remove_file(&copy).unwrap();
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        assert!(!is_alive(main));
    });
}

#[test]
fn what_a_worker_left_behind_goes_with_the_instance() {
    testnet::root_or_skip!();
    every_daemon("what_a_worker_left_behind_goes_with_the_instance", |site| {
        site.start();
        let main = site.main();
        site.kill_main();
        let orphans = site.processes();
        // All but one, so that a stop must find the last one by itself.
        for pid in &orphans[1..] {
            signal(*pid, Signal::SIGKILL);
        }
        wait_until("one orphan is left", LONG, || site.processes().len() == 1);
        fails(&site.monitor(), 1, "orphans of OpenSIPS are alive");
        assert!(!is_alive(main));
        site.stop();
    });
}

/// A daemon that was started past the agent, with these arguments behind `-f`, ended with the value.
fn started_past_the_agent(site: &Site, words: &[&str]) -> i32 {
    site.on_host(|| std::fs::create_dir_all("/run/opensips").unwrap());
    // As a shell does it: the daemon itself goes to `/`.
    let mut command = std::process::Command::new(&site.binary);
    let directory = site.config().parent().unwrap().to_owned();
    command.args(words).current_dir(&directory).env("PWD", &directory);
    let null = std::process::Stdio::null;
    let mut child = site.host.spawn(command.stdin(null()).stdout(null()).stderr(null()));
    assert!(child.wait().unwrap().success());
    wait_until("it serves", LONG, || site.answers("127.0.0.1:5060"));
    let pids = site.processes();
    *pids.iter().find(|pid| !children(**pid).is_empty()).unwrap()
}

#[test]
fn a_daemon_with_another_pid_file_is_neither_absent_nor_ours_to_start() {
    testnet::root_or_skip!();
    every_daemon("a_daemon_with_another_pid_file_is_neither_absent_nor_ours_to_start", |site| {
        let config = site.config();
        let unit = "/run/opensips/opensips.pid";
        let main = started_past_the_agent(site, &["-P", unit, "-f", config.to_str().unwrap()]);
        let reason = format!("(pid {main}) is running but was not started by this resource");
        ends(&site.monitor(), 7);
        ends(&site.agent().action("monitor"), 7);
        fails(&site.agent().action("start"), 1, &reason);
        fails(&site.agent().action("start"), 1, unit);
        fails(&site.agent().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 1, &reason);
        ends(&site.agent().action("promote"), 1);
        // Pacemaker stops what has failed to start.
        ends(&site.agent().action("stop"), 0);
        assert!(is_alive(main));
        assert!(site.answers("127.0.0.1:5060"));
        end_by_hand(site, main);
    });
}

#[test]
fn a_daemon_without_a_pid_file_is_not_ours() {
    testnet::root_or_skip!();
    every_daemon("a_daemon_without_a_pid_file_is_not_ours", |site| {
        let config = site.config();
        let main = started_past_the_agent(site, &["-f", config.to_str().unwrap()]);
        ends(&site.monitor(), 7);
        let reason = format!("(pid {main}) is running but was not started by this resource");
        fails(&site.agent().action("start"), 1, &reason);
        ends(&site.agent().action("stop"), 0);
        assert!(site.answers("127.0.0.1:5060"));
        end_by_hand(site, main);
    });
}

/// Ends a daemon that is no concern of the agent's, as a person does.
fn end_by_hand(site: &Site, main: i32) {
    // A SIGTERM that comes too early is lost.
    wait_until("it is gone", LONG, || {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(main), Signal::SIGTERM);
        site.processes().is_empty()
    });
}

/// Pacemaker stops what a probe finds where the resource must not run, as after `--disabled`.
#[test]
fn a_probe_leaves_alone_what_a_person_has_started() {
    testnet::root_or_skip!();
    every_daemon("a_probe_leaves_alone_what_a_person_has_started", |site| {
        let config = site.config();
        let main = started_past_the_agent(site, &["-P", PIDFILE, "-f", config.to_str().unwrap()]);
        let probe = || site.agent().action("monitor");
        ends(&probe(), 7);
        assert!(is_alive(main) && site.answers("127.0.0.1:5060"));
        // Without its pid file it is found among all processes.
        site.on_host(|| std::fs::rename(PIDFILE, "/run/opensips/away").unwrap());
        ends(&probe(), 7);
        site.on_host(|| std::fs::rename("/run/opensips/away", PIDFILE).unwrap());
        // start adopts it, and then it is the resource's.
        site.start();
        assert_eq!(site.main(), main);
        ends(&probe(), 0);
        site.stop();
    });
}

#[test]
fn a_configuration_that_is_named_relatively() {
    testnet::root_or_skip!();
    every_daemon("a_configuration_that_is_named_relatively", |site| {
        let config = site.config();
        let name = config.file_name().unwrap().to_str().unwrap();
        started_past_the_agent(site, &["-P", PIDFILE, "-f", name]);
        ends(&site.monitor(), 0);
        site.stop();
        let unit = "/run/opensips/opensips.pid";
        started_past_the_agent(site, &["-P", unit, "-f", name]);
        ends(&site.monitor(), 7);
        fails(&site.agent().action("start"), 1, unit);
        end_by_hand(site, site.main_of(unit));
    });
}

#[test]
fn what_else_was_started_in_a_shell_that_has_ended_is_left_alone() {
    testnet::root_or_skip!();
    stand_in_alone("what_else_was_started_in_a_shell_that_has_ended_is_left_alone", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
        site.write(&format!("# OPENSIPS_STAND_IN_START_DELAY_MS=600000\n{text}"));
        let start = site.command("start");
        let script = "sleep 600 >/dev/null 2>&1 & echo $!; \"$0\" start >/dev/null 2>&1 & echo $!";
        let mut shell = std::process::Command::new("setsid");
        shell.args(["--wait", "sh", "-c", script]).arg(start.get_program());
        shell.envs(start.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let said = String::from_utf8(site.host.output(&mut shell).stdout).unwrap();
        let pids: Vec<i32> = said.lines().map(|pid| pid.parse().unwrap()).collect();
        wait_until("the daemon has begun", LONG, || {
            site.files("/run/opensips").contains(&"sip.pid".to_owned())
        });
        // The agent is gone; the command that starts the daemon still waits for it, in that session.
        signal(pids[1], Signal::SIGKILL);
        wait_until("the agent is gone", LONG, || !is_alive(pids[1]));
        ends(&site.agent().env("OCF_RESKEY_CRM_meta_timeout", "6000").action("stop"), 0);
        site.nothing_is_left();
        assert!(is_alive(pids[0]), "a stranger was killed");
        signal(pids[0], Signal::SIGKILL);
    });
}
