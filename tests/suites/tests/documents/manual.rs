use std::path::PathBuf;
use std::process::Command;

use suites::scenario::repository;

fn pages() -> Vec<PathBuf> {
    let directory = repository().join("packaging/man");
    let entries = std::fs::read_dir(directory).expect("packaging/man");
    let pages: Vec<_> = entries.map(|entry| entry.expect("a page").path()).collect();
    assert!(pages.len() >= 3, "{pages:?}");
    pages
}

/// A warning is a line that people see wrong, or not at all.
#[test]
fn no_formatter_has_anything_to_say_about_the_pages() {
    for lint in [&["groff", "-man", "-ww", "-z", "-Tutf8"][..], &["mandoc", "-Tlint", "-Wwarning"]]
    {
        let Some((program, arguments)) = lint.split_first() else { continue };
        for page in pages() {
            match Command::new(program).args(arguments).arg(&page).output() {
                Ok(output) => {
                    let said = [output.stdout, output.stderr].concat();
                    let said = String::from_utf8_lossy(&said).into_owned();
                    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
                }
                Err(_) => {
                    let name = "manual::no_formatter_has_anything_to_say_about_the_pages";
                    testnet::skipped(name, &format!("needs {program}"));
                    break;
                }
            }
        }
    }
}

/// The fixed words of each exit reason in a page are words of a message in the agent's source.
#[test]
fn exit_reasons_are_those_of_the_agents() {
    for (agent, page) in
        [("opensips", "ocf_smartvox_opensips.7"), ("opensips-vip", "ocf_smartvox_opensips-vip.7")]
    {
        let source = source_of(&repository().join("crates").join(agent).join("src"));
        let page = repository().join("packaging/man").join(page);
        let text = std::fs::read_to_string(page).expect("a page");
        let section =
            text.split(".SH \"EXIT REASONS\"").nth(1).and_then(|it| it.split(".SH").next());
        let reasons = section
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("\\fB")?.strip_suffix("\\fR"));
        let mut count = 0;
        for reason in reasons.map(|reason| reason.replace("\\-", "-").replace("\\*(Aq", "'")) {
            count += 1;
            for words in fixed(&reason) {
                assert!(source.contains(&words), "{agent}: {words:?} of {reason:?} is nowhere");
            }
        }
        assert!(count > 5, "{agent}: {count} reasons");
    }
}

/// The parts of a reason between its words in capitals and its stops.
fn fixed(reason: &str) -> Vec<String> {
    let is_place = |word: &&str| {
        let letters = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let known = ["MI", "OPTIONS", "SIGKILL", "MB", "OpenSIPS"].contains(&letters);
        !known && letters.len() > 1 && letters.chars().all(|c| c.is_ascii_uppercase())
    };
    // What stands beside a colon or comma may come from another message.
    let clauses = reason.split([':', ',', '(', ')']);
    let words = clauses.map(|clause| clause.split(' ').collect::<Vec<_>>());
    words
        .flat_map(|words| {
            let parts = words.split(|word| is_place(word) || word.contains(['=', '%']));
            parts.map(|part| part.join(" ").trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|part| part.len() > 3)
        .collect()
}

/// All of a crate's source, with its wrapped strings joined.
fn source_of(directory: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).expect("source").flatten() {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&source_of(&path));
        } else {
            text.push_str(&std::fs::read_to_string(&path).expect("source"));
        }
    }
    let mut joined = String::new();
    for line in text.lines() {
        match line.strip_suffix('\\') {
            Some(begun) => joined.push_str(begun),
            None => {
                joined.push_str(line);
                joined.push('\n');
            }
        }
    }
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.lines().map(words).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_overview_is_of_this_version() {
    let page = repository().join("packaging/man/smartvox-ocf.7");
    let text = std::fs::read_to_string(page).expect("the overview");
    let of = concat!("\"smartvox-ocf ", env!("CARGO_PKG_VERSION"), "\"");
    assert!(text.lines().next().is_some_and(|line| line.contains(of)), "it is not of {of}");
}
