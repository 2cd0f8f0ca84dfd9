//! The manual page as installed.

// Functions beside the tests are test code, too.
#![allow(clippy::expect_used)]

use std::path::Path;
use std::process::Command;

fn installed() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/man/ocf_smartvox_opensips-vip.7")
}

#[test]
fn the_installed_page_is_made_from_the_description() {
    let page = ocf::manual_page(&opensips_vip::description::DESCRIPTION, "smartvox");
    let installed = std::fs::read_to_string(installed()).unwrap_or_default();
    assert!(installed == page, "packaging/man is not up to date: make man");
    for parameter in opensips_vip::description::DESCRIPTION.parameters {
        assert!(page.contains(&format!(".TP\n.B {}\n", parameter.name)), "{}", parameter.name);
    }
}

#[test]
fn groff_has_nothing_to_say_about_it() {
    // A warning of groff's is a line that people see wrong, or not at all.
    match Command::new("groff").args(["-man", "-ww", "-z", "-Tutf8"]).arg(installed()).output() {
        Ok(output) => {
            let said = String::from_utf8(output.stderr).expect("UTF-8");
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        Err(_) => testnet::skipped("manual::groff_has_nothing_to_say_about_it", "needs groff"),
    }
}
