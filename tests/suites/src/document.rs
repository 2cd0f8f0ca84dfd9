//! The commands in README and docs: fenced blocks with a comment before them that says how they are
//! tested. What a marker can say:
//!
//! - `<!-- run: PLACE -->`: a suite executes the block there, as it stands ([`Block::run_with`]);
//! - `<!-- run: PLACE, exit N -->`: the same, and its last command ends with N;
//! - `<!-- make -->`: each line is a target of the Makefile, whose recipes are the tests themselves;
//! - `<!-- not run: WHY -->`: it needs what no test has, such as the reader's own hardware.

use std::path::{Path, PathBuf};

use crate::scenario::repository;

/// How a block is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A suite executes it at this place.
    Run {
        /// `new cluster`, `quick start`, `cluster`, `migration`.
        place: String,
        /// The exit code of its last command; all others are 0.
        exit: i32,
    },
    /// Targets of the Makefile.
    Make,
    /// Nobody does.
    NotRun(String),
}

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// File and line, for messages.
    pub at: String,
    /// What stands behind the fence: `console`, `sh`, `text`, `yaml`, …
    pub language: String,
    /// The comment in the line before, if there is one that can be read.
    pub marker: Option<Marker>,
    /// What is in it.
    pub text: String,
}

/// A command of a block, and the lines that the document shows as its output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// For `sh -c`.
    pub line: String,
    /// As shown.
    pub output: Vec<String>,
}

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Came {
    /// Its exit code.
    pub exit: Option<i32>,
    /// stdout and stderr.
    pub output: String,
}

impl Block {
    /// Whether it holds commands.
    pub fn is_shell(&self) -> bool {
        matches!(self.language.as_str(), "sh" | "console")
    }

    /// Its commands: in `console` what follows `# ` or `$ `, in `sh` the whole block.
    pub fn commands(&self) -> Vec<Command> {
        if self.language == "sh" {
            return vec![Command { line: self.text.clone(), output: Vec::new() }];
        }
        let mut commands: Vec<Command> = Vec::new();
        let mut goes_on = false;
        for line in self.text.lines() {
            let typed = line.strip_prefix("# ").or_else(|| line.strip_prefix("$ "));
            match (typed, commands.last_mut()) {
                (_, Some(command)) if goes_on => {
                    command.line.push('\n');
                    command.line.push_str(line);
                    goes_on = line.ends_with('\\');
                }
                (Some(typed), _) => {
                    commands.push(Command { line: typed.to_owned(), output: Vec::new() });
                    goes_on = typed.ends_with('\\');
                }
                (None, Some(command)) => command.output.push(line.to_owned()),
                (None, None) => {}
            }
        }
        commands
    }

    /// Executes its commands by `run` and holds what comes of them against what the document shows.
    /// crm_mon is asked until `patience` says that it is enough, as a reader would.
    ///
    /// # Errors
    /// The first command that does not end, or say, what the document says.
    pub fn run_with(
        &self,
        run: impl Fn(&str) -> Result<Came, String>,
        mut patience: impl FnMut() -> bool,
    ) -> Result<(), String> {
        let Some(Marker::Run { exit: last, .. }) = self.marker else {
            return Err(format!("{} is not to be run", self.at));
        };
        let commands = self.commands();
        for (number, command) in commands.iter().enumerate() {
            let expected = if number + 1 == commands.len() { last } else { 0 };
            loop {
                let came = run(&command.line)?;
                let wrong = judge(command, expected, &came);
                let Some(wrong) = wrong else { break };
                if !command.line.starts_with("crm_mon") || !patience() {
                    return Err(format!("{}: {}\n{wrong}", self.at, command.line));
                }
            }
        }
        Ok(())
    }
}

/// What is not as shown.
fn judge(command: &Command, exit: i32, came: &Came) -> Option<String> {
    if came.exit != Some(exit) {
        return Some(format!("exit {:?}, not {exit}\n{}", came.exit, came.output));
    }
    let mut said = came.output.lines();
    command
        .output
        .iter()
        .find(|shown| !said.any(|line| shows(shown, line)))
        .map(|shown| format!("does not say {shown:?} (in this order)\n{}", came.output))
}

/// Whether a shown line stands for the real one: `…` is anything, white space is white space. Pacemaker 3.0
/// says "Not configured" for "not configured".
fn shows(shown: &str, real: &str) -> bool {
    let plain =
        |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    let (shown, real) = (plain(shown), plain(real));
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| real.strip_prefix(first)) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
        open = part.is_empty();
    }
    open || rest.is_empty()
}

/// Every document with commands: README and docs.
pub fn documents() -> Vec<PathBuf> {
    let top = repository();
    let mut found = vec![top.join("README.md"), top.join("CONTRIBUTING.md")];
    let docs = std::fs::read_dir(top.join("docs")).into_iter().flatten().flatten();
    let docs = docs.map(|entry| entry.path());
    found.extend(docs.filter(|path| path.extension().is_some_and(|it| it == "md")));
    found.sort();
    found
}

/// The fenced blocks of a document.
///
/// # Errors
/// It can't be read, or a block does not end.
pub fn blocks(path: &Path) -> Result<Vec<Block>, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&name, &text)
}

/// The blocks of all documents that are to be run at a place, in the order of files and lines.
///
/// # Errors
/// As [`blocks`].
pub fn to_run(wanted: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    for path in documents() {
        let here = |block: &Block| matches!(&block.marker, Some(Marker::Run { place, .. }) if place == wanted);
        found.extend(blocks(&path)?.into_iter().filter(here));
    }
    Ok(found)
}

fn parse(name: &str, text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let at = format!("{name}:{}", number + 1);
            let mut inside = String::new();
            loop {
                let (_, line) = lines.next().ok_or_else(|| format!("{at}: no end"))?;
                if line == "```" {
                    break;
                }
                inside.push_str(line);
                inside.push('\n');
            }
            let (language, marker) = (language.to_owned(), marker(before));
            blocks.push(Block { at, language, marker, text: inside });
        }
        before = line;
    }
    Ok(blocks)
}

fn marker(line: &str) -> Option<Marker> {
    let said = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    if said == "make" {
        return Some(Marker::Make);
    }
    if let Some(why) = said.strip_prefix("not run: ") {
        return Some(Marker::NotRun(why.to_owned()));
    }
    let (place, exit) = match said.strip_prefix("run: ")?.split_once(", exit ") {
        Some((place, exit)) => (place, exit.parse().ok()?),
        None => (said.strip_prefix("run: ")?, 0),
    };
    Some(Marker::Run { place: place.to_owned(), exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
Text.

<!-- run: cluster, exit 6 -->
```console
# one \\
    two
said … it
# three
```
```text
picture
```
";

    #[test]
    fn a_block_is_read_with_its_marker() {
        let blocks = parse("A.md", DOCUMENT).unwrap();
        let [console, picture] = blocks.as_slice() else { panic!("{blocks:?}") };
        assert_eq!(console.at, "A.md:4");
        assert_eq!(console.marker, Some(Marker::Run { place: "cluster".into(), exit: 6 }));
        let [one, three] = &console.commands()[..] else { panic!() };
        assert_eq!((one.line.as_str(), one.output.len()), ("one \\\n    two", 1));
        assert_eq!(three.line, "three");
        assert_eq!((picture.is_shell(), picture.marker.is_none()), (false, true));
        assert!(parse("A.md", "```sh\n").is_err());
        assert_eq!(
            marker("<!-- not run: a power cut -->"),
            Some(Marker::NotRun("a power cut".into()))
        );
        assert_eq!(marker("<!-- run: x, exit y -->"), None);
    }

    #[test]
    fn commands_are_held_to_what_is_shown() {
        let block = parse("A.md", DOCUMENT).unwrap().remove(0);
        let run = |exits: [i32; 2], said: &'static str| {
            let run = move |line: &str| {
                let exit = exits[usize::from(line == "three")];
                Ok(Came { exit: Some(exit), output: said.to_owned() })
            };
            block.run_with(run, || false)
        };
        assert_eq!(run([0, 6], "other\nsaid  that it"), Ok(()));
        assert!(run([0, 0], "said that it").is_err());
        assert!(run([1, 6], "said that it").is_err());
        assert!(run([0, 6], "said that it was").is_err());
        assert!(shows("a…", "a b") && shows("a … c", "a b c") && !shows("a", "a b"));
    }
}
