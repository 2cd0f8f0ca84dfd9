//! Which sharing tags a configuration declares, by its text.
//!
//! The one exception to the rule that the agent does not read the configuration: no version of the
//! daemon tells the declared state before it has taken the tag from the other node (`send_active_msg`
//! in modules/clusterer/sharing_tags.c). This is not a parser: it looks for the one string that declares
//! a tag, and ignores what it does not understand.

use std::path::{Path, PathBuf};

use hostfs::{Links, read_regular};

use crate::params::{Params, SharingTag};
use crate::promotion::{Error, Result};

/// The daemon refuses includes that are nested deeper.
const MAXIMUM_DEPTH: usize = 10;

/// In bytes; longer than any configuration that people write.
const CONFIG_LIMIT: u64 = 16 * 1024 * 1024;

/// Fails if the configuration, with the files that it includes by name, declares a tag as active. A
/// file that can't be read declares nothing.
///
/// # Errors
/// [`Error::TagDeclaredActive`]
pub(crate) fn refuse_declared_active(params: &Params) -> Result<()> {
    match declared_active(&params.config, &params.sharing_tags) {
        Some((tag, path)) => Err(Error::TagDeclaredActive { tag: tag.clone(), path }),
        None => Ok(()),
    }
}

/// Fails if the configuration, with the files that it includes by name, does not declare a tag, as far
/// as its text shows: a preprocessor may make another text of it.
///
/// # Errors
/// [`Error::TagUndeclared`]
pub(crate) fn refuse_undeclared(params: &Params) -> Result<()> {
    if params.extra_options.iter().any(|option| option.starts_with("-p")) {
        return Ok(());
    }
    match undeclared(&params.config, &params.sharing_tags) {
        Some(tag) => Err(Error::TagUndeclared { tag: tag.clone() }),
        None => Ok(()),
    }
}

fn declared_active<'t>(config: &Path, tags: &'t [SharingTag]) -> Option<(&'t SharingTag, PathBuf)> {
    let mut found = None;
    each_text(config, MAXIMUM_DEPTH, &mut |text, path| {
        let active = tags.iter().find(|tag| text == format!("{tag}=active"));
        found = found.take().or(active.map(|tag| (tag, path.to_owned())));
    });
    found
}

fn undeclared<'t>(config: &Path, tags: &'t [SharingTag]) -> Option<&'t SharingTag> {
    let mut left: Vec<&SharingTag> = tags.iter().collect();
    each_text(config, MAXIMUM_DEPTH, &mut |text, _| {
        left.retain(|tag| text != format!("{tag}=active") && text != format!("{tag}=backup"));
    });
    left.first().copied()
}

/// Visits the quoted texts of a configuration and of the files that it includes, without white space.
fn each_text(path: &Path, depth: usize, visit: &mut dyn FnMut(&str, &Path)) {
    let Ok(text) = read_regular(path, Links::Followed, CONFIG_LIMIT) else { return };
    let mut included = false;
    for token in Tokens(&text) {
        match token {
            Token::Text(text) if included => {
                included = false;
                let other = path.parent().unwrap_or(Path::new("/")).join(text);
                if let Some(left) = depth.checked_sub(1) {
                    each_text(&other, left, visit);
                }
            }
            Token::Text(text) => {
                let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                visit(&squeezed, path);
            }
            Token::Word(word) => included = word == "include_file" || word == "import_file",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
}

/// The words and quoted texts of a configuration, without its comments (`#…`, `/* … */`).
struct Tokens<'a>(&'a [u8]);

impl Tokens<'_> {
    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }

    /// Up to the first byte that does not fit; the rest stays.
    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> String {
        let length = self.0.iter().position(|byte| !fits(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(taken).into_owned()
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            match *self.0 {
                [] => return None,
                [b'#', ..] => {
                    self.take_while(|byte| byte != b'\n');
                }
                [b'/', b'*', ..] => {
                    let end = self.0.windows(2).skip(2).position(|pair| pair == b"*/");
                    self.skip(end.map_or(self.0.len(), |at| at + 4));
                }
                [quote @ (b'"' | b'\''), ..] => {
                    self.skip(1);
                    let text = self.take_while(|byte| byte != quote);
                    self.skip(1);
                    return Some(Token::Text(text));
                }
                [byte, ..] if byte.is_ascii_alphanumeric() || byte == b'_' => {
                    let word = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    return Some(Token::Word(word));
                }
                _ => self.skip(1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn declared(text: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        std::fs::write(&config, text).unwrap();
        let shared = "modparam(\"clusterer\", \"sharing_tag\", \"vip/1 = active\")\n";
        std::fs::write(directory.path().join("node.cfg"), shared).unwrap();
        let tags = ["other/1".parse().unwrap(), "vip/1".parse().unwrap()];
        declared_active(&config, &tags).map(|(tag, _)| tag.to_string())
    }

    #[test]
    fn what_robs_the_active_node() {
        let vip = Some("vip/1".to_owned());
        assert_eq!(declared("modparam(\"clusterer\", \"sharing_tag\", \"vip/1=active\")"), vip);
        assert_eq!(declared("modparam('clusterer','sharing_tag',' vip / 1 = active ')"), vip);
        assert_eq!(
            declared("/* x */ modparam(\"clusterer\",\n\"sharing_tag\",\"vip/1=active\")"),
            vip
        );
        assert_eq!(declared("include_file \"node.cfg\"\n"), vip);
        assert_eq!(declared("a=\"#\"\nx(\"vip/1=active\")"), vip);
    }

    #[test]
    fn what_does_not() {
        for text in [
            "modparam(\"clusterer\", \"sharing_tag\", \"vip/1=backup\")",
            "modparam(\"clusterer\", \"sharing_tag\", \"vip/2=active\")",
            "# modparam(\"clusterer\", \"sharing_tag\", \"vip/1=active\")",
            "/* \"vip/1=active\" */",
            "/* \"vip/1=active\"",
            "xlog(\"the tag vip/1=active is\")",
            "include_file \"missing.cfg\"",
            "include_file \"opensips.cfg\"",
            "include_file",
            "",
        ] {
            assert_eq!(declared(text), None, "{text}");
        }
    }

    #[test]
    fn what_declares() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        let tags = ["vip/1".parse().unwrap(), "vip/7".parse().unwrap()];
        let missing = |text: &str| {
            std::fs::write(&config, text).unwrap();
            undeclared(&config, &tags).map(ToString::to_string)
        };
        let vip7 = Some("vip/7".to_owned());
        let both = r#"x("sharing_tag", "vip/1=backup") x("sharing_tag", "vip/7 = active")"#;
        assert_eq!(missing(both), None);
        assert_eq!(missing(r#"x("sharing_tag", "vip/1=backup") # "vip/7=backup""#), vip7);
        assert_eq!(missing(""), Some("vip/1".to_owned()));
        std::fs::write(directory.path().join("node.cfg"), r#""vip/7=backup""#).unwrap();
        assert_eq!(missing("include_file \"node.cfg\"\nx('vip/1=backup')"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            prop_assert!(Tokens(&bytes).count() <= bytes.len());
        }
    }
}
