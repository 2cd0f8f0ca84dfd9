use std::process::Command;

use suites::document::{self, Block, Marker};
use suites::scenario::repository;

/// The suites that look for their blocks: `tests/cluster/documents.rs`, `tests/migration`.
const PLACES: [&str; 4] = ["new cluster", "quick start", "cluster", "migration"];

fn all() -> Vec<Block> {
    let read = |path| document::blocks(path).unwrap_or_else(|error| panic!("{error}"));
    document::documents().iter().flat_map(|path| read(path)).collect()
}

#[test]
fn every_command_is_run_or_says_why_not() {
    let blocks = all();
    for block in &blocks {
        assert!(!block.language.is_empty(), "{}: name the block's language", block.at);
        let Some(marker) = &block.marker else {
            assert!(!block.is_shell(), "{}: say how it is tested", block.at);
            continue;
        };
        assert!(block.is_shell(), "{}: a marker, but no commands", block.at);
        assert!(!block.commands().is_empty(), "{}: no command in it", block.at);
        if let Marker::Run { place, .. } = marker {
            assert!(PLACES.contains(&place.as_str()), "{}: nobody runs {place}", block.at);
        }
    }
    // None of the places has lost its blocks.
    for place in PLACES {
        assert!(!document::to_run(place).expect("documents").is_empty(), "{place}");
    }
}

/// Commands outside of a fence would escape the rule.
#[test]
fn no_block_is_made_by_indentation() {
    for path in document::documents() {
        let text = std::fs::read_to_string(&path).expect("a document");
        let (mut fenced, mut before) = (false, "");
        for (number, line) in text.lines().enumerate() {
            fenced ^= line.starts_with("```");
            let indented = !fenced && before.is_empty() && line.starts_with("    ");
            assert!(!indented, "{}:{}: use a fence", path.display(), number + 1);
            before = line;
        }
    }
}

#[test]
fn what_make_is_told_is_in_the_makefile() {
    let made = all().into_iter().filter(|block| block.marker == Some(Marker::Make));
    let mut targets = Vec::new();
    for block in made {
        for command in block.commands() {
            let line = command.line.split(" #").next().unwrap_or_default().to_owned();
            for part in line.split("&&") {
                let mut words = part.split_whitespace().skip_while(|word| word.contains('='));
                assert_eq!(words.next(), Some("make"), "{}: {part}", block.at);
                let names = words;
                targets.extend(names.map(|name| (block.at.clone(), name.to_owned())));
            }
        }
    }
    assert!(!targets.is_empty());
    for (at, target) in targets {
        let output = Command::new("make").args(["-n", &target]).current_dir(repository()).output();
        let Ok(output) = output else {
            return testnet::skipped("what_make_is_told_is_in_the_makefile", "needs make");
        };
        assert!(output.status.success(), "{at}: {target}: {output:?}");
    }
}
