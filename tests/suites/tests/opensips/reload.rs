//! reload-agent: new values for what the agent alone uses take effect, and the daemon is not touched.

use testnet::Agent;

use crate::mi::deep;
use crate::site::recurring;
use crate::{Site, ends, every_daemon, every_daemon_with_mi, fails};

/// Reloads, with the processes and what is remembered of them as before.
#[track_caller]
fn reload(site: &Site, agent: &Agent, code: i32) {
    let before = (site.processes(), site.state(), site.files("/run/opensips"));
    ends(&agent.action("reload-agent"), code);
    assert_eq!((site.processes(), site.state(), site.files("/run/opensips")), before);
}

#[test]
fn the_next_monitor_goes_by_the_new_values() {
    testnet::root_or_skip!();
    every_daemon_with_mi("the_next_monitor_goes_by_the_new_values", |site| {
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.mi_datagram = Some("udp:127.0.0.1:8080".to_owned());
        site.write(&config.text());
        site.start();
        fails(&deep(&site.agent()), 190, "check level 10 without mi sees neither");
        ends(&recurring(&site.agent()), 0);

        let codes = site.patient().param("sip_probe_codes", "299");
        reload(site, &codes, 0);
        fails(&recurring(&codes), 1, "not among sip_probe_codes");
        let none = codes.param("sip_probe", "none");
        reload(site, &none, 0);
        ends(&recurring(&none), 0);

        // With mi, somebody has to answer there.
        let nobody = site.agent().param("mi", "datagram:127.0.0.1:8081");
        reload(site, &nobody, 0);
        fails(&deep(&nobody), 190, "Connection refused");
        let mi = site.agent().param("mi", "datagram:127.0.0.1:8080");
        reload(site, &mi, 0);
        ends(&deep(&mi), 0);
        let memory = mi.param("shm_limit", "1");
        reload(site, &memory, 0);
        fails(&deep(&memory), 190, "over shm_limit=1%");

        // Back to where it began.
        reload(site, &site.agent(), 0);
        ends(&recurring(&site.agent()), 0);
        site.stop();
    });
}

#[test]
fn wrong_values_change_nothing() {
    testnet::root_or_skip!();
    every_daemon("wrong_values_change_nothing", |site| {
        site.start();
        let cases =
            [("vip", "x"), ("sip_probe_attempts", "0"), ("shm_limit", "0"), ("sip_probe", "no")];
        for (name, value) in cases {
            let wrong = site.agent().param(name, value);
            reload(site, &wrong, 6);
            fails(&wrong.action("reload-agent"), 6, &format!("{name}={value}: "));
        }
        ends(&site.monitor(), 0);
        site.stop();
        // Of what does not run, there is nothing to be touched.
        ends(&site.agent().action("reload-agent"), 0);
        ends(&site.monitor(), 7);
        site.nothing_is_left();
    });
}
