//! validate-all of level 10: what the host lacks, and that looking changes nothing.

use testnet::{Agent, Outcome};

use crate::{ends, every_daemon, every_daemon_with_mi, fails};

pub(crate) fn validate(agent: &Agent) -> Outcome {
    agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all")
}

#[test]
fn what_the_host_lacks() {
    testnet::root_or_skip!();
    every_daemon_with_mi("what_the_host_lacks", |site| {
        ends(&validate(&site.agent()), 0);
        let file = site.path("file");
        std::fs::write(&file, "").unwrap();
        let file = file.to_str().unwrap();
        let cases: [(&str, String, i32, &str); 4] = [
            ("pidfile", format!("{file}/x.pid"), 2, "pidfile: "),
            ("pidfile", "/sys/x/x.pid".into(), 2, "is on a read-only file system"),
            ("mi", "datagram:/no/such/socket".into(), 2, "mi: there is no directory /no/such"),
            ("mi", format!("fifo:{file}"), 1, "is a regular file, not a FIFO"),
        ];
        site.on_host(read_only_sys);
        for (name, value, code, words) in cases {
            println!("{name}={value}");
            let wrong = site.agent().param(name, value);
            fails(&validate(&wrong), code, words);
            ends(&wrong.action("validate-all"), 0);
        }
        // All at once.
        let wrong = site.agent().param("user", "no-such-user").param("pidfile", "/sys/x/x.pid");
        let wrong = wrong.param("mi", format!("fifo:{file}"));
        let outcome = validate(&wrong);
        for words in ["user no-such-user does not exist", "is a regular file", "pidfile: "] {
            fails(&outcome, 2, words);
        }
    });
}

/// As in a container, whatever the machine's is.
fn read_only_sys() {
    use nix::mount::{MsFlags, mount};
    let none = None::<&str>;
    mount(Some("tmpfs"), "/sys", Some("tmpfs"), MsFlags::MS_RDONLY, none).unwrap();
}

#[test]
fn looking_changes_nothing() {
    testnet::root_or_skip!();
    every_daemon("looking_changes_nothing", |site| {
        let agent = site.agent().param("mi", "fifo:/run/opensips/fifo");
        let agent = agent.param("mi_reply_dir", "/run/smartvox/mi");
        let _ = validate(&agent);
        site.nothing_is_left();
        assert_eq!(site.files("/run/opensips"), [""; 0]);
        assert!(!site.on_host(|| std::path::Path::new("/run/smartvox").exists()));

        // Beside an instance that runs: its sockets are its own, and it goes on.
        site.start();
        let (main, processes, state) = (site.main(), site.processes(), site.state());
        ends(&validate(&site.agent()), 0);
        assert_eq!((site.main(), site.processes(), site.state()), (main, processes, state));
        ends(&site.monitor(), 0);
        site.stop();
    });
}
