//! The words of a system error, for exit reasons.

use std::fmt::Display;

/// How the standard library ends the text of an error of the system: `… (os error 2)`.
const NUMBER: &str = " (os error ";

/// The text of an error without the number of the system's error: `No such file or directory`, not
/// `No such file or directory (os error 2)`. The number goes wherever it stands in the text, so an
/// error that quotes another one is cleaned as well.
///
/// For an errno of the crates nix or rustix, convert it into a [`std::io::Error`] first: their own
/// text begins with the name of the number (`ENOENT: …`).
pub fn cause(error: &(impl Display + ?Sized)) -> String {
    let mut text = error.to_string();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find(NUMBER)) {
        let start = from + start;
        let digits = start + NUMBER.len();
        match text.get(digits..).and_then(|rest| rest.split_once(')')) {
            Some((number, _)) if number.parse::<i32>().is_ok() => {
                text.replace_range(start..=digits + number.len(), "");
                from = start;
            }
            _ => from = digits,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    #[test]
    fn an_error_has_words_and_no_number() {
        let missing = Error::from_raw_os_error(nix::libc::ENOENT);
        assert_eq!(cause(&missing), "No such file or directory");
        assert_eq!(cause(&Error::from(nix::errno::Errno::EPERM)), "Operation not permitted");
        assert_eq!(cause(&Error::other("not a regular file")), "not a regular file");
    }

    #[test]
    fn an_error_within_an_error_has_no_number_either() {
        let inner = Error::from_raw_os_error(nix::libc::EACCES);
        let wrapped = Error::other(format!("can't read /a: {inner}: can't go on"));
        assert_eq!(cause(&wrapped), "can't read /a: Permission denied: can't go on");
        let twice = format!("{} and {}", Error::from_raw_os_error(2), Error::from_raw_os_error(13));
        assert_eq!(cause(&twice), "No such file or directory and Permission denied");
    }

    #[test]
    fn other_text_stays() {
        for text in ["", "(os error 2)", " (os error two)", "a (os error 2", "x (os error )"] {
            assert_eq!(cause(text), text);
        }
    }
}
