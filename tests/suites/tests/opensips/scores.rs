//! The promotion scores that Pacemaker is told, by a program in the place of its own.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use testnet::wait_until;

use crate::cluster_programs::{
    after_each_under_pacemaker, monitor_and_attribute_daemon, replace, under_pacemaker,
};
use crate::mi::deep;
use crate::roles::{FIRST, clone_of, standby};
use crate::site::{every_daemon_with_mi, recurring, signal, stand_in_alone};
use crate::{LONG, Site, ends, fails};

/// Puts a program in the place of Pacemaker's, which notes what it was asked.
pub(crate) fn fake_crm_attribute(site: &Site, exit: i32) -> std::path::PathBuf {
    let (program, notes) = (site.path("crm_attribute"), site.path("notes"));
    let script = format!("#!/bin/sh\necho \"$*\" >> '{}'\nexit {exit}\n", notes.display());
    testnet::write_program(&program, script);
    std::fs::write(&notes, "").unwrap();
    let place = Path::new("/usr/sbin/crm_attribute");
    let none = None::<&str>;
    // On this host alone.
    site.on_host(|| mount(Some(&program), place, none, MsFlags::MS_BIND, none).unwrap());
    notes
}

/// What it was asked since the last time.
pub(crate) fn told(notes: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(notes).unwrap();
    std::fs::write(notes, "").unwrap();
    let prefix = "--promotion=sip --lifetime=reboot ";
    text.lines().map(|line| line.strip_prefix(prefix).unwrap().to_owned()).collect()
}

#[test]
fn promotion_scores_are_told_where_they_change() {
    testnet::root_or_skip!();
    if !Path::new("/usr/sbin/crm_attribute").exists() {
        return testnet::skipped("scores::promotion_scores", "needs pacemaker-cli-utils");
    }
    let site = &Site::stand_in();
    let notes = fake_crm_attribute(site, 0);
    let told = || told(&notes);
    let nothing = [""; 0];

    // Nobody asks for the score of what is no promotable clone.
    site.start();
    ends(&site.monitor(), 0);
    site.stop();
    assert_eq!(told(), nothing);

    let agent = clone_of(site.agent());
    ends(&agent.action("start"), 0);
    assert_eq!(told(), ["--update=9000"]);
    ends(&recurring(&agent), 0);
    fails(&deep(&agent), 190, "check level 10 without mi");
    assert_eq!(told(), nothing);
    ends(&agent.action("promote"), 0);
    assert_eq!(told(), ["--update=10000"]);
    ends(&recurring(&agent), 8);
    assert_eq!(told(), nothing);
    // A probe: Pacemaker may have been restarted and know nothing.
    ends(&agent.action("monitor"), 8);
    assert_eq!(told(), ["--update=10000"]);
    ends(&agent.action("demote"), 0);
    assert_eq!(told(), ["--update=9000"]);
    ends(&agent.action("stop"), 0);
    assert_eq!(told(), ["--delete"]);
    // Whoever remembers nothing does not know what Pacemaker was told.
    ends(&agent.action("start"), 0);
    assert_eq!(told(), ["--update=9000"]);
    site.forget();
    ends(&agent.action("stop"), 0);
    assert_eq!(told(), ["--delete"]);

    // With a tag, the standby is the better one once it has the others' data.
    site.write(&FIRST.text(site, "backup"));
    let agent = standby(site, FIRST);
    ends(&agent.action("start"), 0);
    assert_eq!(told(), ["--update=4000"]);
    ends(&recurring(&agent), 0);
    assert_eq!(told(), nothing);
    ends(&deep(&agent), 0);
    assert_eq!(told(), ["--update=9000"]);
    ends(&deep(&agent), 0);
    assert_eq!(told(), nothing);
    ends(&agent.action("stop"), 0);
}

#[test]
fn who_does_not_serve_is_the_last_to_be_promoted() {
    testnet::root_or_skip!();
    if !Path::new("/usr/sbin/crm_attribute").exists() {
        return testnet::skipped("scores::who_does_not_serve", "needs pacemaker-cli-utils");
    }
    let site = &Site::stand_in();
    let notes = fake_crm_attribute(site, 0);
    let told = || told(&notes);
    let nothing = [""; 0];
    site.write(&FIRST.text(site, "backup"));
    let agent = standby(site, FIRST);
    let failing = agent.clone().param("sip_probe_codes", "299");
    ends(&agent.action("start"), 0);
    ends(&deep(&agent), 0);
    assert_eq!(told(), ["--update=4000", "--update=9000"]);

    // Unpromoted: until the next good monitor; that it has the others' data is asked anew.
    fails(&recurring(&failing), 1, "sip_probe_codes");
    assert_eq!(told(), ["--update=1"]);
    fails(&recurring(&failing), 1, "sip_probe_codes");
    assert_eq!(told(), nothing);
    ends(&recurring(&agent), 0);
    assert_eq!(told(), ["--update=5000"]);
    ends(&agent.action("promote"), 0);
    assert_eq!(told(), ["--update=10000"]);

    // Promoted: the standby is the better one, whatever keeps this one from serving.
    fails(&recurring(&failing), 9, "sip_probe_codes");
    assert_eq!(told(), ["--update=1"]);
    ends(&recurring(&agent), 8);
    assert_eq!(told(), ["--update=10000"]);
    fails(&recurring(&failing), 9, "sip_probe_codes");
    assert_eq!(told(), ["--update=1"]);
    // Demoted, as Pacemaker does with what has failed, it is no better.
    ends(&agent.action("demote"), 0);
    assert_eq!(told(), nothing);
    ends(&agent.action("promote"), 0);
    assert_eq!(told(), ["--update=10000"]);

    // Calls are served without the MI: nothing moves, and a standby without it is still one.
    let elsewhere = agent.clone().param("mi", "datagram:127.0.0.1:9");
    fails(&deep(&elsewhere), 191, "Connection refused");
    assert_eq!(told(), nothing);
    ends(&agent.action("demote"), 0);
    assert_eq!(told(), ["--update=9000"]);
    fails(&deep(&elsewhere), 190, "Connection refused");
    assert_eq!(told(), ["--update=5000"]);
    // Whoever is promoted without its tag gives way to one that is ready, and does not come back for it.
    ends(&elsewhere.action("promote"), 0);
    fails(&recurring(&elsewhere), 191, "Connection refused");
    ends(&elsewhere.action("demote"), 0);
    assert_eq!(told(), nothing);
    ends(&agent.action("promote"), 0);
    assert_eq!(told(), ["--update=10000"]);

    // A monitor that needs all of its time has some left for that.
    for worker in site.workers() {
        testnet::suspend(worker);
    }
    let patient = agent.clone().param("sip_probe_timeout", "600s");
    let patient = patient.env("OCF_RESKEY_CRM_meta_timeout", "5000");
    fails(&recurring(&patient), 9, "no answer to OPTIONS");
    assert_eq!(told(), ["--update=1"]);
    for worker in site.workers() {
        signal(worker, Signal::SIGCONT);
    }
    wait_until("all is well again", LONG, || recurring(&agent).code == 8);
    assert_eq!(told(), ["--update=10000"]);

    site.kill_main();
    fails(&recurring(&agent), 9, "orphans of OpenSIPS are alive");
    assert_eq!(told(), ["--update=1"]);
    ends(&agent.action("demote"), 0);
    fails(&recurring(&agent), 1, "orphans of OpenSIPS are alive");
    assert_eq!(told(), nothing);
    ends(&agent.action("start"), 0);
    assert_eq!(told(), ["--update=4000"]);
    for pid in site.processes() {
        signal(pid, Signal::SIGKILL);
    }
    wait_until("all of them are gone", LONG, || site.processes().is_empty());
    fails(&recurring(&agent), 7, " died");
    assert_eq!(told(), ["--update=1"]);
    ends(&agent.action("stop"), 0);
    assert_eq!(told(), ["--delete"]);
}

#[test]
fn a_score_that_nobody_takes_is_no_failure() {
    testnet::root_or_skip!();
    if !Path::new("/usr/sbin/crm_attribute").exists() {
        return testnet::skipped("scores::a_score_that_nobody_takes", "needs pacemaker-cli-utils");
    }
    let site = &Site::stand_in();
    let notes = fake_crm_attribute(site, 1);
    let agent = clone_of(site.agent());
    ends(&agent.action("start"), 0);
    ends(&agent.action("promote"), 0);
    ends(&recurring(&agent), 8);
    // Asked for again, until it is taken.
    let asked = std::fs::read_to_string(&notes).unwrap().lines().count();
    assert_eq!(asked, 3);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

#[test]
fn a_standby_that_lacks_something_is_promoted_where_no_other_is() {
    testnet::root_or_skip!();
    if !Path::new("/usr/sbin/crm_attribute").exists() {
        return testnet::skipped("scores::a_standby_that_lacks", "needs pacemaker-cli-utils");
    }
    every_daemon_with_mi("a_standby_that_lacks_something_is_promoted", |site| {
        let notes = fake_crm_attribute(site, 0);
        let told = || told(&notes);
        // The other node of its cluster is off.
        site.write(&FIRST.text(site, "backup").replace("# OPENSIPS_STAND_IN_LINK=up", ""));
        let agent = standby(site, FIRST);
        ends(&agent.action("start"), 0);
        ends(&deep(&agent), 0);
        assert_eq!(told(), ["--update=4000", "--update=5000"]);
        ends(&agent.action("promote"), 0);
        ends(&deep(&agent), 8);
        assert_eq!(told(), ["--update=10000"]);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn a_module_that_is_not_ready_is_told_and_moves_nothing() {
    testnet::root_or_skip!();
    if !Path::new("/usr/sbin/crm_attribute").exists() {
        return testnet::skipped("scores::a_module_that_is_not_ready", "needs pacemaker-cli-utils");
    }
    every_daemon_with_mi("a_module_that_is_not_ready_is_told_and_moves_nothing", |site| {
        if !site.is_stand_in() && !site.has_module("status_report") {
            return;
        }
        let notes = fake_crm_attribute(site, 0);
        let told = || told(&notes);
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.mi_datagram = Some("udp:127.0.0.1:8080".to_owned());
        // As a module that finds no data does.
        config.more = "loadmodule \"status_report.so\"\n\
                       modparam(\"status_report\", \"script_sr_group\", \"drouting\")\n"
            .to_owned();
        let script = "startup_route { sr_set_status(\"drouting\", -2, \"no data loaded\"); }\n";
        site.write(&format!("# OPENSIPS_STAND_IN_UNREADY=drouting\n{}{script}", config.text()));
        let agent = clone_of(site.agent().param("mi", "datagram:127.0.0.1:8080"));
        ends(&agent.action("start"), 0);
        // It may be about to load them.
        ends(&deep(&agent), 0);
        assert_eq!(told(), ["--update=9000", "--update=5000"]);
        let ignored = agent.clone().param("check_readiness", "no");
        ends(&deep(&ignored), 0);
        assert_eq!(told(), ["--update=9000"]);
        ends(&agent.action("promote"), 0);
        ends(&deep(&agent), 8);
        assert_eq!(told(), ["--update=10000"]);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn a_module_that_stays_unready_is_told() {
    testnet::root_or_skip!();
    stand_in_alone("a_module_that_stays_unready_is_told", |site| {
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.mi_datagram = Some("udp:127.0.0.1:8080".to_owned());
        let switches =
            "# OPENSIPS_STAND_IN_UNREADY=drouting\n# OPENSIPS_STAND_IN_UP_BEFORE_MS=61000\n";
        site.write(&format!("{switches}{}", config.text()));
        let agent = site.agent().param("mi", "datagram:127.0.0.1:8080");
        ends(&agent.action("start"), 0);
        let why =
            "not ready: drouting/default (no data loaded): see opensips-cli -x mi sr_list_status";
        fails(&deep(&agent), 190, why);
        ends(&recurring(&agent), 0);
        ends(&deep(&agent.clone().param("check_readiness", "no")), 0);
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn a_standby_that_lives_and_is_silent_is_promoted_last() {
    testnet::root_or_skip!();
    if !Path::new("/usr/sbin/crm_attribute").exists() {
        return testnet::skipped("scores::a_standby_that_lives", "needs pacemaker-cli-utils");
    }
    stand_in_alone("a_standby_that_lives_and_is_silent_is_promoted_last", |site| {
        let notes = fake_crm_attribute(site, 0);
        let told = || told(&notes);
        let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
        site.write(&format!("# OPENSIPS_STAND_IN_SIP_ANSWER=none\n{text}"));
        let unasked = clone_of(site.agent().param("sip_probe", "none"));
        ends(&unasked.action("start"), 0);
        assert_eq!(told(), ["--update=9000"]);
        let asked = clone_of(site.agent().param("sip_probe_timeout", "100ms"));
        fails(&recurring(&asked), 190, "no answer to OPTIONS");
        assert_eq!(told(), ["--update=3000"]);
        // The promoted one may be busy with calls.
        ends(&unasked.action("promote"), 0);
        fails(&recurring(&asked), 191, "no answer to OPTIONS");
        assert_eq!(told(), ["--update=10000"]);
        ends(&unasked.action("demote"), 0);
        fails(&recurring(&asked), 190, "no answer to OPTIONS");
        ends(&recurring(&unasked), 0);
        assert_eq!(told(), ["--update=9000", "--update=3000", "--update=9000"]);
        ends(&unasked.action("stop"), 0);
    });
}

#[test]
fn a_score_is_told_again_to_a_new_attribute_daemon() {
    testnet::root_or_skip!();
    if !Path::new("/usr/sbin/crm_attribute").exists() {
        return testnet::skipped("scores::a_score_is_told_again", "needs pacemaker-cli-utils");
    }
    stand_in_alone("a_score_is_told_again_to_a_new_attribute_daemon", |site| {
        let notes = fake_crm_attribute(site, 0);
        let told = || told(&notes);
        let (monitor, daemon) = monitor_and_attribute_daemon(site);
        site.start();
        // Each time another daemon.
        for _ in 0..3 {
            assert_eq!(under_pacemaker(site, &daemon, &monitor), Some(0));
            assert_eq!(told(), ["--update=9000"]);
        }
        // A person's monitor knows of no daemon.
        let person = clone_of(site.agent()).env("OCF_CHECK_LEVEL", "20");
        ends(&recurring(&person), 0);
        assert_eq!(told(), [""; 0]);
        site.stop();
    });
}

/// Nodes that lose sight of each other and meet again delete what the CIB has of the others.
#[test]
fn a_score_is_told_again_after_a_change_of_the_membership() {
    testnet::root_or_skip!();
    stand_in_alone("a_score_is_told_again_after_a_change_of_the_membership", |site| {
        let there = site.path("in-cib").display().to_string();
        let programs = [
            ("crm_attribute", String::new()),
            ("attrd_updater", String::new()),
            ("cibadmin", format!("[ -e '{there}' ] || exit 105")),
        ];
        if !replace(site, &programs) {
            return testnet::skipped("scores::membership", "needs pacemaker-cli-utils");
        }
        let (mut monitor, daemon) = monitor_and_attribute_daemon(site);
        monitor.env("OCF_RESKEY_CRM_meta_on_node", "node1");
        site.start();
        let ring = |age: &str| format!("touch -d '{age} ago' /var/lib/corosync/ringid_1");
        let lines = [
            &format!("mount -t tmpfs none /var/lib && mkdir /var/lib/corosync; {}", ring("1 day")),
            ":",
            &ring("1 hour"),
            ":",
            // Nothing was lost: a refresh would end the dampen of other attributes.
            &format!(": > '{there}'; {}", ring("50 minutes")),
            ":",
        ];
        assert_eq!(after_each_under_pacemaker(site, &daemon, &monitor, &lines), Some(0));
        let notes = std::fs::read_to_string(site.path("notes")).unwrap();
        let (update, refresh) = (
            "crm_attribute --promotion=sip --lifetime=reboot --update=9000",
            "attrd_updater --refresh",
        );
        let told: Vec<_> = notes.lines().filter(|line| [update, refresh].contains(line)).collect();
        assert_eq!(told, [update, update, refresh, update], "{notes}");
        let look = "cibadmin --query --xpath //node_state[@uname='node1']/transient_attributes\
                    //nvpair[@name='master-sip'][@value='9000']";
        assert!(notes.lines().any(|line| line == look), "{notes}");
        site.stop();
    });
}
