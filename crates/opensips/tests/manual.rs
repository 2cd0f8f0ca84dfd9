//! The manual page as installed.

use std::path::Path;

#[test]
fn the_installed_page_is_made_from_the_description() {
    let description = &opensips_ra::description::DESCRIPTION;
    let page = ocf::manual_page(description, &opensips_ra::manual::MANUAL, "smartvox");
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/man/ocf_smartvox_opensips.7");
    let installed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(installed == page, "packaging/man is not up to date: make man");
    for parameter in description.parameters {
        assert!(page.contains(&format!(".TP\n.B {}\n", parameter.name)), "{}", parameter.name);
    }
}
