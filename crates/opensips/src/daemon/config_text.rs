//! The text of a configuration, where no version of the daemon tells what is in it: its files, and the quoted
//! texts in them. This is not a parser: it ignores what it does not understand. What it can't read it tells: a text
//! that is not known may hold anything.

use std::io;
use std::path::{Path, PathBuf};

use hostfs::{Links, read_regular};

/// The daemon refuses includes that are nested deeper (`CFG_MAX_INCLUDE_DEPTH` in cfg_pp.h; 2.4 refuses more than 10).
const MAXIMUM_DEPTH: usize = 20;

/// Of all files, in bytes; longer than any configuration that people write.
const CONFIG_LIMIT: u64 = 16 * 1024 * 1024;

/// What each file counts besides its bytes, read or not. The daemon refuses files that include each other again and
/// again, and a monitor that read them all would take for ever beside a daemon that serves.
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

/// A file of a configuration whose text is not known, or not to its end.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl Unread {
    /// The file does not exist, which is all that there is to know about it: OpenSIPS 2.4 goes on without an absent
    /// `import_file`, and every other one refuses the configuration and names the file (`__flatten_opensips_cfg()` in
    /// cfg_pp.c of 3.0 to 4.0). Whatever the daemon does, such a file declares nothing.
    pub(crate) fn is_absent(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Visits the quoted texts of a configuration and of the files that it includes by name, but for these names.
/// Returns the files that it could not read.
pub(crate) fn each_text(config: &Path, visit: &mut dyn FnMut(Quoted<'_>)) -> Vec<Unread> {
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
    })
}

/// Visits the parts of a configuration, with those of each included file behind its name. Returns the files that it
/// could not read.
pub(super) fn each_token(config: &Path, visit: &mut dyn FnMut(&Token, &Path)) -> Vec<Unread> {
    let mut walk = Walk { left: CONFIG_LIMIT, unread: Vec::new(), visit };
    walk.file(config, MAXIMUM_DEPTH);
    walk.unread
}

/// Where the daemon looks for its modules: the values of `mpath`, as they stand there; those of files that can't be
/// read are missing.
pub(crate) fn module_paths(config: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let _ = each_text(config, &mut |Quoted { word, text, .. }| {
        if word == Some("mpath") {
            found.push(text.to_owned());
        }
    });
    found
}

fn is_include(word: &str) -> bool {
    matches!(word, "include_file" | "import_file")
}

/// The file of this name in a file at `path`. The daemon looks first in the directory in which it was started, which is
/// `/` ([`clean`](super::environment)), and then beside the file that includes it (`mk_included_file_path()` in
/// cfg_pp.c of 3.0 to 4.0, `sr_push_yy_state()` in cfg.lex of 2.4).
fn included(path: &Path, name: &str) -> PathBuf {
    let from_root = Path::new("/").join(name);
    if from_root.metadata().is_ok() {
        return from_root;
    }
    path.parent().unwrap_or(Path::new("/")).join(name)
}

/// A walk through a configuration and the files that it includes.
struct Walk<'v> {
    /// How much may still be read.
    left: u64,
    unread: Vec<Unread>,
    visit: &'v mut dyn FnMut(&Token, &Path),
}

impl Walk<'_> {
    fn file(&mut self, path: &Path, depth: usize) {
        let content = match read_regular(path, Links::Followed, self.left) {
            Ok(content) => content,
            Err(error) => return self.miss(path, error.source),
        };
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(length.saturating_add(FILE_COUNTS));
        self.tokens(path, &content, depth);
        // The rest of this file, or the next one, is too much.
        if self.left == 0 {
            self.miss(path, io::Error::other("this configuration is longer than 16 MB"));
        }
    }

    fn tokens(&mut self, path: &Path, content: &[u8], depth: usize) {
        let mut before: Option<String> = None;
        for token in Tokens(content) {
            (self.visit)(&token, path);
            match token {
                Token::Text(text) => {
                    if before.take().as_deref().is_some_and(is_include) {
                        self.include(&included(path, &text), depth);
                    }
                }
                Token::Word(word) => before = Some(word),
                Token::Sign(_) => {}
            }
        }
    }

    fn include(&mut self, path: &Path, depth: usize) {
        if self.left == 0 {
            return;
        }
        match depth.checked_sub(1) {
            Some(depth) => self.file(path, depth),
            None => self.miss(path, io::Error::other("too many files include each other")),
        }
    }

    fn miss(&mut self, path: &Path, source: io::Error) {
        self.left = self.left.saturating_sub(FILE_COUNTS);
        self.unread.push(Unread { path: path.to_owned(), source });
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
    fn a_name_from_the_root_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        let (config, other) = (directory.path().join("a.cfg"), directory.path().join("b.cfg"));
        std::fs::write(&other, "mpath=\"/b/\"\n").unwrap();
        let name = other.strip_prefix("/").unwrap();
        std::fs::write(&config, format!("include_file \"{}\"\n", name.display())).unwrap();
        assert_eq!(module_paths(&config), ["/b/"]);
        // Beside the file, where there is none below the root.
        std::fs::write(&config, "include_file \"b.cfg\"\n").unwrap();
        assert_eq!(module_paths(&config), ["/b/"]);
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
        // Eight to the power of twenty otherwise.
        assert!(module_paths(&config).len() < 10_000);
        let unread = each_text(&config, &mut |_| {});
        assert!((1..10_000).contains(&unread.len()), "{}", unread.len());
        assert!(!unread.iter().any(Unread::is_absent));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        let of = |text: &str| {
            std::fs::write(&config, text).unwrap();
            let unread = each_text(&config, &mut |_| {});
            let name = |one: &Unread| one.path.file_name().unwrap().to_owned();
            unread.iter().map(|one| (name(one), one.is_absent())).collect::<Vec<_>>()
        };
        std::fs::write(directory.path().join("good.cfg"), "x(\"text\")").unwrap();
        std::fs::create_dir(directory.path().join("directory.cfg")).unwrap();
        assert_eq!(of("include_file \"good.cfg\"\nx(\"none.cfg\")"), []);
        assert_eq!(of("include_file \"none.cfg\""), [("none.cfg".into(), true)]);
        assert_eq!(
            of("import_file \"directory.cfg\"\ninclude_file \"good.cfg\""),
            [("directory.cfg".into(), false)]
        );
        // Each inclusion is one; the last is too deep.
        assert_eq!(of("include_file \"opensips.cfg\""), [("opensips.cfg".into(), false)]);
        std::fs::remove_file(&config).unwrap();
        assert!(each_text(&config, &mut |_| {})[0].is_absent());
    }

    #[test]
    fn a_text_that_is_too_long_is_not_known_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        let long = " ".repeat(usize::try_from(CONFIG_LIMIT).unwrap());
        std::fs::write(&config, format!("x(\"first\"){long}y(\"last\")")).unwrap();
        let mut texts = Vec::new();
        let unread = each_text(&config, &mut |quoted| texts.push(quoted.text.to_owned()));
        assert_eq!(texts, ["first"]);
        assert_eq!(unread.len(), 1);
        assert!(unread[0].source.to_string().contains("longer than 16 MB"), "{unread:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            prop_assert!(Tokens(&bytes).count() <= bytes.len());
        }
    }
}
