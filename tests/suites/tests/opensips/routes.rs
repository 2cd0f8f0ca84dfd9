//! The configuration changes under a daemon that serves: that is told, and its routes can be loaded.

use testnet::Agent;

use crate::mi::deep;
use crate::site::{every_daemon_with_mi, recurring, stand_in_alone};
use crate::{Site, ends, every_daemon, fails};

/// Comments and white space change nothing.
fn with_comment(text: &str) -> String {
    format!("# edited\n{}", text.replace("exit;", "exit ;"))
}

#[test]
fn a_configuration_that_changed_since_start_is_told() {
    testnet::root_or_skip!();
    every_daemon("a_configuration_that_changed_since_start_is_told", |site| {
        let good = site.config_with(&["udp:127.0.0.1:5060"]).text();
        site.write(&good);
        site.start();
        // Level 20, which needs no MI.
        let deep = || recurring(&site.agent().env("OCF_CHECK_LEVEL", "20"));
        ends(&deep(), 0);
        site.write(&with_comment(&good));
        ends(&deep(), 0);
        let routes = "have changed since the agent had OpenSIPS (pid ";
        site.write(&good.replacen("483", "484", 1));
        fails(&deep(), 190, routes);
        // Level 0 reads no file.
        ends(&site.monitor(), 0);
        site.write(&good.replacen("log_level=3", "log_level=2", 1));
        fails(&deep(), 190, "was started, not only in its routes: restart OpenSIPS");
        // An included file counts, also as one that comes later.
        site.write(&format!("{good}import_file \"more.cfg\"\n"));
        fails(&deep(), 190, "not only in its routes");
        site.write(&good);
        ends(&deep(), 0);
        // A daemon of which nothing is remembered: when it was started is not known.
        site.write(&good.replacen("483", "484", 1));
        site.forget();
        ends(&site.agent().action("start"), 0);
        ends(&deep(), 0);
        site.stop();
        site.start();
        ends(&deep(), 0);
        site.stop();
    });
}

/// The site's agent with a Management Interface, and a daemon that has it.
fn with_mi(site: &Site) -> (Agent, String) {
    let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
    config.mi_datagram = Some("udp:127.0.0.1:8080".to_owned());
    let text = config.text();
    site.write(&text);
    // As its user, it reads the file again.
    let open = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(site.config().parent().unwrap(), open(0o755)).unwrap();
    (site.agent().param("mi", "datagram:127.0.0.1:8080"), text)
}

/// reload-agent with this version: never a failure, which would restart the daemon on every node.
#[track_caller]
fn load(site: &Site, agent: &Agent, version: &str) {
    let before = site.processes();
    let outcome = agent.clone().param("routes_version", version).action("reload-agent");
    ends(&outcome, 0);
    assert_eq!(site.processes(), before);
}

#[test]
fn routes_are_loaded_when_their_version_changes() {
    testnet::root_or_skip!();
    every_daemon_with_mi("routes_are_loaded_when_their_version_changes", |site| {
        let (agent, good) = with_mi(site);
        let of = |version: &str| deep(&agent.clone().param("routes_version", version));
        ends(&agent.clone().param("routes_version", "one").action("start"), 0);
        ends(&of("one"), 0);
        // The script answers with 299 from now on, but for another parameter nothing is loaded.
        let changed = good.replace("sl_send_reply(200, \"OK\")", "sl_send_reply(299, \"OK\")");
        assert_ne!(changed, good);
        site.write(&changed);
        load(site, &agent, "one");
        fails(&of("one"), 190, "set routes_version to a new value, or restart");
        load(site, &agent, "two");
        ends(&of("two"), 0);
        if !site.is_stand_in() {
            // It has loaded them for certain.
            let strict = agent.clone().param("sip_probe_codes", "200");
            fails(&recurring(&strict), 1, "is answered with 299");
        }
        // Where Pacemaker leaves reload-agent out, a monitor does its work.
        let main = site.main();
        site.write(&good);
        ends(&recurring(&agent.clone().param("routes_version", "two and a half")), 0);
        ends(&of("two and a half"), 0);
        assert_eq!(site.main(), main);
        // All else needs a restart.
        site.write(&changed.replacen("log_level=3", "log_level=2", 1));
        load(site, &agent, "three");
        fails(&of("three"), 190, "not only in its routes");
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
        // Of what does not run, there is nothing to be loaded.
        load(site, &agent, "four");
        site.nothing_is_left();
    });
}

#[test]
fn a_fault_in_the_routes_leaves_the_old_ones() {
    testnet::root_or_skip!();
    every_daemon_with_mi("a_fault_in_the_routes_leaves_the_old_ones", |site| {
        let (agent, good) = with_mi(site);
        let of = |version: &str| deep(&agent.clone().param("routes_version", version));
        ends(&agent.clone().param("routes_version", "one").action("start"), 0);
        site.write(&format!("{good}no_such_setting=3\n"));
        load(site, &agent, "two");
        fails(&of("two"), 190, "routes_version=two is not loaded (configuration check failed: ");
        // The daemon's user can't read it.
        site.write(&good.replacen("483", "484", 1));
        let only_root = std::os::unix::fs::PermissionsExt::from_mode;
        std::fs::set_permissions(site.config(), only_root(0o600)).unwrap();
        load(site, &agent, "three");
        fails(
            &of("three"),
            190,
            "routes_version=three is not loaded (OpenSIPS refuses the routes of ",
        );
        fails(&of("three"), 190, "check that user nobody can read the file");
        std::fs::set_permissions(site.config(), only_root(0o644)).unwrap();
        load(site, &agent, "three");
        ends(&of("three"), 0);
        // The MI is elsewhere: calls are served.
        let silent = agent.clone().param("mi", "datagram:127.0.0.1:8081");
        load(site, &silent, "four");
        fails(&of("four"), 190, "routes_version=four is not loaded (MI datagram:127.0.0.1:8081");
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

/// OpenSIPS answers when every worker has the new routes, and one of them may be busy. A monitor that waits for
/// that must still have the time to see that calls are served.
#[test]
fn a_monitor_that_loads_routes_has_time_to_judge() {
    testnet::root_or_skip!();
    stand_in_alone("a_monitor_that_loads_routes_has_time_to_judge", |site| {
        let (agent, good) = with_mi(site);
        let silent = "# OPENSIPS_STAND_IN_MI_SILENT_COMMAND=reload_routes\n";
        site.write(&format!("{silent}{good}"));
        let of = |version: &str| {
            let agent = agent.clone().param("routes_version", version);
            deep(&agent.env("OCF_RESKEY_CRM_meta_timeout", "6000"))
        };
        ends(&agent.clone().param("routes_version", "one").action("start"), 0);
        fails(
            &of("two"),
            190,
            "routes_version=two is not loaded (MI datagram:127.0.0.1:8080 gave ",
        );
        fails(&of("two"), 190, "routes_version=two is not loaded");
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}
