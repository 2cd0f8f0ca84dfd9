//! The command on a host without a cluster, by what it prints and its exit code.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

/// With agents that are not there.
fn smartvox(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smartvox"));
    command.args(arguments).env("OCF_ROOT", "/no/agents").env("PATH", "/no/programs");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The configuration of the example in a file, for nodes of other names than any host that runs the test.
fn cib() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cib.xml");
    let xml = include_str!("../fixtures/active-standby.xml");
    let names = ["uname=\"node", "value=\"node"];
    let away = |xml: String, name: &str| xml.replace(name, &name.replace("node", "far.away."));
    std::fs::write(&path, names.into_iter().fold(xml.to_owned(), away)).unwrap();
    (directory, path.to_str().unwrap().to_owned())
}

#[test]
fn what_can_not_be_looked_at_is_one_sentence_and_exit_2() {
    let (_directory, cib) = cib();
    for (arguments, why) in [
        (&["check", "--cib", "/no/cib.xml"][..], "/no/cib.xml: there is no such file"),
        (&["check", "--cib", "/dev/null"], "is not XML"),
        (
            &["diagnose", "other", "--cib", &cib],
            "other is no resource of ocf:smartvox: the cluster has vip, opensips",
        ),
    ] {
        let output = smartvox(arguments);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.starts_with("smartvox: ") && said.contains(why), "{said}");
        assert!(output.stdout.is_empty());
    }
    let output = smartvox(&["check", "vip"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_saved_configuration_is_checked_without_a_cluster() {
    let (_directory, cib) = cib();
    let output = smartvox(&["check", "--cib", &cib]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for agent in ["opensips", "opensips-vip"] {
        let line = format!("/no/agents/resource.d/smartvox/{agent} is not there: install");
        assert!(said.contains(&line), "{said}");
    }
    assert!(said.contains("is no node of this cluster"), "{said}");
    assert!(said.lines().last().unwrap().starts_with("2 errors ("), "{said}");
    let diagnosed = smartvox(&["diagnose", "vip", "--cib", &cib]);
    assert_eq!(diagnosed.status.code(), Some(2));
    assert!(text(&diagnosed.stdout).contains("is not there: install"));
}

#[test]
fn metrics_are_written_to_a_file() {
    let (directory, cib) = cib();
    let file = directory.path().join("smartvox.prom");
    let path = file.to_str().unwrap();
    let check = ["check", "--format", "prometheus", "--cib", &cib, "--output"];
    let output = smartvox(&[&check[..], &[path]].concat());
    let said = text(&output.stderr);
    // The exit code is that of check in any format.
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    let written = std::fs::read_to_string(&file).unwrap();
    let line = "rule=\"agent\",severity=\"error\"} 2";
    assert!(written.lines().any(|one| one.ends_with(line)), "{written}");
    // Nothing half written stays behind.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    let output = smartvox(&[&check[..], &["/no/directory/x.prom"]].concat());
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("cannot write /no/directory/x.prom: "), "{said}");
}
