//! Root with no more capabilities than SECURITY.md names for an action.

use std::os::unix::fs::MetadataExt;

use testnet::{Agent, Outcome};

use crate::mi::{FIFO, configure_fifo, with_mi};
use crate::roles::{FIRST, clone_of};
use crate::{Site, ends, every_daemon_with_mi};

/// What start needs, and the daemon that it executes; without CAP_SYS_RESOURCE, which only raises limits.
const START: [&str; 6] = ["chown", "dac_override", "kill", "setgid", "setuid", "sys_ptrace"];
/// The Management Interface is a FIFO of the daemon's user.
const MI: [&str; 3] = ["chown", "dac_override", "sys_ptrace"];
const MONITOR: [&str; 1] = ["sys_ptrace"];
const STOP: [&str; 3] = ["dac_override", "kill", "sys_ptrace"];

/// An agent that setpriv(1) executes with these capabilities alone.
fn only(agent: &Agent, capabilities: &[&str]) -> Agent {
    let set: String = capabilities.iter().map(|one| format!(",+{one}")).collect();
    let options = ["--bounding-set", "--inh-caps"].map(|option| format!("{option}=-all{set}"));
    agent.clone().under(["/usr/bin/setpriv".to_owned()].iter().chain(&options))
}

#[track_caller]
fn passes(outcome: &Outcome, code: i32) {
    println!("{outcome:?}");
    ends(outcome, code);
}

/// Where the caller itself lacks one of them, nothing can be said.
fn can_be_tried(site: &Site) -> bool {
    let outcome = only(&site.agent(), &START).action("meta-data");
    let lacking = outcome.code != 0 && outcome.stderr.starts_with("setpriv:");
    if lacking {
        testnet::skipped("opensips::privilege", "needs every capability of an ordinary root");
    }
    !lacking
}

#[test]
fn each_action_with_its_capabilities_alone() {
    testnet::root_or_skip!();
    every_daemon_with_mi("each_action_with_its_capabilities_alone", |site| {
        if !can_be_tried(site) {
            return;
        }
        configure_fifo(site);
        let agent = with_mi(site, &format!("fifo:{FIFO}"));
        let recurring = agent.clone().env("OCF_RESKEY_CRM_meta_interval", "10000");
        let deep = recurring.clone().env("OCF_CHECK_LEVEL", "10");
        passes(&only(&agent, &MONITOR).action("monitor"), 7);
        let validate = agent.clone().env("OCF_CHECK_LEVEL", "10");
        passes(&only(&validate, &MONITOR).action("validate-all"), 0);
        passes(&only(&agent, &START).action("start"), 0);
        passes(&only(&agent, &MONITOR).action("monitor"), 0);
        passes(&only(&recurring, &MONITOR).action("monitor"), 0);
        passes(&only(&deep, &MI).action("monitor"), 0);
        passes(&only(&agent, &STOP).action("stop"), 0);
        assert_eq!(site.processes(), [0; 0]);
        assert_eq!(site.files("/run/opensips"), [""; 0]);
    });
}

#[test]
fn each_role_with_its_capabilities_alone() {
    testnet::root_or_skip!();
    every_daemon_with_mi("each_role_with_its_capabilities_alone", |site| {
        if !can_be_tried(site) {
            return;
        }
        site.write(&FIRST.text(site, "backup"));
        let agent = clone_of(site.agent().param("mi", FIRST.mi()).param("sharing_tag", "vip/1"));
        passes(&only(&agent, &START).action("start"), 0);
        // By datagrams on loopback.
        passes(&only(&agent, &MONITOR).action("promote"), 0);
        let recurring = agent.clone().env("OCF_RESKEY_CRM_meta_interval", "10000");
        passes(&only(&recurring, &MONITOR).action("monitor"), 8);
        let deep = recurring.env("OCF_CHECK_LEVEL", "10");
        passes(&only(&deep, &MONITOR).action("monitor"), 8);
        passes(&only(&agent, &MONITOR).action("diagnose"), 0);
        passes(&only(&agent, &MONITOR).action("demote"), 0);
        passes(&only(&agent, &STOP).action("stop"), 0);
        site.nothing_is_left();
    });
}

/// The directory of the pid file gets its owner after it was made.
#[test]
fn a_directory_that_could_not_be_given_away_is_made_again() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    if !can_be_tried(site) {
        return;
    }
    let agent = site.agent();
    let without: Vec<&str> = START.into_iter().filter(|one| *one != "chown").collect();
    let outcome = only(&agent, &without).action("start");
    passes(&outcome, 1);
    let reason = outcome.exit_reason.unwrap_or_default();
    assert!(reason.contains("/run/opensips: Operation not permitted"), "{reason}");
    passes(&agent.action("start"), 0);
    let owner = site.on_host(|| std::fs::metadata("/run/opensips").unwrap().uid());
    assert_eq!(owner, nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw());
    ends(&agent.action("stop"), 0);
}
