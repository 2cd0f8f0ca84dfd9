//! What a standby has of the data that the nodes of its cluster exchange, as an MI tells it that the test
//! answers: the stand-in has no other nodes.

use std::path::Path;

use serde_json::{Value, json};
use testnet::Agent;

use crate::mi::{FAKE, deep};
use crate::mi_faults::{id, with_fake_socket};
use crate::roles::{FIRST, standby};
use crate::scores::{fake_crm_attribute, told};
use crate::site::stand_in_alone;
use crate::{Site, ends, fails};

/// What the MI of a standby tells.
#[derive(Clone, Copy)]
struct Standby {
    /// How long it has been up, in seconds.
    up: u64,
    tag: &'static str,
    /// The state of the data that it gets from the other nodes.
    data: &'static str,
    is_ready: bool,
}

const WHOLE: Standby = Standby { up: 3600, tag: "backup", data: "Ok", is_ready: true };

impl Standby {
    fn answer(self, request: &str) -> Vec<Vec<u8>> {
        let method: Value = serde_json::from_str(&request[request.find('{').unwrap()..]).unwrap();
        let result = match method["method"].as_str().unwrap() {
            "uptime" => json!({"Up time": format!("{} [sec]", self.up)}),
            "get_statistics" => json!({"shmem:total_size": 100, "shmem:real_used_size": 1}),
            "clusterer_list_shtags" => json!([{"Tag": "vip", "Cluster": 1, "State": self.tag}]),
            "sr_list_status" => json!([{"Name": "drouting", "Identifiers": [
                {"Name": "default", "Readiness": self.is_ready}
            ]}]),
            "clusterer_list_cap" => json!({"Clusters": [{"cluster_id": 1, "Capabilities": [
                {"name": "dialog-dlg-repl", "state": self.data}
            ]}]}),
            "clusterer_list" => json!({"Clusters": [{"cluster_id": 1, "Nodes": [
                {"node_id": 2, "link_state": "Up", "state": "enabled"}
            ]}]}),
            other => panic!("asked for {other}"),
        };
        let reply = json!({"jsonrpc": "2.0", "id": id(request), "result": result});
        vec![reply.to_string().into_bytes()]
    }
}

/// Has the agent ask that MI.
fn asked(site: &Site, agent: &Agent, standby: Standby, judge: impl FnOnce(&Agent)) {
    let agent = agent.clone().param("mi", format!("datagram:{FAKE}"));
    with_fake_socket(site, FAKE, |request| standby.answer(request), || judge(&agent));
}

#[test]
fn a_standby_without_the_data_of_the_others_gives_way_to_one_that_has_it() {
    testnet::root_or_skip!();
    if !Path::new("/usr/sbin/crm_attribute").exists() {
        return testnet::skipped("standby_data::gives_way", "needs pacemaker-cli-utils");
    }
    stand_in_alone("a_standby_without_the_data_of_the_others_gives_way", |site| {
        let notes = fake_crm_attribute(site, 0);
        let told = || told(&notes);
        site.write(&FIRST.text(site, "backup"));
        let agent = standby(site, FIRST);
        ends(&agent.action("start"), 0);
        assert_eq!(told(), ["--update=4000"]);
        let lacking = Standby { data: "not synced", ..WHOLE };
        // Each of them alone is enough.
        for standby in [lacking, Standby { is_ready: false, ..WHOLE }] {
            asked(site, &agent, WHOLE, |agent| ends(&deep(agent), 0));
            assert_eq!(told(), ["--update=9000"]);
            // For a minute, it may be about to get them.
            asked(site, &agent, Standby { up: 60, ..standby }, |agent| ends(&deep(agent), 0));
            assert_eq!(told(), ["--update=5000"]);
            let reason = if standby.is_ready {
                "dialog-dlg-repl is not synchronised with the other nodes"
            } else {
                "not ready: drouting/default: see "
            };
            let late = Standby { up: 61, ..standby };
            asked(site, &agent, late, |agent| fails(&deep(agent), 190, reason));
            assert_eq!(told(), [""; 0]);
        }
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

/// As where a preprocessor declares it so, which the text of the configuration does not show.
#[test]
fn a_tag_that_is_active_after_start_is_refused() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    site.write(&FIRST.text(site, "backup"));
    let agent = standby(site, FIRST);
    site.on_host(|| std::fs::create_dir_all("/run/opensips").unwrap());
    asked(site, &agent, Standby { tag: "active", ..WHOLE }, |agent| {
        fails(&agent.action("start"), 2, "sharing tag vip/1 is active after start");
    });
    site.nothing_is_left();
    asked(site, &agent, WHOLE, |agent| ends(&agent.action("start"), 0));
    ends(&agent.action("stop"), 0);
}
