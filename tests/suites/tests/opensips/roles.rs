//! The agent as a promotable clone: roles and sharing tags.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testnet::{Agent, wait_until};

use crate::mi::deep;
use crate::probe::bound;
use crate::site::{PIDFILE, recurring, signal};
use crate::{LONG, Site, ends, every_daemon, every_daemon_with_mi, fails};

pub(crate) const ROLE: &str = "/run/smartvox/opensips-sip.role";

/// A node of a cluster on one host: number and MI port.
#[derive(Clone, Copy)]
pub(crate) struct Node {
    number: u32,
    pub(crate) port: u16,
}

pub(crate) const FIRST: Node = Node { number: 1, port: 8081 };
const SECOND: Node = Node { number: 2, port: 8082 };

impl Node {
    fn sip(self) -> String {
        format!("udp:127.0.0.{}:5060", self.number)
    }

    fn bin(self) -> String {
        format!("bin:127.0.0.{}:5566", self.number)
    }

    /// The text of its configuration.
    pub(crate) fn text(self, site: &Site, state: &str) -> String {
        let mut config = site.config_with(&[&self.sip(), &self.bin()]);
        config.mi_datagram = Some(format!("udp:127.0.0.1:{}", self.port));
        let peer = if self.number == 1 { SECOND } else { FIRST };
        let flags = if self.number == 1 { ", flags=seed" } else { "" };
        config.more = format!(
            "# OPENSIPS_STAND_IN_LINK=up\n\
             loadmodule \"proto_bin.so\"\n\
             loadmodule \"clusterer.so\"\n\
             modparam(\"clusterer\", \"db_mode\", 0)\n\
             modparam(\"clusterer\", \"my_node_id\", {})\n\
             modparam(\"clusterer\", \"my_node_info\", \"cluster_id=1, url={}{flags}\")\n\
             modparam(\"clusterer\", \"neighbor_node_info\", \"cluster_id=1,node_id={},url={}\")\n\
             modparam(\"clusterer\", \"ping_interval\", 1)\n\
             modparam(\"clusterer\", \"node_timeout\", 2)\n\
             modparam(\"clusterer\", \"sharing_tag\", \"vip/1={state}\")\n",
            self.number,
            self.bin(),
            peer.number,
            peer.bin(),
        );
        config.text()
    }

    pub(crate) fn mi(self) -> String {
        format!("datagram:127.0.0.1:{}", self.port)
    }

    /// Asks the daemon, by code of our own.
    fn ask(self, site: &Site, method: &str, parameters: &Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let reply = site.on_host(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            socket.send_to(request.to_string().as_bytes(), ("127.0.0.1", self.port)).unwrap();
            let mut buffer = vec![0; 65_536];
            let length = socket.recv(&mut buffer).unwrap();
            buffer[..length].to_vec()
        });
        serde_json::from_slice(&reply).unwrap()
    }

    pub(crate) fn is_active(self, site: &Site) -> bool {
        let tags = self.ask(site, "clusterer_list_shtags", &json!([]));
        match tags["result"][0]["State"].as_str() {
            Some("active") => true,
            Some("backup") => false,
            _ => panic!("{tags}"),
        }
    }

    fn activate(self, site: &Site) {
        let reply = self.ask(site, "clusterer_shtag_set_active", &json!(["vip/1"]));
        assert_eq!(reply["result"], "OK", "{reply}");
    }
}

/// The agent in a promotable clone with a sharing tag.
pub(crate) fn standby(site: &Site, node: Node) -> Agent {
    clone_of(site.agent().param("mi", node.mi()).param("sharing_tag", "vip/1"))
}

pub(crate) fn clone_of(agent: Agent) -> Agent {
    agent.env("OCF_RESKEY_CRM_meta_promoted_max", "1")
}

#[test]
fn the_tag_follows_the_role() {
    testnet::root_or_skip!();
    every_daemon_with_mi("the_tag_follows_the_role", |site| {
        site.write(&FIRST.text(site, "backup"));
        let agent = standby(site, FIRST);
        fails(&agent.action("promote"), 1, "is not running on this node");
        ends(&agent.action("demote"), 0);

        ends(&agent.action("start"), 0);
        assert!(!FIRST.is_active(site));
        ends(&recurring(&agent), 0);
        ends(&deep(&agent), 0);

        for _ in 0..2 {
            ends(&agent.action("promote"), 0);
            assert!(FIRST.is_active(site));
            ends(&recurring(&agent), 8);
            ends(&deep(&agent), 8);
        }
        // A start of what runs takes nothing away.
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 8);

        let main = site.main();
        for _ in 0..2 {
            ends(&agent.action("demote"), 0);
            ends(&recurring(&agent), 0);
            // No other node has taken it, and there is no command to give it up.
            assert!(FIRST.is_active(site));
            // It has just been demoted: the other one may be about to take it.
            ends(&deep(&agent), 0);
            fails(&deep(&agent), 190, "sharing tag vip/1 is active on an unpromoted instance");
        }
        assert_eq!(site.main(), main, "demote touched the process");
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn demote_with_restart_gives_the_tag_up() {
    testnet::root_or_skip!();
    every_daemon_with_mi("demote_with_restart_gives_the_tag_up", |site| {
        site.write(&FIRST.text(site, "backup"));
        let agent = standby(site, FIRST).param("demote", "restart");
        ends(&agent.action("start"), 0);
        ends(&agent.action("promote"), 0);
        let main = site.main();
        // What could not be started again is not stopped.
        site.write("no such word in its language\n");
        fails(&agent.action("demote"), 2, "configuration check failed: ");
        assert_eq!(site.main(), main);
        assert!(FIRST.is_active(site));
        ends(&recurring(&agent), 8);
        site.write(&FIRST.text(site, "backup"));
        ends(&agent.action("demote"), 0);
        assert_ne!(site.main(), main);
        assert!(!FIRST.is_active(site));
        ends(&deep(&agent), 0);
        // Nothing to give up: nothing to restart.
        let main = site.main();
        ends(&agent.action("demote"), 0);
        assert_eq!(site.main(), main);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn roles_without_tags() {
    testnet::root_or_skip!();
    every_daemon("roles_without_tags", |site| {
        let agent = clone_of(site.agent());
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("promote"), 0);
        ends(&recurring(&agent), 8);
        // A degraded or failed one says that it is the promoted one.
        let worker = site.workers()[0];
        testnet::suspend(worker);
        fails(&recurring(&agent), 191, "are stopped (SIGSTOP)");
        signal(worker, Signal::SIGCONT);
        fails(&recurring(&agent.clone().param("sip_probe_codes", "299")), 9, "sip_probe_codes");
        ends(&agent.action("demote"), 0);
        fails(&recurring(&agent.clone().param("sip_probe_codes", "299")), 1, "sip_probe_codes");
        ends(&agent.action("promote"), 0);

        site.kill_main();
        fails(&recurring(&agent), 9, "orphans of OpenSIPS are alive");
        ends(&agent.action("demote"), 0);
        fails(&recurring(&agent), 1, "orphans of OpenSIPS are alive");
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        ends(&recurring(&agent), 7);
        site.nothing_is_left();
    });
}

#[test]
fn an_mi_without_tags_is_no_obstacle_to_a_role() {
    testnet::root_or_skip!();
    every_daemon_with_mi("an_mi_without_tags_is_no_obstacle_to_a_role", |site| {
        // No module clusterer, which alone knows the commands of sharing tags.
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.mi_datagram = Some("udp:127.0.0.1:8081".to_owned());
        // Nor is it asked what it has of the others' data.
        let silent = "# OPENSIPS_STAND_IN_MI_SILENT_COMMAND=clusterer_list_cap\n";
        site.write(&format!("{silent}{}", config.text()));
        let agent = clone_of(site.agent().param("mi", FIRST.mi()));
        ends(&agent.action("start"), 0);
        ends(&agent.action("promote"), 0);
        ends(&recurring(&agent), 8);
        ends(&deep(&agent), 8);
        ends(&agent.action("demote"), 0);
        ends(&deep(&agent), 0);
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn a_new_main_process_is_unpromoted() {
    testnet::root_or_skip!();
    every_daemon("a_new_main_process_is_unpromoted", |site| {
        let agent = clone_of(site.agent());
        ends(&agent.action("start"), 0);
        ends(&agent.action("promote"), 0);
        let record = site.on_host(|| std::fs::read_to_string(ROLE).unwrap());
        ends(&agent.action("stop"), 0);
        ends(&agent.action("start"), 0);
        // As after a crash of the agent: the memory of another life.
        site.on_host(|| std::fs::write(ROLE, &record).unwrap());
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn a_lost_record_is_made_up_for_by_the_tag() {
    testnet::root_or_skip!();
    every_daemon_with_mi("a_lost_record_is_made_up_for_by_the_tag", |site| {
        site.write(&FIRST.text(site, "backup"));
        let agent = standby(site, FIRST);
        ends(&agent.action("start"), 0);
        ends(&agent.action("promote"), 0);
        site.on_host(|| std::fs::remove_file(ROLE).unwrap());
        ends(&recurring(&agent), 8);
        site.on_host(|| std::fs::write(ROLE, "main 1").unwrap());
        ends(&recurring(&agent), 8);
        // Demoted in so many words: the tag that is still active says nothing.
        ends(&agent.action("demote"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        // A tag on backup tells of a standby, which must not take it.
        ends(&agent.action("start"), 0);
        site.on_host(|| std::fs::remove_file(ROLE).unwrap());
        ends(&recurring(&agent), 0);
        assert!(!FIRST.is_active(site));
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn a_lost_record_is_made_up_for_by_pacemaker() {
    testnet::root_or_skip!();
    every_daemon("a_lost_record_is_made_up_for_by_pacemaker", |site| {
        let agent = clone_of(site.agent());
        ends(&agent.action("start"), 0);
        ends(&agent.action("promote"), 0);
        site.on_host(|| std::fs::remove_file(ROLE).unwrap());
        let promoted = agent.clone().env("OCF_RESKEY_CRM_meta_role", "Promoted");
        ends(&recurring(&promoted), 8);
        // Remembered again.
        ends(&recurring(&agent), 8);
        ends(&agent.action("demote"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
    });
}

/// As after a mount of /run over a running instance: neither pid file nor memory.
fn forget_all(site: &Site) {
    site.forget();
    site.on_host(|| std::fs::remove_file(PIDFILE).unwrap());
}

#[test]
fn roles_change_where_pid_file_and_memory_are_gone() {
    testnet::root_or_skip!();
    every_daemon_with_mi("roles_change_where_pid_file_and_memory_are_gone", |site| {
        site.write(&FIRST.text(site, "backup"));
        let agent = standby(site, FIRST);
        ends(&agent.action("start"), 0);
        let main = site.main();
        forget_all(site);
        ends(&agent.action("promote"), 0);
        assert!(FIRST.is_active(site));
        ends(&recurring(&agent), 8);
        site.forget();
        ends(&agent.action("demote"), 0);
        ends(&recurring(&agent), 0);
        assert!(crate::site::is_alive(main));
        site.forget();
        ends(&agent.clone().param("demote", "restart").action("demote"), 0);
        assert!(!crate::site::is_alive(main), "not restarted");
        assert!(!FIRST.is_active(site));
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn a_promote_during_a_monitor_is_not_undone_by_it() {
    testnet::root_or_skip!();
    every_daemon("a_promote_during_a_monitor_is_not_undone_by_it", |site| {
        let agent = clone_of(site.agent());
        ends(&agent.action("start"), 0);
        // A monitor that has something to write, and waits for an answer before it does.
        site.on_host(|| std::fs::remove_file(ROLE).unwrap());
        let workers = site.workers();
        for worker in &workers {
            testnet::suspend(*worker);
        }
        let before = bound(site);
        let patient = agent
            .clone()
            .param("sip_probe_timeout", "60s")
            .env("OCF_RESKEY_CRM_meta_timeout", "600000");
        let outcome = std::thread::scope(|scope| {
            let asking = scope.spawn(|| recurring(&patient));
            wait_until("it asks", LONG, || bound(site) > before || asking.is_finished());
            ends(&agent.action("promote"), 0);
            for worker in &workers {
                signal(*worker, Signal::SIGCONT);
            }
            asking.join().unwrap()
        });
        // It saw the workers stopped; what counts is what it left.
        assert!([0, 190].contains(&outcome.code), "{}", outcome.stderr);
        ends(&recurring(&agent), 8);
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn a_configuration_that_robs_the_active_node_is_refused() {
    testnet::root_or_skip!();
    every_daemon_with_mi("a_configuration_that_robs_the_active_node_is_refused", |site| {
        site.write(&FIRST.text(site, "active"));
        let agent = standby(site, FIRST);
        fails(&agent.action("start"), 2, "declares sharing tag vip/1=active");
        let validate = agent.clone().env("OCF_CHECK_LEVEL", "10");
        let validated = validate.action("validate-all");
        ends(&validated, 2);
        assert!(validated.stderr.contains("use vip/1=backup"), "{}", validated.stderr);
        site.nothing_is_left();

        // What the text does not show, the running daemon does; it is taken down again.
        if !site.is_stand_in() {
            site.write(&FIRST.text(site, "STATE"));
            let hidden = agent.param("extra_options", "-p 'sed s/=STATE/=active/'");
            fails(&hidden.action("start"), 2, "is active after start");
            site.nothing_is_left();
        }
    });
}

#[test]
fn two_nodes_one_active_tag() {
    testnet::root_or_skip!();
    let asked = AtomicBool::new(false);
    every_daemon_with_mi("two_nodes_one_active_tag", |site| {
        // The stand-in talks to no other node.
        if site.is_stand_in() {
            return;
        }
        asked.store(true, Ordering::Relaxed);
        let other = site.path("second.cfg");
        site.write(&FIRST.text(site, "backup"));
        std::fs::write(&other, SECOND.text(site, "backup")).unwrap();
        let first = standby(site, FIRST);
        let second =
            standby(site, SECOND).env("OCF_RESOURCE_INSTANCE", "second").param("config", &other);
        ends(&first.action("start"), 0);
        ends(&second.action("start"), 0);
        // Both: each tells the other of a tag through the link as it sees it itself.
        let connected = || {
            [FIRST, SECOND].iter().all(|node| {
                let nodes = node.ask(site, "clusterer_list", &json!([]));
                nodes.to_string().contains("\"Up\"")
            })
        };
        wait_until("the nodes see each other", LONG, connected);

        ends(&first.action("promote"), 0);
        ends(&second.action("demote"), 0);
        ends(&recurring(&first), 8);
        ends(&recurring(&second), 0);
        // Move: the old one's tag goes with the promotion of the new one.
        ends(&first.action("demote"), 0);
        ends(&second.action("promote"), 0);
        wait_until("the first one has given way", LONG, || !FIRST.is_active(site));
        ends(&deep(&first), 0);
        ends(&deep(&second), 8);

        // Robbed, and robbed again: taken back, and told. It goes on serving; a failure would restart it.
        for _ in 0..3 {
            FIRST.activate(site);
            wait_until("the second one is robbed", LONG, || !SECOND.is_active(site));
            fails(&recurring(&second), 191, "has been activated again");
            wait_until("the first one has given way", LONG, || !FIRST.is_active(site));
        }
        ends(&recurring(&second), 8);

        // A node that comes back takes nothing.
        ends(&first.action("stop"), 0);
        ends(&first.action("start"), 0);
        wait_until("the nodes see each other", LONG, connected);
        assert!(!FIRST.is_active(site) && SECOND.is_active(site));
        ends(&recurring(&second), 8);
        // Nor does one that was promoted when it crashed.
        ends(&second.action("demote"), 0);
        ends(&first.action("promote"), 0);
        wait_until("the second one has given way", LONG, || !SECOND.is_active(site));
        let crashed = [&[site.main()][..], &site.workers()].concat();
        for pid in &crashed {
            signal(*pid, Signal::SIGKILL);
        }
        wait_until("it is gone", LONG, || !crashed.iter().any(|pid| crate::site::is_alive(*pid)));
        fails(&recurring(&first), 7, " died");
        ends(&second.action("promote"), 0);
        ends(&first.action("start"), 0);
        wait_until("the nodes see each other", LONG, connected);
        assert!(!FIRST.is_active(site) && SECOND.is_active(site));
        ends(&recurring(&first), 0);
        ends(&recurring(&second), 8);
        ends(&first.action("stop"), 0);
        ends(&second.action("stop"), 0);
    });
    if !asked.into_inner() {
        testnet::skipped("roles::two_nodes_one_active_tag", "needs an OpenSIPS with clusterer");
    }
}
