//! The rules of the architecture that can be checked in the sources: what a room may import, what a
//! library may depend on, which module may use a foreign crate. `make rooms` prints the figures.

// Functions beside the tests are test code, too.
#![allow(clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use structure::{Crate, Graph};

/// The rooms of crates/opensips that take paths, modes and addresses: they know neither `Params`, nor the
/// error of the crate, nor any room above them.
const LEAVES: [&str; 5] = ["cluster", "process", "sockets", "sip", "mi"];

const AGENTS: [&str; 2] = ["opensips-ra", "opensips-vip-ra"];
/// Libraries that know nothing of OCF.
const BELOW_OCF: [&str; 4] = ["deadline", "hostfs", "hostnet", "hostproc"];

/// The owner modules of foreign crates, as in the comments of the root `Cargo.toml`: the directory in
/// `crates/` and the module. The modules below it are included.
const OWNERS: [(&str, &[(&str, &str)]); 16] = [
    ("clap", &[("ocf", "command_line"), ("smartvox", "command_line")]),
    ("syslog", &[("ocf", "logging")]),
    ("bytes", &[("hostnet", "netlink")]),
    ("futures_core", &[("hostnet", "netlink")]),
    ("netlink_packet_core", &[("hostnet", "netlink")]),
    ("netlink_packet_sock_diag", &[("hostnet", "netlink")]),
    ("netlink_sys", &[("hostnet", "netlink")]),
    ("rtnetlink", &[("hostnet", "netlink")]),
    ("tokio", &[("hostnet", "netlink")]),
    ("pnet", &[("hostnet", "packet")]),
    ("socket2", &[("hostnet", "packet"), ("opensips", "sip::stream")]),
    ("rustix", &[("hostproc", "pidfd"), ("hostproc", "priority")]),
    ("roxmltree", &[("smartvox", "cib"), ("smartvox", "meta_data")]),
    ("serde_json", &[("opensips", "mi"), ("smartvox", "report")]),
    ("ureq", &[("opensips", "mi")]),
    ("rustls", &[("opensips", "sip::tls")]),
];
/// Foreign crates without an owner: errors, system calls, the macros of the log.
const EVERYWHERE: [&str; 3] = ["log", "nix", "thiserror"];

/// Reads the crates once for all tests.
fn crates() -> &'static [Crate] {
    static CRATES: OnceLock<Vec<Crate>> = OnceLock::new();
    CRATES.get_or_init(structure::crates)
}

fn of(name: &str) -> &'static Crate {
    let found = crates().iter().find(|one| one.name == name);
    found.unwrap_or_else(|| panic!("there is no crates/{name}"))
}

/// Fails with one line for each finding.
#[track_caller]
fn none_of(what: &str, findings: &BTreeSet<String>) {
    let lines: Vec<&str> = findings.iter().map(String::as_str).collect();
    assert!(findings.is_empty(), "{what}:\n  {}", lines.join("\n  "));
}

#[test]
fn leaf_rooms_of_opensips_know_nothing_of_what_is_above_them() {
    let opensips = of("opensips");
    for leaf in LEAVES {
        assert!(opensips.rooms.contains(leaf), "crates/opensips has no room {leaf} any more");
    }
    let is_leaf = |room: &String| LEAVES.contains(&room.as_str());
    let found = opensips.imports.iter().filter(|it| is_leaf(&it.from) && !is_leaf(&it.to));
    let found = found.map(|import| format!("{} imports {}", import.from, import.path)).collect();
    none_of("a leaf room takes values, and imports nothing but other leaf rooms", &found);
}

#[test]
fn leaf_rooms_of_opensips_import_one_another_one_way() {
    let opensips = of("opensips");
    let is_leaf = |room: &String| LEAVES.contains(&room.as_str());
    let among = opensips.imports.iter().filter(|it| is_leaf(&it.from) && is_leaf(&it.to));
    let graph = Graph::of(among.map(|import| (import.from.as_str(), import.to.as_str())));
    assert!(graph.knots().is_empty(), "{:?}", graph.knots());
}

#[test]
fn no_rooms_import_one_another() {
    let mut found = BTreeSet::new();
    for one in crates() {
        let graph = one.graph();
        for knot in graph.knots() {
            found.insert(format!("crates/{}: {} rooms: {knot:?}", one.name, knot.len()));
            let inside = one.imports.iter().filter(|import| {
                knot.contains(import.from.as_str()) && knot.contains(import.to.as_str())
            });
            // The first path of each pair is enough to find it.
            let mut pairs = BTreeSet::new();
            for import in inside {
                if pairs.insert((&import.from, &import.to)) {
                    found.insert(format!(
                        "crates/{}: {} imports {}",
                        one.name, import.from, import.path
                    ));
                }
            }
        }
    }
    none_of("rooms that import one another can't be read one at a time", &found);
}

#[test]
fn libraries_know_no_agent_and_those_of_the_host_no_ocf() {
    let mut found = BTreeSet::new();
    for package in structure::packages() {
        if AGENTS.contains(&package.name.as_str()) {
            continue;
        }
        for dependency in &package.dependencies {
            let below = BELOW_OCF.contains(&package.name.as_str());
            if AGENTS.contains(&dependency.as_str()) || (below && dependency == "ocf") {
                found.insert(format!("{} depends on {dependency}", package.name));
            }
        }
    }
    none_of("dependencies point one way", &found);
}

#[test]
fn only_its_owner_uses_a_foreign_crate() {
    let all = crates();
    let own: BTreeSet<String> = all.iter().map(|one| one.package.name.replace('-', "_")).collect();
    let mut found = BTreeSet::new();
    for one in all {
        for foreign in &one.foreign {
            let name = foreign.name.as_str();
            if own.contains(name) || EVERYWHERE.contains(&name) {
                continue;
            }
            let owners = OWNERS.iter().find(|(known, _)| *known == name).map(|(_, owners)| owners);
            let is_below = |owner: &str| {
                let rest = foreign.module.strip_prefix(owner);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            let place = format!("crates/{} {}", one.name, foreign.module);
            match owners {
                None => found.insert(format!("{place} uses {name}, which has no owner here")),
                Some(owners)
                    if owners.iter().any(|(it, module)| *it == one.name && is_below(module)) =>
                {
                    false
                }
                Some(owners) => found.insert(format!("{place} uses {name}, owned by {owners:?}")),
            };
        }
    }
    none_of("the types of a foreign crate stay in its owner module", &found);
}

/// The rows of the table of libraries in docs/development.md: library, what uses it, why.
fn table_of_libraries() -> Vec<[String; 3]> {
    let page = structure::repository().join("docs/development.md");
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let section = text.split("\n## ").find(|section| section.starts_with("Libraries\n"));
    let rows = section.unwrap_or_default().lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.splitn(3, " | ");
        let library = cells.next()?.trim_end_matches('`');
        Some([library, cells.next()?, cells.next()?].map(str::to_owned))
    });
    rows.collect()
}

#[test]
fn each_library_has_a_reason() {
    let mut named = structure::libraries(Path::new("."));
    named.extend(structure::libraries(Path::new("tests/fuzz")));
    let table = table_of_libraries();
    let listed: BTreeSet<String> = table.iter().map(|[library, ..]| library.clone()).collect();
    assert!(listed.len() > 20 && listed.len() == table.len(), "{table:?}");
    let mut found: BTreeSet<String> =
        named.difference(&listed).map(|one| format!("{one} has no row")).collect();
    let gone = listed.difference(&named);
    found.extend(gone.map(|one| format!("{one} is named by no package any more")));
    for [library, used_by, why] in &table {
        if why.split(' ').count() < 2 {
            found.insert(format!("{library} has no reason"));
        }
        let owners = OWNERS.iter().find(|(known, _)| *known == library.replace('-', "_"));
        for (crate_name, module) in owners.iter().flat_map(|(_, owners)| owners.iter()) {
            let owner = format!("`{crate_name}::{module}`");
            if !used_by.contains(&owner) {
                found.insert(format!("{library}: {owner} uses it, the page has {used_by}"));
            }
        }
    }
    none_of("docs/development.md, \"Libraries\"", &found);
}

/// The rules are not kept because nothing was read.
#[test]
fn imports_are_seen() {
    let vip = of("opensips-vip");
    assert!(vip.rooms.contains("description") && vip.imports.len() > 20, "{:?}", vip.imports);
    assert!(vip.imports.iter().any(|import| import.to == "description"));
    assert!(vip.foreign.iter().any(|foreign| foreign.name == "hostnet"));
    assert!(of("ocf").public_items > 20);
}
