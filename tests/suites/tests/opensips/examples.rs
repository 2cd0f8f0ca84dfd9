//! The configurations of `pcs-examples/`, judged by the daemons themselves. (That they serve, the
//! suites on the cluster show.)

use std::process::Command;

use suites::scenario::repository;

use crate::Site;
use crate::site::every_daemon_with_mi;

/// Where the examples look for modules, and for what differs between the nodes.
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/opensips/modules";
const NODE: &str = "/etc/opensips/node.cfg";

/// The text of an example, with the paths of this machine.
fn text(site: &Site, name: &str) -> String {
    let text = std::fs::read_to_string(repository().join("pcs-examples").join(name)).unwrap();
    assert!(name.ends_with("-node.cfg") || text.contains(MODULES), "{name}");
    let text = text.replace(NODE, site.path("node.cfg").to_str().unwrap());
    match &site.modules {
        Some(modules) => text.replace(MODULES, modules.to_str().unwrap()),
        None => text,
    }
}

/// What `-C` says: whether it is content, and its words.
fn check(site: &Site, text: &str) -> (bool, String) {
    site.write(text);
    let output = site.host.output(Command::new(&site.binary).args(["-C", "-f"]).arg(site.config()));
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}

/// A comment that is a line of the script: `#` and a tab.
fn with_the_comments_as_script(text: &str) -> String {
    let mut routes = false;
    let lines = text.lines().map(|line| {
        routes |= line.starts_with("route[relay]");
        line.strip_prefix("#\t").unwrap_or(line)
    });
    // They stand before the block that they belong into.
    let (mut before, mut script, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for (line, original) in lines.zip(text.lines()) {
        if line != original {
            script.push(line);
        } else if after.is_empty() && !original.starts_with("route[relay]") {
            before.push(line);
        } else {
            after.push(line);
        }
    }
    assert!(routes && !script.is_empty());
    let opening = after.remove(0);
    [before, vec![opening], script, after].concat().join("\n") + "\n"
}

/// The example with the registrations in a database, made by the quick start's own command.
fn with_a_database(site: &Site, text: &str) -> String {
    let page = std::fs::read_to_string(repository().join("docs/quick-start-debian.md")).unwrap();
    let file = " /etc/opensips/opensips.cfg";
    let mut commands = page.lines().filter_map(|line| line.strip_prefix("# ")?.strip_suffix(file));
    let command = commands.find(|command| command.contains("db_mysql")).unwrap();
    site.write(text);
    let output = site
        .host
        .output(Command::new("sh").arg("-c").arg(format!("{command} {}", site.config().display())));
    assert!(output.status.success(), "{command}: {output:?}");
    std::fs::read_to_string(site.config()).unwrap()
}

/// The database is asked by a start alone, so none is needed here. The driver is, of a real daemon.
#[test]
fn the_example_with_a_database_is_what_its_comments_say() {
    testnet::root_or_skip!();
    every_daemon_with_mi("the_example_with_a_database_is_what_its_comments_say", |site| {
        let text = with_a_database(site, &text(site, "opensips-active-standby.cfg"));
        let wanted = [
            "loadmodule \"db_mysql.so\"",
            "modparam(\"usrloc\", \"db_url\", \"mysql://opensips:secret@198.51.100.20/opensips\")",
            "modparam(\"usrloc\", \"working_mode_preset\", \"single-instance-sql-write-through\")",
        ];
        let lines = text
            .lines()
            .filter(|line| line.contains("db_mysql") || line.starts_with("modparam(\"usrloc\""));
        assert_eq!(lines.collect::<Vec<_>>(), wanted);
        if site.modules.as_ref().is_some_and(|modules| !modules.join("db_mysql.so").exists()) {
            println!("{}: no db_mysql.so", site.binary.display());
            return;
        }
        let (accepted, words) = check(site, &text);
        assert!(accepted, "{words}");
    });
}

#[test]
fn every_daemon_accepts_the_examples() {
    testnet::root_or_skip!();
    every_daemon_with_mi("every_daemon_accepts_the_examples", |site| {
        std::fs::write(site.path("node.cfg"), text(site, "opensips-hot-standby-node.cfg")).unwrap();
        for name in ["opensips-active-standby.cfg", "opensips-hot-standby.cfg"] {
            let text = text(site, name);
            for text in [with_the_comments_as_script(&text), text] {
                let (accepted, words) = check(site, &text);
                assert!(accepted, "{name}: {words}");
                for complaint in ["ERROR:", "CRITICAL:", "WARNING:"] {
                    assert!(!words.contains(complaint), "{name}: {words}");
                }
                assert!(words.contains("udp: 192.0.2.10 [192.0.2.10]:5060"), "{name}: {words}");
            }
        }
    });
}
