//! What the daemon prints, and the files that it reads, as targets of a fuzzer (tests/fuzz).

use std::path::Path;

use hostproc::Pid;

use super::config_digest::digests;
use super::config_text::{each_text, module_paths};
use super::crash::{Evidence, death};
use super::json_log::as_plain;
use super::release::Release;
use super::words::{complaint, last_line, last_lines, left_out_sockets};
use super::{advice, defaults, environment, journal};

fn is_line(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// The output of a daemon, plain or in JSON.
pub(crate) fn output(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = as_plain(&text);
    if let Some(found) = complaint(&text) {
        assert!(is_line(&found.text), "{found:?}");
        let _ = advice::advised(&found.text, || vec!["/usr/lib/opensips".to_owned()]);
    }
    assert!(last_line(&text).is_none_or(|line| is_line(&line)));
    assert!(last_lines(&text).iter().all(|line| is_line(line)));
    assert!(left_out_sockets(&text).iter().all(|line| is_line(line)));
    let _ = death(&text, None);
    if let Some(main) = Pid::new(8) {
        let evidence = Evidence::from_words(&text, main).to_string();
        assert!(is_line(&evidence), "{evidence:?}");
    }
    let _ = Release::of(&text);
}

/// What journalctl prints.
pub(crate) fn journal(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines: String =
        text.lines().filter_map(journal::plain_line).map(|line| line + "\n").collect();
    output(lines.as_bytes());
}

/// `environment_file`, and the file with the defaults of the package.
pub(crate) fn environment_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (read, _) = environment::assignments(&text);
    for (name, _) in read {
        assert!(!name.is_empty() && !name.contains(['=', '\0']), "{name:?}");
    }
    for key in ["S_MEMORY", "P_MEMORY"] {
        let _ = defaults::megabytes(&text, key);
    }
}

/// A configuration, with the files that it includes.
pub(crate) fn configuration(path: &Path) {
    assert_eq!(digests(path), digests(path));
    let _ = module_paths(path);
    let unread =
        each_text(path, &mut |quoted| assert!(quoted.word.is_none_or(|it| !it.is_empty())));
    assert!(unread.len() <= 16 * 1024 * 1024 / 4096 + 100, "{}", unread.len());
}
