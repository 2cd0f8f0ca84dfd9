//! diagnose: a table for people, JSON for machines; nothing is changed.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testnet::{Agent, wait_until};

use crate::site::{PIDFILE, signal};
use crate::{Site, ends, every_daemon, every_daemon_with_mi};

const MI: &str = "datagram:127.0.0.1:8080";

fn told(agent: &Agent) -> Value {
    let outcome = agent.clone().args(["--format", "json"]).action("diagnose");
    ends(&outcome, 0);
    let told = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    suites::schema::fits("opensips-diagnose", &told).unwrap();
    told
}

fn configure(site: &Site, sockets: &[&str], switch: &str) {
    let mut config = site.config_with(sockets);
    config.mi_datagram = Some("udp:127.0.0.1:8080".to_owned());
    config.more = switch.to_owned();
    site.write(&config.text());
}

/// All files of the instance with their contents.
fn files(site: &Site) -> Vec<(String, String)> {
    let of = |directory: &str| -> Vec<(String, String)> {
        let read = |name: String| {
            let content = site.on_host(|| std::fs::read(format!("{directory}/{name}")));
            (name, String::from_utf8_lossy(&content.unwrap_or_default()).into_owned())
        };
        site.files(directory).into_iter().map(read).collect()
    };
    [of("/run/smartvox"), of("/run/opensips")].concat()
}

fn row<'a>(table: &'a Value, column: &str, value: &str) -> &'a Value {
    let rows = table.as_array().unwrap_or_else(|| panic!("{table}"));
    rows.iter().find(|row| row[column] == value).unwrap_or_else(|| panic!("{value}: {table}"))
}

#[test]
fn what_is_known_of_the_instance() {
    testnet::root_or_skip!();
    every_daemon_with_mi("what_is_known_of_the_instance", |site| {
        let sockets = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "udp:192.0.2.10:5060"];
        configure(site, &sockets, "");
        let agent = site.agent().param("mi", MI).param("nonlocal_bind", "ensure");
        let absent = told(&agent);
        assert_eq!(absent["monitor"]["code"], 7);
        assert_eq!(absent["processes"], Value::Array(vec![]));
        assert_eq!(absent["config_check"], Value::Array(vec![]));
        assert_eq!(absent["pid_file"]["pid"], Value::Null);
        let elsewhere = row(&absent["listeners"], "socket", "udp:192.0.2.10:5060");
        assert_eq!(elsewhere["address"]["state"], "absent");
        assert_eq!(elsewhere["held_by"], json!({"this_instance": false, "others": []}));
        assert_eq!(absent["nonlocal_bind"][0]["needed"], true);
        assert_eq!(absent["nonlocal_bind"][0]["allowed"], false);
        assert!(absent["mi"]["answer"]["unknown"].as_str().unwrap().contains("Connection refused"));
        assert!(absent["verdict"].as_str().unwrap().starts_with("it is not running on this node"));
        assert!(files(site).is_empty(), "{:?}", files(site));

        ends(&agent.action("start"), 0);
        let (processes, before) = (site.processes(), files(site));
        let there = told(&agent);
        assert_eq!(site.processes(), processes);
        let after = files(site);
        assert_eq!(after.len(), before.len(), "{after:?}");
        for ((name, now), (before_name, before)) in after.iter().zip(&before) {
            // The daemon writes there, for example that a timer was late.
            let is_log = name.ends_with(".out") && now.starts_with(before.as_str());
            assert!(name == before_name && (is_log || now == before), "{name}: {before}{now}");
        }
        assert_eq!(there["monitor"]["code"], 0, "{there}");
        assert!(there["version"].as_str().unwrap().starts_with("opensips "), "{there}");
        assert_eq!(there["pid_file"]["path"], PIDFILE);
        assert_eq!(there["pid_file"]["pid"], site.main());
        assert_eq!(there["role"], "unpromoted");
        assert_eq!(there["processes"].as_array().unwrap().len(), processes.len());
        let attendant = row(&there["processes"], "role", "attendant");
        assert_eq!(attendant["pid"], site.main());
        let receiver = row(&there["processes"], "role", "SIP receiver udp:127.0.0.1:5060");
        assert_eq!(receiver["state"], "alive");
        for socket in &sockets[..2] {
            let listener = row(&there["listeners"], "socket", socket);
            assert_eq!(listener["address"], json!({"state": "usable", "interfaces": ["lo"]}));
            assert_eq!(listener["held_by"]["this_instance"], true);
            let answer = &listener["options"];
            assert!(answer["code"].is_u64() && answer["took_us"].is_u64(), "{answer}");
        }
        // Another node would answer there.
        let elsewhere = row(&there["listeners"], "socket", "udp:192.0.2.10:5060");
        assert_eq!(elsewhere["held_by"], json!({"this_instance": true, "others": []}));
        assert_eq!(elsewhere["options"], Value::Null);
        assert_eq!(there["nonlocal_bind"][0]["allowed"], true);
        assert!(there["mi"]["up_seconds"].as_i64().unwrap() < 600);
        assert!(there["mi"]["shared_memory_mb"].as_i64().unwrap() > 1);
        assert!(!there["last_output"].as_array().unwrap().is_empty());

        // The daemon looks busy if the machine stalled within the last minute.
        wait_until("it is idle", crate::LONG, || {
            let told = told(&agent);
            let receiver = row(&told["processes"], "role", "SIP receiver udp:127.0.0.1:5060");
            receiver["busy_percent"] == 0
        });

        // Nobody answers, and everything else is told.
        let receivers: Vec<i32> = there["processes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["role"].as_str().unwrap().starts_with("SIP receiver udp:127"))
            .map(|one| i32::try_from(one["pid"].as_i64().unwrap()).unwrap())
            .collect();
        receivers.iter().for_each(|pid| testnet::suspend(*pid));
        let silent = told(&agent.clone().param("sip_probe_attempts", "1"));
        receivers.iter().for_each(|pid| signal(*pid, Signal::SIGCONT));
        let listener = row(&silent["listeners"], "socket", "udp:127.0.0.1:5060");
        assert_eq!(listener["options"]["reason"], "no answer to OPTIONS");
        assert_eq!(listener["options"]["code"], Value::Null);
        let role = "SIP receiver udp:127.0.0.1:5060";
        assert_eq!(row(&silent["processes"], "role", role)["state"], "stopped");
        assert_eq!(silent["monitor"]["code"], 1, "{silent}");
        assert!(silent["verdict"].as_str().unwrap().contains("no answer to OPTIONS"), "{silent}");

        site.kill_main();
        let orphans = told(&agent);
        assert_eq!(orphans["monitor"]["code"], 1);
        assert!(
            orphans["verdict"].as_str().unwrap().contains("orphans of OpenSIPS are alive"),
            "{orphans}"
        );
        assert_eq!(orphans["role"], Value::Null);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn a_hung_mi_hides_nothing_else() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    configure(site, &["udp:127.0.0.1:5060"], "# OPENSIPS_STAND_IN_MI_ANSWER=none\n");
    let agent = site.agent().param("mi", MI).param("sharing_tag", "vip/1");
    // start would wait for the tags.
    ends(&site.agent().action("start"), 0);
    let told = told(&agent);
    let why = told["mi"]["answer"]["unknown"].as_str().unwrap();
    assert!(why.contains("gave no complete answer"), "{why}");
    assert_eq!(told["sharing_tags"][0]["state"]["unknown"], why);
    assert_eq!(row(&told["processes"], "role", "main process")["pid"], site.main());
    let listener = row(&told["listeners"], "socket", "udp:127.0.0.1:5060");
    assert!(listener["options"]["took_us"].is_u64());
    assert_eq!(told["monitor"]["code"], 0);
    site.stop();
}

#[test]
fn for_people() {
    testnet::root_or_skip!();
    every_daemon("for_people", |site| {
        site.start();
        let outcome = site.agent().action("diagnose");
        ends(&outcome, 0);
        assert_eq!(outcome.stderr, "");
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        assert_eq!(lines.last().unwrap().split_whitespace().next(), Some("verdict"));
        assert!(lines.last().unwrap().ends_with("it serves (monitor: 0 OCF_SUCCESS)"), "{lines:?}");
        // One line for each process and socket.
        let main = site.main().to_string();
        assert!(lines.iter().any(|line| line.trim().starts_with(&main)), "{}", outcome.stdout);
        site.stop();

        let wrong = site.agent().param("vip", "x").action("diagnose");
        ends(&wrong, 0);
        assert!(wrong.stdout.contains("vip=x: "), "{}", wrong.stdout);
        told(&site.agent().param("vip", "x"));
        let missing = site.agent().param("binary", "/no/opensips").action("diagnose");
        ends(&missing, 0);
        assert!(missing.stdout.contains("unknown: "), "{}", missing.stdout);
        told(&site.agent().param("binary", "/no/opensips"));
        // No business of Pacemaker's.
        assert!(!site.agent().action("meta-data").stdout.contains("diagnose"));
        site.nothing_is_left();
    });
}

#[test]
fn who_is_not_root_is_told_what_is_not_seen() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    site.start();
    // A checkout may lie where others can't read it.
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("opensips");
    testnet::copy_program(testnet::binary("opensips"), &copy);
    let options = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let words = ["diagnose", "--format", "json", "--instance", crate::site::NAME];
    let config = site.config();
    let config = ["--config", config.to_str().unwrap()];
    let program = [copy.to_str().unwrap()];
    let all = options.iter().chain(&program).chain(&words).chain(&config);
    // The first word, which is an action for testnet, is an option of setpriv's.
    let outcome = testnet::agent(&site.host, "/usr/bin/setpriv").args(all).action("--no-new-privs");
    ends(&outcome, 0);
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    suites::schema::fits("opensips-diagnose", &told).unwrap();
    assert!(told["privileges"]["unknown"].as_str().unwrap().starts_with("not root"));
    assert_eq!(told["pid_file"]["pid"], site.main());
    assert!(told["verdict"]["unknown"].as_str().unwrap().starts_with("not root"));
    site.stop();
}
