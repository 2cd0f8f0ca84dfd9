//! A daemon that systemd runs besides Pacemaker: told by the control group that it is in.

use std::path::{Path, PathBuf};

use testnet::wait_until;

use crate::site::{STATE, write};
use crate::validate::validate;
use crate::{LONG, Site, ends, every_daemon, fails};

/// A control group with the name of the unit, as systemd makes one; removed with the value.
struct UnitGroup(PathBuf);

impl UnitGroup {
    /// `None` where no groups can be made.
    fn new(test: &str) -> Option<Self> {
        // The second one is the place where both versions are mounted.
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists())?;
        let slice = root.join(format!("smartvox-{test}-{}.slice", std::process::id()));
        let group = slice.join("opensips.service");
        std::fs::create_dir_all(&group).ok()?;
        Some(Self(group))
    }

    fn take_in(&self, site: &Site) {
        for pid in site.processes() {
            std::fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
}

impl Drop for UnitGroup {
    fn drop(&mut self) {
        // After a failure, a daemon may still be in it.
        if !std::thread::panicking() {
            wait_until("the group is empty", LONG, || std::fs::remove_dir(&self.0).is_ok());
        }
        let _ = self.0.parent().map(std::fs::remove_dir);
    }
}

#[test]
fn an_instance_of_systemds() {
    testnet::root_or_skip!();
    let Some(group) = UnitGroup::new("own") else {
        return testnet::skipped("systemd_unit::an_instance_of_systemds", "needs cgroup version 2");
    };
    every_daemon("an_instance_of_systemds", |site| {
        // With the very pid file of the resource, as the packaged unit has for `opensips`.
        site.start();
        ends(&site.monitor(), 0);
        ends(&site.agent().action("start"), 0);
        ends(&validate(&site.agent()), 0);
        group.take_in(site);
        let processes = site.processes();
        // Merely defining the resource ends nothing, even if the agent has remembered the daemon.
        ends(&site.monitor(), 7);
        ends(&site.agent().action("monitor"), 7);
        let invalid = site.agent().param("systemd_unit", "not a unit");
        for agent in [site.agent(), invalid] {
            let remembered = site.state();
            ends(&agent.action("stop"), 0);
            write(site, STATE, &remembered);
        }
        let words = "opensips.service runs OpenSIPS (pid ";
        fails(&site.agent().action("start"), 1, words);
        fails(&validate(&site.agent()), 1, words);
        assert_eq!(site.processes(), processes, "touched");
        assert!(site.answers("127.0.0.1:5060"));
        for unit in ["none", "other.service"] {
            let agent = site.agent().param("systemd_unit", unit);
            ends(&crate::site::recurring(&agent), 0);
            ends(&agent.action("start"), 0);
            ends(&validate(&agent), 0);
        }
        // Without the parameter it is the resource's own.
        ends(&site.agent().param("systemd_unit", "none").action("stop"), 0);
        site.nothing_is_left();
        ends(&validate(&site.agent()), 0);
        site.start();
        site.stop();
    });
}

#[test]
fn another_instance_of_systemds() {
    testnet::root_or_skip!();
    let Some(group) = UnitGroup::new("other") else {
        return testnet::skipped(
            "systemd_unit::another_instance_of_systemds",
            "needs cgroup version 2",
        );
    };
    every_daemon("another_instance_of_systemds", |site| {
        let other = site.path("other.cfg");
        std::fs::write(&other, site.config_with(&["udp:127.0.0.1:5070"]).text()).unwrap();
        let theirs = site.agent().param("config", &other);
        let theirs = theirs.env("OCF_RESOURCE_INSTANCE", "theirs").param("systemd_unit", "none");
        ends(&theirs.action("start"), 0);
        ends(&validate(&site.agent()), 0);
        group.take_in(site);
        let words = "runs OpenSIPS (pid ";
        fails(&site.agent().action("start"), 1, words);
        fails(&validate(&site.agent()), 1, words);
        ends(&site.monitor(), 7);
        ends(&theirs.action("monitor"), 0);
        ends(&theirs.action("stop"), 0);
        site.nothing_is_left();
    });
}
