//! The daemon's command line: as we write it, as `/proc` shows it, as administrators extend it.
//!
//! OpenSIPS reads its options with getopt(3). The letters are those of 2.4 to 4.0 together
//! (`options` in main.c): `f:cCm:M:b:l:n:N:irRvdDFEVhw:t:u:g:p:P:G:W:o:a:A:k:s:T:`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Options that take an argument.
const WITH_ARGUMENT: &[u8] = b"AfmMblnNwtugpPGWoaksT";
/// Options that the agent sets itself, and options with which the program is not a daemon.
const OWNED: &[u8] = b"fPugmMcCVhE";
/// Options with which the daemon stays in the foreground, so that start never ends.
const FOREGROUND: &[u8] = b"FD";

/// The arguments of a running process that tell which instance it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// `-f`
    pub(crate) config: Option<PathBuf>,
    /// `-P`
    pub(crate) pidfile: Option<PathBuf>,
    /// `-c`, `-C`, `-V`, `-h`: it prints something and exits; no instance.
    pub(crate) check_only: bool,
    /// `-F`, `-D`: it stays in the session of the process that started it.
    pub(crate) foreground: bool,
}

impl Arguments {
    /// Reads the arguments after the name of the program.
    pub(crate) fn read<A: AsRef<OsStr>>(arguments: &[A]) -> Self {
        let mut read = Self::default();
        for option in Options::new(arguments) {
            let value = || option.value.map(|value| PathBuf::from(OsStr::from_bytes(value)));
            match option.letter {
                b'f' => read.config = value(),
                b'P' => read.pidfile = value(),
                b'c' | b'C' | b'V' | b'h' => read.check_only = true,
                b'F' | b'D' => read.foreground = true,
                _ => {}
            }
        }
        read
    }

    pub(crate) fn has_relative_paths(&self) -> bool {
        [&self.config, &self.pidfile].into_iter().flatten().any(|path| path.is_relative())
    }

    /// Resolves relative paths for a process in this directory.
    #[must_use]
    pub(crate) fn relative_to(&self, directory: &Path) -> Self {
        let joined = |path: &Option<PathBuf>| path.as_ref().map(|path| directory.join(path));
        Self { config: joined(&self.config), pidfile: joined(&self.pidfile), ..*self }
    }
}

/// One option, as getopt(3) would deliver it.
struct DaemonOption<'a> {
    /// Its letter; 0 for a word that is not an option.
    letter: u8,
    /// `None` where it takes no argument, and where its argument is missing.
    value: Option<&'a [u8]>,
}

/// getopt(3) without error messages.
struct Options<'a> {
    words: Vec<&'a [u8]>,
    next_word: usize,
    /// The letters of the current word that are not yet read.
    letters: &'a [u8],
}

impl<'a> Options<'a> {
    fn new<A: AsRef<OsStr>>(arguments: &'a [A]) -> Self {
        let words = arguments.iter().map(|word| word.as_ref().as_bytes()).collect();
        Self { words, next_word: 0, letters: &[] }
    }

    fn take_word(&mut self) -> Option<&'a [u8]> {
        let word = self.words.get(self.next_word).copied()?;
        self.next_word += 1;
        Some(word)
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = DaemonOption<'a>;

    fn next(&mut self) -> Option<DaemonOption<'a>> {
        if self.letters.is_empty() {
            match self.take_word()? {
                b"--" => return None,
                [b'-', letters @ ..] if !letters.is_empty() => self.letters = letters,
                word => return Some(DaemonOption { letter: 0, value: Some(word) }),
            }
        }
        let (&letter, rest) = self.letters.split_first()?;
        if !WITH_ARGUMENT.contains(&letter) {
            self.letters = rest;
            return Some(DaemonOption { letter, value: None });
        }
        self.letters = &[];
        let value = if rest.is_empty() { self.take_word() } else { Some(rest) };
        Some(DaemonOption { letter, value })
    }
}

/// Why a text can't be the daemon's extra options.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExtraOptionsError {
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("the backslash at the end escapes nothing")]
    OpenBackslash,
    #[error("-{0} is set by the agent: use its parameter")]
    Owned(char),
    #[error("-{0} keeps OpenSIPS in the foreground: remove it")]
    Foreground(char),
    #[error("{} is not an option", ocf::shown(.0.as_bytes()))]
    NoOption(String),
    #[error("-{0} needs an argument")]
    ArgumentMissing(char),
}

/// Splits extra options into words. White space separates; quotes (`'…'`, `"…"`) and backslashes
/// keep a word together. Nothing is expanded, because no shell reads them.
///
/// # Errors
/// [`ExtraOptionsError`]
pub(crate) fn parse_extra_options(text: &str) -> Result<Vec<String>, ExtraOptionsError> {
    let words = split_words(text)?;
    for option in Options::new(&words) {
        let letter = char::from(option.letter);
        if option.letter == 0 {
            let word = String::from_utf8_lossy(option.value.unwrap_or_default()).into_owned();
            return Err(ExtraOptionsError::NoOption(word));
        }
        if FOREGROUND.contains(&option.letter) {
            return Err(ExtraOptionsError::Foreground(letter));
        }
        if OWNED.contains(&option.letter) {
            return Err(ExtraOptionsError::Owned(letter));
        }
        if WITH_ARGUMENT.contains(&option.letter) && option.value.is_none() {
            return Err(ExtraOptionsError::ArgumentMissing(letter));
        }
    }
    if let Some(word) = words.iter().find(|word| *word == "--") {
        return Err(ExtraOptionsError::NoOption(word.clone()));
    }
    Ok(words)
}

fn split_words(text: &str) -> Result<Vec<String>, ExtraOptionsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => {
                let escaped = characters.next().ok_or(ExtraOptionsError::OpenBackslash)?;
                word.get_or_insert_default().push(escaped);
            }
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(ExtraOptionsError::OpenQuote);
    }
    words.extend(word);
    Ok(words)
}

/// The arguments of the daemon, without the program's name.
#[derive(Clone, Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) config: &'a Path,
    pub(crate) shm_memory: Option<u32>,
    pub(crate) pkg_memory: Option<u32>,
    pub(crate) extra: &'a [String],
}

impl Invocation<'_> {
    /// Checks the configuration with its included files, prints the sockets and exits.
    pub(crate) fn check(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-C".into()];
        self.common(&mut arguments);
        arguments
    }

    pub(crate) fn serve(&self, pidfile: &Path, user: &str, group: &str) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-P".into(), pidfile.into()];
        arguments.extend(["-u", user, "-g", group].map(OsString::from));
        self.common(&mut arguments);
        arguments
    }

    /// The options that affect how the configuration is read: a preprocessor (`-p`), memory.
    fn common(&self, arguments: &mut Vec<OsString>) {
        arguments.extend([OsString::from("-f"), self.config.into()]);
        for (option, megabytes) in [("-m", self.shm_memory), ("-M", self.pkg_memory)] {
            if let Some(megabytes) = megabytes {
                arguments.extend([option.into(), megabytes.to_string().into()]);
            }
        }
        arguments.extend(self.extra.iter().map(OsString::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn arguments_as_getopt_reads_them() {
        let read = |words: &[&str]| Arguments::read(words);
        let plain = Arguments {
            config: Some("/etc/o.cfg".into()),
            pidfile: Some("/run/o.pid".into()),
            ..Arguments::default()
        };
        assert_eq!(read(&["-P", "/run/o.pid", "-f", "/etc/o.cfg", "-m", "64"]), plain);
        assert_eq!(read(&["-P/run/o.pid", "-f/etc/o.cfg"]), plain);
        // An argument that looks like an option is not one.
        assert_eq!(read(&["-f", "/etc/o.cfg", "-P", "/run/o.pid", "-w", "-c"]), plain);
        assert_eq!(read(&["-f", "/a", "-P", "/run/o.pid", "-rvf", "/etc/o.cfg"]), plain);
        assert!(read(&["-vC", "-f", "/etc/o.cfg"]).check_only);
        assert!(read(&["-f", "/etc/o.cfg", "-F"]).foreground);
        assert_eq!(read(&["--", "-f", "/etc/o.cfg"]), Arguments::default());
        // The agent's own command line: an action, no `-f`.
        assert_eq!(read(&["monitor"]), Arguments::default());
        assert_eq!(read(&["-f"]), Arguments::default());
    }

    #[test]
    fn extra_options_are_words() {
        let words = |text| parse_extra_options(text).map(|words| words.join("|"));
        assert_eq!(words(""), Ok(String::new()));
        assert_eq!(words("-n 4  -w '/var/a b'"), Ok("-n|4|-w|/var/a b".into()));
        assert_eq!(words(r#"-p "m4 -D'x'" -A a\ b"#), Ok("-p|m4 -D'x'|-A|a b".into()));
        assert_eq!(words("-w $(reboot);`id`"), Ok("-w|$(reboot);`id`".into()));
        assert_eq!(words("-w ''"), Ok("-w|".into()));
    }

    #[test]
    fn the_agents_own_options_are_refused() {
        use ExtraOptionsError as E;
        for (text, why) in [
            ("-f /etc/x", E::Owned('f')),
            ("-rD", E::Foreground('D')),
            ("-F", E::Foreground('F')),
            ("-n4 -P/run/x", E::Owned('P')),
            ("-c", E::Owned('c')),
            ("-C", E::Owned('C')),
            ("-m 64", E::Owned('m')),
            ("-n", E::ArgumentMissing('n')),
            ("four", E::NoOption("four".into())),
            ("-r -- x", E::NoOption("--".into())),
            ("-w 'a", E::OpenQuote),
            ("-w \\", E::OpenBackslash),
        ] {
            assert_eq!(parse_extra_options(text), Err(why), "{text}");
        }
        // As an argument the letter means nothing.
        assert!(parse_extra_options("-w -f").is_ok());
    }

    #[test]
    fn our_own_command_line_is_recognised() {
        let extra = ["-n".to_owned(), "2".to_owned()];
        let invocation = Invocation {
            config: Path::new("/etc/o.cfg"),
            shm_memory: Some(64),
            pkg_memory: None,
            extra: &extra,
        };
        let serve = invocation.serve(Path::new("/run/o.pid"), "nobody", "nogroup");
        let read = Arguments::read(&serve);
        assert_eq!(read.config.as_deref(), Some(Path::new("/etc/o.cfg")));
        assert_eq!(read.pidfile.as_deref(), Some(Path::new("/run/o.pid")));
        assert!(!read.check_only && !read.foreground);
        assert!(Arguments::read(&invocation.check()).check_only);
    }

    proptest! {
        #[test]
        fn any_arguments_are_read(words: Vec<Vec<u8>>) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
            let _ = Arguments::read(&words);
        }

        #[test]
        fn accepted_words_never_carry_an_owned_option(text in "[-a-zA-Z'\" \\\\/]{0,20}") {
            if let Ok(words) = parse_extra_options(&text) {
                let read = Arguments::read(&words);
                prop_assert_eq!(read, Arguments::default());
            }
        }
    }
}
