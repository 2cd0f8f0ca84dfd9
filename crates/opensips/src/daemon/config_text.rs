//! The text of a configuration, where no version of the daemon tells what is in it: its files, and the quoted
//! texts in them. This is not a parser: it ignores what it does not understand.

use std::path::{Path, PathBuf};

use hostfs::{Links, read_regular};

/// The daemon refuses includes that are nested deeper.
const MAXIMUM_DEPTH: usize = 10;

/// Of all files, in bytes; longer than any configuration that people write.
const CONFIG_LIMIT: u64 = 16 * 1024 * 1024;

/// What each file counts besides its bytes. The daemon refuses files that include each other again and again, and
/// a monitor that read them all would take for ever beside a daemon that serves.
const FILE_COUNTS: u64 = 4096;

/// A quoted text of a configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a> {
    /// The word in front of it, if only signs are between them.
    pub(crate) word: Option<&'a str>,
    /// Without the quotes.
    pub(crate) text: &'a str,
    /// The file in which it is.
    pub(crate) path: &'a Path,
}

/// Visits the quoted texts of a configuration and of the files that it includes by name, but for these names.
/// A file that can't be read has none.
pub(crate) fn each_text(config: &Path, visit: &mut dyn FnMut(Quoted<'_>)) {
    let mut before: Option<String> = None;
    each_token(config, &mut |token, path| match token {
        Token::Text(text) => {
            let word = before.take();
            if !word.as_deref().is_some_and(is_include) {
                visit(Quoted { word: word.as_deref(), text, path });
            }
        }
        Token::Word(word) => before = Some(word.clone()),
        Token::Sign(_) => {}
    });
}

/// Visits the parts of a configuration, with those of each included file behind its name.
pub(super) fn each_token(config: &Path, visit: &mut dyn FnMut(&Token, &Path)) {
    let mut left = CONFIG_LIMIT;
    visit_file(config, MAXIMUM_DEPTH, &mut left, visit);
}

/// Where the daemon looks for its modules: the values of `mpath`, as they stand there.
pub(crate) fn module_paths(config: &Path) -> Vec<String> {
    let mut found = Vec::new();
    each_text(config, &mut |Quoted { word, text, .. }| {
        if word == Some("mpath") {
            found.push(text.to_owned());
        }
    });
    found
}

fn is_include(word: &str) -> bool {
    matches!(word, "include_file" | "import_file")
}

/// `left` is how much may still be read.
fn visit_file(path: &Path, depth: usize, left: &mut u64, visit: &mut dyn FnMut(&Token, &Path)) {
    if *left == 0 {
        return;
    }
    let Ok(content) = read_regular(path, Links::Followed, *left) else { return };
    let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
    *left = left.saturating_sub(length.saturating_add(FILE_COUNTS));
    let mut before: Option<String> = None;
    for token in Tokens(&content) {
        visit(&token, path);
        match token {
            Token::Text(text) => {
                let other: PathBuf = path.parent().unwrap_or(Path::new("/")).join(text);
                if before.take().as_deref().is_some_and(is_include)
                    && let Some(depth) = depth.checked_sub(1)
                {
                    visit_file(&other, depth, left, visit);
                }
            }
            Token::Word(word) => before = Some(word),
            Token::Sign(_) => {}
        }
    }
}

/// A part of a configuration; white space and comments are none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    /// Without its quotes.
    Text(String),
    Sign(u8),
}

/// The parts of a configuration, without its comments (`#…`, `/* … */`).
struct Tokens<'a>(&'a [u8]);

impl Tokens<'_> {
    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }

    /// Up to the end of a quoted text, which is skipped, too. In double quotes, a backslash takes the meaning
    /// from what follows it (cfg.lex).
    fn take_text(&mut self, quote: u8) -> String {
        let mut escaped = false;
        let text = self.take_while(|byte| {
            let ends = byte == quote && !escaped;
            escaped = byte == b'\\' && quote == b'"' && !escaped;
            !ends
        });
        self.skip(1);
        text
    }

    /// Up to the first byte that does not fit; the rest stays.
    fn take_while(&mut self, mut fits: impl FnMut(u8) -> bool) -> String {
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
                    return Some(Token::Text(self.take_text(quote)));
                }
                [byte, ..] if byte.is_ascii_alphanumeric() || byte == b'_' => {
                    let word = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    return Some(Token::Word(word));
                }
                [space, ..] if space.is_ascii_whitespace() => self.skip(1),
                [sign, ..] => {
                    self.skip(1);
                    return Some(Token::Sign(sign));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn where_modules_are_looked_for() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        std::fs::write(
            &config,
            "# mpath=\"/no/\"\nmpath = \"/a/\"\ninclude_file \"node.cfg\"\nx(\"mpath\")\n",
        )
        .unwrap();
        std::fs::write(directory.path().join("node.cfg"), "mpath=\"/b/\"\n").unwrap();
        assert_eq!(module_paths(&config), ["/a/", "/b/"]);
        assert!(module_paths(&directory.path().join("none")).is_empty());
    }

    #[test]
    fn files_that_include_each_other_are_read_only_so_often() {
        let directory = tempfile::tempdir().unwrap();
        let (config, other) = (directory.path().join("a.cfg"), directory.path().join("b.cfg"));
        std::fs::write(
            &config,
            "mpath=\"/a/\"\n".to_owned() + &"include_file \"b.cfg\"\n".repeat(8),
        )
        .unwrap();
        std::fs::write(&other, "include_file \"a.cfg\"\n".repeat(8)).unwrap();
        // Eight to the power of ten otherwise.
        assert!(module_paths(&config).len() < 10_000);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            prop_assert!(Tokens(&bytes).count() <= bytes.len());
        }
    }
}
