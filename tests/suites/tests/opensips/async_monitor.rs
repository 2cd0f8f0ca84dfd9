//! The asynchronous monitor: Pacemaker is told at once when the main process dies. Programs in the place of
//! Pacemaker's note what they are asked.

mod cluster;

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use testnet::wait_until;

use self::cluster::{Cluster, TOLD, age};
use crate::cluster_programs::{instance, on_node1};
use crate::roles::ROLE;
use crate::site::{PIDFILE, is_alive, recurring, signal};
use crate::{LONG, Site, ends, every_daemon, fails};

/// Skips a test where Pacemaker's programs are missing.
macro_rules! cluster_or_skip {
    ($site:expr, $name:literal) => {
        match Cluster::new($site) {
            Some(cluster) => cluster,
            None => {
                return testnet::skipped(
                    concat!("async_monitor::", $name),
                    "needs pacemaker-cli-utils",
                )
            }
        }
    };
}

#[test]
fn a_death_is_told_at_once() {
    testnet::root_or_skip!();
    every_daemon("a_death_is_told_at_once", |site| {
        let cluster = &cluster_or_skip!(site, "a_death_is_told_at_once");
        let agent = cluster.agent();
        cluster.start(&agent);
        ends(&recurring(&agent), 0);
        cluster.grow_old();
        assert_eq!(cluster.notes(), "", "nothing is asked while it lives");
        cluster.kill_main();
        assert_eq!(cluster.told(), 1, "{}", cluster.notes());
        // What Pacemaker does then.
        ends(&agent.action("stop"), 0);
        cluster.start(&agent);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
        assert_eq!((site.async_monitors(), cluster.told()), (vec![], 1));
    });
}

/// A clone's instance with a number too many, and a call that does not name the node.
#[test]
fn a_promoted_instance_publishes_its_failure_first() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_promoted_instance");
    let agent = crate::roles::clone_of(site.agent());
    cluster.start(&agent);
    ends(&agent.action("promote"), 0);
    // The peer has a standby, which gets the role because of the score.
    let peer = instance("node2", "Unpromoted", "");
    cluster.shows(&[instance("node1", "Promoted", ""), peer]);
    cluster.grow_old();
    let main = site.kill_main();
    wait_until("the score is told", LONG, || cluster.notes().contains("--update=1\n"));
    ends(&agent.action("demote"), 0);
    cluster.shows(&[instance("node1", "Unpromoted", ""), instance("node2", "Promoted", "")]);
    cluster.wait_over();
    let notes = cluster.notes();
    let at = |line: &str| notes.find(line).unwrap_or_else(|| panic!("{line} is not in\n{notes}"));
    assert!(at("crm_attribute --promotion=sip --lifetime=reboot --update=1\n") < at(TOLD));
    assert_eq!(cluster.told(), 1);
    assert!(!is_alive(main));
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// The score alone moves the role; a failure that comes with it delays the move.
#[test]
fn a_promoted_instance_that_fails_reports_it_when_the_role_can_have_moved() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_promoted_instance_that_fails");
    let agent = crate::roles::clone_of(cluster.agent());
    let failing = agent.clone().param("sip_probe_codes", "299");
    let asked = || cluster.notes().matches("crm_mon").count();
    cluster.start(&agent);
    ends(&agent.action("promote"), 0);
    cluster.shows(&[instance("node1", "Promoted", ""), instance("node2", "Unpromoted", "")]);
    fails(&recurring(&failing), 9, "sip_probe_codes");
    assert!(cluster.notes().contains("--update=1\n"), "{}", cluster.notes());
    // Not demoted, it has waited since it asked the cluster.
    let last_asked = std::fs::metadata(cluster.notes_file()).unwrap().modified().unwrap();
    let waited = last_asked.elapsed().unwrap();
    assert!(waited >= Duration::from_millis(500), "{waited:?}");
    // Pacemaker knows of it.
    fails(&recurring(&failing), 9, "sip_probe_codes");
    assert_eq!(asked(), 1);
    // A standby that fails costs no call.
    ends(&agent.action("demote"), 0);
    ends(&recurring(&agent), 0);
    fails(&recurring(&failing), 1, "sip_probe_codes");
    assert_eq!(asked(), 1);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

#[test]
fn a_promoted_instance_that_dies_is_failed_when_another_one_is_promoted() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_promoted_instance_that_dies");
    let agent = crate::roles::clone_of(cluster.agent());
    let asked = || cluster.notes().matches("crm_mon").count();
    let roles = |here: &str, there: &str| {
        cluster.shows(&[instance("node1", here, ""), instance("node2", there, "")]);
    };
    let lead = || {
        cluster.start(&agent);
        ends(&agent.action("promote"), 0);
        roles("Promoted", "Unpromoted");
        cluster.grow_old();
    };
    // Pacemaker moves no role: nothing is waited for.
    lead();
    let before = asked();
    cluster.kill_main();
    assert_eq!((asked(), cluster.told()), (before + 1, 1), "{}", cluster.notes());
    ends(&agent.action("stop"), 0);

    let is_awaited = || {
        lead();
        let (before, told) = (asked(), cluster.told());
        site.kill_main();
        // What demote notes.
        let record = || std::fs::read_to_string(ROLE).unwrap();
        wait_until("the score is noted", LONG, || site.on_host(record).contains("\nscore 1\n"));
        let demoted = site.on_host(record).replace("role promoted", "role unpromoted");
        site.on_host(|| std::fs::write(ROLE, demoted).unwrap());
        let is_over = || site.async_monitors().is_empty();
        wait_until("it looks for the move", LONG, || asked() > before + 2 || is_over());
        let awaited = !is_over() && cluster.told() == told;
        roles("Unpromoted", "Promoted");
        cluster.wait_over();
        assert_eq!(cluster.told(), told + 1, "{}", cluster.notes());
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
        awaited
    };
    // A machine that stands still for half a second shows nothing.
    assert!((0..5).any(|_| is_awaited()));
}

/// Each on a host of its own, because each needs a daemon that is old.
#[test]
fn what_an_administrator_has_decided_is_left_to_the_next_monitor() {
    testnet::root_or_skip!();
    type Prepare = fn(&Cluster<'_>);
    let cases: [(&str, Prepare, usize); 6] = [
        ("unmanaged", |it| it.shows(&[instance("node1", "Started", "managed=\"false\"")]), 0),
        ("on another node", |it| it.shows(&[instance("node2", "Started", "")]), 0),
        ("on-fail", |it| it.is_configured("on-fail"), 0),
        ("counted twice", |it| it.is_configured("migration-threshold"), 0),
        (
            "counted once",
            |it| {
                it.is_configured("migration-threshold");
                it.shows_version("3.0.0-4", &[instance("node1", "Started", "")]);
            },
            1,
        ),
        ("no cluster", |it| std::fs::remove_file(it.site.path("status")).unwrap(), 0),
    ];
    std::thread::scope(|scope| {
        for (name, prepare, told) in cases {
            scope.spawn(move || {
                let site = &Site::stand_in();
                let cluster = &cluster_or_skip!(site, "what_an_administrator");
                prepare(cluster);
                let agent = cluster.agent();
                cluster.start(&agent);
                cluster.grow_old();
                cluster.kill_main();
                assert_eq!(cluster.told(), told, "{name}: {}", cluster.notes());
                // Today's way.
                fails(&recurring(&agent), 1, "orphans of OpenSIPS are alive");
                ends(&agent.action("stop"), 0);
                site.nothing_is_left();
            });
        }
    });
}

/// A person starts another daemon in the place of one that has died.
fn start_by_hand(site: &Site) {
    for pid in site.processes() {
        signal(pid, Signal::SIGKILL);
    }
    wait_until("nothing is left", LONG, || site.processes().is_empty());
    site.on_host(|| std::fs::remove_file(PIDFILE).unwrap());
    site.start_by_hand();
}

#[test]
fn an_end_that_is_no_death_is_not_told() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "an_end_that_is_no_death");
    let agent = cluster.agent();
    // It was stopped.
    cluster.start(&agent);
    cluster.grow_old();
    ends(&agent.action("stop"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    site.nothing_is_left();
    // A person has started another one in its place.
    cluster.start(&agent);
    cluster.grow_old();
    let watcher = site.async_monitors()[0];
    // Not as OpenSIPS: scripts look for that by `pidof opensips`.
    let words = std::fs::read(format!("/proc/{watcher}/cmdline")).unwrap();
    assert!(words.starts_with(b"opensips-ocf\0"), "{words:?}");
    signal(watcher, Signal::SIGSTOP);
    site.kill_main();
    start_by_hand(site);
    signal(watcher, Signal::SIGCONT);
    wait_until("it has looked", LONG, || !is_alive(watcher));
    assert_eq!(cluster.told(), 0, "{}", cluster.notes());
    // Adopted, and watched.
    ends(&recurring(&agent), 0);
    assert_eq!(site.async_monitors().len(), 1);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// It waits for the promoted role to move, and meanwhile a person starts another daemon.
#[test]
fn a_daemon_that_a_person_has_started_meanwhile_is_not_failed() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_daemon_that_a_person_has_started_meanwhile");
    let agent = crate::roles::clone_of(cluster.agent());
    cluster.start(&agent);
    ends(&agent.action("promote"), 0);
    cluster.shows(&[instance("node1", "Promoted", ""), instance("node2", "Unpromoted", "")]);
    cluster.grow_old();
    let watcher = site.async_monitors()[0];
    std::fs::write(site.path("held"), "").unwrap();
    site.kill_main();
    wait_until("the score is told", LONG, || cluster.notes().contains("--update=1\n"));
    signal(watcher, Signal::SIGSTOP);
    std::fs::remove_file(site.path("held")).unwrap();
    start_by_hand(site);
    signal(watcher, Signal::SIGCONT);
    cluster.wait_over();
    assert_eq!(cluster.told(), 0, "{}", cluster.notes());
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// A daemon that crashes again and again is restarted no faster than by the recurring monitor.
#[test]
fn the_death_of_a_young_daemon_is_left_to_the_next_monitor() {
    testnet::root_or_skip!();
    every_daemon("the_death_of_a_young_daemon", |site| {
        let cluster = &cluster_or_skip!(site, "the_death_of_a_young_daemon");
        let agent = cluster.agent();
        loop {
            cluster.start(&agent);
            let main = site.main();
            signal(main, Signal::SIGSTOP);
            let born = age(main);
            let begun = std::time::Instant::now();
            cluster.kill_main();
            let asked = cluster.notes();
            ends(&agent.action("stop"), 0);
            // A machine that has stalled for seconds proves nothing.
            if born + begun.elapsed() < Duration::from_secs(4) {
                assert_eq!(asked, "");
                break;
            }
        }
        site.nothing_is_left();
    });
}

#[test]
fn a_monitor_starts_it_again() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = on_node1(site.agent());
    ends(&agent.action("start"), 0);
    let kill = || {
        for pid in site.async_monitors() {
            signal(pid, Signal::SIGKILL);
        }
        wait_until("it is gone", LONG, || site.async_monitors().is_empty());
    };
    assert_eq!(site.async_monitors().len(), 1);
    kill();
    // A probe has no effects.
    ends(&agent.action("monitor"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&recurring(&agent.clone().param("async_monitor", "no")), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&recurring(&agent), 0);
    let there = site.async_monitors();
    assert_eq!(there.len(), 1);
    ends(&recurring(&agent), 0);
    assert_eq!(site.async_monitors(), there);
    // New values for its parameters.
    ends(&agent.action("reload-agent"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&recurring(&agent), 0);
    assert_eq!(site.async_monitors().len(), 1);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();

    ends(&agent.clone().param("async_monitor", "no").action("start"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&agent.action("stop"), 0);
    // By hand there is no resource that could have failed.
    let by_hand = agent.env("OCF_RESOURCE_INSTANCE", "");
    ends(&by_hand.action("start"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&by_hand.action("stop"), 0);
}

/// What Pacemaker does because of another failure comes while crm_resource is running: nothing arrives later.
#[test]
fn an_action_ends_what_is_being_told() {
    testnet::root_or_skip!();
    for action in ["stop", "start", "monitor"] {
        let site = &Site::stand_in();
        let cluster = &cluster_or_skip!(site, "an_action_ends_what_is_being_told");
        let agent = cluster.agent();
        cluster.start(&agent);
        cluster.grow_old();
        let stuck = site.path("stuck");
        std::fs::write(&stuck, "").unwrap();
        site.kill_main();
        let telling = || std::fs::read_to_string(&stuck).unwrap().trim().parse::<i32>().ok();
        wait_until("crm_resource is running", LONG, || telling().is_some());
        let program = telling().unwrap();
        std::fs::remove_file(&stuck).unwrap();
        match action {
            "monitor" => fails(&recurring(&agent), 1, "orphans of OpenSIPS are alive"),
            action => ends(&agent.action(action), 0),
        }
        wait_until("crm_resource is killed", LONG, || !is_alive(program));
        let watched = usize::from(action == "start");
        assert_eq!(site.async_monitors().len(), watched, "{action}");
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    }
}

/// A file system without room has no record of the process that holds the lock.
#[test]
fn a_monitor_starts_no_second_one() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = on_node1(site.agent());
    ends(&agent.action("start"), 0);
    let there = site.async_monitors();
    assert_eq!(there.len(), 1);
    site.on_host(|| std::fs::write("/run/smartvox/opensips-sip.async-monitor", "").unwrap());
    let log = site.path("log");
    std::fs::write(&log, "").unwrap();
    ends(&recurring(&agent.clone().env("HA_LOGFILE", &log)), 0);
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(!logged.contains("no asynchronous monitor"), "{logged}");
    assert_eq!(site.async_monitors(), there);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// A cluster that does not answer must not keep the failure from Pacemaker.
#[test]
fn a_failure_does_not_wait_for_a_cluster_that_does_not_answer() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_failure_does_not_wait");
    let agent = crate::roles::clone_of(cluster.agent()).param("async_monitor", "no");
    let is_quick = || {
        ends(&agent.action("start"), 0);
        ends(&agent.action("promote"), 0);
        std::fs::remove_file(site.path("status")).unwrap();
        nix::unistd::mkfifo(&site.path("status"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        site.kill_main();
        let outcome = recurring(&agent);
        fails(&outcome, 9, "orphans of OpenSIPS are alive");
        assert!(cluster.notes().contains("crm_mon"), "{}", cluster.notes());
        cluster.shows(&[instance("node1", "Started", "")]);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
        // As long as any program of Pacemaker may take otherwise.
        outcome.took < Duration::from_secs(5)
    };
    // A machine that stands still for seconds shows nothing.
    assert!((0..5).any(|_| is_quick()));
}

#[test]
fn diagnose_names_it() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = on_node1(site.agent());
    let shown = || {
        let outcome = agent.clone().args(["--format", "json"]).action("diagnose");
        let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        told["async_monitor"].clone()
    };
    assert!(shown().is_null());
    ends(&agent.action("start"), 0);
    assert_eq!(shown(), site.async_monitors()[0]);
    ends(&agent.action("stop"), 0);
    assert!(shown().is_null());
}

#[test]
fn it_keeps_nothing_of_its_caller() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    ends(&on_node1(site.agent()).action("start"), 0);
    let pid = site.async_monitors()[0];
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let session: i32 = rest.split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(session, pid);
    let null = Path::new("/dev/null");
    for descriptor in 0..3 {
        let path = format!("/proc/{pid}/fd/{descriptor}");
        assert_eq!(std::fs::read_link(path).unwrap(), null);
    }
    site.stop();
}
