//! The daemon contract, third part: the Management Interface and the sharing tags, against the
//! stand-in and every real OpenSIPS found (see `contract.rs`).

// Functions that tests share may fail them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use opensips_stand_in::ConfigFile;
use serde_json::{Value, json};
use support::client::{REPLY, SILENCE};
use support::{CONFIG, DEADLINE, Daemon, HERE, Instance, Running, against, say};
use testnet::{Cable, cable, root_or_skip, skipped, wait_until};

const UDP: &str = "127.0.0.1:5060";
/// Module mi_datagram of the instance.
const MI: &str = "127.0.0.1:8888";

/// The kinds of the processes, the attendant first.
fn kinds(instance: &Instance) -> Vec<String> {
    instance.ps().into_iter().map(|(_, kind)| kind).collect()
}

fn speaks_json(daemon: &Daemon) -> bool {
    daemon.version.has_json_mi()
}

/// An MI command in a datagram; the whole response.
fn ask(instance: &Instance, method: &str, parameters: &Value) -> Value {
    let mut request = json!({"jsonrpc": "2.0", "id": "a", "method": method});
    if !parameters.is_null() {
        request["params"] = parameters.clone();
    }
    let text = instance.exchange(MI, &[&request.to_string()], DEADLINE);
    serde_json::from_str(&text.expect("an answer")).unwrap()
}

#[test]
fn mi_over_the_fifo() {
    root_or_skip!();
    against("MI FIFO", speaks_json, |instance| {
        let running: Running<'_> = instance.start(&instance.config());
        let uptime = instance.mi("uptime", Value::Null);
        assert_eq!(uptime["id"], 7);
        assert!(uptime["result"]["Up time"].as_str().unwrap().ends_with(" [sec]"), "{uptime}");
        let version = instance.mi("version", Value::Null);
        assert!(version["result"]["Server"].as_str().unwrap().starts_with("OpenSIPS ("));
        let ps = instance.mi("ps", Value::Null);
        assert_eq!(ps["result"]["Processes"][0]["PID"], running.attendant.pid);
        let udp = "SIP receiver udp:127.0.0.1:5060";
        let expected = [
            "attendant",
            "MI FIFO",
            "time_keeper",
            "timer",
            udp,
            udp,
            "TCP receiver",
            "TCP receiver",
            "Timer handler",
            "TCP main",
        ];
        assert_eq!(kinds(instance), expected);
        assert!(instance.serves_udp(UDP));
        let names = json!([["shmem:", "rcv_requests"]]);
        let statistics = instance.mi("get_statistics", names);
        assert_eq!(statistics["result"]["shmem:total_size"], 32 << 20);
        assert!(statistics["result"]["shmem:real_used_size"].as_u64().unwrap() > 0);
        assert_eq!(statistics["result"]["core:rcv_requests"], 1);
        assert!(instance.mi("which", Value::Null)["result"].as_array().unwrap().len() > 5);
        let status = instance.mi("sr_list_status", Value::Null)["result"].take();
        let core = status.as_array().unwrap().iter().find(|group| group["Name"] == "core").unwrap();
        assert_eq!(core["Identifiers"][0]["Readiness"], true, "{status}");
        assert_eq!(instance.mi("no_such", Value::Null)["error"]["code"], -32601);
        assert_eq!(instance.mi("uptime", json!(["x"]))["error"]["code"], -32602);
        assert_eq!(instance.mi("get_statistics", Value::Null)["error"]["code"], -32602);
        // The names of 4.0, where the older ones are aliases.
        let named = instance.mi("statistics:get", json!([["shmem:"]]));
        let known = instance.daemon.expected().has_module_names;
        assert_eq!(named["error"]["code"] == -32601, !known, "{named}");
    });
}

#[test]
fn mi_of_2_x_is_lines_of_text_and_says_nothing_to_json() {
    root_or_skip!();
    let found = against(
        "MI of 2.x",
        |daemon| !speaks_json(daemon),
        |instance| {
            let mi_datagram = Some(format!("udp:{HERE}:8888"));
            instance.start(&ConfigFile { mi_datagram, ..instance.config() });
            assert_eq!(kinds(instance)[1..3], ["MI Datagram", "MI FIFO"]);
            let request = r#"{"jsonrpc":"2.0","id":"7","method":"uptime"}"#;
            assert_eq!(instance.fifo(&format!(":{REPLY}:{request}\n\n"), SILENCE), None);
            assert!(instance.mi_answers(), "the next one is answered");
            // In a datagram it is refused, in the form of 2.x: code, space, reason.
            let refused = instance.exchange(MI, &[request], DEADLINE).unwrap();
            assert!(refused.starts_with("500 "), "{refused}");
            assert!(
                instance.exchange(MI, &[":uptime:\n"], DEADLINE).unwrap().starts_with("200 OK\n")
            );
        },
    );
    if !found {
        skipped("contract_mi::mi_of_2_x", "needs an OpenSIPS 2.x");
    }
}

/// The configuration of a node of cluster 1, with a sharing tag that is `state` when it starts.
fn node(instance: &Instance, number: u32, [own, peer]: [&str; 2], state: &str) -> ConfigFile {
    let mut config = instance.config();
    config.sockets = vec![format!("udp:{HERE}:5060"), format!("bin:{own}:5566")];
    config.mi_datagram = Some(format!("udp:{HERE}:8888"));
    config.more = format!(
        "loadmodule \"proto_bin.so\"\nloadmodule \"clusterer.so\"\n\
         modparam(\"clusterer\", \"db_mode\", 0)\n\
         modparam(\"clusterer\", \"my_node_id\", {number})\n\
         modparam(\"clusterer\", \"my_node_info\", \"cluster_id=1, url=bin:{own}:5566\")\n\
         modparam(\"clusterer\", \"neighbor_node_info\", \
         \"cluster_id=1, node_id={}, url=bin:{peer}:5566\")\n\
         modparam(\"clusterer\", \"ping_interval\", 1)\n\
         modparam(\"clusterer\", \"node_timeout\", 2)\n\
         modparam(\"clusterer\", \"sharing_tag\", \"vip/1={state}\")\n",
        3 - number
    );
    config
}

fn is_active(instance: &Instance) -> bool {
    let list = ask(instance, "clusterer_list_shtags", &Value::Null);
    let tag = |state: &str| json!([{"Tag": "vip", "Cluster": 1, "State": state}]);
    assert!(list["result"] == tag("active") || list["result"] == tag("backup"), "{list}");
    list["result"] == tag("active")
}

fn activate(instance: &Instance) {
    assert_eq!(ask(instance, "clusterer_shtag_set_active", &json!(["vip/1"]))["result"], "OK");
}

#[test]
fn routes_are_loaded_while_it_serves() {
    root_or_skip!();
    against("reload_routes", speaks_json, |instance| {
        let running = instance.start(&instance.config());
        let good = instance.read(CONFIG);
        let reload = || instance.mi("reload_routes", Value::Null);
        instance.write(CONFIG, &good.replacen("exit;", "drop();", 1));
        assert_eq!(reload()["result"], "OK");
        // What is no route does not count.
        instance.write(CONFIG, &good.replacen("log_level=3", "log_level=2", 1));
        assert_eq!(reload()["result"], "OK");
        instance.write(CONFIG, &format!("{good}no_such_setting=3\n"));
        let answer = reload();
        assert_eq!(answer["error"]["code"], 500, "{answer}");
        assert_eq!(answer["error"]["message"], "reload failed");
        assert_eq!(running.processes().len(), 10);
        assert!(instance.serves_udp(UDP));
        running.stop(Signal::SIGTERM);
    });
}

#[test]
fn a_sharing_tag_is_made_active_and_never_given_up() {
    root_or_skip!();
    against("sharing tag", speaks_json, |instance| {
        instance.start(&node(instance, 1, [HERE, "127.0.0.2"], "backup"));
        assert_eq!(kinds(instance)[1..3], ["MI Datagram", "MI FIFO"]);
        assert!(!is_active(instance));
        activate(instance);
        assert!(is_active(instance));
        // The other node is off.
        let nodes =
            &ask(instance, "clusterer_list", &Value::Null)["result"]["Clusters"][0]["Nodes"];
        assert_eq!(nodes[0]["state"], "enabled", "{nodes}");
        assert_ne!(nodes[0]["link_state"], "Up", "{nodes}");
        for (tag, code) in [("vip", 400), ("vip/x", 400), ("vip/9", 404)] {
            let refused = ask(instance, "clusterer_shtag_set_active", &json!([tag]));
            assert_eq!(refused["error"]["code"], code);
        }
        // There is no command for the way back.
        let commands = ask(instance, "which", &Value::Null)["result"].to_string();
        let tag_commands = commands.split('"').filter(|name| name.contains("shtag"));
        let names: Vec<&str> = tag_commands.collect();
        let known = |name: &&str| name.ends_with("list_shtags") || name.ends_with("set_active");
        assert!(!names.is_empty() && names.iter().all(known), "{names:?}");
        // Not JSON at all: an answer that is none either, and the process lives on.
        let refused = instance.exchange(MI, &["garbage"], DEADLINE);
        assert_eq!(refused.unwrap().trim_end_matches(['\n', '\0']), "400 Parse_error");
        assert!(ask(instance, "uptime", &Value::Null)["result"].is_object());
    });
}

const FIRST: &str = "198.51.100.1";
const SECOND: &str = "198.51.100.2";

/// Two nodes with a cable between them that has been seen to work.
struct Pair<'i> {
    first: &'i Instance,
    second: Instance,
    cable: Cable,
}

impl<'i> Pair<'i> {
    fn new(first: &'i Instance) -> Self {
        let second = Instance::new(first.daemon.again());
        let ends = (
            (&first.host, "eth0", "02:00:00:00:00:01"),
            (&second.host, "eth0", "02:00:00:00:00:02"),
        );
        let cable = cable(ends.0, ends.1);
        first.host.ip(&format!("addr add {FIRST}/24 dev eth0"));
        second.host.ip(&format!("addr add {SECOND}/24 dev eth0"));
        first.start(&node(first, 1, [FIRST, SECOND], "backup"));
        second.start(&node(&second, 2, [SECOND, FIRST], "backup"));
        let pair = Self { first, second, cable };
        pair.see_each_other(true);
        pair
    }

    fn see_each_other(&self, whether: bool) {
        let nodes = || {
            [self.first, &self.second]
                .map(|instance| ask(instance, "clusterer_list", &Value::Null).to_string())
        };
        let until = Instant::now() + DEADLINE;
        while nodes().iter().any(|told| told.contains("\"Up\"") != whether) {
            let second = self.second.errors();
            assert!(Instant::now() < until, "{:#?}\nthe second one:\n{second}", nodes());
            // As a person would ask, not as fast as the MI answers.
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    fn active(&self) -> (bool, bool) {
        (is_active(self.first), is_active(&self.second))
    }

    fn becomes(&self, active: (bool, bool)) {
        wait_until("the tags are as expected", DEADLINE, || self.active() == active);
    }
}

/// Real daemons that have sharing tags; the stand-in talks to no other node.
fn has_peers(daemon: &Daemon) -> bool {
    speaks_json(daemon) && !daemon.is_stand_in
}

#[test]
fn a_node_that_starts_with_an_active_tag_takes_it_away() {
    root_or_skip!();
    let found = against("=active", has_peers, |instance| {
        let pair = Pair::new(instance);
        assert_eq!(pair.active(), (false, false), "nobody says who is");
        activate(instance);
        pair.becomes((true, false));
        for (state, then) in [("backup", (true, false)), ("active", (false, true))] {
            let second = &pair.second;
            second.running().stop(Signal::SIGTERM);
            second.start(&node(second, 2, [SECOND, FIRST], state));
            pair.see_each_other(true);
            pair.becomes(then);
        }
    });
    if !found {
        skipped("contract_mi::a_node_that_starts_with_an_active_tag", "needs a real OpenSIPS 3.x");
    }
}

#[test]
fn a_healed_split_leaves_one_active_node_at_most() {
    root_or_skip!();
    let found = against("split", has_peers, |instance| {
        let pair = Pair::new(instance);
        for again in [false, true] {
            activate(instance);
            pair.becomes((true, false));
            pair.cable.unplug(&instance.host);
            pair.see_each_other(false);
            activate(&pair.second);
            if again {
                activate(instance);
            }
            assert_eq!(pair.active(), (true, true), "each of them is alone");
            pair.cable.plug(&instance.host);
            pair.see_each_other(true);
            // Which one, or neither, hangs on who hears of the other first.
            wait_until("one has given way", DEADLINE, || pair.active() != (true, true));
            let label = &instance.daemon.label;
            say(&format!("{label}: active after the split: {:?}", pair.active()));
        }
    });
    if !found {
        skipped("contract_mi::a_healed_split", "needs a real OpenSIPS 3.x");
    }
}
