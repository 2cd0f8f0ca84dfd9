//! diagnose: a table for people, JSON for machines.

use serde_json::Value;
use testnet::{Agent, agent};

use super::{MAC_A, MAC_B, Site, VIP, announcer, ends, program, state};

fn json(agent: &Agent) -> Value {
    let outcome = agent.clone().args(["--format", "json"]).action("diagnose");
    ends(&outcome, 0);
    let told = serde_json::from_str(&outcome.stdout).unwrap();
    suites::schema::fits("opensips-vip-diagnose", &told).unwrap();
    told
}

#[test]
fn what_is_known_of_the_vip() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip().param("gateway", "192.0.2.99").param("announce_schedule", "0,60000");
    let before = state(&site.a);
    let absent = json(&agent);
    assert_eq!(state(&site.a), before);
    assert_eq!(absent["vip"], VIP);
    assert_eq!(absent["monitor"]["code"], 7);
    assert_eq!(absent["interface"]["name"], "eth0");
    assert_eq!(absent["announcer"], Value::Null);
    assert_eq!(absent["other_owner"], Value::Null);
    assert_eq!(absent["last_announcement_s_ago"], Value::Null);
    assert_eq!(absent["verdict"], "the address is not on this node (monitor: 7 OCF_NOT_RUNNING)");

    ends(&agent.action("start"), 0);
    let there = json(&agent);
    assert_eq!(there["monitor"]["code"], 0);
    assert_eq!(there["verdict"], "the address is on this node (monitor: 0 OCF_SUCCESS)");
    let address = serde_json::json!({"ip": VIP, "prefix_length": 24, "interface": "eth0"});
    assert_eq!(there["addresses"][0]["address"], address);
    assert_eq!(there["addresses"][0]["flags"][0], "secondary");
    assert_eq!(there["interface"]["mac"], MAC_A);
    assert_eq!(there["interface"]["carrier"], true);
    let pid = announcer(&site.a).unwrap();
    assert_eq!(there["announcer"], pid);
    assert!(there["last_announcement_s_ago"].as_i64().unwrap() < 60);
    assert_eq!(there["source_routing"].as_array().unwrap().len(), 4);

    // Somebody else has it, too, and the cable is out.
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    let both = json(&agent);
    assert_eq!(both["other_owner"], MAC_B);
    let verdict = both["verdict"].as_str().unwrap();
    assert!(verdict.contains(&format!("but {MAC_B} answers for it as well")), "{verdict}");
    site.a.run(|| {
        std::fs::create_dir_all("/run/NetworkManager/devices").unwrap();
        let index = std::fs::read_to_string("/sys/class/net/eth0/ifindex").unwrap();
        let path = format!("/run/NetworkManager/devices/{}", index.trim());
        std::fs::write(path, "[device]\nmanaged=true\n").unwrap();
    });
    assert_eq!(json(&agent)["managed_by_others"][0], "NetworkManager");
    ends(&agent.action("stop"), 0);
    let moved = json(&agent)["verdict"].as_str().unwrap().to_owned();
    assert!(
        moved.starts_with(&format!("the address is not on this node: {MAC_B} has it")),
        "{moved}"
    );
    assert!(super::files(&site.a).is_empty());
}

#[test]
fn for_people() {
    testnet::root_or_skip!();
    let site = Site::new();
    ends(&site.vip().action("start"), 0);
    let outcome = agent(&site.a, program()).args(["--ip", VIP]).action("diagnose");
    ends(&outcome, 0);
    assert_eq!(outcome.stderr, "");
    for line in ["code 0", "name eth0", "- address 192.0.2.10/24 on eth0"] {
        let words: Vec<_> = line.split(' ').collect();
        let found =
            outcome.stdout.lines().any(|it| it.split_whitespace().eq(words.iter().copied()));
        assert!(found, "{line:?} is not in\n{}", outcome.stdout);
    }
    ends(&site.vip().action("stop"), 0);
    // Wrong parameters, a namespace that is not there: told.
    let wrong = agent(&site.a, program()).args(["--ip", "x"]).action("diagnose");
    ends(&wrong, 0);
    assert!(wrong.stdout.contains("ip=x: not an IP address"), "{}", wrong.stdout);
    let missing = site.vip().param("network_namespace", "sip").action("diagnose");
    assert!(missing.stdout.contains("unknown: there is no network namespace sip"));
    for other in [site.vip().param("ip", "x"), site.vip().param("network_namespace", "sip")] {
        json(&other);
    }
    // No business of Pacemaker's.
    let meta_data = agent(&site.a, program()).action("meta-data").stdout;
    assert!(!meta_data.contains("diagnose"));
}
