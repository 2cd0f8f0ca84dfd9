use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use suites::document;
use suites::scenario::repository;

/// The lines of a document outside of fenced blocks.
fn prose(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{path:?}: {why}"));
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The targets of its links.
fn links(path: &Path) -> Vec<String> {
    let text = prose(path).join("\n");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// What a link to a heading ends with, on GitHub and in the book.
fn anchors(path: &Path) -> BTreeSet<String> {
    let headings = prose(path).into_iter().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let text = line.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

fn documents() -> Vec<PathBuf> {
    let mut all = document::documents();
    all.push(repository().join("SECURITY.md"));
    all
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut followed = 0;
    for path in documents() {
        let at = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for link in links(&path) {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let directory = path.parent().expect("a directory");
            let target = if file.is_empty() { path.clone() } else { directory.join(file) };
            assert!(target.exists(), "{at}: there is no {file}");
            let has = anchor.is_empty() || anchors(&target).contains(anchor);
            assert!(has, "{at}: {file} has no heading #{anchor}");
            followed += 1;
        }
    }
    assert!(followed > 50, "{followed} links");
}

/// The table of contents has every page of docs and every manual page, once.
#[test]
fn the_book_is_complete() {
    let docs = repository().join("docs");
    let listed = links(&docs.join("SUMMARY.md"));
    let mut listed: Vec<PathBuf> = listed.iter().map(|link| docs.join(link)).collect();
    listed.sort();
    let files = |directory: PathBuf| {
        let entries = std::fs::read_dir(directory).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path())
    };
    let pages = files(docs.clone()).filter(|path| path.extension().is_some_and(|it| it == "md"));
    let mut wanted: Vec<PathBuf> = pages.filter(|path| !path.ends_with("SUMMARY.md")).collect();
    wanted.extend(files(docs.join("../packaging/man")));
    wanted.push(docs.join("../README.md"));
    wanted.sort();
    assert_eq!(listed, wanted);
}
