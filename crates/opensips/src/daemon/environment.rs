//! What the daemon inherits: next to nothing, and the variables of `environment_file`.

use std::path::Path;
use std::process::{Command, Stdio};

use hostfs::{Links, read_regular};
use ocf::LogLine;

use super::{Error, Result};
use crate::params::Params;

/// The PATH of a service: the daemon must not depend on that of Pacemaker.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// In bytes. Such a file has some twenty lines.
const LIMIT: u64 = 64 * 1024;

/// The daemon with an environment of PATH, LANG and TZ alone (a configuration can read its
/// environment, and OCF_* and PCMK_* must not be in there), in `/`, without stdin.
///
/// This process goes to `/` itself: with a directory of its own for the child, a statically linked
/// std takes fork and execvp(3) instead of posix_spawn(3), and execvp(3) gives a file that is not a
/// program to /bin/sh.
pub(super) fn clean(binary: &Path) -> Command {
    // `/` is always there; no path of the agent is relative.
    let _ = std::env::set_current_dir("/");
    let mut command = Command::new(binary);
    command.env_clear().env("PATH", PATH).stdin(Stdio::null());
    for name in ["LANG", "TZ"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The variables of `environment_file`; none without it.
///
/// # Errors
/// [`Error::EnvironmentUnreadable`], [`Error::OutOfReach`]
pub(super) fn variables(params: &Params) -> Result<Vec<(String, String)>> {
    let Some(path) = &params.environment_file else { return Ok(Vec::new()) };
    let unreadable = |path, source| Error::EnvironmentUnreadable { path, source };
    let content = read_regular(path, Links::Followed, LIMIT)
        .map_err(|error| Error::of_file(path, error.source, unreadable))?;
    let (read, wrong) = assignments(&String::from_utf8_lossy(&content));
    for line in wrong {
        let line = LogLine::new().field("file", path.display()).field("line", line);
        log::warn!("{}", line.note("ignored: not NAME=VALUE"));
    }
    Ok(read)
}

/// The assignments of a file as systemd.exec(5) describes it under `EnvironmentFile=`, and the numbers of the
/// lines that are none. Nothing is expanded or executed. `export` is tolerated, for files that a shell reads.
pub(super) fn assignments(content: &str) -> (Vec<(String, String)>, Vec<usize>) {
    let (mut read, mut wrong) = (Vec::new(), Vec::new());
    let mut lines = content.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut line = line.trim().to_owned();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        while line.ends_with('\\') {
            line.pop();
            match lines.next() {
                Some((_, more)) => line.push_str(more.trim()),
                None => break,
            }
        }
        let assigned = line.strip_prefix("export ").unwrap_or(&line).trim_start();
        match assigned.split_once('=') {
            Some((name, value)) if is_name(name.trim_end()) => {
                read.push((name.trim_end().to_owned(), unquoted(value.trim())));
            }
            _ => wrong.push(index + 1),
        }
    }
    (read, wrong)
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(fits) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Without the quotes around it; between double quotes, a backslash keeps the next character.
fn unquoted(value: &str) -> String {
    if let Some(inner) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut read = String::new();
    let mut characters = quoted.unwrap_or(value).chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => read.extend(characters.next()),
            '\0' => {}
            other => read.push(other),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_systemd_reads_it() {
        let text = "# S_MEMORY=1\n; x=1\n\nS_MEMORY=64\nexport TZ = \"Europe/Berlin\" \nA='x \\ $y'\n\
                    B=one \\\n  two\nC=\"a\\\"b\"\nD=\n1X=2\nnothing\n";
        let (read, wrong) = assignments(text);
        let read: Vec<String> =
            read.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            read,
            ["S_MEMORY=64", "TZ=Europe/Berlin", "A=x \\ $y", "B=one two", "C=a\"b", "D="]
        );
        assert_eq!(wrong, [11, 12]);
    }

    proptest! {
        #[test]
        fn any_file_is_read(text: String) {
            for (name, value) in assignments(&text).0 {
                prop_assert!(is_name(&name) && !value.contains('\0'));
            }
        }
    }
}
