use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use suites::document;
use suites::scenario::repository;

/// The variables of role ha_cluster that docs/ansible.md may use (its meta/argument_specs.yml).
const VARIABLES: [&str; 11] = [
    "ha_cluster_cluster_name",
    "ha_cluster_hacluster_password",
    "ha_cluster_extra_packages",
    "ha_cluster_cluster_properties",
    "ha_cluster_resource_defaults",
    "ha_cluster_resource_primitives",
    "ha_cluster_stonith_levels",
    "ha_cluster_resource_clones",
    "ha_cluster_constraints_location",
    "ha_cluster_constraints_colocation",
    "ha_cluster_constraints_order",
];

/// The YAML blocks of a document; `None`: nothing here can read YAML.
fn yaml(document: &str) -> Option<Vec<Value>> {
    let blocks = document::blocks(&repository().join("docs").join(document)).expect("a document");
    let blocks = blocks.into_iter().filter(|block| block.language == "yaml");
    blocks.map(|block| read(&block.text)).collect()
}

/// A YAML text as JSON; `None`: nothing here can read YAML.
pub(crate) fn read(text: &str) -> Option<Value> {
    // python3-yaml comes with crmsh.
    let program = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let mut python = Command::new("python3");
    python.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.stderr(Stdio::piped()).spawn().ok()?;
    child.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("python reads");
    let output = child.wait_with_output().expect("python ends");
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("ModuleNotFoundError") {
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[test]
fn the_play_names_variables_and_parameters_that_exist() {
    let Some(blocks) = yaml("ansible.md") else {
        return testnet::skipped(
            "the_play_names_variables_and_parameters_that_exist",
            "needs python3-yaml",
        );
    };
    let [play] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    let variables = play[0]["vars"].as_object().expect("vars");
    for name in variables.keys() {
        assert!(VARIABLES.contains(&name.as_str()), "{name}");
    }
    let mut found = Vec::new();
    for primitive in variables["ha_cluster_resource_primitives"].as_array().expect("a list") {
        let agent = primitive["agent"].as_str().expect("agent");
        let Some(agent) = agent.strip_prefix("ocf:smartvox:") else { continue };
        let xml = repository().join("ocf").join(format!("{agent}.xml"));
        let xml = std::fs::read_to_string(xml).expect("meta-data");
        let xml = roxmltree::Document::parse(&xml).expect("XML");
        for attribute in primitive["instance_attrs"][0]["attrs"].as_array().expect("attrs") {
            let name = attribute["name"].as_str();
            let described = xml
                .descendants()
                .any(|node| node.has_tag_name("parameter") && node.attribute("name") == name);
            assert!(described, "{agent} has no {name:?}");
            // 24 without quotes is a number to YAML; pcs wants text.
            assert!(attribute["value"].is_string(), "{attribute}");
        }
        found.push(agent.to_owned());
    }
    assert_eq!(found, ["opensips-vip", "opensips"]);
}

/// The example's commands, one line, its variables by their defaults.
fn example() -> String {
    let path = repository().join("pcs-examples/active-standby.sh");
    let mut text = std::fs::read_to_string(path).expect("the example");
    text = text.replace("\\\n", " ").replace("${NIC:+nic=\"$NIC\"}", "nic=eth0");
    text = text.replace("$(echo \"$@\" | tr ' ' ,)", "192.0.2.1").replace("$(($# - 1))", "0");
    for (variable, value) in [
        ("VIP", "192.0.2.10"),
        ("PREFIX", "24"),
        ("GATEWAY", "192.0.2.1"),
        ("NIC", "eth0"),
        ("NODE1", "node1"),
        ("NODE2", "node2"),
    ] {
        let default = [format!("{variable}:-{value}"), format!("{variable}-{value}")];
        assert!(default.iter().any(|default| text.contains(default)), "{variable}");
        text = text.replace(&format!("\"${variable}\""), value);
        text = text.replace(&format!("\"fence-${variable}\""), &format!("fence-{value}"));
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The attributes of a resource or an operation as pcs takes them.
fn words(attributes: &Value) -> String {
    let attributes = attributes.as_array().expect("attrs");
    let word = |it: &Value| format!(" {}={}", text(&it["name"]), text(&it["value"]));
    attributes.iter().map(word).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[test]
fn the_play_makes_what_the_example_makes() {
    let Some(blocks) = yaml("ansible.md") else {
        return testnet::skipped("the_play_makes_what_the_example_makes", "needs python3-yaml");
    };
    let variables = &blocks[0][0]["vars"];
    let mut commands = Vec::new();
    for primitive in variables["ha_cluster_resource_primitives"].as_array().expect("a list") {
        let agent = text(&primitive["agent"]);
        if agent == "stonith:fence_heuristics_ping" {
            let words =
                words(&primitive["instance_attrs"][0]["attrs"]).replace("node1 node2", "$NODES");
            let told = example().replace("\"$NODE1 $NODE2\"", "$NODES").replace('"', "");
            assert!(told.contains(&format!("fence_heuristics_ping{words} ")), "{words}");
        }
        // Those of the example are the reader's choice.
        if agent.starts_with("stonith:") {
            continue;
        }
        let mut command = format!("cib resource create {} {agent}", text(&primitive["id"]));
        command += &words(&primitive["instance_attrs"][0]["attrs"]);
        for operation in primitive["operations"].as_array().expect("operations") {
            command += &format!(" op {}{}", text(&operation["action"]), words(&operation["attrs"]));
        }
        let clones = variables["ha_cluster_resource_clones"].as_array().expect("a list");
        if clones.iter().any(|clone| clone["resource_id"] == primitive["id"]) {
            command += " clone";
        }
        commands.push(command);
    }
    for level in variables["ha_cluster_stonith_levels"].as_array().expect("a list") {
        let ids = level["resource_ids"].as_array().expect("a list").iter().map(text);
        let ids = ids.collect::<Vec<_>>().join(" ");
        let target = text(&level["target"]);
        commands.push(format!("cib stonith level add {} {target} {ids}", level["level"]));
    }
    for location in variables["ha_cluster_constraints_location"].as_array().expect("a list") {
        commands.push(format!(
            "cib constraint location {} rule{} {}",
            text(&location["resource"]["id"]),
            words(&location["options"]),
            text(&location["rule"])
        ));
    }
    let defaults = &variables["ha_cluster_resource_defaults"]["meta_attrs"][0]["attrs"];
    commands.push(format!("cib resource defaults update{}", words(defaults)));
    let example = format!("{} ", example());
    for command in &commands {
        assert!(example.contains(&format!("{command} ")), "not in the example: {command}");
    }
    let made = example.matches("cib resource create ").count()
        + example.matches("cib stonith level add ").count()
        + example.matches("cib constraint location ").count();
    assert_eq!(commands.len(), made + 1, "of the example something is missing: {commands:#?}");
}
