//! The manual pages as installed.

use std::path::Path;

#[test]
fn the_installed_pages_are_made_from_the_descriptions() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man");
    for page in manual::pages() {
        let (name, text) = (page.file_name(), page.to_roff());
        let installed = std::fs::read_to_string(directory.join(&name)).unwrap_or_default();
        assert!(installed == text, "packaging/man/{name} is not up to date: make man");
        for parameter in page.description().parameters {
            let name = parameter.name;
            assert!(text.contains(&format!(".TP\n\\fB{name}\\fR\n")), "{name}");
        }
    }
}
