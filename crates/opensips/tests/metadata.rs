//! The meta-data as installed, and the schema that cluster tools hold it to.

// Functions beside the tests are test code, too.
#![allow(clippy::expect_used)]

use std::path::Path;
use std::process::Command;

/// Where pcs has ClusterLabs' schema of the OCF RA API 1.1 (Debian, Fedora).
const SCHEMAS: [&str; 2] = ["/usr/share/pcs/data/ocf-1.1.rng", "/usr/share/pcsd/data/ocf-1.1.rng"];

fn installed() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ocf/opensips.xml")
}

/// As for pcs, which asks before there is a resource: nothing in the environment.
fn printed() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_opensips"))
        .arg("meta-data")
        .env_clear()
        .output()
        .expect("run the agent");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_installed_file_is_what_the_agent_prints() {
    let installed = std::fs::read_to_string(installed()).unwrap_or_default();
    assert!(installed == printed(), "ocf/opensips.xml is not up to date: make meta-data");
}

#[test]
fn it_is_valid_ocf_1_1() {
    let name = "metadata::it_is_valid_ocf_1_1";
    let Some(schema) = SCHEMAS.iter().find(|schema| Path::new(schema).exists()) else {
        return testnet::skipped(name, "needs the OCF 1.1 schema of pcs");
    };
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("opensips.xml");
    std::fs::write(&file, printed()).expect("write");
    let checked =
        Command::new("xmllint").args(["--noout", "--relaxng", schema]).arg(&file).output();
    match checked {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(_) => testnet::skipped(name, "needs xmllint (libxml2-utils)"),
    }
}
