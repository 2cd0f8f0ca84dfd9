//! The manual pages and completions as installed.

use std::path::Path;

/// Fails if a file below `packaging` is not what is generated now.
#[track_caller]
fn same(directory: &str, name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(directory).join(name);
    let installed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(installed == text, "packaging/{directory}/{name} is not up to date: make man");
}

#[test]
fn the_installed_pages_are_made_from_the_descriptions() {
    for page in manual::pages() {
        let (name, text) = (page.file_name(), page.to_roff());
        same("man", &name, &text);
        for parameter in page.description().parameters {
            let name = parameter.name;
            assert!(text.contains(&format!(".TP\n\\fB{name}\\fR\n")), "{name}");
        }
    }
}

#[test]
fn the_command_has_its_page_and_its_completions() {
    let (name, text) = manual::command_page();
    same("man", &name, &text);
    for rule in &smartvox::RULES {
        let tag = format!(".TP\n\\fB{} ", rule.name.replace('-', "\\-"));
        assert!(text.contains(&tag), "{tag}");
    }
    for metric in &smartvox::METRICS {
        assert!(text.contains(&format!("\n\\fB{}{{", metric.name)), "{}", metric.name);
    }
    let completions = manual::completions();
    assert_eq!(completions.len(), 3);
    for (name, text) in completions {
        same("completions", name, &text);
        assert!(text.contains("diagnose") && text.contains("check"), "{name}");
    }
}
