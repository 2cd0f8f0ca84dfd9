//! The text of the configuration with its included files in place, and syntax errors told as the
//! daemon tells them: file, line, columns, and the lines around.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::error::{Error, Message};
use crate::log::Level;
use crate::scanner::{Scanner, Span, Token};

/// The daemon gives up on includes nested deeper.
const MAXIMUM_DEPTH: usize = 10;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Where a line of the flattened text comes from.
#[derive(Debug, Clone)]
struct Source {
    /// The included files on the way to it, the configuration first.
    files: Vec<PathBuf>,
    number: usize,
}

/// All lines in the order in which the daemon reads them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConfigText {
    pub(crate) text: String,
    sources: Vec<Source>,
}

impl ConfigText {
    /// Reads `path` and what it includes (`include_file "…"`, `import_file "…"`); relative names
    /// are looked for beside the including file.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map_err(|source| Error::ConfigUnreadable { path: path.to_owned(), source })?;
        let mut flat = Self::default();
        // The daemon's lexer (flex) echoes what it does not know.
        let text = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => {
                print!("{BYTE_ORDER_MARK}");
                rest
            }
            None => &text,
        };
        flat.append(text, &[path.to_owned()])?;
        Ok(flat)
    }

    /// A text without files, as the processes of the tree inherit it.
    pub(crate) fn inherited(text: String) -> Self {
        Self { text, sources: Vec::new() }
    }

    fn append(&mut self, text: &str, files: &[PathBuf]) -> Result<(), Error> {
        for (index, line) in text.lines().enumerate() {
            if let Some(name) = included(line) {
                let including = files.last().cloned().unwrap_or_default();
                let path = including.parent().unwrap_or(Path::new("")).join(name);
                let failed = |source| Error::IncludeUnreadable {
                    path: path.clone(),
                    included_by: including.clone(),
                    source,
                };
                if files.len() > MAXIMUM_DEPTH {
                    return Err(failed(Errno::ELOOP.into()));
                }
                let content = fs::read_to_string(&path).map_err(failed)?;
                self.append(&content, &[files, std::slice::from_ref(&path)].concat())?;
            } else {
                self.text += line;
                self.text.push('\n');
                self.sources.push(Source { files: files.to_vec(), number: index + 1 });
            }
        }
        Ok(())
    }

    /// An error at a place of the text, with the lines around it.
    pub(crate) fn error(&self, place: Span, reason: String, origin: Origin) -> Box<SyntaxError> {
        let source = self
            .sources
            .get(place.line)
            .or(self.sources.last())
            .cloned()
            .unwrap_or(Source { files: Vec::new(), number: place.line + 1 });
        let lines: Vec<&str> = self.text.lines().collect();
        let around = |from: usize, to: usize| -> Vec<String> {
            lines.iter().take(to).skip(from).map(|line| (*line).to_owned()).collect()
        };
        Box::new(SyntaxError {
            file: source.files.last().cloned().unwrap_or_default(),
            files: source.files,
            line: source.number,
            first: place.first,
            last: place.last,
            reason,
            origin,
            before: around(place.line.saturating_sub(2), place.line + 1),
            after: around(place.line + 1, place.line + 3),
        })
    }
}

fn included(line: &str) -> Option<String> {
    let mut scanner = Scanner::new(line);
    let (Token::Word(word), _) = scanner.next() else { return None };
    let (Token::Quoted(name), _) = scanner.next() else { return None };
    matches!(word.as_str(), "include_file" | "import_file").then_some(name)
}

/// Which part of the daemon finds the error; it speaks before the parser does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The grammar: the daemon counts such an error twice.
    Grammar,
    /// `loadmodule` of a module that does not exist.
    LoadModule(String),
    /// `modparam` of a module that is not loaded.
    ModuleParameter(String),
}

/// A configuration that cannot be read further than here.
#[derive(Debug, thiserror::Error)]
#[error("parse error in {}:{line}:{first}-{last}: {reason}", file.display())]
pub(crate) struct SyntaxError {
    file: PathBuf,
    files: Vec<PathBuf>,
    line: usize,
    first: usize,
    last: usize,
    reason: String,
    origin: Origin,
    before: Vec<String>,
    after: Vec<String>,
}

impl SyntaxError {
    /// The same place and reason as a warning about something that still works.
    pub(crate) fn warning(&self) -> String {
        format!(
            "warning in config file {}, line {}, column {}-{}: {}",
            self.file.display(),
            self.line,
            self.first,
            self.last,
            self.reason
        )
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut add = |level, origin, text| messages.push(Message { level, origin, text });
        match &self.origin {
            Origin::Grammar => {}
            Origin::LoadModule(name) => add(
                Level::Error,
                "core:load_module",
                format!("failed to load module '{name}' - not found"),
            ),
            Origin::ModuleParameter(module) => add(
                Level::Error,
                "core:set_mod_param_regex",
                format!("no module matching {module} found"),
            ),
        }
        add(Level::Critical, "", "Traceback (last included file at the bottom):".to_owned());
        for (depth, file) in self.files.iter().enumerate() {
            add(Level::Critical, "", format!("{depth:2}. {}", file.display()));
        }
        add(Level::Critical, "core:yyerror", self.to_string());
        for line in &self.before {
            add(Level::Critical, "", line.clone());
        }
        let indent: String = self
            .before
            .last()
            .map(|line| line.chars().take_while(|character| character.is_whitespace()).collect())
            .unwrap_or_default();
        let mark = "~".repeat(self.last.saturating_sub(self.first));
        add(Level::Critical, "", format!("{indent}^{mark}"));
        for line in &self.after {
            add(Level::Critical, "", line.clone());
        }
        let mut count = 1;
        if self.origin == Origin::Grammar {
            let place =
                format!("{}:{}:{}-{}", self.file.display(), self.line, self.first, self.last);
            add(Level::Critical, "core:yyerror", format!("parse error in {place}: "));
            count = 2;
        }
        add(Level::Error, "core:parse_opensips_cfg", format!("bad config file ({count} errors)"));
        messages
    }
}
