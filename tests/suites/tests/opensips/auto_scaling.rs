//! Workers that come and go with the load (`auto_scaling_profile`, 3.0 and newer).

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use opensips_stand_in::Version;

use crate::site::{every_daemon_that, is_alive, signal, stand_in_alone};
use crate::{LONG, ends, fails};

/// How many workers there were at first, and how many the daemon leaves without calls.
const MOST: usize = 6;
const LEAST: usize = 2;

#[test]
fn a_worker_that_retires_is_no_fault() {
    testnet::root_or_skip!();
    let scales = |version: Version| version.has_json_mi();
    every_daemon_that(scales, "a_worker_that_retires_is_no_fault", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
        if site.is_stand_in() {
            site.write(&format!("# OPENSIPS_STAND_IN_RETIRE_AFTER_MS=1500\n{text}"));
        } else {
            // Ten seconds after the start, then one each second.
            let profile = format!(
                "auto_scaling_profile = quiet\n scale up to 8 on 80% for 4 cycles\n \
                 scale down to {LEAST} on 20% for 1 cycles\n\
                 udp_workers = {MOST} use_auto_scaling_profile quiet\n"
            );
            site.write(&text.replace("udp_workers=2\n", &profile));
        }
        site.start();
        let main = site.main();
        let first = site.workers().len();
        let retiring = if site.is_stand_in() { 1 } else { MOST - LEAST };
        let begun = Instant::now();
        // Until all of them have gone, and for some seconds more.
        let mut gone = None::<Instant>;
        while gone.is_none_or(|since| since.elapsed() < Duration::from_secs(3)) {
            ends(&site.monitor(), 0);
            assert!(begun.elapsed() < LONG, "{first} workers, now {}", site.workers().len());
            if gone.is_none() && site.workers().len() <= first - retiring {
                gone = Some(Instant::now());
            }
        }
        // A start of what runs, and one that nobody remembers, see the same.
        site.start();
        site.forget();
        site.start();
        assert_eq!(site.main(), main);
        site.stop();
    });
}

#[test]
fn a_worker_that_retires_while_start_looks_on() {
    testnet::root_or_skip!();
    stand_in_alone("a_worker_that_retires_while_start_looks_on", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
        for milliseconds in [50, 200, 400] {
            let switch = format!("# OPENSIPS_STAND_IN_RETIRE_AFTER_MS={milliseconds}\n");
            site.write(&format!("{switch}{text}"));
            site.start();
            ends(&site.monitor(), 0);
            site.stop();
        }
    });
}

#[test]
fn a_worker_that_dies_is_a_fault_also_where_others_retire() {
    testnet::root_or_skip!();
    stand_in_alone("a_worker_that_dies_is_a_fault_also_where_others_retire", |site| {
        let text = site.config_with(&["udp:127.0.0.1:5060"]).text();
        // Such an attendant reaps late.
        site.write(&format!("# OPENSIPS_STAND_IN_RETIRE_AFTER_MS=600000\n{text}"));
        site.start();
        let worker = *site.workers().last().unwrap();
        signal(worker, Signal::SIGKILL);
        testnet::wait_until("it is dead", LONG, || !is_alive(worker));
        let outcome = site.monitor();
        assert_ne!(outcome.code, 0, "{}", outcome.stderr);
        testnet::wait_until("the instance has followed", LONG, || site.processes().is_empty());

        // One that nobody reaps, in a monitor that has little time.
        site.start();
        let worker = *site.workers().last().unwrap();
        testnet::suspend(site.main());
        signal(worker, Signal::SIGKILL);
        testnet::wait_until("it is dead", LONG, || !is_alive(worker));
        let hurried = site.agent().env("OCF_RESKEY_CRM_meta_timeout", "1000");
        let reason = format!("worker {worker} of OpenSIPS (pid ");
        fails(&crate::site::recurring(&hurried), 1, &reason);
        site.stop();
    });
}
