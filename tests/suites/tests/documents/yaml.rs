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

const PRIMITIVES: &str = "ha_cluster_resource_primitives";

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

/// The variables of the play for active/standby, and of the one for the hot standby: the same, with other
/// variables and another resource of the same name.
fn plays() -> Option<[(&'static str, Value); 2]> {
    let blocks = yaml("ansible.md")?;
    let [play, items, changes] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    let first = play[0]["vars"].clone();
    let mut second = first.clone();
    for (name, value) in changes.as_object().expect("variables") {
        assert_ne!(name, PRIMITIVES, "it would leave nothing else of them");
        second[name] = value.clone();
    }
    for changed in list(items) {
        let primitives = second[PRIMITIVES].as_array_mut().expect("a list");
        let same = primitives.iter_mut().find(|one| one["id"] == changed["id"]);
        *same.expect("the resource that is changed") = changed.clone();
    }
    Some([("active-standby.sh", first), ("hot-standby.sh", second)])
}

#[test]
fn the_plays_name_variables_and_parameters_that_exist() {
    let Some(plays) = plays() else {
        return testnet::skipped(
            "the_plays_name_variables_and_parameters_that_exist",
            "needs python3-yaml",
        );
    };
    for (_, variables) in plays {
        for name in variables.as_object().expect("variables").keys() {
            assert!(VARIABLES.contains(&name.as_str()), "{name}");
        }
        let mut found = Vec::new();
        for primitive in list(&variables[PRIMITIVES]) {
            let agent = text(&primitive["agent"]);
            let Some(agent) = agent.strip_prefix("ocf:smartvox:") else { continue };
            names_that_exist(agent, primitive);
            found.push(agent.to_owned());
        }
        assert_eq!(found, ["opensips-vip", "opensips"]);
    }
}

fn names_that_exist(agent: &str, primitive: &Value) {
    let xml = repository().join("ocf").join(format!("{agent}.xml"));
    let xml = std::fs::read_to_string(xml).expect("meta-data");
    let xml = roxmltree::Document::parse(&xml).expect("XML");
    for attribute in list(&primitive["instance_attrs"][0]["attrs"]) {
        let name = attribute["name"].as_str();
        let described = xml
            .descendants()
            .any(|node| node.has_tag_name("parameter") && node.attribute("name") == name);
        assert!(described, "{agent} has no {name:?}");
        // 24 without quotes is a number to YAML; pcs wants text.
        assert!(attribute["value"].is_string(), "{attribute}");
    }
}

/// An example's commands, one line, its variables by their defaults.
fn example(script: &str) -> String {
    let path = repository().join("pcs-examples").join(script);
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
    let word = |it: &Value| format!(" {}={}", text(&it["name"]), text(&it["value"]));
    attributes.as_array().into_iter().flatten().map(word).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

#[test]
fn the_plays_make_what_the_examples_make() {
    let Some(plays) = plays() else {
        return testnet::skipped("the_plays_make_what_the_examples_make", "needs python3-yaml");
    };
    for (script, variables) in plays {
        let example = format!("{} ", example(script));
        let mut commands = resources(&variables, &example);
        commands.extend(levels(&variables));
        commands.extend(constraints(&variables));
        let defaults = &variables["ha_cluster_resource_defaults"]["meta_attrs"][0]["attrs"];
        commands.push(format!("cib resource defaults update{}", words(defaults)));
        for command in &commands {
            assert!(example.contains(&format!("{command} ")), "not in {script}: {command}");
        }
        let kinds = ["resource create", "stonith level add", "constraint", "resource defaults"];
        let made: usize =
            kinds.iter().map(|kind| example.matches(&format!("cib {kind} ")).count()).sum();
        assert_eq!(commands.len(), made, "of {script} something is missing: {commands:#?}");
    }
}

/// The resources; the fence devices of the example are the reader's choice, but for the ping.
fn resources(variables: &Value, example: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for primitive in list(&variables[PRIMITIVES]) {
        let agent = text(&primitive["agent"]);
        let attributes = words(&primitive["instance_attrs"][0]["attrs"]);
        if agent == "stonith:fence_heuristics_ping" {
            let words = attributes.replace("node1 node2", "$NODES");
            let told = example.replace("\"$NODE1 $NODE2\"", "$NODES").replace('"', "");
            assert!(told.contains(&format!("fence_heuristics_ping{words} ")), "{words}");
        }
        if agent.starts_with("stonith:") {
            continue;
        }
        let mut command =
            format!("cib resource create {} {agent}{attributes}", text(&primitive["id"]));
        for operation in list(&primitive["operations"]) {
            command += &format!(" op {}{}", text(&operation["action"]), words(&operation["attrs"]));
        }
        let clones = list(&variables["ha_cluster_resource_clones"]);
        match clones.iter().find(|clone| clone["resource_id"] == primitive["id"]) {
            Some(clone) if clone["promotable"] == true => command += " promotable",
            Some(_) => command += " clone",
            None => {}
        }
        commands.push(command);
    }
    commands
}

fn levels(variables: &Value) -> Vec<String> {
    let levels = list(&variables["ha_cluster_stonith_levels"]).iter();
    let command = |level: &Value| {
        let ids: Vec<&str> = list(&level["resource_ids"]).iter().map(text).collect();
        let (target, ids) = (text(&level["target"]), ids.join(" "));
        format!("cib stonith level add {} {target} {ids}", level["level"])
    };
    levels.map(command).collect()
}

fn constraints(variables: &Value) -> Vec<String> {
    let role = |resource: &Value, form: fn(&str) -> String| {
        resource["role"].as_str().map(form).unwrap_or_default()
    };
    let all = |name: &str| list(&variables[name]).iter();
    let location = |one: &Value| {
        let resource = &one["resource"];
        let role = role(resource, |role| format!(" role={role}"));
        let (id, options) = (text(&resource["id"]), words(&one["options"]));
        format!("cib constraint location {id} rule{role}{options} {}", text(&one["rule"]))
    };
    let colocation = |one: &Value| {
        let leader = &one["resource_leader"];
        let role = role(leader, |role| format!("{role} "));
        let (follower, leader) = (text(&one["resource_follower"]["id"]), text(&leader["id"]));
        // INFINITY is the default of pcs, too, and the examples leave it out.
        format!("cib constraint colocation add {follower} with {role}{leader}")
    };
    let order = |one: &Value| {
        let end = |end: &Value| format!("{} {}", text(&end["action"]), text(&end["id"]));
        let (first, then) = (end(&one["resource_first"]), end(&one["resource_then"]));
        format!("cib constraint order {first} then {then}{}", words(&one["options"]))
    };
    all("ha_cluster_constraints_location")
        .map(location)
        .chain(all("ha_cluster_constraints_colocation").map(colocation))
        .chain(all("ha_cluster_constraints_order").map(order))
        .collect()
}
