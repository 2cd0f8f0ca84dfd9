//! Several resources on one node: what is another resource's is neither found nor ended.

use testnet::Agent;

use crate::identity::second;
use crate::site::{PIDFILE, STATE, children, is_alive, recurring, write};
use crate::validate::validate;
use crate::{Site, ends, every_daemon, fails};

/// A resource of this name with the same configuration.
fn named(site: &Site, name: &str) -> Agent {
    site.agent().env("OCF_RESOURCE_INSTANCE", name)
}

/// Pacemaker's actions on a resource that is defined and not to run here, and on one that is.
#[track_caller]
fn leaves_alone(site: &Site, other: &Agent, belongs: &str) {
    let (processes, memory) = (site.processes(), site.state());
    ends(&other.action("monitor"), 7);
    ends(&other.action("stop"), 0);
    ends(&recurring(other), 7);
    fails(&other.action("start"), 1, belongs);
    fails(&validate(other), 1, belongs);
    // What follows a failed start.
    ends(&other.action("stop"), 0);
    ends(&other.action("monitor"), 7);
    assert_eq!(site.processes(), processes, "touched");
    assert_eq!(site.state(), memory, "touched");
}

#[test]
fn a_second_resource_with_the_same_configuration() {
    testnet::root_or_skip!();
    every_daemon("a_second_resource_with_the_same_configuration", |site| {
        site.start();
        let main = site.main();
        let belongs = format!("(pid {main}) with this configuration belongs to resource sip: ");
        let test = named(site, "test");
        // Also with the very pid file of the first.
        let same = named(site, "test").param("pidfile", PIDFILE);
        // Of another user, whose processes would not count but for what the first one remembers.
        let of_another_user = named(site, "test").param("user", "daemon");
        for other in [&test, &same, &of_another_user] {
            leaves_alone(site, other, &belongs);
            assert!(site.answers("127.0.0.1:5060"));
            assert_eq!(site.main(), main);
            ends(&site.monitor(), 0);
        }
        // The agent remembers nothing.
        let memory = site.state();
        site.forget();
        leaves_alone(site, &same, &belongs);
        write(site, STATE, &memory);
        // Only orphans are alive.
        site.kill_main();
        for other in [&test, &same] {
            let orphans = site.processes();
            ends(&other.action("monitor"), 7);
            ends(&other.action("stop"), 0);
            fails(&other.action("start"), 1, "belongs to resource sip: ");
            assert_eq!(site.processes(), orphans, "touched");
        }
        fails(&site.monitor(), 1, "orphans of OpenSIPS are alive");
        site.stop();
        // Now the configuration is free.
        ends(&test.action("start"), 0);
        fails(&site.agent().action("start"), 1, "belongs to resource test: ");
        ends(&site.agent().action("stop"), 0);
        ends(&recurring(&test), 0);
        ends(&test.action("stop"), 0);
        site.nothing_is_left();
    });
}

/// A daemon of a version of the agent that did not name the resource in its environment.
#[test]
fn what_another_resource_remembers_is_its_own() {
    testnet::root_or_skip!();
    every_daemon("what_another_resource_remembers_is_its_own", |site| {
        site.on_host(|| std::fs::create_dir_all("/run/opensips").unwrap());
        site.start_by_hand();
        // Adopted and remembered.
        ends(&site.monitor(), 0);
        let main = site.main();
        let same = named(site, "test").param("pidfile", PIDFILE);
        leaves_alone(site, &same, &format!("(pid {main}) with this configuration belongs to "));
        site.kill_main();
        ends(&same.action("monitor"), 7);
        ends(&same.action("stop"), 0);
        fails(&site.monitor(), 1, "orphans of OpenSIPS are alive");
        site.stop();
    });
}

#[test]
fn all_numbers_of_a_clone_are_one_resource() {
    testnet::root_or_skip!();
    every_daemon("all_numbers_of_a_clone_are_one_resource", |site| {
        ends(&named(site, "sip:0").action("start"), 0);
        let main = site.main();
        for name in ["sip:0", "sip:1", "sip"] {
            ends(&recurring(&named(site, name)), 0);
            ends(&named(site, name).action("start"), 0);
            assert_eq!(site.main(), main, "{name}");
        }
        // As an older version has remembered it.
        site.on_host(|| {
            std::fs::rename(STATE, "/run/smartvox/opensips-sip%3A0.state").unwrap();
        });
        ends(&site.monitor(), 0);
        // Other resources, though their names begin alike.
        for name in ["si", "sip-2", "sip%3A0"] {
            ends(&named(site, name).action("monitor"), 7);
            ends(&named(site, name).action("stop"), 0);
        }
        assert!(is_alive(main));
        ends(&named(site, "sip:1").action("stop"), 0);
        site.nothing_is_left();
    });
}

/// Sockets of UDP alone are shared without an error: only the agent can keep them apart.
#[test]
fn two_resources_that_start_at_once_make_one_instance() {
    testnet::root_or_skip!();
    every_daemon("two_resources_that_start_at_once_make_one_instance", |site| {
        site.configure(&["udp:127.0.0.1:5060"]);
        let agents = [named(site, "a"), named(site, "b")];
        let outcomes = std::thread::scope(|scope| {
            let starts = agents.each_ref().map(|agent| scope.spawn(|| agent.action("start")));
            starts.map(|start| start.join().unwrap())
        });
        let won = usize::from(outcomes[0].code != 0);
        ends(&outcomes[won], 0);
        fails(&outcomes[1 - won], 1, "with this configuration belongs to resource ");
        let mains = site.processes().into_iter().filter(|pid| !children(*pid).is_empty());
        assert_eq!(mains.count(), 1);
        ends(&agents[1 - won].action("stop"), 0);
        ends(&recurring(&agents[won]), 0);
        ends(&agents[won].action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn a_socket_of_another_resource_is_named_so() {
    testnet::root_or_skip!();
    every_daemon("a_socket_of_another_resource_is_named_so", |site| {
        let other = second(site);
        ends(&other.action("start"), 0);
        site.configure(&["udp:127.0.0.1:5070", "tcp:127.0.0.1:5060"]);
        let start = site.agent().action("start");
        fails(&start, 1, "udp:127.0.0.1:5070 is in use by opensips (pid ");
        fails(&start, 1, ", resource second)");
        ends(&site.agent().action("stop"), 0);
        let mistaken = site.agent().param("pidfile", "/run/opensips/second.pid");
        site.configure(&["udp:127.0.0.1:5060"]);
        fails(&mistaken.action("start"), 1, ", resource second): set another pidfile");
        ends(&recurring(&other), 0);
        ends(&other.action("stop"), 0);
        site.nothing_is_left();
    });
}
