//! The daemon contract: what the agent relies on in OpenSIPS, asserted in the same words of the
//! stand-in and of every real OpenSIPS found (`OPENSIPS_BIN`, a list separated by colons, else
//! `opensips` on the path). The output says which daemons each case ran against.

// Functions that tests share may fail them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::sys::signal::Signal;
use opensips_stand_in::ConfigFile;
use support::client::request;
use support::process::Process;
use support::{CONFIG, DEADLINE, ERRORS, FIFO, HERE, OUTPUT, PID_FILE, Running, against_all};
use testnet::{root_or_skip, wait_until};

const UDP: &str = "127.0.0.1:5060";
const TCP: &str = "127.0.0.1:5060";

/// UDP alone, without MI: an instance that shares nothing exclusive with another.
fn udp_alone(config: ConfigFile) -> ConfigFile {
    ConfigFile { sockets: vec![format!("udp:{HERE}:5060")], mi_fifo: None, ..config }
}

/// The workers that read the UDP socket, by what `ps` says.
fn udp_workers(running: &Running<'_>) -> Vec<Process> {
    let told = running.instance.ps();
    let udp = |worker: &Process| {
        told.iter().any(|(pid, kind)| *pid == worker.pid && kind.starts_with("SIP receiver udp:"))
    };
    let mut workers = running.workers();
    workers.retain(udp);
    workers
}

#[test]
fn answers_as_soon_as_the_start_command_returns() {
    root_or_skip!();
    against_all("start", |instance| {
        instance.start(&instance.config());
        assert!(instance.serves_udp(UDP), "OPTIONS over UDP right after exit code 0");
        // TCP is bound after that.
        wait_until("OPTIONS is answered over TCP", DEADLINE, || instance.serves_tcp(TCP));
        assert!(instance.read(OUTPUT).starts_with("Listening on \n"), "stdout");
    });
}

#[test]
fn requests_get_the_scripts_answers() {
    root_or_skip!();
    against_all("SIP", |instance| {
        instance.start(&instance.config());
        let status = |method, uri, hops| instance.status(UDP, method, uri, hops);
        assert_eq!(status("OPTIONS", "sip:127.0.0.1:5060", 70), Some(200));
        assert_eq!(status("OPTIONS", "sip:127.0.0.1:5060", 0), Some(483));
        assert_eq!(status("INVITE", "sip:u@127.0.0.1:5060", 70), Some(200));
        assert_eq!(status("BYE", "sip:u@127.0.0.1:5060", 70), Some(200));
        assert_eq!(status("MESSAGE", "sip:u@127.0.0.1:5060", 70), Some(404));
        assert_eq!(status("NONSENSE", "sip:127.0.0.1:5060", 70), Some(484));

        // ACK, keep-alives, responses and noise are swallowed: the first answer that comes is the
        // one to the request after them.
        let last = request("OPTIONS", "sip:example.org", "UDP @", 70);
        let ack = request("ACK", "sip:u@127.0.0.1:5060", "UDP @", 70);
        let response = format!("SIP/2.0 200 OK\r\n{}", ack.split_once("\r\n").unwrap().1);
        let noise = "ping garbage this is not sip at all\r\n\r\n";
        let swallowed = [&ack, "ping", "\r\n\r\n", &response, noise, &last];
        let answer = instance.exchange(UDP, &swallowed, DEADLINE).unwrap();
        assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nCSeq: 1 OPTIONS\r\n"), "{answer}");

        // What RFC 3261 8.2.6.2 wants copied.
        for copied in [
            ";received=127.0.0.1",
            "\r\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKearlier\r\n",
            "\r\nFrom: <sip:contract@example.org>;tag=from\r\n",
            "\r\nTo: <sip:example.org>;tag=",
            "\r\nCall-ID: contract@test\r\n",
        ] {
            assert!(answer.contains(copied), "{copied:?} in {answer}");
        }
        wait_until("TCP is open", DEADLINE, || instance.serves_tcp(TCP));
        assert_eq!(instance.tcp(TCP, "\r\n\r\n").as_deref(), Some("\r\n"));
    });
}

#[test]
fn the_process_tree_has_the_daemons_shape() {
    root_or_skip!();
    against_all("process tree", |instance| {
        let group_file = "/run/opensips/opensips.pgid";
        let arguments = ["-G", group_file];
        assert_eq!(instance.start_with(&instance.config(), &arguments), Some(0));
        let running = instance.running();
        let Running { attendant, .. } = &running;
        assert_eq!(instance.read(PID_FILE), format!("{}\n", attendant.pid));
        assert_eq!(instance.read(group_file), format!("{}\n", attendant.group));
        let mode = instance.host.run(|| fs::metadata(PID_FILE).unwrap().permissions().mode());
        assert_eq!(mode & 0o777, 0o644);

        // Its own session and group, led by a process that has left.
        assert_eq!(attendant.session, attendant.group);
        assert_ne!(attendant.group, attendant.pid);
        let workers = running.workers();
        // MI FIFO, time_keeper, timer, 2 UDP, 2 TCP, Timer handler, TCP main.
        assert_eq!(workers.len(), 9, "{workers:#?}");
        for worker in &workers {
            assert_eq!(worker.parent, attendant.pid);
            assert_eq!(worker.session, attendant.session);
        }
        let binary = instance.daemon.binary.to_str().unwrap();
        for process in running.processes() {
            assert_eq!(process.name, "opensips");
            let expected = [binary, "-f", CONFIG, "-P", PID_FILE, "-G", group_file];
            assert_eq!(process.arguments, expected);
            let directory = fs::read_link(format!("/proc/{}/cwd", process.pid)).unwrap();
            assert_eq!(directory.to_str(), Some("/"));
            let executable = fs::read_link(format!("/proc/{}/exe", process.pid)).unwrap();
            assert_eq!(executable, instance.daemon.binary.canonicalize().unwrap());
        }
    });
}

#[test]
fn the_callers_stderr_stays_open() {
    root_or_skip!();
    against_all("standard files", |instance| {
        for stderror in [true, false] {
            let running = instance.start(&ConfigFile { stderror, ..instance.config() });
            let Running { attendant, .. } = &running;
            assert_eq!(attendant.descriptor(0), "/dev/null");
            assert_eq!(attendant.descriptor(1), "/dev/null");
            let kept = attendant.descriptor(2).ends_with(ERRORS);
            let expected = stderror || instance.daemon.expected().keeps_stderr;
            assert_eq!(kept, expected, "{}", attendant.descriptor(2));
            running.stop(Signal::SIGTERM);
        }
    });
}

#[test]
fn every_process_holds_the_udp_socket() {
    root_or_skip!();
    against_all("sockets", |instance| {
        let running = instance.start(&instance.config());
        wait_until("TCP is open", DEADLINE, || instance.serves_tcp(TCP));
        // Line: "sl local_address …"; the tenth field is the inode. 127.0.0.1:5060 in hexadecimal.
        let inode = |table: &str, state: &str| {
            let text = fs::read_to_string(format!("/proc/{}/net/{table}", running.attendant.pid));
            let text = text.unwrap();
            let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let mut bound = fields.filter(|f| f[1] == "0100007F:13C4" && f[3] == state);
            let inode = bound.next().unwrap_or_else(|| panic!("{table}: {text}"))[9].to_owned();
            assert_eq!(bound.next(), None, "one socket");
            inode
        };
        let holders = |inode: &str| {
            let mut processes = running.processes();
            processes.retain(|process| {
                let descriptors = fs::read_dir(format!("/proc/{}/fd", process.pid)).unwrap();
                let mut links =
                    descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
                links.any(|link| link.to_str() == Some(&format!("socket:[{inode}]")))
            });
            processes.len()
        };
        assert_eq!(holders(&inode("udp", "07")), 10);
        let expected = instance.daemon.expected().holders_of_tcp;
        assert_eq!(holders(&inode("tcp", "0A")), expected);
    });
}

#[test]
fn sigterm_and_sigint_to_the_attendant_are_a_clean_stop() {
    root_or_skip!();
    against_all("stop", |instance| {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let running = instance.start(&instance.config());
            for ignored in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
                running.attendant.signal(ignored);
                running.workers()[3].signal(ignored);
            }
            // Workers don't obey anybody but the attendant.
            for worker in running.workers() {
                worker.signal(Signal::SIGTERM);
            }
            assert!(instance.serves_udp(UDP));
            assert_eq!(running.processes().len(), 10);
            running.stop(signal);
        }
    });
}

#[test]
fn one_dead_worker_ends_the_instance() {
    root_or_skip!();
    against_all("dead worker", |instance| {
        let running = instance.start(&instance.config());
        udp_workers(&running)[0].signal(Signal::SIGKILL);
        running.assert_gone();
    });
}

#[test]
fn orphans_of_a_killed_attendant_serve_on_and_ignore_sigterm() {
    root_or_skip!();
    against_all("kill -9 of the attendant", |instance| {
        let running = instance.start(&instance.config());
        wait_until("TCP is open", DEADLINE, || instance.serves_tcp(TCP));
        running.attendant.signal(Signal::SIGKILL);
        wait_until("the attendant is dead", DEADLINE, || {
            Process::read(running.attendant.pid).is_none()
        });
        for orphan in running.processes() {
            orphan.signal(Signal::SIGTERM);
        }
        let serving = || {
            assert!(instance.serves_udp(UDP));
            assert!(instance.serves_tcp(TCP));
            assert!(instance.mi_answers());
        };
        // Who answers now has run since SIGTERM came.
        for _ in 0..10 {
            serving();
        }
        let orphans = running.processes();
        assert_eq!(orphans.len(), 9);
        assert!(orphans.iter().all(|orphan| orphan.parent == 1), "{orphans:#?}");
        assert!(instance.exists(PID_FILE), "nobody is left who would remove it");
        for orphan in orphans {
            orphan.signal(Signal::SIGKILL);
        }
        wait_until("all are dead", DEADLINE, || running.processes().is_empty());
    });
}

#[test]
fn stopped_udp_workers_are_silent_while_mi_answers_and_die_in_the_end() {
    root_or_skip!();
    against_all("stuck workers", |instance| {
        let running = instance.start(&instance.config());
        let workers = udp_workers(&running);
        assert_eq!(workers.len(), 2);
        workers[0].suspend();
        for _ in 0..8 {
            assert!(instance.serves_udp(UDP), "the other one answers");
        }
        workers[1].suspend();
        assert!(instance.silent_udp(UDP));
        assert!(instance.mi_answers());
        running.stop(Signal::SIGTERM);
    });
}

#[test]
fn privileges_are_dropped() {
    root_or_skip!();
    against_all("-u and -g", |instance| {
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        instance.host.run(|| nix::unistd::chown("/run/opensips", Some(nobody.uid), None).unwrap());
        let config = instance.config();
        assert_eq!(instance.start_with(&config, &["-u", "nobody"]), Some(0));
        let running = instance.running();
        let uid = nobody.uid.as_raw();
        wait_until("all of them have become its user", DEADLINE, || {
            running.processes().iter().all(|process| process.user == uid)
        });
        for file in [PID_FILE, FIFO] {
            wait_until("the file is there", DEADLINE, || instance.exists(file));
            let owner = instance.host.run(|| fs::metadata(file).unwrap().uid());
            assert_eq!(owner, uid, "{file}");
        }
        assert!(instance.serves_udp(UDP));
        running.stop(Signal::SIGTERM);
    });
}

#[test]
fn in_the_foreground_it_is_the_commands_own_process() {
    root_or_skip!();
    against_all("-F", |instance| {
        instance.write(CONFIG, &instance.config().text());
        let mut command = instance.spawn(&["-F", "-f", CONFIG, "-P", PID_FILE]);
        wait_until("OPTIONS is answered", DEADLINE, || !instance.silent_udp(UDP));
        let attendant = instance.running().attendant;
        assert_eq!(attendant.pid.unsigned_abs(), command.id());
        let code = loop {
            // See the clean stop: the first one may be lost.
            attendant.signal(Signal::SIGTERM);
            match command.try_wait().unwrap() {
                Some(status) => break status.code(),
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(code, Some(0));
        assert!(!instance.exists(PID_FILE));
    });
}

#[test]
fn debug_mode_keeps_it_in_the_foreground_without_a_pid_file() {
    root_or_skip!();
    against_all("debug_mode=yes", |instance| {
        let mut config = instance.config();
        config.more.push_str("debug_mode=yes\n");
        instance.write(CONFIG, &config.text());
        let mut command = instance.spawn(&["-f", CONFIG, "-P", PID_FILE]);
        wait_until("OPTIONS is answered", DEADLINE, || !instance.silent_udp(UDP));
        let id = i32::try_from(command.id()).unwrap();
        let session = Process::read(id).unwrap().session;
        let processes = instance.processes();
        assert!(processes.len() > 1 && processes.iter().all(|one| one.session == session));
        let workers = processes.iter().filter(|one| one.parent == id).count();
        assert_eq!(workers + 1, processes.len());
        assert!(!instance.exists(PID_FILE));
        for one in processes {
            one.signal(Signal::SIGKILL);
        }
        command.wait().unwrap();
    });
}

#[test]
fn two_instances_share_a_udp_port_unnoticed() {
    root_or_skip!();
    against_all("busy UDP port", |instance| {
        let config = udp_alone(instance.config());
        let first = instance.start(&config);
        let second = ["-f", CONFIG, "-P", "/run/opensips/second.pid"];
        assert_eq!(instance.command(&second), Some(0), "{}", instance.errors());
        assert_eq!(instance.processes().len(), 2 * first.processes().len());
    });
}
