//! Why a file cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on a file that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {}", path.display(), cause(source))]
pub struct Error {
    /// What was attempted, as the verb in "cannot VERB /path": `read`, `set the owner of`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
}

impl Error {
    /// For `map_err`: turns the reason into an error about `operation` on `path`.
    pub(crate) fn on<E: Into<io::Error>>(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self { operation, path: path.to_owned(), source: source.into() }
    }
}

/// The words of a system error without its number: `Permission denied`, where the standard library
/// writes `Permission denied (os error 13)`.
#[must_use]
pub fn cause(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(number) = error.raw_os_error()
        && let Some(words) = text.strip_suffix(&format!(" (os error {number})"))
    {
        text.truncate(words.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn a_message_has_words_and_no_number() {
        let error = Error::on("read", Path::new("/a/b"))(Errno::EACCES);
        assert_eq!(error.to_string(), "cannot read /a/b: Permission denied");
        assert!(!cause(&io::Error::from_raw_os_error(99_999)).contains("os error"));
        assert_eq!(cause(&io::Error::other("not a regular file")), "not a regular file");
    }
}
