//! The node's defaults of memory: `S_MEMORY` and `P_MEMORY` of the file that the service of the
//! OpenSIPS packages reads (packaging/debian, packaging/redhat_fedora, 2.4 to 4.0).

use std::io;
use std::path::Path;

use hostfs::{Links, read_regular};
use ocf::LogLine;

use crate::params::{MEMORY_LIMIT, Params};

/// That of Debian, then that of Red Hat, SUSE and Arch; a node has one of them.
const FILES: [&str; 2] = ["/etc/default/opensips", "/etc/sysconfig/opensips"];

/// In bytes. Such a file has some twenty lines.
const LIMIT: u64 = 64 * 1024;

/// Completes the parameters from the node's file. A value that is not a number is logged and ignored, and so is a
/// file that can't be read: it does not belong to the resource.
pub(crate) fn complete(params: &mut Params) {
    complete_from(params, FILES.map(Path::new));
}

fn complete_from<const N: usize>(params: &mut Params, files: [&Path; N]) {
    if params.shm_memory.is_some() && params.pkg_memory.is_some() {
        return;
    }
    let (found, unread) = first_of(files);
    for error in unread {
        let note = "its S_MEMORY and P_MEMORY are not known: make it readable, or set shm_memory and pkg_memory";
        let line = LogLine::new().field("file", error.path.display());
        log::warn!("{}", line.field("error", hostfs::cause(&error.source)).note(note));
    }
    let Some((path, content)) = found else { return };
    for (key, memory) in
        [("S_MEMORY", &mut params.shm_memory), ("P_MEMORY", &mut params.pkg_memory)]
    {
        if memory.is_some() {
            continue;
        }
        match megabytes(&content, key) {
            Ok(found) => *memory = found,
            Err(wrong) => {
                let line = LogLine::new().field("file", path.display());
                let line = line.field("key", key).field("value", wrong);
                log::warn!("{}", line.note("ignored: not a number of MB"));
            }
        }
    }
}

/// The first of the files that can be read, with its text, and those before it that exist and can't be read. A node has
/// one of these files: what the other path is instead of it (a directory, a dangling mount) hides nothing.
fn first_of<const N: usize>(files: [&Path; N]) -> (Option<(&Path, String)>, Vec<hostfs::Error>) {
    let mut unread = Vec::new();
    for path in files {
        match read_regular(path, Links::Followed, LIMIT) {
            Ok(content) => {
                return (Some((path, String::from_utf8_lossy(&content).into_owned())), unread);
            }
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => unread.push(error),
        }
    }
    (None, unread)
}

/// The value of the last line `KEY=VALUE`, as in a shell. The file is read and never executed: what a
/// shell has to expand is not a number.
pub(super) fn megabytes<'t>(content: &'t str, key: &str) -> Result<Option<u32>, &'t str> {
    let mut assigned = content.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        line.strip_prefix(key)?.strip_prefix('=')
    });
    let Some(value) = assigned.next_back().map(unquoted).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let number = value.parse().ok().filter(|number| (1..=MEMORY_LIMIT).contains(number));
    number.map(Some).ok_or(value)
}

/// Removes quotes, and the comment after the value.
fn unquoted(text: &str) -> &str {
    let text = text.trim_end();
    for quote in ['"', '\''] {
        if let Some((value, _)) = text.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return value.trim();
        }
    }
    text.split_ascii_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    #[test]
    fn as_a_shell_would_read_it() {
        let read = |text| megabytes(text, "S_MEMORY");
        assert_eq!(read("S_MEMORY=64\nP_MEMORY=4\n"), Ok(Some(64)));
        assert_eq!(read("# S_MEMORY=64\n"), Ok(None));
        assert_eq!(read("  export S_MEMORY=\"128\" # much\n"), Ok(Some(128)));
        assert_eq!(read("S_MEMORY='96'\nS_MEMORY=256 # more\n"), Ok(Some(256)));
        assert_eq!(read("XS_MEMORY=1\nS_MEMORY_X=2\nS_MEMORY =3\n"), Ok(None));
        assert_eq!(read("S_MEMORY=\nS_MEMORY=''\n"), Ok(None));
        for wrong in ["64M", "-1", "0", "$(reboot)", "$OTHER", "99999999999", "1.5", "`id`"] {
            assert_eq!(megabytes(&format!("S_MEMORY={wrong}\n"), "S_MEMORY"), Err(wrong));
        }
    }

    #[test]
    fn parameters_before_the_file_and_the_file_before_the_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let (missing, file) = (directory.path().join("none"), directory.path().join("opensips"));
        std::fs::write(&file, "S_MEMORY=64\nP_MEMORY=many\n").unwrap();
        let completed = |pairs: &[(&str, &str)], files: [&Path; 2]| {
            let values = pairs.iter().copied().collect();
            let mut params = Params::read(&values, &InstanceName::new(OsStr::new("x"))).unwrap();
            complete_from(&mut params, files);
            (params.shm_memory, params.pkg_memory)
        };
        assert_eq!(completed(&[], [&missing, &file]), (Some(64), None));
        assert_eq!(completed(&[("shm_memory", "32")], [&missing, &file]), (Some(32), None));
        assert_eq!(completed(&[("pkg_memory", "8")], [&file, &missing]), (Some(64), Some(8)));
        assert_eq!(completed(&[], [&missing, directory.path()]), (None, None));
        // One that can't be read is told, and does not hide the other.
        assert_eq!(completed(&[], [directory.path(), &file]), (Some(64), None));
        let (found, unread) = first_of([directory.path(), &missing, &file]);
        assert_eq!(found.map(|(path, _)| path), Some(&*file));
        assert_eq!(unread.iter().map(|it| &*it.path).collect::<Vec<_>>(), [directory.path()]);
        let (found, unread) = first_of([&missing, &missing]);
        assert!(found.is_none() && unread.is_empty());
    }

    proptest! {
        #[test]
        fn any_file_is_read(text: String) {
            let _ = megabytes(&text, "S_MEMORY");
        }
    }
}
